//! A witness as C2SP's `tlog-witness` has it, and ones that are not, asked over TCP and through files.
#![cfg(feature = "ed25519")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod anchoring;
#[path = "anchoring/witness.rs"]
mod c2sp;

use anchoring::{FakeLog, run, shown, shown_with};
use bulla::chain::{Note, NoteSigner, ShownCheckpoint};
use bulla::vfs::{OpenMode, write_all_at};
use bulla::{AnchorLag, AnchoredLog, Host, WitnessFolderSink, WitnessSink};
use c2sp::{Answer, Witness, serve, witness_key};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const ORIGIN: &str = "shop/logins/07070707";

fn log_key() -> NoteSigner {
    NoteSigner::from_seed("shop", &[7; 32]).unwrap()
}

fn signed(unsigned: &ShownCheckpoint) -> ShownCheckpoint {
    let text = unsigned.to_string();
    ShownCheckpoint::signed(Note::new(text.clone(), vec![log_key().sign(&text)]).unwrap()).unwrap()
}

fn log(sizes: &[u64]) -> FakeLog {
    let mut log = FakeLog::new(ORIGIN, sizes);
    log.noted = log.noted.iter().map(signed).collect();
    log
}

fn ask(host: &Host, log: &mut FakeLog, url: &str) -> AnchorLag {
    run(host, log, WitnessSink::new("witness", url, witness_key().cosigner()).time_max(Duration::from_secs(20)))
}

#[track_caller]
fn expect_error(lag: &AnchorLag, words: &str) {
    assert!(lag.error.as_ref().is_some_and(|error| error.contains(words)), "{words:?} is not in {lag:?}");
}

/// W1 and W2: the first checkpoint, the next with a proof, and one after the outbox was lost, which the witness answers
/// with the size it has. Each cosigned copy is noted, and verifies under both keys.
#[test]
fn a_witness_cosigns_what_continues_and_the_copy_is_noted() {
    let mut witness = Witness::of(log_key().verifier());
    let url = serve(move |body| witness.answer(body));
    let host = Host::memory();
    let mut log = log(&[5]);
    assert_eq!(ask(&host, &mut log, &url).confirmed, Some(5));
    log.noted.push(signed(&shown(ORIGIN, 9)));
    let lag = ask(&host, &mut log, &url);
    assert_eq!((lag.confirmed, lag.error), (Some(9), None));
    assert_eq!(log.proofs, [(5, 9)]);

    log.noted.push(signed(&shown(ORIGIN, 12)));
    let lag = ask(&Host::memory(), &mut log, &url);
    assert_eq!((lag.confirmed, lag.error), (Some(12), None));
    assert_eq!(log.proofs, [(5, 9), (9, 12)], "it was told the size");
    // A crash before that was recorded: the witness has it already, and signs the same head again.
    let lag = ask(&Host::memory(), &mut log, &url);
    assert_eq!((lag.confirmed, lag.error), (Some(12), None));

    let keys = [log_key().verifier(), witness_key().cosigner()];
    let times = |shown: &ShownCheckpoint| -> Vec<_> {
        shown.note().unwrap().verify(&keys).unwrap().iter().map(|verified| verified.time).collect()
    };
    let copies: Vec<_> = log.noted.iter().filter(|shown| shown.note().unwrap().signatures().len() > 1).collect();
    assert_eq!(copies.iter().map(|shown| shown.head().size).collect::<Vec<_>>(), [5, 9, 12, 12]);
    assert!(copies.iter().all(|shown| times(shown) == [None, Some(1_700_000_000)]));
}

/// W2: a log that was rolled back or rewritten is a fork to the witness, and stays one.
#[test]
fn a_witness_that_saw_another_history_refuses() {
    let mut witness = Witness::of(log_key().verifier());
    let url = serve(move |body| witness.answer(body));
    assert_eq!(ask(&Host::memory(), &mut log(&[9]), &url).confirmed, Some(9));
    let lag = ask(&Host::memory(), &mut log(&[5]), &url);
    expect_error(&lag, "refused: the witness has 9 records of this log, which has 5");

    let mut rewritten = log(&[]);
    rewritten.noted.push(signed(&shown_with(ORIGIN, 12, [66; 32])));
    let lag = ask(&Host::memory(), &mut rewritten, &url);
    expect_error(&lag, "another history than the one anchored before: status 422");
    assert_eq!((lag.confirmed, rewritten.noted.len()), (None, 1));

    // Of the same size, which C2SP answers with that size.
    let url = serve(|_| (409, "text/x.tlog.size", "9\n".to_owned()));
    let lag = ask(&Host::memory(), &mut log(&[9]), &url);
    expect_error(&lag, "another history than the one anchored before: the witness has another head with 9 records");
}

/// W1, and limits: whatever a witness says that is no cosignature of ours, nothing counts as taken and nothing is noted.
#[test]
fn a_hostile_witness_gets_nothing_noted() {
    let cosigned = |signer: NoteSigner, size: u64| format!("{}\n", signer.cosign(&shown(ORIGIN, size).to_string(), 5));
    let other = NoteSigner::from_seed("witness.example", &[9; 32]).unwrap();
    let genuine = cosigned(witness_key(), 4);
    // Ours by name and id, and not by its bytes.
    let position = genuine.len() - 9;
    let replaced = if genuine.as_bytes()[position] == b'A' { "B" } else { "A" };
    let mut forged = genuine.clone();
    forged.replace_range(position..=position, replaced);
    let table: Vec<(Answer, &str)> = vec![
        ((200, "", String::new()), "worth nothing"),
        ((200, "", "garbage".to_owned()), "worth nothing"),
        ((200, "", genuine.trim_end().to_owned()), "worth nothing"),
        ((200, "", format!("\n{genuine}")), "worth nothing"),
        ((200, "", cosigned(other, 4)), "worth nothing: there is no cosignature of this witness in it"),
        ((200, "", cosigned(witness_key(), 5)), "worth nothing: the signature of witness.example is not by its key"),
        ((200, "", forged), "worth nothing"),
        ((200, "", "x".repeat(1 << 20)), "cannot be reached: the answer exceeds"),
        ((409, "text/x.tlog.size", "3\n".to_owned()), "status 409"),
        ((409, "text/x.tlog.size", "-1\n".to_owned()), "status 409"),
        ((409, "text/x.tlog.size", "99999999999999999999999\n".to_owned()), "status 409"),
        ((409, "text/plain", "3\n".to_owned()), "status 409"),
        ((403, "", "go\u{1b}[2J away".to_owned()), "refused: status 403 go [2J away"),
        ((404, "", String::new()), "refused: status 404"),
        ((422, "", String::new()), "another history than the one anchored before: status 422"),
        ((500, "", "oops".to_owned()), "status 500 oops"),
    ];
    for ((status, media_type, body), expected) in table {
        let url = serve(move |_| (status, media_type, body.clone()));
        let mut log = log(&[4]);
        let lag = ask(&Host::memory(), &mut log, &url);
        expect_error(&lag, expected);
        assert_eq!((lag.confirmed, lag.attempts, log.noted.len()), (None, 1, 1), "{expected}");
    }
    let mut unsigned = FakeLog::new(ORIGIN, &[4]);
    expect_error(&ask(&Host::memory(), &mut unsigned, "http://127.0.0.1:1/"), "nobody signed");
    expect_error(&ask(&Host::memory(), &mut log(&[4]), "https://witness.example/"), "its address is not http://");
}

#[test]
fn a_witness_that_does_not_answer_costs_no_more_than_its_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let held = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&held);
    thread::spawn(move || listener.incoming().for_each(|stream| kept.lock().unwrap().push(stream)));
    let sink = WitnessSink::new("witness", &format!("http://{address}"), witness_key().cosigner());
    let start = Instant::now();
    let lag = run(&Host::memory(), &mut log(&[4]), sink.time_max(Duration::from_millis(200)));
    expect_error(&lag, "took too long");
    assert!(start.elapsed() < Duration::from_secs(10));

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    expect_error(&ask(&Host::memory(), &mut log(&[4]), &format!("http://{closed}")), "cannot be reached");
}

/// Takes the request about this size to a witness, and brings back what that answers.
fn carry(host: &Host, size: u64, witness: impl FnOnce(&[u8]) -> Answer) -> Answer {
    let base = format!("/usb/shop+logins+07070707-{size}");
    let asked = host.fs.open(Path::new(&format!("{base}.add-checkpoint")), OpenMode::Read).unwrap();
    let mut body = vec![0; usize::try_from(asked.len().unwrap()).unwrap()];
    bulla::vfs::read_exact_at(&*asked, &mut body, 0).unwrap();
    let answer = witness(&body);
    let file = host.fs.open(Path::new(&format!("{base}.cosignature")), OpenMode::Create).unwrap();
    write_all_at(&*file, answer.2.as_bytes(), 0).unwrap();
    answer
}

/// Carried by hand: the request is what a witness takes, the answer is verified, and the newer checkpoint is asked about
/// afterwards.
#[test]
fn a_witness_is_asked_through_a_folder() {
    let host = Host::memory();
    let mut log = log(&[5]);
    let sink = || WitnessFolderSink::new(&host, "usb", "/usb", witness_key().cosigner());
    expect_error(&run(&host, &mut log, sink()), "waiting for /usb/shop+logins+07070707-5.cosignature");
    log.noted.push(signed(&shown(ORIGIN, 9)));
    expect_error(&run(&host, &mut log, sink()), "waiting for /usb/shop+logins+07070707-5.cosignature");

    let mut witness = Witness::of(log_key().verifier());
    for size in [5, 9] {
        let (200, _, answer) = carry(&host, size, |body| witness.answer(body)) else { panic!("refused") };
        assert!(answer.starts_with('\u{2014}'), "{answer}");
        let lag = run(&host, &mut log, sink());
        assert_eq!(lag.confirmed, Some(size), "{lag:?}");
    }
    assert_eq!(log.noted_head(), witness.last.get(ORIGIN).copied());
    assert_eq!(log.noted.iter().filter(|shown| shown.note().unwrap().signatures().len() == 2).count(), 2);
}

/// W2, by hand: what the witness says it has is answered with a proof from there, about the newest checkpoint; and a fork is
/// one.
#[test]
fn a_size_brought_back_is_answered_with_a_proof_from_there() {
    let mut witness = Witness::of(log_key().verifier());
    let known = shown_to(&mut witness, 4);
    assert_eq!(known, Some(4));
    let host = Host::memory();
    let mut ours = log(&[7]);
    let sink = || WitnessFolderSink::new(&host, "usb", "/usb", witness_key().cosigner());
    expect_error(&run(&host, &mut ours, sink()), "waiting for /usb/shop+logins+07070707-7.cosignature");
    assert_eq!(carry(&host, 7, |body| witness.answer(body)).0, 409);
    ours.noted.push(signed(&shown(ORIGIN, 9)));
    expect_error(&run(&host, &mut ours, sink()), "waiting for /usb/shop+logins+07070707-9.cosignature");
    assert_eq!(ours.proofs, [(4, 9)]);
    let mut names: Vec<_> = host.fs.list(Path::new("/usb")).unwrap().into_iter().map(|entry| entry.name).collect();
    names.sort();
    assert_eq!(names, ["shop+logins+07070707-9.add-checkpoint"]);
    assert_eq!(carry(&host, 9, |body| witness.answer(body)).0, 200);
    assert_eq!(run(&host, &mut ours, sink()).confirmed, Some(9));

    ours.noted.push(signed(&shown(ORIGIN, 12)));
    expect_error(&run(&host, &mut ours, sink()), "waiting for /usb/shop+logins+07070707-12.cosignature");
    carry(&host, 12, |_| (409, "", "13\n".to_owned()));
    expect_error(&run(&host, &mut ours, sink()), "refused: the witness has 13 records of this log, which has 12");
    host.fs.remove_file(Path::new("/usb/shop+logins+07070707-12.cosignature")).unwrap();
    for expected in ["waiting for", "another history than the one anchored before: the witness has another head"] {
        carry(&host, 12, |_| (409, "", "12\n".to_owned()));
        expect_error(&run(&host, &mut ours, sink()), expected);
    }
}

/// A witness that has seen so much of the log; what it has then.
fn shown_to(witness: &mut Witness, size: u64) -> Option<u64> {
    let host = Host::memory();
    let mut log = log(&[size]);
    let sink = || WitnessFolderSink::new(&host, "usb", "/usb", witness_key().cosigner());
    expect_error(&run(&host, &mut log, sink()), "waiting");
    carry(&host, size, |body| witness.answer(body));
    run(&host, &mut log, sink()).confirmed
}
