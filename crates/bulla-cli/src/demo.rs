//! `bulla demo`: a guided tour that anyone can follow, since each step is a command of ours, run as it is shown.

mod forge;
mod rows;

use crate::exit::{Exit, Failure};
use crate::operands::STORE_VARIABLE;
use crate::output::line;
use crate::signing::KEY_VARIABLE;
use bulla::Reader;
use clap::Args;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Build a store, query it, verify it, tamper with a copy and see that found out, prove a record to a stranger
#[derive(Args)]
pub(crate) struct Arguments {
    /// A missing or empty directory to work in, which stays; without it a new one among the temporary files
    dir: Option<PathBuf>,
}

pub(crate) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let dir = match arguments.dir {
        Some(dir) => dir,
        None => std::env::temp_dir().join(format!("bulla-demo-{}", std::process::id())),
    };
    make_empty(&dir)?;
    let program = std::env::current_exe().map_err(|error| Failure::io("find", Path::new("bulla"), &error))?;
    let tour = Tour { program, dir };
    tour.go()?;
    Ok(Exit::Done)
}

struct Tour {
    program: PathBuf,
    dir: PathBuf,
}

impl Tour {
    fn go(&self) -> Result<(), Failure> {
        let dir = self.dir.display();
        line(&format!("A tour of bulla in {dir}. Commands are shown as they run there.\n"))?;

        line("1. A store is a directory, and its key lies outside. Small segments make this one have several files.")?;
        self.bulla(&["key", "new", "key", "--name", "store"], Exit::Done)?;
        self.bulla(&["init", "store", "--key", "key", "--segment-bytes", "65536"], Exit::Done)?;

        line("2. Two days of an audit trail go in, a record per line. An acknowledged line survives a power cut.")?;
        for (day, name) in (0..).zip(["monday.jsonl", "tuesday.jsonl"]) {
            let input = self.dir.join(name);
            fs::write(&input, rows::audit_trail(day)).map_err(|error| Failure::io("write", &input, &error))?;
            self.bulla(&["ingest", "store", "--table", "audit", "--time-field", "time", name], Exit::Done)?;
        }

        line("3. The newest records of one hour come out first. `--after` and the cursor would go on from here.")?;
        let hour = ["--from", rows::HOUR_BEGIN, "--to", rows::HOUR_END];
        self.bulla(&[&["cat", "store", "audit", "--desc", "-n", "5"][..], &hour].concat(), Exit::Done)?;

        line("4. Every byte is checked, every record is accounted for, and the key vouches for all of it.")?;
        self.bulla(&["verify", "store", "--key", "key.pub", "--require", "signed"], Exit::Done)?;

        line("5. Somebody who can write the disk copies the store and makes one payment in it smaller.")?;
        copy_dir(&self.dir.join("store"), &self.dir.join("copy"))?;
        let forged = forge::change_byte(&self.dir.join("copy/tables/audit"), rows::FORGED, rows::FORGED_AT, b'1')?;
        line(&format!(
            "   byte {} of {}, record {}: '9' became '1',\n   and both checksums of its frame were computed again, so that none is wrong:\n",
            forged.offset,
            forged.file.strip_prefix(&self.dir).unwrap_or(&forged.file).display(),
            forged.position
        ))?;
        self.bulla(&["get", "copy", "audit", &forged.position.to_string(), "--format", "raw"], Exit::Done)?;

        line("6. Checksums find accidents. The hash tree finds edits: exit code 1.")?;
        self.bulla(&["verify", "copy"], Exit::Negative)?;

        line("7. The record as it was is proven to an auditor who has neither the store nor the secret key.")?;
        let position = forged.position.to_string();
        self.bulla_into("record", &["get", "store", "audit", &position, "--format", "raw"])?;
        self.bulla_into("proof", &["prove", "store", "audit", &position])?;
        let origin = Reader::open(self.dir.join("store"))?.tables()?.into_iter().map(|table| table.origin).next();
        let origin = origin.unwrap_or_default();
        let check = ["check", "proof", "--key", "key.pub", "--origin", &origin, "--record"];
        self.bulla(&[&check[..], &["record"]].concat(), Exit::Done)?;

        line("8. The forged one is not what was logged, whoever shows it.")?;
        self.bulla_into("forged", &["get", "copy", "audit", &position, "--format", "raw"])?;
        self.bulla(&[&check[..], &["forged"]].concat(), Exit::Negative)?;

        line(&format!("The end. Everything is still in {dir}: look around, and remove it when you are done."))
    }

    /// Shows one of our own commands and runs it, as a process of its own.
    fn bulla(&self, arguments: &[&str], expected: Exit) -> Result<(), Failure> {
        line(&format!("   $ bulla {}", arguments.join(" ")))?;
        let ran = self.command(arguments).status();
        line("")?;
        self.expect(arguments, ran, expected)
    }

    /// The same, with what it prints in a file.
    fn bulla_into(&self, name: &str, arguments: &[&str]) -> Result<(), Failure> {
        line(&format!("   $ bulla {} > {name}", arguments.join(" ")))?;
        let path = self.dir.join(name);
        let file = File::create(&path).map_err(|error| Failure::io("create", &path, &error))?;
        self.expect(arguments, self.command(arguments).stdout(file).status(), Exit::Done)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.dir).env_remove(STORE_VARIABLE).env_remove(KEY_VARIABLE);
        command
    }

    fn expect(&self, arguments: &[&str], ran: io::Result<ExitStatus>, expected: Exit) -> Result<(), Failure> {
        let status = ran.map_err(|error| Failure::io("run", &self.program, &error))?;
        if status.code() == Some(i32::from(expected.code())) {
            return Ok(());
        }
        let what = format!("bulla {} ended with {status}, and the tour with it", arguments.join(" "));
        Err(Failure::new(Exit::Negative, what))
    }
}

fn make_empty(dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|error| Failure::io("create", dir, &error))?;
    let mut entries = fs::read_dir(dir).map_err(|error| Failure::io("read", dir, &error))?;
    if entries.next().is_some() {
        return Err(Failure::new(Exit::Input, format!("{} is not empty", dir.display())));
    }
    Ok(())
}

fn copy_dir(from: &Path, to: &Path) -> Result<(), Failure> {
    let copy = || -> io::Result<Vec<(PathBuf, PathBuf)>> {
        fs::create_dir(to)?;
        let mut inner = Vec::new();
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                inner.push((entry.path(), target));
            } else {
                fs::copy(entry.path(), target)?;
            }
        }
        Ok(inner)
    };
    for (from, to) in copy().map_err(|error| Failure::io("copy", from, &error))? {
        copy_dir(&from, &to)?;
    }
    Ok(())
}
