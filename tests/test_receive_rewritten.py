"""What git says to its hook post-rewrite, and what of it is recorded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import MalformedError
from attest.receive import rewritten
from attest.rewrites.model import Made

A, B, C, D = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)


def text(*pairs: tuple[str, str], more: str = "") -> bytes:
    return "".join(f"{old} {new}{more}\n" for old, new in pairs).encode()


def test_a_line_for_each_old_commit_becomes_a_pair_for_each_new_one() -> None:
    asked = rewritten.parse(text((A, C), (B, C), (C, D)), "rebase")
    assert [(each.pair.old, each.pair.new, each.made) for each in asked] == [
        ((A, B), C, Made.SQUASH),
        ((C,), D, Made.REBASE),
    ]
    assert [each.made for each in rewritten.parse(text((A, B), more=" extra words"), "amend")] == [Made.AMEND]


def test_what_stayed_as_it_was_is_not_rewritten() -> None:
    assert rewritten.parse(text((A, A)), "rebase") == []
    assert rewritten.parse(b"", "rebase") == []


@pytest.mark.parametrize("data", [b"x\n", f"{A}\n".encode(), f"{A} {B[1:]}\n".encode(), f"{A}  {B}\n".encode()])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        rewritten.parse(data, "rebase")


def test_more_than_is_read_is_refused() -> None:
    with pytest.raises(MalformedError, match="more than"):
        rewritten.parse(text(*[(A, B)] * (rewritten.MAX_LINES + 1)), "rebase")


@given(st.binary(max_size=120) | st.lists(st.sampled_from([A.encode(), b" ", b"\n", b"x"])).map(b"".join))
def test_any_bytes_are_an_error_or_pairs_of_ids(data: bytes) -> None:
    try:
        asked = rewritten.parse(data, "rebase")
    except MalformedError:
        return
    for each in asked:
        assert each.pair.new not in each.pair.old
        assert all(oid.encode() in data for oid in (*each.pair.old, each.pair.new))
