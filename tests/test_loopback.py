"""What can only be this machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notme_git.loopback import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "0.0.0.0",
        "::",
        "128.0.0.1",
        "126.255.255.255",
        "10.0.0.1",
        "::2",
        "[::1]",
        "127.1",
        "0x7f.0.0.1",
        "0127.0.0.1",
        "2130706433",
        "127.0.0.1.example.com",
        "localhost.example.com",
        "localhost.",
        "LOCALHOST",
        " localhost",
        "127.0.0.1:80",
    ],
)
def test_another_or_a_doubtful_spelling_is_not(host: str) -> None:
    assert not is_loopback(host)


@given(st.text(max_size=40))
def test_any_text_is_one_or_the_other(host: str) -> None:
    assert is_loopback(host) in (True, False)
