"""Commits that a forge made: merges, squashes and rebases by a button, and the commits that they were made from.

A forge commits in its own name what somebody else wrote and signed, so that the signatures stay on the commits before.
Whose they were is found by content: a squash has the tree of the last commit it was made from. That the tree is the
same says whose content it is; message and authors of the new commit are the forge's word, and its own verdict stands.
"""

from __future__ import annotations

import contextlib
import enum
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from attest import history
from attest.errors import Error, Step
from attest.query import Query
from attest.repository import Repository
from attest.row import Row
from attest.types import Outcome, StepStatus

MAX_KNOWN = 50_000
"""Commits outside of the judged range that are looked at for a tree: some seconds of git."""

MAX_TWINS = 200
"""Commits of a range for which originals are looked for; each costs a walk of git's."""

MAX_BEHIND = 500
"""Commits behind one squash that are judged."""

MAX_MERGES = 100
"""Merges that are made again, to compare."""

_FULL = re.compile(r"(?P<name>[^<]*) <(?P<address>[^>]*)>")


class Made(enum.StrEnum):
    """How a commit came to be, as far as it shows."""

    COMMIT = "commit"
    MERGE = "merge"
    FORGE_MERGE = "forge-merge"
    FORGE_SQUASH = "forge-squash"
    """With the tree of a commit that is known, which more than one led to or whose words are others."""
    FORGE_REBASE = "forge-rebase"
    """The same, of one commit with the same author, date and subject."""
    FORGE_COMMIT = "forge-commit"
    """Made in a forge's name, original not known: an edit on the web, or a squash of what was not fetched."""


@dataclass(frozen=True, slots=True)
class Forge:
    """A forge by what it writes as committer, and the OpenPGP keys (upper-case hex) that it signs such commits with."""

    name: str
    committers: frozenset[str]
    keys: frozenset[str] = frozenset()


FORGES = (
    # https://github.com/web-flow.gpg; the first until January 2024. A server of one's own has keys of its own.
    Forge(
        "GitHub",
        frozenset({"GitHub", "GitHub Enterprise"}),
        frozenset({"5DE3E0509C47EA3CF04A42D34AEE18F83AFDEB23", "968479A1AFF927E37D1A566BB5690EEEBB952194"}),
    ),
    Forge("GitLab", frozenset({"GitLab"})),
    Forge("Gitea", frozenset({"Gitea"})),
    Forge("Forgejo", frozenset({"Forgejo"})),
)

_ADDRESSES = ("noreply@", "gitea@fake.local")
"""Where a forge says that nobody reads; the second is what Gitea takes where none is set."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A commit with the same tree, and the verdicts of the commits that led to it. `more` were not looked at."""

    object_id: str
    rows: tuple[Row, ...]
    more: bool = False

    @property
    def outcome(self) -> Outcome:
        """The worst of them."""
        found = {row.outcome for row in self.rows}
        for outcome in (Outcome.REJECTED, Outcome.COULD_NOT_CHECK):
            if outcome in found:
                return outcome
        if self.more or not found:
            return Outcome.COULD_NOT_CHECK
        return Outcome.ACCEPTED_TIME_UNPROVEN if Outcome.ACCEPTED_TIME_UNPROVEN in found else Outcome.ACCEPTED


def forge_of(row: Row) -> Forge | None:
    """The forge that stands as committer; that is a claim."""
    found = _FULL.fullmatch(row.committer)
    if found is None or not found["address"].startswith(_ADDRESSES):
        return None
    return next((forge for forge in FORGES if found["name"] in forge.committers), None)


def is_proven(row: Row, forge: Forge) -> bool:
    """Whether step 4 proved that a key of this forge signed it."""
    signed = row.signer is not None and row.signer.key.upper() in forge.keys
    return signed and row.finding(Step.CHAIN).status is StepStatus.PROVEN


def made_of(row: Row, twin: Twin | None) -> Made:
    """The class of a commit."""
    forge = forge_of(row)
    if len(row.parents) > 1:
        return Made.MERGE if forge is None else Made.FORGE_MERGE
    if forge is None:
        return Made.COMMIT
    if twin is None:
        return Made.FORGE_COMMIT
    same = len(twin.rows) == 1 and not twin.more and _words(twin.rows[0]) == _words(row)
    return Made.FORGE_REBASE if same else Made.FORGE_SQUASH


def automatic(repo: Repository, rows: Iterable[Row]) -> dict[str, bool]:
    """Of merges of two commits, whether git alone makes the same tree of them: then nothing was added by hand.

    Left out is what cannot be made again here (git before 2.38, or more than `MAX_MERGES`), and all where the
    configuration has merge drivers: these are programs, and a tree says which of them are started. What git writes
    while it merges goes into a folder that is thrown away.
    """
    merges = list(itertools.islice((row for row in rows if len(row.parents) == 2), MAX_MERGES))
    found: dict[str, bool] = {}
    if not merges or repo.git("config", "--get-regexp", r"^merge\..*\.driver$").returncode != 1:
        return found
    with TemporaryDirectory() as folder, repo.apart(Path(folder)) as apart:
        for row in merges:
            # Whatever is missing or takes too long: what is not known of a merge stands against nobody.
            with contextlib.suppress(Error):
                done = apart.git("merge-tree", "--write-tree", "--no-messages", *map(repo.check_id, row.parents))
                if done.returncode in (0, 1):  # 1: there are conflicts, which somebody solved by hand
                    tree = done.stdout.partition(b"\n")[0].decode("ascii", "replace")
                    found[row.object_id] = done.returncode == 0 and tree == row.tree
    return found


class Originals:
    """Finds the commits that others were made from, among all that is known here and is not below `head`."""

    def __init__(self, repo: Repository, query: Query, head: str, named: Sequence[str] = ()) -> None:
        self._repo, self._query, self._head, self._named = repo, query, head, tuple(named)
        self._trees: Mapping[str, str] | None = None
        self._of: dict[str, Twin | None] = {}

    def twin(self, row: Row) -> Twin | None:
        """The newest commit with the tree of this one, None where none is known or it changed nothing."""
        if row.object_id in self._of:
            return self._of[row.object_id]
        found = None
        if len(row.parents) == 1 and len(self._of) < MAX_TWINS and self._tree(row.parents[0]) != row.tree:
            object_id = self._known().get(row.tree)
            found = self._twin(object_id, row.parents[0]) if object_id is not None else None
        self._of[row.object_id] = found
        return found

    def _twin(self, object_id: str, parent: str) -> Twin:
        without = [parent]
        if (before := self._of.get(parent)) is not None:
            without.append(before.object_id)
        walk = self._repo.walk(("--topo-order", object_id), without)
        behind = list(itertools.islice(walk, MAX_BEHIND + 1))
        rows = history.rows(self._repo, reversed(behind[:MAX_BEHIND]), self._query)
        return Twin(object_id, tuple(rows), more=len(behind) > MAX_BEHIND)

    def _known(self) -> Mapping[str, str]:
        """The newest commit by tree."""
        if self._trees is None:
            found: dict[str, str] = {}
            lines = self._repo.walk(("--format=%H %T", "--all", *self._named), (self._head,))
            # git has a line `commit ID` before what a format asks for.
            asked = (line.split(" ") for line in lines if not line.startswith("commit "))
            # A ref that names what is not here ends the walk, and has nothing to do with what is judged.
            with contextlib.suppress(Error):
                for object_id, tree in itertools.islice(asked, MAX_KNOWN):
                    found.setdefault(tree, object_id)
            self._trees = found
        return self._trees

    def _tree(self, commit: str) -> str:
        try:
            _, raw = self._repo.read(commit)
        except Error:
            return ""
        return raw[5:].partition(b"\n")[0].decode("ascii", "replace")


def _words(row: Row) -> tuple[str, int | None, str]:
    return row.author, row.author_date, row.subject
