"""What a repository borrows from, where a sandbox may have written down anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attest.errors import RefusedError
from notme_git.session import alternates


def objects(root: Path, name: str, borrowed: str = "") -> Path:
    made = root / name / "objects"
    (made / "info").mkdir(parents=True)
    if borrowed:
        (made / "info" / "alternates").write_text(borrowed)
    return made


def test_a_repository_that_borrows_nothing_has_no_places(tmp_path: Path) -> None:
    assert alternates.places(objects(tmp_path, "one")) == []
    assert alternates.places(tmp_path / "none") == []


def test_places_are_found_directly_and_further_on_each_once(tmp_path: Path) -> None:
    third = objects(tmp_path, "third", "../../first/objects\n")
    second = objects(tmp_path, "second", f"# a remark\n\n{third}\n")
    first = objects(tmp_path, "first", f"../../second/objects\n{third}\n{tmp_path}/gone\n")
    assert alternates.places(first) == [second, third]


def test_a_link_counts_as_what_it_leads_to_now(tmp_path: Path) -> None:
    second = objects(tmp_path, "second")
    (tmp_path / "link").symlink_to(second)
    assert alternates.places(objects(tmp_path, "first", f"{tmp_path}/link\n")) == [second]


def test_no_deeper_than_git_looks(tmp_path: Path) -> None:
    made = [objects(tmp_path, f"{n}", f"../../{n + 1}/objects\n") for n in range(9)]
    assert alternates.places(made[0]) == made[1 : alternates.MAX_DEPTH + 1]


def test_too_many_places_are_refused(tmp_path: Path) -> None:
    for n in range(alternates.MAX_PLACES + 1):
        (tmp_path / f"{n}").mkdir()
    named = "".join(f"{tmp_path}/{n}\n" for n in range(alternates.MAX_PLACES + 1))
    with pytest.raises(RefusedError, match="more than 64"):
        alternates.places(objects(tmp_path, "one", named))
    named = named.partition("\n")[2]
    assert len(alternates.places(objects(tmp_path, "other", named))) == alternates.MAX_PLACES


@pytest.mark.parametrize("what", ["a device", "a pipe", "a link", "a folder", "too large"])
def test_what_is_no_small_file_is_refused_and_not_waited_for(tmp_path: Path, what: str) -> None:
    made = objects(tmp_path, "one")
    path = made / "info" / "alternates"
    match what:
        case "a device":
            path.symlink_to("/dev/zero")
        case "a pipe":
            os.mkfifo(path)
        case "a link":
            (tmp_path / "file").write_text("")
            path.symlink_to(tmp_path / "file")
        case "a folder":
            path.mkdir()
        case "too large":
            path.write_bytes(b"#" * (alternates.MAX_BYTES + 1))
    with pytest.raises(RefusedError, match="is not a file of at most"):
        alternates.places(made)
    path.rmdir() if what == "a folder" else path.unlink()
    path.write_bytes(b"#" * alternates.MAX_BYTES)
    assert alternates.places(made) == []
