//! `check`: what to run before a commit.

use crate::steps::{self, Step};
use crate::{Outcome, clippy, doc, fmt, layers};

/// Format, lints, documentation and layers.
pub(crate) const STEPS: [Step; 4] = [
    Step { name: "fmt", run: fmt::run },
    Step { name: "clippy", run: clippy::run },
    Step { name: "doc", run: doc::run },
    Step { name: "layers", run: layers::run },
];

pub(crate) fn run() -> Outcome {
    steps::run(&STEPS)
}
