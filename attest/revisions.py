"""What a person may name to examine: one object, a range, or whatever git's rev-list takes to limit a walk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attest.errors import UnavailableError, UsageError
from attest.repository import Repository

FLAGS = frozenset(
    {
        *("--all", "--branches", "--tags", "--remotes", "--not", "--merges", "--no-merges", "--first-parent"),
        *("--topo-order", "--date-order", "--author-date-order", "--reverse", "--no-walk", "--ancestry-path"),
        *("--simplify-by-decoration", "--full-history", "--dense", "--sparse", "--remove-empty", "--ignore-missing"),
    }
)
"""Options of rev-list that say which commits, and in which order; others change what it prints."""

VALUED = frozenset(
    {
        *("--branches", "--tags", "--remotes", "--glob", "--exclude", "--since", "--after", "--until", "--before"),
        *("--author", "--committer", "--grep", "--max-count", "--skip", "--min-parents", "--max-parents"),
    }
)
"""The same with `=VALUE`."""

_WHOLE = frozenset(
    {
        *("--all", "--branches", "--tags", "--remotes", "--glob", "--exclude", "--not", "--merges", "--no-merges"),
        *("--topo-order", "--date-order", "--author-date-order", "--reverse", "--author", "--committer", "--grep"),
        *("--min-parents", "--max-parents", "--dense"),  # the last is what git does anyway
    }
)
"""Options under which a commit that the tips reach is looked at or not for what it is, whichever way leads to it."""

_EVERY_TAG = ("--all", "--tags")

BESIDE = ("refs/attestations/*", "refs/notes/*", "refs/notme/*")
"""What `--all` leaves out: refs that git or this program commits to without a signature, beside the history."""


class Revisions:
    """Checked arguments for a walk over `repo`; `UsageError` for an option that is not among the allowed ones."""

    def __init__(self, repo: Repository, arguments: Sequence[str]) -> None:
        self._repo, self._arguments = repo, tuple(arguments)
        before = self._arguments[: self._arguments.index("--")] if "--" in self._arguments else self._arguments
        for argument in before:
            name, equals, _ = argument.partition("=")
            known = name in VALUED if equals else name in FLAGS or (name[:1] == "-" and name[1:].isdecimal())
            if argument.startswith("-") and not known:
                raise UsageError(
                    f"{argument} is no option here",
                    hint="take --all, A..B, or those of git rev-list that limit a walk, such as --since=DATE",
                )
        if not before:
            raise UsageError("nothing is named", hint="name a commit, a tag, a range A..B, or --all")
        self._named = _history(before)
        self._walked = (*self._named, *self._arguments[len(before) :])

    @property
    def single(self) -> bool:
        """Whether it is one object that is named, and no walk."""
        return len(self._arguments) == 1 and not self._arguments[0].startswith(("-", "^")) and ".." not in self.text

    @property
    def plain(self) -> bool:
        """Whether revisions alone are named, and no option or path."""
        return not any(argument.startswith("-") for argument in self._arguments)

    @property
    def whole(self) -> bool:
        """Whether the walk comes by all that its tips reach, so that what they reach is done once it has ended.

        It does not with `--first-parent`, a number, a date or a path: what was passed over may be on the way later.
        """
        options = (argument.partition("=")[0] for argument in self._arguments if argument.startswith("-"))
        return all(option in _WHOLE for option in options)

    @property
    def text(self) -> str:
        """As it was typed."""
        return " ".join(self._arguments)

    def objects(self, *done: str) -> Iterator[str]:
        """Ids of tag objects first where all tags are asked for, then of commits; without what `done` reaches.

        At the end of a walk that came by the place where a shallow clone was cut, `UnavailableError`.
        """
        if self.single:
            yield self._repo.resolve(self._arguments[0])
            return
        yield from self.tags()
        cut, reached = self._repo.cut_points() if self.whole else frozenset[str](), False
        for oid in self._repo.walk(self._walked, done, self.text):
            reached = reached or oid in cut
            yield oid
        if reached:
            raise UnavailableError(
                "this clone is shallow, and the history goes on where it was cut",
                hint="git fetch --unshallow brings the rest",
            )

    def tags(self) -> list[str]:
        """The tag objects that are asked for with `--all` or `--tags`."""
        return self._repo.list_tags() if any(flag in self._named for flag in _EVERY_TAG) else []

    def tips(self) -> list[str]:
        """The ids where the walk begins, and `^` ids where it ends."""
        done = self._repo.git("rev-parse", "--revs-only", *self._named)
        if done.returncode:
            raise UsageError(f"{self.text!r} is not a range of {self._repo.path}")
        return sorted(set(done.stdout.decode("ascii", "replace").split()))


def _history(arguments: Sequence[str]) -> tuple[str, ...]:
    excluded = [f"--exclude={pattern}" for pattern in BESIDE]
    walked: list[str] = []
    for argument in arguments:
        walked += (*excluded, argument) if argument == "--all" else (argument,)
    return tuple(walked)
