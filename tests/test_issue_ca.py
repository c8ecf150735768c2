from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from attest import canonical, certificate
from attest.errors import Error, RefusedError
from attest.profile import Profile
from attest.types import Assurance, Grant
from notme_git.authority import issue_ca
from notme_git.authority.issue_ca import CaRequest, preimage
from notme_git.authority.keystore import PrivateKey
from notme_git.enroll.keys import new_signing_key, proof, spki
from tests.world import World

KEY, OTHER = new_signing_key(Profile.NOTME), new_signing_key(Profile.NOTME)
P256 = new_signing_key(Profile.INTEROP)
SCOPES = ("sign:git", "sign:attestation", "authorityManage", "sign:git-blind")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def asked(grant: Grant, key: PrivateKey = KEY, of: Profile = Profile.NOTME) -> CaRequest:
    return CaRequest(grant=grant, profile=of, key=spki(key), proof=proof(key, preimage(spki(key))))


def issued(world: World, request: CaRequest) -> x509.Certificate:
    with world.opened() as authority:
        return issue_ca.issue_ca(
            authority, request, assurance=Assurance.SAME_USER, auth_method="local", at=world.now
        )


def test_an_issuing_ca_is_issued_as_granted_for_a_day(world: World) -> None:
    grant = world.grant(scopes=SCOPES, branches=("agents/*",), delegation_depth=1)
    request = replace(asked(grant), session="s-1", task_digest=bytes(32), ci=((20, "push"),))
    held = certificate.verify_issuing(issued(world, request), world.trust().anchors, Profile.NOTME)
    claims = held.claims
    assert claims is not None
    assert (held.key.spki, held.binding) == (request.key, hashlib.sha256(request.key).digest())
    assert held.scopes == ("certMint", "sign:git", "sign:attestation")
    assert held.uri == held.subject == grant.actor.id
    assert (claims.depth, claims.session, claims.task_digest) == (1, "s-1", bytes(32))
    assert (claims.grant_id, claims.grant_sha256) == (grant.id, canonical.digest(grant))
    assert (claims.represented, claims.constraints) == (replace(world.human, name=""), grant.constraints)
    assert (held.not_after, held.ci) == (world.now + timedelta(hours=24), ((20, "push"),))


def test_it_does_not_outlive_the_grant(world: World) -> None:
    made = issued(world, asked(world.grant(expires="6m", delegation_depth=1)))
    assert made.not_valid_after_utc == world.now + timedelta(minutes=6)


def test_it_is_on_record(world: World) -> None:
    made = issued(world, asked(world.grant(delegation_depth=1)))
    digest = hashlib.sha256(made.public_bytes(Encoding.DER)).digest()
    with closing(sqlite3.connect(world.home / "authority" / "authority.db")) as database:
        rows = database.execute("SELECT serial, certificate_sha256 FROM issued").fetchall()
    assert rows == [(f"{made.serial_number:x}", digest)]


REFUSED: dict[str, tuple[Callable[[World], CaRequest], str]] = {
    "a grant that may not be passed on": (lambda w: asked(w.grant()), "not certMint"),
    "a grant with the scope and no depth": (
        lambda w: asked(w.grant(scopes=("sign:git", "certMint"))),
        "may not be passed on",
    ),
    "a grant that was given more depth than it has on record": (
        lambda w: asked(replace(w.grant(), delegation_depth=1, scopes=("certMint", "sign:git"))),
        "not what this authority granted",
    ),
    "a grant that ends in four minutes": (
        lambda w: asked(w.grant(expires="4m", delegation_depth=1)),
        "ends before anything minted",
    ),
    "no proof": (lambda w: replace(asked(w.grant(delegation_depth=1)), proof=b""), "proof-of-possession"),
    "another key's proof": (
        lambda w: replace(asked(w.grant(delegation_depth=1)), proof=proof(OTHER, preimage(spki(KEY)))),
        "proof-of-possession",
    ),
    "a proof of the key without what it is for": (
        lambda w: replace(asked(w.grant(delegation_depth=1)), proof=proof(KEY, spki(KEY))),
        "proof-of-possession",
    ),
    "a proof that is not fresh": (
        lambda w: replace(asked(w.grant(delegation_depth=1)), suffix=bytes(32)),
        "proof-of-possession",
    ),
    "a P-256 key": (lambda w: asked(w.grant(delegation_depth=1), P256), "a key of this algorithm"),
    "profile interop": (lambda w: asked(w.grant(delegation_depth=1), P256, Profile.INTEROP), "no issuing CAs"),
    "bytes that are no key": (lambda w: replace(asked(w.grant(delegation_depth=1)), key=b"\x30\x00"), "key"),
}


@pytest.mark.parametrize(("ask", "text"), REFUSED.values(), ids=REFUSED)
def test_nothing_is_issued_for(world: World, ask: Callable[[World], CaRequest], text: str) -> None:
    with pytest.raises(Error, match=text):
        issued(world, ask(world))
    with world.opened() as authority:
        assert authority.store.last_issued_at() is None


def test_nothing_is_issued_under_a_revoked_grant(world: World) -> None:
    grant = world.grant(delegation_depth=1)
    world.revoke(grant)
    with pytest.raises(RefusedError, match="revoked"):
        issued(world, asked(grant))
