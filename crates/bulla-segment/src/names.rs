//! How segment files are called.

use bulla_wire::Position;
use std::ffi::OsStr;

/// The name under which the next segment is prepared; a left-over one means nothing and is removed by the writer.
pub const NEXT_TEMPORARY: &str = "next.tmp";

const DIGITS: usize = 20;
const SUFFIX: &str = ".seg";

/// The name of the segment that begins at `base`: 20 decimal digits, so that names sort as positions do.
#[must_use]
pub fn segment_file_name(base: Position) -> String {
    format!("{:0DIGITS$}{SUFFIX}", base.0)
}

/// The base position that a segment's file name carries, or `None` for the name of anything else.
#[must_use]
pub fn parse_segment_file_name(name: &OsStr) -> Option<Position> {
    let digits = name.to_str()?.strip_suffix(SUFFIX)?;
    let is_ours = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_ours.then(|| digits.parse().ok()).flatten().map(Position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_foreign_ones_are_left_alone() {
        for base in [0, 7, u64::MAX] {
            let name = segment_file_name(Position(base));
            assert_eq!(parse_segment_file_name(OsStr::new(&name)), Some(Position(base)));
        }
        for foreign in
            ["next.tmp", "7.seg", "+0000000000000000007.seg", "99999999999999999999.seg", ".seg", "checkpoints"]
        {
            assert_eq!(parse_segment_file_name(OsStr::new(foreign)), None, "{foreign}");
        }
    }
}
