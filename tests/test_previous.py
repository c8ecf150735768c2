"""Which program keeps what is not ours; with a git that is a script, and says what a test wants configured."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attest.errors import UnavailableError
from notme_git import previous, shimfile


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    shimfile.install(made, "/usr/bin/python3")
    return made


def program_at(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def machine(tmp_path: Path, *folders: Path, **configured: str | Path) -> dict[str, str]:
    """The environment of a machine with these folders on its PATH, and what its git has configured."""
    entries = "".join(f"notme.previous{key}program\\n{value}\\0" for key, value in configured.items())
    wanted = "".join(f"*{key}*) printf '{entries}'; exit;;" for key in configured)
    program_at(tmp_path / "git" / "git", f'#!/bin/sh\ncase "$*" in {wanted or "none) ;;"}\nesac\nexit 1\n')
    path = [*folders, tmp_path / "git", Path("/usr/bin"), Path("/bin")]
    return {"PATH": os.pathsep.join(str(folder) for folder in path), "HOME": str(tmp_path)}


@pytest.mark.parametrize("dialect", previous.KEYS)
def test_without_a_remembered_program_it_is_the_usual_one_on_the_path(
    tmp_path: Path, home: Path, dialect: str
) -> None:
    found = program_at(tmp_path / "tools" / dialect)
    assert previous.program(home, dialect, environ=machine(tmp_path, found.parent)) == str(found)


def test_without_any_there_is_none(tmp_path: Path, home: Path) -> None:
    environ = machine(tmp_path) | {"PATH": str(tmp_path / "git")}
    assert previous.program(home, "gpgsm", environ=environ) is None


@pytest.mark.parametrize(("dialect", "key"), [("gpgsm", "x509"), ("ssh-keygen", "ssh"), ("gpg", "openpgp")])
def test_each_dialect_has_a_program_of_its_own(tmp_path: Path, home: Path, dialect: str, key: str) -> None:
    usual = program_at(tmp_path / "tools" / dialect)
    remembered = program_at(tmp_path / "remembered")
    environ = machine(tmp_path, usual.parent, **{key: remembered})
    assert previous.program(home, dialect, environ=environ) == str(remembered)


def test_a_remembered_program_that_is_gone_is_not_replaced_by_another(tmp_path: Path, home: Path) -> None:
    usual = program_at(tmp_path / "tools" / "gpgsm")
    environ = machine(tmp_path, usual.parent, x509="/gone/gpgsm")
    with pytest.raises(UnavailableError, match=r"gpg\.x509\.program from before setup, is gone") as caught:
        previous.program(home, "gpgsm", environ=environ)
    assert "notme.previousX509Program" in caught.value.hint


def test_a_git_that_cannot_say_is_an_error_and_no_other_program_takes_the_place(tmp_path: Path, home: Path) -> None:
    usual = program_at(tmp_path / "tools" / "gpgsm")
    environ = machine(tmp_path, usual.parent)
    program_at(tmp_path / "git" / "git", "#!/bin/sh\necho 'fatal: bad config' >&2\nexit 128\n")
    with pytest.raises(UnavailableError, match="bad config"):
        previous.program(home, "gpgsm", environ=environ)


def test_without_git_nothing_was_set_up_and_the_usual_program_runs(tmp_path: Path, home: Path) -> None:
    usual = program_at(tmp_path / "tools" / "ssh-keygen")
    environ = {"PATH": str(usual.parent)}
    assert previous.program(home, "ssh-keygen", environ=environ) == str(usual)


# -- never ourselves


@pytest.mark.parametrize("kind", ["this home's", "another home's", "by a link", "a copy", "anything beside ours"])
def test_a_program_of_ours_is_passed_over(tmp_path: Path, home: Path, kind: str) -> None:
    front = tmp_path / "front"
    ours = home / "bin" / "notme-x509"
    if kind == "another home's":
        ours = shimfile.install(tmp_path / "other", "/a path/python3") / "notme-x509"
    front.mkdir()
    if kind == "a copy":
        program_at(front / "gpgsm", ours.read_text())
    elif kind == "anything beside ours":
        (front / "gpgsm").symlink_to(program_at(home / "bin" / "own"))
    else:
        (front / "link").symlink_to(ours)
        (front / "gpgsm").symlink_to("link" if kind == "by a link" else ours)
    real = program_at(tmp_path / "real" / "gpgsm")
    assert previous.is_ours(str(front / "gpgsm"), home)
    assert previous.program(home, "gpgsm", environ=machine(tmp_path, front, real.parent)) == str(real)
    remembered = machine(tmp_path, front, real.parent, x509=front / "gpgsm")
    assert previous.program(home, "gpgsm", environ=remembered) == str(real)


def test_without_a_home_a_shim_is_known_all_the_same(tmp_path: Path, home: Path) -> None:
    front = tmp_path / "front"
    front.mkdir()
    (front / "gpgsm").symlink_to(home / "bin" / "notme-x509")
    real = program_at(tmp_path / "real" / "gpgsm")
    assert previous.program(None, "gpgsm", environ=machine(tmp_path, front, real.parent)) == str(real)


def test_a_program_that_this_call_came_through_is_not_asked_again(tmp_path: Path, home: Path) -> None:
    """A wrapper around `notme-git gpgsm` may be called gpgsm and look like anything."""
    first, second = (program_at(tmp_path / name / "gpgsm") for name in ("first", "second"))
    environ = machine(tmp_path, first.parent, second.parent, x509=first)
    assert previous.program(home, "gpgsm", environ=environ) == str(first)
    environ = previous.environment(environ, str(first))
    assert previous.program(home, "gpgsm", environ=environ) == str(second)
    environ = previous.environment(environ, str(second)) | {"PATH": f"{first.parent}:{second.parent}:{tmp_path}/git"}
    assert environ["NOTME_PASSED"] == f"{first}{os.pathsep}{second}"
    assert previous.program(home, "gpgsm", environ=environ) is None


def test_the_rest_of_the_environment_is_handed_on_as_it_is() -> None:
    assert previous.environment({"A": "b"}, "/x") == {"A": "b", "NOTME_PASSED": "/x"}


# -- names


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("tool", "bin/tool"),
        ("~/bin/tool", "bin/tool"),
        ("./bin/tool", "bin/tool"),
        ("bin/../bin/tool", "bin/tool"),
        ("missing", None),
        ("bin/missing", None),
        ("./bin", None),
        ("./plain", None),
    ],
)
def test_a_name_is_resolved_as_git_does(tmp_path: Path, name: str, found: str | None) -> None:
    program_at(tmp_path / "bin" / "tool")
    (tmp_path / "plain").write_text("")
    environ = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    expected = None if found is None else str(tmp_path / found)
    assert previous.resolve(name, environ, tmp_path) == expected
