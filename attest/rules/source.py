"""Whose policy counts (design D15): a file of the verifier's, or the one in the tree, never one that is being judged.

A policy in the tree is a commit's word about later commits. It is in force along the first parents, from a start that
the verifier pinned: each commit there is judged by the policy of its first parent, and so is all that a merge brings
in. A commit that changes the policy is judged by the policy before it, and changes nothing unless it is accepted.
Where that is not so, or the file was removed or cannot be read, nothing is accepted that comes after: to repair it is
the operator's (a file, or a new start), and not the next commit's.

What is in the history of the start itself is under the pin: whoever pinned it vouches for the policy there, and
older commits are judged by that policy, too.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, NoReturn

from attest import history, merges
from attest.errors import Error, MalformedError, Reason, UnavailableError
from attest.foreign.roots import NONE
from attest.policy import Case, PolicyLike
from attest.query import Query
from attest.repository import Repository
from attest.rules import reading, roots
from attest.rules.ruleset import Ruleset
from attest.through import ACCEPTING
from attest.trust import Trust

PLACE = ".notme/policy.toml"
"""Where a tree keeps its policy."""

_REGULAR = (b"100644", b"100755")
"""Modes of a file; a symbolic link is a blob too, and says where another file is."""


class InForce(NamedTuple):
    """A policy, and what the verifier goes by under it: its own anchors, and keys that the policy vouches for."""

    policy: PolicyLike
    trusted: Trust


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a history that is judged by one policy. `arguments` name its commits to `Repository.walk`."""

    query: Query
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """What is in force where there is a policy and nobody can read it, or where it was removed: nothing is accepted."""

    name: str
    why: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of what is wrong."""
        return hashlib.sha256(f"broken policy\n{self.why}".encode()).digest()

    @property
    def excuses(self) -> frozenset[Reason]:
        """Nothing."""
        return frozenset()

    @property
    def follows(self) -> bool:
        """Never."""
        return False

    @property
    def anchors(self) -> frozenset[bytes]:
        """None of them."""
        return frozenset()

    def decide(self, case: Case) -> NoReturn:
        """`UnavailableError`."""
        del case
        hint = "judge with a file (--policy), or pin a later start"
        raise UnavailableError(self.why, hint=hint, reason=Reason.POLICY_BROKEN)


def from_file(path: Path, trusted: Trust, repo: Repository | None = None) -> InForce:
    """The policy in a file that the verifier chose, and the trust under it.

    Without `repo` a rule with `ancestors_of` cannot be answered. Raises `UnavailableError`.
    """
    return InForce(*load(path, trusted, repo))


def load(path: Path, trusted: Trust, repo: Repository | None) -> tuple[Ruleset, Trust]:
    """The same, for who asks more of a policy than to decide."""
    try:
        return bind(Ruleset.read(read(path), path.name), trusted, repo)
    except MalformedError as error:
        hint = error.hint or "notme-attest policy lint checks it"
        raise UnavailableError(f"{path} is no policy: {error.message}", hint=hint) from None


def read(path: Path) -> bytes:
    """The bytes of a policy's file, not more than are read of one. Raises `UnavailableError`."""
    try:
        with open(path, "rb") as file:
            return file.read(reading.MAX_BYTES + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read the policy {path}: {error.strerror}") from None


def bind(ruleset: Ruleset, trusted: Trust, repo: Repository | None) -> tuple[Ruleset, Trust]:
    """A policy over a repository, for a verifier that goes by `trusted`. `MalformedError` for a key that is none."""
    named = roots.of_policy(ruleset.document, trusted.foreign or NONE)
    bound = ruleset.bound(trusted)
    return bound if repo is None else bound.over(repo), replace(trusted, foreign=named)


def policy_at(repo: Repository, commit: str) -> Ruleset | None:
    """The policy in the tree of a commit, to be shown; None where there is none. `commit` is a full id.

    Raises `MalformedError` for one that cannot be read.
    """
    done = repo.git("ls-tree", "-z", "--full-tree", repo.check_id(commit), "--", PLACE)
    if done.returncode:
        raise UnavailableError(f"the tree of {commit} cannot be read", hint="Run git fsck.")
    head = done.stdout.partition(b"\t")[0].split(b" ")
    if len(head) != 3:
        return None
    mode, kind, oid = head
    if kind != b"blob" or mode not in _REGULAR:
        raise MalformedError(f"{PLACE} in {commit} is no file")
    _, data = repo.read(oid.decode("ascii"))
    return Ruleset.read(data, f"{PLACE} at {commit[:12]}")


def in_tree(repo: Repository, commit: str, trusted: Trust) -> InForce | None:
    """What the tree of `commit` puts in force for what is built on it, None without a policy there.

    It is for the caller to know that `commit` is not chosen by who is judged: an old tip, or reached from a pin.
    """
    try:
        found = policy_at(repo, commit)
        return None if found is None else InForce(*bind(found, trusted, repo))
    except Error as error:
        name = f"{PLACE} at {commit[:12]}"
        return InForce(Broken(name, f"the policy in {commit} cannot be read: {error.message}"), trusted)


def for_range(repo: Repository, start: str, tip: str, query: Query, without: Sequence[str] = ()) -> Iterator[Stretch]:
    """The history of `tip` in stretches of one policy each, newest first, without what `without` reaches.

    `start` is the pinned commit; all are full ids. `query` says what the verifier goes by, and its policy is not
    asked. Raises `UnavailableError` where `start` is not among the first parents of `tip`, or has no policy.
    """
    left = tuple(f"^{oid}" for oid in without)
    steps = list(_steps(repo, start, tip, query))
    for number in range(len(steps), 0, -1):
        begin, by = steps[number - 1]
        end = steps[number][0] if number < len(steps) else tip
        if end != begin:
            yield Stretch(_under(query, by), (end, f"^{begin}", *left))
    yield Stretch(_under(query, steps[0][1]), (start, *left))


def at(repo: Repository, start: str, base: str, query: Query) -> InForce:
    """What is in force for work onto `base`, reached by its first parents from the pinned `start`."""
    *_, (_, last) = _steps(repo, start, base, query)
    return last


def _steps(repo: Repository, start: str, tip: str, query: Query) -> Iterator[tuple[str, InForce]]:
    """The start and each commit after it that changes the policy, oldest first, with what is in force after it.

    A change that the policy before it does not accept puts nothing in force: or who may not change the rules would
    only have to do it twice. A merge that leaves out another parent's change of the policy is a change of it, too:
    whoever merges chooses which parent is the first, and could go back to older rules.
    """
    _verify_reached(repo, start, tip)
    by = _after(repo, start, query.trusted)
    yield start, by
    if start == tip:
        return
    for commit in _changes(repo, start, tip):
        [row] = history.rows(repo, [commit], _under(query, by))
        if row.outcome in ACCEPTING:
            by = _after(repo, commit, query.trusted)
        elif not isinstance(by.policy, Broken):
            why = f"{commit} changes the policy, and the policy before it does not accept that"
            by = InForce(Broken(f"{PLACE} at {commit[:12]}", why), query.trusted)
        yield commit, by


def _changes(repo: Repository, start: str, tip: str) -> list[str]:
    """The commits along the first parents that change the policy or leave a change of it out, oldest first."""
    line = ("--reverse", "--first-parent", tip, f"^{start}")
    changed = list(repo.walk((*line, "--", f":(top,literal){PLACE}")))
    dropped = {oid for oid, paths in merges.left_out(repo, _other_policies(repo, line)).items() if PLACE in paths}
    if not dropped - set(changed):
        return changed
    return [oid for oid in repo.walk(line) if oid in dropped or oid in set(changed)]


def _other_policies(repo: Repository, line: tuple[str, ...]) -> list[str]:
    """The merges among the commits that `line` names where another parent than the first has another policy."""
    found = [entry.split(" ") for entry in repo.walk((*line, "--merges", "--parents"))]
    names = [(merge, oid) for merge, _, *others in found for oid in (merge, *others)]
    asked = "".join(f"{oid}:{PLACE}\n" for _, oid in names).encode()
    done = repo.git("cat-file", "--batch-check=%(objectname)", stdin=asked)
    answers = done.stdout.decode("utf-8", "replace").splitlines()
    if done.returncode or len(answers) != len(names):
        raise UnavailableError("git could not look for the policy in some merges", hint="Run git fsck.")
    # What is not there is answered with the name that was asked for.
    said = {oid: answer if ":" not in answer else "" for (_, oid), answer in zip(names, answers, strict=True)}
    return list(dict.fromkeys(merge for merge, oid in names if said[oid] != said[merge]))


def _under(query: Query, by: InForce) -> Query:
    return replace(query, policy=by.policy, trusted=by.trusted)


def _after(repo: Repository, commit: str, trusted: Trust) -> InForce:
    found = in_tree(repo, commit, trusted)
    if found is not None:
        return found
    name = f"{PLACE} at {commit[:12]}"
    return InForce(Broken(name, f"no policy is in force after {commit}: {PLACE} is not there"), trusted)


def _verify_reached(repo: Repository, start: str, tip: str) -> None:
    """`UnavailableError` unless the first parents of `tip` lead to `start`, where a policy is."""
    last = tip
    if start != tip:
        lines = repo.walk(("--first-parent", "--parents", tip, f"^{start}"))
        _, _, parents = next(iter(deque(lines, maxlen=1)), "").partition(" ")
        last = parents.partition(" ")[0]
    if last != start:
        raise UnavailableError(
            f"the pinned start {start[:12]} is not among the first parents of {tip[:12]}",
            hint="pin a commit of this branch (notme-git trust repo --start ID), or name a policy with --policy",
        )
    verify_start(repo, start)


def verify_start(repo: Repository, start: str) -> None:
    """`UnavailableError` for a commit without a policy, `MalformedError` for one with a policy that is none."""
    if policy_at(repo, start) is None:
        hint = "pin the commit that brings the policy, or a later one"
        raise UnavailableError(f"the start {start[:12]} has no {PLACE}", hint=hint)
