"""GnuTLS's certtool on our signatures: the tool that checks Ed25519 in CMS on any machine. It knows only now."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from attest.profile import Profile
from tests.compat.signed import A_DAY, Signed, now, run, sign
from tests.peers import peer

PROFILES = (Profile.NOTME, Profile.INTEROP)
BOTH = pytest.mark.parametrize("profile", PROFILES)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[Profile, Signed]:
    return {p: sign(tmp_path_factory.mktemp(p.value), p, now()) for p in PROFILES}


def certtool(signed: Signed, *arguments: str) -> CompletedProcess[str]:
    return run(peer("certtool"), *arguments, cwd=signed.folder)


def p7_verify(signed: Signed, content: str = "payload", root: str = "root") -> CompletedProcess[str]:
    given = ("--inder", "--infile", "signature.der", "--load-data", content, "--load-ca-certificate", root)
    return certtool(signed, "--p7-verify", *given)


@BOTH
def test_a_fresh_signature_is_accepted(fresh: dict[Profile, Signed], profile: Profile) -> None:
    ended = p7_verify(fresh[profile])
    assert ended.returncode == 0, ended.stderr
    assert "Signature status: ok" in ended.stderr
    algorithm = "EdDSA-Ed25519" if profile is Profile.NOTME else "ECDSA-SHA256"
    assert f"Signature Algorithm: {algorithm}" in ended.stdout
    assert f"Signing time: {fresh[profile].world.now:%a %b %d %H:%M:%S UTC %Y}" in ended.stdout


@BOTH
@pytest.mark.parametrize(
    ("content", "root"),
    [
        pytest.param("tampered", "root", id="the content is another"),
        pytest.param("payload", "impostor", id="a root with the same names"),
    ],
)
def test_a_signature_is_refused_when(fresh: dict[Profile, Signed], profile: Profile, content: str, root: str) -> None:
    ended = p7_verify(fresh[profile], content, root)
    assert ended.returncode != 0
    assert "Signature status: verification failed" in ended.stderr


@BOTH
def test_a_day_old_signature_is_refused_because_its_certificate_has_ended(tmp_path: Path, profile: Profile) -> None:
    ended = p7_verify(sign(tmp_path, profile, now() - A_DAY))
    assert ended.returncode != 0
    assert "verification failed" in ended.stderr


@BOTH
@pytest.mark.parametrize("name", ["leaf", "mtls", "verifier", "tsa", "root"])
def test_a_certificate_chains_to_its_root_and_to_no_other(
    fresh: dict[Profile, Signed], profile: Profile, name: str
) -> None:
    given = ("--verify", "--verify-profile", "medium", "--infile", name, "--load-ca-certificate")
    ended = certtool(fresh[profile], *given, "root")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Chain verification output: Verified. The certificate is trusted." in ended.stdout
    assert certtool(fresh[profile], *given, "impostor").returncode != 0


@BOTH
def test_a_leaf_prints_as_what_it_is(fresh: dict[Profile, Signed], profile: Profile) -> None:
    signed = fresh[profile]
    ended = certtool(signed, "--certificate-info", "--infile", "leaf")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [line.strip() for line in ended.stdout.splitlines()]
    kind = "notme interop authority" if profile is Profile.INTEROP else "notme authority"
    begin, end = (f"{signed.world.now + timedelta(minutes=m):%a %b %d %H:%M:%S UTC %Y}" for m in (-1, 5))
    wanted = [
        f"Not Before: {begin}",
        f"Not After: {end}",
        f"Issuer: O=notme,CN={kind} {signed.world.id} epoch 1",
        "Subject: O=notme,CN=claude-code",
        "Certificate Authority (CA): FALSE",
        "Digital signature.",
        f"URI: wimse://{signed.world.id}.invalid/agent/claude-code",
        "Unknown extension 1.3.6.1.4.1.99999.2.1 (not critical):",
    ]
    if profile is Profile.INTEROP:
        wanted += [f"RFC822Name: {signed.world.address()}", "Code signing.", "Email protection."]
    for line in wanted:
        assert line in lines
