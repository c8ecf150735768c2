"""Others on what an orchestrator mints: a leaf under an issuing CA under the root."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography.hazmat.primitives.hashes import SHA1

from attest import cms, fulcio
from attest.gitobject import SignatureFormat
from attest.profile import Profile
from notme_git import sign
from notme_git.enroll import issuing
from tests.compat.signed import A_DAY, impostor, now, pem, run
from tests.compat.test_bouncycastle import JAVA, SOURCE
from tests.peers import bouncy_castle_classpath, peer
from tests.test_fulcio import GITHUB
from tests.world import World

PROFILES = (Profile.NOTME, Profile.INTEROP)
BOTH = pytest.mark.parametrize("profile", PROFILES)


@dataclass(frozen=True)
class Minted:
    """A commit's payload and its signature by an orchestrator's agent, with the certificates, as files in `folder`."""

    folder: Path
    world: World
    profile: Profile

    @cached_property
    def seconds(self) -> str:
        return str(int(self.world.now.timestamp()))

    def write(self) -> Minted:
        """Write payload, tampered, signature.der, and as PEM leaf, issuing, root and impostor; return self."""
        world, trusted = self.world, self.world.trust()
        grant = world.grant("orchestrator", branches=("agents/*",), delegation_depth=1)
        with world.opened() as authority:
            ca = issuing.enroll(authority, grant, self.profile, trusted.anchors, world.now)
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
        message, forge = cms.parse(der), world.forge(self.profile)
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
        return self


@pytest.fixture(scope="module")
def minted(tmp_path_factory: pytest.TempPathFactory) -> dict[Profile, Minted]:
    made = {}
    for profile in PROFILES:
        folder = tmp_path_factory.mktemp(profile.value)
        made[profile] = Minted(folder, World(folder, at=now()), profile).write()
    return made


def openssl(signed: Minted, command: str, *arguments: str) -> CompletedProcess[str]:
    """At the time of signing, and by the roots that are given alone."""
    at = ("-attime", signed.seconds, "-no-CApath", "-no-CAstore")
    return run(peer("openssl"), command, *at, *arguments, cwd=signed.folder)


@BOTH
@pytest.mark.parametrize("purpose", ["any", "smimesign"])
def test_openssl_accepts_the_chain_under_its_strict_rules(
    minted: dict[Profile, Minted], profile: Profile, purpose: str
) -> None:
    given = ("verify", "-x509_strict", "-purpose", purpose, "-untrusted", "issuing")
    ended = openssl(minted[profile], *given, "-CAfile", "root", "leaf")
    assert (ended.returncode, ended.stdout) == (0, "leaf: OK\n"), ended.stderr
    assert openssl(minted[profile], *given, "-CAfile", "impostor", "leaf").returncode != 0


@BOTH
def test_openssl_finds_no_way_to_the_root_without_the_issuing_ca(
    minted: dict[Profile, Minted], profile: Profile
) -> None:
    ended = openssl(minted[profile], "verify", "-x509_strict", "-CAfile", "root", "leaf")
    assert ended.returncode != 0
    assert "unable to get local issuer certificate" in ended.stderr


def test_openssl_verifies_an_interop_signature_with_what_it_carries(minted: dict[Profile, Minted]) -> None:
    given = ("cms", "-verify", "-binary", "-inform", "DER", "-in", "signature.der", "-out", os.devnull)
    signed = minted[Profile.INTEROP]
    ended = openssl(signed, *given, "-content", "payload", "-CAfile", "root")
    assert ended.returncode == 0, ended.stderr
    assert openssl(signed, *given, "-content", "tampered", "-CAfile", "root").returncode != 0
    assert openssl(signed, *given, "-content", "payload", "-CAfile", "impostor").returncode != 0


@BOTH
def test_certtool_verifies_the_chain_and_the_signature(minted: dict[Profile, Minted], profile: Profile) -> None:
    folder = minted[profile].folder
    given = ("--verify", "--verify-profile", "medium", "--infile", "both", "--load-ca-certificate")
    ended = run(peer("certtool"), *given, "root", cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Chain verification output: Verified. The certificate is trusted." in ended.stdout
    assert run(peer("certtool"), *given, "impostor", cwd=folder).returncode != 0
    signature = ("--inder", "--infile", "signature.der", "--load-ca-certificate", "root", "--load-data")
    ended = run(peer("certtool"), "--p7-verify", *signature, "payload", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    assert run(peer("certtool"), "--p7-verify", *signature, "tampered", cwd=folder).returncode != 0


def test_bouncy_castle_verifies_signature_path_and_time_stamp(minted: dict[Profile, Minted]) -> None:
    java, cases = peer("bouncycastle"), []
    for profile, signed in minted.items():
        later = int(signed.seconds) + int(A_DAY.total_seconds())
        for content, root, at in (
            ("payload", "root", signed.seconds),
            ("tampered", "root", signed.seconds),
            ("payload", "impostor", signed.seconds),
            ("payload", "root", str(later)),
        ):
            cases.append(f"{profile},{signed.folder},{content},signature.der,{root},{at}")
    ended = run(java, *JAVA, "-cp", bouncy_castle_classpath(), SOURCE, *cases, cwd=Path(os.sep))
    assert ended.returncode == 0, ended.stderr
    said = [line.split(" ")[1].removesuffix(":") for line in ended.stdout.splitlines()]
    assert said == ["accepted", "signature", "chain", "chain"] * 2, ended.stdout


def test_gpgsm_trusts_an_interop_signature_through_its_issuing_ca(minted: dict[Profile, Minted]) -> None:
    program, signed = peer("gpgsm"), minted[Profile.INTEROP]
    # Not below pytest's folders: the agent's sockets lie in the home, and their paths have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="g") as home:
        environ = {"GNUPGHOME": home}
        Path(home, "gpgsm.conf").write_text("disable-crl-checks\n")
        Path(home, "gpg-agent.conf").write_text("no-allow-mark-trusted\n")
        root = signed.world.forge(Profile.INTEROP).root.fingerprint(SHA1()).hex(":").upper()
        Path(home, "trustlist.txt").write_text(f"{root} S relax\n")
        try:
            assert run(program, "--batch", "--import", "root", cwd=signed.folder, environ=environ).returncode == 0
            given = ("--batch", "--status-fd", "1", "--verify", "signature.der", "payload")
            ended = run(program, *given, cwd=signed.folder, environ=environ)
        finally:
            run(program.with_name("gpgconf"), "--kill", "all", cwd=signed.folder, environ=environ)
    said = [line.split()[1] for line in ended.stdout.splitlines()]
    assert [word for word in said if word != "PROGRESS"] == ["NEWSIG", "GOODSIG", "VALIDSIG", "TRUST_FULLY"]


@BOTH
def test_openssl_accepts_a_certificate_with_the_facts_of_a_ci_job(
    tmp_path: Path, minted: dict[Profile, Minted], profile: Profile
) -> None:
    signed = minted[profile]
    forge = signed.world.forge(profile)
    issued = forge.issue(replace(forge.spec(), ci=fulcio.of_github(GITHUB)))
    (tmp_path / "ci").write_bytes(pem(issued.certificate))
    given = ("-x509_strict", "-purpose", "any", "-CAfile", str(signed.folder / "root"))
    ended = openssl(signed, "verify", *given, str(tmp_path / "ci"))
    assert ended.returncode == 0, ended.stderr
    shown = run(peer("openssl"), "x509", "-noout", "-text", "-in", "ci", cwd=tmp_path)
    assert "1.3.6.1.4.1.57264.1.14: \n                ..refs/heads/main" in shown.stdout
