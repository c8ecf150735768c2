"""The eight steps on SSH signatures; what `test_verify.py` is for CMS."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from attest import evidence, gitobject, identity, sshcert, sshsig, sshwire, statement, verify
from attest.certificate import Chain
from attest.errors import Reason, Step
from attest.gitobject import ObjectFormat, ObjectKind, SignatureFormat
from attest.policy import Context, Policy
from attest.profile import PAYLOAD_UNCHECKED, Profile
from attest.report import data, text
from attest.trust import Trust
from attest.types import Outcome, Revocation, RevocationKind, Voucher
from attest.verify import Examination
from notme_git.enroll import local
from notme_git.enroll.local import Credential
from tests.forge import NOW, Forge, attach, commit_payload, plain_ssh, push_payload
from tests.world import World

AUTHORITY = Policy(require_time=Voucher.AUTHORITY)


class Signed(NamedTuple):
    armour: bytes
    value: bytes


def enrolled(world: World, scope: str = "sign:git") -> Credential:
    grant = world.grant(scopes=("sign:git", PAYLOAD_UNCHECKED))
    with world.opened() as authority:
        return local.enroll(authority, grant, Profile.NOTME, scope, world.trust().anchors, world.now)


def ssh_signed(credential: Credential, payload: bytes, **options: str) -> Signed:
    value = credential.sign(sshsig.to_be_signed(payload, **options))
    return Signed(sshsig.ARMOUR.wrap(sshsig.assemble(credential.ssh_certificate, value, **options)), value)


def examined(
    world: World,
    payload: bytes,
    armour: bytes,
    *,
    trusted: Trust | None = None,
    timestamps: tuple[bytes, ...] = (),
    at: datetime | None = None,
) -> Examination:
    raw = attach(payload, armour)
    kind = ObjectKind.COMMIT if payload.startswith(b"tree ") else ObjectKind.TAG
    oid = gitobject.object_id(kind, raw, ObjectFormat.SHA1)
    return verify.examine(
        *(raw, kind, ObjectFormat.SHA1, oid, trusted or world.trust()), at=at or world.now, timestamps=timestamps
    )


def outcome(examination: Examination, policy: Policy | None = None, *, at: datetime = NOW) -> Outcome:
    return verify.judge(examination, policy or Policy(), Context(), at=at).outcome


def letters(examination: Examination) -> str:
    """First letters of how the first seven steps ended."""
    return "".join(f.status[0] for f in examination.findings[:7])


def reasons(examination: Examination) -> list[tuple[int, str]]:
    return [(f.step, f.reason) for f in examination.findings if f.status == "failed"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def credential(world: World) -> Credential:
    return enrolled(world)


@pytest.mark.parametrize("hash_algorithm", ["sha512", "sha256"])
@pytest.mark.parametrize("kind", [ObjectKind.COMMIT, ObjectKind.TAG])
def test_what_the_authority_stamped_is_proven_in_all_steps(
    world: World, credential: Credential, kind: ObjectKind, hash_algorithm: str
) -> None:
    payload = world.commit() if kind is ObjectKind.COMMIT else world.tag()
    made = ssh_signed(credential, payload, hash_algorithm=hash_algorithm)
    token = credential.stamp(made.value, world.now)
    found = examined(world, payload, made.armour, timestamps=(token,))
    assert (letters(found), found.remarks) == ("ppppppp", ())
    assert found.signature_format is SignatureFormat.SSH
    assert outcome(found, AUTHORITY) is Outcome.ACCEPTED
    word, stamped = found.evidence
    assert (word.source, word.voucher) == ("ssh-committer-date", Voucher.SIGNER)
    assert stamped.voucher is Voucher.AUTHORITY
    assert stamped.source.startswith("detached-rfc3161:")
    assert stamped.not_before == int(credential.chain.leaf.issued_at.timestamp())


def test_without_a_stamp_only_the_signer_says_when(world: World, credential: Credential) -> None:
    payload = world.commit()
    found = examined(world, payload, ssh_signed(credential, payload).armour)
    assert letters(found) == "ppppupp"
    assert outcome(found) is Outcome.ACCEPTED_TIME_UNPROVEN
    assert outcome(found, AUTHORITY) is Outcome.REJECTED


def test_a_thief_who_dates_back_into_the_window_has_no_evidence(world: World, credential: Credential) -> None:
    payload = world.commit()
    stolen = ssh_signed(credential, payload)
    world.tick(days=1)
    found = examined(world, payload, stolen.armour)
    assert outcome(found, at=world.now) is Outcome.ACCEPTED_TIME_UNPROVEN
    assert outcome(found, AUTHORITY, at=world.now) is Outcome.REJECTED


def test_a_late_stamp_only_proves_that_the_signature_existed_then(world: World, credential: Credential) -> None:
    payload = world.commit()
    made = ssh_signed(credential, payload)
    late = credential.stamp(made.value, world.tick(minutes=9))
    world.tick(minutes=1)
    world.rotate()
    world.tick(minutes=1)
    assert reasons(examined(world, payload, made.armour)) == [(6, Reason.EPOCH_RETIRED)]
    found = examined(world, payload, made.armour, timestamps=(late,))
    assert letters(found) == "ppppupp"
    assert found.finding(Step.TIME).reason == Reason.TIME_UNPROVEN
    assert outcome(found, AUTHORITY, at=world.now) is Outcome.REJECTED


def test_a_stamp_that_does_not_hold_is_ignored_with_a_remark(world: World, credential: Credential) -> None:
    payload = world.commit()
    made = ssh_signed(credential, payload)
    good = credential.stamp(made.value, world.now)
    bad = [b"", b"junk", credential.stamp(b"another", world.now), Forge(Profile.NOTME).token(made.value)]
    for token in bad:
        found = examined(world, payload, made.armour, timestamps=(token,))
        assert (letters(found), found.remarks) == ("ppppupp", (evidence.BAD_STAMP,))
    found = examined(world, payload, made.armour, timestamps=(*bad, good))
    assert (letters(found), found.remarks) == ("ppppppp", (evidence.BAD_STAMP,))


def test_so_many_stamps_are_looked_at_and_no_more(world: World, credential: Credential) -> None:
    payload = world.commit()
    made = ssh_signed(credential, payload)
    junk = tuple(bytes([n]) for n in range(evidence.MAX_DETACHED))
    good = credential.stamp(made.value, world.now)
    assert letters(examined(world, payload, made.armour, timestamps=(*junk, good))) == "ppppupp"
    assert letters(examined(world, payload, made.armour, timestamps=(*junk[1:], good))) == "ppppppp"


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(-901, "f"), (-900, "p"), (0, "p"), (299, "p"), (300, "f"), (10**6, "f")],
    ids=["a second too early", "at the beginning", "now", "at the end", "a second too late", "in a far future"],
)
def test_the_committer_date_lies_within_the_certificate(
    world: World, credential: Credential, seconds: int, wanted: str
) -> None:
    payload = commit_payload(committer=world.who(), at=NOW + timedelta(seconds=seconds))
    made = ssh_signed(credential, payload)
    token = credential.stamp(made.value, world.now)
    at = NOW + timedelta(seconds=min(max(seconds, 0), 300))
    found = examined(world, payload, made.armour, timestamps=(token,), at=at)
    assert letters(found)[4] == wanted
    if wanted == "f":
        assert reasons(found) == [(5, Reason.TIME_OUTSIDE_VALIDITY)]


STRANGER = Forge(Profile.NOTME, seed="other").ssh_leaf()
BEGIN, END = sshsig.ARMOUR.begin, sshsig.ARMOUR.end
FOREIGN: dict[str, tuple[Callable[[bytes], bytes], tuple[int, Reason]]] = {
    "by another authority": (STRANGER.armour, (4, Reason.SIGNATURE_FOREIGN)),
    "by a plain key": (plain_ssh, (4, Reason.SIGNATURE_FOREIGN)),
    "by another plain key than it names": (
        replace(STRANGER, blob=sshwire.ed25519_key(bytes(31) + b"\7")).armour,
        (3, Reason.SIGNATURE_INVALID),
    ),
    "not readable": (lambda _: BEGIN + b"AAAA\n" + END, (2, Reason.SIGNATURE_MALFORMED)),
    "no base64": (lambda _: BEGIN + b"*\n" + END, (2, Reason.SIGNATURE_MALFORMED)),
}


@pytest.mark.parametrize(("make", "reason"), FOREIGN.values(), ids=FOREIGN)
def test_an_ssh_signature_without_our_anchors_key_is_somebody_elses(
    world: World, make: Callable[[bytes], bytes], reason: tuple[int, Reason]
) -> None:
    payload = world.commit()
    assert reasons(examined(world, payload, make(payload))) == [reason]


def test_one_of_ours_that_was_tampered_with_is_not_somebody_elses(world: World, credential: Credential) -> None:
    payload = world.commit()
    blob = sshsig.ARMOUR.open(ssh_signed(credential, payload).armour)
    mark = blob.index(credential.chain.anchor.key.raw)
    for at in (*range(0, mark - 20, 7), *range(mark + 32, len(blob), 5)):
        changed = bytearray(blob)
        changed[at] ^= 1
        found = reasons(examined(world, payload, sshsig.ARMOUR.wrap(bytes(changed))))
        assert found
        assert found[0][1] != Reason.SIGNATURE_FOREIGN, at


def test_armour_in_another_form_is_malformed(world: World, credential: Credential) -> None:
    payload = world.commit()
    armour = ssh_signed(credential, payload).armour.replace(b"\n", b"\n\n", 1)
    found = verify.examine_signature(armour, payload, world.trust(), at=NOW, git=True)
    assert reasons(found) == [(2, Reason.SIGNATURE_MALFORMED)]


def test_a_signature_by_the_root_itself_is_refused(world: World) -> None:
    forge, payload = world.forge(), world.commit()
    root = sshwire.ed25519_key(forge.trusted.anchors[0].key.raw)
    armour = replace(forge.ssh_leaf(), key=forge.root_key, blob=root).armour(payload)
    assert reasons(examined(world, payload, armour)) == [(2, Reason.SIGNATURE_MALFORMED)]


def test_another_content_or_namespace_is_refused(world: World, credential: Credential) -> None:
    payload = world.commit()
    made = ssh_signed(credential, payload).armour
    changed = payload.replace(b"subject", b"Subject")
    assert reasons(examined(world, changed, made)) == [(3, Reason.SIGNATURE_INVALID)]
    other = ssh_signed(credential, payload, namespace="file").armour
    assert reasons(examined(world, payload, other)) == [(3, Reason.PURPOSE_MISMATCH)]


def test_a_certificate_beyond_the_profile_fails_in_step_4(world: World) -> None:
    payload = world.commit()
    leaf = world.forge().ssh_leaf(edit=lambda read: replace(read, principals=()))
    assert reasons(examined(world, payload, leaf.armour(payload))) == [(4, Reason.PROFILE_MISMATCH)]


def revoked(trusted: Trust, kind: RevocationKind, name: str) -> Trust:
    assert trusted.bundle is not None
    revocation = Revocation(kind, name, int(NOW.timestamp()) - 60, "lost")
    return replace(trusted, bundle=replace(trusted.bundle, revocations=(revocation,)))


def test_a_certificate_is_revoked_by_the_digest_of_its_signed_part(world: World, credential: Credential) -> None:
    payload = world.commit()
    made = ssh_signed(credential, payload)
    signed = sshcert.parse(credential.ssh_certificate).signed
    assert credential.ssh_chain is not None
    digest = credential.ssh_chain.leaf.signed_sha256.hex()
    assert digest == hashlib.sha256(signed).hexdigest()
    trusted = revoked(world.trust(), RevocationKind.CERTIFICATE, digest)
    assert reasons(examined(world, payload, made.armour, trusted=trusted)) == [(6, Reason.REVOKED)]


def test_a_committer_who_is_not_named_is_refused(world: World, credential: Credential) -> None:
    payload = world.commit(committer="Mallory <mallory@example.net>")
    found = examined(world, payload, ssh_signed(credential, payload).armour)
    assert reasons(found) == [(7, Reason.COMMITTER_MISMATCH)]


def test_a_blind_signature_is_accepted_and_says_so_everywhere(world: World) -> None:
    credential, payload = enrolled(world, PAYLOAD_UNCHECKED), world.commit()
    made = ssh_signed(credential, payload)
    found = examined(world, payload, made.armour, timestamps=(credential.stamp(made.value, NOW),))
    verdict = verify.judge(found, Policy(), Context(), at=NOW)
    assert verdict.outcome is Outcome.ACCEPTED
    assert found.remarks == (identity.UNCHECKED,)
    name = f"claude-code for {world.human.display} <{world.human.email}>"
    assert found.finding(Step.IDENTITY).detail == f"{name} (same-user, self-asserted, payload unchecked)"
    assert verdict.findings.identity is not None
    assert verdict.findings.identity.payload_unchecked
    assert data.verdict_data(verdict)["identity"]["payloadChecked"] is False
    assert any(line.strip().startswith("payload    not checked") for line in text.verdict_lines(verdict))
    said = json.loads(statement.build(found, verdict, verifier_id="v", repository=None, ref=None, at=NOW))
    assert said["predicate"]["certificate"]["payloadChecked"] is False


def test_a_signature_that_saw_the_payload_says_so(world: World, credential: Credential) -> None:
    payload = world.commit()
    found = examined(world, payload, ssh_signed(credential, payload).armour)
    verdict = verify.judge(found, Policy(), Context(), at=NOW)
    assert data.verdict_data(verdict)["identity"]["payloadChecked"] is True
    assert not any("payload " in line for line in text.verdict_lines(verdict))
    said = json.loads(statement.build(found, verdict, verifier_id="v", repository=None, ref=None, at=NOW))["predicate"]
    assert "payloadChecked" not in said["certificate"]
    assert said["certificate"]["issuer"] == credential.ssh_chain.leaf.issuer  # type: ignore[union-attr]
    assert (said["signature"]["format"], said["signature"]["digestAlgorithm"]) == ("ssh", "sha512")
    assert "cmsSigningTime" not in said["signature"]


def test_the_blind_scope_is_worth_nothing_in_x509(world: World) -> None:
    forge = world.forge()
    payload = world.commit()
    armour = forge.armour(forge.leaf(scopes=(PAYLOAD_UNCHECKED,)), payload)
    assert (7, Reason.SCOPE_MISSING) in reasons(examined(world, payload, armour))


def test_another_scope_is_not_enough(world: World) -> None:
    payload = world.commit()
    leaf = world.forge().ssh_leaf(scopes=("sign:attestation",))
    assert (7, Reason.SCOPE_MISSING) in reasons(examined(world, payload, leaf.armour(payload)))


def pushed(world: World, credential: Credential, pusher: str) -> Examination:
    payload = push_payload(pusher=pusher, at=world.now)
    made = ssh_signed(credential, payload)
    return verify.examine_signature(made.armour, payload, world.trust(), at=world.now, git=True)


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("which", ["leaf", "anchor"])
def test_a_pusher_is_named_by_the_fingerprint_of_the_leaf_or_the_root(
    world: World, credential: Credential, which: str, blank: str
) -> None:
    key = getattr(credential.chain, which).key
    found = pushed(world, credential, sshwire.fingerprint(sshwire.ed25519_key(key.raw)) + blank)
    assert (reasons(found), letters(found)) == ([], "uppp" + "upp")


def test_another_fingerprint_is_another_pusher(world: World, credential: Credential) -> None:
    other = sshwire.fingerprint(sshwire.ed25519_key(bytes(31) + b"\7"))
    assert reasons(pushed(world, credential, other + " ")) == [(7, Reason.COMMITTER_MISMATCH)]
    key = sshwire.fingerprint(sshwire.ed25519_key(credential.chain.leaf.key.raw))
    assert reasons(pushed(world, credential, key + "  ")) == [(7, Reason.COMMITTER_MISMATCH)]


def test_in_x509_a_fingerprint_names_nobody(world: World, credential: Credential) -> None:
    key = sshwire.fingerprint(sshwire.ed25519_key(credential.chain.leaf.key.raw))
    forge, payload = world.forge(), push_payload(pusher=key, at=world.now)
    armour = forge.armour(forge.leaf(), payload)
    found = verify.examine_signature(armour, payload, world.trust(), at=world.now, git=True)
    assert (7, Reason.COMMITTER_MISMATCH) in reasons(found)


def known(credential: Credential, form: SignatureFormat) -> Chain:
    assert credential.ssh_chain is not None
    return credential.chain if form is SignatureFormat.X509 else credential.ssh_chain


@pytest.mark.parametrize("form", [SignatureFormat.X509, SignatureFormat.SSH])
def test_a_chain_that_was_proven_is_used_again_for_the_same_bytes_under_a_pinned_anchor(
    world: World, credential: Credential, form: SignatureFormat
) -> None:
    payload, forge = world.commit(), world.forge()
    leaf = forge.leaf()
    proven, trusted = known(credential, form), world.trust()

    def made(by: Credential) -> bytes:
        if form is SignatureFormat.SSH:
            return ssh_signed(by, payload).armour
        return forge.armour(replace(leaf, key=by._key, certificate=by.certificate), payload)

    def chain_of(armour: bytes, trusted: Trust, profile: Profile | None = None) -> Chain | None:
        return verify.examine_signature(
            *(armour, payload, trusted), at=NOW, git=True, known_chain=proven, profile=profile
        ).chain

    assert chain_of(made(credential), trusted) is proven
    other = enrolled(world)
    assert chain_of(made(other), trusted) == known(other, form)
    assert chain_of(made(credential), Trust(())) is None
    assert chain_of(made(credential), trusted, Profile.INTEROP) is None
