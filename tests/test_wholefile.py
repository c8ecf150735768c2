"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from attest import wholefile
from attest.errors import UnavailableError
from attest.wholefile import WholeFile


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_place_when_all_is_written_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.write_bytes(b"before")
    with WholeFile(place) as file:
        file.write(b"one ")
        assert place.read_bytes() == b"before"
        file.write(b"two")
    assert place.read_bytes() == b"one two"
    assert names(tmp_path) == ["out"]


def test_without_a_write_there_is_no_file(tmp_path: Path) -> None:
    with WholeFile(tmp_path / "out"):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_breaks_off_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    place = tmp_path / "out"
    place.write_bytes(b"before")

    def broken_off() -> None:
        with WholeFile(place) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        broken_off()
    assert place.read_bytes() == b"before"
    assert names(tmp_path) == ["out"]


def test_a_symbolic_link_leads_where_it_led_also_to_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to(Path("there") / "file")
    for content in (b"first", b"second"):
        wholefile.write(link, content)
        assert link.is_symlink()
        assert (tmp_path / "there" / "file").read_bytes() == content


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    wholefile.write(pipe, b"through")
    reader.join(10)
    assert read == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_stays_a_device() -> None:
    wholefile.write(Path(os.devnull), b"gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_disk_that_is_full_is_said() -> None:
    with pytest.raises(UnavailableError, match="cannot write /dev/full: No space"):
        wholefile.write(Path("/dev/full"), b"x" * 100_000)


@pytest.mark.parametrize(
    "place",
    ["nowhere/out", "folder", "x" * 256, "file/out"],
    ids=["no folder", "a folder", "a long name", "a file for a folder"],
)
def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="cannot write"):
        wholefile.write(tmp_path / place, b"x")
    assert names(tmp_path) == ["file", "folder"]
    assert names(tmp_path / "folder") == []


def test_a_private_file_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        wholefile.write(tmp_path / "open", b"x")
        wholefile.write(tmp_path / "closed", b"x", private=True)
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("open", "closed")] == [0o644, 0o600]
