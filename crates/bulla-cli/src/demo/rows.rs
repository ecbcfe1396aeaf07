//! An audit trail made up for the tour: two ordinary days, and one payment that somebody will want to be smaller.

use crate::times;
use bulla::Time;
use std::fmt::Write as _;

/// The row that is forged, as far as its text is its own.
pub(super) const FORGED: &[u8] = br#""actor":"mallory","action":"pay","object":"account-7","amount":9500"#;
/// Where in it the byte is that changes: the 9.
pub(super) const FORGED_AT: usize = FORGED.len() - 4;
/// The hour that the query asks for.
pub(super) const HOUR_BEGIN: &str = "2026-03-03T10:00:00Z";
pub(super) const HOUR_END: &str = "2026-03-03T11:00:00Z";

const ROW_COUNT: i64 = 1000;
const FORGED_ROW: i64 = 777;
/// 2026-03-02T08:00:00Z.
const MONDAY_BEGIN_NS: i64 = 1_772_438_400_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;
const ROW_EVERY_NS: i64 = 11_500_000_000;

/// The lines of a day, each with its newline: Monday is 0. The row to forge is Monday's.
pub(super) fn audit_trail(day: i64) -> String {
    let actors = ["ana", "ben", "chloe", "deniz", "emil"];
    let actions = ["login", "read", "read", "update", "read", "export", "logout"];
    let mut lines = String::new();
    for row in 0..ROW_COUNT {
        let time = times::show(Time(MONDAY_BEGIN_NS + day * DAY_NS + row * ROW_EVERY_NS));
        if (day, row) == (0, FORGED_ROW) {
            let own = String::from_utf8_lossy(FORGED);
            let _ = writeln!(lines, r#"{{"time":"{time}",{own},"outcome":"ok"}}"#);
            continue;
        }
        let pick = |from: &[&'static str], step: i64| {
            let index = usize::try_from(row * step).unwrap_or_default() % from.len().max(1);
            from.get(index).copied().unwrap_or_default()
        };
        let (actor, action) = (pick(&actors, 7), pick(&actions, 3));
        let outcome = if row % 23 == 5 { "denied" } else { "ok" };
        let object = row * 31 % 97;
        let _ = writeln!(
            lines,
            r#"{{"time":"{time}","actor":"{actor}","action":"{action}","object":"file-{object}","outcome":"{outcome}"}}"#
        );
    }
    lines
}
