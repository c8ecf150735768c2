"""Commits written onto a ref with `git fast-import`, which moves the ref only from the commit that they were based on.

What is written comes piece by piece and is never held whole: a hundred thousand statements are some 500 MB. The stream
ends with `done`; one that is cut short, because its writer was killed or had an error, counts for nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from attest.errors import UnavailableError
from attest.repository import Repository

ATTEMPTS = 32
"""Each lost race means that another writer won one, so this many writers at once still all get through."""

IMPORT_TIMEOUT = 1800.0
"""Seconds for one import: some millions of bundles, far above the batch anyone has."""

DEPTH = 8
"""Of statements stored as what differs from the one before: git's 50 saves a fifth more and makes reading 3 times as
slow."""

IDENTITY = b"notme-attest <attest@notme.invalid>"

# Said by git when somebody else moved, or is just moving, the ref.
_LOST = (b"cannot lock ref", b"does not contain")
_CRASHED = re.compile(rb"^fast-import: dumping crash report to .*(fast_import_crash_[0-9]+)$", re.MULTILINE)


def commit_id(repository: Repository, name: str) -> str | None:
    """The commit that `name` stands for; None where there is none.

    `UnavailableError` for a ref that is there and cannot be read: that would else look like nothing being stored.
    """
    found = _commit_id(repository, name)
    if found is None and name.startswith("refs/") and _is_there(repository, name):
        found = _commit_id(repository, name)  # it may have come since
        if found is None:
            raise UnavailableError(f"{name} is there, and no commit can be read from it", hint="Run git fsck.")
    return found


def _commit_id(repository: Repository, name: str) -> str | None:
    done = repository.git("rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}")
    return done.stdout.decode("ascii", "replace").strip() if done.returncode == 0 else None


def _is_there(repository: Repository, ref: str) -> bool:
    """Also where git warns of the ref, because its file cannot be read."""
    done = repository.git("for-each-ref", "--format=%(refname)", ref)
    named = ref.encode("utf-8", "surrogateescape")
    return named in done.stdout.splitlines() or named in done.stderr


def is_ancestor(repository: Repository, older: str, newer: str) -> bool:
    """Whether `newer` comes after `older`, or is it."""
    return older == newer or repository.git("merge-base", "--is-ancestor", older, newer).returncode == 0


def commit(
    repository: Repository, ref: str, parents: Sequence[str], message: str, at: datetime, commands: Iterable[bytes]
) -> bool:
    """Move `ref` from the first of `parents`, or from nothing, to a commit that `commands` make of that parent's tree.

    `commands` are those of git-fast-import(1) within a commit. False when somebody else moved the ref first. Raises
    `UnavailableError` where git cannot write, and whatever `commands` raise, in which case nothing was written.
    """
    refuse_quarantine(repository)
    stream = _stream(ref, parents, message, at, commands)
    options = ("--quiet", "--done", "--date-format=raw", f"--depth={DEPTH}")
    done = repository.feed("fast-import", *options, stdin=stream, timeout=IMPORT_TIMEOUT)
    if found := _CRASHED.search(done.stderr):
        _remove_report(repository, found[1].decode())
    return _succeeded(repository, ref, done.returncode, done.stderr, parents[0] if parents else None)


def move(repository: Repository, ref: str, tip: str | None, new: str) -> bool:
    """Move `ref` from `tip` (None: from nothing) to the commit `new`; False when somebody else moved it first."""
    refuse_quarantine(repository)
    old = tip or "0" * repository.object_format.hex_length
    done = repository.git("update-ref", "-m", "attest: fast-forward", ref, new, old)
    return _succeeded(repository, ref, done.returncode, done.stderr, tip)


def data(content: bytes) -> bytes:
    """Content as git-fast-import(1) takes it."""
    return b"data %d\n%b\n" % (len(content), content)


def refuse_quarantine(repository: Repository) -> None:
    """git-receive-pack(1): objects of a push that is not yet accepted; refs must not point to them."""
    if repository.quarantined:
        raise UnavailableError(
            "attestations cannot be stored while a push is in quarantine", hint="Attest in post-receive."
        )


def busy(ref: str, attempts: int) -> UnavailableError:
    """The error that others were quicker every time."""
    return UnavailableError(
        f"{ref} was moved by others {attempts} times in a row",
        hint=f"Try again; if nobody else writes, a lock file of {ref} was left behind.",
    )


def _stream(
    ref: str, parents: Sequence[str], message: str, at: datetime, commands: Iterable[bytes]
) -> Iterator[bytes]:
    seconds = int(at.astimezone(UTC).timestamp())
    yield b"commit %b\ncommitter %b %d +0000\n" % (ref.encode(), IDENTITY, seconds)
    yield data(message.encode())
    for word, oid in zip((b"from", b"merge"), parents, strict=False):
        yield b"%b %b\n" % (word, oid.encode())
    yield from commands
    yield b"done\n"


def _remove_report(repository: Repository, name: str) -> None:
    """git writes down what it was doing when it failed, into a file of its folder that it never removes."""
    done = repository.git("rev-parse", "--path-format=absolute", "--git-path", name)
    if done.returncode == 0:
        with contextlib.suppress(OSError):
            os.unlink(done.stdout.removesuffix(b"\n"))


def _succeeded(repository: Repository, ref: str, status: int, complaint: bytes, tip: str | None) -> bool:
    """False for a lost race, which is worth another try; any other failure is an error."""
    if status == 0:
        return True
    if any(words in complaint for words in _LOST) or commit_id(repository, ref) != tip:
        return False
    said = complaint.decode("utf-8", "replace").strip().splitlines()
    reason = [line for line in said if line.startswith(("fatal: ", "error: "))] or said
    raise UnavailableError(
        f"git could not write {ref}: {reason[0] if reason else 'it gave no reason'}",
        hint="Check free space and permissions of the repository.",
    )
