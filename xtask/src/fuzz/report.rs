//! What libFuzzer says at its end, as one table.

use std::fmt::Write as _;

/// One target's run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) target: String,
    pub(super) is_ok: bool,
    pub(super) executions: Option<u64>,
    pub(super) per_second: Option<u64>,
    pub(super) peak_mb: Option<u64>,
}

impl Line {
    /// From what the run printed, with `-print_final_stats=1`.
    pub(super) fn of(target: String, is_ok: bool, printed: &str) -> Self {
        let stat = |name: &str| {
            let lines = printed.lines().filter_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
            lines.filter_map(|rest| rest.strip_prefix(':')?.trim().parse().ok()).next_back()
        };
        Self {
            target,
            is_ok,
            executions: stat("number_of_executed_units"),
            per_second: stat("average_exec_per_sec"),
            peak_mb: stat("peak_rss_mb"),
        }
    }
}

/// The file that holds the input a run failed on.
pub(super) fn artifact(printed: &str) -> Option<&str> {
    printed.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path.trim())
}

/// One line for each target, and their sum.
pub(super) fn table(lines: &[Line]) -> String {
    let mut text = format!("\n{:<18} {:>11} {:>9} {:>8}  ok\n", "target", "executions", "a second", "peak MB");
    let shown = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    for line in lines {
        let (executions, per_second, peak) = (shown(line.executions), shown(line.per_second), shown(line.peak_mb));
        let ok = if line.is_ok { "ok" } else { "FAILED" };
        writeln!(text, "{:<18} {executions:>11} {per_second:>9} {peak:>8}  {ok}", line.target)
            .expect("BUG: a string refused to grow");
    }
    let total: u64 = lines.iter().filter_map(|line| line.executions).sum();
    writeln!(text, "{:<18} {total:>11}", format!("{} targets", lines.len())).expect("BUG: a string refused to grow");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
Done 155405 runs in 16 second(s)
stat::number_of_executed_units: 155405
stat::average_exec_per_sec:     9712
stat::new_units_added:          120
stat::peak_rss_mb:              328
";

    #[test]
    fn the_last_lines_of_a_run_become_one_of_the_table() {
        let line = Line::of("frame".to_owned(), true, PRINTED);
        assert_eq!((line.executions, line.per_second, line.peak_mb), (Some(155_405), Some(9_712), Some(328)));
        let silent = Line::of("records".to_owned(), false, "it could not be started");
        let expected = "\n\
            target              executions  a second  peak MB  ok\n\
            frame                   155405      9712      328  ok\n\
            records                      -         -        -  FAILED\n\
            2 targets               155405\n";
        assert_eq!(table(&[line, silent]), expected);
    }

    #[test]
    fn the_input_that_failed_is_found_in_what_was_printed() {
        let printed = "artifact_prefix='a/'; Test unit written to a/crash-0123\nBase64: AA==\n";
        assert_eq!(artifact(printed), Some("a/crash-0123"));
        assert_eq!(artifact(PRINTED), None);
    }
}
