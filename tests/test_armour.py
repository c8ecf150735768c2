"""The text around a signature: written in one form, and read in no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.armour import Armour
from attest.errors import MalformedError

SMALL = Armour("A THING", columns=8, limit=96)


def test_lines_have_the_width_that_was_asked_for_and_the_last_what_is_left() -> None:
    assert SMALL.wrap(b"abcdefgh") == b"-----BEGIN A THING-----\nYWJjZGVm\nZ2g=\n-----END A THING-----\n"


@given(st.binary(max_size=96))
def test_what_was_wrapped_is_opened_again(data: bytes) -> None:
    assert SMALL.open(SMALL.wrap(data)) == data


@given(st.binary(max_size=40) | st.from_regex(rb"[A-Za-z0-9+/=\n ]{0,40}", fullmatch=True))
def test_any_text_is_refused_or_is_what_would_be_written(body: bytes) -> None:
    text = SMALL.begin + body + SMALL.end
    try:
        data = SMALL.open(text)
    except MalformedError:
        return
    assert SMALL.wrap(data) == text


def test_more_than_the_limit_is_not_decoded() -> None:
    with pytest.raises(MalformedError, match="has at most 192"):
        SMALL.open(SMALL.begin + b"A" * 200 + b"\n" + SMALL.end)
