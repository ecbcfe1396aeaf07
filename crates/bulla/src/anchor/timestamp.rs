//! A timestamping authority (RFC 3161), asked through files: the request is written for whoever carries it there, the
//! reply is kept.
//!
//! # Invariants
//!
//! - T1. A reply is taken only if it grants, its token is over SHA-256 of our checkpoint, and has the nonce of the request,
//!   so that it was made after that and for it. Whose signature it bears, and whether it is good, is not checked here:
//!   `openssl ts -verify` does.

use super::{AnchorError, AnchorSink, Anchored, Receipt, Taken, folder};
use bulla_vfs::Host;
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;

/// The longest request read back, in bytes; ours have fewer.
const REQUEST_BYTES_MAX: usize = 1 << 10;
/// The longest reply taken, in bytes: a token with its certificates has some thousand.
const REPLY_BYTES_MAX: usize = 1 << 20;

/// `SEQUENCE { OID 2.16.840.1.101.3.4.2.1 (SHA-256), NULL }`.
const SHA256_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00];
/// The object identifier in it.
const SHA256_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// 1.2.840.113549.1.7.2, id-signedData.
const SIGNED_DATA_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.16.1.4, id-ct-TSTInfo.
const TST_INFO_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];

/// Has checkpoints dated by an authority. In the folder, for each checkpoint, named `<origin with + for />-<size>`:
/// `.note`, the checkpoint, which is what is dated; `.tsq`, the request; and, once whoever carries it puts it there,
/// `.tsr`, the reply. A reply is kept in `anchors/<name>/` too.
///
/// Until the reply is there the checkpoint counts as due. Of one log, one request waits at a time.
#[derive(Debug)]
pub struct TimestampSink {
    name: String,
    host: Host,
    dir: PathBuf,
}

impl TimestampSink {
    /// A sink of this name whose requests and replies are in `dir`.
    #[must_use]
    pub fn new(host: &Host, name: &str, dir: impl Into<PathBuf>) -> Self {
        Self { name: name.to_owned(), host: host.clone(), dir: dir.into() }
    }
}

impl AnchorSink for TimestampSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, anchored: &mut Anchored<'_>) -> Result<Taken, AnchorError> {
        let Some((shown, asked)) = folder::pending(&self.host, &self.dir, "tsq", anchored)? else {
            let (base, text) = (folder::base_name(anchored.shown()), anchored.shown().to_string());
            let mut nonce = [0; 8];
            let random = self.host.random.fill(&mut nonce);
            random.map_err(super::io("get random bytes for", &self.dir))?;
            folder::write(&self.host, &self.dir.join(format!("{base}.note")), text.as_bytes())?;
            let request = request(&Sha256::digest(text.as_bytes()).into(), nonce);
            folder::write(&self.host, &self.dir.join(format!("{base}.tsq")), &request)?;
            return Err(AnchorError::Waiting { path: self.dir.join(format!("{base}.tsr")) });
        };
        let reply = asked.with_extension("tsr");
        let Some(bytes) = folder::read(&self.host, &reply, REPLY_BYTES_MAX)? else {
            return Err(AnchorError::Waiting { path: reply });
        };
        // The note as it was when it was asked about: a copy noted since may have more signatures.
        let note = folder::read(&self.host, &asked.with_extension("note"), bulla_chain::NOTE_BYTES_MAX)?;
        let note = note.filter(|note| {
            let same = |noted: &bulla_chain::ShownCheckpoint| noted.checkpoint() == shown.checkpoint();
            bulla_chain::ShownCheckpoint::parse(note).is_ok_and(|noted| same(&noted))
        });
        let bad = |what: &str| AnchorError::BadReceipt { what: format!("{}: {what}", reply.display()) };
        let note = note.ok_or_else(|| bad("the checkpoint beside it is another one"))?;
        let request = folder::read(&self.host, &asked, REQUEST_BYTES_MAX)?.unwrap_or_default();
        let nonce = nonce(&request).ok_or_else(|| bad("the request beside it is not ours"))?;
        check(&bytes, &Sha256::digest(&note).into(), nonce).map_err(bad)?;
        Ok(Taken { shown, receipt: Receipt::Token(bytes) })
    }
}

/// A `TimeStampReq` over this digest, with a nonce, asking for the authority's certificate.
fn request(digest: &[u8; 32], mut nonce: [u8; 8]) -> Vec<u8> {
    // DER wants a positive integer in its shortest form: neither sign bit nor leading zeros.
    let [first, ..] = &mut nonce;
    *first = *first & 0x7f | 0x40;
    let imprint = der(0x30, &[&SHA256_ALGORITHM[..], &der(0x04, digest)].concat());
    der(0x30, &[&der(0x02, &[1])[..], &imprint, &der(0x02, &nonce), &der(0x01, &[0xff])].concat())
}

/// The nonce in a request as we write them.
fn nonce(request: &[u8]) -> Option<&[u8]> {
    let mut request = Der(Der(request).only(0x30)?);
    request.next(0x02)?;
    request.next(0x30)?;
    request.next(0x02)
}

/// Tag, length, value; of lengths that fit in one byte, as all of a request's do.
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let len = u8::try_from(value.len()).ok().filter(|len| *len < 0x80).expect("BUG: a request has no long values");
    [&[tag, len], value].concat()
}

/// T1.
fn check(reply: &[u8], digest: &[u8; 32], nonce: &[u8]) -> Result<(), &'static str> {
    const SHAPE: &str = "it is no reply of a timestamping authority";
    let mut reply = Der(Der(reply).only(0x30).ok_or(SHAPE)?);
    let status = Der(reply.next(0x30).ok_or(SHAPE)?).next(0x02).ok_or(SHAPE)?;
    if !matches!(status, [0 | 1]) {
        return Err("the authority did not grant it");
    }
    let dated = dated(reply).ok_or(SHAPE)?;
    if dated.algorithm != SHA256_OID || dated.hash != digest {
        return Err("it dates something else");
    }
    if dated.nonce != Some(nonce) {
        return Err("it answers another request: its nonce is not ours");
    }
    Ok(())
}

/// What a token says it dates.
struct Dated<'a> {
    algorithm: &'a [u8],
    hash: &'a [u8],
    /// As the request had it, if it had one.
    nonce: Option<&'a [u8]>,
}

/// What is in the token, down through `ContentInfo`, `SignedData` and `TSTInfo`.
fn dated(mut reply: Der<'_>) -> Option<Dated<'_>> {
    let mut content = Der(reply.only_next(0x30)?);
    if content.next(0x06)? != SIGNED_DATA_OID {
        return None;
    }
    let mut signed = Der(Der(content.only_next(0xa0)?).only(0x30)?);
    signed.next(0x02)?;
    signed.next(0x31)?;
    let mut content = Der(signed.next(0x30)?);
    if content.next(0x06)? != TST_INFO_OID {
        return None;
    }
    let octets = Der(content.only_next(0xa0)?).only(0x04)?;
    let mut info = Der(Der(octets).only(0x30)?);
    info.next(0x02)?;
    info.next(0x06)?;
    let mut imprint = Der(info.next(0x30)?);
    let algorithm = Der(imprint.next(0x30)?).next(0x06)?;
    let hash = imprint.only_next(0x04)?;
    // The serial number and the time; then, if they are there, how exact that is and whether tokens are ordered.
    info.next(0x02)?;
    info.next(0x18)?;
    let _ = (info.next(0x30), info.next(0x01));
    Some(Dated { algorithm, hash, nonce: info.next(0x02) })
}

/// Bytes as values in DER, one after another.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value, if it has this tag.
    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        let rest = self.0.strip_prefix(&[tag])?;
        let (first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some(value)
    }

    /// The next value, if nothing follows it.
    fn only_next(&mut self, tag: u8) -> Option<&'a [u8]> {
        let value = self.next(tag)?;
        self.0.is_empty().then_some(value)
    }

    fn only(mut self, tag: u8) -> Option<&'a [u8]> {
        self.only_next(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    /// `None` where openssl is not installed.
    fn openssl(dir: &Path, arguments: &[&str]) -> Option<String> {
        let ran = Command::new("openssl").args(arguments).current_dir(dir).output().ok()?;
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        Some(String::from_utf8_lossy(&ran.stdout).into_owned())
    }

    const AUTHORITY: &str = "\
[req]\ndistinguished_name=dn\nprompt=no\nx509_extensions=ext\n[dn]\nCN=tsa\n[ext]\nextendedKeyUsage=critical,timeStamping\n
[tsa]\ndefault_tsa=a\n[a]\nserial=serial\nsigner_digest=sha256\ndefault_policy=1.2.3.4\ndigests=sha256\naccuracy=secs:1\n
signer_cert=tsa.pem\nsigner_key=tsa.key\ness_cert_id_alg=sha256\n";

    /// T1, with an authority that is not ours: it understands our request, and we its reply; no other digest fits, and no
    /// flipped bit makes us panic.
    #[test]
    fn openssl_reads_our_request_and_we_read_its_reply() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path();
        let digest: [u8; 32] = Sha256::digest(b"a checkpoint").into();
        let asked = request(&digest, [0xff, 2, 3, 4, 5, 6, 7, 8]);
        let nonce = nonce(&asked).unwrap();
        assert_eq!(nonce, [0x7f, 2, 3, 4, 5, 6, 7, 8]);
        std::fs::write(dir.join("r.tsq"), &asked).unwrap();
        let Some(text) = openssl(dir, &["ts", "-query", "-in", "r.tsq", "-text"]) else {
            eprintln!("openssl is not installed here");
            return;
        };
        for expected in
            ["Version: 1", "Hash Algorithm: sha256", "Nonce: 0x7F02030405060708", "Certificate required: yes"]
        {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
        std::fs::write(dir.join("tsa.cnf"), AUTHORITY).unwrap();
        let key = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-config", "tsa.cnf"];
        openssl(dir, &[&key[..], &["-keyout", "tsa.key", "-out", "tsa.pem"]].concat()).unwrap();
        let reply = ["ts", "-reply", "-config", "tsa.cnf", "-section", "a", "-queryfile", "r.tsq", "-out", "r.tsr"];
        openssl(dir, &reply).unwrap();
        let mut reply = std::fs::read(dir.join("r.tsr")).unwrap();
        assert_eq!(check(&reply, &digest, nonce), Ok(()));
        assert_eq!(check(&reply, &[0; 32], nonce), Err("it dates something else"));
        for other in [&[0x7f, 2, 3, 4, 5, 6, 7, 9][..], &nonce[1..], &[]] {
            assert_eq!(check(&reply, &digest, other), Err("it answers another request: its nonce is not ours"));
        }
        std::fs::write(dir.join("note"), "a checkpoint").unwrap();
        let verify = ["ts", "-verify", "-data", "note", "-in", "r.tsr", "-CAfile", "tsa.pem"];
        openssl(dir, &verify).unwrap();
        for len in 0..reply.len() {
            assert!(check(&reply[..len], &digest, nonce).is_err(), "cut at {len}");
        }
        for bit in 0..reply.len() * 8 {
            reply[bit / 8] ^= 1 << (bit % 8);
            let _ = check(&reply, &digest, nonce);
            reply[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// T1, without an authority: tokens of the fewest fields, with and without what RFC 3161 leaves out at will.
    #[test]
    fn a_reply_has_the_nonce_that_was_asked_with() {
        let digest = [7; 32];
        let asked = request(&digest, [0x41; 8]);
        let nonce = nonce(&asked).unwrap();
        let replied = |fields: &[Vec<u8>]| {
            let long = |tag: u8, value: &[u8]| [&[tag, 0x81, u8::try_from(value.len()).unwrap()], value].concat();
            let imprint = der(0x30, &[&SHA256_ALGORITHM[..], &der(0x04, &digest)].concat());
            let said = [der(0x02, &[1]), der(0x06, &[0x2a]), imprint, der(0x02, &[9]), der(0x18, b"20260101000000Z")];
            let info = long(0x30, &[said.concat(), fields.concat()].concat());
            let content = [der(0x06, TST_INFO_OID), long(0xa0, &long(0x04, &info))].concat();
            let signed = [der(0x02, &[3]), der(0x31, &[]), long(0x30, &content)].concat();
            let token = [der(0x06, SIGNED_DATA_OID), long(0xa0, &long(0x30, &signed))].concat();
            long(0x30, &[der(0x30, &der(0x02, &[0])), long(0x30, &token)].concat())
        };
        let [accuracy, ordering, ours] = [der(0x30, &der(0x02, &[1])), der(0x01, &[0xff]), der(0x02, nonce)];
        for before in [vec![], vec![accuracy.clone()], vec![ordering.clone()], vec![accuracy, ordering]] {
            assert_eq!(
                check(&replied(&[&before[..], std::slice::from_ref(&ours)].concat()), &digest, nonce),
                Ok(()),
                "{before:?}"
            );
            for other in [vec![], vec![der(0x02, &[0x42; 8])], vec![der(0xa0, &[])]] {
                let found = check(&replied(&[&before[..], &other].concat()), &digest, nonce);
                assert_eq!(found, Err("it answers another request: its nonce is not ours"), "{before:?} {other:?}");
            }
        }
    }

    /// A nonce is a positive number of eight bytes whatever the random bytes are.
    #[test]
    fn a_request_has_one_length() {
        for nonce in [[0; 8], [0xff; 8], [0x80, 0, 0, 0, 0, 0, 0, 0]] {
            let request = request(&[7; 32], nonce);
            assert_eq!(request.len(), 69);
            assert!(Der(&request).only(0x30).is_some());
        }
    }
}
