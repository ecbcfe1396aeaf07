//! `bulla man`: the manual page, verbs included.

use crate::exit::{Exit, Failure};
use clap::{Args, CommandFactory};
use clap_mangen::Man;
use std::io::{self, Write};

/// Print the manual in roff: of the command, or of one verb
#[derive(Args)]
pub(crate) struct Arguments {
    /// The verb; without it the page of the command itself, which lists them
    verb: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut command = crate::Cli::command();
    command.build();
    if let Some(verb) = &arguments.verb {
        let found = command.find_subcommand(verb).cloned();
        command = found.ok_or_else(|| Failure::new(Exit::Usage, format!("no verb {verb:?}")))?;
    }
    let mut page = Vec::new();
    let rendered = Man::new(command).render(&mut page);
    rendered.and_then(|()| io::stdout().write_all(&page)).map_err(|error| Failure::stdout(&error))?;
    Ok(Exit::Done)
}
