"""What one stored line is about, whoever made it; whether it is true its reader finds out (`attestation`).

A line is a DSSE envelope, bare or in a bundle, around an in-toto Statement about objects of git, or a time-stamp.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attest import dsse, said, stamps
from attest.dsse import Envelope, read_json
from attest.errors import MalformedError
from attest.said import Said, Subject

MAX_LINE_BYTES = dsse.MAX_JSON_BYTES

_DIGESTS = ("gitCommit", "gitTag", "gitTree", "gitBlob", "sha1")
"""Of each subject the first counts: some give the tree of a commit beside it, which other commits have as well."""

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is well-formed. `about` are the ids of objects, lower-case hex, of either length; at least one.

    Of a time-stamp there is no `envelope`, and nothing `said`.
    """

    content: bytes
    about: tuple[str, ...]
    envelope: Envelope | None = None
    said: Said | None = None


def parse(content: bytes) -> Line:
    """The line that `content`, without a line feed, is; or `MalformedError`. Nothing about it is verified."""
    if stamps.is_stamp(content):
        return Line(content, (stamps.decode(content)[0],))
    if b"\n" in content or b"\r" in content:
        raise MalformedError("more than one line")
    envelope = envelope_of(read_json(content))
    if not dsse.is_statement(envelope.payload_type):
        raise MalformedError(f"the payload is {envelope.payload_type[:60]!r}, not an in-toto Statement")
    read = said.read(envelope.payload)
    return Line(content, _object_ids(read), envelope, read)


def one_line(content: bytes) -> bytes:
    """A JSON document of somebody else as one line. What is signed in it is base64, and stays as it is."""
    text = content.strip()
    return text if b"\n" not in text and b"\r" not in text else json.dumps(read_json(text)).encode("ascii")


def envelope_of(top: Mapping[str, Any]) -> Envelope:
    """The DSSE envelope that a JSON object is, or that it has as a bundle. `MalformedError`."""
    inner = top.get("dsseEnvelope", top)
    if not isinstance(inner, dict):
        raise MalformedError("dsseEnvelope is not an object")
    return dsse.envelope_of(inner)


def _object_ids(read: Said) -> tuple[str, ...]:
    found = dict.fromkeys(oid for subject in read.subjects if (oid := _object_id(subject)))
    if not found:
        raise MalformedError("the statement is about no object of git")
    return tuple(found)


def _object_id(subject: Subject) -> str:
    value = next((subject.digests[name] for name in _DIGESTS if name in subject.digests), "")
    return value if len(value) in (40, 64) and _HEX.issuperset(value) else ""
