"""Checks an export with Python packages that have nothing to do with bulla."""

import base64
import pathlib
import struct
import sys
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymerkle import InmemoryTree, verify_consistency
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint

DIR = pathlib.Path(sys.argv[1])


def text(name):
    return (DIR / name).read_text(encoding="utf-8")


def entries(size):
    """Every bundle of entries, in order."""
    found = []
    for first in range(0, size, 256):
        width = min(256, size - first)
        index = f"{first // 256:03}" + (f".p/{width}" if width < 256 else "")
        bundle = (DIR / "tile" / "entries" / index).read_bytes()
        while bundle:
            (length,) = struct.unpack(">H", bundle[:2])
            found.append(bundle[2 : 2 + length])
            bundle = bundle[2 + length :]
    return found


def checkpoint(name):
    """Parsed by sigstore, its signature checked by cryptography."""
    note = text(name)
    signed = SignedCheckpoint.from_text(note)
    body, _ = note.split("\n\n")
    key = base64.b64decode(text("key.pub").split("+", 2)[2])
    assert key[0] == 1, "an Ed25519 key"
    signature = signed.signed_note.signatures[0].signature
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(base64.b64decode(signature), (body + "\n").encode())
    head = signed.checkpoint
    return head.log_size, bytes.fromhex(head.log_hash)


def main():
    (size, root), (old_size, old_root) = checkpoint("checkpoint"), checkpoint("checkpoint.old")
    everything = entries(size)
    assert len(everything) == size

    tree = InmemoryTree(algorithm="sha256")
    for entry in everything:
        tree.append_entry(entry)
    assert tree.get_root() == root, "pymerkle has another root"
    assert tree.get_root(old_size) == old_root, "pymerkle has another earlier root"
    verify_consistency(old_root, root, tree.prove_consistency(old_size, size))

    for index in (0, 40_000, 69_999):
        lines = text(f"{index}.tlog-proof").split("\n\n")[0].split("\n")
        proof = SimpleNamespace(
            log_index=index,
            tree_size=size,
            root_hash=root,
            hashes=[base64.b64decode(line) for line in lines[3:]],
        )
        inner = SimpleNamespace(inclusion_proof=proof, canonicalized_body=everything[index])
        verify_merkle_inclusion(SimpleNamespace(_inner=inner))
    print(f"pymerkle, sigstore, cryptography: {size} entries, 4 proofs")


main()
