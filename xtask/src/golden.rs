//! `golden`: the bytes on disk are those in `tests/golden`, and kept stores are read as when they were kept.

use crate::{Outcome, shell};

#[derive(Clone, Copy)]
pub(crate) enum Mode {
    /// Fails where the bytes differ from the files.
    Compare,
    /// Writes the files of vectors anew, and stores that are not kept yet. A change to a file is a change of the format.
    Bless,
}

pub(crate) fn run(mode: Mode) -> Outcome {
    let mut args = vec![
        "test",
        "--all-features",
        "--package",
        "bulla-wire",
        "--package",
        "bulla-chain",
        "--package",
        "bulla",
        "--test",
        "golden",
    ];
    match mode {
        Mode::Compare => shell::cargo(&args, &[]),
        Mode::Bless => {
            // One test reads what another one writes.
            args.extend(["--", "--test-threads=1"]);
            shell::cargo(&args, &[("BULLA_BLESS", "1")])
        }
    }
}
