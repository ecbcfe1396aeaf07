//! `portable`: the crates that only compute do so everywhere, in a browser and where an address has 32 bits.

use crate::{Outcome, shell};

/// Those that whoever checks a log elsewhere needs.
const PACKAGES: [&str; 4] = ["--package", "bulla-wire", "--package", "bulla-chain"];
const BROWSER: &str = "wasm32-unknown-unknown";
/// Linked without a C compiler, and run by every 64-bit Linux kernel for the same processor.
const NARROW: &str = "i686-unknown-linux-musl";
const NARROW_LINKER: (&str, &str) = ("CARGO_TARGET_I686_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");

pub(crate) fn run() -> Outcome {
    for features in [&[][..], &["--all-features"]] {
        shell::cargo(&[&["check", "--target", BROWSER][..], &PACKAGES, features].concat(), &[])?;
    }
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        let tests = ["test", "--tests", "--all-features", "--target", NARROW];
        shell::cargo(&[&tests[..], &PACKAGES].concat(), &[NARROW_LINKER])
    } else {
        println!("this machine cannot run programs for {NARROW}, so nothing is tested with 32-bit addresses");
        Ok(())
    }
}
