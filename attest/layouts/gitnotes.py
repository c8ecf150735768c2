"""Attestations as notes, the way SLSA's source-tool keeps them: `refs/notes/commits`, an attestation a line.

The ref is git's own for notes: people's remarks may stand in the same note, and stay where they are. Empty lines come
from `git notes append`. git moves notes into folders as they become many: here `git fast-import` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attest import lines, notes, shards
from attest.errors import MalformedError, UnavailableError
from attest.layouts.budget import Budget
from attest.lines import Line
from attest.refwriter import commit_id, data
from attest.repository import Repository
from attest.shards import Entry

REF = "refs/notes/commits"

MAX_TREES = 100_000
"""Folders that are looked through: git makes 65,792 of all the notes that a repository can have in practice."""

MAX_NOTE_BYTES = 4 * 1024 * 1024


def read(repository: Repository, oid: str) -> list[bytes]:
    """The lines about an object in its note."""
    return _attestations(_notes(repository, [repository.check_id(oid)]).get(oid) or b"", oid)


def read_all(repository: Repository) -> Iterator[tuple[str, list[bytes]]]:
    """Each object whose note has any, with these lines."""
    tip = commit_id(repository, REF)
    if tip is not None:
        budget = Budget(repository, REF)
        for oid, entry in _walk(budget, shards.root_of(repository, tip)):
            if found := _attestations(_content(budget, entry) or b"", oid):
                yield oid, found


def additions(repository: Repository, wanted: Mapping[str, Sequence[Line]]) -> Iterator[tuple[str, bytes]]:
    """What makes `git fast-import` append the lines that are not in a note yet, with the commit they are about.

    `git fast-import` makes notes of commits alone, and of those that are here. It replaces a note whole: one that
    cannot be read, and so not be repeated, stays as it is.
    """
    oids = _commits(repository, list(wanted))
    there = _notes(repository, oids)
    for oid in oids:
        note = there.get(oid, b"")
        if note is None:
            continue
        known = set(note.split(b"\n"))
        new = [content for content in dict.fromkeys(line.content for line in wanted[oid]) if content not in known]
        content = note + (b"\n" if note and not note.endswith(b"\n") else b"") + b"".join(line + b"\n" for line in new)
        if new and len(content) <= MAX_NOTE_BYTES:
            yield from ((oid, b"") for _ in new[1:])
            yield oid, b"N inline %b\n" % oid.encode() + data(content)


def _commits(repository: Repository, oids: Sequence[str]) -> list[str]:
    asked = "".join(f"{repository.check_id(oid)}\n" for oid in oids).encode()
    done = repository.git("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked)
    if done.returncode:
        raise UnavailableError("git could not say which commits are here", hint="Run git fsck.")
    answers = done.stdout.decode("ascii", "replace").splitlines()
    return [answer.partition(" ")[0] for answer in answers if answer.endswith(" commit")]


def _notes(repository: Repository, oids: Sequence[str]) -> dict[str, bytes | None]:
    """The note of each object that has one, None where it is too large or no plain file.

    Raises `UnavailableError` where one is not here, as in a partial clone.
    """
    tip, trees = commit_id(repository, REF), dict[str, dict[str, Entry]]()
    if tip is None:
        return {}
    root, found = shards.root_of(repository, tip), dict[str, bytes | None]()
    budget = Budget(repository, REF)
    for oid in oids:
        entry = _find(budget, trees, root, oid)
        if entry is not None:
            found[oid] = _content(budget, entry)
    return found


def _find(budget: Budget, trees: dict[str, dict[str, Entry]], root: str, oid: str) -> Entry | None:
    """What stands in the place of an object's note, however many folders lead there."""
    tree, name = root, oid
    for _ in range(notes.FAN_OUT + 1):
        if tree not in trees:
            trees[tree] = _tree(budget, tree)
        if name in trees[tree]:
            return trees[tree][name]
        folder = trees[tree].get(name[:2])
        if folder is None or folder.mode != shards.FOLDER:
            return None
        tree, name = folder.oid, name[2:]
    return None


def _content(budget: Budget, entry: Entry) -> bytes | None:
    if entry.mode != shards.FILE:
        return None
    budget.spend()
    try:
        content = budget.repository.read(entry.oid)[1]
    except MalformedError:  # larger than anything that is read
        return None
    except UnavailableError:
        raise UnavailableError(f"a note of {REF} is not here", hint=f"Fetch it: git cat-file -p {entry.oid}") from None
    budget.spend(len(content))
    return content


def _tree(budget: Budget, oid: str) -> dict[str, Entry]:
    return shards.entries(budget.tree(oid), budget.repository.object_format.hex_length // 2)


def _attestations(note: bytes, oid: str) -> list[bytes]:
    found = list[bytes]()
    for content in dict.fromkeys(note.split(b"\n")):
        try:
            if content.startswith(b"{") and oid in lines.parse(content).about:
                found.append(content)
        except MalformedError:
            continue
    return found


def _walk(budget: Budget, root: str) -> Iterator[tuple[str, Entry]]:
    """All notes below a tree: the object each is about, and what stands there."""
    length, left = budget.repository.object_format.hex_length, [("", root)]
    for _ in range(MAX_TREES):
        if not left:
            return
        start, tree = left.pop()
        for name, entry in _tree(budget, tree).items():
            if name.strip("0123456789abcdef"):
                continue
            if entry.mode == shards.FOLDER and len(name) == 2 and len(start) < 2 * notes.FAN_OUT:
                left.append((start + name, entry.oid))
            elif entry.mode == shards.FILE and len(start + name) == length:
                yield start + name, entry
    raise UnavailableError(f"{REF} has more than {MAX_TREES} folders")
