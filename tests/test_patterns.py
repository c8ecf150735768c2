"""The pattern rule, held against a translation into a regular expression that shares no code with it."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import patterns
from attest.errors import UsageError


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        pytest.param("main", "main", id="a plain pattern takes itself"),
        pytest.param("release/*", "release/1.2", id="one star takes a run without a slash"),
        pytest.param("release/*", "release/", id="one star takes nothing"),
        pytest.param("release/**", "release/1/rc/2", id="two stars cross slashes"),
        pytest.param("release/**", "release/", id="two stars take nothing"),
        pytest.param("**", "https://git.example.org/a/b.git", id="two stars alone take everything"),
        pytest.param("**", "", id="two stars take the empty value"),
        pytest.param("*", "", id="one star takes the empty value"),
        pytest.param("https://*/team/**", "https://git.example.org/team/x/y", id="both kinds in one pattern"),
        pytest.param("*a*b", "xaxbxaab", id="a star gives back what it took too much"),
        pytest.param("**/x*", "a/x/b/xc", id="two stars give back, too"),
        pytest.param("a.b+c(d)^$|", "a.b+c(d)^$|", id="signs of regular expressions are themselves"),
        pytest.param("fête/*", "fête/é", id="letters beyond ASCII"),
        pytest.param("x*", "x\ny", id="a line end is a character"),
    ],
)
def test_a_pattern_takes(pattern: str, value: str) -> None:
    patterns.check(pattern)
    assert patterns.matches(pattern, value)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        pytest.param("main", "Main", id="case counts"),
        pytest.param("main", "main2", id="the end counts"),
        pytest.param("main", "xmain", id="the beginning counts"),
        pytest.param("main", "main\n", id="a line end at the end counts"),
        pytest.param("release/*", "release/1/rc", id="one star does not cross a slash"),
        pytest.param("release/**", "release", id="the slash before two stars stays"),
        pytest.param("*", "a/b", id="one star alone is one segment"),
        pytest.param("a.c", "abc", id="a dot is a dot"),
        pytest.param("(a|b)", "a", id="a bar is a bar"),
        pytest.param("**/x*", "a/x/b", id="the last segment has to fit"),
        pytest.param("a*", "a" + "b" * patterns.MAX_VALUE_BYTES, id="a value over the limit"),
        pytest.param("*", "\udc80", id="a value that is no Unicode text"),
    ],
)
def test_a_pattern_does_not_take(pattern: str, value: str) -> None:
    patterns.check(pattern)
    assert not patterns.matches(pattern, value)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("", id="nothing"),
        pytest.param("a?", id="a question mark"),
        pytest.param("[ab]", id="a set"),
        pytest.param("{a,b}", id="alternatives"),
        pytest.param("a\\*", id="a backslash"),
        pytest.param("!main", id="a negation"),
        pytest.param("a***b", id="three stars"),
        pytest.param("a b", id="a blank"),
        pytest.param("a\nb", id="a line end"),
        pytest.param("a\u202eb", id="a mark that turns the direction of text"),
        pytest.param("\udc80", id="a lone surrogate"),
        pytest.param(
            "é" * (patterns.MAX_PATTERN_BYTES // 2 + 1), id="more bytes than the limit, fewer characters"
        ),
    ],
)
def test_a_bad_pattern_is_refused_and_takes_nothing(pattern: str) -> None:
    with pytest.raises(UsageError) as refused:
        patterns.check(pattern)
    assert refused.value.hint
    assert not patterns.matches(pattern, pattern)


def test_a_pattern_of_the_greatest_length_is_taken() -> None:
    pattern = "a" * patterns.MAX_PATTERN_BYTES
    patterns.check(pattern)
    assert patterns.matches(pattern, pattern)
    with pytest.raises(UsageError):
        patterns.check(pattern + "a")


def as_regex(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    words = {"**": r"[\s\S]*", "*": r"[^/]*"}
    return re.compile("".join(words.get(part) or re.escape(part) for part in parts))


@settings(derandomize=True, max_examples=1500, deadline=None)
@given(
    st.lists(st.sampled_from(["*", "**", "a", "b", "/", "."]), min_size=1, max_size=8).map("".join),
    st.text("ab/.", max_size=12),
)
def test_any_pattern_agrees_with_a_regular_expression(pattern: str, value: str) -> None:
    if "***" in pattern:
        assert not patterns.matches(pattern, value)
    else:
        assert patterns.matches(pattern, value) == bool(as_regex(pattern).fullmatch(value))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_a_pattern_or_refused(pattern: str, value: str) -> None:
    try:
        patterns.check(pattern)
    except UsageError:
        assert not patterns.matches(pattern, value)
    else:
        assert patterns.matches(pattern.replace("*", ""), pattern.replace("*", "")) or not pattern.strip("*")


def test_the_worst_pattern_takes_linear_time() -> None:
    """A backtracking matcher needs exponential time for this one; the bound here is generous."""
    pattern = "*a" * 100 + "b"
    value = "a" * patterns.MAX_VALUE_BYTES
    began = time.perf_counter()
    assert not patterns.matches(pattern, value)
    assert time.perf_counter() - began < 0.5
