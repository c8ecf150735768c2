"""What reading another's ref may cost: trees and files of anybody's making can name one large file a million times."""

from __future__ import annotations

from attest.errors import MalformedError, UnavailableError
from attest.repository import Repository

MAX_BYTES = 2 * 1024**3
"""Of trees and files that are looked at, each as often as it is: some minutes; 200,000 statements and their folders."""

_OBJECT_COST = 4096
"""Bytes that an object counts for beyond its own: many small ones take time, too."""


class Budget:
    """Reads objects of a ref's until they have `MAX_BYTES` in all, then raises `UnavailableError`."""

    def __init__(self, repository: Repository, ref: str) -> None:
        self.repository, self.ref, self._left = repository, ref, MAX_BYTES

    def read(self, oid: str) -> tuple[str, bytes]:
        """As `Repository.read`."""
        self.spend()
        kind, content = self.repository.read(oid)
        self.spend(len(content))
        return kind, content

    def tree(self, oid: str) -> bytes:
        """The content of a tree; `MalformedError` for anything else."""
        kind, content = self.read(oid)
        if kind != "tree":
            raise MalformedError(f"{self.ref} has a {kind} in the place of a folder")
        return content

    def spend(self, size: int = 0) -> None:
        """Count an object, or the `size` of one."""
        self._left -= size or _OBJECT_COST
        if self._left < 0:
            raise UnavailableError(
                f"what {self.ref} leads to has more than {MAX_BYTES:,} bytes; not all of it was read",
                hint="If you do not expect that many, somebody pushed them to do harm: put the ref back.",
            )
