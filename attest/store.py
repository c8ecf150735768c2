"""Attestations kept in git: one ref, one file an object, one bundle a line (design D9).

    refs/attestations/notme  ->  commit  ->  tree:  ab/cd/<object id>.intoto.jsonl

Beside bundles a file holds the time-stamps of SSH signatures, a line each (`stamps`).

A file is a set of lines, written sorted and without repetition. So two writers, or two clones that
met later, end with the same bytes whoever came first, and a merge has no conflict to show. Lines are
only added. Whether a line is a bundle, and what it proves, its reader finds out (`dsse`): refs can be
rewritten and files deleted by whoever can push, so absence is no evidence and means deny.

Every change is one `git fast-import`, which moves the ref only from the commit it was based on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from attest.errors import MalformedError, UnavailableError, UsageError
from attest.gitobject import MAX_OBJECT_BYTES
from attest.repository import Repository

REF = "refs/attestations/notme"

ATTEMPTS = 32
"""Each lost race means that another writer won one, so this many writers at once still all get through."""

IMPORT_TIMEOUT = 600.0
"""Seconds for one import: some 100,000 bundles, far above the batch anyone has."""

_IDENTITY = b"notme-attest <attest@notme.invalid>"
_PATH = re.compile(rb"([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{36}|\1\2[0-9a-f]{60})\.intoto\.jsonl")
_FILE_MODE = b"100644"
# Said by git when somebody else moved, or is just moving, the ref.
_LOST = (b"cannot lock ref", b"does not contain")


def append(repository: Repository, bundles: Mapping[str, Sequence[bytes]], at: datetime) -> int:
    """Add bundles, each one line, to the objects they are about; returns how many were not there yet.

    `bundles` maps object id (lower-case hex) to lines; `at` dates the commit. Nothing new makes no commit.
    Raises `MalformedError` for what is no id, `UsageError` for what is no line, and `UnavailableError` when
    git cannot write: in a hook's quarantine, on a full disk, or after losing `ATTEMPTS` races in a row.
    """
    wanted = {_path(repository, oid): _checked(lines) for oid, lines in bundles.items()}
    for _ in range(ATTEMPTS):
        tip = _commit_id(repository, REF)
        stored = _read_files(repository, tip, wanted)
        changed = {path: stored[path] | lines for path, lines in wanted.items() if not lines <= stored[path]}
        if not changed:
            return 0
        if _commit(repository, changed, [tip] if tip else [], f"attest {len(changed)} object(s)", at):
            return sum(len(lines) - len(stored[path]) for path, lines in changed.items())
    raise _busy()


def read(repository: Repository, oid: str) -> list[bytes]:
    """The stored lines about the object `oid`, empty when there are none. Nothing about them is checked."""
    path = _path(repository, oid)
    return sorted(_read_files(repository, _commit_id(repository, REF), [path])[path])


def exists(repository: Repository) -> bool:
    """Whether anything is stored at all."""
    return _commit_id(repository, REF) is not None


def read_many(repository: Repository, oids: Sequence[str]) -> dict[str, list[bytes]]:
    """As `read`, for several objects with one process of git."""
    paths = {_path(repository, oid): oid for oid in oids}
    stored = _read_files(repository, _commit_id(repository, REF), paths)
    return {oid: sorted(stored[path]) for path, oid in paths.items()}


def merge(repository: Repository, other: str, at: datetime) -> None:
    """Add all that the ref or commit `other` (say, what was fetched from a remote) has and `REF` lacks.

    Never a conflict: every file becomes the union of both, also where `other` has lost lines or files.
    Raises `UsageError` when `other` is no commit, `UnavailableError` as `append` does.
    """
    theirs = _commit_id(repository, other)
    if theirs is None:
        raise UsageError(f"{other!r} is no commit to merge", hint=f"Fetch first: git fetch REMOTE {REF}:{other}")
    for _ in range(ATTEMPTS):
        tip = _commit_id(repository, REF)
        if tip is not None and _is_ancestor(repository, theirs, tip):
            return
        ours, lossless = _union(repository, tip, theirs)
        if lossless and (tip is None or _is_ancestor(repository, tip, theirs)):
            if _move(repository, tip, theirs):
                return
        elif tip is not None and _commit(repository, ours, [tip, theirs], f"merge {theirs}", at):
            return
    raise _busy()


def _path(repository: Repository, oid: str) -> str:
    repository.check_id(oid)
    return f"{oid[:2]}/{oid[2:4]}/{oid}.intoto.jsonl"


def _checked(lines: Sequence[bytes]) -> set[bytes]:
    for line in lines:
        if not line or b"\n" in line or b"\r" in line:
            raise UsageError("a bundle is stored as one line, neither empty nor broken")
    return set(lines)


def _lines(data: bytes) -> set[bytes]:
    return set(data.split(b"\n")) - {b""}


def _commit_id(repository: Repository, name: str) -> str | None:
    """The commit that `name` stands for; None where there is none."""
    done = repository.git("rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}")
    return done.stdout.decode("ascii", "replace").strip() if done.returncode == 0 else None


def _is_ancestor(repository: Repository, older: str, newer: str) -> bool:
    return repository.git("merge-base", "--is-ancestor", older, newer).returncode == 0


def _read_files(repository: Repository, tip: str | None, paths: Iterable[str]) -> dict[str, set[bytes]]:
    """The lines of each path in commit `tip`; none for a path that is not there. One process for all."""
    wanted = list(paths)
    if tip is None:
        return {path: set() for path in wanted}
    questions = "".join(f"{tip}:{path}\n" for path in wanted).encode("ascii")
    done = repository.git("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=questions)
    answers = done.stdout.decode("ascii", "replace").splitlines()
    if done.returncode or len(answers) != len(wanted):
        raise UnavailableError(f"git could not look into {REF}", hint="Run git fsck.")
    return {
        path: set() if answer.endswith(" missing") else _read_blob(repository, answer.partition(" ")[0])
        for path, answer in zip(wanted, answers, strict=True)
    }


def _read_blob(repository: Repository, oid: str) -> set[bytes]:
    kind, data = repository.read(oid)
    if kind != "blob":
        raise MalformedError(f"{REF} has a {kind} in the place of a file")
    return _lines(data)


def _union(repository: Repository, tip: str | None, theirs: str) -> tuple[dict[str, set[bytes]], bool]:
    """The files of `tip` that change by taking in `theirs`, and whether `theirs` already has everything."""
    if tip is None:
        return {}, True
    done = repository.git("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", tip, theirs)
    if done.returncode:
        raise UnavailableError(f"git could not compare {REF} with {theirs}", hint="Run git fsck.")
    fields = done.stdout.split(b"\0")
    changed: dict[str, set[bytes]] = {}
    lossless = True
    for header, path in zip(fields[0::2], fields[1::2], strict=False):
        old_mode, new_mode, old, new, _ = header[1:].split(b" ")
        if not _PATH.fullmatch(path):
            continue
        mine = _read_blob(repository, old.decode("ascii")) if old_mode == _FILE_MODE else set()
        other = _read_blob(repository, new.decode("ascii")) if new_mode == _FILE_MODE else set()
        lossless = lossless and mine <= other
        if not other <= mine:
            changed[path.decode("ascii")] = mine | other
    return changed, lossless


def _move(repository: Repository, tip: str | None, new: str) -> bool:
    old = tip or "0" * repository.object_format.hex_length
    _refuse_quarantine(repository)
    done = repository.git("update-ref", "-m", "attest: fast-forward", REF, new, old)
    return _succeeded(repository, done.returncode, done.stderr, tip)


def _commit(
    repository: Repository, files: Mapping[str, set[bytes]], parents: Sequence[str], message: str, at: datetime
) -> bool:
    """Write `files` over the first parent's tree and move `REF` there; False when somebody else moved it first."""
    _refuse_quarantine(repository)
    seconds = int(at.astimezone(UTC).timestamp())
    stream = [b"commit %b\ncommitter %b %d +0000\n" % (REF.encode(), _IDENTITY, seconds), _data(message.encode())]
    stream += [b"%b %b\n" % (word, oid.encode()) for word, oid in zip((b"from", b"merge"), parents, strict=False)]
    for path in sorted(files):
        content = b"".join(line + b"\n" for line in sorted(files[path]))
        if len(content) > MAX_OBJECT_BYTES:
            raise UnavailableError(f"{path} would have {len(content)} bytes; at most {MAX_OBJECT_BYTES} are read")
        stream += [b"M %b inline %b\n" % (_FILE_MODE, path.encode()), _data(content)]
    # `done` at the end: a stream cut short by a killed process must not count.
    stream.append(b"done\n")
    done = repository.git(
        "fast-import", "--quiet", "--done", "--date-format=raw", stdin=b"".join(stream), timeout=IMPORT_TIMEOUT
    )
    return _succeeded(repository, done.returncode, done.stderr, parents[0] if parents else None)


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)


def _succeeded(repository: Repository, status: int, complaint: bytes, tip: str | None) -> bool:
    """False for a lost race, which is worth another try; any other failure is an error."""
    if status == 0:
        return True
    if any(words in complaint for words in _LOST) or _commit_id(repository, REF) != tip:
        return False
    reason = complaint.decode("utf-8", "replace").strip().splitlines()
    raise UnavailableError(
        f"git could not write {REF}: {reason[0] if reason else 'it gave no reason'}",
        hint="Check free space and permissions of the repository.",
    )


def _refuse_quarantine(repository: Repository) -> None:
    # git-receive-pack(1): objects of a push that is not yet accepted; refs must not point to them.
    if repository.quarantined:
        raise UnavailableError(
            "attestations cannot be stored while a push is in quarantine", hint="Attest in post-receive."
        )


def _busy() -> UnavailableError:
    return UnavailableError(
        f"{REF} was moved by others {ATTEMPTS} times in a row",
        hint=f"Try again; if nobody else writes, a lock file of {REF} was left behind.",
    )
