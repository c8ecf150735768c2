"""What a session leaves behind: the objects signed in it, and the commits it made without its signature."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from attest.errors import Error, UnavailableError
from attest.gitobject import EMPTY_TREES, Commit, ObjectKind, parse_commit
from attest.repository import Repository, open_repository
from attest.revisions import BESIDE
from notme_git.session import alternates, bounded, record, view
from notme_git.session.record import Entry, Session

MAX_TIPS = 100_000
MAX_NEW = 100_000
"""Commits that are looked at; a session that makes more is told so by the count alone."""

PATIENCE_S = 120
"""For all of it. The repository may be a sandbox's, with pipes and devices where git expects files."""

SHOWN = 20

_MADE = re.compile(r"(commit|cherry-pick|revert|am)\b|rebase .*\((pick|reword|edit|squash|fixup|continue)\)")
"""How a reflog's entries begin for commits that were made here, other than for those that came from elsewhere."""


@dataclass(frozen=True, slots=True)
class Before:
    """A repository as it was when a session began: every commit a ref, HEAD or a reflog named."""

    folder: Path
    tips: frozenset[str]


@dataclass(frozen=True, slots=True)
class Report:
    """`unsigned`: new commits without any signature; `others`: new ones with a signature not made in the session.

    `problem`: why the repository could not be looked at, empty where it could.
    """

    signed: tuple[Entry, ...]
    unsigned: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    problem: str = ""


def look(folder: Path, environ: Mapping[str, str]) -> Before | None:
    """The repository at `folder` now; None where there is none.

    What is there and cannot be looked at is not passed over: the report will try again and say so.
    """
    try:
        view.objects_folder(folder, environ)
    except Error:
        return None
    try:
        told = bounded.call(lambda: _encode(_all_tips(folder, environ)), PATIENCE_S)
    except Error:
        return Before(folder, frozenset())
    return Before(folder, frozenset(json.loads(told)))


def report(home: Path, session: Session, before: Before | None, environ: Mapping[str, str]) -> Report:
    """What became of the session, as far as the repository it was started in shows it."""
    signed = tuple(record.entries(home, session))
    if before is None:
        return Report(signed)
    try:
        told = bounded.call(lambda: _encode(_made(before, session, signed, environ)), PATIENCE_S)
    except Error as error:
        return Report(signed, problem=error.message)
    unsigned, others = json.loads(told)
    return Report(signed, tuple(unsigned), tuple(others))


def lines(session: Session, found: Report) -> Iterator[str]:
    """For a person."""
    count = len(found.signed)
    yield f"session {session.id}: {count} signature{'' if count == 1 else 's'} as {session.agent}"
    for entry in found.signed[-SHOWN:]:
        yield f"  {entry.kind} {entry.object_id or '(push certificate)'}"
    if found.problem:
        yield f"warning: the repository could not be looked at: {found.problem}"
    yield from _warning(found.unsigned, "without any signature: a verifier rejects it")
    yield from _warning(found.others, "with another signature than this session's")


def _warning(objects: tuple[str, ...], what: str) -> Iterator[str]:
    for object_id in objects[:SHOWN]:
        yield f"warning: commit {object_id} was made in this session {what}"
    if len(objects) > SHOWN:
        yield f"warning: and {len(objects) - SHOWN} more"


def _encode(found: object) -> bytes:
    return json.dumps(found).encode()


def _all_tips(folder: Path, environ: Mapping[str, str]) -> list[str]:
    return _tips(_open(folder, environ), "--all", "--reflog", "HEAD")


def _open(folder: Path, environ: Mapping[str, str]) -> Repository:
    """As `open_repository`, which leaves it to git and libgit2 what they read there."""
    alternates.places(view.objects_folder(folder, environ))
    return open_repository(folder, environ)


def _made(
    before: Before, session: Session, signed: tuple[Entry, ...], environ: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """New commits without any signature, and those with one that is not this session's."""
    known = {entry.object_id for entry in signed}
    unsigned, others = [], []
    for object_id, commit in _new(before, session, environ):
        if commit.signature is None:
            unsigned.append(object_id)
        elif object_id not in known:
            others.append(object_id)
    return unsigned, others


def _new(before: Before, session: Session, environ: Mapping[str, str]) -> Iterator[tuple[str, Commit]]:
    """Commits of the history that are here now, were not before, came from no remote, and are of the session's time."""
    repository = _open(before.folder, environ)
    found = _reachable(repository, _tips(repository, "--all", "--reflog", "HEAD"), before.tips)
    if not found:
        return
    fetched = {*_reachable(repository, _tips(repository, "--remotes"), before.tips)} - _made_here(repository)
    others = fetched | _beside(repository, before)
    named = functools.cache(lambda: {*_reachable(repository, _tips(repository, "--all", "HEAD"), before.tips)})
    for object_id in found:
        if object_id in others:
            continue
        try:
            kind, raw = repository.read(object_id)
            commit = parse_commit(raw, repository.object_format) if kind == ObjectKind.COMMIT else None
        except Error:
            continue
        if commit is None or commit.committer.seconds < session.began_at:
            continue
        if not _is_scaffold(commit, repository) or object_id in named():
            yield object_id, commit


def _beside(repository: Repository, before: Before) -> set[str]:
    """What git and this program commit beside the history, and nothing else reaches: attestations, notes."""
    history = _tips(repository, *(f"--exclude={pattern}" for pattern in BESIDE), "--all", "HEAD")
    tips = _tips(repository, *(f"--glob={pattern}" for pattern in BESIDE))
    return {*_reachable(repository, tips, before.tips | {*history})}


def _is_scaffold(commit: Commit, repository: Repository) -> bool:
    """Whether it says nothing, as the one that `git rebase --root` begins with and leaves in the reflog alone."""
    empty = EMPTY_TREES[repository.object_format]
    return (commit.parents, commit.tree, commit.message) == ((), empty, b"")


def _reachable(repository: Repository, tips: list[str], known: frozenset[str]) -> list[str]:
    asked = "".join(f"{tip}\n" for tip in tips) + "".join(f"^{tip}\n" for tip in known)
    done = repository.git("rev-list", f"--max-count={MAX_NEW}", "--stdin", stdin=asked.encode())
    return _output(done).split()


def _made_here(repository: Repository) -> set[str]:
    """What the reflogs say was made here, even if it was pushed since and a remote has it now."""
    # The repository's configuration may be the sandbox's: no signature is shown, no pager or differ called.
    plain = ("--no-show-signature", "--no-patch", "--no-notes", "--no-mailmap", "--no-decorate", "--format=%H %gs")
    done = repository.git("log", "--walk-reflogs", "--all", "--ignore-missing", f"--max-count={MAX_TIPS}", *plain)
    entries = (line.partition(" ") for line in _output(done).splitlines())
    return {object_id for object_id, _, what in entries if _MADE.match(what)}


def _tips(repository: Repository, *which: str) -> list[str]:
    done = repository.git("rev-list", "--no-walk", f"--max-count={MAX_TIPS}", "--ignore-missing", *which)
    if done.returncode:  # a repository without a commit has no HEAD
        done = repository.git("rev-list", "--no-walk", f"--max-count={MAX_TIPS}", *(w for w in which if w != "HEAD"))
    return _output(done).split()


def _output(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["git gave no reason"]
        raise UnavailableError(said[0])
    return done.stdout.decode("utf-8", "replace")
