"""The files of the attestation ref, found by walking its trees: `ab/cd/<object id>.intoto.jsonl` and nothing else.

Trees come from whoever may push. A path that is not one of ours is never followed, so that trees which nest without
end, or name themselves a thousand times, cost nothing; and of two commits only the trees that differ are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from attest.errors import MalformedError, UnavailableError
from attest.gitobject import ObjectKind
from attest.repository import Repository

SUFFIX = ".intoto.jsonl"

FILE, FOLDER = b"100644", b"40000"
"""Modes as they stand in a tree. A file of another mode (a link, a program, a submodule) is none of ours."""

KEPT = 8
"""Trees that are remembered: both sides' of each level, and some."""

_FOLDER = re.compile(r"[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tree: its mode in octal, its object id in hex."""

    mode: bytes
    oid: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that differs: the object it is about, and the blob of each side, None where it has none.

    `strange` says that they have something else than a plain file in its place.
    """

    about: str
    mine: str | None
    theirs: str | None
    strange: bool = False


def path_of(about: str) -> str:
    """Where the lines about an object stand."""
    return f"{about[:2]}/{about[2:4]}/{about}{SUFFIX}"


def root_of(repository: Repository, commit: str) -> str:
    """The tree of a commit; `MalformedError` for what is no commit."""
    kind, raw = repository.read(commit)
    if kind != ObjectKind.COMMIT or not raw.startswith(b"tree "):
        raise MalformedError(f"{commit} is a {kind}, not a commit")
    return repository.check_id(raw[5:].partition(b"\n")[0].decode("ascii", "replace"))


def entries(data: bytes, id_length: int) -> dict[str, Entry]:
    """The entries of a tree object by name. `id_length` is the length of an id in bytes. `MalformedError`."""
    found, at, end = dict[str, Entry](), 0, len(data)
    while at < end:
        zero = data.find(b"\0", at)
        mode, blank, name = data[at:zero].partition(b" ")
        at = zero + 1 + id_length
        if zero < 0 or not blank or at > end:
            raise MalformedError("a tree breaks off within an entry")
        found[name.decode("utf-8", "surrogateescape")] = Entry(mode, data[zero + 1 : at].hex())
    return found


def find(repository: Repository, root: str, about: Iterable[str]) -> dict[str, str]:
    """The blob about each of these objects that has one, under the tree `root`.

    Raises `UnavailableError` where something else stands in the place of a file. Each tree is read once.
    """
    trees, found = _Trees(repository), dict[str, str]()
    top = trees.folders(root)
    for name in sorted(about):
        middle = trees.folders(top.get(name[:2]))
        entry = trees.files(middle.get(name[2:4]), name[:4]).get(name)
        if entry is not None:
            if entry.mode != FILE:
                raise UnavailableError(
                    f"{path_of(name)} is not a plain file",
                    hint="Somebody pushed it: put the ref back to a commit before it.",
                )
            found[name] = entry.oid
    return found


def walk(repository: Repository, root: str) -> Iterator[tuple[str, str]]:
    """All files below a tree, in order: the object each is about, and its blob."""
    for found in differences(repository, None, root):
        if found.theirs is not None:
            yield found.about, found.theirs


def differences(repository: Repository, mine: str | None, theirs: str | None) -> Iterator[Difference]:
    """The files that differ between two trees, in order; None is a tree without any."""
    trees = _Trees(repository)
    for first, *top in _unlike(trees.folders(mine), trees.folders(theirs)):
        for second, *middle in _unlike(*map(trees.folders, top)):
            sides = (trees.files(oid, first + second) for oid in middle)
            for name, one, other in _unlike(*sides):
                blob = _blob(other)
                yield Difference(name, _blob(one), blob, strange=other is not None and blob is None)


class _Trees:
    """Trees by id, each read once while it is wanted: in trees of anybody's making all folders may be the same one.

    What is kept of a tree is what is asked for, so that a large one costs its size once and not in every place.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._folders = dict[str, dict[str, str]]()
        self._files = dict[str, dict[str, dict[str, Entry]]]()

    def folders(self, oid: str | None) -> dict[str, str]:
        """The trees below a tree that have a name of two digits."""
        if oid is None:
            return {}
        if oid not in self._folders:
            found = self._read(oid).items()
            kept = {name: entry.oid for name, entry in found if entry.mode == FOLDER and _FOLDER.fullmatch(name)}
            _keep(self._folders, oid, kept)
        return self._folders[oid]

    def files(self, oid: str | None, start: str) -> dict[str, Entry]:
        """What stands in a tree under the names of files about objects whose ids begin with `start`."""
        if oid is None:
            return {}
        if oid not in self._files:
            length, kept = self._repository.object_format.hex_length, dict[str, dict[str, Entry]]()
            for name, entry in self._read(oid).items():
                if name[length:] == SUFFIX and not name[:length].strip("0123456789abcdef"):
                    kept.setdefault(name[:4], {})[name[:length]] = entry
            _keep(self._files, oid, kept)
        return self._files[oid].get(start, {})

    def _read(self, oid: str) -> dict[str, Entry]:
        kind, data = self._repository.read(oid)
        if kind != "tree":
            raise MalformedError(f"{oid} is a {kind}, not a tree")
        return entries(data, self._repository.object_format.hex_length // 2)


T = TypeVar("T")


def _keep(kept: dict[str, T], oid: str, value: T) -> None:
    if len(kept) >= KEPT:
        del kept[next(iter(kept))]
    kept[oid] = value


def _blob(entry: Entry | None) -> str | None:
    return entry.oid if entry is not None and entry.mode == FILE else None


def _unlike(left: dict[str, T], right: dict[str, T]) -> Iterator[tuple[str, T | None, T | None]]:
    """The names under which both sides do not have the same, in order."""
    for name in sorted(left.keys() | right.keys()):
        if left.get(name) != right.get(name):
            yield name, left.get(name), right.get(name)
