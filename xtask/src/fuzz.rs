//! `fuzz`: runs the targets in `fuzz/fuzz_targets` with cargo-fuzz, which needs a nightly compiler.

use std::path::Path;

use crate::{Outcome, shell};

/// More than a decoder of bounded frames ever needs; a target that reaches it believed a length it should not have.
const RSS_LIMIT: &str = "-rss_limit_mb=512";

pub(crate) fn run(args: &[&str]) -> Outcome {
    let plan = Plan::parse(args, &targets(&shell::root().join("fuzz/fuzz_targets"))?)?;
    if !shell::is_installed("cargo", &["fuzz", "--version"]) {
        shell::cargo(&["install", "--locked", "cargo-fuzz"], &[])?;
    }
    match plan {
        Plan::Build => shell::cargo(&["+nightly", "fuzz", "build"], &[]),
        Plan::Run { targets, seconds } => {
            let seconds = format!("-max_total_time={seconds}");
            targets.iter().try_for_each(|target| {
                // What a run finds goes to the first folder; the committed seeds in the second are only read.
                let (found, seeds) = (format!("fuzz/target/corpus/{target}"), format!("fuzz/corpus/{target}"));
                std::fs::create_dir_all(&found).map_err(|error| format!("cannot create {found}: {error}"))?;
                shell::cargo(&["+nightly", "fuzz", "run", target, &found, &seeds, "--", &seconds, RSS_LIMIT], &[])
            })
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Build,
    Run { targets: Vec<String>, seconds: u32 },
}

impl Plan {
    fn parse(args: &[&str], known: &[String]) -> Result<Self, String> {
        match args {
            ["--build"] => Ok(Self::Build),
            ["--all", "--seconds", count] => Ok(Self::Run { targets: known.to_vec(), seconds: seconds(count)? }),
            [target, "--seconds", count] if known.iter().any(|name| name == target) => {
                Ok(Self::Run { targets: vec![(*target).to_owned()], seconds: seconds(count)? })
            }
            [target, "--seconds", _] => {
                Err(format!("no fuzz target is called {target}; there are: {}", known.join(", ")))
            }
            _ => Err(format!(
                "fuzz wants TARGET --seconds N, --all --seconds N or --build; targets: {}",
                known.join(", ")
            )),
        }
    }
}

/// At least one second, since libFuzzer takes 0 for "for ever".
fn seconds(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("--seconds wants a whole number from 1, not {text}")),
    }
}

/// The names of the targets in `folder`, sorted. None is an error: a run that fuzzes nothing must not pass.
fn targets(folder: &Path) -> Result<Vec<String>, String> {
    let cannot_list = |error| format!("cannot list {}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot_list)? {
        let path = entry.map_err(cannot_list)?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    if names.is_empty() { Err(format!("there is no fuzz target in {}", folder.display())) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_a_plan_or_a_reason() {
        let known = ["frame".to_owned(), "record".to_owned()];
        let run = |targets: &[&str], seconds| {
            Ok(Plan::Run { targets: targets.iter().map(|&name| name.to_owned()).collect(), seconds })
        };
        assert_eq!(Plan::parse(&["--build"], &known), Ok(Plan::Build));
        assert_eq!(Plan::parse(&["frame", "--seconds", "30"], &known), run(&["frame"], 30));
        assert_eq!(Plan::parse(&["--all", "--seconds", "5"], &known), run(&["frame", "record"], 5));
        let refused: [(&[&str], &str); 5] = [
            (&["frames", "--seconds", "30"], "no fuzz target is called frames; there are: frame, record"),
            (&["frame", "--seconds", "0"], "--seconds wants"),
            (&["frame", "--seconds", "soon"], "--seconds wants"),
            (&["frame"], "fuzz wants"),
            (&[], "fuzz wants"),
        ];
        for (args, expected) in refused {
            let error = Plan::parse(args, &known).expect_err("nonsense became a plan");
            assert!(error.starts_with(expected), "{args:?}: {error}");
        }
    }

    #[test]
    fn targets_are_the_rust_files_of_a_folder() {
        // Any folder of Rust files will do; this one is known to be there.
        let names = targets(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))).expect("the folder of this file");
        assert!(names.is_sorted());
        assert!(names.iter().any(|name| name == "fuzz"));
        targets(Path::new(env!("CARGO_MANIFEST_DIR"))).expect_err("a folder without Rust files has no target");
    }
}
