"""What may be named to audit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attest.audit import places
from attest.audit.places import Place
from attest.errors import UnavailableError, UsageError

FOLDERS = [".", "services/payments", "/srv/git/x.git", "a/b:c", "../x", "C", "://x"]
ADDRESSES = {
    "https://git.example.org/x.git": "https://git.example.org/x.git",
    "https://token@git.example.org/x.git": "https://git.example.org/x.git",
    "https://me:pw@git.example.org:8443/x": "https://git.example.org:8443/x",
    "ssh://git:pw@git.example.org/x": "ssh://git@git.example.org/x",
    "git@git.example.org:team/x.git": "git@git.example.org:team/x.git",
    "file:///srv/git/x.git": "file:///srv/git/x.git",
    "git://git.example.org/x": "git://git.example.org/x",
}
REFUSED = [
    "http://git.example.org/x",
    "ftp://git.example.org/x",
    "ext::sh -c true",
    "fd::3",
    "transport::https://x",
    "https://[x",
    "",
    "a\0b",
]


@pytest.mark.parametrize("text", FOLDERS)
def test_a_folder_is_a_folder(text: str) -> None:
    assert places.parse(text) == Place(text, Path(text))


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is_shown_without_credentials(text: str) -> None:
    assert places.parse(text) == Place(ADDRESSES[text], Path(), text)


@pytest.mark.parametrize("text", REFUSED, ids=repr)
def test_what_git_may_not_be_sent_to_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        places.parse(text)


def test_a_folder_with_a_colon_that_exists_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a:b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert places.parse("a:b").address == ""
    assert places.parse("a:c").address == "a:c"


def test_a_list_names_one_a_line_relative_to_itself(tmp_path: Path) -> None:
    listed = tmp_path / "list"
    listed.write_bytes(b"# ours\n\n  x \nssh://h/y\n\xff\nx\n")
    found = places.named(["z"], listed)
    assert [each.name for each in found] == ["z", "x", "ssh://h/y", "\ufffd"]
    assert found[1].folder == tmp_path / "x"
    assert found[3].folder == tmp_path / os.fsdecode(b"\xff")


def test_nothing_and_too_much_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "list").write_text("# nothing\n", "utf-8")
    with pytest.raises(UsageError, match="no repository is named"):
        places.named([], tmp_path / "list")
    with pytest.raises(UnavailableError, match="cannot read"):
        places.named([], tmp_path / "absent")
    monkeypatch.setattr(places, "MAX_PLACES", 2)
    with pytest.raises(UsageError, match="3 repositories"):
        places.named(["a", "b", "c"], None)
