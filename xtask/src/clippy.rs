//! `clippy`: the lints, with warnings denied.

use crate::{Outcome, shell};

pub(crate) fn run() -> Outcome {
    // The lists in clippy.toml keep files, clocks and threads out of the libraries. Tests and commands need these
    // things, and clippy cannot tell the targets of one crate apart, hence two runs.
    shell::cargo(
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-Dwarnings",
            "-Aclippy::disallowed_methods",
            "-Aclippy::disallowed_types",
        ],
        &[],
    )?;
    shell::cargo(
        &[
            "clippy",
            "--workspace",
            "--lib",
            "--all-features",
            "--",
            "-Dwarnings",
            "-Dclippy::disallowed_methods",
            "-Dclippy::disallowed_types",
        ],
        &[],
    )
}
