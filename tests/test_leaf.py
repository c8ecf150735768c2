"""The leaves that the authority writes itself: byte for byte what the library's builder writes of the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from attest import certificate, keys, leaf
from attest.leaf import Use
from attest.profile import LeafSpec, Profile
from attest.types import PrincipalKind
from tests import builders
from tests.forge import Forge, PrivateKey

OURS = (Profile.NOTME, Profile.INTEROP)


def spec_of(forge: Forge, **changes: object) -> LeafSpec:
    return replace(forge.spec(), **changes)  # type: ignore[arg-type]


CASES: dict[str, dict[str, object]] = {
    "a plain one": {},
    "long texts": {"subject": "s" * 300, "uri": "wimse://x/" + "u" * 200, "auth_method": "m" * 128},
    "no scope": {"scopes": ()},
    "many scopes": {"scopes": ("bridgeCert", "sign:git", "sign:git-blind")},
    "a text outside ASCII": {"subject": "répertoire/größe", "auth_method": "oidc:é"},
    "an epoch of two bytes": {"epoch": 128},
    "the year 2050": {"issued_at": datetime(2049, 12, 31, 23, 58, 30, 999_000, tzinfo=UTC)},
    "what a CI provider said": {"ci": ((8, "https://issuer.example"), (14, "refs/heads/main"))},
}


@pytest.mark.parametrize("use", list(Use))
@pytest.mark.parametrize("build", OURS)
@pytest.mark.parametrize("name", CASES)
def test_it_is_what_the_builder_writes(name: str, build: Profile, use: Use) -> None:
    forge = Forge(build)
    same(forge, spec_of(forge, **CASES[name]), use)


@pytest.mark.parametrize("use", list(Use))
@pytest.mark.parametrize("build", OURS)
def test_a_verifiers_is_what_the_builder_writes(build: Profile, use: Use) -> None:
    forge = Forge(build)
    spec = forge.spec()
    named = replace(spec.claims, actor_kind=PrincipalKind.VERIFIER)
    same(forge, replace(spec, claims=named, issuer_url="https://authority.invalid"), use)


@given(
    subject=st.text(max_size=300),
    epoch=st.integers(0, 2**32 - 1),
    binding=st.binary(min_size=32, max_size=32),
    ago=st.timedeltas(timedelta(0), timedelta(days=900)),
    serial=st.integers(1, 2**120 - 1),
)
def test_whatever_it_says_it_is_what_the_builder_writes(
    subject: str, epoch: int, binding: bytes, ago: timedelta, serial: int
) -> None:
    at = datetime(2026, 11, 27, tzinfo=UTC) + ago
    same(FORGE, spec_of(FORGE, subject=subject, epoch=epoch, binding=binding, issued_at=at), Use.SIGNING, serial)


FORGE = Forge(Profile.NOTME)


def same(forge: Forge, spec: LeafSpec, use: Use, serial: int = 77) -> None:
    """The TBSCertificate is the builder's, and assembled with a signature it is a certificate that holds."""
    key: PrivateKey = (
        ed25519.Ed25519PrivateKey.generate()
        if use is Use.SIGNING and spec.profile is Profile.NOTME
        else ec.generate_private_key(ec.SECP256R1())
    )
    public = keys.from_cryptography(key.public_key())
    written = leaf.to_be_signed(spec, public, forge.root, serial=serial, use=use)
    build = builders.mtls_leaf if use is Use.MTLS else builders.signing_leaf
    builder = build(spec, key.public_key(), forge.root, serial=serial)
    ed = isinstance(forge.root_key, ed25519.Ed25519PrivateKey)
    built = builder.sign(forge.root_key, None if ed else SHA256())
    assert written == built.tbs_certificate_bytes
    if isinstance(forge.root_key, ed25519.Ed25519PrivateKey):
        signature = forge.root_key.sign(written)
    else:
        signature = forge.root_key.sign(written, ec.ECDSA(SHA256()))
    made = certificate.read(leaf.assemble(written, signature, forge.root))
    certificate.verify_issued(made, certificate.key_of(forge.root))
    assert made.tbs_certificate_bytes == written
