//! Crashes, faults, edits and kills in numbers: what `cargo xtask torture` runs.
//!
//! Each harness is one module. It does a named kind of harm to logs and stores many times over, holds what they say
//! afterwards against an oracle, and counts. A count below its least is a failure as a wrong answer is, so that a
//! harness cannot pass by doing nothing.
//!
//! # Invariants
//!
//! - T1. One seed decides everything that is not the real machine; a failure prints the line that repeats it.
//! - T2. What this machine cannot do is skipped with a message that says why, never silently.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a harness that meets what it did not foresee must stop"
)]
#![allow(clippy::cast_possible_truncation, reason = "what is built here is small")]

mod crash;
mod damage;
mod faults;
mod lies;
mod plan;
mod play;
mod report;
mod tamper;
mod work;
#[cfg(unix)]
mod world;

use plan::Plan;
use report::Report;
use std::process::ExitCode;
use std::time::Instant;

/// A kind of harm, and what to type after `--only` to have it alone.
struct Harness {
    name: &'static str,
    run: fn(&Plan) -> Report,
}

const HARNESSES: &[Harness] = &[
    Harness { name: "crash", run: crash::run },
    Harness { name: "faults", run: faults::run },
    Harness { name: "lies", run: lies::run },
    Harness { name: "play", run: play::run },
    Harness { name: "tamper", run: tamper::run },
    #[cfg(unix)]
    Harness { name: "kill", run: world::kill::run },
    #[cfg(unix)]
    Harness { name: "limit", run: world::limit::run },
    #[cfg(unix)]
    Harness { name: "full-disk", run: world::full::run },
    #[cfg(unix)]
    Harness { name: "power-cut", run: world::power::run },
    #[cfg(unix)]
    Harness { name: "strace", run: world::inject::run },
    #[cfg(unix)]
    Harness { name: "lock", run: world::lock::run },
    #[cfg(unix)]
    Harness { name: "poll", run: world::poll::run },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(unix)]
    if let Some(code) = world::child(&args) {
        return code;
    }
    let plan = match Plan::parse(&args, &HARNESSES.iter().map(|harness| harness.name).collect::<Vec<_>>()) {
        Ok(plan) => plan,
        Err(message) => {
            eprintln!("torture: {message}\n\n{}", plan::USAGE);
            return ExitCode::from(2);
        }
    };
    let wanted: Vec<_> = HARNESSES.iter().filter(|harness| plan.wants(harness.name)).collect();
    let mut total = Report::default();
    for (number, harness) in wanted.iter().enumerate() {
        println!("== {} ==", harness.name);
        let started = Instant::now();
        let report = (harness.run)(&plan.share(wanted.len() - number));
        report.print_details();
        println!("{:.1} s", started.elapsed().as_secs_f64());
        total.append(report);
    }
    print!("{}", total.table());
    if total.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
