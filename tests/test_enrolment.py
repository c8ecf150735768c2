"""From who was proven to what is issued: never more than was asked for, granted, and fit for a certificate."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import RefusedError
from attest.types import Authentication, PrincipalKind
from notme_git.authority import accounts, enrolment, grants
from notme_git.authority.embedded import Authority
from notme_git.authority.enrolment import ELIGIBLE, Applicant, Ask, ScopeError
from notme_git.authority.identity import Identity
from notme_git.authority.issue import PossessionError, Proofs, binding_preimage
from notme_git.authority.proofs.configured import WorkloadRule
from notme_git.authority.settings import Settings
from notme_git.enroll.keys import proof, spki
from tests.served import Keys
from tests.world import World

ISSUER = "https://ci.example.com"
SETTINGS = Settings()
RULE = WorkloadRule(ISSUER, {"sub": "**"}, scopes=("sign:git",), name="ci-{repository}", repositories=("example/*",))
scopes = st.lists(st.sampled_from(grants.SCOPES), unique=True).map(tuple)


def identity(*names: str, **claims: str) -> Identity:
    subject = ":".join(names)
    return Identity(
        "oidc", PrincipalKind.WORKLOAD, Authentication.OIDC, ISSUER, subject, claims=claims, names=("ci", *names)
    )


JOB = identity("example", "tool", repository="example/tool")


def asked(*, suffix: bytes = b"", agent: str = "", grant: str = "") -> Ask:
    """With honest proofs by new keys."""
    keys = Keys()
    message = binding_preimage(spki(keys.mtls), spki(keys.signing)) + suffix
    proofs = Proofs(proof(keys.mtls, message), proof(keys.signing, message))
    return Ask(spki(keys.mtls), spki(keys.signing), proofs, agent=agent, grant=grant)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def authority(world: World) -> Iterator[Authority]:
    with world.opened() as opened:
        yield opened


def workload(authority: Authority, proven: Identity = JOB, rule: WorkloadRule | None = RULE) -> Applicant:
    return enrolment.of_workload(authority, SETTINGS, proven, rule)


@given(held=scopes, wanted=st.none() | scopes)
def test_what_is_effective_was_asked_for_and_held_and_may_be_carried(
    held: tuple[str, ...], wanted: tuple[str, ...] | None
) -> None:
    ask = Ask(b"", b"", Proofs(b"", b""), scopes=wanted)
    expected = {each for each in ELIGIBLE if each in held and each in (("bridgeCert",) if wanted is None else wanted)}
    if expected:
        assert set(enrolment.effective(ask, held)) == expected
    else:
        with pytest.raises(ScopeError, match="none of the requested scopes"):
            enrolment.effective(ask, held)


def test_no_certificate_carries_what_is_for_sessions() -> None:
    ask = Ask(b"", b"", Proofs(b"", b""), scopes=("authorityManage",))
    with pytest.raises(ScopeError, match="may be carried") as refused:
        enrolment.effective(ask, accounts.ADMIN)
    assert refused.value.told == {"requested": ("authorityManage",), "eligible": ELIGIBLE}


def test_a_workload_without_a_rule_gets_upstreams_scope_alone(authority: Authority) -> None:
    found = workload(authority, rule=None)
    assert (found.held, found.own.actor.name) == (("bridgeCert",), "example/tool")
    assert found.own.constraints.repositories == ()


def test_a_rule_names_a_workload_gives_scopes_and_binds_it(authority: Authority) -> None:
    found = workload(authority)
    assert (found.held, found.own.actor.name) == (("bridgeCert", "sign:git"), "ci-example/tool")
    assert found.own.constraints.repositories == ("example/*",)
    assert found.own.represented == authority.human
    assert found.own.actor.id == "wimse://localhost:8788/ci/example/tool"


def test_a_workload_is_put_on_record_once_and_revoked_for_good(world: World, authority: Authority) -> None:
    def prepare() -> str:
        found = workload(authority)
        made = enrolment.prepare(authority, SETTINGS, found, asked(), suffix=b"", marks=(), at=world.now)
        made.record(authority.store)
        return authority.store.issued_since(0, found.own.actor.id, 1)[0].grant_id

    before = len(authority.store.grants())
    first = prepare()
    assert prepare() == first
    assert len(authority.store.grants()) == before + 1
    authority.store.revoke_grant(first, int(world.now.timestamp()))
    with pytest.raises(RefusedError, match="revoked"):
        prepare()
    assert len(authority.store.grants()) == before + 1


def test_whoever_has_not_the_keys_gets_nothing(world: World, authority: Authority) -> None:
    suffix = hashlib.sha256(b"nonce").digest()
    for ask in (asked(), asked(suffix=b"other")):
        with pytest.raises(PossessionError):
            enrolment.prepare(authority, SETTINGS, workload(authority), ask, suffix=suffix, marks=(), at=world.now)


def test_nobody_gets_a_grant_of_another(world: World, authority: Authority) -> None:
    granted = world.grant()
    stranger = Applicant("s", "passkey", ("sign:git",), "", workload(authority).own, account="s")
    asks = (asked(grant="unknown"), asked(grant=granted.id), asked(agent="nobody"), asked(agent=granted.actor.name))
    for ask in asks:
        with pytest.raises(RefusedError, match="grant"):
            enrolment.prepare(authority, SETTINGS, stranger, ask, suffix=b"", marks=(), at=world.now)


@given(
    st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=4),
    st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=4),
)
def test_any_two_workloads_have_addresses_of_their_own(one: list[str], other: list[str]) -> None:
    addresses = [enrolment._local(tuple(names)) for names in (one, other)]
    assert all(0 < len(each) <= enrolment.MAX_LOCAL and each.isascii() for each in addresses)
    assert not any(each.startswith(".") or each.endswith(".") or ".." in each for each in addresses)
    assert (addresses[0] == addresses[1]) <= (one == other)
