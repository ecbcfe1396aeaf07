//! `doc`: the documentation builds without warnings.

use crate::{Outcome, shell};

pub(crate) fn run() -> Outcome {
    shell::cargo(&["doc", "--workspace", "--all-features", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
}
