//! The spine as verification sees it: a cache, compared node by node.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "support/common.rs"]
mod common;

use bulla_log::{Durability, Expectation, Finding, Level, LogReport, Verdict, verify_log, verify_log_with};
use bulla_vfs::{MemVfs, Vfs};
use bulla_wire::{Position, spine_offset};
use common::{create, dir, host, options, row, with};
use std::path::PathBuf;

fn spine() -> PathBuf {
    dir().join("spine")
}

/// More than 1500 records in several segments; closed, or only synced.
fn log_of(is_closed: bool) -> MemVfs {
    let disk = MemVfs::new();
    let log = create(disk.clone(), &options());
    let payload = [b'r'; 40];
    let batch = [row(&payload); 50];
    for step in 0..30 {
        log.append_batch(&batch, with(Durability::Buffered)).unwrap();
        if step % 10 == 9 {
            log.rotate().unwrap();
        }
    }
    log.append_batch(&batch, with(Durability::Durable)).unwrap();
    if is_closed {
        log.close().unwrap();
    }
    disk
}

fn check(disk: &MemVfs, level: Level) -> LogReport {
    let host = host(disk.clone());
    let report = verify_log(&host, dir(), level, &Expectation::default(), &mut |_| {});
    assert_eq!(verify_log_with(3, &host, dir(), level, &Expectation::default(), &mut |_| {}), report);
    report
}

fn on_spine(report: &LogReport) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.segment.as_deref() == Some("spine")).collect()
}

#[test]
fn a_wrong_node_is_tampering_and_located() {
    let disk = log_of(true);
    assert_eq!(check(&disk, Level::Full).findings, []);
    let whole = disk.read_file(&spine()).unwrap();
    for index in 0..6 {
        let offset = spine_offset(8, index).unwrap();
        let mut bytes = whole.clone();
        bytes[offset as usize + 31] ^= 1;
        disk.write_file(&spine(), &bytes).unwrap();
        let report = check(&disk, Level::Full);
        let bad = report.first_bad().unwrap();
        assert_eq!((report.verdict(), report.findings.len()), (Verdict::Tampered, 1), "{:?}", report.findings);
        let last = Position(256 * (index + 1) - 1);
        assert_eq!((bad.position, bad.segment.as_deref(), bad.offset), (Some(last), Some("spine"), Some(offset)));
        assert!(report.is_head_computed, "the right answer is computed without it");
        // The structure is not held against what it does not read, and that is said.
        let report = check(&disk, Level::Structure);
        assert_eq!(report.verdict(), Verdict::Intact);
        assert!(report.not_checked.iter().any(|what| what.contains("the spine")), "{:?}", report.not_checked);
    }
}

#[test]
fn a_spine_that_is_missing_short_or_of_another_log_is_a_remark() {
    let disk = log_of(true);
    let whole = disk.read_file(&spine()).unwrap();
    let mut zeroed = whole.clone();
    let offset = spine_offset(8, 2).unwrap() as usize;
    zeroed[offset..offset + 32].fill(0);
    // A power cut in the middle of mending: of one node not every byte has come.
    let mut torn = whole.clone();
    torn[offset + 7..offset + 20].fill(0);
    let mut foreign = whole.clone();
    foreign[20] ^= 1;
    for bytes in [&whole[..whole.len() - 32], &whole[..100], &[], &zeroed, &torn, &foreign] {
        disk.write_file(&spine(), bytes).unwrap();
        let report = check(&disk, Level::Full);
        assert_eq!((report.verdict(), report.findings.len()), (Verdict::Intact, 1), "{:?}", report.findings);
        assert_eq!(on_spine(&report).len(), 1);
    }
    disk.remove_file(&spine()).unwrap();
    let report = check(&disk, Level::Full);
    assert_eq!((report.verdict(), on_spine(&report).len()), (Verdict::Intact, 1), "{:?}", report.findings);
}

/// Behind the last footer a crash may have left anything.
#[test]
fn what_no_footer_or_close_frame_covers_is_not_compared() {
    let disk = log_of(false);
    let mut bytes = disk.read_file(&spine()).unwrap();
    let (covered, beyond) = (spine_offset(8, 4).unwrap() as usize, spine_offset(8, 5).unwrap() as usize);
    bytes.resize(beyond + 32, 7);
    disk.write_file(&spine(), &bytes).unwrap();
    assert_eq!(on_spine(&check(&disk, Level::Full)), Vec::<&Finding>::new());
    bytes[covered] ^= 1;
    disk.write_file(&spine(), &bytes).unwrap();
    assert_eq!(check(&disk, Level::Full).verdict(), Verdict::Tampered);
}

/// An edited record is told of in its segment first, although the nodes above it disagree too.
#[test]
fn an_edited_record_is_located_in_its_segment() {
    let disk = log_of(true);
    let mut paths: Vec<_> = disk.list(dir()).unwrap().into_iter().map(|entry| dir().join(entry.name)).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    let mut nodes = 0;
    for path in &paths {
        let original = disk.read_file(path).unwrap();
        let mut edited = bulla_testkit::Edited::parse(&original);
        let has_rows = |(_, body): &(_, Vec<u8>)| body.windows(4).any(|window| window == b"rrrr");
        let Some(index) = edited.frames.iter().position(has_rows) else { continue };
        edited.replace(index, b"rrrr", b"rrrx");
        disk.write_file(path, &edited.bytes()).unwrap();
        let report = check(&disk, Level::Full);
        assert_eq!(report.verdict(), Verdict::Tampered);
        assert_eq!(report.first_bad().unwrap().segment.as_deref(), path.file_name().unwrap().to_str());
        nodes += on_spine(&report).len();
        disk.write_file(path, &original).unwrap();
    }
    assert!(nodes > 0, "no block ended behind an edit");
}
