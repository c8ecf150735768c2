"""Every code that the verifier prints, with what it means, an example, and what to do about it.

This is the one source: `notme-attest reasons` prints it, and docs/reasons.md is made from it.
"""

from __future__ import annotations

from attest.errors import UsageError
from attest.reasons.entry import Entry, Kind
from attest.reasons.remarks import REMARKS
from attest.reasons.said import CONTRADICTIONS
from attest.reasons.steps import REASONS

__all__ = ["ENTRIES", "Entry", "Kind", "entry_of"]

ENTRIES = {entry.code: entry for entry in (*REASONS, *CONTRADICTIONS, *REMARKS)}
"""By code: reasons, then contradictions, then remarks."""


def entry_of(code: str) -> Entry:
    """The entry of a code, or `UsageError` that names the nearest ones."""
    if (found := ENTRIES.get(code)) is not None:
        return found
    import difflib

    near = difflib.get_close_matches(code, ENTRIES, 3, 0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "notme-attest reasons lists all of them."
    raise UsageError(f"{code[:80]!r} is no code of the verifier's", hint=hint)
