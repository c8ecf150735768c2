"""Trees of the attestation ref, by bytes of anybody's making."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import shards
from attest.errors import MalformedError
from attest.shards import Entry


def encoded(entries: dict[str, Entry]) -> bytes:
    return b"".join(
        b"%b %b\0%b" % (entry.mode, name.encode("utf-8", "surrogateescape"), bytes.fromhex(entry.oid))
        for name, entry in entries.items()
    )


def test_a_path_has_two_folders_of_the_first_four_digits() -> None:
    assert shards.path_of("abcd" + "0" * 36) == f"ab/cd/abcd{'0' * 36}.intoto.jsonl"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"100644", id="no blank"),
        pytest.param(b"100644 a", id="no end of the name"),
        pytest.param(b"100644 a\0" + bytes(19), id="an id that is cut short"),
        pytest.param(b"100644 a\0" + bytes(20) + b"1", id="something after the last entry"),
    ],
)
def test_a_tree_that_breaks_off_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        shards.entries(data, 20)


@given(st.binary(max_size=200), st.sampled_from((20, 32)))
def test_any_bytes_are_malformed_or_a_tree_that_encodes_back(data: bytes, length: int) -> None:
    try:
        found = shards.entries(data, length)
    except MalformedError:
        return
    # A name that comes twice is kept once, as git itself reads the first or the last of them.
    assert encoded(found) == data or len(found) < data.count(b"\0")
