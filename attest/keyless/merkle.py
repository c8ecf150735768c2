"""Audit paths of a Merkle tree (RFC 6962 section 2.1): that an entry is in a log whose root hash is known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from attest.errors import MalformedError

MAX_PATH = 63
"""Levels above the leaves of a tree whose size fits 63 bits."""

_SIZE = hashlib.sha256().digest_size


def root_of(entry: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root hash of a tree of `size` entries that has `entry` at `index` (from 0), by its audit path.

    32 bytes. The algorithm is RFC 9162 section 2.1.3.2. `MalformedError` where no such tree can have such a path;
    whether the root is the log's is for the caller to say.
    """
    if not 0 <= index < size:
        raise MalformedError(f"a tree of {size} entries has none at {index}")
    if len(path) > MAX_PATH or any(len(piece) != _SIZE for piece in path):
        raise MalformedError("the audit path is too long, or not of SHA-256 hashes")
    at, last = index, size - 1
    found = hashlib.sha256(b"\0" + entry).digest()
    for piece in path:
        if last == 0:
            raise MalformedError("the audit path is longer than the tree is high")
        if at & 1 or at == last:
            found = _node(piece, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = _node(found, piece)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise MalformedError("the audit path is shorter than the tree is high")
    return found


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
