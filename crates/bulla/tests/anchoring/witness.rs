//! A witness as C2SP's `tlog-witness` has it, on a port of this machine. The tests of the command use it too.
#![allow(dead_code, reason = "each test file uses its part")]

use bulla::chain::{AddCheckpoint, NoteSigner, Refusal, TreeHead, VerifierKey};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

pub(crate) fn witness_key() -> NoteSigner {
    NoteSigner::from_seed("witness.example", &[8; 32]).unwrap()
}

/// What a witness answers with: status, media type, body.
pub(crate) type Answer = (u16, &'static str, String);

/// One that follows the rules: the log's signature, the size it knows, the proof.
pub(crate) struct Witness {
    /// Whose logs it knows.
    key: VerifierKey,
    /// The newest head it signed, by origin.
    pub(crate) last: BTreeMap<String, TreeHead>,
}

impl Witness {
    pub(crate) fn of(key: VerifierKey) -> Self {
        Self { key, last: BTreeMap::new() }
    }

    pub(crate) fn answer(&mut self, body: &[u8]) -> Answer {
        let Ok(request) = AddCheckpoint::parse(body) else { return (400, "", "no request".to_owned()) };
        let note = request.checkpoint.note().unwrap();
        if note.verify(std::slice::from_ref(&self.key)).is_err() {
            return (403, "", "unknown key".to_owned());
        }
        let origin = request.checkpoint.checkpoint().origin().to_owned();
        let last = self.last.entry(origin).or_insert(TreeHead::EMPTY);
        match request.continues(last) {
            Err(Refusal::Conflict { last, .. }) => (409, "text/x.tlog.size", format!("{}\n", last.size)),
            Err(_) => (422, "", "no continuation".to_owned()),
            Ok(()) => {
                *last = request.checkpoint.head();
                (200, "", format!("{}\n", witness_key().cosign(note.text(), 1_700_000_000)))
            }
        }
    }
}

/// Serves until the test is over; every request is one connection. `rule` gets the body.
pub(crate) fn serve(mut rule: impl FnMut(&[u8]) -> Answer + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/w/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let body = read_request(&mut stream);
            let (status, media_type, answer) = rule(&body);
            let len = answer.len();
            let head = format!("HTTP/1.1 {status} x\r\nContent-Type: {media_type}\r\nContent-Length: {len}\r\n\r\n");
            // Who hangs up early does not want the rest.
            let _ = stream.write_all(format!("{head}{answer}").as_bytes());
        }
    });
    url
}

fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 1024];
        let len = stream.read(&mut buffer).unwrap();
        bytes.extend_from_slice(&buffer[..len]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("POST /w/add-checkpoint HTTP/1.1\r\n"), "{head}");
        let expected = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        if body.len() == expected.parse::<usize>().unwrap() {
            return body.as_bytes().to_vec();
        }
    }
}
