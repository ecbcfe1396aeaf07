//! The project's own automation: `cargo xtask COMMAND`.
//!
//! This file is the list of commands; each is a function in a file of its own. Every command prints what it runs, stops
//! at the first failure, and works offline once the dependencies are downloaded; only `fuzz`,
//! `mutants` and `interop` may install something.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

mod check;
mod ci;
mod clippy;
mod deny;
mod doc;
mod fmt;
mod fuzz;
mod golden;
mod interop;
mod layers;
mod msrv;
mod mutants;
mod portable;
mod schedules;
mod shell;
mod steps;
mod test;
mod torture;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  check                        fmt, clippy, doc, layers: what to run before a commit
  ci                           everything CI runs: check, golden, deny, msrv, portable, interop, loom, shuttle, fuzz, torture, mutants, test
  fmt                          formatting is what rustfmt makes of it (`cargo fmt --all` applies it)
  clippy                       lints, with warnings denied; libraries also against the lists in clippy.toml
  doc                          documentation builds without warnings
  layers                       dependencies between crates are those in the diagram, and each crate is complete
  golden [--bless]             bytes on disk are those in tests/golden; --bless writes these files anew
  deny                         bans, licences and sources of dependencies, against deny.toml
  msrv                         everything compiles with the oldest compiler we promise
  portable                     bulla-wire and bulla-chain build for browsers, and pass their tests with 32-bit addresses
  interop                      clients from Debian's and Python's registries read what bulla-chain writes, and we theirs
  test [--slow]                all tests, then all doctests; --slow adds the ignored ones
  loom                         every schedule of three threads, up to three preemptions each, on a log and its parts
  shuttle                      random and PCT schedules on a whole log; SHUTTLE_RANDOM_SEED=N tries others than usual
  torture --quick              crashes, faults, edits and kills in numbers, at most five minutes
  torture --full MINUTES       the same for as long as asked; --only NAME and --seed N go with both
  mutants --shard K/N          change wire, segment and log in small ways, and count whether the tests notice
  mutants --diff COMMIT        the same for the lines that changed since
  fuzz TARGET --seconds N      fuzz one decoder, log, store or input
  fuzz --all --seconds N       fuzz each target for N seconds, two at a time
  fuzz --build                 only compile the fuzz targets
  fuzz                         what CI does: the second reader's tests, then each target for ten seconds
";

/// What every command returns: nothing, or one line that says what failed.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Outcome {
    match args {
        ["check"] => check::run(),
        ["ci"] => ci::run(),
        ["fmt"] => fmt::run(),
        ["clippy"] => clippy::run(),
        ["doc"] => doc::run(),
        ["layers"] => layers::run(),
        ["golden"] => golden::run(golden::Mode::Compare),
        ["golden", "--bless"] => golden::run(golden::Mode::Bless),
        ["deny"] => deny::run(),
        ["msrv"] => msrv::run(),
        ["interop"] => interop::run(),
        ["portable"] => portable::run(),
        ["loom"] => schedules::loom(),
        ["shuttle"] => schedules::shuttle(),
        ["test"] => test::run(test::Speed::Fast),
        ["test", "--slow"] => test::run(test::Speed::Slow),
        ["torture", rest @ ..] => torture::run(rest),
        ["fuzz"] => fuzz::ci(),
        ["mutants", rest @ ..] => mutants::run(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        [] => Err(format!("no command\n\n{USAGE}")),
        [other, ..] => Err(format!("no such command, or not with these arguments: {other}\n\n{USAGE}")),
    }
}
