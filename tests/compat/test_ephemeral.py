"""An authority that lives in a daemon's memory: what reaches the disk, and what its end leaves good."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from notme_git.daemon import client
from notme_git.daemon.protocol import CONTROL, Request
from tests.compat.conftest import AGENT, HUMAN, SCRIPTS, SUMMARY, Sandbox

PRIVATE = (b"PRIVATE KEY", bytes.fromhex("302e020100300506032b657004220420"), bytes.fromhex("30818702010030130607"))
"""How private keys begin: PEM, and PKCS #8 of Ed25519 and of P-256 in DER."""


@pytest.fixture
def machine(bare_machine: Sandbox) -> Sandbox:
    bare_machine.notme("init", "--ephemeral", "--human", HUMAN)
    bare_machine.notme("grant", "add", AGENT)
    bare_machine.git("init", "-q", "-b", "main", ".")
    bare_machine.notme("setup", "--agent", AGENT)
    return bare_machine


def daemon(machine: Sandbox) -> int:
    return int(machine.notme("daemon", "status", "--json").json["pid"])


def files(machine: Sandbox) -> list[Path]:
    return [path for path in machine.root.rglob("*") if path.is_file()]


def test_it_signs_and_attests_like_any_other(machine: Sandbox) -> None:
    machine.commit()
    assert machine.shows() == f"G {SUMMARY}"
    machine.notme("attest", "HEAD")
    assert machine.attest("show", "HEAD", "--json").json[0]["verified"] is True
    machine.notme("grant", "revoke", AGENT)
    machine.commit(status=128)


def test_no_private_key_reaches_the_disk(machine: Sandbox) -> None:
    machine.commit()
    assert files(machine)
    for path in files(machine):
        content = path.read_bytes()
        assert not any(mark in content for mark in PRIVATE), path
    assert not (machine.home / "authority" / "keys").exists()


def test_its_end_retires_the_epoch_and_keeps_what_was_signed(machine: Sandbox) -> None:
    anchors, bundle = machine.root / "anchors.pem", machine.root / "bundle"
    anchors.write_bytes(machine.notme("trust", "export").out)
    machine.commit()
    signed = machine.rev("HEAD")
    machine.notme("daemon", "stop")
    states = [epoch["state"] for epoch in machine.notme("epoch", "list", "--json").json]
    assert states == ["routine", "current"]
    bundle.write_bytes(machine.notme("trust", "export", "--format", "bundle").out)
    machine.verdict(signed, "--anchor", anchors, "--bundle", bundle)
    machine.commit(status=128)
    assert machine.rev("HEAD") == signed


def test_no_daemon_revives_it(machine: Sandbox) -> None:
    machine.notme("daemon", "stop")
    assert "has ended" in machine.notme("daemon", "start", status=2).err
    machine.notme("daemon", "start", "--ephemeral", "--human", HUMAN, status=1)


def test_its_keys_are_gone_when_its_daemon_is_killed(machine: Sandbox) -> None:
    machine.commit()
    before = machine.rev("HEAD")
    os.kill(daemon(machine), signal.SIGKILL)
    machine.commit(status=128)
    assert machine.rev("HEAD") == before
    machine.verdict(before)


def test_a_new_epoch_is_refused_because_nobody_would_keep_its_keys(machine: Sandbox) -> None:
    assert "in the memory of its daemon" in machine.notme("epoch", "rotate", status=2).err
    machine.commit()
    assert machine.shows() == f"G {SUMMARY}"


def test_a_forwarded_command_fails_as_it_does_elsewhere(machine: Sandbox) -> None:
    done = machine.notme("grant", "revoke", "nobody", status=64)
    assert "no grant in force" in done.err
    assert machine.notme("attest", "no-such-rev", status=None).status != 0
    assert "Usage:" in machine.notme("attest", "--help").text


def test_the_daemon_runs_what_needs_its_keys_and_nothing_else(machine: Sandbox) -> None:
    for words in (("epoch", "rotate"), ("run", "--", "true"), ("daemon", "stop"), ()):
        request = Request(CONTROL, ("command", *words), environ=machine.environ, cwd=str(machine.repo))
        reply = client.exchange(client.address(machine.home, {}), request)
        assert reply.status == 64
    machine.commit()
    assert machine.shows() == f"G {SUMMARY}"


def test_commits_do_not_wait_for_a_long_attestation(machine: Sandbox) -> None:
    machine.commit("first")
    tree = machine.git("write-tree").text
    parent = machine.rev("HEAD")
    for number in range(60):
        parent = machine.git("-c", "commit.gpgsign=false", "commit-tree", "-m", str(number), "-p", parent, tree).text
    began = time.monotonic()
    attesting = subprocess.Popen(
        [SCRIPTS / "notme-git", "attest", f"HEAD..{parent}"], cwd=machine.repo, env=machine.environ,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    machine.commit("meanwhile")
    committed = time.monotonic()
    assert attesting.poll() is None or committed - began < 5
    assert attesting.wait(60) == 1  # none of these was signed
    assert machine.shows() == f"G {SUMMARY}"


def test_a_home_with_an_authority_is_left_alone(sandbox: Sandbox) -> None:
    done = sandbox.notme("daemon", "start", "--ephemeral", "--human", HUMAN, status=1)
    assert "there is an authority" in done.err
    sandbox.commit()
    assert sandbox.shows() == f"G {SUMMARY}"
