"""Attestations where gitsign keeps them: `refs/attestations/commits`, a folder for each commit.

    <object id>/<name>          the predicate, as a file
    <object id>/<name>.sig      the DSSE envelope of the Statement with this predicate

(gitsign, internal/attest/attest.go.) gitsign gives a file the name that its user's had, and overwrites what has that
name. What is written here has names of its own, by digest, so that nothing is overwritten. An envelope has no room for
a certificate or a time-stamp, and gitsign leaves both to a log; we put the whole line beside it, which gitsign ignores.

    <object id>/<name>.sigstore.json
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from attest import lines, shards
from attest.errors import MalformedError
from attest.layouts.budget import Budget
from attest.lines import Line
from attest.refwriter import commit_id, data
from attest.repository import Repository
from attest.shards import FILE, FOLDER, Entry

REF = "refs/attestations/commits"

SIGNATURE = ".sig"
WHOLE = ".sigstore.json"

MAX_FILES = 1000
"""Of one commit, that are looked at."""

_UNUSUAL = re.compile(r"[^A-Za-z0-9.]+")


def read(repository: Repository, oid: str) -> list[bytes]:
    """The lines about a commit."""
    budget = Budget(repository, REF)
    entry = _root(budget).get(repository.check_id(oid))
    return [] if entry is None else _lines(budget, oid, entry)


def read_all(repository: Repository) -> Iterator[tuple[str, list[bytes]]]:
    """Each commit that has any, with its lines."""
    length, budget = repository.object_format.hex_length, Budget(repository, REF)
    for name, entry in _root(budget).items():
        if len(name) == length and not name.strip("0123456789abcdef"):
            yield name, _lines(budget, name, entry)


def additions(repository: Repository, wanted: Mapping[str, Sequence[Line]]) -> Iterator[tuple[str, bytes]]:
    """What makes `git fast-import` add each line that is not there yet, with the commit that it is about.

    A time-stamp is no envelope and has no place here.
    """
    budget = Budget(repository, REF)
    root = _root(budget)
    for oid, given in wanted.items():
        entry = root.get(oid)
        there = set(_tree(budget, entry)) if entry is not None else set()
        for line in given:
            name = _name(line)
            if line.envelope is None or line.said is None or name + SIGNATURE in there:
                continue
            there.add(name + SIGNATURE)
            predicate = json.dumps(line.said.predicate, indent=2, ensure_ascii=False).encode() + b"\n"
            files = (("", predicate), (SIGNATURE, line.envelope.encode()), (WHOLE, line.content + b"\n"))
            places = ((f"{oid}/{name}{suffix}".encode(), content) for suffix, content in files)
            yield oid, b"".join(b"M %b inline %b\n" % (FILE, place) + data(content) for place, content in places)


def _name(line: Line) -> str:
    """`commit-v0.1-0123456789ab.json`: the end of the predicate's type, and the beginning of the line's digest."""
    kinds = line.said.predicate_type.split("/") if line.said is not None else []
    tail = [_UNUSUAL.sub("-", part) for part in kinds if part][-2:]
    kind = "-".join(tail).strip("-.")[:60] or "predicate"
    return f"{kind}-{hashlib.sha256(line.content).hexdigest()[:12]}.json"


def _lines(budget: Budget, oid: str, entry: Entry) -> list[bytes]:
    tree = _tree(budget, entry)
    found = dict[bytes, None]()
    for name in sorted(tree)[:MAX_FILES]:
        if name.endswith(SIGNATURE):
            bare = _line(budget, oid, tree[name])
            whole = _line(budget, oid, tree.get(name.removesuffix(SIGNATURE) + WHOLE))
            same = bare is not None and whole is not None and bare.envelope == whole.envelope
            found.update({line.content: None for line in (whole, None if same else bare) if line is not None})
    return list(found)


def _line(budget: Budget, oid: str, entry: Entry | None) -> Line | None:
    """What a file holds, None where it is no attestation of this commit."""
    try:
        if entry is None or entry.mode != FILE:
            return None
        kind, content = budget.read(entry.oid)
        line = lines.parse(lines.one_line(content))
    except MalformedError:
        return None
    return line if kind == "blob" and oid in line.about else None


def _root(budget: Budget) -> dict[str, Entry]:
    tip = commit_id(budget.repository, REF)
    return {} if tip is None else _tree(budget, Entry(FOLDER, shards.root_of(budget.repository, tip)))


def _tree(budget: Budget, entry: Entry) -> dict[str, Entry]:
    if entry.mode != FOLDER:
        return {}
    return shards.entries(budget.tree(entry.oid), budget.repository.object_format.hex_length // 2)
