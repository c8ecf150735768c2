from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import canonical, certificate, trust
from attest.certificate import Anchor, Chain
from attest.errors import Error, Reason, Step, UnavailableError, VerificationError
from attest.profile import Profile
from attest.trust import Trust
from attest.types import (
    BundleSignature,
    Epoch,
    Evidence,
    Retirement,
    Revocation,
    RevocationKind,
    SignedTrustBundle,
    SignerRole,
    TrustBundle,
    Voucher,
)
from tests.forge import AGENT, ALICE, NOW, Forge, PrivateKey, sign

AT = int(NOW.timestamp())
RECOVERY = Ed25519PrivateKey.from_private_bytes(b"r" * 32)
ROOTS = [Forge(Profile.NOTME, seed=f"trust {n}") for n in (1, 2, 3)]
INTEROPS = [Forge(Profile.INTEROP, seed=f"trust {n}") for n in (1, 2, 3)]


def spki(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def epoch(number: int, **changes: object) -> Epoch:
    made = Epoch(
        number=number,
        root=ROOTS[number - 1].root.public_bytes(Encoding.DER),
        interop_root=INTEROPS[number - 1].root.public_bytes(Encoding.DER),
        timestamp_certificates=(ROOTS[number - 1].tsa.public_bytes(Encoding.DER),),
        began_at=AT - 86400,
        retired_at=0,
        retirement=Retirement.CURRENT,
        compromised_at=0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def retired(number: int, at: int = AT) -> Epoch:
    return epoch(number, retirement=Retirement.ROUTINE, retired_at=at)


def compromised(number: int, since: int = AT) -> Epoch:
    return epoch(number, retirement=Retirement.COMPROMISE, retired_at=AT, compromised_at=since)


def bundle(*epochs: Epoch, revocations: tuple[Revocation, ...] = (), **changes: object) -> TrustBundle:
    made = TrustBundle(
        version=1,
        authority_id="authority.example",
        sequence=7,
        issued_at=AT,
        recovery_commitment=hashlib.sha256(spki(RECOVERY)).digest(),
        epochs=epochs or (epoch(1),),
        revocations=revocations,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def by(key: PrivateKey, role: SignerRole, message: bytes) -> BundleSignature:
    return BundleSignature(role=role, spki=spki(key), signature=sign(key, message))


def signed(
    made: TrustBundle,
    *,
    current: PrivateKey | None = None,
    previous: PrivateKey | None = None,
    recovery: PrivateKey | None = None,
    message: bytes | None = None,
) -> bytes:
    """The bundle signed by those keys; by default by the Ed25519 root of its last epoch."""
    covered = trust.bundle_to_be_signed(made) if message is None else message
    signatures = [by(current or ROOTS[made.epochs[-1].number - 1].root_key, SignerRole.CURRENT, covered)]
    if previous is not None:
        signatures.append(by(previous, SignerRole.PREVIOUS, covered))
    if recovery is not None:
        signatures += [
            by(recovery, SignerRole.RECOVERY, trust.retirement_to_be_signed(made.authority_id, e))
            for e in made.epochs
            if e.retirement is Retirement.COMPROMISE
        ]
    return canonical.encode(SignedTrustBundle(bundle=canonical.encode(made), signatures=tuple(signatures)))


def pinned(*numbers: int) -> tuple[Anchor, ...]:
    return tuple(Anchor.read(ROOTS[n - 1].root) for n in numbers)


def test_a_bundle_adds_the_anchors_of_its_epochs_to_the_pinned_ones() -> None:
    trusted = trust.verify_bundle(signed(bundle(retired(1), epoch(2)), previous=ROOTS[0].root_key), pinned(1))
    assert set(trusted.anchors) == {
        *(Anchor.read(forge.root) for forge in (*ROOTS[:2], *INTEROPS[:2])),
    }
    assert trusted.bundle is not None
    assert trusted.bundle.sequence == 7
    assert trusted.age(NOW + timedelta(hours=1)) == timedelta(hours=1)


@pytest.mark.parametrize("pin", [ROOTS[0], INTEROPS[0]], ids=["the Ed25519 root", "the interop root"])
def test_either_root_of_the_epoch_is_enough_to_be_pinned(pin: Forge) -> None:
    data = signed(bundle(), current=pin.root_key)
    assert trust.verify_bundle(data, (Anchor.read(pin.root),)).bundle is not None


def test_a_verifier_that_pinned_the_previous_key_follows_a_rotation() -> None:
    made = bundle(retired(1), epoch(2))
    assert trust.verify_bundle(signed(made, previous=ROOTS[0].root_key), pinned(1)).bundle == made
    assert trust.verify_bundle(signed(made), pinned(2)).bundle == made


def test_a_compromise_counts_with_the_recovery_keys_signature() -> None:
    made = bundle(compromised(1), epoch(2))
    assert trust.verify_bundle(signed(made, recovery=RECOVERY), pinned(2)).bundle == made


def test_a_rotation_after_a_compromise_carries_the_recovery_signature_on() -> None:
    made = bundle(compromised(1), retired(2), epoch(3))
    data = signed(made, previous=ROOTS[1].root_key, recovery=RECOVERY)
    assert trust.verify_bundle(data, pinned(2)).bundle == made


THIEF = Ed25519PrivateKey.from_private_bytes(b"t" * 32)
GARBLED = Revocation(kind=RevocationKind.GRANT, id="x", at=1, reason="")
REFUSED: list[tuple[str, bytes, Sequence[Anchor], str]] = [
    ("no bytes", b"", pinned(1), "does not hold"),
    ("no bundle", b"\0" * 64, pinned(1), "does not hold"),
    ("more bytes than are read", bytes(trust.MAX_BUNDLE_BYTES + 1), pinned(1), "at most"),
    ("a byte after the end", signed(bundle()) + b"\0", pinned(1), "does not hold"),
    ("eight bytes after the end", signed(bundle()) + bytes(8), pinned(1), "does not hold"),
    ("a version we do not know", signed(bundle(version=2)), pinned(1), "version 2"),
    ("no current epoch", signed(bundle(retired(1))), pinned(1), "last epoch is not the current"),
    ("two current epochs", signed(bundle(epoch(1), epoch(2)), previous=ROOTS[0].root_key), pinned(1), "two epochs"),
    (
        "epochs out of order",
        signed(bundle(retired(2), epoch(1)), previous=ROOTS[1].root_key),
        pinned(1),
        "ascending",
    ),
    ("an epoch twice", signed(bundle(retired(1), epoch(1))), pinned(1), "ascending"),
    (
        "an epoch of number 0",
        signed(bundle(replace(epoch(1), number=0)), current=ROOTS[0].root_key),
        pinned(1),
        "does not hold",
    ),
    ("a root that is no certificate", signed(bundle(epoch(1, root=b"x"))), pinned(1), "root of epoch 1"),
    ("a signature by another key", signed(bundle(), current=THIEF), pinned(1), "current key has not signed"),
    (
        "a signature over another bundle",
        signed(bundle(), message=trust.bundle_to_be_signed(bundle(sequence=8))),
        pinned(1),
        "not over this content",
    ),
    ("a signature without its domain", signed(bundle(), message=canonical.encode(bundle())), pinned(1), "not over"),
    ("an authority that is not pinned", signed(bundle()), pinned(2), "pinned"),
    ("nothing pinned", signed(bundle()), (), "pinned"),
    (
        "a rotation that the previous key did not sign",
        signed(bundle(retired(1), epoch(2))),
        pinned(1),
        "neither its current nor its previous key is pinned",
    ),
    (
        "a rotation that somebody else signed as the previous key",
        signed(bundle(retired(1), epoch(2)), previous=THIEF),
        pinned(1),
        "pinned",
    ),
    (
        "a rotation by the key before the previous one",
        signed(bundle(retired(1), retired(2), epoch(3)), previous=ROOTS[0].root_key),
        pinned(1),
        "pinned",
    ),
    ("a compromise without the recovery key", signed(bundle(compromised(1), epoch(2))), pinned(2), "recovery key"),
    (
        "a compromise with another recovery key",
        signed(bundle(compromised(1), epoch(2)), recovery=THIEF),
        pinned(2),
        "recovery key",
    ),
]


@pytest.mark.parametrize(("data", "anchors", "text"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_a_bundle_that_does_not_hold_is_refused(data: bytes, anchors: Sequence[Anchor], text: str) -> None:
    with pytest.raises(VerificationError, match=text) as caught:
        trust.verify_bundle(data, anchors)
    assert (caught.value.step, caught.value.reason) == (Step.EPOCH, Reason.BUNDLE_INVALID)


def test_a_bundle_without_epochs_is_refused() -> None:
    made = replace(bundle(), epochs=())
    data = canonical.encode(
        SignedTrustBundle(
            bundle=canonical.encode(made),
            signatures=(by(ROOTS[0].root_key, SignerRole.CURRENT, trust.bundle_to_be_signed(made)),),
        )
    )
    with pytest.raises(VerificationError, match="last epoch"):
        trust.verify_bundle(data, pinned(1))


def test_a_thief_of_the_epoch_key_cannot_undo_the_recovery_commitment() -> None:
    """The commitment stands in every bundle; a thief may change it, but not for those who compare (design D6)."""
    made = bundle(compromised(1), epoch(2))
    changed = replace(made, recovery_commitment=hashlib.sha256(spki(THIEF)).digest())
    stolen = signed(changed, recovery=RECOVERY)
    with pytest.raises(VerificationError, match="recovery key"):
        trust.verify_bundle(stolen, pinned(2))


def test_a_retirement_that_the_recovery_key_signed_is_good_for_exactly_that_retirement() -> None:
    """The instant of the compromise is part of what is signed."""
    honest, moved = compromised(1, AT - 3600), compromised(1, AT)
    made = bundle(moved, epoch(2))
    covered = trust.bundle_to_be_signed(made)
    signatures = (
        by(ROOTS[1].root_key, SignerRole.CURRENT, covered),
        by(RECOVERY, SignerRole.RECOVERY, trust.retirement_to_be_signed(made.authority_id, honest)),
    )
    data = canonical.encode(SignedTrustBundle(bundle=canonical.encode(made), signatures=signatures))
    with pytest.raises(VerificationError, match="recovery key"):
        trust.verify_bundle(data, pinned(2))


@pytest.mark.parametrize(("seen", "refused"), [(0, False), (7, False), (8, True)])
def test_a_sequence_never_goes_back(seen: int, refused: bool) -> None:
    if not refused:
        assert trust.verify_bundle(signed(bundle()), pinned(1), minimum_sequence=seen).bundle is not None
        return
    with pytest.raises(VerificationError) as caught:
        trust.verify_bundle(signed(bundle()), pinned(1), minimum_sequence=seen)
    assert caught.value.reason is Reason.BUNDLE_ROLLBACK


SIGNED = signed(bundle(retired(1), epoch(2), revocations=(GARBLED,)), previous=ROOTS[0].root_key)


@given(st.integers(0, 8 * len(SIGNED) - 1))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_a_bundle_with_one_flipped_bit_is_refused(bit: int) -> None:
    """Each signature of it is needed: one pin is of the previous key."""
    flipped = bytearray(SIGNED)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Error):
        trust.verify_bundle(bytes(flipped), pinned(1))


def trusting(*epochs: Epoch, revocations: tuple[Revocation, ...] = (), **changes: object) -> Trust:
    """A bundle as if it were verified: what stands in it is up to the test."""
    made = bundle(*epochs, revocations=revocations, **changes)
    pairs = tuple((e, (Anchor.read(ROOTS[e.number - 1].root),)) for e in made.epochs)
    return Trust(tuple(a for _, pair in pairs for a in pair), made, pairs)


CHAIN = certificate.verify_chain(ROOTS[0].leaf().certificate, (), pinned(1))


def stamp(seconds: int, voucher: Voucher = Voucher.AUTHORITY) -> Evidence:
    return Evidence(not_before=AT, not_after=seconds, voucher=voucher, source="test")


SIGNER = stamp(AT, Voucher.SIGNER)


def test_without_a_bundle_nothing_is_known_of_epochs() -> None:
    with pytest.raises(UnavailableError) as caught:
        trust.verify_epoch(Trust(pinned(1)), CHAIN, (stamp(AT),), NOW)
    assert caught.value.reason is Reason.BUNDLE_ABSENT
    assert Trust(pinned(1)).age(NOW) is None


@pytest.mark.parametrize(("ahead", "refused"), [(60, False), (61, True)])
def test_a_bundle_of_the_future_means_a_clock_that_is_behind(ahead: int, refused: bool) -> None:
    trusted = trusting(issued_at=AT + ahead)
    if not refused:
        assert trust.verify_epoch(trusted, CHAIN, (stamp(AT),), NOW).number == 1
        return
    with pytest.raises(UnavailableError) as caught:
        trust.verify_epoch(trusted, CHAIN, (stamp(AT),), NOW)
    assert caught.value.reason is Reason.CLOCK_BEHIND


def leaf_of(number: int, root: int) -> Chain:
    forge = ROOTS[root - 1]
    made = forge.issue(replace(forge.spec(), epoch=number))
    return certificate.verify_chain(made.certificate, (), pinned(root))


@pytest.mark.parametrize(
    ("number", "root"), [(2, 1), (1, 2), (3, 1)], ids=["a later epoch", "another epoch's key", "an epoch to come"]
)
def test_a_certificate_whose_epoch_is_not_its_issuers_is_refused(number: int, root: int) -> None:
    with pytest.raises(VerificationError) as caught:
        trust.verify_epoch(trusting(retired(1), epoch(2)), leaf_of(number, root), (stamp(AT),), NOW)
    assert caught.value.reason is Reason.EPOCH_UNKNOWN


def test_an_anchor_that_is_pinned_but_in_no_epoch_is_refused() -> None:
    with pytest.raises(VerificationError) as caught:
        trust.verify_epoch(trusting(epoch(1)), leaf_of(1, 3), (stamp(AT),), NOW)
    assert caught.value.reason is Reason.EPOCH_UNKNOWN


LATER = AT + 600
RETIREMENTS = [
    ("routine, stamped before", retired(1, LATER), (stamp(AT),), True),
    ("routine, stamped in the same second", retired(1, LATER), (stamp(LATER + 1),), True),
    ("routine, stamped after", retired(1, LATER), (stamp(LATER + 2),), False),
    ("routine, the signer's word alone", retired(1, LATER), (SIGNER,), False),
    ("routine, no evidence", retired(1, LATER), (), False),
    ("routine, seen by a receiver before", retired(1, LATER), (stamp(AT, Voucher.RECEIVER),), True),
    ("compromised, stamped before by its own key", compromised(1, LATER), (stamp(AT),), False),
    ("compromised, seen by a receiver before", compromised(1, LATER), (stamp(AT, Voucher.RECEIVER),), True),
    ("compromised, seen by a receiver after", compromised(1, AT - 60), (stamp(AT, Voucher.RECEIVER),), False),
    ("compromised, stamped by a third party before", compromised(1, LATER), (stamp(AT, Voucher.INDEPENDENT),), True),
    (
        "compromised, its own stamp before and a receiver after",
        compromised(1, AT + 30),
        (stamp(AT), stamp(AT + 90, Voucher.RECEIVER)),
        False,
    ),
]


@pytest.mark.parametrize(("was", "found", "good"), [r[1:] for r in RETIREMENTS], ids=[r[0] for r in RETIREMENTS])
def test_what_a_retired_epoch_leaves_good(was: Epoch, found: tuple[Evidence, ...], good: bool) -> None:
    trusted = trusting(was, epoch(2))
    if good:
        assert trust.verify_epoch(trusted, CHAIN, found, NOW) == was
        return
    with pytest.raises(VerificationError) as caught:
        trust.verify_epoch(trusted, CHAIN, found, NOW)
    assert (caught.value.step, caught.value.reason) == (Step.EPOCH, Reason.EPOCH_RETIRED)


KINDS = [
    (RevocationKind.CERTIFICATE, CHAIN.leaf.signed_sha256.hex()),
    (RevocationKind.GRANT, AGENT.grant_id),
    (RevocationKind.SESSION, AGENT.session),
    (RevocationKind.PRINCIPAL, CHAIN.leaf.uri),
    (RevocationKind.PRINCIPAL, ALICE.id),
]


@pytest.mark.parametrize(("kind", "named"), KINDS, ids=["certificate", "grant", "session", "actor", "represented"])
def test_a_revocation_is_good_from_its_time_on(kind: RevocationKind, named: str) -> None:
    since = AT + 30
    trusted = trusting(revocations=(Revocation(kind=kind, id=named, at=since, reason="lost"),))
    assert trust.verify_epoch(trusted, CHAIN, (SIGNER, stamp(since)), NOW).number == 1
    for found in ((stamp(since + 2),), (SIGNER,), ()):
        with pytest.raises(VerificationError, match="lost") as caught:
            trust.verify_epoch(trusted, CHAIN, found, NOW)
        assert caught.value.reason is Reason.REVOKED


@pytest.mark.parametrize("kind", RevocationKind)
def test_a_revocation_of_something_else_concerns_nobody(kind: RevocationKind) -> None:
    for named in ("", "other", AGENT.grant_id.upper(), CHAIN.leaf.uri + "/"):
        trusted = trusting(revocations=(Revocation(kind=kind, id=named, at=0, reason=""),))
        assert trust.verify_epoch(trusted, CHAIN, (), NOW).number == 1


def test_what_a_root_signs_cannot_be_taken_for_something_else_it_signs() -> None:
    """A certificate's signed bytes begin with a SEQUENCE; a bundle's and a retirement's with their domains."""
    made = bundle(compromised(1), epoch(2))
    covered = [
        trust.bundle_to_be_signed(made),
        trust.retirement_to_be_signed(made.authority_id, made.epochs[0]),
        ROOTS[0].root.tbs_certificate_bytes,
    ]
    assert [c[:7] for c in covered[:2]] == [b"notme-t", b"notme-e"]
    assert covered[2][0] == 0x30


def test_the_age_of_a_bundle_is_counted_from_its_issue() -> None:
    trusted = trusting(issued_at=int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()))
    assert trusted.age(datetime(2026, 11, 2, tzinfo=UTC)) == timedelta(days=1)
