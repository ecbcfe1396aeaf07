//! One wrong byte anywhere in any segment file of a closed store, and what verification says of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use bulla::{Durability, Host, Level, MemVfs, Options, Raw, RowOptions, TableOptions, Verdict, VerifyOptions, verify};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const STORE: &str = "/store";

/// Every segment file below `dir`.
fn segments(host: &Host, dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries = host.fs.list(dir).unwrap();
    entries.sort();
    for entry in entries {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            segments(host, &path, found);
        } else if path.extension().is_some_and(|end| end == "seg") {
            found.push(path);
        }
    }
}

fn small_store(disk: &MemVfs) -> Host {
    let host = Host { fs: Arc::new(disk.clone()), ..Host::memory() };
    let store = Options::new().host(host.clone()).open(STORE).unwrap();
    let table = store.table_with::<Vec<u8>, Raw>("rows", &TableOptions::new().erasable(true)).unwrap();
    let options = RowOptions::new().durability(Durability::Buffered);
    for row in 0..6_u8 {
        table.append_with(&vec![row; usize::from(row) * 9], &options.time(i64::from(row % 4))).unwrap();
    }
    table.rotate().unwrap();
    table.append(&b"after the rotation".to_vec()).unwrap();
    store.close().unwrap();
    host
}

/// What is wrong may be no more than the close frame, which says nothing that the records do not: then it is what a
/// power cut during closing leaves too, and a remark says so. Nothing else may pass as intact, and nothing in silence.
#[test]
fn a_flipped_byte_anywhere_is_reported() {
    let disk = MemVfs::new();
    let host = small_store(&disk);
    let options = VerifyOptions { level: Level::Full, host: host.clone(), ..VerifyOptions::default() };
    let check = || verify(STORE, &options, &mut |_| ()).unwrap();
    let intact = check();
    assert_eq!(intact.verdict(), Verdict::Intact);
    assert!(intact.logs.iter().all(|log| log.findings.is_empty()), "{intact:?}");

    let mut files = Vec::new();
    segments(&host, Path::new(STORE), &mut files);
    assert_eq!(files.len(), 3, "the journal's, a sealed one and an active one");
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = disk.read_file(path).unwrap();
        let close = bulla::segment::SegmentFile::open(&host, path, bulla::vfs::OpenMode::Read).unwrap();
        let summary = close.read_summary().unwrap().unwrap();
        for offset in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[offset] ^= 1 << (offset % 8);
            disk.write_file(path, &wrong).unwrap();
            let report = check();
            let findings: Vec<_> = report.logs.iter().flat_map(|log| &log.findings).collect();
            let place = format!("byte {offset} of {}", path.display());
            assert!(!findings.is_empty(), "{place} passed in silence");
            if report.verdict() == Verdict::Intact {
                let is_cache = !summary.is_sealed && offset as u64 >= summary.footer.data_end;
                assert!(is_cache, "{place} is called a remark: {findings:?}");
            } else {
                assert_ne!(report.exit_code(), 0, "{place}");
            }
            assert!(
                findings.iter().any(|finding| finding.segment.as_deref() == Some(name)),
                "{place} is not located: {findings:?}"
            );
        }
        disk.write_file(path, &bytes).unwrap();
    }
    assert_eq!(check().verdict(), Verdict::Intact);
}
