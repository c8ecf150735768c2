"""Rewrite records among stored lines: read, and not yet believed."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from attest import dsse, stamps
from attest.dsse import Envelope
from attest.errors import Error
from attest.lines import envelope_of as envelope_in
from attest.rewrites.model import Rewrite
from attest.rewrites.statement import PREDICATE_TYPE, read

MAX_RECORDS = 64
"""Of one commit: a record for each verifier and way of making it. Whoever may push can add more, unsigned ones too."""

_MARK = PREDICATE_TYPE.encode()


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored line that holds a rewrite record. Nothing of it is verified."""

    line: bytes
    envelope: Envelope
    rewrite: Rewrite

    @property
    def sha256(self) -> str:
        """By which the record goes: SHA-256 (hex) of the Statement's bytes."""
        return hashlib.sha256(self.envelope.payload).hexdigest()


def of_lines(lines: Iterable[bytes]) -> Iterator[Stored]:
    """The records among stored lines, at most `MAX_RECORDS`; what is malformed or something else is passed over."""
    count = 0
    for line in lines:
        if count == MAX_RECORDS:
            return
        with contextlib.suppress(Error):
            envelope = envelope_of(line)
            if envelope is not None and _MARK in envelope.payload:
                made = Stored(line, envelope, read(envelope.payload))
                count += 1
                yield made


def envelope_of(line: bytes) -> Envelope | None:
    """The envelope in a line, None for a line that holds none. Raises `MalformedError`."""
    if stamps.is_stamp(line):
        return None
    return envelope_in(dsse.read_json(line))
