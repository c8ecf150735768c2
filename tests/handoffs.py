"""Handoffs as an orchestrator leaves them in a workspace: rosary's documents, and envelopes as its library writes."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attest import keys
from attest.dsse import PAYLOAD_TYPE, pae
from attest.keys import PublicKey

ORCHESTRATOR = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
STRANGER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)

# The two phases of formats.md 10.3, and what the reference implementation hashed of them.
HASHES = (
    "e75bee95e11c905e5dfea2fcf8c1b000b1a16a1a8892668196042b8823c8ca4b",
    "ebd610045bb751d7979ad5d6198439ba26c622d2a0d36714118729357276d504",
)
PHASES: tuple[dict[str, Any], ...] = (
    {
        "from_agent": "scoping-agent",
        "to_agent": "dev-agent",
        "summary": "scope the fix",
        "files_changed": ["docs/plan.md"],
        "commit_shas": ["1f0c" * 10],
    },
    {
        "from_agent": "dev-agent",
        "to_agent": None,
        "summary": "fix: refuse empty cert",
        "files_changed": ["src/verify.py", "tests/test_verify.py"],
        "commit_shas": ["2a1d" * 10],
        "previous_chain_hash": HASHES[0],
    },
)


def public(key: Ed25519PrivateKey) -> PublicKey:
    return keys.from_cryptography(key.public_key())


def document(phase: int, **changed: Any) -> bytes:
    """The file of one of the two phases, or of a later one like the second, pretty-printed as rosary writes it."""
    made = {
        "schema_version": "2",
        "phase": phase,
        "bead_id": "acme-17",
        "provider": "claude",
        "lines_changed": {"added": 47, "removed": 12},
        "review_hints": [],
        "artifacts": {
            "manifest": ".rsry-dispatch.json",
            "log": f".rsry-stream-{phase}.jsonl",
            "previous_handoff": f".rsry-handoff-{phase - 1}.json" if phase else None,
        },
        "verdict": None,
        "timestamp": "2026-11-23T13:58:10.123456Z",
        **PHASES[min(phase, 1)],
        **changed,
    }
    return json.dumps(made, indent=2).encode()


def statement(name: str, data: bytes) -> bytes:
    """What rosary states of a document: its subject is the bytes on disk, its predicate the same JSON."""
    made = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": hashlib.sha256(data).hexdigest()}}],
        "predicateType": "https://rosary.dev/Handoff/v1",
        "predicate": json.loads(data),
    }
    return json.dumps(made, separators=(",", ":")).encode()


def envelope(payload: bytes, *signers: Ed25519PrivateKey, legacy: bool = False) -> bytes:
    """The envelope as ley-line's library writes it, base64url without padding.

    `legacy` signs the payload's base64 text, as rosary once did.
    """
    text = urlsafe_b64encode(payload).rstrip(b"=")
    message = pae(PAYLOAD_TYPE, text if legacy else payload)
    signatures = [
        {"keyid": public(key).key_id, "sig": urlsafe_b64encode(key.sign(message)).rstrip(b"=").decode()}
        for key in signers
    ]
    return json.dumps({"payload": text.decode(), "payloadType": PAYLOAD_TYPE, "signatures": signatures}).encode()
