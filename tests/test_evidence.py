from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from attest import certificate, cms, evidence
from attest.errors import MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.profile import Profile
from attest.signed import CmsSigned
from attest.types import Evidence, Voucher
from tests import der
from tests.der import Cms
from tests.forge import NOW, Forge

FORGE = Forge(Profile.NOTME, seed="evidence")
LEAF = FORGE.leaf()
CHAIN = certificate.verify_chain(LEAF.certificate, (), FORGE.trusted.anchors)
READ = CHAIN.leaf
AT = int(NOW.timestamp())
END = AT + 300
LATER = NOW + timedelta(days=30)


def by(voucher: Voucher, after: int, before: int | None = None) -> Evidence:
    return Evidence(not_before=after if before is None else before, not_after=after, voucher=voucher, source="test")


def collected(message: Cms) -> tuple[Evidence, ...]:
    return evidence.collect(CmsSigned(cms.parse(message.der())), CHAIN)


PLAIN = Cms(LEAF, b"content", NOW)


def test_the_signing_time_is_the_signers_word() -> None:
    assert collected(PLAIN) == (
        Evidence(not_before=AT, not_after=AT, voucher=Voucher.SIGNER, source="cms-signing-time"),
    )


def test_a_time_stamp_bounds_the_time_between_issue_and_its_own_end() -> None:
    found = collected(replace(PLAIN, unsigned=der.stamped(FORGE, PLAIN, at=NOW + timedelta(seconds=9))))
    key = FORGE.trusted.anchors[0].key.key_id
    assert found[1] == Evidence(not_before=AT, not_after=AT + 9 + 1, voucher=Voucher.AUTHORITY, source=f"rfc3161:{key}")


def test_a_stamp_older_than_the_certificate_gives_no_interval_that_runs_backwards() -> None:
    found = collected(replace(PLAIN, unsigned=der.stamped(FORGE, PLAIN, at=NOW - timedelta(seconds=30))))
    assert found[1].not_before == found[1].not_after == AT - 29


def test_without_any_time_there_is_no_evidence() -> None:
    kind, _, digest = PLAIN.prescribed
    assert collected(replace(PLAIN, attributes=(kind, digest))) == ()


def test_a_time_stamp_over_something_else_is_no_evidence() -> None:
    other = der.attribute(der.TIMESTAMP, FORGE.token(b"another"))
    with pytest.raises(VerificationError) as caught:
        collected(replace(PLAIN, unsigned=(other,)))
    assert caught.value.reason is Reason.TIMESTAMP_INVALID


def test_a_second_time_stamp_is_refused_before_anybody_looks_at_it() -> None:
    """One signature would else be carried by as many objects as there are tokens over it."""
    both = der.attribute(der.TIMESTAMP, FORGE.token(PLAIN.signature()), FORGE.token(PLAIN.signature(), at=LATER))
    with pytest.raises(MalformedError, match="has 2 values"):
        collected(replace(PLAIN, unsigned=(both,)))


def test_the_time_stamp_of_another_pinned_authority_says_nothing_of_this_ones_signatures() -> None:
    stranger = Forge(Profile.NOTME, seed="stranger", name="stranger").token(PLAIN.signature())
    with pytest.raises(VerificationError, match="no pinned anchor") as caught:
        collected(replace(PLAIN, unsigned=(der.attribute(der.TIMESTAMP, stranger),)))
    assert caught.value.reason is Reason.TIMESTAMP_INVALID


def test_vouchers_are_ranked_by_who_gains_from_a_lie() -> None:
    ranked = sorted(evidence.RANK, key=lambda v: evidence.RANK[v])
    assert ranked == [Voucher.SIGNER, Voucher.AUTHORITY, Voucher.RECEIVER, Voucher.INDEPENDENT]


SIGNER, AUTHORITY = Voucher.SIGNER, Voucher.AUTHORITY
RECEIVER, INDEPENDENT = Voucher.RECEIVER, Voucher.INDEPENDENT
PROVEN = [
    ("the authority, while valid", (by(SIGNER, AT), by(AUTHORITY, AT + 1)), AUTHORITY),
    ("the authority, in the last minute of skew", (by(AUTHORITY, END + 60),), AUTHORITY),
    ("the authority, within skew before", (by(AUTHORITY, AT - 120),), AUTHORITY),
    ("the authority before a receiver", (by(RECEIVER, AT + 5), by(AUTHORITY, AT)), AUTHORITY),
    ("a receiver before the authority", (by(AUTHORITY, AT + 5), by(RECEIVER, AT)), RECEIVER),
    ("a third party at the same time as all", (by(RECEIVER, AT), by(INDEPENDENT, AT), by(AUTHORITY, AT)), INDEPENDENT),
    ("a third party, where the signer's word is outside", (by(SIGNER, END + 99), by(INDEPENDENT, AT)), INDEPENDENT),
    ("a receiver that saw it late, beside the authority", (by(AUTHORITY, AT), by(RECEIVER, END + 3600)), AUTHORITY),
]


@pytest.mark.parametrize(("found", "best"), [p[1:] for p in PROVEN], ids=[p[0] for p in PROVEN])
def test_the_earliest_evidence_within_the_validity_proves_the_time(found: tuple[Evidence, ...], best: Voucher) -> None:
    assert evidence.verify_time(found, READ, LATER)[0].voucher is best


@pytest.mark.parametrize(
    "found",
    [(), (by(SIGNER, AT),), (by(SIGNER, AT), by(RECEIVER, END + 3600))],
    ids=["no evidence", "the signer's word alone", "a receiver that saw it late"],
)
def test_the_signers_word_alone_leaves_the_time_unproven(found: tuple[Evidence, ...]) -> None:
    with pytest.raises(UnavailableError) as caught:
        evidence.verify_time(found, READ, LATER)
    assert caught.value.reason is Reason.TIME_UNPROVEN


@pytest.mark.parametrize(
    "found",
    [
        (by(SIGNER, END + 61),),
        (by(SIGNER, AT - 121),),
        (by(AUTHORITY, END + 61),),
        (by(AUTHORITY, AT - 121),),
        (by(SIGNER, AT), by(AUTHORITY, END + 61)),
    ],
    ids=[
        "the signer's word after it",
        "the signer's word before it",
        "the authority's stamp after it",
        "the authority's stamp before it",
        "the signer's word in it and the stamp after it",
    ],
)
def test_what_travels_with_the_signature_may_not_lie_outside_the_validity(found: tuple[Evidence, ...]) -> None:
    with pytest.raises(VerificationError) as caught:
        evidence.verify_time(found, READ, LATER)
    assert (caught.value.step, caught.value.reason) == (Step.TIME, Reason.TIME_OUTSIDE_VALIDITY)


@pytest.mark.parametrize(
    ("found", "ahead", "reason"),
    [
        ((by(SIGNER, AT),), -60, Reason.TIME_UNPROVEN),
        ((by(SIGNER, AT),), -62, Reason.CLOCK_BEHIND),
        ((by(AUTHORITY, AT + 1, AT),), -60, None),
        ((by(AUTHORITY, AT + 1, AT),), -61, Reason.CLOCK_BEHIND),
        ((by(RECEIVER, END + 9999, AT),), 0, Reason.CLOCK_BEHIND),
    ],
)
def test_evidence_from_the_future_means_that_this_clock_is_behind(
    found: tuple[Evidence, ...], ahead: int, reason: Reason | None
) -> None:
    at = NOW + timedelta(seconds=ahead)
    if reason is None:
        assert evidence.verify_time(found, READ, at) == found
        return
    with pytest.raises(UnavailableError) as caught:
        evidence.verify_time(found, READ, at)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("found", "above", "instant"),
    [
        ((), SIGNER, None),
        ((by(SIGNER, AT),), SIGNER, None),
        ((by(AUTHORITY, AT),), SIGNER, AT),
        ((by(AUTHORITY, AT),), AUTHORITY, None),
        ((by(AUTHORITY, AT), by(RECEIVER, AT + 9)), SIGNER, AT),
        ((by(AUTHORITY, AT), by(RECEIVER, AT + 9)), AUTHORITY, AT + 9),
    ],
)
def test_the_earliest_upper_bound_says_by_when_a_signature_existed(
    found: tuple[Evidence, ...], above: Voucher, instant: int | None
) -> None:
    expected = None if instant is None else datetime.fromtimestamp(instant, UTC)
    assert evidence.latest_proven(found, above=above) == expected
