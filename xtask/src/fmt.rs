//! `fmt`: formatting is what rustfmt makes of it.

use crate::{Outcome, shell};

pub(crate) fn run() -> Outcome {
    shell::cargo(&["fmt", "--all", "--check"], &[])
}
