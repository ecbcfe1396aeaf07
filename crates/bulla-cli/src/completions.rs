//! `bulla completions`: what a shell needs to complete our verbs and options.

use crate::exit::{Exit, Failure};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::{self, Write};

/// Print completions for a shell
#[derive(Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    // Generated in memory first: the generator panics when its output fails.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Cli::command(), "bulla", &mut script);
    io::stdout().write_all(&script).map_err(|error| Failure::stdout(&error))?;
    Ok(Exit::Done)
}
