"""A repository with commits of agents that were made into others, and verifiers that record it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from attest import certfacts, history, store
from attest.keys import PublicKey
from attest.policy import Context, Policy
from attest.query import Query
from attest.repository import Repository, open_repository
from attest.rewrites import maker
from attest.rewrites.compare import Pair
from attest.rewrites.maker import Asked
from attest.rewrites.model import Made, Rewrite
from attest.row import Row
from attest.rules.ruleset import Ruleset
from tests.disk import unsynced
from tests.forge import Leaf
from tests.offered import ALICE, BASE, GITHUB
from tests.pushes import Clone
from tests.world import World

POLICY = """version = 1

[[rules]]
name = "agents"
match = {{ classes = ["agent"] }}

[[rules]]
name = "squashes"
match = {{ through = "{through}"{match} }}
{require}
"""


@dataclass(frozen=True)
class ForgedVerifier:
    """An attester with a certificate of the world's authority, or with any other leaf."""

    world: World
    id: str = ""
    leaf: Leaf | None = None
    public: PublicKey | None = None

    def sign(self, payload: bytes, at: datetime) -> bytes:
        forge = self.world.forge()
        return forge.bundle(payload, self.leaf or forge.verifier(at=at), at=at).encode()


@dataclass(frozen=True)
class Place:
    """A base, and a branch of two commits by the agent on it: `first`, `last`."""

    clone: Clone
    base: str
    first: str
    last: str
    files: dict[str, str] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.clone.world

    @property
    def old(self) -> tuple[str, ...]:
        return self.first, self.last

    @contextmanager
    def opened(self) -> Iterator[Repository]:
        with open_repository(self.clone.path, self.clone.environ) as repo:
            yield repo

    def query(self, **more: Any) -> Query:
        made = Query(self.world.trust(), self.world.now, None, Context("refs/heads/main"), home=self.world.home)
        return replace(made, **{"rewrites": True, **more})

    def squash(self, files: dict[str, str] | None = None, *, who: str = GITHUB, parent: str = "") -> str:
        """As a forge makes it, without a signature."""
        return self.clone.commit(
            self.files if files is None else files, parent or self.base, who=who, author=ALICE, message="Add f (#1)",
            signed=False,
        )  # fmt: skip

    def make(self, new: str, *old: str, made: Made = Made.SQUASH) -> Rewrite:
        """The record that the world's verifier would sign."""
        verifier = uri_of(self.world.forge().verifier(at=self.world.now))
        with self.opened() as repo:
            asked = [Asked(Pair(old or self.old, new), made)]
            [found] = maker.make(repo, asked, self.query(policy=Policy()), verifier, self.world.now)
        return found

    def keep(self, *rewrites: Rewrite) -> None:
        """Signed by the world's verifier."""
        with self.opened() as repo:
            verifier = uri_of(self.world.forge().verifier(at=self.world.now))
            maker.keep(repo, rewrites, ForgedVerifier(self.world, verifier), self.query(), self.world.now)

    def store(self, new: str, *lines: bytes) -> None:
        with self.opened() as repo:
            store.append(repo, {new: list(lines)}, at=self.world.now)

    def row(self, object_id: str, **more: Any) -> Row:
        with self.opened() as repo:
            [row] = history.rows(repo, [object_id], self.query(**more))
        return row

    def rows(self, ids: Sequence[str], **more: Any) -> list[Row]:
        with self.opened() as repo:
            return list(history.rows(repo, ids, self.query(**more)))

    def forget(self) -> None:
        """What a clone knows once the branch is gone and collected."""
        for name in ("refs/heads/topic", "refs/pull/1/head"):
            self.clone.git("update-ref", "-d", name)
        self.clone.git("reflog", "expire", "--expire=now", "--all")
        self.clone.git("-c", "gc.cruftPacks=false", "gc", "-q", "--prune=now")


def uri_of(leaf: Leaf) -> str:
    """Of the principal in a certificate."""
    return next(name for name in certfacts.read(leaf.certificate).subject_alternative_names if ":" in name)


def place(folder: Path, at: datetime) -> Place:
    with unsynced():
        world = World(folder / "w", at=at)
    world.grant()
    clone = Clone.make(folder / "clone", world)
    base = clone.commit(BASE)
    one = {**BASE, "src/f": "1\n"}
    first = clone.commit(one, base, message="Begin f")
    two = {**one, "src/f": "2\n"}
    last = clone.commit(two, first, message="Finish f")
    clone.git("update-ref", "refs/heads/topic", last)
    clone.git("update-ref", "refs/heads/main", base)
    return Place(clone, base, first, last, two)


def policy(through: str = "rewrite", match: str = "", require: str = "") -> Ruleset:
    """Agents' own commits, and what was made from them by a record."""
    text = POLICY.format(through=through, match=f", {match}" if match else "", require=require)
    return Ruleset.read(text.encode(), "test")
