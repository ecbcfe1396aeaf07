//! `mutants`: changes the code of the layers that recovery rests on, one expression at a time, and counts whether the
//! tests notice. docs/MUTANTS.md lists what they do not notice, with the reason.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::{Outcome, shell};

/// What is changed.
const PACKAGES: [&str; 3] = ["bulla-wire", "bulla-segment", "bulla-log"];
/// Of a hundred changes, so many at least must be noticed.
const CAUGHT_LEAST: usize = 90;
const SURVIVORS: &str = "docs/MUTANTS.md";

pub(crate) fn run(args: &[&str]) -> Outcome {
    match args {
        ["--shard", shard] => test(&["--shard", shard]),
        ["--diff", base] => diff(base),
        _ => Err("mutants wants --shard K/N or --diff COMMIT".to_owned()),
    }
}

/// What CI runs: the lines that the newest commit changed.
pub(crate) fn ci() -> Outcome {
    diff("HEAD~1")
}

/// The mutants of the lines that changed since `base`.
fn diff(base: &str) -> Outcome {
    let folders = PACKAGES.map(|package| format!("crates/{package}/src"));
    let shown = format!("git diff {base} -- {}", folders.join(" "));
    println!("$ {shown}");
    let output = Command::new("git")
        .args(["diff", base, "--"])
        .args(&folders)
        .current_dir(shell::root())
        .output()
        .map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if !output.status.success() {
        // A clone of one commit has nothing to compare with.
        println!("{}nothing to compare with, so nothing is changed", String::from_utf8_lossy(&output.stderr));
        return Ok(());
    }
    if output.stdout.is_empty() {
        println!("nothing changed there");
        return Ok(());
    }
    let file = shell::target_dir().join("mutants.diff");
    fs::write(&file, output.stdout).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    let file = shell::text(&file)?;
    test(&["--in-diff", file])
}

fn test(which: &[&str]) -> Outcome {
    if !shell::is_installed("cargo", &["mutants", "--version"]) {
        shell::cargo(&["install", "--locked", "--debug", "cargo-mutants"], &[])?;
    }
    let folder = shell::target_dir();
    let folder = shell::text(&folder)?;
    let mut args = vec!["mutants", "--no-shuffle", "--output", folder];
    for package in PACKAGES {
        args.extend(["--package", package]);
    }
    args.extend(which);
    // It fails when a mutant survives; whether that matters is decided here.
    let ended = shell::cargo(&args, &[]);
    let path = shell::target_dir().join("mutants.out/outcomes.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // No line that changed can be mutated.
        Err(_) if ended.is_ok() => return Ok(()),
        Err(error) => return ended.and(Err(format!("cannot read {}: {error}", path.display()))),
    };
    let outcomes = serde_json::from_str(&text).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let known = fs::read_to_string(shell::root().join(SURVIVORS))
        .map_err(|error| format!("cannot read {SURVIVORS}: {error}"))?;
    Tally::of(&outcomes)?.judge(&known)
}

/// What became of the mutants.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    caught: usize,
    unviable: usize,
    survivors: Vec<String>,
}

impl Tally {
    fn of(outcomes: &Value) -> Result<Self, String> {
        let mut tally = Self::default();
        let all = outcomes.get("outcomes").and_then(Value::as_array).ok_or("outcomes.json has no outcomes")?;
        for outcome in all {
            let Some(name) = outcome.pointer("/scenario/Mutant/name").and_then(Value::as_str) else {
                if outcome.get("summary").and_then(Value::as_str) != Some("Success") {
                    return Err("the tests fail without any change".to_owned());
                }
                continue;
            };
            match outcome.get("summary").and_then(Value::as_str) {
                // A test that never ends has noticed as well.
                Some("CaughtMutant" | "Timeout") => tally.caught += 1,
                Some("Unviable") => tally.unviable += 1,
                Some("MissedMutant") => tally.survivors.push(without_place(name)),
                other => return Err(format!("{name} ended as {other:?}")),
            }
        }
        Ok(tally)
    }

    /// Every survivor must be known, and few.
    fn judge(self, known: &str) -> Outcome {
        let viable = self.caught + self.survivors.len();
        println!("{} of {viable} mutants caught, {} do not compile", self.caught, self.unviable);
        let unknown: Vec<_> = self.survivors.iter().filter(|name| !known.contains(name.as_str())).collect();
        for name in &unknown {
            println!("survives, and is not in {SURVIVORS}: {name}");
        }
        if !unknown.is_empty() {
            return Err(format!("{} mutants survive without a reason", unknown.len()));
        }
        // Of a few changed lines one known survivor is too much already.
        if viable >= 100 && self.caught * 100 < viable * CAUGHT_LEAST {
            return Err(format!("fewer than {CAUGHT_LEAST} of 100 are caught"));
        }
        Ok(())
    }
}

/// `file:line:column: what` without line and column, which change with every edit above.
fn without_place(name: &str) -> String {
    let mut parts = name.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(_), Some(_), Some(what)) => format!("{file}:{what}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(all: &[(&str, &str)]) -> Value {
        let mutants = all
            .iter()
            .map(|(name, summary)| serde_json::json!({"scenario": {"Mutant": {"name": name}}, "summary": summary}));
        let baseline = serde_json::json!({"scenario": "Baseline", "summary": "Success"});
        serde_json::json!({"outcomes": std::iter::once(baseline).chain(mutants).collect::<Vec<_>>()})
    }

    #[test]
    fn a_survivor_must_be_in_the_list() {
        let tally = || {
            Tally::of(&outcomes(&[
                ("crates/a/src/b.rs:1:2: replace x with y in f", "MissedMutant"),
                ("crates/a/src/b.rs:3:4: replace y with x in g", "CaughtMutant"),
                ("crates/a/src/b.rs:5:6: replace z", "Timeout"),
                ("crates/a/src/b.rs:7:8: replace w", "Unviable"),
            ]))
            .expect("outcomes")
        };
        assert_eq!((tally().caught, tally().unviable), (2, 1));
        tally().judge("- `crates/a/src/b.rs: replace x with y in f`: the same").expect("it is in the list");
        tally().judge("nothing").expect_err("a survivor passed without a reason");
    }

    #[test]
    fn many_survivors_are_too_many_with_every_reason() {
        let name = "crates/a/src/b.rs: replace";
        let tally = Tally { caught: 89, unviable: 0, survivors: vec![name.to_owned(); 11] };
        tally.judge(name).expect_err("89 of 100 is too little");
        let tally = Tally { caught: 90, unviable: 0, survivors: vec![name.to_owned(); 10] };
        tally.judge(name).expect("90 of 100 is enough");
    }

    #[test]
    fn tests_that_fail_anyway_notice_nothing() {
        let failed = serde_json::json!({"outcomes": [{"scenario": "Baseline", "summary": "Failure"}]});
        Tally::of(&failed).expect_err("a failing baseline was a result");
    }
}
