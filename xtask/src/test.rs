//! `test`: all tests, then all doctests.

use crate::{Outcome, shell};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speed {
    Fast,
    /// Also the tests marked `#[ignore]`.
    Slow,
}

pub(crate) fn run(speed: Speed) -> Outcome {
    let has_nextest = shell::is_installed("cargo", &["nextest", "--version"]);
    if !has_nextest {
        println!("cargo-nextest is missing, so this is `cargo test`; cargo install --locked cargo-nextest is faster");
    }
    shell::cargo(tests(has_nextest, speed), &[])?;
    // Nextest cannot run doctests.
    shell::cargo(&["test", "--workspace", "--all-features", "--doc"], &[])
}

fn tests(has_nextest: bool, speed: Speed) -> &'static [&'static str] {
    match (has_nextest, speed) {
        (true, Speed::Fast) => &["nextest", "run", "--workspace", "--all-features"],
        (true, Speed::Slow) => &["nextest", "run", "--workspace", "--all-features", "--run-ignored", "all"],
        (false, Speed::Fast) => &["test", "--workspace", "--all-features", "--tests"],
        (false, Speed::Slow) => &["test", "--workspace", "--all-features", "--tests", "--", "--include-ignored"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_adds_the_ignored_tests_with_either_runner() {
        for has_nextest in [true, false] {
            let (fast, slow) = (tests(has_nextest, Speed::Fast), tests(has_nextest, Speed::Slow));
            assert!(slow.starts_with(fast));
            assert!(slow[fast.len()..].iter().any(|arg| arg.contains("ignored")), "{slow:?}");
        }
    }
}
