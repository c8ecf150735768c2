"""What servers state that they saw arrive (`receive.witness` makes it), as its readers have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attest import dsse, said
from attest.errors import MalformedError
from attest.keys import PublicKey

PREDICATE_TYPE = "https://notme.bot/provenance/witness/v0.1"
"""Proposed by this project. Compared literally and never fetched."""

MEDIA_TYPE = "application/vnd.notme.witness.v0.1+json"

HEAD = f'{{"mediaType":"{MEDIA_TYPE}","dsseEnvelope":'.encode()
"""What a stored line begins with."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A witness statement that holds: `key` signed that `ref` went from `old` to `new`, None where there is none.

    `payload` are the Statement's bytes, `received_at` is RFC 3339 in UTC, as it was written.
    """

    payload: bytes
    key: PublicKey
    witness: str
    ref: str
    old: str | None
    new: str | None
    received_at: str
    signed_push: bool


def is_witness(line: bytes) -> bool:
    """Whether a stored line claims to be a witness statement, and so is no bundle."""
    return line.startswith(HEAD)


def verify(line: bytes, oid: str, trusted: tuple[PublicKey, ...]) -> Witnessed:
    """What a stored line about the object `oid` proves, if one of the `trusted` keys signed it.

    Raises `MalformedError` for what is no witness statement, `VerificationError` where nobody who is trusted signed.
    """
    top = dsse.read_json(line)
    if top.get("mediaType") != MEDIA_TYPE:
        raise MalformedError("not a witness statement")
    envelope = dsse.envelope_of(_dict(top, "dsseEnvelope"))
    if envelope.payload_type != dsse.PAYLOAD_TYPE:
        raise MalformedError("the envelope holds no in-toto Statement")
    key = dsse.verify_envelope(envelope, trusted)[0]
    statement = said.read(envelope.payload)
    about = [oid in subject.digests.values() for subject in statement.subjects]
    if statement.predicate_type != PREDICATE_TYPE or about != [True]:
        raise MalformedError("the statement is of another kind, or about another object")
    found = statement.predicate
    return Witnessed(
        payload=envelope.payload,
        key=key,
        witness=_text(_dict(found, "witness"), "id"),
        ref=_text(found, "ref"),
        old=_tip(found, "old"),
        new=_tip(found, "new"),
        received_at=_text(found, "receivedAt"),
        signed_push=found.get("pushCertificate") is not None,
    )


def _dict(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    if not isinstance(value, dict):
        raise MalformedError(f"{name} is missing or not an object")
    return value


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str):
        raise MalformedError(f"{name} is missing or not a string")
    return value


def _tip(found: Mapping[str, Any], name: str) -> str | None:
    if found.get(name) is None:
        return None
    values = list(_dict(found, name).values())
    if len(values) != 1 or not isinstance(values[0], str):
        raise MalformedError(f"{name} is not one digest")
    return values[0]
