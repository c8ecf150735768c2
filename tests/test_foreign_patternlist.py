"""Pattern lists of OpenSSH: which values they take."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.foreign.patternlist import MAX_VALUE, PatternList, fold

TAKEN = {
    "itself": ("alice@example.org", "alice@example.org", True),
    "another": ("alice@example.org", "bob@example.org", False),
    "another case": ("alice@example.org", "Alice@example.org", False),
    "one of several": ("alice@example.org,bob@example.org", "bob@example.org", True),
    "a star": ("*@example.org", "alice@example.org", True),
    "a star for nothing": ("alice*@example.org", "alice@example.org", True),
    "a star alone": ("*", "", True),
    "a star in the middle, twice": ("a*b*c", "aXbbXbc", True),
    "a star that finds no end": ("a*b*c", "aXbbXb", False),
    "a star is no suffix": ("*@example.org", "alice@example.org.evil", False),
    "a question mark": ("dev?", "dev1", True),
    "a question mark for nothing": ("dev?", "dev", False),
    "a question mark for two": ("dev?", "dev12", False),
    "forbidden": ("!root@example.org,*@example.org", "root@example.org", False),
    "forbidden afterwards": ("*@example.org,!root@*", "root@example.org", False),
    "not forbidden": ("!root@example.org,*@example.org", "alice@example.org", True),
    "nothing but forbidden": ("!root@example.org", "alice@example.org", False),
    "an empty pattern": (",alice", "", False),
    "a dot is a dot": ("a.b", "axb", False),
    "a bracket is a bracket": ("[ab]", "a", False),
    "too long": ("*", "x" * (MAX_VALUE + 1), False),
    "just not too long": ("*", "x" * MAX_VALUE, True),
}


@pytest.mark.parametrize("case", TAKEN)
def test_a_list_takes_what_openssh_takes(case: str) -> None:
    patterns, value, taken = TAKEN[case]
    assert PatternList.parse(patterns).matches(value) is taken


def test_folding_is_of_ascii_alone() -> None:
    assert fold("Alice@EXAMPLE.org") == "alice@example.org"
    assert fold("\u0130\u212a") == "\u0130\u212a"  # which lower() makes an i and a k of
    folded = PatternList.parse("*@EXAMPLE.org,!Root@*").folded()
    assert folded.matches("alice@example.org")
    assert not folded.matches("root@example.org")


def test_many_stars_take_no_time() -> None:
    assert not PatternList.parse("*a" * 200 + "b").matches("a" * MAX_VALUE)


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_a_pattern_takes_what_the_same_regular_expression_takes(pattern: str, value: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(c, c) for c in pattern)
    expected = pattern != "" and re.fullmatch(expression, value) is not None
    assert PatternList.parse(pattern).matches(value) is expected
