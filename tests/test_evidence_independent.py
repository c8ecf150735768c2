"""Time-stamps by third parties and statements of witnesses, through whole examinations: what counts, and for what."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

from attest import cms, gitobject, profile, sshsig, timestamp, verify
from attest.errors import MalformedError, Reason, Step
from attest.foreign import cmstime
from attest.foreign.allowed import AllowedSigners
from attest.foreign.roots import Roots
from attest.gitobject import ObjectFormat, ObjectKind, SignatureFormat
from attest.keys import KeyAlgorithm
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.signed import read
from attest.types import Evidence, Outcome, Retirement, StepStatus, Verdict, Voucher
from attest.verify import Examination
from tests import builders, family
from tests.compat.signed import pem
from tests.forge import AGENT, Forge, attach, certify, plain_ssh, sign
from tests.world import World

TSA, STRANGER = Forge(Profile.NOTME, seed="tsa", name="tsa"), Forge(Profile.NOTME, seed="nobody", name="nobody")
NAMED = Roots(tsa=cmstime.named(pem(TSA.root)))
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CODE, STAMPING = ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.TIME_STAMPING
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
Point = tuple[int, int]
P256_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
P256_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
"""FIPS 186-4, D.1.2.3."""

SOMEBODY = "Somebody <somebody@example.net>"


@dataclass(frozen=True)
class Signed:
    """A commit, the value of its signature and the time it was signed at."""

    world: World
    raw: bytes
    value: bytes
    at: datetime

    def examine(self, *tokens: bytes, roots: Roots = NAMED, seen: Evidence | None = None) -> Examination:
        trusted = replace(self.world.trust(), foreign=roots)
        oid = gitobject.object_id(ObjectKind.COMMIT, self.raw, ObjectFormat.SHA1)
        return verify.examine(
            self.raw,
            ObjectKind.COMMIT,
            ObjectFormat.SHA1,
            oid,
            trusted,
            at=self.world.now,
            timestamps=tokens,
            seen=seen,
        )

    def judge(self, wanted: Voucher | None, *tokens: bytes, seen: Evidence | None = None) -> Verdict:
        policy = Policy(require_time=wanted)
        return verify.judge(self.examine(*tokens, seen=seen), policy, Context(), at=self.world.now)

    def token(self, later: timedelta = timedelta(0), by: Forge = TSA) -> bytes:
        return by.token(self.value, at=self.at + later)

    def seen(self, later: timedelta) -> Evidence:
        return Evidence(0, int((self.at + later).timestamp()), Voucher.RECEIVER, "witness:1234")


def made(world: World, form: SignatureFormat) -> Signed:
    payload, at = world.commit(), world.now
    raw = attach(payload, world.sign(payload, form=form))
    world.tick(days=2)
    parsed = gitobject.parse(raw, ObjectKind.COMMIT, ObjectFormat.SHA1)
    assert parsed.signature is not None
    return Signed(world, raw, read(parsed.signature, world.trust().anchors).value, at)


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.grant()
    return found


@pytest.fixture(params=[SignatureFormat.X509, SignatureFormat.SSH], ids=["x509", "ssh"])
def signed(world: World, request: pytest.FixtureRequest) -> Signed:
    return made(world, request.param)


def test_a_named_third_partys_time_stamp_proves_the_time(signed: Signed) -> None:
    found = signed.examine(signed.token(MINUTE))
    item = found.evidence[-1]
    assert (item.voucher, item.not_after) == (Voucher.INDEPENDENT, int((signed.at + MINUTE).timestamp()) + 1)
    assert item.source.startswith("detached-rfc3161:")
    assert found.finding(Step.TIME).status is StepStatus.PROVEN
    assert f"by 2026-11-23T13:59:11Z, says independent ({item.source})" in found.finding(Step.TIME).detail
    assert found.remarks == ()
    assert signed.judge(Voucher.INDEPENDENT, signed.token(MINUTE)).outcome is Outcome.ACCEPTED


def test_the_authoritys_own_is_no_third_partys(signed: Signed) -> None:
    verdict = signed.judge(Voucher.INDEPENDENT)
    assert verdict.outcome is Outcome.REJECTED
    assert verdict.findings.findings[Step.POLICY - 1].reason == Reason.TIME_REQUIRED


UNWORTHY: dict[str, Callable[[Signed], bytes]] = {
    "by somebody who was not named": lambda s: s.token(by=STRANGER),
    "over something else": lambda s: TSA.token(b"another", at=s.at),
    "no token at all": lambda _: b"0\x03\x02\x01\x00",
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("name", UNWORTHY)
def test_what_does_not_hold_is_remarked_on_and_speaks_against_nothing(signed: Signed, name: str) -> None:
    found = signed.examine(UNWORTHY[name](signed), signed.token(MINUTE))
    assert found.remarks == ("detached-timestamp-ignored",)
    assert found.finding(Step.TIME).status is StepStatus.PROVEN
    assert found.evidence[-1].voucher is Voucher.INDEPENDENT
    assert len(signed.examine(UNWORTHY[name](signed)).evidence) == len(found.evidence) - 1


def test_a_late_one_proves_that_it_existed_and_not_when_it_was_signed(signed: Signed) -> None:
    late = signed.token(DAY)
    found = signed.examine(late)
    assert found.remarks == ("evidence-late",)
    assert signed.judge(Voucher.INDEPENDENT, late).outcome is Outcome.REJECTED
    assert signed.judge(Voucher.INDEPENDENT, late, signed.token(MINUTE)).outcome is Outcome.ACCEPTED


def test_one_from_before_the_certificate_is_a_contradiction(signed: Signed) -> None:
    """The key may be older than its certificate; what it signed then was signed by nobody."""
    found = signed.examine(signed.token(-HOUR))
    assert (found.finding(Step.TIME).status, found.finding(Step.TIME).reason) == (
        StepStatus.FAILED,
        Reason.TIME_CONTRADICTED,
    )
    assert "before what vouches for its key began" in found.finding(Step.TIME).detail


def test_the_root_of_the_authority_itself_makes_no_third_party(signed: Signed) -> None:
    own = signed.world.forge()
    for named in (own.root, own.tsa):
        roots = Roots(tsa=cmstime.named(pem(named)))
        found = signed.examine(own.token(signed.value, at=signed.at + MINUTE), roots=roots)
        assert Voucher.INDEPENDENT not in {item.voucher for item in found.evidence}


@pytest.mark.parametrize(("purpose", "counts"), [(CODE, False), (STAMPING, True), (ANY, True), (None, True)])
def test_who_holds_an_issuing_ca_for_signatures_is_no_time_stamping_authority(
    signed: Signed, purpose: x509.ObjectIdentifier | None, counts: bool
) -> None:
    """An orchestrator under an authority that is named as a third party, with the certificate it got there."""

    def for_other(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        kept = [e for e in builder._extensions if not isinstance(e.value, x509.ExtendedKeyUsage)]
        builder = x509.CertificateBuilder(
            builder._issuer_name, builder._subject_name, builder._public_key, builder._serial_number,
            builder._not_valid_before, builder._not_valid_after, kept,
        )  # fmt: skip
        return builder if purpose is None else builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)

    ca = family.made(TSA, ca_edit=for_other).ca
    key, at = TSA.key(Profile.INTEROP), signed.at + MINUTE
    stamping = profile.timestamping("orchestrator", key.public_key(), ca.certificate, serial=9, at=at)
    tsa = certify(stamping, ca.key)
    pending = timestamp.to_be_signed(signed.value, at=at, serial=1, tsa=tsa)
    token = cms.assemble(
        pending.attributes,
        sign(key, pending.attributes.data),
        signer=tsa,
        intermediates=(ca.certificate,),
        content=pending.content,
    )
    found = {item.voucher for item in signed.examine(token).evidence}
    assert (Voucher.INDEPENDENT in found) is counts


def test_an_authority_below_a_root_that_was_named_is_no_third_party_to_itself(signed: Signed) -> None:
    own, at = signed.world.forge(), signed.at + MINUTE
    ca = x509.BasicConstraints(ca=True, path_length=None)
    names, key = (TSA.root.subject, own.root.subject), own.root_key.public_key()
    builder = x509.CertificateBuilder(*names, key, 5, at - DAY, at + DAY).add_extension(ca, critical=True)
    below = certify(builder, TSA.root_key)
    pending = timestamp.to_be_signed(signed.value, at=at, serial=1, tsa=own.tsa)
    token = cms.assemble(
        pending.attributes,
        sign(own.tsa_key, pending.attributes.data),
        signer=own.tsa,
        intermediates=(below,),
        content=pending.content,
    )
    assert cmstime.verify_token(token, signed.value, NAMED.tsa)[0] == int(at.timestamp()) + 1
    assert Voucher.INDEPENDENT not in {item.voucher for item in signed.examine(token).evidence}


def test_the_key_of_an_authority_is_no_third_party_to_itself_under_a_certificate_from_elsewhere(signed: Signed) -> None:
    own, at = signed.world.forge(Profile.INTEROP), signed.at + MINUTE
    key = own.root_key.public_key()
    tsa = certify(profile.timestamping("anchor", key, TSA.root, serial=9, at=at), TSA.root_key)
    pending = timestamp.to_be_signed(signed.value, at=at, serial=1, tsa=tsa)
    signature = sign(own.root_key, pending.attributes.data)
    token = cms.assemble(pending.attributes, signature, signer=tsa, content=pending.content)
    assert cmstime.verify_token(token, signed.value, NAMED.tsa)[0] == int(at.timestamp()) + 1
    assert Voucher.INDEPENDENT not in {item.voucher for item in signed.examine(token).evidence}


@pytest.mark.parametrize("later", [MINUTE, DAY], ids=["while valid", "later"])
def test_a_witness_is_a_receiver(signed: Signed, later: timedelta) -> None:
    found = signed.examine(seen=signed.seen(later))
    assert (found.evidence[-1].voucher, found.evidence[-1].source) == (Voucher.RECEIVER, "witness:1234")
    assert found.evidence[-1].not_before <= found.evidence[-1].not_after
    accepted = signed.judge(Voucher.RECEIVER, seen=signed.seen(later)).outcome is Outcome.ACCEPTED
    assert accepted is (later == MINUTE)
    assert found.remarks == (() if later == MINUTE else ("evidence-late",))


def test_a_witness_from_before_the_certificate_contradicts(signed: Signed) -> None:
    found = signed.examine(seen=signed.seen(-HOUR))
    assert found.finding(Step.TIME).reason == Reason.TIME_CONTRADICTED


def test_what_a_witness_saw_cannot_hold_a_later_time_stamp(world: World) -> None:
    forge, payload = world.forge(), world.commit()
    armour = forge.armour(forge.leaf(), payload, at=world.now, stamped_at=world.now + 4 * MINUTE)
    late = Signed(world, attach(payload, armour), b"", world.now)
    world.tick(days=1)
    found = late.examine(seen=late.seen(MINUTE))
    assert found.finding(Step.TIME).reason == Reason.TIME_CONTRADICTED
    assert "and the time-stamp in it is of" in found.finding(Step.TIME).detail
    assert late.examine(seen=late.seen(4 * MINUTE)).finding(Step.TIME).status is StepStatus.PROVEN


RECOVERED = [
    ("nothing beside the epoch's own", (), None, False),
    ("a third party, before the theft", (HOUR,), None, True),
    ("a third party, after the theft", (DAY,), None, False),
    ("a witness, before the theft", (), HOUR, True),
    ("a witness, after the theft", (), DAY, False),
]


@pytest.mark.parametrize(("stamps", "seen", "good"), [r[1:] for r in RECOVERED], ids=[r[0] for r in RECOVERED])
def test_after_a_theft_of_the_epochs_keys_only_others_count(
    signed: Signed, stamps: tuple[timedelta, ...], seen: timedelta | None, good: bool
) -> None:
    world = signed.world
    epoch = world.recover(compromised_at=signed.at + 2 * HOUR)
    assert epoch.retirement is Retirement.CURRENT
    found = signed.examine(
        *[signed.token(later) for later in stamps], seen=signed.seen(seen) if seen is not None else None
    )
    assert found.finding(Step.EPOCH).status is (StepStatus.PROVEN if good else StepStatus.FAILED)
    assert good or found.finding(Step.EPOCH).reason == Reason.EPOCH_RETIRED


def key_for(signature: bytes, data: bytes) -> EllipticCurvePublicKey:
    """A key by which somebody else's ECDSA signature is over `data`: Q = r^-1 (s R - e G)."""
    r, s = decode_dss_signature(signature)
    y = pow((r**3 - 3 * r + P256_B) % P256_P, (P256_P + 1) // 4, P256_P)
    e = int.from_bytes(hashlib.sha256(data).digest(), "big") % P256_N
    sum_ = plus(times(s, (r, y)), times(P256_N - e, P256_G))
    return EllipticCurvePublicNumbers(*times(pow(r, -1, P256_N), sum_), SECP256R1()).public_key()


def plus(a: Point, b: Point) -> Point:
    """Of P-256, affine; (0, 0) is none of its points and stands for infinity."""
    if (0, 0) in (a, b):
        return b if a == (0, 0) else a
    same = a[0] == b[0]
    slope = (3 * a[0] ** 2 - 3) * pow(2 * a[1], -1, P256_P) if same else (b[1] - a[1]) * pow(b[0] - a[0], -1, P256_P)
    x = (slope * slope - a[0] - b[0]) % P256_P
    return x, (slope * (a[0] - x) - a[1]) % P256_P


def times(number: int, point: Point) -> Point:
    found = (0, 0)
    for bit in f"{number:b}":
        found = plus(found, found) if found != (0, 0) else found
        found = plus(found, point) if bit == "1" else found
    return found


def test_a_time_stamp_of_an_honest_ecdsa_signature_vouches_for_none_that_a_thief_fits_to_it(world: World) -> None:
    forge, at = world.forge(Profile.INTEROP), world.now
    who = f"agent-7 <{AGENT.actor_email}>"
    honest = world.commit(committer=who, author=who)
    forged = honest.replace(b"\n\n", b"\n\nnot ")
    value = forge.leaf(at=at).sign(cms.to_be_signed(honest, KeyAlgorithm.P256, signing_time=at).data)
    stamped = TSA.token(value, at=at + MINUTE)
    pending = cms.to_be_signed(forged, KeyAlgorithm.P256, signing_time=at)
    builder = builders.signing_leaf(forge.spec(at=at), key_for(value, pending.data), forge.root, serial=99)
    certificate = certify(builder, forge.root_key)
    armour = cms.ARMOUR.wrap(cms.assemble(pending, value, signer=certificate, timestamp=forge.token(value, at=at)))
    fitted = Signed(world, attach(forged, armour), value, at)
    world.tick(days=2)
    assert fitted.judge(Voucher.INDEPENDENT, stamped).outcome is Outcome.ACCEPTED  # whoever holds the root can do that
    world.recover(compromised_at=at + 2 * HOUR)
    found = fitted.examine(stamped)
    assert found.finding(Step.INTEGRITY).status is found.finding(Step.TIME).status is StepStatus.PROVEN
    assert found.finding(Step.EPOCH).reason == Reason.EPOCH_RETIRED
    # Who saw the object before the theft saw what was signed.
    assert fitted.examine(stamped, seen=fitted.seen(HOUR)).finding(Step.EPOCH).status is StepStatus.PROVEN


def test_what_was_signed_before_its_grant_was_revoked_stays_good_by_either(world: World) -> None:
    grant = world.grant("codex")
    payload = world.commit(committer=world.who("codex"))
    raw = attach(payload, world.sign(payload, agent="codex", form=SignatureFormat.SSH))
    parsed = gitobject.parse(raw, ObjectKind.COMMIT, ObjectFormat.SHA1)
    assert parsed.signature is not None
    signed = Signed(world, raw, read(parsed.signature, world.trust().anchors).value, world.now)
    world.tick(hours=2)
    world.revoke(grant)
    world.tick(hours=2)
    assert signed.examine().finding(Step.EPOCH).reason == Reason.REVOKED
    for found in (signed.examine(signed.token(HOUR)), signed.examine(seen=signed.seen(HOUR))):
        assert found.finding(Step.EPOCH).status is StepStatus.PROVEN
    for found in (signed.examine(signed.token(3 * HOUR)), signed.examine(seen=signed.seen(3 * HOUR))):
        assert found.finding(Step.EPOCH).reason == Reason.REVOKED


def by_own_key(world: World, options: str = "") -> tuple[Signed, AllowedSigners]:
    payload = world.commit(committer=SOMEBODY, author=SOMEBODY)
    raw = attach(payload, plain_ssh(payload))
    found = sshsig.parse(sshsig.ARMOUR.open(plain_ssh(payload)))
    line = f"somebody@example.net {options} ssh-ed25519 {base64.b64encode(found.public_key).decode()}\n"
    return Signed(world, raw, found.signature, world.now), AllowedSigners.parse(line.encode())


def test_a_plain_key_without_an_end_existed_by_then(world: World) -> None:
    signed, allowed = by_own_key(world)
    world.tick(days=1)
    roots = replace(NAMED, allowed_signers=allowed)
    found = signed.examine(signed.token(HOUR), roots=roots, seen=signed.seen(2 * HOUR))
    assert [item.voucher for item in found.evidence] == [Voucher.SIGNER, Voucher.INDEPENDENT, Voucher.RECEIVER]
    assert found.finding(Step.TIME).status is StepStatus.NOT_APPLICABLE
    assert found.finding(Step.TIME).detail.startswith(
        "the key has no end of validity; signed by 2026-11-23T14:58:11Z, says independent"
    )
    wanted = Policy(require_time=Voucher.INDEPENDENT)
    assert verify.judge(found, wanted, Context(), at=world.now).outcome is Outcome.ACCEPTED
    assert verify.judge(signed.examine(roots=roots), wanted, Context(), at=world.now).outcome is Outcome.REJECTED


SPANS = [
    ("within the time of the key", HOUR, StepStatus.PROVEN, ""),
    ("after its end", 40 * DAY, StepStatus.UNAVAILABLE, Reason.TIME_UNPROVEN),
    ("before its beginning", -20 * HOUR, StepStatus.FAILED, Reason.TIME_CONTRADICTED),
]


@pytest.mark.parametrize(("later", "status", "reason"), [s[1:] for s in SPANS], ids=[s[0] for s in SPANS])
def test_a_plain_key_that_counts_for_a_time(world: World, later: timedelta, status: StepStatus, reason: str) -> None:
    signed, allowed = by_own_key(world, 'valid-after="20261123Z",valid-before="20261201Z"')
    world.tick(days=60)
    found = signed.examine(signed.token(later), roots=replace(NAMED, allowed_signers=allowed))
    assert (found.finding(Step.TIME).status, found.finding(Step.TIME).reason) == (status, reason)


def test_nobodys_time_stamps_are_looked_at_beside_a_plain_key_unless_named(world: World) -> None:
    signed, allowed = by_own_key(world)
    found = signed.examine(b"junk", roots=Roots(allowed_signers=allowed))
    assert (found.remarks, len(found.evidence)) == ((), 1)


def test_a_named_file_may_hold_several_certificates_and_not_any_number() -> None:
    assert len(cmstime.named(pem(TSA.root) + pem(STRANGER.root))) == 2
    with pytest.raises(MalformedError, match="at most 64"):
        cmstime.named(pem(TSA.root) * 65)


def test_a_token_without_its_certificate_counts_where_that_was_named(signed: Signed) -> None:
    bare = TSA.token(signed.value, at=signed.at + MINUTE, certificate=False)
    assert signed.examine(bare).remarks == ("detached-timestamp-ignored",)
    found = signed.examine(bare, roots=Roots(tsa=cmstime.named(pem(TSA.tsa))))
    assert found.evidence[-1].voucher is Voucher.INDEPENDENT


def test_digests_of_what_is_named_tell_roots_apart() -> None:
    assert NAMED.digest != Roots().digest
    assert NAMED.digest != Roots(tsa=cmstime.named(pem(STRANGER.root))).digest
    assert not NAMED.counts
