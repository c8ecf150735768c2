"""Lines as they are stored, signed by keys that nobody knows: for whoever moves lines and verifies none."""

from __future__ import annotations

import json
from typing import Any

from attest import bundles, dsse, stamps
from attest.dsse import Envelope, EnvelopeSignature

PREDICATE_TYPE = "https://notme.bot/provenance/commit/v0.1"


def payload(digest: dict[str, str], **changed: Any) -> bytes:
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": digest}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"who": "añy"},
    }
    return json.dumps({**statement, **changed}).encode()


def envelope(content: bytes, sig: bytes = b"signature") -> Envelope:
    return Envelope(content, dsse.PAYLOAD_TYPE, (EnvelopeSignature(sig, "key"),))


def bundle(oid: str, sig: bytes = b"signature", **changed: Any) -> bytes:
    """A Sigstore bundle about a commit."""
    return bundles.Bundle(b"certificate", (b"stamp",), envelope(payload({"gitCommit": oid}, **changed), sig)).encode()


def bare(oid: str, sig: bytes = b"bare") -> bytes:
    """A DSSE envelope about a commit, and nothing around it."""
    return envelope(payload({"gitCommit": oid}), sig).encode()


def witness(oid: str) -> bytes:
    made = envelope(payload({"gitCommit": oid})).encode()
    return b'{"mediaType":"application/vnd.notme.witness.v0.1+json","dsseEnvelope":%b}' % made


def stamp(oid: str) -> bytes:
    return stamps.encode(oid, b"token")
