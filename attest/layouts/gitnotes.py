"""Attestations as notes, the way SLSA's source-tool keeps them: `refs/notes/commits`, an attestation a line.

The ref is git's own for notes: people's remarks may stand in the same note, and stay where they are. Empty lines come
from `git notes append`. git moves notes into folders as they become many: here `git fast-import` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attest import lines, notes, shards
from attest.errors import MalformedError, UnavailableError
from attest.lines import Line
from attest.refwriter import commit_id, data
from attest.repository import Repository

REF = "refs/notes/commits"

MAX_TREES = 100_000
"""Folders that are looked through: git makes 65,792 of all the notes that a repository can have in practice."""

MAX_NOTE_BYTES = 4 * 1024 * 1024


def read(repository: Repository, oid: str) -> list[bytes]:
    """The lines about an object in its note."""
    note = notes.read_many(repository, [repository.check_id(oid)], REF).get(oid, b"")
    return _attestations(note, oid)


def read_all(repository: Repository) -> Iterator[tuple[str, list[bytes]]]:
    """Each object whose note has any, with these lines."""
    tip = commit_id(repository, REF)
    if tip is not None:
        for oid, blob in _walk(repository, shards.root_of(repository, tip)):
            try:
                found = _attestations(repository.read(blob)[1], oid)
            except MalformedError:  # a note that is too large to be read
                continue
            if found:
                yield oid, found


def additions(repository: Repository, wanted: Mapping[str, Sequence[Line]]) -> Iterator[tuple[str, bytes]]:
    """What makes `git fast-import` append the lines that are not in a note yet, with the commit they are about.

    `git fast-import` makes notes of commits alone, and of those that are here.
    """
    oids = _commits(repository, list(wanted))
    there = notes.read_many(repository, oids, REF)
    for oid in oids:
        note = there.get(oid, b"")
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


def _attestations(note: bytes, oid: str) -> list[bytes]:
    found = list[bytes]()
    for content in dict.fromkeys(note.split(b"\n")):
        try:
            if content.startswith(b"{") and oid in lines.parse(content).about:
                found.append(content)
        except MalformedError:
            continue
    return found


def _walk(repository: Repository, root: str) -> Iterator[tuple[str, str]]:
    """All notes below a tree: the object each is about, and its blob."""
    length, left = repository.object_format.hex_length, [("", root)]
    for _ in range(MAX_TREES):
        if not left:
            return
        start, tree = left.pop()
        kind, content = repository.read(tree)
        if kind != "tree":
            raise MalformedError(f"{REF} has a {kind} in the place of a folder")
        for name, entry in shards.entries(content, length // 2).items():
            if name.strip("0123456789abcdef"):
                continue
            if entry.mode == shards.FOLDER and len(name) == 2 and len(start) < 2 * notes.FAN_OUT:
                left.append((start + name, entry.oid))
            elif entry.mode == shards.FILE and len(start + name) == length:
                yield start + name, entry.oid
    raise UnavailableError(f"{REF} has more than {MAX_TREES} folders")
