//! `ci`: all that CI runs.

use crate::steps::{self, Step};
use crate::{Outcome, check, deny, fuzz, golden, interop, msrv, mutants, portable, schedules, test, torture};

pub(crate) fn run() -> Outcome {
    // Cheap checks first; the tests last, so that their closing lines are the last thing before the table.
    let mut all = check::STEPS.to_vec();
    all.extend([
        Step { name: "golden", run: || golden::run(golden::Mode::Compare) },
        Step { name: "deny", run: deny::run },
        Step { name: "msrv", run: msrv::run },
        Step { name: "portable", run: portable::run },
        Step { name: "interop", run: interop::run },
        Step { name: "loom", run: schedules::loom },
        Step { name: "shuttle", run: schedules::shuttle },
        Step { name: "fuzz", run: fuzz::ci },
        Step { name: "torture", run: || torture::run(&["--quick"]) },
        Step { name: "mutants", run: mutants::ci },
        Step { name: "test", run: || test::run(test::Speed::Fast) },
    ]);
    steps::run(&all)
}
