"""What a rewrite record says: which commits a new one was made from, and what its maker found of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from attest.through import Who
from attest.types import Outcome, Voucher

MAX_OLD = 500
"""Commits behind one: as many as are judged behind a squash, and a record of them stays under half a megabyte."""


class Made(enum.StrEnum):
    """What was done to the old commits."""

    AMEND = "amend"
    REBASE = "rebase"
    SQUASH = "squash"
    CHERRY_PICK = "cherry-pick"
    MERGE = "merge"


class Relation(enum.StrEnum):
    """What new and old have in common."""

    SAME_TREE = "same-tree"
    """From the same tree to the same tree."""
    PATCH_ID = "patch-id"
    """The same changed lines with the same lines around them, white space included."""
    NONE = "none"


class RewriterKind(enum.StrEnum):
    """How it is known who made the new commit."""

    SIGNER = "signer"
    FORGE = "forge"
    COMMITTER = "committer"


@dataclass(frozen=True, slots=True)
class Signed:
    """When a signature was made: RFC 3339 in UTC, and who says so."""

    not_before: str
    not_after: str
    voucher: Voucher


@dataclass(frozen=True, slots=True)
class Old:
    """One old commit and what was found of it.

    Digests are lower-case hex. `reason` and `certificate_sha256` are empty, `actor`, `represented` and `time` None
    where there is none. `statements` are SHA-256 of the payloads that were stored about it, which nobody checked.
    """

    object_id: str
    object_sha256: str
    payload_sha256: str
    outcome: Outcome
    reason: str = ""
    actor: Who | None = None
    represented: Who | None = None
    certificate_sha256: str = ""
    time: Signed | None = None
    statements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class New:
    """The new commit. Ids and digests are lower-case hex."""

    object_id: str
    object_format: str
    object_sha256: str
    tree: str
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """How new and old relate. `base` is the commit that the old ones came after, empty where there is none.

    `patch_id` (as git prints it) and `patch_sha256` belong to `PATCH_ID`, `note` says of `NONE` why.
    """

    relation: Relation
    base: str = ""
    patch_id: str = ""
    patch_sha256: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rewriter:
    """Who made the new commit. `id` is the URI of a signer, empty for others."""

    kind: RewriterKind
    proven: bool
    name: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A record. `policy` and `policy_sha256` (hex) are what the old commits were judged by.

    `verifier` is the URI of who signs it, `recorded_at` RFC 3339 in UTC.
    """

    made: Made
    new: New
    old: tuple[Old, ...]
    compared: Compared
    rewriter: Rewriter
    policy: str
    policy_sha256: str
    verifier: str
    recorded_at: str
