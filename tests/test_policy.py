from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from attest import policy
from attest.errors import Reason, Step, UnavailableError, VerificationError
from attest.policy import Context, Policy
from attest.types import Constraints, Evidence, Voucher

HOUR = timedelta(hours=1)


def by(*vouchers: Voucher) -> tuple[Evidence, ...]:
    return tuple(Evidence(not_before=0, not_after=0, voucher=v, source="test") for v in vouchers)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (Policy(), "builtin:default"),
        (Policy(require_time=Voucher.AUTHORITY), "builtin:require-time=authority,max-bundle-age=any"),
        (Policy(max_bundle_age=HOUR), "builtin:require-time=signer,max-bundle-age=3600s"),
    ],
)
def test_a_policy_is_named_by_what_it_demands(made: Policy, name: str) -> None:
    assert made.name == name
    assert len(made.digest) == 32


def test_policies_that_differ_have_other_digests() -> None:
    made = [Policy(), Policy(Voucher.AUTHORITY), Policy(Voucher.RECEIVER), Policy(max_bundle_age=HOUR)]
    assert len({p.digest for p in made}) == 4
    assert Policy().digest == hashlib.sha256(b"require-time=signer,max-bundle-age=any").digest()


@pytest.mark.parametrize(
    ("wanted", "found", "met"),
    [
        (None, by(), True),
        (Voucher.SIGNER, by(), True),
        (Voucher.AUTHORITY, by(), False),
        (Voucher.AUTHORITY, by(Voucher.AUTHORITY), True),
        (Voucher.AUTHORITY, by(Voucher.INDEPENDENT), True),
        (Voucher.RECEIVER, by(Voucher.AUTHORITY), False),
        (Voucher.INDEPENDENT, by(Voucher.AUTHORITY, Voucher.RECEIVER), False),
        (Voucher.INDEPENDENT, by(Voucher.AUTHORITY, Voucher.INDEPENDENT), True),
    ],
)
def test_evidence_of_time_is_enough_from_the_required_voucher_on(
    wanted: Voucher | None, found: tuple[Evidence, ...], met: bool
) -> None:
    if met:
        policy.check_time(Policy(require_time=wanted), found)
        return
    with pytest.raises(VerificationError) as caught:
        policy.check_time(Policy(require_time=wanted), found)
    assert (caught.value.step, caught.value.reason) == (Step.POLICY, Reason.TIME_REQUIRED)


@pytest.mark.parametrize(
    ("limit", "age", "met"),
    [
        (None, None, True),
        (None, timedelta(days=999), True),
        (HOUR, HOUR, True),
        (HOUR, HOUR + timedelta(seconds=1), False),
        (HOUR, None, False),
    ],
)
def test_a_bundle_is_as_old_as_the_policy_lets_it_be(limit: timedelta | None, age: timedelta | None, met: bool) -> None:
    if met:
        policy.check_bundle_age(Policy(max_bundle_age=limit), age)
        return
    with pytest.raises(UnavailableError) as caught:
        policy.check_bundle_age(Policy(max_bundle_age=limit), age)
    assert caught.value.reason is Reason.BUNDLE_STALE


APP = "https://git.example/app"
BOTH = Constraints(repositories=(APP,), branches=("main", "agents/*"))
PLACES = [
    ("nothing constrains", Constraints((), ()), Context(), None),
    ("nothing constrains, git asks", Constraints((), ()), Context(git=True), None),
    ("both match", BOTH, Context("refs/heads/main", APP), None),
    ("the second pattern matches", BOTH, Context("refs/heads/agents/one", APP), None),
    ("a deeper branch than the star", BOTH, Context("refs/heads/agents/one/two", APP), Reason.CONSTRAINT_MISMATCH),
    ("another branch", BOTH, Context("refs/heads/mainline", APP), Reason.CONSTRAINT_MISMATCH),
    ("a tag", BOTH, Context("refs/tags/main", APP), Reason.CONSTRAINT_MISMATCH),
    ("another repository", BOTH, Context("refs/heads/main", APP + "2"), Reason.CONSTRAINT_MISMATCH),
    ("no ref", BOTH, Context(None, APP), Reason.CONTEXT_UNKNOWN),
    ("no repository", BOTH, Context("refs/heads/main", None), Reason.CONTEXT_UNKNOWN),
    ("git asks", BOTH, Context(git=True), Reason.UNSEEN),
    ("git asks about a branch", Constraints((), ("main",)), Context(git=True), Reason.UNSEEN),
    ("a branch alone constrains", Constraints((), ("main",)), Context("refs/heads/main"), None),
]


@pytest.mark.parametrize(("limits", "context", "reason"), [p[1:] for p in PLACES], ids=[p[0] for p in PLACES])
def test_constraints_are_held_against_where_an_object_is_offered(
    limits: Constraints, context: Context, reason: Reason | None
) -> None:
    if reason is None:
        policy.check_constraints(limits, context)
        return
    kind = VerificationError if reason is Reason.CONSTRAINT_MISMATCH else UnavailableError
    with pytest.raises(kind) as caught:
        policy.check_constraints(limits, context)
    assert getattr(caught.value, "reason", None) is reason
