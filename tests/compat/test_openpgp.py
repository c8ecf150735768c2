"""`setup --format openpgp`: git calls us where it called gpg, and gpg keeps what is its own.

For forges and tools that know `gpg.program` alone. The signature is CMS all the same. Judges are git, gpg and
`notme-attest`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat import humans
from tests.compat.conftest import AGENT, KEY, SUMMARY, Sandbox, failed, without_daemon
from tests.peers import peer

GOOD = f"G {SUMMARY}"


@pytest.fixture(scope="module")
def gnupg() -> Iterator[str]:
    with humans.gnupg() as folder:
        yield folder


@pytest.fixture
def machine(sandbox: Sandbox, gnupg: str) -> Sandbox:
    """A human who signs with a PGP key and did so once, and an agent's setup after that."""
    sandbox.environ["GNUPGHOME"] = gnupg
    humans.configured(sandbox, {"commit.gpgsign": "true", "user.signingkey": humans.EMAIL})
    sandbox.commit("the human's")
    sandbox.notme("setup", "--agent", AGENT, "--format", "openpgp")
    return sandbox


@pytest.fixture(params=["daemon", "in process"])
def either_way(request: pytest.FixtureRequest, machine: Sandbox) -> Sandbox:
    return machine if request.param == "daemon" else without_daemon(machine)


def test_commits_and_tags_are_the_agents_in_cms(either_way: Sandbox) -> None:
    sandbox = either_way
    assert sandbox.git("config", "gpg.format").text == "openpgp"
    sandbox.commit()
    sandbox.git("tag", "-s", "-m", "t", "v1")
    assert sandbox.shows() == GOOD
    sandbox.git("verify-commit", "HEAD")
    sandbox.git("verify-tag", "v1")
    assert b"gpgsig -----BEGIN SIGNED MESSAGE-----" in sandbox.git("cat-file", "commit", "HEAD").out
    for rev in ("HEAD", "v1"):
        verdict = sandbox.verdict(rev)
        assert (verdict["outcome"], verdict["identity"]["actor"]["name"]) == ("accepted", AGENT)


def test_openssl_takes_the_signature_for_cms(machine: Sandbox, tmp_path: Path) -> None:
    machine.commit()
    (tmp_path / "signature").write_bytes(humans.signature(machine))
    command = (peer("openssl"), "cms", "-cmsout", "-print", "-inform", "DER", "-in", tmp_path / "signature")
    assert "pkcs7-signedData" in machine.run(*command).text


def test_a_pgp_signature_is_verified_by_gpg(either_way: Sandbox) -> None:
    assert either_way.shows("HEAD") == f"G Alice <{humans.EMAIL}>"
    either_way.git("verify-commit", "HEAD")
    assert failed(either_way.verdict("HEAD", status=1)) == [(2, "signature-foreign")]


def test_a_forged_pgp_signature_stays_bad(machine: Sandbox) -> None:
    raw = machine.git("cat-file", "commit", "HEAD").out.replace(b"the human's", b"the human'S")
    forged = machine.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw).text
    assert machine.shows(forged).startswith("B ")
    machine.git("verify-commit", forged, status=1)


def test_the_humans_own_key_still_signs(either_way: Sandbox) -> None:
    """With a key on git's command line, and with an agent's beside it in one history."""
    either_way.commit("agent's")
    either_way.git("-c", f"user.signingkey={humans.EMAIL}", "commit", "-q", "-S", "--allow-empty", "-m", "human's")
    shown = either_way.git("log", "--format=%G? %GS").text.splitlines()
    assert shown == [f"G Alice <{humans.EMAIL}>", GOOD, f"G Alice <{humans.EMAIL}>"]
    assert b"BEGIN PGP SIGNATURE" in either_way.git("cat-file", "commit", "HEAD").out


def test_a_key_that_nobody_has_makes_no_commit(machine: Sandbox) -> None:
    before = machine.rev("HEAD")
    machine.git("-c", "user.signingkey=nobody@example.net", "commit", "-S", "--allow-empty", "-m", "x", status=128)
    assert machine.rev("HEAD") == before


def test_an_agent_without_a_grant_makes_no_commit_and_gpg_is_not_asked(machine: Sandbox) -> None:
    before = machine.rev("HEAD")
    done = machine.git("-c", "user.signingkey=notme:codex", "commit", "--allow-empty", "-m", "x", status=128)
    assert "no agent 'codex' has a grant" in done.err
    assert machine.rev("HEAD") == before


def test_the_interop_profile_signs_as_well(machine: Sandbox) -> None:
    machine.notme("setup", "--agent", AGENT, "--format", "openpgp", "--profile", "interop")
    assert machine.git("config", "user.signingkey").text == f"{KEY}:interop"
    machine.commit()
    assert machine.verdict()["profile"] == "interop"
    assert machine.shows() == GOOD


def test_a_gpg_program_of_the_humans_own_keeps_its_calls(sandbox: Sandbox, gnupg: str) -> None:
    """The wrapper writes down each call, and hands it on."""
    sandbox.environ["GNUPGHOME"] = gnupg
    wrapper, calls = sandbox.user / "my gpg", sandbox.user / "calls"
    wrapper.write_text(f'#!/bin/sh\necho "$*" >>{shlex.quote(str(calls))}\nexec {peer("gpg")} "$@"\n')
    wrapper.chmod(0o755)
    humans.configured(sandbox, {"gpg.program": str(wrapper), "user.signingkey": humans.EMAIL})
    sandbox.commit("before", "-S")
    calls.unlink()
    sandbox.notme("setup", "--agent", AGENT, "--format", "openpgp")
    assert sandbox.git("config", "notme.previousOpenpgpProgram").text == str(wrapper)
    assert sandbox.shows() == f"G Alice <{humans.EMAIL}>"
    assert "--verify" in calls.read_text()
    calls.unlink()
    sandbox.commit("agent's")
    assert sandbox.shows() == GOOD
    assert not calls.exists()


def test_undo_gives_back_every_byte(machine: Sandbox) -> None:
    humans.configured(machine, {"commit.gpgsign": "true", "user.signingkey": humans.EMAIL, "gpg.program": "gpg"})
    before = (machine.repo / ".git" / "config").read_bytes()
    machine.notme("setup", "--agent", AGENT, "--format", "openpgp")
    machine.commit("agent's")
    machine.notme("setup", "--undo")
    assert (machine.repo / ".git" / "config").read_bytes() == before
    machine.commit("human's")
    assert machine.shows() == f"G Alice <{humans.EMAIL}>"
