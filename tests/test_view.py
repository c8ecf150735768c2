"""Folders that a broker remembers, and what a sandbox puts in their place. What git finds is in `compat/`."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.errors import RefusedError, UnavailableError
from notme_git.session import view
from notme_git.session.view import Place

LOOSE = Path("11", "1" * 38)


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    made = tmp_path / "objects"
    for name in ("11", "pack"):
        (made / name).mkdir(parents=True)
    (made / LOOSE).write_bytes(b"x")
    (made / "pack" / "one.pack").write_bytes(b"x")
    return made


def test_a_folder_that_stays_what_it_was_is_good(objects: Path) -> None:
    place = Place.of(objects)
    (objects / "22").mkdir()
    (objects / "pack" / "two.pack").write_bytes(b"x")
    place.check_links(LOOSE)
    place.check_links(Path("33", "3" * 38))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="gone"):
        Place.of(tmp_path / "gone")


@pytest.mark.parametrize("how", ["gone", "another", "a link", "a file", "a link further up"])
def test_another_in_its_place_is_refused(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "up" / "objects"
    for each in (folder, tmp_path / "other" / "objects"):
        each.mkdir(parents=True)
    place = Place.of(folder)
    (tmp_path / "up").rename(tmp_path / "moved")
    (tmp_path / "up").mkdir() if how != "a link further up" else (tmp_path / "up").symlink_to(tmp_path / "other")
    match how:
        case "another":
            folder.mkdir()
        case "a link":
            folder.symlink_to(tmp_path / "moved" / "objects")
        case "a file":
            folder.write_bytes(b"")
    with pytest.raises(RefusedError, match="is not the folder that it was") as caught:
        place.check()
    assert caught.value.hint == "begin a new session"


@pytest.mark.parametrize("name", ["22", "pack", "info", "pack/two.pack", str(LOOSE)])
def test_a_link_where_git_looks_is_refused(objects: Path, tmp_path: Path, name: str) -> None:
    place, elsewhere = Place.of(objects), tmp_path / "elsewhere"
    if (objects / name).exists():
        (objects / name).rename(elsewhere)
    (objects / name).symlink_to(elsewhere)
    with pytest.raises(RefusedError, match="symbolic links"):
        place.check_links(LOOSE)


def test_more_packs_than_git_could_open_are_refused(objects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MAX_ENTRIES", 2)
    Place.of(objects).check_links(LOOSE)
    (objects / "22").mkdir()
    with pytest.raises(RefusedError, match="too many"):
        Place.of(objects).check_links(LOOSE)
