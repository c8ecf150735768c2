"""What the command line of an audit refuses before it looks at anything, and how it names whom it goes by."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.audit import cli
from attest.cli import cli as attest_cli
from attest.errors import UnavailableError, UsageError
from attest.foreign.roots import Roots
from attest.trust import Trust
from tests.world import World

REFUSED = {
    "nothing is named": ((), "no repository is named"),
    "a remote helper": (("ext::sh -c true",), "ext:: is not a way"),
    "an address without privacy": (("http://example.org/x.git",), "http is not a way"),
    "two forms on one output": ((".", "--json", "--csv"), "exclude each other"),
    "days in the wrong order": ((".", "--since", "2026-02-01", "--until", "2026-01-01"), "--since is after --until"),
    "two policies": ((".", "--policy", "/dev/null", "--require-time", "authority"), "exclude each other"),
}


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTME_HOME", str(tmp_path / "home"))


def audit(*arguments: str | Path) -> object:
    return attest_cli.main(["audit", *map(str, arguments)], standalone_mode=False)


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_in_words(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, says = REFUSED[name]
    with pytest.raises(UsageError, match=says):
        audit(*arguments)
    assert capsys.readouterr().out == ""


def test_a_page_without_a_folder_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="there is no such folder"):
        audit(".", "--html", tmp_path / "absent" / "a.html")


def test_a_page_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"cannot write .*: Is a directory"):
        audit(tmp_path / "nowhere", "--html", tmp_path)


def test_a_policy_that_is_none_ends_it_before_any_repository(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy.toml").write_text("version = 99", "utf-8")
    with pytest.raises(UnavailableError, match="is no policy"):
        audit(tmp_path / "nowhere", "--policy", tmp_path / "policy.toml")
    assert "nowhere" not in capsys.readouterr().err


def test_it_says_whose_signatures_count(tmp_path: Path) -> None:
    trusted = World(tmp_path).trust()
    assert [words.split(" ")[0] for words in cli.trusts(trusted)] == ["authority"] * len(trusted.anchors)
    assert all(anchor.key.key_id in " ".join(cli.trusts(trusted)) for anchor in trusted.anchors)
    assert cli.trusts(Trust(anchors=())) == ()
    assert cli.trusts(Trust(anchors=(), foreign=Roots())) == ()
