//! What a harness counted, and what went wrong.

use std::fmt::Write as _;

/// Failures kept in full; the rest are counted.
const FAILURES_MAX: usize = 40;
/// Failures kept that differ in numbers only.
const ALIKE_MAX: usize = 2;

/// What one harness, or all of them, did.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    failures: Vec<String>,
    failure_count: u64,
    skipped: Vec<String>,
}

/// One line of the table.
#[derive(Debug)]
struct Row {
    what: String,
    count: u64,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    AtLeast(u64),
    Exactly(u64),
}

impl Report {
    /// Notes that something was done `count` times, which must be at least `least`.
    pub(crate) fn count(&mut self, what: impl Into<String>, count: u64, least: u64) {
        self.rows.push(Row { what: what.into(), count, wanted: Wanted::AtLeast(least) });
    }

    /// Notes that something that must not happen happened `count` times.
    pub(crate) fn none(&mut self, what: impl Into<String>, count: u64) {
        self.rows.push(Row { what: what.into(), count, wanted: Wanted::Exactly(0) });
    }

    /// A wrong answer; the text says how to see it again (T1).
    pub(crate) fn fail(&mut self, failure: impl Into<String>) {
        let failure = failure.into();
        self.failure_count += 1;
        let alike = self.failures.iter().filter(|kept| shape(kept) == shape(&failure)).count();
        if alike < ALIKE_MAX && self.failures.len() < FAILURES_MAX {
            self.failures.push(failure);
        }
    }

    /// What this machine cannot do, and why (T2).
    pub(crate) fn skip(&mut self, why: impl Into<String>) {
        self.skipped.push(why.into());
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.failures.extend(other.failures);
        self.failure_count += other.failure_count;
        self.skipped.extend(other.skipped);
    }

    pub(crate) fn is_success(&self) -> bool {
        self.failure_count == 0 && !self.rows.is_empty() && self.rows.iter().all(Row::is_met)
    }

    pub(crate) fn print_details(&self) {
        for why in &self.skipped {
            println!("skipped: {why}");
        }
        for failure in &self.failures {
            println!("FAILED: {failure}");
        }
        let more = self.failure_count - self.failures.len() as u64;
        if more > 0 {
            println!("FAILED: {more} more");
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut text = format!("\n{:>10} {:>12}  what\n", "count", "wanted");
        for row in &self.rows {
            let wanted = match row.wanted {
                Wanted::AtLeast(least) => format!(">= {least}"),
                Wanted::Exactly(count) => format!("= {count}"),
            };
            let mark = if row.is_met() { "" } else { "  <- FAILED" };
            writeln!(text, "{:>10} {wanted:>12}  {}{mark}", row.count, row.what).expect("BUG: a string did not grow");
        }
        for why in &self.skipped {
            writeln!(text, "{:>10} {:>12}  {why}", "-", "skipped").expect("BUG: a string did not grow");
        }
        writeln!(text, "{:>10} {:>12}  wrong answers", self.failure_count, "= 0").expect("BUG: a string did not grow");
        text
    }
}

/// What failures of one kind have in common: the last part, without its numbers.
fn shape(failure: &str) -> String {
    let what = failure.split("; ").next().unwrap_or(failure);
    let what = what.rsplit("): ").next().unwrap_or(what);
    what.chars().filter(|character| !character.is_ascii_digit()).take(120).collect()
}

impl Row {
    fn is_met(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast(least) => self.count >= least,
            Wanted::Exactly(count) => self.count == count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_did_nothing_or_too_little_has_failed() {
        assert!(!Report::default().is_success());
        let mut report = Report::default();
        report.count("images", 10, 10);
        report.none("false alarms", 0);
        report.skip("no xfs_io");
        assert!(report.is_success());
        report.count("kills", 9, 10);
        assert!(!report.is_success());
        assert!(report.table().contains("kills  <- FAILED"));
    }

    #[test]
    fn a_wrong_answer_fails_whatever_the_counts() {
        let mut report = Report::default();
        report.count("images", 1, 1);
        for number in 0..100 {
            report.fail(format!("image {number} (killed): a wrong answer"));
        }
        assert!(!report.is_success());
        assert_eq!((report.failures.len(), report.failure_count), (ALIKE_MAX, 100));
    }
}
