//! `torture`: crashes, faults, edits and kills in numbers, as crates/bulla-torture does them.

use crate::{Outcome, shell};

pub(crate) fn run(args: &[&str]) -> Outcome {
    // Optimised, since it counts in hundreds of thousands, and with every assertion left in.
    let mut all = vec!["run", "--profile", "torture", "--package", "bulla-torture", "--bin", "bulla-torture", "--"];
    all.extend(args);
    shell::cargo(&all, &[])
}
