"""Others on what an orchestrator mints, a leaf under an issuing CA under the root; and git itself."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from attest import cms, fulcio
from attest.gitobject import SignatureFormat
from attest.profile import Profile
from notme_git import sign
from notme_git.enroll import issuing
from tests import builders, family
from tests.compat.conftest import Sandbox
from tests.compat.signed import A_DAY, impostor, now, pem, run
from tests.compat.test_bouncycastle import JAVA, SOURCE
from tests.forge import certify
from tests.peers import bouncy_castle_classpath, peer
from tests.test_fulcio import GITHUB
from tests.world import World

BOTH = pytest.mark.parametrize("of", [Profile.NOTME, Profile.INTEROP])


@dataclass(frozen=True)
class Minted:
    """A commit's payload and its signature by an orchestrator's agent, with the certificates, as files in `folder`."""

    folder: Path
    world: World

    @cached_property
    def seconds(self) -> str:
        return str(int(self.world.now.timestamp()))

    def write(self) -> Minted:
        """Write payload, tampered, signature.der, and as PEM leaf, issuing, root and impostor; return self.

        `tls` is what no orchestrator of ours mints: a client certificate, under an issuing CA that is good otherwise.
        """
        world, trusted = self.world, self.world.trust()
        grant = world.grant("orchestrator", branches=("agents/*",), delegation_depth=1)
        with world.opened() as authority:
            ca = issuing.enroll(authority, grant, Profile.NOTME, trusted.anchors, world.now)
        payload = world.commit(committer=f"tester <orchestrator+tester@{world.id}.invalid>")
        signed = sign.sign_payload(
            ca.mint("tester", "sign:git", world.now),
            trusted,
            sign.parse(payload),
            form=SignatureFormat.X509,
            replaying=False,
            at=world.now,
        )
        der = cms.ARMOUR.open(signed.armour)
        message, forge = cms.parse(der), world.forge()
        for name, data in {
            "payload": payload,
            "tampered": payload.replace(b"subject", b"Subject"),
            "signature.der": der,
            "leaf": pem(message.signer),
            "issuing": pem(message.others[0]),
            "root": pem(forge.root),
            "impostor": pem(impostor(forge.root, forge.key())),
            "both": pem(message.signer) + pem(message.others[0]),
        }.items():
            (self.folder / name).write_bytes(data)
        self._write_tls()
        return self

    def _write_tls(self) -> None:
        forge = self.world.forge()
        made = family.made(forge, until=self.world.now + A_DAY)
        key = forge.key(Profile.INTEROP)
        spec = family.child_spec(forge)
        leaf = certify(builders.mtls_leaf(spec, key.public_key(), made.ca.certificate, serial=13), made.ca.key)
        (self.folder / "tls").write_bytes(pem(leaf))
        (self.folder / "tls-issuing").write_bytes(pem(made.ca.certificate))


@pytest.fixture(scope="module")
def minted(tmp_path_factory: pytest.TempPathFactory) -> Minted:
    folder = tmp_path_factory.mktemp("minted")
    return Minted(folder, World(folder, at=now())).write()


def openssl(signed: Minted, command: str, *arguments: str) -> CompletedProcess[str]:
    """At the time of signing, and by the roots that are given alone."""
    at = ("-attime", signed.seconds, "-no-CApath", "-no-CAstore")
    return run(peer("openssl"), command, *at, *arguments, cwd=signed.folder)


def test_openssl_accepts_the_chain_under_its_strict_rules(minted: Minted) -> None:
    given = ("-x509_strict", "-purpose", "any", "-untrusted", "issuing")
    ended = openssl(minted, "verify", *given, "-CAfile", "root", "leaf")
    assert (ended.returncode, ended.stdout) == (0, "leaf: OK\n"), ended.stderr
    assert openssl(minted, "verify", *given, "-CAfile", "impostor", "leaf").returncode != 0


def test_openssl_finds_no_way_to_the_root_without_the_issuing_ca(minted: Minted) -> None:
    ended = openssl(minted, "verify", "-x509_strict", "-CAfile", "root", "leaf")
    assert ended.returncode != 0
    assert "unable to get local issuer certificate" in ended.stderr


@pytest.mark.parametrize("purpose", ["sslclient", "sslserver", "smimesign"])
def test_openssl_takes_nothing_of_an_issuing_ca_for_tls_or_mail(minted: Minted, purpose: str) -> None:
    given = ("-purpose", purpose, "-untrusted", "tls-issuing", "-CAfile", "root")
    ended = openssl(minted, "verify", *given, "tls")
    assert ended.returncode != 0
    assert "unsuitable certificate purpose" in ended.stderr


def test_certtool_verifies_the_chain_and_the_signature(minted: Minted) -> None:
    folder = minted.folder
    given = ("--verify", "--verify-profile", "medium", "--infile", "both", "--load-ca-certificate")
    ended = run(peer("certtool"), *given, "root", cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Chain verification output: Verified. The certificate is trusted." in ended.stdout
    assert run(peer("certtool"), *given, "impostor", cwd=folder).returncode != 0
    signature = ("--inder", "--infile", "signature.der", "--load-ca-certificate", "root", "--load-data")
    ended = run(peer("certtool"), "--p7-verify", *signature, "payload", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    assert run(peer("certtool"), "--p7-verify", *signature, "tampered", cwd=folder).returncode != 0


def test_bouncy_castle_verifies_signature_path_and_time_stamp(minted: Minted) -> None:
    java, folder, now_ = peer("bouncycastle"), minted.folder, minted.seconds
    later = str(int(now_) + int(A_DAY.total_seconds()))
    cases = [
        f"case,{folder},{content},signature.der,{root},{at}"
        for content, root, at in (
            ("payload", "root", now_),
            ("tampered", "root", now_),
            ("payload", "impostor", now_),
            ("payload", "root", later),
        )
    ]
    ended = run(java, *JAVA, "-cp", bouncy_castle_classpath(), SOURCE, *cases, cwd=Path(os.sep))
    assert ended.returncode == 0, ended.stderr
    said = [line.split(" ")[1].removesuffix(":") for line in ended.stdout.splitlines()]
    assert said == ["accepted", "signature", "chain", "chain"], ended.stdout


@BOTH
def test_openssl_accepts_a_certificate_with_the_facts_of_a_ci_job(tmp_path: Path, minted: Minted, of: Profile) -> None:
    forge = minted.world.forge(of)
    issued = forge.issue(replace(forge.spec(), ci=fulcio.of_github(GITHUB)))
    (tmp_path / "ci").write_bytes(pem(issued.certificate))
    (tmp_path / "root").write_bytes(pem(forge.root))
    given = ("-x509_strict", "-purpose", "any", "-CAfile", str(tmp_path / "root"))
    ended = openssl(minted, "verify", *given, str(tmp_path / "ci"))
    assert ended.returncode == 0, ended.stderr
    shown = run(peer("openssl"), "x509", "-noout", "-text", "-in", "ci", cwd=tmp_path)
    assert "1.3.6.1.4.1.57264.1.14: \n                ..refs/heads/main" in shown.stdout


# -- a day of git


VIA = "tester via orchestrator for Alice Example <alice@example.org> (same-user, self-asserted)"
CHILD = "orchestrator/tester"


@pytest.fixture
def orchestra(sandbox: Sandbox) -> Sandbox:
    """The machine with an orchestrator whose agent is set up in the repository."""
    shown = sandbox.notme("grant", "add", "orchestrator", "--delegate")
    assert "may be passed on" in shown.text
    assert "notme-git setup --agent orchestrator/CHILD" in shown.text
    sandbox.notme("setup", "--agent", CHILD)
    return sandbox


def test_git_signs_as_an_orchestrators_agent_and_names_both(orchestra: Sandbox) -> None:
    assert orchestra.git("config", "user.signingkey").text == f"notme:{CHILD}"
    orchestra.commit("by a child")
    orchestra.git("tag", "-m", "release", "v1")
    assert orchestra.shows() == f"G {VIA}"
    assert VIA in orchestra.git("verify-commit", "HEAD").err
    assert VIA in orchestra.git("verify-tag", "v1").err
    verdict = orchestra.verdict()
    identity = verdict["identity"]
    assert (identity["actor"]["name"], identity["delegator"]["name"]) == ("tester", "orchestrator")
    assert identity["actor"]["id"] == identity["delegator"]["id"] + "/tester"
    assert verdict["outcome"] == "accepted"
    assert "under      orchestrator" in orchestra.attest("examine", "HEAD").text


def test_what_was_signed_before_a_revocation_stays_good_and_nothing_is_signed_after(orchestra: Sandbox) -> None:
    orchestra.commit("before")
    orchestra.notme("grant", "revoke", "orchestrator")
    refused = orchestra.commit("after", status=None)
    assert refused.status != 0
    assert "was revoked" in refused.err
    assert orchestra.shows() == f"G {VIA}"
    assert orchestra.git("log", "--format=%s").text == "before"


def test_children_work_in_worktrees_of_their_own_under_one_issuing_ca(orchestra: Sandbox, tmp_path: Path) -> None:
    orchestra.commit("first")
    for name in ("one", "two"):
        tree = tmp_path / name
        orchestra.git("worktree", "add", "-q", "-b", name, tree)
        address = orchestra.address.replace("+tester@", f"+{name}@")
        key = f"user.signingkey=notme:orchestrator/{name}"
        configured = (key, f"author.email={address}", f"committer.email={address}")
        options = [word for item in configured for word in ("-c", item)]
        orchestra.git(*options, "commit", "-q", "--allow-empty", "-m", name, cwd=tree)
        assert orchestra.shows(name).startswith(f"G {name} via orchestrator for Alice")
    with closing(sqlite3.connect(orchestra.home / "authority" / "authority.db")) as database:
        signed_by = database.execute("SELECT count(DISTINCT spki_sha256) FROM issued").fetchone()
    assert signed_by == (1,)


def test_a_child_of_one_orchestrator_is_none_of_another(orchestra: Sandbox) -> None:
    key = "user.signingkey=notme:claude-code/tester"
    refused = orchestra.git("-c", key, "commit", "--allow-empty", "-m", "x", status=None)
    assert refused.status != 0
    assert "may not be passed on" in refused.err
    assert "notme-git grant add claude-code --delegate" in refused.err
    assert orchestra.rev("HEAD") == ""


def test_setup_and_whoami_and_doctor_know_an_orchestrators_agent(orchestra: Sandbox) -> None:
    for options in (("--format", "ssh"), ("--ssh-agent",), ("--profile", "interop")):
        refused = orchestra.notme("setup", "--agent", CHILD, *options, status=64)
        assert "x509 of profile notme alone" in refused.err
    told = orchestra.notme("whoami").text
    assert f"as <{orchestra.address}>" in told
    assert f"signs every commit as {CHILD}" in told
    orchestra.notme("doctor")
    orchestra.notme("grant", "revoke", "orchestrator")
    sick = orchestra.notme("doctor", status=None).text
    assert "notme-git grant add orchestrator --delegate" in sick
