"""Envelopes as ley-line's reference implementation reads and writes them (its `envelope` crate, used by rosary).

They are DSSE in base64url without padding; its parser takes nothing else. Keys are named by hints, in three
spellings, none of which decides anything here.

An early emitter signed the pre-authentication encoding of the *base64 text* of the payload. Such a signature covers
other bytes than DSSE says and is refused; that it is one is said, because whoever meets it has to sign again.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Collection
from dataclasses import replace

from attest import dsse
from attest.dsse import Envelope
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.keys import PublicKey

KEY_ID, RAW_SHA256, PREFIXED = "by its key id", "by the SHA-256 of the raw key", "by sha256: and a digest"
"""Spellings of a key's name: the first half of its SPKI's SHA-256 (ADR-012); the SHA-256 of the raw key; `sha256:` and
the SHA-256 of either, as APAS section 3.3 leaves open."""


def encode(envelope: Envelope, key: PublicKey | None = None) -> bytes:
    """Compact JSON with base64url without padding. With `key`, who made the one signature, that is named as here."""
    signatures = [
        {"keyid": one.keyid if key is None else key.key_id, "sig": _url(one.sig)} for one in envelope.signatures
    ]
    top = {"payload": _url(envelope.payload), "payloadType": envelope.payload_type, "signatures": signatures}
    return json.dumps(top, separators=(",", ":")).encode("ascii")


def spelling(keyid: str, key: PublicKey) -> str:
    """In which spelling the hint names the key, or empty: it does not."""
    spki, raw = key.spki_sha256.hex(), hashlib.sha256(key.raw).hexdigest()
    if keyid == key.key_id:
        return KEY_ID
    if keyid == raw:
        return RAW_SHA256
    return PREFIXED if keyid in (f"sha256:{spki}", f"sha256:{raw}") else ""


def verify(envelope: Envelope, trusted: Collection[PublicKey]) -> tuple[PublicKey, ...]:
    """Which of the trusted keys signed the in-toto Statement in the envelope, each once; at least one did.

    Raises `VerificationError`, for a signature over the payload's base64 text in words of its own.
    """
    if not dsse.is_statement(envelope.payload_type):
        raise MalformedError(f"the envelope holds {envelope.payload_type[:80]!r}, not an in-toto Statement")
    try:
        return dsse.verify_envelope(envelope, trusted)
    except VerificationError:
        if not any(_is_legacy(replace(envelope, payload=text), trusted) for text in _spellings(envelope.payload)):
            _refuse_named(envelope, trusted)
            raise
    raise VerificationError(
        Step.INTEGRITY,
        Reason.SIGNATURE_INVALID,
        "legacy signature form: it is over the payload's base64 text, and not over the payload",
        hint="have whoever made it sign again with a release that follows DSSE",
    )


def _refuse_named(envelope: Envelope, trusted: Collection[PublicKey]) -> None:
    """Tell a signature that fails from one of somebody else: a hint is good for that."""
    for key in trusted:
        for made in envelope.signatures:
            if how := spelling(made.keyid, key):
                raise VerificationError(
                    Step.INTEGRITY,
                    Reason.SIGNATURE_INVALID,
                    f"it names the key {key.key_id} ({how}), and is not signed with it",
                )


def _is_legacy(envelope: Envelope, trusted: Collection[PublicKey]) -> bool:
    try:
        return bool(dsse.verify_envelope(envelope, trusted))
    except VerificationError:
        return False


def _spellings(payload: bytes) -> tuple[bytes, ...]:
    standard, url = b64encode(payload), urlsafe_b64encode(payload)
    return tuple(dict.fromkeys((url.rstrip(b"="), standard, standard.rstrip(b"="), url)))


def _url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
