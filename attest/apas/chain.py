"""The hash that chains handoffs, as the reference implementation computes it (formats of rosary, `chain_hash`).

SHA-256 over: the phase as uint32, little-endian; agent, work item and summary, then each file and each commit, every
one followed by NUL; last, without one, the hash of the phase before. Version 1 has no commits, and in the hash's place
the name of the file before.

Nothing counts the files, so that a file can be taken for a commit, and a NUL inside a text for an end. What could be
read in two ways is therefore refused here, before it is hashed; of the rest no two have the same bytes.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from attest.apas.fields import commit_id, is_hex
from attest.errors import MalformedError

HASHED = "2"
NAMED = "1"
"""Versions: the phase before is in by its hash; only by the name of its file."""

_LIKE_A_COMMIT = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Link:
    """What the chain hash of one phase covers. Raises `MalformedError` for what has no unambiguous hash.

    `previous` is the hash of the phase before, 64 hex digits, empty for phase 0; of version 1 the name of its file.
    """

    phase: int
    from_agent: str
    work_item: str
    summary: str
    files: tuple[str, ...]
    commits: tuple[str, ...]
    previous: str
    version: str = HASHED

    def __post_init__(self) -> None:
        if self.version not in (HASHED, NAMED):
            raise MalformedError(f"{self.version[:40]!r} is no known version of handoffs: it is 1 or 2")
        if not 0 <= self.phase < 2**32:
            raise MalformedError(f"{self.phase} is no number of a phase: it has 32 bits")
        for text in (self.from_agent, self.work_item, self.summary, *self.files):
            if "\0" in text:
                raise MalformedError(f"phase {self.phase}: a NUL in {text[:60]!r} would make its chain hash ambiguous")
        for commit in self.commits:
            commit_id(commit, f"phase {self.phase}")
        for file in self.files:
            if not file or _LIKE_A_COMMIT.fullmatch(file):
                raise MalformedError(
                    f"phase {self.phase}: {file!r} cannot be told from a commit id, so that its chain hash is ambiguous"
                )
        self._check_previous()

    def hash(self) -> str:
        """The chain hash, 64 lower-case hex digits."""
        texts = [self.from_agent, self.work_item, self.summary, *self.files]
        if self.version == HASHED:
            texts += self.commits
        ended = b"".join(text.encode() + b"\0" for text in texts)
        return hashlib.sha256(self.phase.to_bytes(4, "little") + ended + self.previous.encode()).hexdigest()

    def _check_previous(self) -> None:
        if self.phase == 0:
            if self.previous:
                raise MalformedError("phase 0 names a phase before it")
        elif not self.previous:
            raise MalformedError(f"phase {self.phase} does not say which phase came before it")
        elif self.version == HASHED and not is_hex(self.previous):
            raise MalformedError(f"phase {self.phase}: the hash of the phase before is not 64 lower-case hex digits")
        elif self.version == NAMED and self.previous != file_name(self.phase - 1):
            raise MalformedError(f"phase {self.phase} names {self.previous[:60]!r} as the phase before it")


def file_name(phase: int) -> str:
    """What rosary calls the file of a phase."""
    return f".rsry-handoff-{phase}.json"
