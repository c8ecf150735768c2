"""What is set up, and how it goes again: `setup --list`, and `setup --undo` when the home with its records is gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.compat.conftest import AGENT, Sandbox

BEFORE = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n[user]\n\tname = Bob\n\temail = bob@example.org\n"


def fresh(sandbox: Sandbox, *options: str, before: str = BEFORE) -> Path:
    """The repository's configuration file, as it was before and set up once more."""
    config = sandbox.repo / ".git" / "config"
    config.write_text(before)
    sandbox.notme("setup", *options)
    return config


def by_hand(sandbox: Sandbox, *options: str) -> str:
    """The line that undo prints when the home is gone."""
    shutil.rmtree(sandbox.home)
    said = sandbox.notme("setup", "--undo", *options, status=1).err
    return said.partition("take it out by hand: ")[2].strip()


def test_what_is_set_up_is_listed_with_its_agent(sandbox: Sandbox) -> None:
    assert "nothing is set up" in sandbox.notme("setup", "--list").err
    other = sandbox.root / "other"
    sandbox.git("init", "-q", other)
    first = fresh(sandbox, "--agent", AGENT)
    sandbox.notme("setup", "--auto", cwd=other)
    assert sandbox.notme("setup", "--list", cwd=sandbox.root).text.splitlines() == [
        f"{other}/.git/config  --auto",
        f"{first}  {AGENT}",
    ]
    told = sandbox.notme("setup", "--list", "--json").json
    assert told[1] == {"file": str(first), "agent": AGENT, "auto": False, "exists": True}
    assert (told[0]["agent"], told[0]["auto"]) == (None, True)


def test_what_was_taken_out_or_is_gone_is_listed_as_such(sandbox: Sandbox) -> None:
    other = sandbox.root / "other"
    sandbox.git("init", "-q", other)
    config = fresh(sandbox, "--agent", AGENT)
    sandbox.notme("setup", "--agent", AGENT, cwd=other)
    config.write_text(BEFORE)
    shutil.rmtree(other)
    assert [line.partition("  ")[2] for line in sandbox.notme("setup", "--list").text.splitlines()] == [
        "gone",
        "changed since",
    ]
    sandbox.notme("setup", "--undo")
    assert len(sandbox.notme("setup", "--list").text.splitlines()) == 1


@pytest.mark.parametrize(
    "options",
    [("--agent", AGENT), ("--agent", AGENT, "--format", "ssh"), ("--agent", AGENT, "--format", "openpgp"), ("--auto",)],
    ids=" ".join,
)
def test_without_its_record_a_setup_is_taken_out_by_the_line_that_undo_prints(
    sandbox: Sandbox, options: tuple[str, ...]
) -> None:
    config = fresh(sandbox, *options)
    sandbox.run("sh", "-c", by_hand(sandbox))
    assert config.read_text() == BEFORE
    sandbox.commit("by Bob")
    assert sandbox.notme("setup", "--undo", status=1).err.count("by hand") == 0


def test_the_program_from_before_is_put_back(sandbox: Sandbox) -> None:
    config = fresh(sandbox, "--agent", AGENT, before=BEFORE + '[gpg "x509"]\n\tprogram = /opt/my gpgsm\n')
    sandbox.run("sh", "-c", by_hand(sandbox))
    assert sandbox.git("config", "--file", config, "gpg.x509.program").text == "/opt/my gpgsm"
    assert "notme" not in config.read_text()


def test_the_key_of_a_human_stays_where_whoever_calls_signs(sandbox: Sandbox) -> None:
    own = "[user]\n\tsigningkey = ABCD\n[commit]\n\tgpgsign = true\n"
    config = fresh(sandbox, "--auto", before=BEFORE + own)
    sandbox.run("sh", "-c", by_hand(sandbox))
    assert "signingkey = ABCD" in config.read_text()
    assert sandbox.git("config", "--type=bool", "commit.gpgsign").text == "true"


@pytest.mark.parametrize("after", [False, True])
def test_whether_the_human_signs_stays_where_whoever_calls_signs(sandbox: Sandbox, after: bool) -> None:
    """As it was before, or as the human has set it since."""
    config = fresh(sandbox, "--auto", before=BEFORE + "[commit]\n\tgpgsign = false\n")
    if after:
        sandbox.git("config", "commit.gpgsign", "true")
    sandbox.run("sh", "-c", by_hand(sandbox))
    assert sandbox.git("config", "--file", config, "commit.gpgsign").text == str(after).lower()
    assert "notme" not in config.read_text()


def test_a_global_setup_is_taken_back_by_the_command_it_names(sandbox: Sandbox) -> None:
    said = sandbox.notme("setup", "--agent", AGENT, "--global").text
    assert said.endswith("notme-git setup --undo --global")
    sandbox.notme(*said.splitlines()[-1].partition("notme-git ")[2].split())
    assert not (sandbox.user / ".gitconfig").exists()


@pytest.mark.parametrize(
    "words", [("--agent", "claude-code"), ("--auto",), ("--undo",)], ids=lambda words: " ".join(words)
)
def test_outside_a_repository_the_whole_command_for_all_is_named(sandbox: Sandbox, words: tuple[str, ...]) -> None:
    said = sandbox.notme("setup", *words, cwd=sandbox.user, status=64).err
    assert f"notme-git setup {' '.join(words)} --global" in said


def test_submodules_are_said_to_have_configurations_of_their_own(sandbox: Sandbox) -> None:
    assert "submodules" not in sandbox.notme("setup", "--agent", AGENT).err
    (sandbox.repo / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = ../x\n')
    (sandbox.repo / "below").mkdir()
    for place in (sandbox.repo, sandbox.repo / "below"):
        assert "run setup in each" in sandbox.notme("setup", "--agent", AGENT, cwd=place).err
    assert "submodules" not in sandbox.notme("setup", "--agent", AGENT, "--global").err


def test_another_users_repository_is_named_in_the_remedy(sandbox: Sandbox) -> None:
    environ = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}  # git's own switch for testing this
    for words in (("setup", "--agent", AGENT), ("doctor",)):
        said = sandbox.notme(*words, environ=environ, status=2).err
        assert "safe.directory" in said
        assert "DIRECTORY" not in said
        assert str(sandbox.repo).replace("'", "'\"'\"'") in said
