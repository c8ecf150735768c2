"""What a commit and those that it was made from have in common, from their bytes alone.

Old commits count as one row where one commit is before all of them (the base), and what lies between it and the last
of them are they alone. Then what they changed together is base..last, and what the new commit changed is first
parent..commit. Both go *from* a tree *to* a tree: a commit that has the tree of the last old one, on a parent with
another tree than the base's, takes back what happened between, and is no copy. So does one that merges another
commit than these, or these onto a first parent that has not got the base: what that brought, and the new tree leaves
out, nobody signed away.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from attest.errors import MalformedError, UnavailableError
from attest.gitobject import EMPTY_TREES, Commit, parse_commit
from attest.repository import Repository
from attest.rewrites.model import MAX_OLD, Compared, Relation

MAX_PATCH_BYTES = 32 * 1024 * 1024
"""Of all changes that are compared at once, and of one pair's; an agent's work is a thousandth of it."""

MAX_BASES = 64
"""Commits before a row that are held against each other: each merge of the target branch adds one."""

# Text whatever attributes say, so that every byte counts; context and hunks as git's default, whatever is configured.
_DIFF = (
    *("-c", "diff.suppressBlankEmpty=false", "-c", "core.quotePath=true"),
    *("diff-tree", "--stdin", "-r", "-p", "--text", "--full-index"),
    *("--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--unified=3", "--inter-hunk-context=0"),
    *("--diff-algorithm=myers", "--indent-heuristic", "--ignore-submodules=none", "--src-prefix=a/", "--dst-prefix=b/"),
)
_PARENTS = ("-c", "core.commitGraph=false")
"""A commit-graph, which comes along with a clone from a folder, could name other parents than the commits do."""

_HEAD = re.compile(rb"^(?:[0-9a-f]{40} [0-9a-f]{40}|[0-9a-f]{64} [0-9a-f]{64})\n", re.MULTILINE)
_PLACE = re.compile(rb"^(?:index [0-9a-f]+\.\.[0-9a-f]+(?: [0-7]+)?\n|(@@) -[^\n]*)", re.MULTILINE)
_TYPE = re.compile(rb"^index [0-9a-f]+\.\.[0-9a-f]+ ([0-7]{3})[0-7]*\n", re.MULTILINE)
"""Whether what is changed is a file, a symbolic link or a submodule: the first half of its mode."""

_BINARY = re.compile(rb"^(?:Binary files |GIT binary patch\n)", re.MULTILINE)
"""The tree without a file, which git knows without having it."""

_OTHER = "they do not change the same lines"
_NO_ROW = "the old commits are not one row of commits"
_MERGES = "it merges other commits than the old ones"


@dataclass(frozen=True, slots=True)
class Pair:
    """A commit, and those that it is said to be made from, the last one last. All are full ids."""

    old: tuple[str, ...]
    new: str


@dataclass(frozen=True, slots=True)
class _Trees:
    """From which tree to which the old commits lead, and the new one."""

    base: str
    old: tuple[str, str]
    new: tuple[str, str]


def compare(repo: Repository, pairs: Sequence[Pair]) -> list[Compared]:
    """How each pair relates. Raises `UnavailableError` where a commit or tree is not here."""
    found: list[Compared] = []
    patched: list[tuple[int, _Trees]] = []
    read = _reader(repo)
    for number, pair in enumerate(pairs):
        trees = _trees(repo, pair, read)
        if isinstance(trees, Compared):
            found.append(trees)
            continue
        same = trees.old == trees.new
        found.append(Compared(Relation.SAME_TREE if same else Relation.NONE, trees.base, note="" if same else _OTHER))
        if not same and trees.old[0] != trees.old[1] and trees.new[0] != trees.new[1]:
            patched.append((number, trees))
    for number, made in _patched(repo, patched):
        found[number] = replace(made, base=found[number].base)
    return found


def _reader(repo: Repository) -> Callable[[str], Commit]:
    @functools.lru_cache(maxsize=4 * MAX_OLD)
    def read(object_id: str) -> Commit:
        kind, raw = repo.read(object_id)
        if kind != "commit":
            raise MalformedError(f"{object_id} is a {kind}, not a commit")
        return parse_commit(raw, repo.object_format)

    return read


def _trees(repo: Repository, pair: Pair, read: Callable[[str], Commit]) -> _Trees | Compared:
    try:
        new, last = read(pair.new), read(pair.old[-1])
        if not set(new.parents[1:]) <= set(pair.old):
            return Compared(Relation.NONE, note=_MERGES)
        base = _base(repo, pair.old, read)
        if base is None:
            return Compared(Relation.NONE, note=_NO_ROW)
        if base and new.parents[1:] and not _reaches(repo, new.parents[0], base):
            return Compared(Relation.NONE, note=_MERGES)
        nothing = EMPTY_TREES[repo.object_format]
        before = read(base).tree if base else nothing
        under = read(new.parents[0]).tree if new.parents else nothing
    except MalformedError as error:
        return Compared(Relation.NONE, note=f"one of them cannot be read: {error.message}")
    return _Trees(base, (before, last.tree), (under, new.tree))


def _reaches(repo: Repository, tip: str, base: str) -> bool:
    """Whether `base` is in the history of `tip`: else whoever merges what came after it merges that, too."""
    done = repo.git(*_PARENTS, "merge-base", "--is-ancestor", repo.check_id(base), repo.check_id(tip))
    if done.returncode not in (0, 1):
        raise UnavailableError("git could not compare the histories of some commits", hint="Run git fsck.")
    if done.returncode:
        _check_whole(repo)
    return done.returncode == 0


def _check_whole(repo: Repository) -> None:
    """`UnavailableError` in a shallow clone: that no way leads from one commit to another may be for the cut."""
    if repo.cut_points():
        raise UnavailableError(
            "the histories of some commits are not all in this shallow clone",
            hint="git fetch --unshallow brings the rest",
        )


def _base(repo: Repository, old: Sequence[str], read: Callable[[str], Commit]) -> str | None:
    """The commit before all of them, empty for the beginning of a history; None where they are no one row."""
    row, seen, below = frozenset(old), set[str](), set[str]()
    waiting = [old[-1]]
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        for parent in read(each).parents:
            if parent in row:
                waiting.append(parent)
            else:
                below.add(parent)
    if seen != row or len(below) > MAX_BASES:
        return None
    if len(below) < 2:
        return next(iter(below), "")
    # The target branch was merged in between: what came with it counts as before.
    done = repo.git(*_PARENTS, "merge-base", "--independent", *map(repo.check_id, sorted(below)))
    found = done.stdout.decode("ascii", "replace").split()
    if done.returncode == 0 and len(found) == 1:
        between = itertools.islice(repo.walk((old[-1],), (found[0],)), len(row) + 1)
        if frozenset(between) == row:
            return found[0]
    _check_whole(repo)
    return None


def _patched(repo: Repository, wanted: Sequence[tuple[int, _Trees]]) -> Iterator[tuple[int, Compared]]:
    """Those of which both sides change the same lines; where all together are too much, one after the other."""
    if not wanted:
        return
    sides = [side for _, trees in wanted for side in (trees.old, trees.new)]
    patches = _patches(repo, sides)
    if patches is None:
        if len(wanted) == 1:
            note = f"their changes are larger than {MAX_PATCH_BYTES} bytes, and were not compared"
            yield wanted[0][0], Compared(Relation.NONE, note=note)
            return
        for each in wanted:
            yield from _patched(repo, [each])
        return
    digests = [digest(patch) for patch in patches]
    types = [_TYPE.findall(patch) for patch in patches]
    equal = [
        n for n in range(len(wanted)) if digests[2 * n] == digests[2 * n + 1] and types[2 * n] == types[2 * n + 1]
    ]
    ids = _patch_ids(repo, [patches[2 * n] for n in equal])
    for n, patch_id in zip(equal, ids, strict=True):
        yield wanted[n][0], Compared(Relation.PATCH_ID, patch_id=patch_id, patch_sha256=digests[2 * n])


def digest(patch: bytes) -> str:
    """SHA-256 (hex) of a patch without the places of its hunks and the ids of its blobs: what is left is the change."""
    if _BINARY.search(patch):  # the blobs' ids alone say then what they hold
        return hashlib.sha256(patch).hexdigest()
    return hashlib.sha256(_PLACE.sub(lambda found: found[1] or b"", patch)).hexdigest()


def _patches(repo: Repository, sides: Sequence[tuple[str, str]]) -> list[bytes] | None:
    """The patch from tree to tree of each side, by one process of git; None where they are too large."""
    asked = "".join(f"{before} {after}\n" for before, after in sides).encode("ascii")
    printed = repo.git_at_most(MAX_PATCH_BYTES, *_DIFF, stdin=asked)
    if printed is None:
        return None
    # Every line of a patch begins with a word, a sign or a blank: none is two ids.
    heads = list(_HEAD.finditer(printed))
    if [head[0] for head in heads] != asked.splitlines(keepends=True):
        raise UnavailableError("git could not compare the trees of some commits", hint="Run git fsck.")
    ends = [*(head.start() for head in heads[1:]), len(printed)]
    return [printed[head.end() : end] for head, end in zip(heads, ends, strict=True)]


def _patch_ids(repo: Repository, patches: Sequence[bytes]) -> list[str]:
    """As `git patch-id --stable` prints them, by one process."""
    if not patches:
        return []
    length = repo.object_format.hex_length
    asked = b"".join(b"commit %b\n%b" % (f"{n:0{length}x}".encode(), patch) for n, patch in enumerate(patches))
    done = repo.git("patch-id", "--stable", stdin=asked)
    found = [line.split(" ") for line in done.stdout.decode("ascii", "replace").splitlines()]
    if done.returncode or [line[-1] for line in found] != [f"{n:0{length}x}" for n in range(len(patches))]:
        raise UnavailableError("git patch-id gave no answer for some commits")
    return [line[0] for line in found]
