"""The one rule of repository and branch patterns, for whoever grants and whoever verifies (design D4).

======  ==========================================================================
``*``   any run of characters, also none, that does not cross a ``/``
``**``  any run of characters, also none, ``/`` included
other   itself, case and all; the whole value has to match
======  ==========================================================================

``release/*`` takes ``release/1`` and not ``release/1/rc``; ``release/**`` takes both, and not ``release``.
Nothing is handed to a regular expression: a pattern comes from a certificate, and a backtracking matcher
would let its author choose how long the verifier works.
"""

from __future__ import annotations

import functools

from attest.errors import UsageError

MAX_PATTERN_BYTES = 255
"""UTF-8; as long as a branch name can be as a file, and sixteen of each kind fit into one certificate."""

MAX_VALUE_BYTES = 4096
"""UTF-8; PATH_MAX, above every ref name and repository address that git itself can store."""

KEPT = 1024
"""Patterns whose reading is remembered: a policy holds each of its own against every path of a history."""

RESERVED = frozenset("?[]{}\\!")
"""Signs that other pattern languages read as more than themselves; refused, so that nobody relies on them."""

_HINT = "use * for a run without /, ** for any run, and every other character as itself"


def check(pattern: str) -> None:
    """`UsageError` unless `pattern` can be matched: not empty, bounded, printable, no reserved sign."""
    reason = _defect(pattern)
    if reason:
        raise UsageError(f"the pattern {pattern[:MAX_PATTERN_BYTES]!r} {reason}", hint=_HINT)


def matches(pattern: str, value: str) -> bool:
    """Whether the whole of `value` matches. What `check` refuses, and a value over the limit, match nothing.

    One pass over `value`: the pattern's reachable positions are the bits of one number of at most
    `MAX_PATTERN_BYTES` + 1 bits, so the time is linear in `value` whatever the pattern.
    """
    if _defect(pattern) or _too_long(value, MAX_VALUE_BYTES):
        return False
    literal, single, double, end = _compile(pattern)
    stars = single | double
    reached = 1 | (1 & stars) << 1
    for character in value:
        stay = reached & (double if character == "/" else stars)
        reached = stay | (reached & literal.get(character, 0)) << 1
        reached |= (reached & stars) << 1  # a star may also match nothing; two never stand side by side
        if not reached:
            return False
    return bool(reached >> end & 1)


@functools.lru_cache(maxsize=KEPT)
def _compile(pattern: str) -> tuple[dict[str, int], int, int, int]:
    """Bit sets of the positions of each literal, of `*` and of `**`; and the number of positions."""
    literal: dict[str, int] = {}
    single = double = at = 0
    bit = 1
    while at < len(pattern):
        if pattern.startswith("**", at):
            double |= bit
            at += 1
        elif pattern[at] == "*":
            single |= bit
        else:
            literal[pattern[at]] = literal.get(pattern[at], 0) | bit
        at += 1
        bit <<= 1
    return literal, single, double, bit.bit_length() - 1


@functools.lru_cache(maxsize=KEPT)
def _defect(pattern: str) -> str:
    if not pattern:
        return "is empty"
    if _too_long(pattern, MAX_PATTERN_BYTES):
        return f"is no text of at most {MAX_PATTERN_BYTES} bytes of UTF-8"
    if not pattern.isprintable() or " " in pattern:
        return "has blanks or characters that cannot be seen"
    if "***" in pattern:
        return "has more than two stars in a row"
    found = sorted(RESERVED.intersection(pattern))
    return f"has {' '.join(found)}, which this pattern language does not know" if found else ""


def _too_long(text: str, limit: int) -> bool:
    """Whether `text` is over `limit` bytes of UTF-8, or is no UTF-8 at all (a lone surrogate)."""
    try:
        return len(text) > limit or len(text.encode()) > limit
    except UnicodeEncodeError:
        return True
