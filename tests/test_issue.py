from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from attest import canonical, certificate, sshcert
from attest.errors import Error, Reason, RefusedError, UnavailableError, VerificationError
from attest.profile import Profile
from attest.types import Assurance, Grant
from notme_git.authority.issue import Pair, Proofs, Request, binding_preimage, issue
from tests.world import World

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def spki(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def proof(key: Key, message: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass(frozen=True)
class Keys:
    """A pair of keys and what it proves."""

    mtls: Key
    signing: Key

    @property
    def message(self) -> bytes:
        return spki(self.mtls) + spki(self.signing)

    def request(self, grant: Grant, profile: Profile = Profile.NOTME) -> Request:
        proofs = Proofs(mtls=proof(self.mtls, self.message), signing=proof(self.signing, self.message))
        return Request(
            grant=grant,
            profile=profile,
            scopes=("sign:git",),
            mtls_key=spki(self.mtls),
            signing_key=spki(self.signing),
            proofs=proofs,
        )


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


KEYS = Keys(p256(), ed25519.Ed25519PrivateKey.generate())
OTHER = Keys(p256(), ed25519.Ed25519PrivateKey.generate())
TWO_P256 = Keys(p256(), p256())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def issued(world: World, request: Request) -> Pair:
    with world.opened() as authority:
        return issue(authority, request, assurance=Assurance.SAME_USER, auth_method="local", at=world.now)


@pytest.mark.parametrize(
    ("keys", "profile"), [(KEYS, Profile.NOTME), (TWO_P256, Profile.INTEROP)], ids=["notme", "interop"]
)
def test_a_pair_is_issued_as_granted_and_bound_to_both_keys(world: World, keys: Keys, profile: Profile) -> None:
    grant = world.grant(repositories=("https://git.example/app",))
    request = replace(keys.request(grant, profile), session="s-1", task_digest=bytes(32))
    pair = issued(world, request)
    leaf = certificate.verify_chain(pair.signing, (), world.trust().anchors, profile).leaf
    claims = leaf.claims
    assert claims is not None
    assert (leaf.key.spki, leaf.scopes, leaf.epoch) == (spki(keys.signing), ("sign:git",), 1)
    assert leaf.binding == hashlib.sha256(spki(keys.mtls) + spki(keys.signing)).digest()
    assert leaf.uri == leaf.subject == grant.actor.id
    assert (claims.grant_id, claims.grant_sha256) == (grant.id, canonical.digest(grant))
    assert (claims.represented, claims.constraints) == (replace(world.human, name=""), grant.constraints)
    assert (claims.session, claims.task_digest, claims.assurance) == ("s-1", bytes(32), "same-user")
    assert pair.mtls.public_key() == keys.mtls.public_key()
    assert pair.mtls.serial_number != pair.signing.serial_number
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(pair.mtls, (), world.trust().anchors)
    assert caught.value.reason in (Reason.PURPOSE_MISMATCH, Reason.PROFILE_MISMATCH, Reason.EXTENSION_UNKNOWN)


@pytest.mark.parametrize("scope", ["sign:git", "sign:git-blind"])
def test_who_signs_in_git_gets_an_ssh_certificate_that_says_the_same_of_the_same_key(world: World, scope: str) -> None:
    grant = world.grant(scopes=("sign:git", "sign:git-blind"))
    pair = issued(world, replace(KEYS.request(grant), scopes=(scope,), session="s-1", task_digest=bytes(32)))
    x509 = certificate.verify_chain(pair.signing, (), world.trust().anchors).leaf
    assert pair.ssh is not None
    ssh = sshcert.verify_chain(sshcert.parse(pair.ssh), world.trust().anchors).leaf
    for name in ("key", "claims", "subject", "uri", "scopes", "epoch", "auth_method", "binding", "issued_at"):
        assert getattr(ssh, name) == getattr(x509, name), name
    assert (ssh.not_after, ssh.payload_unchecked) == (x509.not_after, scope == "sign:git-blind")
    assert ssh.serial != x509.serial


def test_who_does_not_sign_in_git_with_ed25519_gets_no_ssh_certificate(world: World) -> None:
    grant = world.grant(scopes=("sign:git", "bridgeCert"))
    assert issued(world, replace(KEYS.request(grant), scopes=("bridgeCert",))).ssh is None
    assert issued(world, TWO_P256.request(grant, Profile.INTEROP)).ssh is None


def test_the_preimage_is_the_two_keys_with_the_mtls_key_first() -> None:
    assert binding_preimage(b"mtls", b"signing") == b"mtlssigning"


def without_proofs(request: Request) -> Request:
    return replace(request, proofs=Proofs(b"", b""))


def of(**changes: Callable[[Proofs], bytes]) -> Callable[[Request], Request]:
    return lambda r: replace(r, proofs=replace(r.proofs, **{k: change(r.proofs) for k, change in changes.items()}))


def der_proof(_: Proofs) -> bytes:
    return p256().sign(b"", ec.ECDSA(SHA256()))


DIGEST = hashlib.sha256(KEYS.message).digest()
NO_PROOF: list[tuple[str, Callable[[Request], Request], str]] = [
    ("none at all", without_proofs, "P-256 proof"),
    ("no proof of the signing key", of(signing=lambda _: b""), "Ed25519 proof"),
    ("no proof of the mTLS key", of(mtls=lambda _: b""), "P-256 proof"),
    ("swapped proofs", of(mtls=lambda p: p.signing, signing=lambda p: p.mtls), "P-256 proof"),
    ("by another signing key", of(signing=lambda _: OTHER.signing.sign(KEYS.message)), "Ed25519 proof"),  # type: ignore[call-arg]
    ("by another mTLS key", of(mtls=lambda _: proof(OTHER.mtls, KEYS.message)), "P-256 proof"),
    ("over other keys", lambda r: replace(r, proofs=OTHER.request(r.grant).proofs), "P-256 proof"),
    (
        "over the keys in the other order",
        of(signing=lambda _: proof(KEYS.signing, spki(KEYS.signing) + spki(KEYS.mtls))),
        "Ed25519 proof",
    ),
    (
        "over the digest, as upstream's old clients",
        of(signing=lambda _: proof(KEYS.signing, DIGEST)),
        "Ed25519 proof",
    ),
    ("over the digest, hashed twice", of(mtls=lambda _: proof(KEYS.mtls, DIGEST)), "P-256 proof"),
    (
        "in DER instead of r and s",
        of(mtls=lambda _: KEYS.mtls.sign(KEYS.message, ec.ECDSA(SHA256()))),  # type: ignore[call-arg]
        "P-256 proof",
    ),
    ("a byte longer", of(signing=lambda p: p.signing + b"\0"), "Ed25519 proof"),
    (
        "for a signing key that was exchanged afterwards",
        lambda r: replace(r, signing_key=spki(OTHER.signing)),
        "P-256 proof",
    ),
]


@pytest.mark.parametrize(("change", "text"), [n[1:] for n in NO_PROOF], ids=[n[0] for n in NO_PROOF])
def test_without_proof_of_both_keys_nothing_is_issued(
    world: World, change: Callable[[Request], Request], text: str
) -> None:
    request = change(KEYS.request(world.grant()))
    with pytest.raises(RefusedError, match=text):
        issued(world, request)
    with world.opened() as authority:
        assert authority.store.last_issued_at() is None


@pytest.mark.parametrize(
    ("keys", "profile"),
    [
        (Keys(ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()), Profile.NOTME),
        (TWO_P256, Profile.NOTME),
        (KEYS, Profile.INTEROP),
        (Keys(KEYS.signing, KEYS.mtls), Profile.NOTME),
        (Keys(ec.generate_private_key(ec.SECP384R1()), KEYS.signing), Profile.NOTME),
    ],
    ids=["two Ed25519", "two P-256", "Ed25519 for interop", "swapped", "P-384"],
)
def test_keys_of_other_algorithms_are_refused(world: World, keys: Keys, profile: Profile) -> None:
    grant = world.grant()
    request = KEYS.request(grant, profile)
    with pytest.raises(Error):
        issued(world, replace(request, mtls_key=spki(keys.mtls), signing_key=spki(keys.signing)))


@pytest.mark.parametrize(
    "key",
    [b"", b"\x30\x00", b"x" * 44, spki(KEYS.signing) + b"\0"],
    ids=["nothing", "an empty sequence", "no DER", "a trailing byte"],
)
def test_bytes_that_are_no_key_are_refused(world: World, key: bytes) -> None:
    with pytest.raises(Error):
        issued(world, replace(KEYS.request(world.grant()), signing_key=key))


def pop_vector(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "notme" / "pop-observed.json").read_text())
    return found


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize(("form", "good"), [("proofs_preimage", True), ("proofs_legacy_digest", False)])
def test_a_proof_that_the_upstream_authority_accepted(
    shared_vectors: Path, world: World, form: str, good: bool
) -> None:
    """Its present form is ours; the digest form that it still tolerates is not (design D1)."""
    vector = pop_vector(shared_vectors)
    mtls, signing = (
        load_pem_public_key(vector["public_keys"][which].encode()).public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        for which in ("mtls", "signing")
    )
    assert binding_preimage(mtls, signing).hex() == vector["preimage_hex"]
    proofs = Proofs(**{which: unpadded(vector[form][which]) for which in ("mtls", "signing")})
    request = replace(KEYS.request(world.grant()), mtls_key=mtls, signing_key=signing, proofs=proofs)
    if not good:
        with pytest.raises(RefusedError):
            issued(world, request)
        return
    leaf = certificate.verify_chain(issued(world, request).signing, (), world.trust().anchors).leaf
    assert leaf.binding.hex() == vector["binding_sha256_hex"]
    assert leaf.key.key_id == vector["kid_signing"]


def test_our_proof_of_the_observed_keys_has_the_observed_form(shared_vectors: Path) -> None:
    """Ed25519 is deterministic: the same key over the same bytes gives the very proof that upstream accepted."""
    vector = pop_vector(shared_vectors)
    key = load_pem_private_key(vector["private_keys_pkcs8"]["signing"].encode(), None)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    assert proof(key, bytes.fromhex(vector["preimage_hex"])) == unpadded(vector["proofs_preimage"]["signing"])


def test_a_grant_of_somebody_else_or_one_that_was_widened_is_refused(world: World) -> None:
    grant = world.grant()
    for wider in (
        replace(grant, expires_at=grant.expires_at + 1),
        replace(grant, scopes=("sign:git", "certMint")),
        replace(grant, represented=world.other.human),
        replace(grant, actor=replace(grant.actor, name="claude")),
    ):
        with pytest.raises(RefusedError, match="not what this authority granted"):
            issued(world, KEYS.request(wider))
    with pytest.raises(RefusedError, match="no grant"):
        issued(world, KEYS.request(world.other.grant()))


def test_a_revoked_grant_is_refused_whatever_the_clock_says(world: World) -> None:
    grant = world.grant()
    world.tick(hours=1)
    world.revoke(grant)
    for hours in (0, 1):
        world.tick(hours=hours)
        with pytest.raises(RefusedError, match="revoked"):
            issued(world, KEYS.request(grant))


def test_an_expired_grant_is_refused_from_its_last_second_on(world: World) -> None:
    grant = world.grant(expires="1h")
    world.tick(seconds=3599)
    assert issued(world, KEYS.request(grant)).mtls.not_valid_after_utc > world.now
    world.tick(seconds=1)
    with pytest.raises(RefusedError, match="expired"):
        issued(world, KEYS.request(grant))


@pytest.mark.parametrize("scope", ["sign:attestation", "certMint", "", "sign"])
def test_a_scope_beyond_the_grant_is_refused(world: World, scope: str) -> None:
    with pytest.raises(RefusedError, match=r"holds sign:git, not"):
        issued(world, replace(KEYS.request(world.grant()), scopes=(scope,)))


@pytest.mark.parametrize(("back", "good"), [(60, True), (61, False), (86400, False)])
def test_a_clock_that_went_back_is_refused_beyond_a_minute(world: World, back: int, good: bool) -> None:
    grant = world.grant()
    world.tick(days=2)
    issued(world, KEYS.request(grant))
    world.tick(seconds=-back)
    if good:
        assert issued(world, KEYS.request(grant)).mtls.not_valid_after_utc > world.now
        return
    with pytest.raises(RefusedError, match="clock"):
        issued(world, KEYS.request(grant))


def test_a_clock_before_the_epoch_is_refused(world: World) -> None:
    grant = world.grant()
    world.tick(seconds=-61)
    with pytest.raises(RefusedError, match="clock"):
        issued(world, KEYS.request(grant))


def test_every_certificate_stands_in_the_issuance_log_before_it_is_handed_out(world: World) -> None:
    grant = world.grant()
    pair = issued(world, KEYS.request(grant))
    with world.opened() as authority:
        rows = authority.store._rows("SELECT serial, grant_id, certificate_sha256, issued_at FROM issued")
    assert pair.ssh is not None
    made = [(c.serial_number, c.public_bytes(Encoding.DER)) for c in (pair.mtls, pair.signing)]
    made.append((sshcert.parse(pair.ssh).serial, pair.ssh))
    expected = {
        (f"{serial:x}", grant.id, hashlib.sha256(encoded).digest(), int(world.now.timestamp()))
        for serial, encoded in made
    }
    assert set(rows) == expected


def test_what_cannot_be_logged_is_not_handed_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = KEYS.request(world.grant())
    with world.opened() as authority:

        def full(*_: object) -> None:
            raise UnavailableError("the disk is full")

        monkeypatch.setattr(type(authority.store), "record_issued", full)
        with pytest.raises(UnavailableError, match="full"):
            issue(authority, request, assurance=Assurance.SAME_USER, auth_method="local", at=world.now)


def test_after_a_rotation_the_new_epoch_issues(world: World) -> None:
    grant = world.grant()
    world.tick(seconds=timedelta(minutes=1).total_seconds())
    world.rotate()
    leaf = certificate.verify_chain(issued(world, KEYS.request(grant)).signing, (), world.trust().anchors).leaf
    assert leaf.epoch == 2
