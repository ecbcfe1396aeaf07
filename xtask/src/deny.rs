//! `deny`: crates, licences and sources of the dependencies, against deny.toml.

use crate::{Outcome, shell};

pub(crate) fn run() -> Outcome {
    if !shell::is_installed("cargo", &["deny", "--version"]) {
        return Err("cargo-deny is missing: cargo install --locked --debug cargo-deny".to_owned());
    }
    // The check reads the manifests of dependencies for every platform, also of those no build here has needed yet.
    // Once they are there, this touches no network.
    shell::cargo(&["fetch", "--locked"], &[])?;
    // Advisories come from a database on the network, which would make the same commit pass today and fail tomorrow.
    shell::cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"], &[])
}
