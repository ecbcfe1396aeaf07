//! Running other programs: each is printed before it starts, and runs at the root of the repository.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("BUG: xtask is a folder of the repository")
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("the path {} is not valid UTF-8", path.display()))
}

/// Runs `cargo` with `args`, and with `env` added to the environment.
pub(crate) fn cargo(args: &[&str], env: &[(&str, &str)]) -> Outcome {
    run("cargo", args, env)
}

/// Runs `program` with `args`, and with `env` added to the environment.
pub(crate) fn run(program: &str, args: &[&str], env: &[(&str, &str)]) -> Outcome {
    let shown = shown(program, args, env);
    println!("$ {shown}");
    let status = command(program, args, env).status().map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` ended with {status}")) }
}

/// What `cargo` with `args` writes to its standard output.
pub(crate) fn cargo_output(args: &[&str]) -> Result<Vec<u8>, String> {
    let shown = shown("cargo", args, &[]);
    println!("$ {shown}");
    let output = command("cargo", args, &[])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if output.status.success() { Ok(output.stdout) } else { Err(format!("`{shown}` ended with {}", output.status)) }
}

/// Whether `program` with `args` can be run at all; for asking a tool for its version.
pub(crate) fn is_installed(program: &str, args: &[&str]) -> bool {
    let status = command(program, args, &[]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn command(program: &str, args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    // Cargo hands its own path down in `CARGO`, and the `cargo +toolchain` of some steps would pass the wrong one on.
    command.env_remove("CARGO");
    // Comparing is the default, also where the caller blesses in one terminal and tests in the same.
    command.env_remove("BULLA_BLESS");
    command.envs(env.iter().copied());
    command
}

/// The command as one would type it.
fn shown(program: &str, args: &[&str], env: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in env {
        write!(text, "{name}={} ", quoted(value)).expect("BUG: a string refused to grow");
    }
    text.push_str(program);
    for arg in args {
        write!(text, " {}", quoted(arg)).expect("BUG: a string refused to grow");
    }
    text
}

fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("'{word}'") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let line = shown("cargo", &["doc", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings"), ("A", "1")]);
        assert_eq!(line, "RUSTDOCFLAGS='-D warnings' A=1 cargo doc --no-deps");
    }

    #[test]
    fn the_root_holds_the_workspace_manifest() {
        assert!(root().join("Cargo.toml").is_file());
        assert!(root().join("xtask").is_dir());
    }

    #[test]
    fn a_failing_command_is_an_error_that_shows_it() {
        let error = cargo(&["--no-such-flag"], &[]).expect_err("cargo accepted nonsense");
        assert!(error.starts_with("`cargo --no-such-flag` ended with"), "{error}");
        assert!(!is_installed("cargo", &["no-such-subcommand", "--version"]));
        assert!(is_installed("cargo", &["--version"]));
    }
}
