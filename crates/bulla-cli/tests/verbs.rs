//! Each verb does what the README says of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::format_collect, reason = "short inputs, plainly written")]

mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{Ingesting, TestStore, bulla, bulla_with, command, ran};

#[test]
fn init_makes_a_store_once_and_never_over_something_else() {
    let store = TestStore::new();
    store.run("init", &[]).expect(8);
    let other = store.temporary.path().join("other");
    std::fs::create_dir(&other).unwrap();
    bulla(&["init", other.to_str().unwrap()]).expect(0);
    let foreign = store.temporary.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("letter"), "dear reader").unwrap();
    bulla(&["init", foreign.to_str().unwrap()]).expect(3);
    assert_eq!(support::list(&foreign).len(), 1);
    let small = store.temporary.path().join("small");
    for bytes in ["0", "4095", "17179869185"] {
        bulla(&["init", small.to_str().unwrap(), "--segment-bytes", bytes]).expect(2);
    }
    assert!(!small.exists());
}

#[test]
fn verbs_and_options_of_later_work_are_usage_errors() {
    for arguments in [&["anchors", "s"][..], &["prove"], &["verify", "s", "--require", "sealed"], &["nonsense"], &[]] {
        bulla(arguments).expect(2);
    }
    for arguments in [
        &["cat"][..],
        &["cat", "s"],
        &["cat", "s", "t", "u"],
        &["get", "s", "t", "minus"],
        &["stat"],
        &["verify"],
        &["init"],
    ] {
        bulla(arguments).expect(2);
    }
}

#[test]
fn bulla_store_stands_in_for_store() {
    let store = TestStore::new();
    store.ingest_text("t", b"one\ntwo\n").expect(0);
    let with_variable = |arguments: &[&str]| {
        let mut command = command(arguments);
        command.env("BULLA_STORE", store.path());
        ran(command)
    };
    assert_eq!(with_variable(&["cat", "t", "--format", "raw"]).expect(0).out, b"one\ntwo\n");
    assert_eq!(with_variable(&["cat", store.path(), "t", "--format", "raw"]).expect(0).out, b"one\ntwo\n");
    assert!(with_variable(&["get", "t", "1", "--format", "raw"]).expect(0).text().ends_with('\n'));
    with_variable(&["tail", "t", "-n", "1"]).expect(0);
    with_variable(&["stat", "t"]).expect(0);
    with_variable(&["stat", store.path(), "t"]).expect(0);
    with_variable(&["stat"]).expect(0);
    with_variable(&["verify"]).expect(0);
    with_variable(&["verify", "t"]).expect(0);
    with_variable(&["verify", store.path(), "t"]).expect(0);
    with_variable(&["init"]).expect(8);
    let file = store.temporary.path().join("file");
    std::fs::write(&file, "three\n").unwrap();
    with_variable(&["ingest", "--table", "t", "--format", "text", file.to_str().unwrap()]).expect(0);
    assert_eq!(store.raw("t"), b"one\ntwo\nthree\n");
    let mut empty = command(&["cat", "t"]);
    empty.env("BULLA_STORE", "");
    ran(empty).expect(2);
}

#[test]
fn text_keeps_every_byte() {
    let store = TestStore::new();
    let input = b"plain\n\n\r\nwindows\r\n\0\x01\xff\xfe\x1b[31m\n\xe2\x80\xae\nno newline at the end";
    assert_eq!(store.ingest_text("t", input).expect(0).acknowledged(), Some(7));
    assert_eq!(store.raw("t"), [&input[..], b"\n"].concat());
}

#[test]
fn several_files_are_one_input_and_json_acknowledges_in_json() {
    let store = TestStore::new();
    let (first, second) = (store.temporary.path().join("first"), store.temporary.path().join("second"));
    std::fs::write(&first, "{\"a\":1}\n{\"a\":2}").unwrap();
    std::fs::write(&second, "{\"a\":3}\n").unwrap();
    let (first, second) = (first.to_str().unwrap(), second.to_str().unwrap());
    let ran =
        bulla_with(&["ingest", store.path(), "--table", "t", "--json", first, "-", second], b"{\"a\":9}\n").expect(0);
    assert_eq!(ran.ndjson().last().unwrap()["acknowledged"], 4);
    assert_eq!(store.raw("t"), b"{\"a\":1}\n{\"a\":2}\n{\"a\":9}\n{\"a\":3}\n");
}

#[test]
fn each_durability_acknowledges_what_is_durable_in_the_end() {
    let store = TestStore::new();
    for durability in ["durable", "flushed", "buffered"] {
        let options = ["--format", "text", "--durability", durability];
        assert_eq!(store.ingest(durability, &options, b"a\nb\n").expect(0).out, b"acknowledged 2\n");
        assert_eq!(store.raw(durability), b"a\nb\n");
    }
}

#[test]
fn a_slow_pipe_is_committed_while_it_is_open() {
    let store = TestStore::new();
    let mut ingesting = Ingesting::start(&store, "t");
    let mut out = BufReader::new(ingesting.child.stdout.take().unwrap());
    ingesting.send(b"first\nsec");
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "acknowledged 1\n");
    assert_eq!(store.raw("t"), b"first\n", "readers see it beside the writer");
    ingesting.send(b"ond\n");
    drop(ingesting.child.stdin.take());
    line.clear();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "acknowledged 2\n");
    assert!(ingesting.child.wait().unwrap().success());
}

#[test]
fn times_come_from_the_field_or_the_clock() {
    let store = TestStore::new();
    let input = br#"{"a":{"@t":"2024-05-06T07:08:09.5+02:00"}}
{"a":{"@t":1714972089}}
{"a":{"@t":1714972089123}}
{"a":{"@t":1714972089123456}}
{"a":{"@t":1714972089123456789}}
"#;
    store.ingest("t", &["--time-field", "a.@t"], input).expect(0);
    let rows = store.run("cat", &["t", "--format", "ndjson"]).expect(0).ndjson();
    let times: Vec<_> = rows.iter().map(|row| row["time"].as_str().unwrap()).collect();
    assert_eq!(
        times,
        [
            "2024-05-06T05:08:09.5Z",
            "2024-05-06T05:08:09Z",
            "2024-05-06T05:08:09.123Z",
            "2024-05-06T05:08:09.123456Z",
            "2024-05-06T05:08:09.123456789Z"
        ]
    );
    let range = ["t", "--from", "2024-05-06T05:08:09.123Z", "--to", "2024-05-06T07:08:09.5+02:00", "--format", "raw"];
    assert_eq!(store.run("cat", &range).expect(0).text().lines().count(), 3, "from is inclusive, to is not");
    store.run("cat", &["t", "--from", "noon"]).expect(2);
    store.ingest("clock", &[], b"{}\n").expect(0);
    let recent = ["clock", "--from", "2024-06-01T00:00:00Z", "--format", "raw"];
    assert_eq!(store.run("cat", &recent).expect(0).out, b"{}\n");
}

#[test]
fn cat_has_three_formats_and_a_cursor() {
    let store = TestStore::new();
    store.ingest_text("t", b"one\n\xff\x00\n\x1b[2J\xc2\x9b\n").expect(0);
    let rows = store.run("cat", &["t", "--format", "ndjson"]).expect(0);
    assert!(!rows.out.contains(&0x1b) && !rows.text().contains('\u{9b}'), "ndjson is safe on a terminal");
    let rows = rows.ndjson();
    assert_eq!((rows[0]["payload"].as_str(), rows[0]["kind"].as_u64()), (Some("one"), Some(0)));
    assert_eq!((rows[1]["payload_base64"].as_str(), rows[1].get("payload")), (Some("/wA="), None));
    assert_eq!(rows[2]["payload"], "\u{1b}[2J\u{9b}");
    let table = store.run("cat", &["t"]).expect(0).text();
    assert!(table.contains("position") && table.contains("one") && table.contains(r"\u{1b}[2J\u{9b}"), "{table}");
    assert!(table.contains(rows[0]["time"].as_str().unwrap()), "times are whole: {table}");
    assert!(!table.contains('\u{1b}'));

    let all = store.run("cat", &["t", "--all", "--format", "ndjson"]).expect(0).ndjson();
    assert!(all.len() > rows.len() && all[0]["kind"] == 128, "the genesis record comes first");
    assert!(store.run("cat", &["t", "--all"]).expect(0).text().contains("genesis"));

    for order in [&[][..], &["--desc"]] {
        let mut cursor = String::new();
        let mut seen = Vec::new();
        for _ in 0..4 {
            let mut rest = [&["t", "-n", "1", "--format", "ndjson"], order].concat();
            if !cursor.is_empty() {
                rest.extend(["--after", &cursor]);
            }
            let ran = store.run("cat", &rest).expect(0);
            seen.extend(ran.ndjson().iter().map(|row| row["position"].as_u64().unwrap()));
            cursor = ran.cursor();
        }
        let mut expected: Vec<_> = rows.iter().map(|row| row["position"].as_u64().unwrap()).collect();
        if !order.is_empty() {
            expected.reverse();
        }
        assert_eq!(seen, expected);

        store.ingest_text("other", b"x\n").expect(0);
        store.run("cat", &[&["other", "--after", &cursor], order].concat()).expect(8);
        let turned: &[&str] = if order.is_empty() { &["--desc"] } else { &[] };
        store.run("cat", &[&["t", "--after", &cursor], turned].concat()).expect(8);
    }
    store.run("cat", &["t", "--after", "nonsense"]).expect(8);
}

/// `script` runs the binary on a terminal of its own.
#[test]
fn a_terminal_gets_no_control_character_in_any_format() {
    if std::process::Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no script(1) here");
        return;
    }
    let store = TestStore::new();
    store.ingest_text("t", b"a\x1b[2Jb\x07\xc2\x9bc\n").expect(0);
    for format in ["table", "ndjson", "raw"] {
        let line = format!("'{}' cat '{}' t --format {format} 2>/dev/null", env!("CARGO_BIN_EXE_bulla"), store.path());
        let mut script = std::process::Command::new("script");
        let ran = ran_on(script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()));
        assert!(ran.contains("[2Jb"), "{format}: {ran:?}");
        let is_bad = |character: char| character.is_control() && character != '\r' && character != '\n';
        assert!(!ran.chars().any(is_bad), "{format}: {ran:?}");
    }
    assert_eq!(store.raw("t"), b"a\x1b[2Jb\x07\xc2\x9bc\n", "a pipe gets the bytes");
}

fn ran_on(command: &mut std::process::Command) -> String {
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[test]
fn a_cursor_at_the_end_goes_on_with_what_comes_later() {
    let store = TestStore::new();
    store.ingest_text("t", b"one\n").expect(0);
    let cursor = store.run("cat", &["t", "--format", "raw"]).expect(0).cursor();
    store.ingest_text("t", b"two\n").expect(0);
    assert_eq!(store.run("cat", &["t", "--format", "raw", "--after", &cursor]).expect(0).out, b"two\n");
}

#[test]
fn get_gives_one_record_whole() {
    let store = TestStore::new();
    store.ingest_text("t", &[b"x".repeat(3000), b"\nsecond\n".to_vec()].concat()).expect(0);
    let rows = store.run("cat", &["t", "--format", "ndjson"]).expect(0).ndjson();
    let position = |index: usize| rows[index]["position"].to_string();
    assert_eq!(store.run("get", &["t", &position(1), "--format", "raw"]).expect(0).out, b"second\n");
    let shown = store.run("get", &["t", &position(0)]).expect(0).text();
    assert!(shown.contains(&"x".repeat(3000)) && shown.contains("3000"), "nothing is cut away");
    assert_eq!(store.run("get", &["t", &position(1), "--format", "ndjson"]).expect(0).ndjson(), [rows[1].clone()]);
    let past = store.run("get", &["t", "99999"]).expect(8);
    assert!(past.err.contains("99999"), "{}", past.err);
}

#[test]
fn tail_gives_the_newest_and_follows_another_process() {
    let store = TestStore::new();
    let lines: String = (0..30).map(|number| format!("line {number}\n")).collect();
    store.ingest_text("t", lines.as_bytes()).expect(0);
    let newest = store.run("tail", &["t", "--format", "raw"]).expect(0).text();
    assert_eq!(newest, lines.lines().skip(20).map(|line| format!("{line}\n")).collect::<String>());
    assert_eq!(store.run("tail", &["t", "-n", "2", "--format", "raw"]).expect(0).text(), "line 28\nline 29\n");
    assert_eq!(store.run("tail", &["t", "-n", "0", "--format", "raw"]).expect(0).text(), "");
    assert_eq!(store.run("tail", &["t", "-n", "99", "--format", "raw"]).expect(0).text(), lines);

    let mut follow = command(&["tail", store.path(), "t", "-f", "-n", "1", "--format", "raw"]);
    let mut child = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let next = |out: &mut BufReader<_>| {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(next(&mut out), "line 29\n");
    store.ingest_text("t", b"new\nnewer\n").expect(0);
    assert_eq!((next(&mut out), next(&mut out)), ("new\n".to_owned(), "newer\n".to_owned()));
    drop(out);
    store.ingest_text("t", b"newest\n").expect(0);
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(10) {
            child.kill().unwrap();
            panic!("tail -f outlives its reader");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(141));
}

#[test]
fn a_reader_that_goes_away_is_no_news() {
    let store = TestStore::new();
    store.ingest_text("t", &b"0123456789\n".repeat(50_000)).expect(0);
    let mut cat = command(&["cat", store.path(), "t", "--format", "raw"]);
    let mut child = cat.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(141), &b""[..]));
}

#[test]
fn stat_counts() {
    let store = TestStore::with(&["--segment-bytes", "4096"]);
    let empty = store.run("stat", &["--json"]).expect(0).json();
    assert_eq!(empty["tables"].as_array().unwrap().len(), 0);
    let line = format!("{}\n", "y".repeat(99));
    store.ingest_text("t", line.repeat(200).as_bytes()).expect(0);
    store.ingest("salted", &["--erasable"], b"{}\n").expect(0);
    let stat = store.run("stat", &["--json"]).expect(0).json();
    let tables = stat["tables"].as_array().unwrap();
    let table = tables.iter().find(|table| table["table"] == "t").unwrap();
    assert_eq!((table["records"].as_u64(), table["bytes"].as_u64()), (Some(200), Some(200 * 99)));
    assert_eq!((table["floor"].as_u64(), table["holds"].as_u64()), (Some(0), Some(0)));
    assert_eq!(table["size"], table["durable_end"]);
    assert_eq!(table["segments"], store.segments("t").len());
    assert_eq!(table["last_checkpoint"], serde_json::json!({ "size": table["size"], "signed": false }));
    assert!(table["time_min"].is_string() && table["head"].is_string());
    assert!(tables.iter().any(|table| table["table"] == "salted" && table["erasable"] == true));
    let people = store.run("stat", &["t"]).expect(0).text();
    assert!(people.contains("200") && people.contains(", unsigned"), "{people}");
    store.run("stat", &["nothing"]).expect(3);
}

#[test]
fn inspect_shows_a_sealed_and_an_active_segment() {
    let store = TestStore::with(&["--segment-bytes", "4096"]);
    store.ingest_text("t", format!("{}\n", "z".repeat(99)).repeat(200).as_bytes()).expect(0);
    store.ingest_text("t", b"one more\n").expect(0);
    let segments = store.segments("t");
    assert!(segments.len() > 1, "small segments make several");
    for (index, segment) in segments.iter().enumerate() {
        let parts = bulla(&["inspect", segment.to_str().unwrap(), "--format", "ndjson"]).expect(0).ndjson();
        assert_eq!(parts[0]["header"]["number"], index);
        let is_last = index + 1 == segments.len();
        let footer = parts.iter().find_map(|part| part.get("footer")).expect("both ends have a summary");
        assert_eq!(footer["sealed"], !is_last);
        let frames = parts.iter().filter_map(|part| part.get("frame"));
        assert!(frames.clone().count() > 0 && frames.clone().all(|frame| frame["crc_ok"] == true));
        assert!(parts.iter().any(|part| part.get("index_entry").is_some()));
        assert_eq!(parts.last().unwrap()["end"]["end"], footer["end"]);
    }
    let people = bulla(&["inspect", segments[0].to_str().unwrap()]).expect(0).text();
    assert!(people.contains("offset") && people.contains("footer") && people.contains("sealed"), "{people}");
    let letter = store.temporary.path().join("letter");
    std::fs::write(&letter, "dear reader, this is not a segment at all, but long enough to be looked at").unwrap();
    bulla(&["inspect", letter.to_str().unwrap()]).expect(8);
    for text in ["", "hi\n"] {
        std::fs::write(&letter, text).unwrap();
        bulla(&["inspect", letter.to_str().unwrap()]).expect(8);
    }
    bulla(&["inspect", "/nowhere/at/all.seg"]).expect(5);
    // What is left when the newest segment's creation was interrupted is no damage.
    for cut in [0, 7, 40] {
        std::fs::File::options().write(true).open(segments.last().unwrap()).unwrap().set_len(cut).unwrap();
        let ran = bulla(&["inspect", segments.last().unwrap().to_str().unwrap()]).expect(0);
        assert!(ran.text().contains("interrupted creation"), "{}", ran.text());
    }
}

#[test]
fn verify_reports_to_people_and_machines() {
    let store = TestStore::new();
    store.ingest_text("t", b"one\ntwo\n").expect(0);
    let (code, report) = store.verify();
    assert_eq!((code, report["verdict"].as_str(), report["trust"].as_str()), (0, Some("intact"), Some("structure")));
    let logs = report["logs"].as_array().unwrap();
    assert!(logs.iter().any(|log| log["log"] == "t") && logs.len() == 2, "{report:#}");
    for level in ["structure", "full"] {
        let people = store.run("verify", &["--level", level]).expect(0).text();
        assert!(people.contains("intact") && people.contains("trust structure"), "{people}");
    }
    store.run("verify", &["t"]).expect(0);
}

#[test]
fn completions_and_manual_name_every_verb() {
    let verbs =
        ["demo", "init", "ingest", "cat", "get", "tail", "stat", "inspect", "verify", "repair", "completions", "man"];
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = bulla(&["completions", shell]).expect(0).text();
        assert!(verbs.iter().all(|verb| script.contains(verb)), "{shell}");
    }
    let page = bulla(&["man"]).expect(0).text();
    assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
    assert!(verbs.iter().all(|verb| page.contains(verb)));
    for verb in verbs {
        assert!(bulla(&["man", verb]).expect(0).text().contains(".TH"));
    }
    bulla(&["man", "nonsense"]).expect(2);
}

#[test]
fn the_demo_ends_well_within_its_time() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("tour");
    let begun = Instant::now();
    let tour = bulla(&["demo", dir.to_str().unwrap()]).expect(0).text();
    // Ten seconds is the promise for a release build; this one is slower.
    assert!(begun.elapsed() < Duration::from_secs(30));
    for part in
        ["$ bulla init", "$ bulla ingest", "acknowledged 1000", "$ bulla cat", "intact", "\"amount\":1500", "tampered"]
    {
        assert!(tour.contains(part), "{part} is missing from:\n{tour}");
    }
    bulla(&["demo", dir.to_str().unwrap()]).expect(8);
}
