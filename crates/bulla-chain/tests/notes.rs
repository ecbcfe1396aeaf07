//! Notes, keys and checkpoints: what parses, what does not, and who signed.
#![cfg(feature = "ed25519")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use bulla_chain::{
    Checkpoint, CheckpointError, Digest, KeyAlgorithm, KeyError, NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, Note, NoteError,
    NoteSigner, TreeHead, Verified, VerifierKey,
};

const TEXT: &str = "acme/logins\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

fn signer(name: &str) -> NoteSigner {
    NoteSigner::from_seed(name, &[name.len().try_into().unwrap(); 32]).unwrap()
}

fn signed(text: &str, signers: &[&NoteSigner]) -> Note {
    Note::new(text.to_owned(), signers.iter().map(|signer| signer.sign(text)).collect()).unwrap()
}

/// The example of Go's `note` package: keys and note made by software that has nothing to do with this one.
#[test]
fn the_published_example_verifies() {
    let key: VerifierKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    let signer: NoteSigner =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz".parse().unwrap();
    let text = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n";
    let note = format!(
        "{text}\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    );
    assert_eq!(signer.verifier(), key);
    assert_eq!(signed(text, &[&signer]).to_string(), note);
    let note: Note = note.parse().unwrap();
    assert_eq!(note.verify(&[key]), Ok(vec![Verified { key: 0, time: None }]));
}

#[test]
fn a_note_is_believed_for_the_keys_the_caller_has() {
    let [acme, other, stranger] = ["acme", "other", "a-stranger"].map(signer);
    let note = signed(TEXT, &[&acme, &other, &acme]);
    let keys = [stranger.verifier(), other.verifier(), acme.verifier()];
    let by = |key| Verified { key, time: None };
    assert_eq!(note.verify(&keys), Ok(vec![by(2), by(1), by(2)]));
    assert_eq!(note.verify(&keys[1..2]), Ok(vec![by(0)]));
    assert_eq!(note.verify(&keys[..1]), Err(NoteError::Untrusted));
    assert_eq!(note.verify(&[]), Err(NoteError::Untrusted));
    // One name and another key, and one key under another name: neither is the one that signed.
    let namesake = NoteSigner::from_seed("acme", &[9; 32]).unwrap().verifier();
    let renamed = VerifierKey::new("acme2", KeyAlgorithm::Ed25519, *acme.verifier().public()).unwrap();
    assert_eq!(note.verify(&[namesake, renamed]), Err(NoteError::Untrusted));
}

/// A signature under a trusted key's name and id that it did not make: the note is refused, whoever else signed.
#[test]
fn one_forged_signature_of_a_known_key_is_too_many() {
    let [acme, other] = ["acme", "other"].map(signer);
    let keys = [acme.verifier(), other.verifier()];
    let forged = Note::new(TEXT.to_owned(), vec![acme.sign("another text\n"), other.sign(TEXT)]).unwrap();
    let expected = Err(NoteError::Forged { name: "acme".to_owned() });
    assert_eq!(forged.verify(&keys), expected);
    assert_eq!(forged.verify(&keys[1..]), Ok(vec![Verified { key: 0, time: None }]));
    for at in 0..64 {
        let text = signed(TEXT, &[&acme]).to_string();
        let mut note: Note = text.parse().unwrap();
        let mut bytes = note.signatures()[0].signature().to_vec();
        bytes[at] ^= 1;
        let line = [&acme.verifier().id()[..], &bytes].concat();
        note = format!("{TEXT}\n\u{2014} acme {}\n", data_encoding::BASE64.encode(&line)).parse().unwrap();
        assert_eq!(note.verify(&keys), expected, "byte {at}");
    }
    for len in [1, 63, 65, 72] {
        let line = [&acme.verifier().id()[..], &vec![7; len]].concat();
        let note: Note = format!("{TEXT}\n\u{2014} acme {}\n", data_encoding::BASE64.encode(&line)).parse().unwrap();
        assert_eq!(note.verify(&keys), expected, "{len} bytes");
    }
}

/// A key of small order verifies signatures that nobody made; it is no key.
#[test]
fn a_weak_key_verifies_nothing() {
    let mut identity = [0; 32];
    identity[0] = 1;
    for public in [identity, [0; 32], [0xff; 32]] {
        let key = VerifierKey::new("weak", KeyAlgorithm::Ed25519, public).unwrap();
        let line = [&key.id()[..], &identity, &[0; 32]].concat();
        let note: Note = format!("{TEXT}\n\u{2014} weak {}\n", data_encoding::BASE64.encode(&line)).parse().unwrap();
        assert_eq!(note.verify(&[key]), Err(NoteError::Forged { name: "weak".to_owned() }));
    }
}

#[test]
fn a_cosignature_says_when() {
    let (log, witness) = (signer("acme"), signer("witness"));
    let mut note = signed(TEXT, &[&log]);
    note.push(witness.cosign(TEXT, 1_679_315_147)).unwrap();
    note.push(witness.cosign(TEXT, 1_679_315_147)).unwrap();
    assert_eq!(note.signatures().len(), 2, "the same signature twice is one");
    let keys = [witness.cosigner(), log.verifier()];
    let expected = vec![Verified { key: 1, time: None }, Verified { key: 0, time: Some(1_679_315_147) }];
    assert_eq!(note.verify(&keys), Ok(expected));
    assert_eq!(note.to_string().parse::<Note>().unwrap(), note);
    // The same key signs notes under another id, and neither signature is good for the other.
    assert_ne!(witness.cosigner().id(), witness.verifier().id());
    assert_eq!(note.verify(&[witness.verifier()]), Err(NoteError::Untrusted));
    // A time that is not the signed one, and one no clock may have.
    for (time, shown) in [(5, 6), (u64::MAX, u64::MAX)] {
        let mut line = witness.cosign(TEXT, time).signature().to_vec();
        line[..8].copy_from_slice(&u64::to_be_bytes(shown));
        let line = [&witness.cosigner().id()[..], &line].concat();
        let note: Note = format!("{TEXT}\n\u{2014} witness {}\n", data_encoding::BASE64.encode(&line)).parse().unwrap();
        assert_eq!(note.verify(&keys), Err(NoteError::Forged { name: "witness".to_owned() }));
    }
}

/// The cosignature of C2SP's own example, of a witness whose key nobody published: another key under its id is refused.
#[test]
fn what_parses_is_shown_as_it_was() {
    let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let parsed: Note = note.parse().unwrap();
    assert_eq!(parsed.to_string(), note);
    assert_eq!(parsed.signatures()[1].name(), "witness.example.com/w1");
    let checkpoint: Checkpoint = parsed.text().parse().unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.head().size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.to_string(), parsed.text());
}

#[test]
fn what_is_no_note_says_why() {
    let good = signed(TEXT, &[&signer("acme")]).to_string();
    let line = good.lines().last().unwrap();
    let base64 = line.rsplit(' ').next().unwrap();
    let cases = [
        (String::new(), NoteError::Unsigned),
        (TEXT.to_owned(), NoteError::Unsigned),
        (format!("{TEXT}\n"), NoteError::Unsigned),
        (good.replace("\n\n", "\n"), NoteError::Unsigned),
        (good.trim_end().to_owned(), NoteError::Line { line: 1 }),
        (format!("{good}\n"), NoteError::Unsigned),
        (format!("{good}{line}"), NoteError::Line { line: 2 }),
        (format!("{good}trailing\n"), NoteError::Line { line: 2 }),
        (good.replace('\u{2014}', "-"), NoteError::Line { line: 1 }),
        (good.replace("\u{2014} acme", "\u{2014}  acme"), NoteError::Line { line: 1 }),
        (good.replace("\u{2014} acme", "\u{2014} ac me"), NoteError::Line { line: 1 }),
        (good.replace("\u{2014} acme", "\u{2014} ac+me"), NoteError::Line { line: 1 }),
        (good.replace("\u{2014} acme", "\u{2014} ac\u{a0}me"), NoteError::Line { line: 1 }),
        (good.replace("\u{2014} acme", "\u{2014} ac\u{1}me"), NoteError::Line { line: 1 }),
        (good.replace(base64, &format!("{base64} ")), NoteError::Line { line: 1 }),
        (good.replace(base64, "AAAA"), NoteError::Line { line: 1 }),
        (good.replace(base64, "AAAAAA=="), NoteError::Line { line: 1 }),
        (good.replace(base64, base64.trim_end_matches('=')), NoteError::Line { line: 1 }),
        (good.replace(base64, &format!("{base64}{base64}")), NoteError::Line { line: 1 }),
        (good.replace('\n', "\r\n"), NoteError::Unsigned),
        (good.replace("acme/", "ac\tme/"), NoteError::Control { at: 2 }),
        (format!("\n{line}\n"), NoteError::Unsigned),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Note>(), Err(expected), "{text:?}");
    }
    assert_eq!(Note::parse(b"a\xff\n\n\n"), Err(NoteError::NotText { at: 1 }));
    // Base64 whose last bits mean nothing: one signature has one text.
    let loose = format!("{TEXT}\n\u{2014} acme AAAAAAB=\n");
    assert_eq!(loose.parse::<Note>(), Err(NoteError::Line { line: 1 }));
    assert_eq!(Note::new("no newline".to_owned(), vec![signer("a").sign("")]), Err(NoteError::Text));
    assert_eq!(Note::new(String::new(), vec![signer("a").sign("")]), Err(NoteError::Text));
}

/// Others' names may have what ours would not, and are passed over like any other.
#[test]
fn a_stranger_may_be_called_anything_else() {
    let acme = signer("acme");
    for name in ["\u{7f}", "\u{9b}31m", "\u{e9}\u{4e2d}", "a=b", "\u{2014}"] {
        let note: Note = format!("{}\u{2014} {name} AAAAAAA=\n", signed(TEXT, &[&acme])).parse().unwrap();
        assert_eq!(note.verify(&[acme.verifier()]).unwrap().len(), 1, "{name:?}");
    }
}

/// A text may have blank lines: the last one divides.
#[test]
fn a_text_may_have_blank_lines() {
    let acme = signer("acme");
    for text in ["\n", "one\n\ntwo\n", "\n\n\n", "ends blank\n\n"] {
        let note = signed(text, &[&acme]);
        let parsed: Note = note.to_string().parse().unwrap();
        assert_eq!((parsed.text(), &parsed), (text, &note));
        assert!(parsed.verify(&[acme.verifier()]).is_ok());
    }
}

#[test]
fn the_limits_are_where_they_are_named() {
    let acme = signer("acme");
    let many = |count| signed(TEXT, &vec![&acme; count]).to_string();
    assert_eq!(many(NOTE_SIGNATURES_MAX).parse::<Note>().unwrap().verify(&[acme.verifier()]).unwrap().len(), 100);
    let line = many(1).lines().last().unwrap().to_owned();
    let over = format!("{}{line}\n", many(NOTE_SIGNATURES_MAX));
    assert_eq!(over.parse::<Note>(), Err(NoteError::TooMany));
    let mut full: Note = many(NOTE_SIGNATURES_MAX).parse().unwrap();
    assert_eq!(full.push(signer("other").sign(TEXT)), Err(NoteError::TooMany));
    assert_eq!(full.push(acme.sign(TEXT)), Ok(()), "it is there already");

    let tail = format!("\n{line}\n");
    let longest = "x".repeat(NOTE_BYTES_MAX - tail.len() - 1) + "\n" + &tail;
    assert!(longest.parse::<Note>().is_ok());
    let bytes = NOTE_BYTES_MAX as u64 + 1;
    assert_eq!(format!("x{longest}").parse::<Note>(), Err(NoteError::TooLong { bytes }));
    assert_eq!(Note::new("x".repeat(NOTE_BYTES_MAX) + "\n", vec![acme.sign("")]), Err(NoteError::TooLong { bytes }));
}

#[test]
fn a_key_has_one_text() {
    let signer = signer("acme");
    for key in [signer.verifier(), signer.cosigner()] {
        let text = key.to_string();
        assert_eq!(text.parse::<VerifierKey>(), Ok(key));
        let (name, rest) = text.split_once('+').unwrap();
        let (id, base64) = rest.split_once('+').unwrap();
        for (wrong, expected) in [
            (format!("+{id}+{base64}"), KeyError::Name),
            (format!("a b+{id}+{base64}"), KeyError::Name),
            (format!("acm\u{e9}+{id}+{base64}"), KeyError::Id),
            (format!("{name}+{}+{base64}", id.to_uppercase()), KeyError::Id),
            (format!("{name}+00000000+{base64}"), KeyError::Id),
            (format!("{name}+{id}+{base64}="), KeyError::Form),
            (format!("{name}+{id}+"), KeyError::Form),
            (format!("{name}+{id}+AQ=="), KeyError::Form),
            (format!("{name}+{id}+AgAA"), KeyError::Algorithm),
            (format!("{name}+{id}"), KeyError::Form),
            (name.to_owned(), KeyError::Form),
            (format!("{text}\n"), KeyError::Form),
        ] {
            assert_eq!(wrong.parse::<VerifierKey>(), Err(expected), "{wrong}");
        }
    }
    let secret = signer.to_secret_text();
    assert_eq!(secret.parse::<NoteSigner>().unwrap().verifier(), signer.verifier());
    assert!(!format!("{signer:?}").contains(&secret[secret.len() - 20..]));
    for (wrong, expected) in [
        (secret.replace("PRIVATE+KEY+", ""), KeyError::Form),
        (secret.replace("acme", "acne"), KeyError::Id),
        (secret.replace("+AQ", "+BA"), KeyError::Algorithm),
        (format!("{secret}\n"), KeyError::Form),
        ("PRIVATE+KEY+a+00000000+AQ==".to_owned(), KeyError::Form),
        ("PRIVATE+KEY+a+00000000+".to_owned(), KeyError::Form),
    ] {
        assert_eq!(wrong.parse::<NoteSigner>().unwrap_err(), expected, "{wrong}");
    }
    assert_eq!(NoteSigner::from_seed("", &[1; 32]).unwrap_err(), KeyError::Name);
}

/// K1.
#[test]
fn a_checkpoint_has_one_text() {
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    for size in ["", "00", "01", "+1", "-1", " 1", "1 ", "0x1", "18446744073709551616"] {
        let expected = if size.is_empty() { CheckpointError::Lines } else { CheckpointError::Size };
        assert_eq!(format!("a\n{size}\n{root}\n").parse::<Checkpoint>(), Err(expected), "{size:?}");
    }
    for (wrong, expected) in [
        (String::new(), CheckpointError::Lines),
        ("\n".to_owned(), CheckpointError::Lines),
        ("a\n".to_owned(), CheckpointError::Lines),
        ("a\n1\n".to_owned(), CheckpointError::Lines),
        (format!("a\n1\n{root}"), CheckpointError::Lines),
        (format!("\na\n1\n{root}\n"), CheckpointError::Lines),
        (format!("a\n\n1\n{root}\n"), CheckpointError::Lines),
        (format!("a\n1\n{root}\n\n"), CheckpointError::Lines),
        (format!("a\n1\n{root}\next\n\nmore\n"), CheckpointError::Lines),
        (format!("a\n1\n{root}\next\r\n"), CheckpointError::Lines),
        (format!("a\r\n1\n{root}\n"), CheckpointError::Origin),
        (format!("a\n1\n{}\n", root.replace('+', "-")), CheckpointError::Root),
        (format!("a\n1\n{}\n", root.trim_end_matches('=')), CheckpointError::Root),
        ("a\n1\nAAAA\n".to_owned(), CheckpointError::Root),
    ] {
        assert_eq!(wrong.parse::<Checkpoint>(), Err(expected), "{wrong:?}");
    }
    let extended = format!("a b+c\n18446744073709551615\n{root}\none\n two \n");
    let parsed: Checkpoint = extended.parse().unwrap();
    assert_eq!(parsed.extensions().collect::<Vec<_>>(), ["one", " two "]);
    assert_eq!(parsed.to_string(), extended);
    for origin in ["", "a\nb", "a\u{7f}"] {
        assert_eq!(Checkpoint::new(origin, TreeHead::EMPTY), Err(CheckpointError::Origin));
    }
    let checkpoint = Checkpoint::new("acme/logins", TreeHead { size: 7, root: Digest([1; 32]) }).unwrap();
    assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
}
