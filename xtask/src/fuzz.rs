//! `fuzz`: runs the targets in `fuzz/fuzz_targets` with cargo-fuzz, which needs a nightly compiler.
//!
//! All targets are built once. Two run at a time, each into a file of its own, which is shown if the target failed.

mod report;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::{Outcome, shell};

/// More than a decoder of bounded frames ever needs; a target that reaches it believed a length it should not have. The
/// address sanitizer's own bookkeeping is in the first.
const LIMITS: [&str; 4] = ["-rss_limit_mb=512", "-malloc_limit_mb=128", "-timeout=10", "-detect_leaks=0"];
/// There is no unsafe code here for the sanitizer to find anything in; it is there to count memory. What it keeps to tell
/// who allocated and freed what costs half of the executions.
const SANITIZER: (&str, &str) =
    ("ASAN_OPTIONS", "malloc_context_size=0:allocator_release_to_os_interval_ms=-1:quarantine_size_mb=4");
/// How long each target runs in CI.
const CI_SECONDS: u32 = 10;
/// As many as the smallest machine has cores.
const AT_ONCE: usize = 2;
const POLL: Duration = Duration::from_millis(50);

pub(crate) fn run(args: &[&str]) -> Outcome {
    let plan = Plan::parse(args, &targets(&shell::root().join("fuzz/fuzz_targets"))?)?;
    if !shell::is_installed("cargo", &["fuzz", "--version"]) {
        // Built without optimisation, it is there in half a minute.
        shell::cargo(&["install", "--locked", "--debug", "cargo-fuzz"], &[])?;
    }
    shell::cargo(&["+nightly", "fuzz", "build"], &[])?;
    match plan {
        Plan::Build => Ok(()),
        Plan::Run { targets, seconds } => run_all(targets, seconds),
    }
}

/// What CI runs: the second reader's own tests, then every target for a short time.
pub(crate) fn ci() -> Outcome {
    let manifest = ["--manifest-path", "fuzz/Cargo.toml"];
    shell::cargo(&[&["fmt"][..], &manifest, &["--all", "--check"]].concat(), &[])?;
    let reference = ["--package", "bulla-reference"];
    shell::cargo(&[&["clippy"][..], &manifest, &reference, &["--all-targets", "--", "-Dwarnings"]].concat(), &[])?;
    shell::cargo(&[&["test"][..], &manifest, &reference].concat(), &[])?;
    run(&["--all", "--seconds", &CI_SECONDS.to_string()])
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

/// A target at work.
struct Running {
    target: String,
    log: PathBuf,
    child: Child,
}

/// Runs all `targets` to their end, whatever becomes of the others, and prints the table.
fn run_all(targets: Vec<String>, seconds: u32) -> Outcome {
    let mut waiting = VecDeque::from(targets);
    let (mut running, mut lines) = (Vec::new(), Vec::new());
    while !waiting.is_empty() || !running.is_empty() {
        while running.len() < AT_ONCE
            && let Some(target) = waiting.pop_front()
        {
            running.push(start(target, seconds)?);
        }
        thread::sleep(POLL);
        let (mut index, waits) = (0, |error| format!("cannot wait for a target: {error}"));
        while let Some(at_work) = running.get_mut(index) {
            match at_work.child.try_wait().map_err(waits)? {
                None => index += 1,
                Some(status) => lines.push(finished(running.remove(index), status.success())?),
            }
        }
    }
    lines.sort_by(|left: &report::Line, right| left.target.cmp(&right.target));
    print!("{}", report::table(&lines));
    let failed: Vec<&str> = lines.iter().filter(|line| !line.is_ok).map(|line| line.target.as_str()).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("found something: {}", failed.join(", "))) }
}

fn start(target: String, seconds: u32) -> Result<Running, String> {
    // What a run finds goes to the first folder; the committed seeds in the second are only read.
    let (found, seeds) = (format!("fuzz/target/corpus/{target}"), format!("fuzz/corpus/{target}"));
    let (artifacts, logs) = (format!("fuzz/artifacts/{target}"), "fuzz/target/logs");
    for folder in [&found, &artifacts, logs] {
        let folder = shell::root().join(folder);
        std::fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    }
    let log = shell::root().join(logs).join(format!("{target}.txt"));
    let cannot = |error| format!("cannot write {}: {error}", log.display());
    let output = std::fs::File::create(&log).map_err(cannot)?;
    let (time, prefix) = (format!("-max_total_time={seconds}"), format!("-artifact_prefix={artifacts}/"));
    let options = [&time, &prefix, "-print_final_stats=1"];
    println!("$ {} {found} {seeds} {} {}", program(&target), options.join(" "), LIMITS.join(" "));
    let child = Command::new(shell::root().join(program(&target)))
        .args([&found, &seeds])
        .args(options)
        .args(LIMITS)
        .env(SANITIZER.0, SANITIZER.1)
        .current_dir(shell::root())
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(cannot)?)
        .stderr(output)
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", program(&target)))?;
    Ok(Running { target, log, child })
}

/// Where cargo-fuzz puts what it builds.
fn program(target: &str) -> String {
    format!("fuzz/target/{}/release/{target}", host_triple())
}

/// cargo-fuzz builds for the machine it runs on, and names the folder after it.
fn host_triple() -> &'static str {
    match (std::env::consts::ARCH, std::env::consts::OS) {
        ("x86_64", "macos") => "x86_64-apple-darwin",
        ("aarch64", "macos") => "aarch64-apple-darwin",
        ("aarch64", _) => "aarch64-unknown-linux-gnu",
        _ => "x86_64-unknown-linux-gnu",
    }
}

fn finished(run: Running, is_ok: bool) -> Result<report::Line, String> {
    let Running { target, log, .. } = run;
    let text = std::fs::read(&log).map_err(|error| format!("cannot read {}: {error}", log.display()))?;
    let text = String::from_utf8_lossy(&text);
    if !is_ok {
        println!("\n== {target} failed; all of {} ==\n{text}", log.display());
        match report::artifact(&text) {
            Some(artifact) => {
                println!("== to see it again ==\ncargo +nightly fuzz run {target} {artifact}");
                println!("== to make it small ==\ncargo +nightly fuzz tmin {target} {artifact}\n");
            }
            None => println!("== it left no input: a seed cannot be read, or the target cannot be started ==\n"),
        }
    }
    Ok(report::Line::of(target, is_ok, &text))
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

    /// Every target is a program with seeds of its own: without them a run of ten seconds tries little.
    #[test]
    fn every_target_is_listed_and_has_seeds() {
        let folder = shell::root().join("fuzz");
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("the manifest is there");
        for target in targets(&folder.join("fuzz_targets")).expect("there are targets") {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target} is not built");
            let seeds = std::fs::read_dir(folder.join("corpus").join(&target)).expect("a folder of seeds");
            assert!(seeds.count() > 0, "{target} has no seeds");
        }
    }
}
