//! Bad input of every sort gets the exit code and the message that the README promises.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::format_collect, reason = "short inputs, plainly written")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use support::{Ingesting, Mount, Ran, TestStore, bulla, bulla_with, ran};

const LIMIT: usize = 1 << 20;

/// A store whose table `t` has several sealed segments, and the lines in it.
fn segmented() -> (TestStore, Vec<u8>) {
    let store = TestStore::with(&["--segment-bytes", "16384"]);
    let lines: String = (0..2000).map(|number| format!("line {number:06} {}\n", "q".repeat(80))).collect();
    // One batch never spans two segments, so each piece fills one.
    for piece in lines.as_bytes().chunks(lines.len() / 5) {
        store.ingest_text("t", piece).expect(0);
    }
    assert_eq!(store.segments("t").len(), 5);
    (store, lines.into_bytes())
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_malformed_line_is_named_and_the_lines_before_it_are_kept() {
    for bad in ["{\"a\":", "{} {}", "", "nonsense", "\u{feff}{}"] {
        let store = TestStore::new();
        let input = format!("{{\"a\":1}}\n{{\"a\":2}}\n{bad}\n{{\"a\":4}}\n");
        let ran = store.ingest("t", &[], input.as_bytes()).expect(8);
        assert!(ran.err.starts_with("bulla: stdin: line 3: ") && ran.err.lines().count() == 1, "{}", ran.err);
        assert_eq!(ran.acknowledged(), Some(2));
        assert_eq!(store.raw("t"), b"{\"a\":1}\n{\"a\":2}\n");
        store.expect_intact();

        let ran = store.ingest("u", &["--on-bad-line", "skip"], input.as_bytes()).expect(0);
        assert!(ran.err.contains("bulla: 1 bad line skipped"), "{}", ran.err);
        assert_eq!(ran.acknowledged(), Some(4), "skipped lines count as input");
        assert_eq!(store.raw("u"), b"{\"a\":1}\n{\"a\":2}\n{\"a\":4}\n");
    }
}

#[test]
fn a_file_is_named_with_its_own_line() {
    let store = TestStore::new();
    let (first, second) = (store.temporary.path().join("first"), store.temporary.path().join("second"));
    fs::write(&first, "{}\n{}\n").unwrap();
    fs::write(&second, "{}\nbad\n").unwrap();
    let (first, second) = (first.to_str().unwrap(), second.to_str().unwrap());
    let ran = bulla(&["ingest", store.path(), "--table", "t", first, second]).expect(8);
    assert!(ran.err.contains(&format!("{second}: line 2: ")), "{}", ran.err);
    assert_eq!(ran.acknowledged(), Some(3));
    let ran = bulla(&["ingest", store.path(), "--table", "t", first, "/nowhere/at/all"]).expect(5);
    assert_eq!(ran.acknowledged(), None, "a name that is wrong is seen before anything is written");
    let ran = bulla(&["ingest", store.path(), "--table", "t", first, store.path()]).expect(5);
    assert_eq!((ran.acknowledged(), ran.err.contains("directory")), (None, true), "{}", ran.err);
}

#[test]
fn an_unknown_or_wrong_time_field_is_a_bad_line() {
    let store = TestStore::new();
    for (line, what) in [
        ("{\"b\":1}", "no time field \"at\""),
        ("{\"at\":null}", "neither"),
        ("{\"at\":\"yesterday\"}", "RFC 3339"),
        ("{\"at\":1e30}", "1677"),
        ("[]", "no time field"),
    ] {
        let ran = store.ingest("t", &["--time-field", "at"], format!("{{\"at\":1}}\n{line}\n").as_bytes()).expect(8);
        assert!(ran.err.contains("line 2") && ran.err.contains(what), "{line}: {}", ran.err);
        assert_eq!(ran.acknowledged(), Some(1));
    }
    for value in [format!("\"{}\"", "x".repeat(100_000)), "1".repeat(100_000)] {
        let ran = store.ingest("t", &["--time-field", "at"], format!("{{\"at\":{value}}}\n").as_bytes()).expect(8);
        assert!(ran.err.len() < 300, "a message stays short: {} bytes", ran.err.len());
    }
    store.ingest("t", &["--time-field", "at", "--format", "text"], b"{\"at\":1}\n").expect(2);
}

#[test]
fn binary_garbage_is_bad_json_and_good_text() {
    let mut seed = 1_u64;
    let garbage: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    })
    .take(300_000)
    .chain([b'\n'])
    .collect();
    let store = TestStore::new();
    let ran = store.ingest("json", &[], &garbage).expect(8);
    assert!(ran.err.contains("line 1: not "), "{}", ran.err);
    assert!(!ran.err.trim_end().chars().any(char::is_control));
    store.ingest_text("text", &garbage).expect(0);
    assert!(store.raw("text") == garbage);
    store.ingest("json", &["--on-bad-line", "skip"], &garbage).expect(0);
}

#[test]
fn a_line_over_the_limit_is_bad_and_passed_over_whole() {
    let line = |len: usize| [vec![b'a'; len], b"\n".to_vec()].concat();
    for len in [LIMIT + 1, LIMIT * 5] {
        let store = TestStore::new();
        let input = [b"first\n".to_vec(), line(LIMIT), line(len), b"last\n".to_vec()].concat();
        let ran = store.ingest_text("t", &input).expect(8);
        assert!(ran.err.contains("line 3") && ran.err.contains(&LIMIT.to_string()), "{}", ran.err);
        assert_eq!(ran.acknowledged(), Some(2));
        assert!(store.raw("t") == input[..=6 + LIMIT], "a line of exactly the limit is taken");
        store.ingest("u", &["--format", "text", "--on-bad-line", "skip"], &input).expect(0);
        assert!(store.raw("u").ends_with(b"a\nlast\n"));
    }
}

#[test]
fn a_missing_store_is_never_created() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("nowhere");
    let dir = dir.to_str().unwrap();
    bulla_with(&["ingest", dir, "--table", "t"], b"{}\n").expect(3);
    for arguments in
        [&["cat", dir, "t"][..], &["get", dir, "t", "0"], &["tail", dir, "t"], &["stat", dir], &["verify", dir]]
    {
        bulla(arguments).expect(3);
    }
    assert_eq!(support::list(temporary.path()).len(), 0);
}

#[test]
fn what_is_not_a_store_is_left_alone() {
    let temporary = tempfile::tempdir().unwrap();
    fs::write(temporary.path().join("letter"), "dear reader").unwrap();
    let dir = temporary.path().to_str().unwrap();
    bulla_with(&["ingest", dir, "--table", "t"], b"{}\n").expect(3);
    for arguments in [&["init", dir][..], &["cat", dir, "t"], &["stat", dir], &["verify", dir]] {
        bulla(arguments).expect(3);
    }
    assert_eq!(support::list(temporary.path()).len(), 1);
}

#[test]
fn a_missing_table_and_a_name_that_is_none() {
    let store = TestStore::new();
    for verb in ["cat", "tail", "stat"] {
        let ran = store.run(verb, &["nothing"]).expect(3);
        assert!(ran.err.contains("nothing"), "{}", ran.err);
    }
    for name in ["Not/A name", "", ".", "..", "journal"] {
        store.ingest_text(name, b"x\n").expect(2);
        for verb in ["cat", "tail", "stat", "verify"] {
            store.run(verb, &[name]).expect(2);
        }
    }
    assert!(!store.dir.join("tables/nothing").exists(), "reading creates nothing");
}

#[test]
fn a_second_writer_is_turned_away_and_readers_are_not() {
    let store = TestStore::new();
    let mut first = Ingesting::start(&store, "t");
    first.send(b"mine\n");
    let mut line = String::new();
    BufReader::new(first.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ran = store.ingest_text("t", b"theirs\n").expect(3);
    assert!(ran.err.contains("locked"), "{}", ran.err);
    assert_eq!(store.raw("t"), b"mine\n");
    store.expect_intact();
    drop(first);
    store.ingest_text("t", b"theirs\n").expect(0);
    assert_eq!(store.raw("t"), b"mine\ntheirs\n");
}

#[test]
fn a_newer_format_is_called_newer_and_not_touched() {
    let (store, _) = segmented();
    for segment in store.segments("t") {
        // The version follows the magic, and is looked at before any checksum.
        edit(&segment, |bytes| bytes[8] = 2);
    }
    let before = support::contents(&store.dir.join("tables"));
    store.ingest_text("t", b"more\n").expect(3);
    let ran = store.run("cat", &["t"]).expect(3);
    assert!(ran.err.contains("newer"), "{}", ran.err);
    let (code, report) = store.verify();
    assert_eq!((code, report["verdict"].as_str()), (3, Some("newer")), "{report:#}");
    bulla(&["inspect", store.segments("t")[0].to_str().unwrap()]).expect(3);
    assert!(support::contents(&store.dir.join("tables")) == before);
}

/// Whatever was done to the second segment: everything else is read, the gap is named in each format, and writing goes on.
#[track_caller]
fn check_damaged(store: &TestStore, lines: &[u8]) {
    let raw = store.run("cat", &["t", "--format", "raw"]).expect(4);
    assert!(raw.err.contains("bulla: gap: positions "), "{}", raw.err);
    raw.cursor();
    let all: Vec<_> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    let kept: Vec<_> = raw.out.split_inclusive(|byte| *byte == b'\n').collect();
    assert!(kept.first() == all.first() && kept.last() == all.last(), "both ends are there");
    assert!(kept.len() < all.len() && kept.len() > all.len() / 2);
    let mut rest = all.iter();
    assert!(kept.iter().all(|line| rest.any(|other| other == line)), "what is given is what was written, in order");

    let ndjson = store.run("cat", &["t", "--format", "ndjson"]).expect(4).ndjson();
    let gaps: Vec<_> = ndjson.iter().filter_map(|row| row.get("gap")).collect();
    assert!(!gaps.is_empty());
    let mut next = None;
    for row in &ndjson {
        // Records and gaps together leave no position out, but for seals.
        let (from, to) = match row.get("gap") {
            Some(gap) => (gap["from"].as_u64().unwrap(), gap["to"].as_u64().unwrap()),
            None => (row["position"].as_u64().unwrap(), row["position"].as_u64().unwrap() + 1),
        };
        assert!(next.is_none_or(|next| from == next || from == next + 1), "{next:?} to {from}");
        next = Some(to);
    }
    let lost = gaps[0]["from"].to_string();
    store.run("get", &["t", &lost]).expect(4);
    store.run("tail", &["t", "-n", "5000", "--format", "raw"]).expect(4);
    let newest_first = store.run("cat", &["t", "--desc", "--format", "raw"]).expect(4).out;
    let mut reversed: Vec<_> = newest_first.split_inclusive(|byte| *byte == b'\n').collect();
    reversed.reverse();
    assert!(reversed == kept, "both directions give the same");
}

#[track_caller]
fn check_verdict(store: &TestStore, code: i32, verdict: &str) {
    let (found, report) = store.verify();
    assert_eq!((found, report["verdict"].as_str()), (code, Some(verdict)), "{report:#}");
    store.run("verify", &[]).expect(code);
    let log = report["logs"].as_array().unwrap().iter().find(|log| log["log"] == "t").unwrap();
    assert!(log["first_bad"]["segment"].is_string(), "{log:#}");
}

#[test]
fn a_truncated_segment() {
    let (store, lines) = segmented();
    edit(&store.segments("t")[1], |bytes| bytes.truncate(bytes.len() / 2));
    check_damaged(&store, &lines);
    check_verdict(&store, 4, "damaged");
}

#[test]
fn a_zeroed_segment() {
    let (store, lines) = segmented();
    edit(&store.segments("t")[1], |bytes| bytes[5000..29000].fill(0));
    check_damaged(&store, &lines);
    // Several entries of the index are hit, and what lies side by side is one gap.
    for order in [&[][..], &["--desc"]] {
        let rows = store.run("cat", &[&["t", "--format", "ndjson"], order].concat()).expect(4).ndjson();
        assert_eq!(rows.iter().filter(|row| row.get("gap").is_some()).count(), 1, "{order:?}");
    }
    check_verdict(&store, 4, "damaged");
    bulla(&["inspect", store.segments("t")[1].to_str().unwrap()]).expect(4);
}

#[test]
fn a_bit_flipped_segment() {
    let (store, lines) = segmented();
    edit(&store.segments("t")[1], |bytes| bytes[6000] ^= 0x10);
    check_damaged(&store, &lines);
    check_verdict(&store, 4, "damaged");
    // Damage in a sealed segment stops nobody who appends.
    store.ingest_text("t", b"more\n").expect(0);
    assert!(store.run("cat", &["t", "--format", "raw"]).expect(4).out.ends_with(b"more\n"));
}

/// Nothing in the file tells that its end was cut off, but the journal knows how far the table went.
#[test]
fn a_newest_segment_cut_short() {
    let store = TestStore::new();
    let lines: String = (0..1000).map(|number| format!("line {number:06} {}\n", "q".repeat(40))).collect();
    store.ingest_text("t", &lines.as_bytes()[..lines.len() / 2]).expect(0);
    store.ingest_text("t", &lines.as_bytes()[lines.len() / 2..]).expect(0);
    edit(&store.segments("t")[0], |bytes| bytes.truncate(bytes.len() * 3 / 4));
    for order in [&[][..], &["--desc"]] {
        let ran = store.run("cat", &[&["t", "--format", "ndjson"], order].concat()).expect(4);
        assert!(ran.err.contains("..1001 cannot be read"), "{}", ran.err);
        let rows = ran.ndjson();
        let end = if order.is_empty() { rows.last() } else { rows.first() };
        assert_eq!(end.unwrap()["gap"]["to"], 1001);
    }
    for arguments in [&["get", store.path(), "t", "1000"][..], &["tail", store.path(), "t"], &["stat", store.path()]] {
        let ran = bulla(arguments).expect(4);
        assert!(ran.err.contains("cannot be read"), "{}", ran.err);
    }
    let (code, report) = store.verify();
    assert_eq!((code, report["verdict"].as_str()), (1, Some("missing")), "{report:#}");
    store.ingest_text("t", b"more\n").expect(4);
}

/// A table that the journal may have named is not called missing.
#[test]
fn a_damaged_journal() {
    let store = TestStore::new();
    store.ingest_text("t", b"one\n").expect(0);
    let journal = support::list(&store.dir.join("journal")).remove(0);
    let whole = fs::read(&journal).unwrap();
    let mut hidden_count = 0;
    for offset in (200..whole.len()).step_by(40) {
        edit(&journal, |bytes| bytes[offset] ^= 1);
        let stat = store.run("stat", &["--json"]);
        if stat.code == Some(4) && stat.json()["tables"].as_array().unwrap().is_empty() {
            hidden_count += 1;
            for verb in ["cat", "stat", "tail"] {
                assert!(store.run(verb, &["t"]).expect(4).err.contains("no table t"));
            }
        }
        fs::write(&journal, &whole).unwrap();
    }
    assert!(hidden_count > 0, "some byte holds the table's row");
}

/// The records of a segment without its header are found by those of the others; that it is damaged is said.
#[test]
fn a_segment_without_its_header() {
    let (store, lines) = segmented();
    for segment in store.segments("t") {
        edit(&segment, |bytes| bytes[0] ^= 1);
        for arguments in [&["cat", "--format", "raw"][..], &["tail", "--format", "raw", "-n", "5000"]] {
            let ran = store.run(arguments[0], &[&["t"], &arguments[1..]].concat()).expect(4);
            assert!(ran.out == lines && ran.err.contains("header or index cannot be read"), "{}", ran.err);
        }
        store.run("get", &["t", "0"]).expect(0);
        let table = store.run("stat", &["t", "--json"]).expect(4).json()["tables"][0].clone();
        assert_eq!((table["records"].as_u64(), table["head"].is_null()), (Some(2000), true), "{table:#}");
        assert_eq!(store.verify().0, 4);
        edit(&segment, |bytes| bytes[0] ^= 1);
    }
    store.expect_intact();
}

/// Frames behind a bad one in a newest segment that no close frame ends, through the verbs that read.
#[test]
fn a_bit_flipped_segment_that_was_not_closed() {
    let store = TestStore::new();
    let lines: String = (0..1000).map(|number| format!("line {number:06} {}\n", "q".repeat(80))).collect();
    store.ingest_text("t", lines.as_bytes()).expect(0);
    store.ingest_text("t", b"last\n").expect(0);
    let segment = &store.segments("t")[0];
    let frames = bulla(&["inspect", segment.to_str().unwrap()]).expect(0).text();
    // The close frame goes, and one byte of a frame in the middle.
    edit(segment, |bytes| {
        let len = bytes.len();
        bytes.truncate(len - 8);
        bytes[len / 2] ^= 1;
    });
    let before = support::contents(&store.dir);
    let rows = store.run("cat", &["t", "--format", "ndjson"]).expect(4).ndjson();
    let gaps: Vec<_> = rows.iter().filter_map(|row| row.get("gap")).collect();
    let [gap] = gaps[..] else { panic!("{gaps:?} in {frames}") };
    let (from, to) = (gap["from"].as_u64().unwrap(), gap["to"].as_u64().unwrap());
    let given: Vec<_> = rows.iter().filter_map(|row| row["position"].as_u64()).collect();
    assert!((1..60).contains(&(to - from)) && frames.contains(&from.to_string()), "{gap}");
    assert_eq!(given, (1..from).chain(to..1002).collect::<Vec<_>>());
    let newest_first = store.run("cat", &["t", "--format", "ndjson", "--desc"]).expect(4).ndjson();
    assert!(newest_first.iter().rev().eq(&rows), "both directions give the same");
    store.run("get", &["t", &(from - 1).to_string()]).expect(0);
    let one = store.run("get", &["t", &from.to_string(), "--format", "ndjson"]).expect(4).ndjson();
    assert_eq!(one[0]["gap"]["from"], from);
    store.run("get", &["t", &to.to_string()]).expect(0);
    let tail = store.run("tail", &["t", "-n", "2", "--format", "raw"]);
    assert!(tail.out.ends_with(b"last\n"), "{}", tail.err);
    let stat = store.run("stat", &["--json"]).expect(4);
    assert_eq!(stat.json()["tables"][0]["records"], given.len());
    assert!(stat.err.contains(&format!("gap: positions {from}..{to}")), "{}", stat.err);
    assert!(support::contents(&store.dir) == before, "reading changes nothing");
}

/// Where nothing of it validates, the log itself knows only of its first position.
#[test]
fn a_newest_segment_with_nothing_left() {
    let (store, _) = segmented();
    let newest = store.segments("t").pop().unwrap();
    let end = store.run("stat", &["t", "--json"]).expect(0).json()["tables"][0]["size"].as_u64().unwrap();
    edit(&newest, |bytes| bytes.fill(7));
    for order in [&[][..], &["--desc"]] {
        let rows = store.run("cat", &[&["t", "--format", "ndjson"], order].concat()).expect(4).ndjson();
        let mut gaps: Vec<_> = rows.iter().filter_map(|row| row.get("gap")).collect();
        gaps.sort_by_key(|gap| gap["from"].as_u64());
        let joined = gaps.windows(2).all(|pair| pair[0]["to"] == pair[1]["from"]);
        assert!(joined && gaps.last().unwrap()["to"] == end, "{gaps:?} up to {end}");
    }
    store.run("get", &["t", &(end - 1).to_string()]).expect(4);
    assert!(store.run("stat", &[]).expect(4).err.contains(&format!("..{end} cannot be read")));
}

/// `stat` used to give up on a table of which it could not read a footer, and said nothing when the oldest was gone.
#[test]
fn stat_counts_what_damage_left() {
    type Harm = fn(&Path);
    let whole = |path: &Path| fs::remove_file(path).unwrap();
    let header = |path: &Path| edit(path, |bytes| bytes[20] ^= 1);
    let body = |path: &Path| edit(path, |bytes| bytes[6000] ^= 1);
    for (segment, harm) in
        [(0, whole as Harm), (0, header as Harm), (1, whole as Harm), (1, header as Harm), (4, body as Harm)]
    {
        let (store, _) = segmented();
        harm(&store.segments("t")[segment]);
        let kept = support::line_count(&store.run("cat", &["t", "--format", "raw"]).expect(4).out);
        let ran = store.run("stat", &["--json"]).expect(4);
        assert!(ran.err.contains("table t: "), "{}", ran.err);
        let table = &ran.json()["tables"][0];
        assert_eq!(table["records"], kept, "segment {segment}: {table:#}");
        assert!(table["head"].is_null() && kept > 1000);
    }
}

/// `get` used to fail for records of other segments than the missing one.
#[test]
fn a_record_beside_a_missing_segment_is_given() {
    let (store, _) = segmented();
    let rows = store.run("cat", &["t", "--format", "ndjson"]).expect(0).ndjson();
    fs::remove_file(&store.segments("t")[1]).unwrap();
    let mut lost_count = 0;
    for row in rows.iter().step_by(50) {
        let position = row["position"].to_string();
        let ran = store.run("get", &["t", &position, "--format", "ndjson"]);
        if ran.code == Some(0) {
            assert_eq!(ran.ndjson(), std::slice::from_ref(row));
        } else {
            lost_count += 1;
            assert!(ran.expect(4).err.contains(&format!("gap: positions {position}..")));
        }
    }
    assert!((1..rows.len() / 100).contains(&lost_count), "{lost_count} of {}", rows.len() / 50);
}

/// Whoever reads the report may have gone, or its disk be full.
#[test]
fn a_verdict_outlives_its_report() {
    let (store, _) = segmented();
    for code in [5, 1] {
        let mut command = support::command(&["verify", store.path()]);
        command.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        let _ = fs::remove_file(&store.segments("t")[1]);
    }
}

#[test]
fn a_missing_segment() {
    let (store, _) = segmented();
    fs::remove_file(&store.segments("t")[1]).unwrap();
    let (code, report) = store.verify();
    assert_eq!((code, report["verdict"].as_str()), (1, Some("missing")), "{report:#}");
    store.run("cat", &["t"]).expect(4);
}

#[test]
fn a_read_only_copy_is_read_and_not_written() {
    let Some(mount) = Mount::tmpfs("16m") else {
        eprintln!("skipped: a read-only directory binds nobody who may ignore permissions");
        return;
    };
    let dir = mount.dir.path().join("store");
    let dir = dir.to_str().unwrap();
    bulla(&["init", dir]).expect(0);
    bulla_with(&["ingest", dir, "--table", "t"], b"{}\n").expect(0);
    mount.make_read_only();
    let before = support::contents(mount.dir.path());
    bulla_with(&["ingest", dir, "--table", "t"], b"{}\n").expect(5);
    assert_eq!(bulla(&["cat", dir, "t", "--format", "raw"]).expect(0).out, b"{}\n");
    for arguments in [&["tail", dir, "t"][..], &["stat", dir], &["verify", dir], &["get", dir, "t", "0"]] {
        bulla(arguments).expect(0);
    }
    assert!(support::contents(mount.dir.path()) == before);
}

/// What a full disk must leave: the code, every acknowledged line, and a store that is intact.
fn check_full(ran: Ran, store: &str, lines: &[u8]) {
    let ran = ran.expect(5);
    assert!(ran.err.starts_with("bulla: "), "{}", ran.err);
    let acknowledged = ran.acknowledged().expect("something fitted");
    let raw = bulla(&["cat", store, "t", "--format", "raw"]).expect(0).out;
    assert!(lines.starts_with(&raw));
    assert!(support::line_count(&raw) >= acknowledged);
    bulla(&["verify", store]).expect(0);
}

fn many_lines() -> Vec<u8> {
    (0..200_000).map(|number| format!("{number:08} {}\n", "w".repeat(100))).collect::<String>().into_bytes()
}

#[test]
fn a_full_disk() {
    let lines = many_lines();
    if let Some(mount) = Mount::tmpfs("12m") {
        let dir = mount.dir.path().join("store");
        let dir = dir.to_str().unwrap();
        bulla(&["init", dir]).expect(0);
        check_full(bulla_with(&["ingest", dir, "--table", "t", "--format", "text"], &lines), dir, &lines);
    }
}

#[test]
fn a_limit_on_the_size_of_files() {
    let lines = many_lines();
    let store = TestStore::new();
    let input = store.temporary.path().join("input");
    fs::write(&input, &lines).unwrap();
    // Ignoring the signal makes the system answer EFBIG, as it does where nobody set a limit.
    let mut command = Command::new("prlimit");
    command.args(["--fsize=6291456", "sh", "-c", r#"trap "" XFSZ; exec "$@""#, "sh", env!("CARGO_BIN_EXE_bulla")]);
    command.args(["ingest", store.path(), "--table", "t", "--format", "text", input.to_str().unwrap()]);
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("skipped: there is no prlimit here");
        return;
    }
    check_full(ran(command), store.path(), &lines);
}
