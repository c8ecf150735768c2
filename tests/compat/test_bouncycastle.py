"""Bouncy Castle on our signatures, their chains and the time-stamps in them. One Java process judges all cases."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from attest import cms
from attest.keys import KeyAlgorithm
from attest.profile import Profile
from tests.compat.signed import Signed, run, sign
from tests.forge import NOW
from tests.peers import bouncy_castle_classpath, peer

SOURCE = Path(__file__).parent / "java" / "VerifyCms.java"
PROFILES = (Profile.NOTME, Profile.INTEROP)
# For a process that lives a second.
JAVA = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


def other_token(signed: Signed) -> bytes:
    """The token of another signature."""
    return signed.forge.token(b"another signature")


def changed_token(signed: Signed) -> bytes:
    """The right token with one bit of its signature flipped."""
    token = signed.message.timestamps[0]
    return token[:-1] + bytes([token[-1] ^ 1])


def foreign_token(signed: Signed) -> bytes:
    """A token over the right signature, by another authority's time-stamping key."""
    return signed.world.other.forge(signed.profile).token(signed.message.signature)


def stamped(signed: Signed, token: bytes) -> bytes:
    """A signature like the first with `token` in it. The signed attributes come out the same."""
    algorithm = KeyAlgorithm.P256 if signed.profile is Profile.INTEROP else KeyAlgorithm.ED25519
    pending = cms.to_be_signed(signed.payload, algorithm, signing_time=signed.world.now)
    message = signed.message
    return cms.assemble(pending, message.signature, signer=message.signer, timestamp=token)


def changed_signature(signed: Signed) -> bytes:
    """The signature with one bit of its value flipped."""
    value = signed.message.signature
    return signed.signature.replace(value, value[:-1] + bytes([value[-1] ^ 1]))


@dataclass(frozen=True)
class Case:
    """What differs from the signature as it was made, and how Bouncy Castle's line begins."""

    name: str
    begins: str
    content: str = "payload"
    root: str = "root"
    later: timedelta = timedelta()
    signature: Callable[[Signed], bytes] = lambda signed: signed.signature


REFUSED = "java.lang.IllegalArgumentException"  # what VerifyCms throws itself
NO_PATH = "chain: java.security.cert.CertPathBuilderException"
CASES = [
    Case("as-it-was-made", "accepted"),
    Case("content-changed", "signature: org.bouncycastle.cms.CMSSignerDigestMismatchException", content="tampered"),
    Case("signature-changed", f"signature: {REFUSED}: not by the leaf", signature=changed_signature),
    Case("root-with-the-same-names", NO_PATH, root="impostor"),
    Case("certificate-ended", NO_PATH, later=timedelta(minutes=6)),
    Case(
        "token-of-another-signature",
        f"timestamp: {REFUSED}: over something else",
        signature=lambda s: stamped(s, other_token(s)),
    ),
    Case(
        "token-changed",
        "timestamp: org.bouncycastle.tsp.TSPValidationException",
        signature=lambda s: stamped(s, changed_token(s)),
    ),
    Case(
        "token-of-another-authority",
        "timestamp: java.security.cert.CertPathBuilderException",
        signature=lambda s: stamped(s, foreign_token(s)),
    ),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Profile, str], str]:
    """Bouncy Castle's line on each case of each profile."""
    java, arguments = peer("bouncycastle"), []
    for profile in PROFILES:
        signed = sign(tmp_path_factory.mktemp(profile.value), profile, NOW)
        for case in CASES:
            (signed.folder / case.name).write_bytes(case.signature(signed))
            at = int((signed.world.now + case.later).timestamp())
            arguments.append(f"{profile}/{case.name},{signed.folder},{case.content},{case.name},{case.root},{at}")
    ended = run(java, *JAVA, "-cp", bouncy_castle_classpath(), SOURCE, *arguments, cwd=Path(os.sep))
    assert ended.returncode == 0, ended.stderr
    lines = [line.partition(" ") for line in ended.stdout.splitlines()]
    found = {(Profile(name.split("/")[0]), name.split("/")[1]): rest for name, _, rest in lines}
    assert len(found) == len(arguments), ended.stdout
    return found


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bouncy_castle_says(results: dict[tuple[Profile, str], str], profile: Profile, case: Case) -> None:
    assert results[profile, case.name].startswith(case.begins)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_time_in_the_token_is_the_time_of_signing(
    results: dict[tuple[Profile, str], str], profile: Profile
) -> None:
    assert results[profile, "as-it-was-made"] == f"accepted {int(NOW.timestamp())}"
