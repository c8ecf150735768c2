"""Pattern lists as OpenSSH has them (ssh_config(5), PATTERNS), in which allowed signers name principals.

A list is patterns separated by commas, in a pattern `*` is any run of characters and `?` is any one. The list
matches where one pattern does, unless one with `!` before it does too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_VALUE = 1024
"""Characters; above every address that mail can be sent to (RFC 5321 section 4.5.3.1), and OpenSSH's own limit."""


@dataclass(frozen=True, slots=True)
class PatternList:
    """Patterns that have to match, and patterns that must not; both without the `!`."""

    wanted: tuple[str, ...]
    unwanted: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> PatternList:
        """Of the text of a list; empty patterns match nothing."""
        patterns = text.split(",")
        wanted = tuple([p for p in patterns if p and not p.startswith("!")])
        return cls(wanted, tuple([p[1:] for p in patterns if p.startswith("!")]))

    def matches(self, value: str) -> bool:
        """Whether the list takes this value, case and all."""
        return len(value) <= MAX_VALUE and _any(self.wanted, value) and not _any(self.unwanted, value)

    def folded(self) -> PatternList:
        """The same for values that are folded."""
        return PatternList(tuple(map(fold, self.wanted)), tuple(map(fold, self.unwanted)))


def fold(text: str) -> str:
    """In lower case as far as ASCII goes: addresses differ in case alone in practice only."""
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def is_pattern(text: str) -> bool:
    """Whether it can match anything but itself."""
    return "*" in text or "?" in text


def _any(patterns: Sequence[str], value: str) -> bool:
    return any(p == value or (is_pattern(p) and _matches(p, value)) for p in patterns)


def _matches(pattern: str, value: str) -> bool:
    """Takes the shortest run for each `*` and comes back to the last one alone: that is enough, and is bounded."""
    at = seen = 0
    star, retry = -1, 0
    while seen < len(value):
        if at < len(pattern) and pattern[at] == "*":
            star, retry = at, seen
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", value[seen]):
            at, seen = at + 1, seen + 1
        elif star >= 0:
            at, retry = star + 1, retry + 1
            seen = retry
        else:
            return False
    return pattern[at:].strip("*") == ""
