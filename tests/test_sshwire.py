from __future__ import annotations

import pytest

from attest import sshwire
from attest.errors import MalformedError
from attest.sshwire import Reader


def test_what_was_written_is_read_back() -> None:
    reader = Reader(sshwire.uint32(7) + sshwire.uint64(2**63) + sshwire.string(b"\0\xff") + sshwire.string("é"))
    assert (reader.uint32(), reader.uint64(), reader.string(), reader.text()) == (7, 2**63, b"\0\xff", "é")
    assert not reader.left
    reader.end()


def test_a_string_is_its_length_and_its_bytes() -> None:
    """RFC 4251 section 5: `testing` is 00 00 00 07 t e s t i n g."""
    assert sshwire.string("testing") == bytes.fromhex("00000007") + b"testing"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "4 bytes are announced, 0", id="nothing"),
        pytest.param(b"\0\0\0\5abcd", "5 bytes are announced, 4", id="cut short"),
        pytest.param(b"\xff\xff\xff\xff", "at most", id="a length of 4 GiB"),
        pytest.param(b"\0\0\0\1\xff", "not text", id="no UTF-8"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        Reader(data).text()


def test_a_field_is_bounded_before_it_is_read() -> None:
    Reader(sshwire.string(bytes(8))).string(8)
    with pytest.raises(MalformedError, match="9 bytes where at most 8"):
        Reader(sshwire.string(bytes(9))).string(8)


def test_bytes_after_the_last_field_are_refused() -> None:
    reader = Reader(sshwire.string("a") + b"\0")
    reader.string()
    with pytest.raises(MalformedError, match="1 bytes follow"):
        reader.end()


def test_a_key_file_is_one_line() -> None:
    key = sshwire.ed25519_key(bytes(32))
    assert sshwire.line("ssh-ed25519", key) == b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + b"A" * 42 + b"A\n"
    assert sshwire.line("ssh-ed25519", key, "notme:a").endswith(b"A notme:a\n")
