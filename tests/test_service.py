from __future__ import annotations

import configparser
import plistlib
import stat
import sys
from pathlib import Path

import pytest

from attest.errors import UnavailableError
from notme_git.daemon import service

HOME = Path("/home/alice/.local/share/notme")
PYTHON = "/opt/python/bin/python3"


def test_a_systemd_unit_starts_the_daemon_of_this_home_in_the_foreground() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their case
    unit.read_string(service.render("systemd", HOME, PYTHON))
    ours = unit["Service"]
    assert ours["ExecStart"] == f'"{PYTHON}" -I -m notme_git daemon-serve --foreground'
    assert ours["Environment"] == f'"NOTME_HOME={HOME}"'
    assert (ours["LimitCORE"], ours["UMask"], ours["NoNewPrivileges"]) == ("0", "0077", "yes")


@pytest.mark.parametrize(
    ("home", "written"),
    [("/a b", "/a b"), ('/"q"', '/\\"q\\"'), ("/100%", "/100%%"), ("/$HOME", "/$HOME"), ("/b\\n", "/b\\\\n")],
)
def test_what_systemd_would_read_otherwise_is_escaped(home: str, written: str) -> None:
    text = service.render("systemd", Path(home), PYTHON)
    assert f'\nEnvironment="NOTME_HOME={written}"\n' in text


def test_a_dollar_is_written_twice_where_systemd_expands_it() -> None:
    assert '\nExecStart="/$$HOME/python" -I' in service.render("systemd", Path("/home"), "/$HOME/python")


def test_a_property_list_starts_the_same(tmp_path: Path) -> None:
    found = plistlib.loads(service.render("launchd", HOME, PYTHON).encode())
    assert found["ProgramArguments"] == [PYTHON, "-I", "-m", "notme_git", "daemon-serve", "--foreground"]
    assert found["EnvironmentVariables"] == {"NOTME_HOME": str(HOME)}
    other = plistlib.loads(service.render("launchd", tmp_path, PYTHON).encode())
    assert found["Label"] != other["Label"]


@pytest.mark.parametrize(
    ("kind", "environ", "place"),
    [
        ("systemd", {}, ".config/systemd/user/notme-git.service"),
        ("systemd", {"XDG_CONFIG_HOME": "{home}/other"}, "other/systemd/user/notme-git.service"),
        ("launchd", {}, f"Library/LaunchAgents/{service.LABEL}.plist"),
    ],
)
def test_it_is_installed_where_the_manager_looks(
    tmp_path: Path, kind: str, environ: dict[str, str], place: str
) -> None:
    given = {name: value.format(home=tmp_path) for name, value in environ.items()}
    file = service.install(kind, "text", {"HOME": str(tmp_path), **given})
    assert file == tmp_path / place
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("text", 0o644)
    assert file.name in service.switch_on(kind, file)


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}], ids=str)
def test_without_a_home_there_is_no_place_for_it(environ: dict[str, str]) -> None:
    with pytest.raises(UnavailableError, match="no place") as caught:
        service.install("systemd", "text", environ)
    assert "--install" in caught.value.hint


def test_the_usual_manager_is_this_systems() -> None:
    assert service.usual() == ("launchd" if sys.platform == "darwin" else "systemd")
