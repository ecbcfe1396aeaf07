//! `msrv`: everything compiles with the oldest compiler we promise.

use crate::{Outcome, shell};

/// The first release of the workspace's `rust-version`, which this package inherits.
const TOOLCHAIN: &str = concat!(env!("CARGO_PKG_RUST_VERSION"), ".0");

pub(crate) fn run() -> Outcome {
    if !shell::is_installed("rustup", &["run", TOOLCHAIN, "cargo", "--version"]) {
        return Err(format!("Rust {TOOLCHAIN} is missing: rustup toolchain install --profile minimal {TOOLCHAIN}"));
    }
    // A folder of its own, so that two compilers do not wait for each other's lock.
    let folder = shell::target_dir().join("msrv");
    let folder = shell::text(&folder)?;
    let toolchain = format!("+{TOOLCHAIN}");
    let check = ["check", "--workspace", "--all-targets", "--all-features", "--locked", "--target-dir", folder];
    shell::cargo(&[&[toolchain.as_str()][..], &check].concat(), &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toolchain_is_a_full_version() {
        let parts: Vec<&str> = TOOLCHAIN.split('.').collect();
        assert_eq!(parts.len(), 3, "{TOOLCHAIN}");
        assert!(parts.iter().all(|part| part.parse::<u32>().is_ok()), "{TOOLCHAIN}");
    }
}
