"""The shim, judged by the sh of this machine, with a stand-in for Python that prints how it was called."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import UnavailableError, UsageError
from notme_git import shim

PRINTER = b"#!/bin/sh\nprintf '%s\\0' \"${NOTME_HOME-none}\" \"$@\"\n"

ODD_NAMES = {
    "a plain name": "plain",
    "a blank": "with a blank",
    "a single quote": "it's",
    "only single quotes": "'''",
    "double quotes": 'the "best"',
    "what a shell expands": "$HOME `id` $(id) \\ * ~ !",
    "a line feed": "two\nlines",
    "a percent sign for printf": "%s%n",
    "letters beyond ASCII": "Größe 大",
    "bytes that are not UTF-8": os.fsdecode(b"\xff\xfe"),
    "a leading dash": "-I",
}


def write_program(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def call(program: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> tuple[int, list[str], str]:
    """Exit status, what the stand-in was given (home first), and stderr."""
    done = subprocess.run(
        [program, *arguments],
        env={"PATH": os.defpath} if environ is None else dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=10,
        check=False,
    )
    return done.returncode, os.fsdecode(done.stdout).split("\0")[:-1], os.fsdecode(done.stderr)


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())
def test_home_and_python_may_have_any_path(tmp_path: Path, name: str) -> None:
    python = write_program(tmp_path / name / "python", PRINTER)
    home = tmp_path / f"home {name}"
    program = shim.install(home, str(python))
    assert call(program) == (0, [str(home), "-I", "-m", "notme_git", "gpgsm"], "")


@pytest.fixture(scope="module")
def printer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("printer")
    return write_program(folder / "python", PRINTER), write_program(folder / "shim", b"")


@settings(derandomize=True, max_examples=60, deadline=None)
@given(name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40))
def test_any_home_reaches_python_as_it_is(printer: tuple[Path, Path], name: str) -> None:
    python, program = printer
    program.write_bytes(shim.render(str(python), Path("/", name)))
    assert call(program)[1][0] == str(Path("/", name))


@pytest.mark.parametrize("given_home", ["/elsewhere/home", "relative", ""])
def test_a_home_in_the_environment_wins(tmp_path: Path, given_home: str) -> None:
    program = shim.install(tmp_path / "home", str(write_program(tmp_path / "python", PRINTER)))
    _, told, _ = call(program, environ={"NOTME_HOME": given_home})
    assert told[0] == given_home


def test_gits_arguments_arrive_unchanged(tmp_path: Path) -> None:
    program = shim.install(tmp_path, str(write_program(tmp_path / "python", PRINTER)))
    arguments = ["--status-fd=2", "-bsau", "notme:a b", "", "it's", '"', "$HOME", "*", "a\nb"]
    assert call(program, *arguments)[1][5:] == arguments


def test_exit_status_and_stdin_are_those_of_python(tmp_path: Path) -> None:
    program = shim.install(tmp_path, str(write_program(tmp_path / "python", b"#!/bin/sh\ncat\nexit 64\n")))
    done = subprocess.run([program], input=b"tree\0\xff", capture_output=True, timeout=10, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (64, b"tree\0\xff", b"")


def test_a_python_that_is_gone_is_named_on_stderr_alone(tmp_path: Path) -> None:
    python = tmp_path / "it's gone" / "python"
    status, stdout, stderr = call(shim.install(tmp_path, str(python)))
    assert (status, stdout) == (2, [])
    assert stderr == f"notme-git: the Python it was set up with is gone ({python}); run notme-git setup again\n"


def test_a_python_that_cannot_be_executed_fails_without_output(tmp_path: Path) -> None:
    status, stdout, stderr = call(shim.install(tmp_path, str(tmp_path)))
    assert status in (126, 127)
    assert stdout == []
    assert str(tmp_path) in stderr


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_it_is_executable_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        program = shim.install(tmp_path / "home", "/usr/bin/python3")
    finally:
        os.umask(before)
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    assert program == tmp_path / "home" / "bin" / "notme-x509"


def test_a_second_install_replaces_it_in_one_step(tmp_path: Path) -> None:
    first = shim.install(tmp_path, "/one/python")
    with first.open("rb") as running:
        second = shim.install(tmp_path, "/another/python")
        assert running.read() == shim.render("/one/python", tmp_path)
    assert second.read_bytes() == shim.render("/another/python", tmp_path)
    assert list(second.parent.iterdir()) == [second]


def test_a_home_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="notme-x509"):
        shim.install(tmp_path / "file", "/usr/bin/python3")


@pytest.mark.parametrize(
    ("python", "home"),
    [("python3", "/home"), ("", "/home"), ("./python3", "/home"), ("/py\0thon", "/home"), ("/python3", "home")],
    ids=["a bare name", "no Python known", "a relative Python", "a NUL", "a relative home"],
)
def test_paths_that_would_mean_something_else_elsewhere_are_refused(python: str, home: str) -> None:
    with pytest.raises(UsageError, match="not an absolute path"):
        shim.render(python, Path(home))


def test_a_shim_is_known_under_any_name(tmp_path: Path) -> None:
    program = shim.install(tmp_path / "home", "/usr/bin/python3")
    link, twin, copy = (tmp_path / name for name in ("link", "twin", "copy"))
    link.symlink_to(program)
    twin.hardlink_to(program)
    copy.write_bytes(program.read_bytes())
    assert all(shim.is_shim(path) for path in (program, link, twin, copy, str(program)))


def test_nothing_else_is_taken_for_a_shim(tmp_path: Path) -> None:
    other = write_program(tmp_path / "other", b"#!/bin/sh\necho '" + shim.MARK + b"'\n")
    empty = write_program(tmp_path / "empty", b"")
    os.mkfifo(tmp_path / "fifo")
    nothing = (other, empty, tmp_path, tmp_path / "fifo", tmp_path / "missing", "nul\0")
    assert not any(shim.is_shim(path) for path in nothing)
