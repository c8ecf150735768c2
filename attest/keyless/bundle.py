"""Sigstore bundles of version 0.1 to 0.3 around a DSSE envelope (protobuf-specs, `sigstore_bundle.proto`).

`bundles.Bundle` is the form of bundles by an authority of ours, whose log entries are passed over; here they are read.
"""

from __future__ import annotations

from dataclasses import dataclass

from attest import bundles, dsse
from attest.bundles import Bundle
from attest.errors import MalformedError
from attest.keyless.entry import Entry
from attest.keyless.fields import Fields

MAX_ENTRIES = 4
"""One is made; each costs up to two signature checks before anything is known about the sender."""


@dataclass(frozen=True, slots=True)
class KeylessBundle:
    """Certificate, envelope and time-stamps (`bundle`), and the log entries; nothing is verified."""

    bundle: Bundle
    entries: tuple[Entry, ...]

    @classmethod
    def parse(cls, data: bytes) -> KeylessBundle:
        """Read one bundle, strictly, as `bundles.parse_bundle` does; `MalformedError`."""
        bundle = bundles.parse_bundle(data)
        top = Fields(dsse.read_json(data), "")
        material = top.message("verificationMaterial")
        entries = tuple(Entry.read(item) for item in material.messages("tlogEntries", most=MAX_ENTRIES))
        # Version 0.1 alone may go by the promise alone.
        if not top.text("mediaType").endswith("=0.1") and any(entry.inclusion is None for entry in entries):
            raise MalformedError("a log entry has no inclusion proof, which this version of bundles asks for")
        return cls(bundle, entries)
