//! Audit trails to try things on.
//!
//! Real ones lie in the directory that `BULLA_SAMPLES` names; without it a generated one stands in, with what makes real
//! ones hard: many records share a time, and times run backwards where files arrived late.

use crate::Random;
use std::fmt::Write;
use std::path::PathBuf;

/// A log of lines.
#[derive(Clone, Debug)]
pub struct Trail {
    /// What to call it in a message.
    pub name: String,
    /// The lines, each ended by a newline.
    pub bytes: Vec<u8>,
    /// The dotted field of each line that holds its time; `None` for plain text.
    pub time_field: Option<&'static str>,
}

/// The real trails, or the generated one.
///
/// # Panics
///
/// If `BULLA_SAMPLES` names a directory that holds none of the samples or cannot be read.
#[must_use]
pub fn trails() -> Vec<Trail> {
    let Some(dir) = std::env::var_os("BULLA_SAMPLES").map(PathBuf::from) else { return vec![generated(3_000, 1)] };
    let entries = std::fs::read_dir(&dir).expect("BULLA_SAMPLES names a directory");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the directory can be read").path()).collect();
    paths.sort();
    let mut trails = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let time_field = match name.as_str() {
            name if name.starts_with("cloudtrail-otrf") => Some("@timestamp"),
            name if name.starts_with("cloudtrail") => Some("eventTime"),
            name if name.starts_with("windows") => Some("@timestamp"),
            name if name.starts_with("linux-auth") => None,
            _ => continue,
        };
        trails.push(Trail { name, bytes: std::fs::read(&path).expect("the sample can be read"), time_field });
    }
    assert!(!trails.is_empty(), "BULLA_SAMPLES names a directory without samples");
    trails
}

/// JSON lines whose `meta.at` is an epoch second: about five share one, and every fourth group comes late.
#[must_use]
pub fn generated(line_count: u64, seed: u64) -> Trail {
    let mut random = Random::new(seed);
    let mut lines = String::new();
    for row in 0..line_count {
        let group = row / 5;
        let second = 1_700_000_000 + if group % 4 == 3 { group - 3 } else { group };
        let filler = "x".repeat(usize::try_from(random.below(200)).unwrap_or_default());
        writeln!(lines, r#"{{"meta":{{"at":{second}}},"row":{row},"text":"{filler}"}}"#)
            .expect("writing to a string does not fail");
    }
    Trail { name: "generated".to_owned(), bytes: lines.into_bytes(), time_field: Some("meta.at") }
}
