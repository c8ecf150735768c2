"""Stock ssh-keygen signs through the daemon's ssh-agent: git's own `gpg.format=ssh`, none of our programs in its path.

Judges are ssh-add, ssh-keygen, git with an exported list of signers, and `notme-attest`.
"""

from __future__ import annotations

import base64
import dataclasses
import os
import socket
from pathlib import Path

import pytest

from attest import sshsig
from attest.sshwire import string, uint32
from notme_git.daemon import agent_setting
from tests.compat import humans
from tests.compat.conftest import AGENT, HUMAN, SECONDS, Sandbox, failed, stop_daemons
from tests.peers import peer

BLIND = "codex"
FAILURE = b"\x00\x00\x00\x01\x05"
REQUEST_IDENTITIES = b"\x00\x00\x00\x01\x0b"


@pytest.fixture
def machine(sandbox: Sandbox) -> Sandbox:
    """A repository in which stock git and stock ssh-keygen sign as an agent with a grant for that."""
    peer("ssh-keygen")
    humans.configured(sandbox, {})
    sandbox.notme("grant", "add", BLIND, "--scope", "sign:git-blind")
    told = sandbox.notme("setup", "--agent", BLIND, "--ssh-agent", "--json").json
    return dataclasses.replace(sandbox, environ={**sandbox.environ, "SSH_AUTH_SOCK": told["sshAuthSock"]})


def certificate(machine: Sandbox) -> Path:
    return agent_setting.certificate_file(machine.home, BLIND)


def listed(machine: Sandbox) -> list[str]:
    """Keys that ssh-add finds in the agent."""
    done = machine.run(peer("ssh-keygen").with_name("ssh-add"), "-L", status=None)
    return [line for line in done.text.splitlines() if line.startswith("ssh-")]


def ask(machine: Sandbox, message: bytes) -> bytes:
    """What the agent sends back to these bytes; nothing where it hangs up."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(SECONDS)
        caller.connect(machine.environ["SSH_AUTH_SOCK"])
        caller.sendall(message)
        return caller.recv(1 << 16)


def signing(machine: Sandbox, data: bytes) -> bytes:
    """A request to sign `data` with the key that is offered."""
    blob = base64.b64decode(certificate(machine).read_text("ascii").split()[1])
    return string(bytes([13]) + string(blob) + string(data) + uint32(0))


def test_git_signs_with_stock_ssh_keygen_and_verifies_without_us(machine: Sandbox) -> None:
    assert machine.git("config", "gpg.ssh.program", status=1).out == b""
    machine.commit()
    machine.git("tag", "-s", "-m", "t", "v1")
    signers = machine.root / "signers"
    signers.write_bytes(machine.notme("trust", "export", "--format", "allowed-signers").out)
    stock = ("-c", f"gpg.ssh.allowedSignersFile={signers}")
    machine.git(*stock, "verify-commit", "HEAD")
    machine.git(*stock, "verify-tag", "v1")
    address = machine.git("config", "author.email").text
    assert machine.git(*stock, "log", "-1", "--format=%G? %GS").text == f"G {address}"


def test_certificate_and_verdict_say_that_the_payload_was_not_checked(machine: Sandbox) -> None:
    machine.commit()
    verdict = machine.verdict()
    assert verdict["outcome"] == "accepted-time-unproven"
    assert verdict["identity"]["payloadChecked"] is False
    assert verdict["identity"]["scopes"] == ["sign:git-blind"]
    assert verdict["remarks"] == ["payload-unchecked"]
    shown = machine.run(peer("ssh-keygen"), "-L", "-f", certificate(machine)).text
    assert "payload-checked@notme.bot" in shown
    assert "payload    not checked" in machine.attest("verify", "HEAD").text


def test_ssh_add_lists_one_certificate(machine: Sandbox) -> None:
    (line,) = listed(machine)
    assert line.split()[:2] == certificate(machine).read_text("ascii").split()[:2]
    assert line.split()[0] == "ssh-ed25519-cert-v01@openssh.com"
    assert line.split()[2] == f"notme:{BLIND}"


def test_it_is_off_unless_asked_for(sandbox: Sandbox) -> None:
    sandbox.commit()
    assert sandbox.notme("daemon", "status", "--json").json["sshAgent"] is None
    sandbox.notme("grant", "add", BLIND, "--scope", "sign:git-blind")
    sandbox.notme("daemon", "stop")
    sandbox.commit()
    assert sandbox.notme("daemon", "status", "--json").json["sshAgent"] is None
    assert not (sandbox.home / "ssh").exists()


def test_a_grant_to_sign_what_is_seen_is_not_enough(sandbox: Sandbox) -> None:
    before = (sandbox.repo / ".git" / "config").read_bytes()
    done = sandbox.notme("setup", "--agent", AGENT, "--ssh-agent", status=1)
    assert "sign:git-blind" in done.err
    assert (sandbox.repo / ".git" / "config").read_bytes() == before
    assert not (sandbox.home / "daemon" / "ssh-agents").exists()


def test_a_blind_grant_is_not_enough_for_the_daemons_own_signatures(machine: Sandbox) -> None:
    program = machine.home / "bin" / "notme-x509"
    options = ("-c", "gpg.format=x509", "-c", f"gpg.x509.program={program}", "-c", f"user.signingkey=notme:{BLIND}")
    machine.git(*options, "commit", "--allow-empty", "-m", "x", status=128)
    assert machine.rev("HEAD") == ""


# -- what it does not sign


@pytest.mark.parametrize("namespace", ["file", "email", "git2"])
def test_ssh_keygen_gets_no_signature_in_another_namespace(machine: Sandbox, namespace: str) -> None:
    (machine.repo / "file").write_text("x")
    command = (peer("ssh-keygen"), "-Y", "sign", "-f", certificate(machine), "-n")
    done = machine.run(*command, namespace, "file", status=255)
    assert not (machine.repo / "file.sig").exists()
    assert "agent refused operation" in done.err
    machine.run(*command, "git", "file")


def test_login_is_not_signed(machine: Sandbox) -> None:
    """As ssh asks for it (RFC 4252 section 7), and dressed up as the beginning of a signature."""
    login = string(b"\x07" * 32) + bytes([50]) + string("git") + string("ssh-connection") + string("publickey")
    for data in (login, b"SSHSIG" + login, b"", sshsig.to_be_signed(b"x") + b"y"):
        assert ask(machine, signing(machine, data)) == FAILURE
    assert ask(machine, signing(machine, sshsig.to_be_signed(b"x")))[4:5] == bytes([14])


def test_keys_are_neither_added_nor_removed_nor_locked(machine: Sandbox) -> None:
    key = machine.user / "id"
    machine.run(peer("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key)
    add = peer("ssh-keygen").with_name("ssh-add")
    before = listed(machine)
    for arguments in ((key,), ("-d", key), ("-D",), ("-s", "/usr/lib/x.so"), ("-c", key), ("-t", "60", key)):
        assert machine.run(add, *arguments, status=None).status != 0, arguments
    for kind in (17, 18, 19, 20, 22, 23, 25, 26, 27):
        assert ask(machine, string(bytes([kind]) + string("x"))) == FAILURE
    assert listed(machine) == before


def test_broken_messages_end_their_connection_and_no_other(machine: Sandbox) -> None:
    assert ask(machine, b"\xff\xff\xff\xff\x0d") == b""
    assert ask(machine, b"\x00\x00\x00\x00") == b""
    assert ask(machine, b"\x00\x04\x00\x01" + b"\x0d" * 64) == b""
    assert ask(machine, b"\x00\x00\x00\x05\x0d\xff\xff\xff\xff") == FAILURE
    assert ask(machine, b"\x00\x00\x00\x02\x0bx") == FAILURE
    assert ask(machine, REQUEST_IDENTITIES)[4:5] == bytes([12])
    machine.commit()


def test_one_connection_asks_several_times(machine: Sandbox) -> None:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(SECONDS)
        caller.connect(machine.environ["SSH_AUTH_SOCK"])
        for _ in range(3):
            caller.sendall(REQUEST_IDENTITIES)
            assert caller.recv(1 << 16)[4:5] == bytes([12])


def test_a_session_of_another_agent_gets_no_signature(machine: Sandbox) -> None:
    (machine.repo / "file").write_text("x")
    command = (peer("ssh-keygen"), "-Y", "sign", "-n", "git", "-f", certificate(machine), "file")
    done = machine.notme("run", "--agent", AGENT, "--", *command, status=255)
    assert "agent refused operation" in done.err
    machine.run(*command)


# -- how it ends


def test_a_revoked_grant_ends_it_at_once(machine: Sandbox) -> None:
    machine.commit("one")
    machine.notme("grant", "revoke", BLIND)
    machine.commit("two", status=128)
    assert listed(machine) == []
    assert not certificate(machine).exists()
    assert machine.git("log", "--format=%s").text == "one"


def test_the_daemons_end_takes_certificate_and_socket_away(machine: Sandbox) -> None:
    machine.notme("daemon", "stop")
    assert not certificate(machine).exists()
    assert not os.path.exists(machine.environ["SSH_AUTH_SOCK"])
    machine.commit(status=128)
    assert machine.rev("HEAD") == ""


def test_a_daemon_that_starts_again_offers_it_again(machine: Sandbox) -> None:
    stop_daemons(machine.root)
    machine.notme("daemon", "start")
    machine.commit()
    assert machine.verdict()["identity"]["actor"]["name"] == BLIND


def test_undo_gives_back_every_byte(sandbox: Sandbox) -> None:
    humans.signing_with_ssh(sandbox)
    before = (sandbox.repo / ".git" / "config").read_bytes()
    sandbox.notme("grant", "add", BLIND, "--scope", "sign:git-blind")
    sandbox.notme("setup", "--agent", BLIND, "--ssh-agent")
    sandbox.notme("setup", "--undo")
    assert (sandbox.repo / ".git" / "config").read_bytes() == before
    sandbox.commit()
    assert sandbox.shows() == f"G {humans.EMAIL}"


def test_a_back_dated_signature_is_told_apart_by_evidence(machine: Sandbox) -> None:
    """Nobody stamps a time here: what a verifier needs to be sure of is `--require-time`."""
    machine.commit()
    assert failed(machine.verdict("HEAD", "--require-time", "authority", status=1)) == [(8, "time-required")]
    assert HUMAN.startswith(machine.verdict()["identity"]["representedPrincipal"]["display"])
