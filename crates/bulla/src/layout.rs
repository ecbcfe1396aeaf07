//! Where things lie in a store's directory, what may be called what, and whether a directory is a store at all.
//!
//! Bytes and names: docs/FORMAT.md, "Store".
//!
//! # Invariants
//!
//! - D1. A name is a plain file name on every system: it never leads out of the directory it is in.
//! - D2. `LOCK` is made first, then the journal, then everything else. So a directory with `tables` or `reserve` and
//!   without a journal lost it, and one with `LOCK` alone was never finished.
//! - D3. What is created here is durable, name included, when the function returns.

use crate::error::{Error, io};
use bulla_log::{LogError, LogReader};
use bulla_vfs::Host;
use bulla_wire::LogId;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Most bytes of a name.
pub(crate) const NAME_BYTES_MAX: usize = 64;

const LOCK: &str = "LOCK";
const RESERVE: &str = "reserve";
const JOURNAL: &str = "journal";
const UNFINISHED_JOURNAL: &str = "journal.tmp";
const TABLES: &str = "tables";
const ANCHORS: &str = "anchors";
const SEGMENT_EXTENSION: &str = "seg";
const TEMPORARY_EXTENSION: &str = "tmp";

/// What a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameOf {
    /// A store.
    Store,
    /// A table.
    Table,
    /// Where checkpoints are handed to.
    Anchor,
}

impl fmt::Display for NameOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "store",
            Self::Table => "table",
            Self::Anchor => "anchor",
        })
    }
}

/// D1. Refuses whatever is not 1 to 64 of `a-z 0-9 . _ -`, or begins with a dot; and `journal` for a table, since reports
/// call the store's own log so.
pub(crate) fn check_name(of: NameOf, name: &str) -> Result<(), Error> {
    let is_taken = of == NameOf::Table && name == JOURNAL;
    if is_name(name) && !is_taken { Ok(()) } else { Err(Error::BadName { of, name: name.to_owned() }) }
}

pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')
}

/// A store's name made of its directory's: lower case, other characters replaced, `store` if nothing is left.
pub(crate) fn name_from(dir: &Path) -> String {
    let file_name = dir.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let name: String = file_name
        .trim_start_matches('.')
        .chars()
        .take(NAME_BYTES_MAX)
        .map(|letter| if letter.is_ascii() && is_name_byte(letter as u8) { letter } else { '-' })
        .collect();
    if is_name(&name) { name } else { String::from("store") }
}

/// Store and table that a log's origin names.
pub(crate) fn names_in_origin(origin: &str) -> Option<(&str, &str)> {
    let mut parts = origin.split('/');
    let names = (parts.next()?, parts.next()?);
    let is_whole = parts.next().is_some_and(|id| id.len() == 8) && parts.next().is_none();
    (is_whole && is_name(names.0) && is_name(names.1) && names.1 != JOURNAL).then_some(names)
}

/// What a table's log is called: `<store>/<table>/<first 8 hex digits of its id>`.
pub(crate) fn table_origin(store: &str, table: &str, log: LogId) -> String {
    let [first, second, third, fourth, ..] = log.0;
    format!("{store}/{table}/{:08x}", u32::from_be_bytes([first, second, third, fourth]))
}

/// What the journal is called: `<store>/journal`.
pub(crate) fn journal_origin(store: &str) -> String {
    format!("{store}/{JOURNAL}")
}

/// The store's name, from its journal's origin.
pub(crate) fn store_of_journal_origin(origin: &str) -> Option<&str> {
    origin.strip_suffix(JOURNAL)?.strip_suffix('/').filter(|name| is_name(name))
}

/// The paths of one store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
}

/// What a directory turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Missing, empty, or holding nothing but `LOCK` (D2).
    Nothing,
    /// A journal is there.
    Journal,
    /// Parts of a store without a journal (D2).
    JournalMissing,
    /// Something else.
    Foreign,
}

/// A directory below `tables/`: a log's, or a table's without any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogDir {
    /// The table's name, as far as it is text.
    pub(crate) table: String,
    /// The log's id, if the directory's name is one.
    pub(crate) log: Option<LogId>,
    pub(crate) dir: PathBuf,
    /// Whether bulla gives directories such names: a table's that may name one, and below it an id or nothing.
    pub(crate) is_ours: bool,
}

impl Layout {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join(LOCK)
    }

    pub(crate) fn reserve(&self) -> PathBuf {
        self.dir.join(RESERVE)
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.dir.join(JOURNAL)
    }

    /// Where a repair writes the journal of a store that is not finished.
    pub(crate) fn unfinished_journal(&self) -> PathBuf {
        self.dir.join(UNFINISHED_JOURNAL)
    }

    pub(crate) fn tables(&self) -> PathBuf {
        self.dir.join(TABLES)
    }

    /// What anchors have taken.
    pub(crate) fn anchors(&self) -> PathBuf {
        self.dir.join(ANCHORS)
    }

    pub(crate) fn table(&self, name: &str) -> PathBuf {
        self.tables().join(name)
    }

    pub(crate) fn log(&self, table: &str, log: LogId) -> PathBuf {
        self.table(table).join(log.to_string())
    }

    /// Looks at the names in the directory, and changes nothing.
    pub(crate) fn probe(&self, host: &Host) -> Result<Found, Error> {
        let entries = match host.fs.list(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(Found::Foreign),
            Err(error) => return Err(io("list", &self.dir)(error)),
        };
        let has = |name: &str, is_dir: bool| entries.iter().any(|entry| entry.name == name && entry.is_dir == is_dir);
        let has_lock = has(LOCK, false);
        Ok(if has(JOURNAL, true) && (has_lock || has_segments(host, &self.journal())?) {
            Found::Journal
        } else if has_lock && (has(TABLES, true) || has(RESERVE, false)) {
            Found::JournalMissing
        } else if entries.is_empty() || (has_lock && entries.len() == 1) {
            Found::Nothing
        } else {
            Found::Foreign
        })
    }

    /// Whether the parts are there that are made only after the journal has its first record (D2).
    pub(crate) fn has_later_parts(&self, host: &Host) -> Result<bool, Error> {
        let entries = host.fs.list(&self.dir).map_err(io("list", &self.dir))?;
        Ok(entries.iter().any(|entry| entry.name == TABLES || entry.name == RESERVE))
    }

    /// Everything below `tables/` that may be a log, in the order of names. A table's directory without any in it is
    /// listed itself.
    pub(crate) fn log_dirs(&self, host: &Host) -> Result<Vec<LogDir>, Error> {
        let mut found = Vec::new();
        for table_dir in sub_dirs(host, &self.tables())? {
            let table = file_name(&table_dir);
            let is_ours = is_name(&table);
            let log_dirs = sub_dirs(host, &table_dir)?;
            if log_dirs.is_empty() {
                found.push(LogDir { table, log: None, dir: table_dir, is_ours });
                continue;
            }
            for dir in log_dirs {
                let log = LogId::from_hex(&file_name(&dir));
                found.push(LogDir { table: table.clone(), log, dir, is_ours: is_ours && log.is_some() });
            }
        }
        Ok(found)
    }
}

fn has_segments(host: &Host, dir: &Path) -> Result<bool, Error> {
    let entries = host.fs.list(dir).map_err(io("list", dir))?;
    Ok(entries.iter().any(|entry| is_segment(Path::new(&entry.name))))
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == SEGMENT_EXTENSION)
}

/// Segments, and what will be one.
fn is_log_file(path: &Path) -> bool {
    is_segment(path) || path.extension().is_some_and(|extension| extension == TEMPORARY_EXTENSION)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The directories in `dir`, in the order of names; none when `dir` is missing.
fn sub_dirs(host: &Host, dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match host.fs.list(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("list", dir)(error)),
    };
    let mut dirs: Vec<_> = entries.into_iter().filter(|entry| entry.is_dir).map(|entry| dir.join(entry.name)).collect();
    dirs.sort_unstable();
    Ok(dirs)
}

/// D3. Creates `dir` and whatever is missing above it.
pub(crate) fn create_dirs(host: &Host, dir: &Path) -> Result<(), Error> {
    if host.fs.metadata(dir).is_ok_and(|found| found.is_dir) {
        return Ok(());
    }
    let parent = parent(dir);
    if parent != dir {
        create_dirs(host, parent)?;
    }
    match host.fs.create_dir(dir) {
        Ok(()) => {}
        // Somebody else was faster; the name may not be durable yet, so it is synced all the same.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io("create", dir)(error)),
    }
    sync_dir(host, parent)
}

/// D3. As [`create_dirs`], and makes the names along the path durable, of directories that were there before too: who
/// made them may have failed before he could.
pub(crate) fn create_dirs_durably(host: &Host, dir: &Path) -> Result<(), Error> {
    create_dirs(host, dir)?;
    let mut dir = dir;
    while parent(dir) != dir {
        dir = parent(dir);
        match host.fs.sync_dir(dir) {
            // A directory that may not be read was not made by who could not read it either.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            synced => synced.map_err(io("sync", dir))?,
        }
    }
    Ok(())
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(host: &Host, dir: &Path) -> Result<(), Error> {
    host.fs.sync_dir(dir).map_err(io("sync", dir))
}

/// The directory a path's last name is in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Whether `dir` holds no record of the caller's and nothing but a log's files, so that nothing is lost with it: its log
/// has no such record, or there is no log in it yet. What cannot be told is not blank.
pub(crate) fn is_blank(host: &Host, dir: &Path) -> Result<bool, Error> {
    let has_no_rows = match LogReader::open(host, dir).and_then(|log| log.snapshot()) {
        Ok(log) => !log.is_damaged() && log.caller_count()? == 0,
        Err(error) => matches!(error, LogError::NotFound { .. }),
    };
    let entries = host.fs.list(dir).map_err(io("list", dir))?;
    Ok(has_no_rows && entries.iter().all(|entry| !entry.is_dir && is_log_file(Path::new(&entry.name))))
}

/// Removes a blank log's directory. A crash in between leaves less of it, which is blank still.
pub(crate) fn remove_blank(host: &Host, dir: &Path) -> Result<(), Error> {
    for entry in host.fs.list(dir).map_err(io("list", dir))? {
        let path = dir.join(entry.name);
        host.fs.remove_file(&path).map_err(io("remove", &path))?;
    }
    host.fs.remove_dir(dir).map_err(io("remove", dir))?;
    sync_dir(host, parent(dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulla_vfs::{MemVfs, OpenMode, Vfs};
    use std::sync::Arc;

    /// D1.
    #[test]
    fn names_are_plain_file_names() {
        let long = "x".repeat(NAME_BYTES_MAX);
        for good in ["a", "0", "_", "-", "a.b", "logins-2024_v1.x", long.as_str()] {
            assert!(is_name(good), "{good}");
        }
        let too_long = "x".repeat(NAME_BYTES_MAX + 1);
        for bad in ["", ".", "..", ".hidden", "A", "a/b", "a\\b", "a b", "\u{e4}", "a\0", too_long.as_str()] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_store_is_named_after_its_directory_as_well_as_may_be() {
        let table = [
            ("/var/audit", "audit"),
            ("My Logs", "my-logs"),
            ("/x/.hidden", "hidden"),
            ("/", "store"),
            ("..", "store"),
            ("\u{dc}bung", "-bung"),
        ];
        for (dir, expected) in table {
            assert_eq!(name_from(Path::new(dir)), expected, "{dir}");
        }
        assert_eq!(name_from(Path::new(&"y".repeat(200))).len(), NAME_BYTES_MAX);
    }

    #[test]
    fn origins_name_store_table_and_log() {
        let log = LogId([0x0a, 0x1b, 0x2c, 0x3d, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(table_origin("shop", "logins", log), "shop/logins/0a1b2c3d");
        assert_eq!(journal_origin("shop"), "shop/journal");
        assert_eq!(store_of_journal_origin("shop/journal"), Some("shop"));
        for other in ["journal", "/journal", "shop/journal/0a1b2c3d", "Shop/journal", "a/b/journal"] {
            assert_eq!(store_of_journal_origin(other), None, "{other}");
        }
    }

    #[test]
    fn a_log_id_is_read_only_in_the_form_it_is_written_in() {
        let id = LogId([0xab; 16]);
        assert_eq!(LogId::from_hex(&id.to_string()), Some(id));
        for other in [&id.to_string().to_uppercase(), "+1", "ab", "", "zz"] {
            assert_eq!(LogId::from_hex(other), None, "{other}");
        }
    }

    /// D2.
    #[test]
    fn a_directory_is_told_by_the_names_in_it() {
        let table: [(&[&str], Found); 8] = [
            (&[], Found::Nothing),
            (&["LOCK"], Found::Nothing),
            (&["LOCK", "journal/"], Found::Journal),
            (&["journal/", "journal/00000000000000000000.seg"], Found::Journal),
            (&["LOCK", "tables/"], Found::JournalMissing),
            (&["LOCK", "reserve"], Found::JournalMissing),
            (&["journal/", "journal/diary.txt"], Found::Foreign),
            (&["photo.jpg"], Found::Foreign),
        ];
        for (names, expected) in table {
            let host = Host::memory();
            let layout = Layout::new(Path::new("/here"));
            assert_eq!(layout.probe(&host).unwrap(), Found::Nothing);
            create_dirs(&host, &layout.dir).unwrap();
            for name in names {
                let path = layout.dir.join(name);
                match name.strip_suffix('/') {
                    Some(_) => host.fs.create_dir(&path).unwrap(),
                    None => drop(host.fs.open(&path, OpenMode::Create).unwrap()),
                }
            }
            assert_eq!(layout.probe(&host).unwrap(), expected, "{names:?}");
        }
    }

    /// A directory whose sync had failed was taken for durable when its creation was tried again, since it was there; a
    /// power cut then took the whole store, with everything that had been acknowledged in it.
    #[test]
    fn a_directory_found_there_is_made_durable_as_well() {
        let disk = MemVfs::new();
        let host = Host { fs: Arc::new(disk.clone()), ..Host::memory() };
        host.fs.create_dir(Path::new("/a")).unwrap();
        host.fs.create_dir(Path::new("/a/b")).unwrap();
        create_dirs_durably(&host, Path::new("/a/b")).unwrap();
        assert!(disk.crash().metadata(Path::new("/a/b")).unwrap().is_dir);
    }

    /// D3.
    #[test]
    fn created_directories_survive_a_crash() {
        let disk = MemVfs::new();
        let host = Host { fs: Arc::new(disk.clone()), ..Host::memory() };
        create_dirs(&host, Path::new("/a/b/c")).unwrap();
        create_dirs(&host, Path::new("/a/b/c")).unwrap();
        assert!(disk.crash().metadata(Path::new("/a/b/c")).unwrap().is_dir);
    }
}
