"""Where others keep attestations in git, read and written beside our own ref.

Nothing here writes to `refs/notes/ai` or to any ref but the two of the layouts. Files and notes that are there stay as
they are: lines are added, and what is no attestation is passed over.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType

from attest import lines
from attest.errors import MalformedError
from attest.layouts import gitnotes, gitsign
from attest.lines import Line
from attest.refwriter import ATTEMPTS, busy, commit, commit_id
from attest.repository import Repository

BATCH = 1000
"""Objects of one commit: bounds what is in memory."""


class Layout(enum.StrEnum):
    """Whose."""

    GITSIGN = "gitsign"
    NOTES = "notes"
    """SLSA source-tool's, in git's own notes."""


@dataclass(frozen=True, slots=True)
class Written:
    """How many lines were new, how many were there already or have no place in the layout, about how many objects."""

    objects: int
    added: int
    passed_over: int


_LAYOUTS: dict[Layout, ModuleType] = {Layout.GITSIGN: gitsign, Layout.NOTES: gitnotes}


def ref(layout: Layout) -> str:
    """The ref of a layout."""
    return str(_LAYOUTS[layout].REF)


def read(repository: Repository, layout: Layout, oid: str) -> list[bytes]:
    """The lines about the object `oid`: DSSE envelopes, bare or in a bundle, none of them verified."""
    found: list[bytes] = _LAYOUTS[layout].read(repository, oid)
    return found


def read_all(repository: Repository, layout: Layout) -> Iterator[tuple[str, list[bytes]]]:
    """Each object that the layout has lines about, with them."""
    found: Iterator[tuple[str, list[bytes]]] = _LAYOUTS[layout].read_all(repository)
    return found


def write(
    repository: Repository, layout: Layout, given: Iterable[tuple[str, Sequence[bytes]]], at: datetime
) -> Written:
    """Add lines about objects to another's ref, in commits dated `at`, each of `BATCH` objects.

    Raises `UnavailableError` as `store.append` does.
    """
    objects = added = seen = 0
    remaining = iter(given)
    while batch := list(itertools.islice(remaining, BATCH)):
        wanted = {repository.check_id(oid): _parsed(oid, contents) for oid, contents in batch}
        seen += sum(len(contents) for _, contents in batch)
        about = _write(repository, layout, wanted, at)
        objects, added = objects + len(set(about)), added + len(about)
    return Written(objects, added, seen - added)


def _write(
    repository: Repository, layout: Layout, wanted: dict[str, list[Line]], at: datetime
) -> list[str]:
    """One commit; the object that each added line is about."""
    name = ref(layout)
    for _ in range(ATTEMPTS):
        tip = commit_id(repository, name)
        made: list[tuple[str, bytes]] = list(_LAYOUTS[layout].additions(repository, wanted))
        if not made:
            return []
        commands = (command for _, command in made if command)
        if commit(repository, name, [tip] if tip else [], f"attest {len(made)} line(s)", at, commands):
            return [oid for oid, _ in made]
    raise busy(name, ATTEMPTS)


def _parsed(oid: str, contents: Sequence[bytes]) -> list[Line]:
    found = []
    for content in contents:
        try:
            line = lines.parse(content)
        except MalformedError:
            continue
        if line.envelope is not None and oid in line.about:
            found.append(line)
    return found
