"""What setup writes to `<home>/bin`, run by the kernel or by the sh of this machine.

The interpreter is a stand-in: asked for `-IS` it is Python, and else it prints how it was called, home first.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import UnavailableError, UsageError
from notme_git import agents, shimfile

STAND_IN = f"""#!/bin/sh
if [ "$1" = -IS ]; then exec '{sys.executable}' "$@"; fi
printf '%s\\0' "${{NOTME_HOME-none}}" "$@"
"""

ODD_NAMES = {
    "a plain name": "plain",
    "a blank": "with a blank",
    "a tab": "a\ttab",
    "a single quote": "it's",
    "only single quotes": "'''",
    "double quotes": 'the"best"',
    "what a shell expands": "$HOME `id` $(id) \\ * ~ !",
    "a line feed": "two\nlines",
    "a percent sign for printf": "%s%n",
    "braces for format": "{python}{0}",
    "letters beyond ASCII": "Größe大",
    "bytes that are not UTF-8": os.fsdecode(b"\xff\xfe"),
    "bytes that are not UTF-8, and a blank": os.fsdecode(b"\xff \xfe"),
    "a leading dash": "-I",
    "more than a line of the kernel's": "x" * 120,
}


def write_program(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
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
    python = write_program(tmp_path / name / "python", STAND_IN)
    home = tmp_path / f"home {name}"
    place = shimfile.install(home, str(python))
    assert call(place / "notme-x509") == (0, [str(home), "-I", "-m", "notme_git", "gpgsm"], "")


@pytest.mark.parametrize("wrapped", [False, True], ids=["by the kernel", "by sh"])
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("notme-x509", ["gpgsm"]),
        ("notme-ssh", ["ssh-keygen"]),
        ("notme-openpgp", ["gpg"]),
        ("notme-auto-x509", ["--own", "auto-gpgsm"]),
        ("notme-auto-ssh", ["--own", "auto-ssh-keygen"]),
        ("notme-auto-openpgp", ["--own", "auto-gpg"]),
    ],
)
def test_what_a_shim_answers_is_in_its_name(tmp_path: Path, name: str, told: list[str], wrapped: bool) -> None:
    python = write_program(tmp_path / ("a path" if wrapped else "path") / "python", STAND_IN)
    place = shimfile.install(tmp_path / "home", str(python))
    assert (place / name).read_bytes().startswith(b"#!/bin/sh\n") == wrapped
    assert call(place / name)[1][1:] == ["-I", "-m", "notme_git", *told]
    assert name in shimfile.NAMES


def test_every_name_is_the_path_of_a_format() -> None:
    forms = ("x509", "ssh", "openpgp")
    paths = {shimfile.path(Path("/h"), form, auto=auto) for form in forms for auto in (False, True)}
    assert paths == {Path("/h/bin", name) for name in shimfile.NAMES}


@settings(derandomize=True, max_examples=60, deadline=None)
@given(name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40))
def test_any_home_and_python_are_kept_as_they_are(name: str) -> None:
    python, home = f"/usr/{name}", Path("/", name)
    found: dict[str, object] = {}
    exec(shimfile.module(python, home).decode().partition("def main")[0], found)
    assert (found["PYTHON"], found["HOME"]) == (python, str(home))


def test_the_settings_are_the_names_that_may_leave_and_the_marks_of_agents() -> None:
    found: dict[str, object] = {}
    exec(shimfile.module("/python", Path("/home")).decode().partition("def main")[0], found)
    assert found["MARKS"] == agents.MARK_NAMES
    assert found["NAMES"] == (*shimfile.SENT, *agents.MARK_NAMES)
    assert found["SANDBOXED"] is False


@pytest.mark.parametrize("given_home", ["/elsewhere/home", "relative", ""])
def test_a_home_in_the_environment_wins(tmp_path: Path, given_home: str) -> None:
    place = shimfile.install(tmp_path / "home", str(write_program(tmp_path / "python", STAND_IN)))
    _, told, _ = call(place / "notme-x509", environ={"NOTME_HOME": given_home})
    assert told[0] == given_home


@pytest.mark.parametrize("folder", ["plain", "a blank"])
def test_gits_arguments_arrive_unchanged(tmp_path: Path, folder: str) -> None:
    place = shimfile.install(tmp_path, str(write_program(tmp_path / folder / "python", STAND_IN)))
    arguments = ["--status-fd=2", "-bsau", "notme:a b", "", "it's", '"', "$HOME", "*", "a\nb", os.fsdecode(b"\xff")]
    assert call(place / "notme-x509", *arguments)[1][5:] == arguments


def test_a_python_that_is_gone_is_named_on_stderr_alone(tmp_path: Path) -> None:
    python = tmp_path / "it's gone" / "python"
    status, stdout, stderr = call(shimfile.install(tmp_path, str(python)) / "notme-x509")
    assert (status, stdout) == (2, [])
    assert stderr == f"notme-git: the Python it was set up with is gone ({python}); run notme-git setup again\n"


def test_neither_the_environment_nor_the_working_tree_adds_a_module(tmp_path: Path) -> None:
    """git runs it in a tree that others wrote; and the site module would take longer than the whole call."""
    for name in ("posix", "_socket", "notme_shim", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(77)\n")
    python = write_program(tmp_path / "bin" / "python", STAND_IN)
    place = shimfile.install(tmp_path / "home", str(python))
    done = subprocess.run(
        [place / "notme-x509"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "posix.py"), "PYTHONHOME": "/gone"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=10,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_they_are_executable_and_for_this_user_to_change_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        place = shimfile.install(tmp_path / "home", "/usr/bin/python3")
    finally:
        os.umask(before)
    assert place == tmp_path / "home" / "bin"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE((place / name).stat().st_mode) for name in shimfile.NAMES} == {0o755}


def test_a_second_install_replaces_each_in_one_step(tmp_path: Path) -> None:
    first = shimfile.install(tmp_path, "/one/python") / "notme-ssh"
    with first.open("rb") as running:
        shimfile.install(tmp_path, "/another/python")
        assert running.read() == shimfile.render("/one/python", tmp_path)[0]
    assert first.read_bytes() == shimfile.render("/another/python", tmp_path)[0]
    assert {p.name for p in first.parent.iterdir()} == {*shimfile.NAMES, shimfile.MODULE, "__pycache__"}


def test_the_module_is_compiled_when_it_is_written(tmp_path: Path) -> None:
    place = shimfile.install(tmp_path, "/python")
    assert [p.name.partition(".")[0] for p in (place / "__pycache__").iterdir()] == ["notme_shim"]


def test_a_home_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="file/bin"):
        shimfile.install(tmp_path / "file", "/usr/bin/python3")


@pytest.mark.parametrize(
    ("python", "home"),
    [("python3", "/home"), ("", "/home"), ("./python3", "/home"), ("/py\0thon", "/home"), ("/python3", "home")],
    ids=["a bare name", "no Python known", "a relative Python", "a NUL", "a relative home"],
)
def test_paths_that_would_mean_something_else_elsewhere_are_refused(python: str, home: str) -> None:
    with pytest.raises(UsageError, match="not an absolute path"):
        shimfile.render(python, Path(home))


# -- kept up to date


def test_what_was_just_written_is_not_stale(tmp_path: Path) -> None:
    place = shimfile.install(tmp_path, "/python")
    assert shimfile.stale(tmp_path, "/python") == []
    assert {p.name for p in shimfile.stale(tmp_path, "/another")} == {*shimfile.NAMES, shimfile.MODULE}
    assert {p.parent for p in shimfile.stale(tmp_path, "/another")} == {place}


@pytest.mark.parametrize("name", [*shimfile.NAMES, shimfile.MODULE])
@pytest.mark.parametrize("damage", ["gone", "shorter", "longer", "another's"])
def test_a_file_that_is_not_what_this_version_writes_is_stale_and_written_anew(
    tmp_path: Path, name: str, damage: str
) -> None:
    file = shimfile.install(tmp_path, "/python") / name
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes({"shorter": content[:-1], "longer": content + b"#", "another's": b"#!/bin/sh\n"}[damage])
    assert shimfile.stale(tmp_path, "/python") == [file]
    shimfile.refresh(tmp_path, "/python")
    assert shimfile.stale(tmp_path, "/python") == []


def test_what_is_up_to_date_is_not_written_again(tmp_path: Path) -> None:
    place = shimfile.install(tmp_path, "/python")
    before = {p: p.stat().st_ino for p in place.iterdir()}
    shimfile.refresh(tmp_path, "/python")
    assert {p: p.stat().st_ino for p in place.iterdir()} == before


# -- known again


def test_a_shim_is_known_under_any_name(tmp_path: Path) -> None:
    place = shimfile.install(tmp_path / "home", "/usr/bin/python3")
    program = place / "notme-x509"
    link, twin, copy = (tmp_path / name for name in ("link", "twin", "copy"))
    link.symlink_to(program)
    twin.hardlink_to(program)
    copy.write_bytes(program.read_bytes())
    by_sh = shimfile.install(tmp_path / "another home", "/a path/python3") / "notme-ssh"
    assert all(shimfile.is_shim(path) for path in (program, link, twin, copy, str(program), by_sh))


def test_the_program_for_a_sandbox_is_a_shim_of_no_home(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(shimfile.sandbox_program())
    assert shimfile.is_shim(program)
    assert b"\nSANDBOXED = True\n" in shimfile.sandbox_program()
    assert os.fsencode(sys.executable) not in shimfile.sandbox_program()


def test_nothing_else_is_taken_for_a_shim(tmp_path: Path) -> None:
    other = write_program(tmp_path / "other", f"#!/bin/sh\necho '{shimfile.MARK.decode()}'\n")
    empty = write_program(tmp_path / "empty", "")
    os.mkfifo(tmp_path / "fifo")
    nothing = (other, empty, tmp_path, tmp_path / "fifo", tmp_path / "missing", "nul\0")
    assert not any(shimfile.is_shim(path) for path in nothing)
