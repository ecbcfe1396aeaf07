//! Commands one after the other, with the time each took.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::Outcome;

/// One command of a longer run.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// What to type after `cargo xtask` to run it alone.
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> Outcome,
}

/// Runs `steps` up to the first that fails, then prints the table of all of them.
pub(crate) fn run(steps: &[Step]) -> Outcome {
    let mut done = Vec::new();
    let mut outcome = Ok(());
    for step in steps {
        println!("\n== {} ==", step.name);
        let started = Instant::now();
        outcome = (step.run)().map_err(|message| format!("{} failed: {message}", step.name));
        done.push((started.elapsed(), outcome.is_ok()));
        if outcome.is_err() {
            break;
        }
    }
    print!("{}", table(steps, &done));
    outcome
}

/// One line for each of `steps`; those past the end of `done` never ran.
fn table(steps: &[Step], done: &[(Duration, bool)]) -> String {
    let mut text = format!("\n{:<10} {:>8}  ok\n", "step", "seconds");
    for (index, step) in steps.iter().enumerate() {
        let (seconds, ok) = match done.get(index) {
            Some((took, true)) => (format!("{:.1}", took.as_secs_f64()), "ok"),
            Some((took, false)) => (format!("{:.1}", took.as_secs_f64()), "FAILED"),
            None => ("-".to_owned(), "not run"),
        };
        writeln!(text, "{:<10} {seconds:>8}  {ok}", step.name).expect("BUG: a string refused to grow");
    }
    let total: Duration = done.iter().map(|(took, _)| *took).sum();
    writeln!(text, "{:<10} {:>8.1}", "total", total.as_secs_f64()).expect("BUG: a string refused to grow");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 3] = [
        Step { name: "one", run: || Ok(()) },
        Step { name: "two", run: || Err("the disk is full".to_owned()) },
        Step { name: "three", run: || panic!("a step ran after one that failed") },
    ];

    #[test]
    fn a_run_stops_at_the_first_failure_and_names_it() {
        assert_eq!(run(&STEPS), Err("two failed: the disk is full".to_owned()));
        assert_eq!(run(&STEPS[..1]), Ok(()));
    }

    #[test]
    fn the_table_has_a_line_for_every_step_also_for_those_that_never_ran() {
        let done = [(Duration::from_millis(1_500), true), (Duration::from_secs(61), false)];
        let expected = "\n\
            step        seconds  ok\n\
            one             1.5  ok\n\
            two            61.0  FAILED\n\
            three             -  not run\n\
            total          62.5\n";
        assert_eq!(table(&STEPS, &done), expected);
    }
}
