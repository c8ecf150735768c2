"""DSSE envelopes (protocol 1.0.2), and the strict JSON that they and statements are read as.

Key ids are unauthenticated hints and decide nothing here: a signature is tried under each key that is accepted.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from attest import keys
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.keys import PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"

_STATEMENT = re.compile(r"application/vnd\.in-toto(?:\.[A-Za-z0-9._-]{1,100})?\+json")

MAX_JSON_BYTES = 1024 * 1024
"""A commit's bundle is under 8 KiB; a summary that lists some thousand attestations still fits."""

MAX_JSON_DEPTH = 64
"""Our statements nest 7 deep; without a bound the parser's recursion is the bound."""

MAX_SIGNATURES = 16
"""Each costs a signature check before anything is known about the sender."""

JsonObject: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """One signature of an envelope, raw bytes. `keyid` is whatever the signer wrote."""

    sig: bytes
    keyid: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type and at least one signature; nothing in it is verified."""

    payload: bytes
    payload_type: str
    signatures: tuple[EnvelopeSignature, ...]

    def encode(self) -> bytes:
        """Compact JSON with padded standard base64, the form every reader takes."""
        signatures = (b'{"sig":"%b","keyid":%b}' % (b64encode(s.sig), quoted(s.keyid)) for s in self.signatures)
        return b'{"payload":"%b","payloadType":%b,"signatures":[%b]}' % (
            b64encode(self.payload),
            quoted(self.payload_type),
            b",".join(signatures),
        )


def is_statement(payload_type: str) -> bool:
    """Whether an in-toto Statement is in it; the name of a predicate there decides nothing (in-toto, envelope.md)."""
    return _STATEMENT.fullmatch(payload_type) is not None


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes a DSSE signature covers: pre-authentication encoding, protocol 1.0.2, over the raw payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse_envelope(data: bytes) -> Envelope:
    """Read a DSSE envelope: JSON as `read_json` has it, base64 of either alphabet, padded or not.

    Unknown fields are ignored, as the protocol asks. Raises `MalformedError`, also for an envelope
    without a signature.
    """
    return envelope_of(read_json(data))


def envelope_of(top: Mapping[str, Any]) -> Envelope:
    """The same for an object that `read_json` returned, or that is within one."""
    signatures = tuple(
        EnvelopeSignature(bytes_at(item, "sig"), text_at(item, "keyid") if item.get("keyid") is not None else "")
        for item in objects_at(top, "signatures", most=MAX_SIGNATURES, least=1)
    )
    return Envelope(payload=bytes_at(top, "payload"), payload_type=text_at(top, "payloadType"), signatures=signatures)


def verify_envelope(envelope: Envelope, accepted: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
    """The accepted keys that signed, each once; at least one did. Who wants n of m counts them.

    Protocol 1.0.2, "(t, n)-ENVELOPE": keys are counted, not signatures and not key ids, which anybody can write. A
    signature that no accepted key made is passed over. Raises `VerificationError` where none is left.
    """
    message = pae(envelope.payload_type, envelope.payload)
    signed = tuple(key for key in dict.fromkeys(accepted) if _signed(envelope, key, message))
    if not signed:
        raise VerificationError(Step.INTEGRITY, Reason.KEY_UNKNOWN, "no key that was named signed it")
    return signed


def read_json(data: bytes) -> JsonObject:
    """The one JSON object in `data`, read so that no two readers can see different things in it.

    Refused with `MalformedError`: more than `MAX_JSON_BYTES` or `MAX_JSON_DEPTH`, anything but UTF-8,
    duplicate keys (RFC 8259 section 4 leaves them open), NaN and numbers that overflow, lone surrogates.
    """
    if len(data) > MAX_JSON_BYTES:
        raise MalformedError(f"{len(data)} bytes of JSON; at most {MAX_JSON_BYTES} are read")
    try:
        value = _DECODER.decode(data.decode())
    except ValueError as error:
        raise MalformedError(f"not one JSON document in UTF-8: {error}") from None
    except RecursionError:
        raise MalformedError("JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise MalformedError("JSON document is not an object")
    # Fewer brackets than that cannot nest deeper; and only an escape makes a lone surrogate.
    if data.count(b"{") + data.count(b"[") > MAX_JSON_DEPTH or b"\\u" in data:
        _check_depth_and_text(value)
    return value


def object_at(top: Mapping[str, Any], name: str) -> JsonObject:
    """The object under a name; this and what follows raise `MalformedError` for anything else."""
    value = top.get(name)
    if not isinstance(value, dict):
        raise MalformedError(f"{name} is missing or not an object")
    return value


def objects_at(top: Mapping[str, Any], name: str, *, most: int, least: int = 0) -> list[JsonObject]:
    """The list of `least` to `most` objects under a name."""
    value = top.get(name)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MalformedError(f"{name} is missing or not a list of objects")
    if not least <= len(value) <= most:
        raise MalformedError(f"{name} has {len(value)} entries, not {least} to {most}")
    return value


def text_at(top: Mapping[str, Any], name: str) -> str:
    """The string under a name."""
    value = top.get(name)
    if not isinstance(value, str):
        raise MalformedError(f"{name} is missing or not a string")
    return value


def bytes_at(top: Mapping[str, Any], name: str) -> bytes:
    """Base64 in one alphabet, padded or not; its re-encoding must give the text back.

    That one comparison refuses mixed alphabets, white space, stray padding and set trailing bits.
    """
    text = text_at(top, name)
    url = "-" in text or "_" in text
    try:
        data = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_" if url else None, validate=True)
    except ValueError as error:
        raise MalformedError(f"{name} is not base64: {error}") from None
    again = (urlsafe_b64encode(data) if url else b64encode(data)).decode("ascii")
    if text not in (again, again.rstrip("=")):
        raise MalformedError(f"{name} is not base64 in one of its four plain spellings")
    if not data and name != "payload":
        raise MalformedError(f"{name} is empty")
    return data


def quoted(text: str) -> bytes:
    """A string as JSON in ASCII."""
    return json.dumps(text).encode("ascii")


def _signed(envelope: Envelope, key: PublicKey, message: bytes) -> bool:
    for made in envelope.signatures:
        try:
            keys.verify_signature(key, made.sig, message)
        except VerificationError:
            continue
        return True
    return False


def _check_depth_and_text(top: JsonObject) -> None:
    """Walks without recursion; a lone surrogate is a string that has no UTF-8 and so no second reader."""
    level: list[Any] = [top]
    for _ in range(MAX_JSON_DEPTH):
        following: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                following += value
                following += value.values()
            elif isinstance(value, list):
                following += value
            elif isinstance(value, str) and not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError:
                    raise MalformedError("a JSON string holds half of a surrogate pair") from None
        if not following:
            return
        level = following
    raise MalformedError(f"JSON is nested more than {MAX_JSON_DEPTH} deep")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a number of JSON's range")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_float=_finite, parse_constant=_finite)
