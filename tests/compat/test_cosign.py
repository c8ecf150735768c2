"""cosign on our attestations: a stock verifier that is given our trusted root and told whom to expect."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from attest import dsse, statement, verify
from attest.policy import Context, Policy
from attest.statement import PREDICATE_TYPE
from notme_git import attesting
from notme_git.authority import trusted_root
from notme_git.authority.embedded import Authority
from tests.compat.signed import run
from tests.peers import peer
from tests.world import World

CONTEXT = Context(repository="https://git.example/app", ref="refs/heads/main")
RELAXED = ("--insecure-ignore-tlog=true", "--insecure-ignore-sct", "--use-signed-timestamps")


@dataclass(frozen=True)
class Asked:
    """What cosign is told. The files of `folder` are named like the fields."""

    folder: Path
    identity: str
    issuer: str
    digest: str
    bundle: str = "bundle.json"
    root: str = "root.json"
    predicate: str = PREDICATE_TYPE

    def ask(self) -> tuple[int, str]:
        """Exit status, and what it says."""
        expected = ("--certificate-identity", self.identity, "--certificate-oidc-issuer", self.issuer)
        about = ("--type", self.predicate, "--digest", self.digest, "--digestAlg", "gitCommit")
        given = ("--bundle", self.bundle, "--trusted-root", self.root)
        ended = run(peer("cosign"), "verify-blob-attestation", *given, *expected, *about, *RELAXED, cwd=self.folder)
        return ended.returncode, ended.stderr


def anchors(authority: Authority) -> bytes:
    """What `trust export --format sigstore` prints."""
    epoch = authority.epoch
    pairs = zip((epoch.root, epoch.interop_root), epoch.timestamp_certificates, strict=True)
    return json.dumps(trusted_root.build(list(pairs))).encode()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """The attestation of one commit, with other bundles and another root beside it."""
    peer("cosign")
    folder = tmp_path_factory.mktemp("cosign")
    world = World(folder)
    world.grant()
    examination = world.examine(world.signed_commit())
    verdict = verify.judge(examination, Policy(), CONTEXT, at=world.now)
    with world.opened() as authority:
        attester = attesting.HomeAttester.enroll(authority, world.trust(), world.now)
        payload = statement.build(
            examination,
            verdict,
            verifier_id=attester.id,
            repository=CONTEXT.repository,
            ref=CONTEXT.ref,
            at=world.now,
        )
        line = attester.sign(payload, world.now)
        issuer, root = authority.url, anchors(authority)
    with world.other.opened() as authority:
        other = anchors(authority)
    bundle = dsse.parse_bundle(line)
    payload = bundle.envelope.payload.replace(b'"PASSED"', b'"FAILED"')
    for name, data in {
        "bundle.json": line,
        "tampered.json": replace(bundle, envelope=replace(bundle.envelope, payload=payload)).encode(),
        "unstamped.json": replace(bundle, timestamps=()).encode(),
        "root.json": root,
        "other.json": other,
    }.items():
        (folder / name).write_bytes(data)
    return Asked(folder, attester.id, issuer, examination.object_id)


def test_an_attestation_is_accepted(asked: Asked) -> None:
    status, says = asked.ask()
    assert status == 0, says
    assert "Verified OK" in says


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            lambda a: replace(a, digest="1" * 40), "does not match any digest in statement", id="it is another commit"
        ),
        pytest.param(
            lambda a: replace(a, identity=a.identity + "x"), "expected SAN value", id="another signer is expected"
        ),
        pytest.param(
            lambda a: replace(a, issuer="https://other.invalid"),
            "expected issuer value",
            id="another authority is expected",
        ),
        pytest.param(
            lambda a: replace(a, predicate="https://slsa.dev/provenance/v1"),
            "invalid predicate type",
            id="another kind of statement is expected",
        ),
        pytest.param(lambda a: replace(a, root="other.json"), "failed to verify timestamps", id="the root is another"),
        pytest.param(
            lambda a: replace(a, bundle="tampered.json"), "accepted signatures do not match", id="the result is changed"
        ),
        pytest.param(
            lambda a: replace(a, bundle="unstamped.json"), "threshold not met", id="the time-stamp is taken out"
        ),
    ],
)
def test_an_attestation_is_refused_when(asked: Asked, change: Callable[[Asked], Asked], reason: str) -> None:
    status, says = change(asked).ask()
    assert status != 0
    assert reason in says
