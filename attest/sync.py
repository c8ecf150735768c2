"""The attestation ref here and at a remote made the same: fetched, united, pushed; again while others push too.

Lines are only ever added on either side. A remote that was rewound, emptied or rewritten takes nothing from here, and
gets back what it lost. What came is stored, not believed (`store`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from attest import refwriter, shards, store
from attest.errors import UnavailableError, UsageError
from attest.remote import MAX_FETCHED_BYTES, Remote
from attest.repository import Repository
from attest.store import Added

ATTEMPTS = 40
"""Each lost race is somebody else's push; with the pauses between, two minutes of them at most."""

PAUSE_S = 0.05
MAX_PAUSE_S = 3.0

UNPACKED = 8
"""How many times the bytes fetched may have those unpacked: statements are a sixth of their size in a pack."""

_TRACKING = "refs/notme/remotes/"


@dataclass(frozen=True, slots=True)
class Synced:
    """What was done. `fetched` and `pushed` count what was new here and there.

    `tip` is the commit here, `remote_tip` the one there, each None where there is no such ref. `emptied` says that the
    remote once had the ref and did not have it any more.
    """

    remote: str
    ref: str
    fetched: Added
    pushed: Added
    tip: str | None
    remote_tip: str | None
    emptied: bool


def tracking_ref(remote: str, ref: str) -> str:
    """Where it is kept what a remote had under `ref` when it was last seen."""
    return f"{_TRACKING}{remote}/{ref.removeprefix('refs/')}"


def check_ref(repository: Repository, ref: str) -> str:
    """A ref of our layout that can be synchronized, or `UsageError`."""
    theirs = ("refs/attestations/commits", "refs/attestations/trees")  # gitsign's
    good = repository.git("check-ref-format", ref).returncode == 0
    if not good or not ref.startswith("refs/attestations/") or ref in theirs:
        raise UsageError(
            f"{ref!r} is no ref of attestations that can be united", hint="Name one under refs/attestations/."
        )
    return ref


def sync(
    repository: Repository,
    remote: Remote,
    at: datetime,
    *,
    ref: str = store.REF,
    fetch: bool = True,
    push: bool = True,
    limit: int = MAX_FETCHED_BYTES,
) -> Synced:
    """Bring both together, or one way only; `at` dates the commit that unites them.

    Without `fetch` nothing of the remote's comes here, and where it has more than we have it is not pushed to. Raises
    `UnavailableError` when the remote cannot be reached, does not take it, or is moved by others `ATTEMPTS` times.
    """
    check_ref(repository, ref)
    refwriter.refuse_quarantine(repository)
    came, emptied = Added(), False
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0, min(MAX_PAUSE_S, PAUSE_S * 2**attempt)))
        theirs = remote.tip(ref)
        known = _known(repository, remote, ref)
        emptied = emptied or (theirs is None and known is not None)
        if theirs is not None and fetch:
            taken = _take(repository, remote, theirs, ref, at, limit)
            if taken is None:
                continue
            came = _plus(came, taken)
        ours = refwriter.commit_id(repository, ref)
        went = Added()
        if push and ours is not None and ours != theirs:
            if theirs is not None and not _reaches(repository, ours, theirs):
                raise UnavailableError(
                    f"{remote.shown} has attestations that are not here, so nothing was pushed",
                    hint="Without --push-only they are fetched and united first.",
                )
            went = store.beyond(repository, theirs, ours)
            if not remote.push(ours, ref, theirs):
                continue
            theirs = ours
        _remember(repository, remote, ref, theirs)
        return Synced(remote.shown, ref, came, went, ours, theirs, emptied)
    said = f"; it says: {remote.refusal}" if remote.refusal else ""
    raise UnavailableError(f"{remote.shown} took none of {ATTEMPTS} pushes in a row{said}", hint="Try again.")


def _take(
    repository: Repository, remote: Remote, theirs: str, ref: str, at: datetime, limit: int
) -> Added | None:
    """Have the remote's commit and all its statements here, and add them to ours; None where it was moved meanwhile."""
    if theirs not in (refwriter.commit_id(repository, ref), _known(repository, remote, ref)):
        remote.fetch(ref, limit=limit)
        if refwriter.commit_id(repository, theirs) is None:
            kind = repository.git("cat-file", "-t", theirs).stdout.decode("ascii", "replace").strip()
            if kind:
                raise UnavailableError(
                    f"{remote.shown} has a {kind} as {ref}, which is no commit of attestations",
                    hint=f"Take it away there: git push {remote.shown} :{ref}",
                )
            return None
    if missing := _missing(repository, theirs):
        remote.fetch_objects(missing, limit=limit)
    return store.merge(repository, theirs, at, ref, limit=UNPACKED * limit)


def _missing(repository: Repository, commit: str) -> list[str]:
    """What a partial clone left at the remote of the current files: all of it is asked for at once."""
    if not repository.is_partial():
        return []
    tree = shards.root_of(repository, commit)
    done = repository.git("rev-list", "--objects", "--missing=print", "--no-object-names", tree)
    if done.returncode:
        raise UnavailableError(f"git could not look for what is missing of {commit}", hint="Run git fsck.")
    return [line[1:] for line in done.stdout.decode("ascii", "replace").splitlines() if line.startswith("?")]


def _reaches(repository: Repository, ours: str, theirs: str) -> bool:
    known = refwriter.commit_id(repository, theirs) is not None
    return known and refwriter.is_ancestor(repository, theirs, ours)


def _known(repository: Repository, remote: Remote, ref: str) -> str | None:
    return refwriter.commit_id(repository, tracking_ref(remote.name, ref)) if remote.configured else None


def _remember(repository: Repository, remote: Remote, ref: str, theirs: str | None) -> None:
    """Keep what the remote has; a view of it, which may lag behind."""
    if theirs is not None and remote.configured and refwriter.commit_id(repository, theirs) is not None:
        repository.git("update-ref", "-m", "attest: sync", tracking_ref(remote.name, ref), theirs)


def _plus(one: Added, other: Added) -> Added:
    return Added(one.objects + other.objects, one.lines + other.lines, max(one.left_out, other.left_out))


def default_remote(repository: Repository) -> str:
    """`origin`, or the only remote there is; `UsageError` where that says nothing."""
    names = repository.git("remote").stdout.decode("utf-8", "replace").split()
    if "origin" in names or len(names) == 1:
        return "origin" if "origin" in names else names[0]
    raise UsageError("there is no remote 'origin'", hint="Name one: notme-attest sync REMOTE")


def data(done: Synced) -> Mapping[str, object]:
    """For `--json`."""
    return {
        "remote": done.remote,
        "ref": done.ref,
        "fetched": {"objects": done.fetched.objects, "lines": done.fetched.lines, "leftOut": done.fetched.left_out},
        "pushed": {"objects": done.pushed.objects, "lines": done.pushed.lines},
        "tip": done.tip,
        "remoteTip": done.remote_tip,
        "restored": done.emptied and done.remote_tip is not None,
    }
