//! `loom` and `shuttle`: threads on a log in many orders, with the locks of a checker in the place of std's.
//!
//! Each builds everything anew under a `--cfg` of its name (docs/ARCHITECTURE.md, "Tests"), in a folder of its own, so
//! that neither throws away what the other tests have compiled.

use crate::{Outcome, shell};

/// Every schedule of a few threads, up to a bound.
pub(crate) fn loom() -> Outcome {
    run("loom", &["--lib", "--test", "loom"])
}

/// Schedules drawn at random. Shuttle prints the seed and the schedule of a failure.
pub(crate) fn shuttle() -> Outcome {
    run("shuttle", &["--test", "shuttle"])
}

fn run(checker: &str, targets: &[&str]) -> Outcome {
    let folder = shell::target_dir().join(checker);
    let folder = shell::text(&folder)?;
    // Optimised, since it counts in thousands, and with every assertion left in.
    let mut args = vec!["test", "--profile", "torture", "--package", "bulla-log", "--target-dir", folder];
    args.extend(targets);
    shell::cargo(&args, &[("RUSTFLAGS", &format!("--cfg {checker}"))])
}
