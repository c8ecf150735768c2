"""The command lines as programs: help, JSON, exit statuses, and manners towards terminals and pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click
import pytest
from click.testing import CliRunner

from attest.cli import cli as attest_cli
from notme_git import dialect
from notme_git.cli import cli as notme_cli
from tests.compat.conftest import AGENT, HUMAN, SCRIPTS, Sandbox

# In the words of design D13; the second and third are also what git and shells give.
DONE, REFUSED, COULD_NOT, USAGE, INTERRUPTED = 0, 1, 2, 64, 130

FINDINGS = {"object", "profile", "identity", "findings", "evidence", "remarks", "contradictions"}
VERDICT = FINDINGS | {"outcome", "rule", "policy", "bundle", "judgedAt", "warnings"}
GRANT = {
    "id", "state", "agent", "kind", "email", "represented", "scopes", "createdAt", "expiresAt", "revokedAt",
    "repositories", "branches", "delegationDepth",
}  # fmt: skip


def leaves(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*words, name))
        else:
            yield (*words, name)


# `--help` after a dialect's name is for the program whose dialect it is.
EVERY = [w for w in leaves(notme_cli, ("notme-git",)) if w[-1] not in dialect.NAMES]
EVERY += leaves(attest_cli, ("notme-attest",))
GROUPS = {"notme-git": notme_cli, "notme-attest": attest_cli}


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_explains_itself(words: tuple[str, ...], flag: str) -> None:
    shown = CliRunner().invoke(GROUPS[words[0]], [*words[1:], flag], prog_name=words[0])
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: {' '.join(words)} ")
    sentence = shown.output.split("\n\n")[1].strip()
    assert sentence.rstrip().endswith((".", ")"))


def test_the_dialects_are_explained_in_the_list_of_commands() -> None:
    shown = CliRunner().invoke(notme_cli, ["--help"]).output
    assert all(f"\n  {name} " in shown for name in dialect.DIALECTS)


def test_the_verifying_subcommands_are_the_same_in_both() -> None:
    names = set(attest_cli.commands)
    assert names <= set(notme_cli.commands)
    # `trust` of the signing side has what the verifying side has, and more.
    for name in names - {"trust"}:
        assert notme_cli.commands[name] is attest_cli.commands[name], name
    for group in (notme_cli.commands["trust"], attest_cli.commands["trust"]):
        assert isinstance(group, click.Group)
        assert "repo" in group.commands


@pytest.mark.parametrize("program", ["notme-git", "git-notme", "notme-attest"])
def test_each_program_says_its_version(bare_machine: Sandbox, program: str) -> None:
    done = bare_machine.run(SCRIPTS / program, "--version")
    assert done.text.split(", version ")[1][0].isdecimal()


def test_git_finds_the_subcommand(sandbox: Sandbox) -> None:
    assert AGENT in sandbox.git("notme", "grant", "list").text


# -- JSON


def keys(value: Any) -> set[str]:
    return set(value)


def test_what_reports_reports_in_json_too(bare_machine: Sandbox) -> None:
    machine = bare_machine
    made = machine.notme("init", "--key-store", "file", "--human", HUMAN, "--json").json
    assert keys(made) == {"authority", "home", "human", "anchorSha256", "keyStore", "recoveryKey"}
    granted = machine.notme("grant", "add", AGENT, "--json").json
    assert keys(granted) == GRANT
    machine.git("init", "-q", ".")
    applied = machine.notme("setup", "--agent", AGENT, "--json").json
    assert keys(applied) == {"file", "agent", "format", "profile", "program"}
    machine.commit()
    assert keys(machine.attest("examine", "HEAD", "--json").json) == FINDINGS
    verdict = machine.verdict()
    assert keys(verdict) == VERDICT
    assert [f["step"] for f in verdict["findings"]] == list(range(1, 9))
    assert all(keys(f) == {"step", "name", "status", "reason", "detail"} for f in verdict["findings"])
    assert verdict["identity"]["grant"]["id"] == granted["id"]
    [stored] = machine.notme("attest", "HEAD", "--json").json
    assert stored["result"] == "PASSED"
    [shown] = machine.attest("show", "HEAD", "--json").json
    assert {"predicateType", "result", "signer"} <= keys(shown)
    assert shown["signer"]["identity"] == stored["signer"]["identity"]
    listed = machine.notme("grant", "list", "--json").json
    assert all(keys(item) == GRANT for item in listed)
    assert {item["agent"] for item in listed} == {AGENT, "verifier"}
    [epoch] = machine.notme("epoch", "list", "--json").json
    assert keys(epoch) == {"epoch", "anchorSha256", "beganAt", "retiredAt", "state"}
    assert keys(machine.notme("grant", "revoke", AGENT, "--json").json) == {"revoked", "at"}
    assert machine.notme("epoch", "rotate", "--json").json == {"epoch": 2}
    assert keys(machine.notme("setup", "--undo", "--json").json) == {"file", "exact", "kept"}
    assert "mediaType" in machine.notme("trust", "export", "--format", "sigstore").json


def test_an_epoch_that_is_over_is_said_to_be_retired(sandbox: Sandbox) -> None:
    sandbox.notme("epoch", "rotate")
    old, new = sandbox.notme("epoch", "list").text.splitlines()
    assert old.startswith("1  retired (routine) ")
    assert new.startswith("2  current ")


def test_one_object_is_one_document_and_a_range_is_a_list(sandbox: Sandbox) -> None:
    sandbox.unsigned("one")
    sandbox.unsigned("two")
    assert isinstance(sandbox.attest("examine", "HEAD", "--json").json, dict)
    assert len(sandbox.attest("examine", "HEAD~1..HEAD", "--json").json) == 1


def test_an_empty_range_is_not_taken_for_an_accepted_one(sandbox: Sandbox) -> None:
    """Whoever writes a range the wrong way round would else let everything pass."""
    sandbox.unsigned("one")
    done = sandbox.attest("verify", "HEAD..HEAD", "--json", status=2)
    assert (done.json, "nothing was verified" in done.err) == ([], True)


def test_out_writes_the_one_bundle(sandbox: Sandbox) -> None:
    sandbox.commit()
    out = sandbox.root / "bundle.json"
    sandbox.notme("attest", "HEAD", "--out", out)
    assert json.loads(out.read_bytes())["mediaType"].startswith("application/vnd.dev.sigstore.bundle")


# -- exit statuses


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("notme-attest", "examine", "HEAD"), DONE),
        (("notme-attest", "verify", "HEAD"), REFUSED),
        (("notme-git", "verify", "HEAD"), REFUSED),
        (("notme-attest", "verify", "HEAD", "--anchor", "/nowhere"), COULD_NOT),
        (("notme-attest", "verify", "HEAD", "--bundle", "/dev/null"), COULD_NOT),
        (("notme-attest", "verify", "nothing-of-that-name"), USAGE),
        (("notme-attest", "verify", "HEAD^{tree}"), USAGE),
        (("notme-attest", "verify", "HEAD", "--repo", "/nowhere"), COULD_NOT),
        (("notme-attest", "verify"), USAGE),
        (("notme-attest", "verify", "HEAD", "--profile", "x"), USAGE),
        (("notme-attest", "frobnicate"), USAGE),
        (("notme-attest", "show", "HEAD"), REFUSED),
        (("notme-attest", "verify-signature", "/nowhere", "/nowhere"), COULD_NOT),
        (("notme-git", "grant", "revoke", "nobody"), USAGE),
        (("notme-git", "grant", "add", AGENT, "--expires", "never"), USAGE),
        (("notme-git", "grant", "add", AGENT, "--scope", "everything"), USAGE),
        (("notme-git", "setup"), USAGE),
        (("notme-git", "setup", "--agent", "codex"), REFUSED),
        (("notme-git", "init", "--human", "Alice"), USAGE),
        (("notme-git", "attest", "HEAD~0..HEAD", "--out", "x"), COULD_NOT),
        (("notme-attest", "attest", "HEAD"), USAGE),
        (("notme-attest", "attest", "HEAD", "--key", "/nowhere"), COULD_NOT),
        (("notme-git", "attest", "HEAD", "--type", "vsa", "--self-attest"), USAGE),
        (("notme-git", "epoch", "recover", "--recovery-key", "/nowhere"), COULD_NOT),
        (("notme-git", "epoch", "recover", "--recovery-key", "/dev/null", "--since", "yesterday"), USAGE),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_the_exit_status_tells_refused_from_could_not(sandbox: Sandbox, words: tuple[str, ...], status: int) -> None:
    sandbox.unsigned()
    done = sandbox.run(SCRIPTS / words[0], *words[1:], status=status, real=False)
    assert "Traceback" not in done.err
    if done.status in (COULD_NOT, USAGE):
        assert done.out == b""
        assert done.err


@pytest.mark.parametrize("program", ["notme-attest", "notme-git"])
def test_whoever_has_no_statement_to_show_says_who_says_so(sandbox: Sandbox, program: str) -> None:
    sandbox.unsigned()
    said = sandbox.run(SCRIPTS / program, "show", "HEAD", status=REFUSED, real=False).err
    assert said.startswith(f"{program}: no statement is stored for {sandbox.rev('HEAD')}")


def test_an_interrupt_ends_with_130_and_no_traceback(sandbox: Sandbox) -> None:
    sandbox.unsigned()
    fifo = sandbox.root / "fifo"
    os.mkfifo(fifo)
    running = subprocess.Popen(
        [SCRIPTS / "notme-attest", "verify-signature", fifo, fifo],
        env=sandbox.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0,
    )  # fmt: skip
    # Opening a FIFO to write waits for the reader: from then on the program waits for us.
    with running, open(fifo, "wb"):
        time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (INTERRUPTED, b"")
    assert b"Traceback" not in err


# -- manners


@pytest.mark.parametrize("term", [{}, {"TERM": "xterm-256color", "FORCE_COLOR": "1"}], ids=["dumb", "a forced colour"])
def test_there_is_no_escape_code_in_a_file(sandbox: Sandbox, term: Mapping[str, str]) -> None:
    sandbox.commit()
    done = sandbox.attest("verify", "HEAD", environ=term)
    assert b"\x1b" not in done.out + done.err.encode()


def test_a_reader_that_goes_away_is_no_crash(sandbox: Sandbox) -> None:
    sandbox.commit()
    for command in ("notme-attest verify --json HEAD", "notme-git grant list", "notme-git trust export"):
        line = f"{{ {SCRIPTS}/{command}; echo $? >&3; }} 3>&2 2>../err | exec true"
        sandbox.run("sh", "-c", line)
        assert "Traceback" not in (sandbox.root / "err").read_text()
        assert "Exception ignored" not in (sandbox.root / "err").read_text()


def test_a_message_in_the_commit_cannot_write_to_the_terminal(sandbox: Sandbox) -> None:
    odd = {"GIT_COMMITTER_EMAIL": "a\x1b[31mb@example.net", "GIT_COMMITTER_NAME": "\x1b]0;x\x07"}
    sandbox.git("-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "\x1b[2J", environ=odd)
    for command in ("examine", "verify"):
        done = sandbox.attest(command, "HEAD", status=None)
        assert b"\x1b" not in done.out + done.err.encode()
