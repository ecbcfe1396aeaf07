//! The `bulla` command: the list of verbs, one file for each.
//!
//! What each verb does, prints and exits with is in README.md and in `bulla help`.
#![forbid(unsafe_code)]
#![allow(clippy::doc_markdown, reason = "doc comments of arguments are help texts, printed as they stand")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking"))]

mod anchor;
mod cat;
mod check;
mod checkpoint;
mod completions;
mod demo;
mod exit;
mod get;
mod ingest;
mod init;
mod inspect;
mod key;
mod lines;
mod man;
mod operands;
mod output;
mod progress;
mod prove;
mod reading;
mod repair;
mod signing;
mod stat;
mod tail;
mod text;
mod tiles;
mod time_field;
mod times;
mod verify;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// An embedded, tamper-evident, append-only log store
#[derive(Parser)]
#[command(name = "bulla", version, propagate_version = true, after_long_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Demo(demo::Arguments),
    Init(init::Arguments),
    Ingest(ingest::Arguments),
    Cat(cat::Arguments),
    Get(get::Arguments),
    Tail(tail::Arguments),
    Stat(stat::Arguments),
    Inspect(inspect::Arguments),
    Verify(verify::Arguments),
    Repair(repair::Arguments),
    Prove(prove::Arguments),
    Check(check::Arguments),
    Checkpoint(checkpoint::Arguments),
    Anchor(anchor::Arguments),
    Tiles(tiles::Arguments),
    Key(key::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

const EXIT_CODES: &str = "\
Environment:
  BULLA_STORE  stands in for STORE, which may then be left out
  BULLA_KEY    the private key to sign with, where --key does not name one
  NO_COLOR     if set and not empty, nothing is coloured

Exit codes:
  0    done; for checks: true at the trust level printed
  1    negative verdict: tampered, proof false, or records missing
  2    usage
  3    store or table missing, locked by another writer, or of a newer format
  4    damaged: wrong checksums where no crash leaves them
  5    I/O failure, a full disk included
  6    true, but below the trust demanded
  7    refused: there is nothing to repair
  8    bad input: the message names the line or field
  141  whoever read the output went away";

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Demo(arguments) => demo::run(arguments),
        Verb::Init(arguments) => init::run(&arguments),
        Verb::Ingest(arguments) => ingest::run(&arguments),
        Verb::Cat(arguments) => cat::run(&arguments),
        Verb::Get(arguments) => get::run(&arguments),
        Verb::Tail(arguments) => tail::run(&arguments),
        Verb::Stat(arguments) => stat::run(&arguments),
        Verb::Inspect(arguments) => inspect::run(&arguments),
        Verb::Verify(arguments) => verify::run(&arguments),
        Verb::Repair(arguments) => repair::run(&arguments),
        Verb::Prove(arguments) => prove::run(&arguments),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Checkpoint(arguments) => checkpoint::run(&arguments),
        Verb::Anchor(arguments) => anchor::run(&arguments),
        Verb::Tiles(arguments) => tiles::run(&arguments),
        Verb::Key(arguments) => key::run(&arguments),
        Verb::Completions(arguments) => completions::run(&arguments),
        Verb::Man(arguments) => man::run(&arguments),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.report();
            failure.exit.into()
        }
    }
}
