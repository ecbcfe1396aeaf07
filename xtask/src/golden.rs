//! `golden`: the bytes on disk are those in `tests/golden/*.hex`.

use crate::{Outcome, shell};

#[derive(Clone, Copy)]
pub(crate) enum Mode {
    /// Fails where the bytes differ from the files.
    Compare,
    /// Writes the files anew. A change to one of them is a change of the format.
    Bless,
}

pub(crate) fn run(mode: Mode) -> Outcome {
    let args = ["test", "--package", "bulla-wire", "--package", "bulla-chain", "--test", "golden"];
    match mode {
        Mode::Compare => shell::cargo(&args, &[]),
        Mode::Bless => shell::cargo(&args, &[("BULLA_BLESS", "1")]),
    }
}
