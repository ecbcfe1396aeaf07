//! Any bytes as a note, a checkpoint, a key or a proof: what parses has one text, and no key but its own has signed it.
#![no_main]

use bulla_chain::{
    AddCheckpoint, Checkpoint, ConsistencyText, InclusionText, Note, NoteError, NoteSigner, ShownCheckpoint,
    VerifierKey,
};
use bulla_fuzz::compare;
use bulla_reference as reference;
use libfuzzer_sys::fuzz_target;
use reference::Refused;
use std::sync::LazyLock;

static KEYS: LazyLock<Vec<VerifierKey>> = LazyLock::new(|| {
    let signer = NoteSigner::from_seed("acme", &[7; 32]).expect("a name");
    vec![signer.verifier(), signer.cosigner()]
});

fuzz_target!(|data: &[u8]| {
    let note = Note::parse(data);
    assert_eq!(note.as_ref().map(in_other_words).map_err(|_| Refused::Wrong), reference::note(data), "{note:?}");
    if let Ok(note) = note {
        assert_eq!(note.to_string().as_bytes(), data);
        // Whoever finds a signature of that key has it in the seeds, or has broken Ed25519.
        match note.verify(&KEYS) {
            Ok(_) => assert!(note.signatures().iter().any(|line| line.name() == "acme")),
            Err(NoteError::Untrusted | NoteError::Forged { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }

    if let Ok(text) = str::from_utf8(data) {
        let checkpoint = text.parse::<Checkpoint>();
        let found = checkpoint.as_ref().map(checkpoint_in_other_words).map_err(|_| Refused::Wrong);
        assert_eq!(found, reference::checkpoint(text), "{checkpoint:?}");
        if let Ok(checkpoint) = checkpoint {
            assert_eq!(checkpoint.to_string(), text);
        }
        if let Ok(key) = text.parse::<VerifierKey>() {
            assert_eq!(key.to_string(), text);
        }
        if let Ok(signer) = text.parse::<NoteSigner>() {
            assert_eq!(signer.to_secret_text(), text);
        }
    }

    let inclusion = InclusionText::parse(data);
    let found = inclusion.as_ref().map(|text| reference::Proof {
        number: text.proof.index,
        extra: text.extra.clone(),
        hashes: compare::digests(&text.proof.hashes),
        checkpoints: vec![shown(&text.checkpoint)],
    });
    assert_eq!(found.map_err(|_| Refused::Wrong), reference::inclusion(data), "{inclusion:?}");
    if let Ok(text) = inclusion {
        assert_eq!(text.to_string().as_bytes(), data);
    }

    let request = AddCheckpoint::parse(data);
    let found = request.as_ref().map(|text| reference::Proof {
        number: text.old_size,
        extra: Vec::new(),
        hashes: compare::digests(&text.proof.hashes),
        checkpoints: vec![shown(&text.checkpoint)],
    });
    assert_eq!(found.map_err(|_| Refused::Wrong), reference::request(data), "{request:?}");
    if let Ok(text) = request {
        assert_eq!(text.to_string().as_bytes(), data);
    }

    let consistency = ConsistencyText::parse(data);
    let found = consistency.as_ref().map(|text| reference::Proof {
        number: 0,
        extra: Vec::new(),
        hashes: compare::digests(&text.proof.hashes),
        checkpoints: vec![shown(&text.old), shown(&text.new)],
    });
    assert_eq!(found.map_err(|_| Refused::Wrong), reference::consistency(data), "{consistency:?}");
    if let Ok(text) = consistency {
        assert_eq!(text.to_string().as_bytes(), data);
    }
});

fn in_other_words(note: &Note) -> reference::Note {
    let signature =
        |line: &bulla_chain::NoteSignature| (line.name().to_owned(), line.key_id(), line.signature().to_vec());
    reference::Note { text: note.text().to_owned(), signatures: note.signatures().iter().map(signature).collect() }
}

fn checkpoint_in_other_words(checkpoint: &Checkpoint) -> reference::Checkpoint {
    reference::Checkpoint {
        origin: checkpoint.origin().to_owned(),
        head: compare::head(checkpoint.head()),
        further: checkpoint.extensions().map(str::to_owned).collect(),
    }
}

fn shown(shown: &ShownCheckpoint) -> reference::Shown {
    (checkpoint_in_other_words(shown.checkpoint()), shown.note().map(in_other_words))
}
