from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import stamps
from attest.errors import MalformedError, UnavailableError, UsageError

OID = "3a" * 20
LINE = stamps.encode(OID, b"token")


def test_a_line_is_json_that_names_object_and_token() -> None:
    read = json.loads(LINE)
    assert read == {"mediaType": stamps.MEDIA_TYPE, "object": OID, "rfc3161": "dG9rZW4="}
    assert stamps.decode(LINE) == (OID, b"token")


OTHERS = {
    "a bundle": b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}',
    "a blank more": LINE.replace(b",", b", "),
    "another version": LINE.replace(b"v0.1", b"v0.2"),
    "an id of 39 digits": LINE.replace(OID.encode(), OID.encode()[1:]),
    "base64 with bits left over": LINE.replace(b"dG9rZW4=", b"dG9rZW5="),
    "base64 of 3 signs": LINE.replace(b"dG9rZW4=", b"dG9"),
    "a field more": LINE.replace(b"}", b',"x":1}'),
    "too much": stamps.encode(OID, bytes(2 * stamps.MAX_TOKEN_BYTES)),
}


@pytest.mark.parametrize("line", OTHERS.values(), ids=OTHERS)
def test_anything_else_is_no_time_stamp(line: bytes) -> None:
    with pytest.raises(MalformedError):
        stamps.decode(line)


@given(st.binary(max_size=60).map(lambda token: stamps.encode(OID, token)[:-2]) | st.binary(max_size=80))
def test_any_bytes_are_refused_or_encode_back_to_themselves(line: bytes) -> None:
    try:
        oid, token = stamps.decode(line)
    except MalformedError:
        return
    assert stamps.encode(oid, token) == line


def test_the_tokens_of_an_object_are_found_among_what_anybody_may_have_stored() -> None:
    lines = [OTHERS["a bundle"], OTHERS["a field more"], stamps.encode("4b" * 20, b"other"), LINE]
    assert stamps.of_lines(lines, OID) == [b"token"]
    assert [stamps.is_stamp(line) for line in lines] == [False, True, True, True]


def test_a_home_keeps_a_token_for_itself_alone(tmp_path: Path) -> None:
    stamps.write_spool(tmp_path / "home", OID, b"first")
    stamps.write_spool(tmp_path / "home", OID, b"token")
    path = tmp_path / "home" / "timestamps" / "3a" / OID
    assert path.read_bytes() == b"token"
    assert stamps.read_spool(tmp_path / "home", OID) == b"token"
    assert [p.name for p in path.parent.iterdir()] == [OID]
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_home_without_a_token_has_none(tmp_path: Path) -> None:
    assert stamps.read_spool(tmp_path, OID) is None


def test_what_is_no_id_names_no_file(tmp_path: Path) -> None:
    for oid in ("../../etc/passwd", "", OID.upper(), OID + "\n"):
        with pytest.raises(UsageError):
            stamps.read_spool(tmp_path, oid)


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    stamps.write_spool(tmp_path, OID, bytes(stamps.MAX_TOKEN_BYTES))
    assert stamps.read_spool(tmp_path, OID) == bytes(stamps.MAX_TOKEN_BYTES)
    stamps.write_spool(tmp_path, OID, bytes(stamps.MAX_TOKEN_BYTES + 1))
    with pytest.raises(UnavailableError, match="larger"):
        stamps.read_spool(tmp_path, OID)


def test_what_cannot_be_kept_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "timestamps")
    (tmp_path / "timestamps" / "3a").write_bytes(b"a file in the way")
    with pytest.raises(UnavailableError, match="cannot keep"):
        stamps.write_spool(tmp_path, OID, b"token")
