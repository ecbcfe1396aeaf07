//! Stores in every state there is, kept as bytes for ever: what this build says of them is what was said when they were
//! kept. `BULLA_BLESS=1` keeps states that are not there yet, and never touches one that is. golden/README.md has the
//! rule.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test reads its own files, and the environment says when to write them"
)]

mod look;
mod make;

use make::{Files, STATES};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::{env, fs};

/// States there are, at least: a directory that goes missing is a promise that goes missing.
const STATES_MIN: usize = 66;

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// The files of a kept state, by their paths in the store.
fn load(dir: &Path) -> Files {
    fn collect(root: &Path, dir: &Path, files: &mut Files) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(root, &path, files);
            } else if path.file_name().is_some_and(|name| name != "expected.json") {
                files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    let mut files = Files::new();
    collect(dir, dir, &mut files);
    files
}

/// Keeps the files of a state that is not kept yet, and what is said of a state, unless that is there.
fn keep(dir: &Path, about: &str, make: fn() -> Files) {
    if !dir.exists() {
        for (path, bytes) in make() {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let path = dir.join("expected.json");
    if !path.exists() {
        let mut expected = look::look(&load(dir));
        expected["about"] = Value::from(about);
        fs::write(path, serde_json::to_string_pretty(&expected).unwrap() + "\n").unwrap();
    }
}

/// Keeps the states that are not kept yet, once, if that is wanted.
fn bless() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if env::var_os("BULLA_BLESS").is_some_and(|value| value == "1") {
            for (name, about, make) in STATES {
                keep(&golden_dir().join(name), about, *make);
            }
        }
    });
}

/// Every place where `found` is not what `expected` says. What later versions add to what is told is no difference.
fn differences(place: &str, expected: &Value, found: &Value, differences: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (name, expected) in expected {
                let found = found.get(name).unwrap_or(&Value::Null);
                self::differences(&format!("{place}.{name}"), expected, found, differences);
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                self::differences(&format!("{place}[{index}]"), expected, found, differences);
            }
        }
        _ if expected == found => {}
        _ => differences.push(format!("{place}: expected {expected}, found {found}")),
    }
}

/// Every directory, also those that no code here makes any more.
#[test]
fn every_kept_store_is_read_verified_and_opened_as_when_it_was_kept() {
    bless();
    let mut wrong = Vec::new();
    let mut dirs: Vec<_> = fs::read_dir(golden_dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
    dirs.sort();
    for dir in &dirs {
        let name = dir.file_name().unwrap().to_str().unwrap();
        let mut expected: Value = serde_json::from_slice(&fs::read(dir.join("expected.json")).unwrap()).unwrap();
        expected.as_object_mut().unwrap().remove("about");
        differences(name, &expected, &look::look(&load(dir)), &mut wrong);
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert!(dirs.len() >= STATES_MIN, "{} states", dirs.len());
    for (name, ..) in STATES {
        assert!(golden_dir().join(name).is_dir(), "{name} is not kept: BULLA_BLESS=1 keeps it");
    }
}

/// The same calls on the same host give the same bytes: what a store looks like on disk changes on purpose or not at all.
#[test]
fn the_writer_gives_the_bytes_that_were_kept() {
    bless();
    for name in ["checkpointed", "checkpointed-erasable", "checkpointed-unclosed", "checkpointed-repaired"] {
        let (.., make_state) = STATES.iter().find(|(state, ..)| *state == name).unwrap();
        let (made, kept) = (make_state(), load(&golden_dir().join(name)));
        assert_eq!(made.keys().collect::<Vec<_>>(), kept.keys().collect::<Vec<_>>(), "{name}");
        for (path, bytes) in &made {
            let at = bytes.iter().zip(&kept[path]).position(|(made, kept)| made != kept);
            let is_same = bytes == &kept[path];
            assert!(is_same, "{name}: {} differs, first at {at:?}", path.display());
        }
    }
}

/// The comparison can fail.
#[test]
fn a_difference_is_told_and_an_addition_is_none() {
    let told = |expected: &str, found: &str| {
        let mut told = Vec::new();
        let [expected, found] = [expected, found].map(|text| serde_json::from_str(text).unwrap());
        differences("state", &expected, &found, &mut told);
        told
    };
    assert_eq!(told(r#"{"exit": 0}"#, r#"{"exit": 0, "later": 1}"#), [""; 0]);
    assert_eq!(told(r#"{"exit": 0}"#, "{}"), ["state.exit: expected 0, found null"]);
    assert_eq!(told(r#"{"gaps": [[1, 2]]}"#, r#"{"gaps": [[1, 3]]}"#), ["state.gaps[0][1]: expected 2, found 3"]);
    assert_eq!(told("[1]", "[1, 2]"), ["state: expected [1], found [1,2]"]);
}
