"""How far a history was examined, under which policy and bundle, so that the next run looks at the rest alone.

A checkpoint is a JSON document in a DSSE envelope, signed by a key that the operator named and read back only under
that key: whoever could write the file otherwise could have the next run skip what he added. What it says holds for one
question (`question`): other arguments, another policy, other anchors or another trust bundle begin anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attest import canonical, dsse, keys, wholefile
from attest.dsse import Envelope, EnvelopeSignature
from attest.errors import Error, MalformedError, UnavailableError
from attest.query import Query
from attest.signing_key import SigningKey
from attest.types import Outcome
from attest.verify import FINDINGS_VERSION

PAYLOAD_TYPE = "application/vnd.notme.checkpoint.v0.1+json"
VERSION = 1

MAX_OPEN = 1000
"""Objects that were not accepted and are named in a checkpoint; the others are counted."""

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Open:
    """An object that was not accepted: its id, the outcome and the reason."""

    object_id: str
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that `done` reaches was examined; of the walk that begins at `tips` the first `position` objects were,
    the last of them `last`. `counts` and `open` are about all of these. `at` is when it was written, unix seconds.
    """

    question: str
    at: int
    done: tuple[str, ...] = ()
    tips: tuple[str, ...] = ()
    position: int = 0
    last: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    open: tuple[Open, ...] = ()

    def encode(self) -> bytes:
        """The signed document."""
        return json.dumps(
            {
                "version": VERSION,
                "question": self.question,
                "at": self.at,
                "done": list(self.done),
                "tips": list(self.tips),
                "position": self.position,
                "last": self.last,
                "counts": dict(sorted(self.counts.items())),
                "open": [[item.object_id, item.outcome.value, item.reason] for item in self.open],
            },
            separators=(",", ":"),
        ).encode()

    @classmethod
    def parse(cls, payload: bytes) -> Checkpoint:
        """What `encode` wrote, or `MalformedError`."""
        top = dsse.read_json(payload)
        try:
            found = cls(
                question=_hex(top["question"]),
                at=_number(top["at"]),
                done=tuple(_hex(item) for item in top["done"]),
                tips=tuple(_hex(item.removeprefix("^")) and item for item in top["tips"]),
                position=_number(top["position"]),
                last=_hex(top["last"]),
                counts={Outcome(name).value: _number(count) for name, count in top["counts"].items()},
                open=tuple(Open(_hex(oid), Outcome(outcome), _word(reason)) for oid, outcome, reason in top["open"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise MalformedError("not a checkpoint") from None
        if found.encode() != payload:
            raise MalformedError("not a checkpoint in its one form")
        return found


def question(query: Query, arguments: Sequence[str], object_format: str) -> str:
    """SHA-256, in hex, of everything that a verdict depends on beside the objects."""
    trusted, policy = query.trusted, query.policy
    bundles = [t.bundle for t in (trusted, *trusted.others)]
    parts = [
        f"{VERSION} {FINDINGS_VERSION} {object_format} {query.profile} {policy.name if policy else ''}",
        policy.digest.hex() if policy is not None else "",
        repr((query.context.ref, query.context.repository)),
        " ".join(sorted(anchor.key.spki_sha256.hex() for anchor in trusted.anchors)),
        " ".join(canonical.digest(b).hex() if b is not None else "-" for b in bundles),
        trusted.foreign.digest.hex() if trusted.foreign is not None else "",
        f"{query.notes} " + " ".join(sorted(key.spki_sha256.hex() for key in query.attesters)),
        *arguments,
    ]
    return hashlib.sha256("\n".join(hashlib.sha256(p.encode()).hexdigest() for p in parts).encode()).hexdigest()


def read(path: Path, key: SigningKey) -> Checkpoint | None:
    """The checkpoint in a file, None without a file. Raises `UnavailableError` for one that this key did not sign."""
    try:
        with open(path, "rb") as file:
            text = file.read(dsse.MAX_JSON_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnavailableError(f"cannot read the checkpoint {path}: {error.strerror}") from None
    try:
        envelope = dsse.parse_envelope(text)
        if envelope.payload_type != PAYLOAD_TYPE or len(envelope.signatures) != 1:
            raise MalformedError("another kind of document")
        keys.verify_signature(key.public, envelope.signatures[0].sig, dsse.pae(PAYLOAD_TYPE, envelope.payload))
        return Checkpoint.parse(envelope.payload)
    except Error as error:
        raise UnavailableError(
            f"{path} is no checkpoint signed by this key: {error.message}",
            hint="name the key that it was made with, or remove the file to begin anew",
        ) from None


def write(path: Path, key: SigningKey, checkpoint: Checkpoint) -> None:
    """Replace the file, whole or not at all; `UnavailableError`."""
    payload = checkpoint.encode()
    signature = EnvelopeSignature(key.sign(dsse.pae(PAYLOAD_TYPE, payload)), key.public.key_id)
    wholefile.write(path, Envelope(payload, PAYLOAD_TYPE, (signature,)).encode() + b"\n")


def _hex(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 64 or not _HEX.issuperset(value):
        raise ValueError
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 64 or not value.isascii() or not value.isprintable():
        raise ValueError
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise ValueError
    return value
