from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from attest.errors import RefusedError, UnavailableError
from notme_git.daemon import place

STRANGER = 65534  # nobody
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A private folder on a path that is short enough for sockets."""
    folder = Path(f"/tmp/nr-{os.getpid()}")
    folder.mkdir(mode=0o700)
    yield folder
    subprocess.run(["rm", "-rf", folder, f"{folder}-home"], check=True)


@pytest.fixture
def home(runtime: Path) -> Path:
    """A home whose path is short enough as well."""
    made = Path(f"{runtime}-home")
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def deep(home: Path) -> Iterator[Path]:
    """A home whose path is not; the folder that it gets in /tmp is removed."""
    made = home / ("x" * 80)
    made.mkdir(mode=0o700)
    yield made
    fallback = in_tmp(made)
    if fallback.is_symlink() or fallback.exists():
        subprocess.run(["rm", "-rf", fallback], check=True)


def in_tmp(home: Path) -> Path:
    return Path(f"/tmp/notme-git-{place.name(home)}-{os.getuid()}")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# -- the folder for sockets


def test_sockets_lie_in_the_users_runtime_folder_in_a_folder_of_their_own(home: Path, runtime: Path) -> None:
    made = place.runtime_folder(home, {"XDG_RUNTIME_DIR": str(runtime)})
    assert (made.parent, mode(made)) == (runtime, 0o700)
    assert made == place.runtime_folder(home, {"XDG_RUNTIME_DIR": str(runtime)})


def test_two_homes_have_two_folders(home: Path, runtime: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(runtime)}
    assert place.runtime_folder(home, environ) != place.runtime_folder(home.with_name("other"), environ)


@pytest.mark.parametrize("value", ["", "relative", "/gone", None], ids=["empty", "relative", "gone", "unset"])
def test_without_a_runtime_folder_that_can_be_used_they_lie_in_the_home(home: Path, value: str | None) -> None:
    made = place.runtime_folder(home, {} if value is None else {"XDG_RUNTIME_DIR": value})
    assert (made, mode(made)) == (place.folder(home), 0o700)


def test_where_the_homes_path_is_too_long_as_well_they_lie_in_tmp(deep: Path) -> None:
    made = place.runtime_folder(deep, {})
    assert (made, mode(made)) == (in_tmp(deep), 0o700)


@pytest.mark.parametrize("bits", [0o701, 0o710, 0o750, 0o755, 0o777, 0o1777], ids=oct)
def test_a_runtime_folder_that_others_can_enter_is_not_used(home: Path, runtime: Path, bits: int) -> None:
    runtime.chmod(bits)
    assert place.runtime_folder(home, {"XDG_RUNTIME_DIR": str(runtime)}) == place.folder(home)


@AS_ROOT
def test_a_runtime_folder_of_another_user_is_not_used(home: Path, runtime: Path) -> None:
    os.chown(runtime, STRANGER, STRANGER)
    assert place.runtime_folder(home, {"XDG_RUNTIME_DIR": str(runtime)}) == place.folder(home)


def test_a_link_is_no_runtime_folder(home: Path, runtime: Path) -> None:
    link = runtime / "link"
    (runtime / "target").mkdir(mode=0o700)
    link.symlink_to("target")
    assert place.runtime_folder(home, {"XDG_RUNTIME_DIR": str(link)}) == place.folder(home)


@pytest.mark.parametrize("which", ["home", "deep"])
def test_a_runtime_folder_whose_path_is_too_long_is_not_used(
    which: str, runtime: Path, request: pytest.FixtureRequest
) -> None:
    home = request.getfixturevalue(which)
    long = runtime / ("x" * 60)
    long.mkdir(mode=0o700)
    made = place.runtime_folder(home, {"XDG_RUNTIME_DIR": str(long)})
    assert made == {"home": place.folder(home), "deep": in_tmp(home)}[which]
    place.listen(made / "command-0123456789abcdef").close()


@pytest.mark.parametrize("kind", ["world-writable", "a file", "a link"])
@pytest.mark.parametrize("which", ["home", "deep"])
def test_a_folder_that_others_could_have_made_is_refused(
    which: str, kind: str, runtime: Path, request: pytest.FixtureRequest
) -> None:
    home = request.getfixturevalue(which)
    taken = {"home": place.folder(home), "deep": in_tmp(home)}[which]
    if kind == "a file":
        taken.write_bytes(b"")
    elif kind == "a link":
        (runtime / "elsewhere").mkdir(mode=0o700)
        taken.symlink_to(runtime / "elsewhere")
    else:
        taken.mkdir()
        taken.chmod(0o777)
    with pytest.raises(UnavailableError, match="not a folder of this user alone") as caught:
        place.runtime_folder(home, {})
    assert "0700" in caught.value.hint


@AS_ROOT
def test_a_folder_in_tmp_that_another_user_has_made_is_refused(deep: Path) -> None:
    taken = in_tmp(deep)
    taken.mkdir(mode=0o700)
    os.chown(taken, STRANGER, STRANGER)
    with pytest.raises(UnavailableError, match="not a folder of this user alone"):
        place.runtime_folder(deep, {})


# -- listening


def test_a_socket_is_this_users_alone_whatever_the_umask(runtime: Path) -> None:
    before = os.umask(0)
    try:
        with place.listen(runtime / "sock"):
            assert mode(runtime / "sock") == 0o600
        assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_a_socket_that_a_dead_process_left_is_replaced(runtime: Path) -> None:
    place.listen(runtime / "sock").close()
    with place.listen(runtime / "sock"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(runtime / "sock"))


def test_a_path_that_is_too_long_for_a_socket_is_named(runtime: Path) -> None:
    fits = runtime / ("x" * (place.MAX_SOCKET_BYTES - len(str(runtime)) - 1))
    place.listen(fits).close()
    with pytest.raises(UnavailableError, match="too long") as caught:
        place.listen(Path(f"{fits}x"))
    assert str(place.MAX_SOCKET_BYTES) in caught.value.hint


def test_no_folder_is_an_error_that_names_the_path(runtime: Path) -> None:
    with pytest.raises(UnavailableError, match="gone/sock"):
        place.listen(runtime / "gone" / "sock")


def test_an_address_is_told_and_taken_back(home: Path, runtime: Path) -> None:
    path = runtime / "sock"
    with place.alone(home), place.listen(path):
        place.publish(home, path)
        assert (place.folder(home) / "address").read_bytes() == os.fsencode(path)
        place.withdraw(home, path)
        assert not path.exists()
        assert not (place.folder(home) / "address").exists()
        place.withdraw(home, path)


# -- one daemon a home


def test_a_second_daemon_of_a_home_is_refused_until_the_first_has_ended(home: Path) -> None:
    with place.alone(home), pytest.raises(RefusedError, match="running already"), place.alone(home):
        pass
    with place.alone(home):
        pass


def test_daemons_of_two_homes_do_not_know_each_other(home: Path) -> None:
    with place.alone(home), place.alone(home.with_name("other")):
        assert mode(place.folder(home)) == 0o700


def test_a_killed_daemon_lets_go(home: Path) -> None:
    hold = (
        "import sys, pathlib\nfrom notme_git.daemon import place\n"
        "with place.alone(pathlib.Path(sys.argv[1])):\n    print(flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", hold, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.read(1)
        with pytest.raises(RefusedError), place.alone(home):
            pass
        other.kill()
        other.wait()
        with place.alone(home):
            pass


def test_a_folder_of_the_home_that_others_can_enter_is_refused(home: Path) -> None:
    place.folder(home).mkdir(parents=True)
    place.folder(home).chmod(0o755)
    with pytest.raises(UnavailableError, match="this user alone"), place.alone(home):
        pass


def test_a_lock_that_is_a_link_is_not_followed(home: Path, tmp_path: Path) -> None:
    place.folder(home).mkdir(mode=0o700, parents=True)
    (place.folder(home) / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(UnavailableError), place.alone(home):
        pass
    assert not (tmp_path / "victim").exists()
