from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import cms, gitobject, home, identity, signed, verify
from attest.errors import Reason, Step
from attest.gitobject import ObjectFormat, ObjectKind, Signature, SignatureFormat
from attest.policy import Context, Policy
from attest.profile import LeafSpec, Profile
from attest.signed import CmsSigned
from attest.trust import Trust
from attest.types import Outcome, StepStatus, Verdict, Voucher
from tests import der
from tests.der import Cms, attribute
from tests.forge import Forge, Leaf, attach, plain_ssh
from tests.world import World

OURS = (Profile.NOTME, Profile.INTEROP)
SSH = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"
PGP = b"-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.grant()
    return made


def failure(verdict: Verdict) -> tuple[int, str]:
    """Step and reason of the first finding that is not proven."""
    return next((f.step, f.reason) for f in verdict.findings.findings if f.status is not StepStatus.PROVEN)


def statuses(verdict: Verdict) -> str:
    """One letter a step: proven, failed, unavailable, not applicable."""
    return "".join(f.status.value[0] for f in verdict.findings.findings)


def forged(forge: Forge, leaf: Leaf, payload: bytes, *, stamped: bool = True, **parts: object) -> bytes:
    """A commit whose CMS has some parts replaced, time-stamped by the forge."""
    message = replace(Cms(leaf, payload, forge.at), **parts)  # type: ignore[arg-type]
    if stamped and not message.unsigned:
        message = replace(message, unsigned=der.stamped(forge, message))
    return attach(payload, cms.ARMOUR.wrap(message.der()))


@pytest.mark.parametrize("profile", OURS)
def test_an_agents_commit_is_proven_at_every_step(world: World, profile: Profile) -> None:
    raw = world.signed_commit(profile=profile)
    world.tick(days=400)
    verdict = world.judge(raw)
    assert statuses(verdict) == "pppppppp"
    assert (verdict.outcome, verdict.warnings, verdict.findings.remarks) == (Outcome.ACCEPTED, (), ())
    who = verdict.findings.identity
    assert who is not None
    assert who.represented is not None
    assert (who.actor.name, who.represented.email) == ("claude-code", "alice@example.org")
    assert (who.assurance, who.represented.authentication) == ("same-user", "self-asserted")
    assert verdict.findings.object_id == hashlib.sha1(b"commit %d\0" % len(raw) + raw).hexdigest()
    assert (verdict.bundle_sequence, verdict.bundle_age) == (1, 400 * 86400)


def test_a_commit_of_a_sha256_repository_is_proven(world: World) -> None:
    payload = world.commit(fmt=ObjectFormat.SHA256)
    raw = attach(payload, world.sign(payload), ObjectFormat.SHA256)
    assert b"\ngpgsig-sha256 " in raw
    examination = world.examine(raw, fmt=ObjectFormat.SHA256)
    assert {f.status for f in examination.findings[:7]} == {StepStatus.PROVEN}
    assert examination.finding(Step.POLICY).status is StepStatus.NOT_APPLICABLE
    assert examination.object_id == hashlib.sha256(b"commit %d\0" % len(raw) + raw).hexdigest()


def test_an_agents_tag_is_proven_at_every_step(world: World) -> None:
    payload = world.tag()
    assert statuses(world.judge(attach(payload, world.sign(payload)), kind=ObjectKind.TAG)) == "pppppppp"


@pytest.mark.parametrize("make", [World.commit, World.tag, World.push], ids=["commit", "tag", "push certificate"])
def test_what_git_shows_its_verifying_program_is_accepted_with_step_1_unseen(
    world: World, make: Callable[[World], bytes]
) -> None:
    payload = make(world)
    examination = verify.examine_signature(world.sign(payload), payload, world.trust(), at=world.now, git=True)
    verdict = verify.judge(examination, Policy(), Context(git=True), at=world.now)
    assert (statuses(verdict), failure(verdict)) == ("uppppppp", (1, Reason.UNSEEN))
    assert verdict.outcome is Outcome.ACCEPTED


def test_a_detached_signature_has_no_object_to_examine(world: World) -> None:
    forge = world.forge()
    armour = forge.armour(forge.leaf(), b"any bytes")
    examination = verify.examine_signature(armour, b"any bytes", world.trust(), at=world.now)
    assert statuses(verify.judge(examination, Policy(), Context(), at=world.now)) == "nppppppp"
    assert (examination.kind, examination.object_id) == ("content", hashlib.sha256(b"any bytes").hexdigest())


def test_content_that_is_no_git_object_fails_step_1_of_gits_call(world: World) -> None:
    forge = world.forge()
    armour = forge.armour(forge.leaf(), b"any bytes")
    examination = verify.examine_signature(armour, b"any bytes", world.trust(), at=world.now, git=True)
    verdict = verify.judge(examination, Policy(), Context(git=True), at=world.now)
    assert (failure(verdict), verdict.outcome) == ((1, Reason.OBJECT_MALFORMED), Outcome.REJECTED)


@dataclass(frozen=True)
class Case:
    """What somebody offers, and the step that refuses it."""

    name: str
    make: Callable[[World], bytes]
    step: Step
    reason: Reason
    statuses: str


def commit_of(**lines: str) -> Callable[[World], bytes]:
    def make(world: World) -> bytes:
        forge = world.forge()
        payload = world.commit(**lines)  # type: ignore[arg-type]
        return forged(forge, forge.issue(_spec(world, forge)), payload)

    return make


def _spec(world: World, forge: Forge, **changes: object) -> LeafSpec:
    """What the authority would write for the agent."""
    credential = world.credential(profile=forge.profile)
    leaf = credential.chain.leaf
    return replace(forge.spec(leaf.claims), uri=leaf.uri, subject=leaf.subject, **changes)  # type: ignore[arg-type]


def with_cms(**parts: Any) -> Callable[[World], bytes]:
    return lambda world: forged(world.forge(), world.stolen(), world.commit(), **parts)


def sibling_signature(world: World) -> bytes:
    """The TLS key of a pair signs, with its own certificate: P-256 and SHA-256, all in order."""
    forge = world.forge()
    return forged(forge, forge.issue(forge.spec(), mtls=True), world.commit())


def twice(world: World) -> bytes:
    raw = world.signed_commit()
    head, _, message = raw.partition(b"\n\n")
    header = head[head.index(b"gpgsig ") :]
    return head + b"\n" + header + b"\n\n" + message


def replaced(old: bytes, new: bytes) -> Callable[[World], bytes]:
    return lambda world: world.signed_commit().replace(old, new, 1)


def certificate_too_many(world: World) -> bytes:
    forge, leaf = world.forge(), world.stolen()
    return forged(forge, leaf, world.commit(), certificates=tuple(sorted([leaf.der, forge.leaf().der])))


def root_included(world: World) -> bytes:
    forge, leaf = world.forge(), world.stolen()
    root = forge.root.public_bytes(Encoding.DER)
    return forged(forge, leaf, world.commit(), certificates=tuple(sorted([leaf.der, root])))


def two_signers(world: World) -> bytes:
    payload, leaves = world.commit(), (world.stolen(), world.stolen())
    each = [Cms(leaf, payload, world.now) for leaf in leaves]
    infos = tuple(sorted(message.signer_info() for message in each))
    ders = tuple(sorted(leaf.der for leaf in leaves))
    return attach(payload, cms.ARMOUR.wrap(replace(each[0], signers=infos, certificates=ders).der()))


def stamp_of_another(world: World) -> bytes:
    leaf, payload = world.stolen(), world.commit()
    message = Cms(leaf, payload, world.now)
    return forged(world.forge(), leaf, payload, unsigned=der.stamped(world.other.forge(), message))


def stamp_over_something_else(world: World) -> bytes:
    forge = world.forge()
    token = attribute(der.TIMESTAMP, forge.token(b"something else"))
    return forged(forge, world.stolen(), world.commit(), unsigned=(token,))


def late(world: World) -> bytes:
    """A stolen key, used six minutes after its issue with the time as it is."""
    leaf = world.stolen()
    world.tick(minutes=5, seconds=61)
    return forged(world.forge(), leaf, world.commit(), stamped=False)


def late_stamp(world: World) -> bytes:
    """A stolen key, back-dated, and a time-stamp of now by a careless authority."""
    leaf, payload, then = world.stolen(), world.commit(), world.now
    world.tick(minutes=7)
    message = Cms(leaf, payload, then)
    return forged(world.forge(), leaf, payload, at=then, unsigned=der.stamped(world.forge(), message, at=world.now))


def of_another_authority(world: World) -> bytes:
    world.other.grant()
    return world.other.signed_commit()


def other_scope(world: World) -> bytes:
    forge = world.forge()
    return forged(forge, forge.issue(_spec(world, forge, scopes=("sign:attestation",))), world.commit())


def no_scope(world: World) -> bytes:
    forge = world.forge()
    return forged(forge, forge.issue(_spec(world, forge, scopes=())), world.commit())


def verifiers_certificate(world: World) -> bytes:
    forge = world.forge()
    return forged(forge, forge.verifier(), world.commit())


def other_epoch(world: World) -> bytes:
    forge = world.forge()
    return forged(forge, forge.issue(_spec(world, forge, epoch=2)), world.commit())


def with_ssh(armour: bytes) -> Callable[[World], bytes]:
    return lambda world: attach(world.commit(), armour)


def by_plain_key(world: World) -> bytes:
    payload = world.commit()
    return attach(payload, plain_ssh(payload))


UNKNOWN = SSH.replace(b"SSH SIGNATURE", b"NEW SIGNATURE")
EARLY = "fuuuuuuu"
CASES = [
    Case("cut short", lambda w: w.signed_commit()[:60], Step.OBJECT, Reason.OBJECT_MALFORMED, EARLY),
    Case("a second signature header", twice, Step.OBJECT, Reason.OBJECT_MALFORMED, EARLY),
    Case(
        "a stray gpgsig header",
        replaced(b"\ngpgsig ", b"\ngpgsig-evil x\ngpgsig "),
        Step.OBJECT,
        Reason.OBJECT_MALFORMED,
        EARLY,
    ),
    Case("no signature", lambda w: w.commit(), Step.SIGNATURE, Reason.SIGNATURE_MISSING, "pfnnnnnu"),
    Case("an ssh signature without a key", with_ssh(SSH), Step.SIGNATURE, Reason.SIGNATURE_MALFORMED, "pfuuuuuu"),
    Case("a signature by a plain ssh key", by_plain_key, Step.CHAIN, Reason.SIGNATURE_FOREIGN, "pppfnnnu"),
    Case("an armour of unknown kind", with_ssh(UNKNOWN), Step.SIGNATURE, Reason.SIGNATURE_UNKNOWN, "pfuuuuuu"),
    Case("a pgp signature", lambda w: attach(w.commit(), PGP), Step.SIGNATURE, Reason.SIGNATURE_FOREIGN, "pfnnnnnu"),
    Case("two signers", two_signers, Step.SIGNATURE, Reason.SIGNATURE_SEVERAL, "pfuuuuuu"),
    Case(
        "a signed attribute too few",
        lambda w: forged(w.forge(), w.stolen(), w.commit(), attributes=(), stamped=False),
        Step.SIGNATURE,
        Reason.SIGNATURE_MALFORMED,
        "pfuuuuuu",
    ),
    Case(
        "an unknown unsigned attribute",
        with_cms(unsigned=(attribute(der.CHALLENGE_PASSWORD, der.utf8("x")),)),
        Step.SIGNATURE,
        Reason.SIGNATURE_MALFORMED,
        "pfuuuuuu",
    ),
    Case(
        "another message", replaced(b"\n\nsubject", b"\n\nSubject"), Step.INTEGRITY, Reason.DIGEST_MISMATCH, "ppfuuuuu"
    ),
    Case("another tree", replaced(b"tree 4b", b"tree 4c"), Step.INTEGRITY, Reason.DIGEST_MISMATCH, "ppfuuuuu"),
    Case(
        "another signature value",
        with_cms(alter=lambda s: s[:40] + bytes([s[40] ^ 1]) + s[41:]),
        Step.INTEGRITY,
        Reason.SIGNATURE_INVALID,
        "ppfuuuuu",
    ),
    Case(
        "an authority that is not pinned",
        of_another_authority,
        Step.CHAIN,
        Reason.ANCHOR_UNKNOWN,
        "pppfuuuu",
    ),
    Case("the TLS sibling of the pair", sibling_signature, Step.CHAIN, Reason.PURPOSE_MISMATCH, "pppfuuuu"),
    Case("a certificate too many", certificate_too_many, Step.CHAIN, Reason.PROFILE_MISMATCH, "pppfuuuu"),
    Case("the root included", root_included, Step.CHAIN, Reason.PROFILE_MISMATCH, "pppfuuuu"),
    Case("a stolen key after five minutes", late, Step.TIME, Reason.TIME_OUTSIDE_VALIDITY, "ppppfppu"),
    Case("a time-stamp after five minutes", late_stamp, Step.TIME, Reason.TIME_OUTSIDE_VALIDITY, "ppppfppu"),
    Case("the time-stamp of another authority", stamp_of_another, Step.TIME, Reason.TIMESTAMP_INVALID, "ppppfppu"),
    Case(
        "a time-stamp over something else", stamp_over_something_else, Step.TIME, Reason.TIMESTAMP_INVALID, "ppppfppu"
    ),
    Case("an epoch that the bundle does not know", other_epoch, Step.EPOCH, Reason.EPOCH_UNKNOWN, "pppppfpu"),
    Case(
        "a committer that is neither agent nor human",
        commit_of(committer="Bob <bob@example.org>"),
        Step.IDENTITY,
        Reason.COMMITTER_MISMATCH,
        "ppppppfu",
    ),
    Case("a certificate for attestations", other_scope, Step.IDENTITY, Reason.SCOPE_MISSING, "ppppppfu"),
    Case("a certificate without scopes", no_scope, Step.IDENTITY, Reason.SCOPE_MISSING, "ppppppfu"),
    Case("the verifier's certificate", verifiers_certificate, Step.IDENTITY, Reason.SCOPE_MISSING, "ppppppfu"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_commit_is_refused_at_the_step_that_it_fails(world: World, case: Case) -> None:
    verdict = world.judge(case.make(world))
    assert (failure(verdict), statuses(verdict)) == ((case.step, case.reason), case.statuses)
    assert verdict.outcome is Outcome.REJECTED


def test_an_object_that_hashes_to_another_id_is_refused_whatever_its_signature(world: World) -> None:
    examination = world.examine(world.signed_commit(), object_id="1" * 40)
    assert examination.finding(Step.OBJECT).reason == Reason.OBJECT_ID_MISMATCH
    assert examination.chain is None


def test_a_profile_that_was_asked_for_is_kept_to(world: World) -> None:
    verdict = world.judge(world.signed_commit(), profile=Profile.INTEROP)
    assert failure(verdict) == (4, Reason.PROFILE_MISMATCH)


def test_a_tag_without_tagger_fails_step_7(world: World) -> None:
    forge = world.forge()
    payload = world.tag(tagger=None)
    raw = forged(forge, forge.issue(_spec(world, forge)), payload)
    assert failure(world.judge(raw, kind=ObjectKind.TAG)) == (7, Reason.COMMITTER_MISMATCH)


@pytest.mark.parametrize("who", ["Alice Example <alice@example.org>", "A <ALICE@Example.ORG>"])
def test_the_human_may_stand_as_committer_and_author(world: World, who: str) -> None:
    assert statuses(world.judge(world.signed_commit(world.commit(committer=who)))) == "pppppppp"


def test_another_author_is_a_remark_when_somebody_elses_work_is_replayed(world: World) -> None:
    payload = world.commit(author="Bob <bob@example.org>", authored=world.now - timedelta(days=1))
    verdict = world.judge(world.signed_commit(payload))
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.findings.remarks == (identity.AUTHORED_BY_OTHER,)


@pytest.mark.parametrize("profile", OURS)
def test_a_stolen_key_back_dated_without_a_time_stamp_is_time_unproven(world: World, profile: Profile) -> None:
    """The limit that SECURITY.md names: only the signer's word stands for the time, and the verdict says so."""
    leaf, payload, then = world.stolen(profile=profile), world.commit(), world.now
    world.tick(hours=1)
    raw = forged(world.forge(profile), leaf, payload, at=then, stamped=False)
    verdict = world.judge(raw)
    assert (verdict.outcome, failure(verdict)) == (Outcome.ACCEPTED_TIME_UNPROVEN, (5, Reason.TIME_UNPROVEN))
    assert any("time unproven" in warning for warning in verdict.warnings)
    strict = world.judge(raw, Policy(require_time=Voucher.AUTHORITY))
    assert strict.outcome is Outcome.REJECTED
    assert (strict.findings.findings[7].status, strict.findings.findings[7].reason) == ("failed", Reason.TIME_REQUIRED)


def test_a_signature_without_any_time_is_time_unproven(world: World) -> None:
    leaf, payload = world.stolen(), world.commit()
    plain = Cms(leaf, payload, world.now)
    attributes = (plain.prescribed[0], plain.prescribed[2])
    verdict = world.judge(forged(world.forge(), leaf, payload, attributes=attributes, stamped=False))
    assert failure(verdict) == (5, Reason.TIME_UNPROVEN)


@pytest.mark.parametrize(
    ("voucher", "outcome"),
    [
        (None, Outcome.ACCEPTED),
        (Voucher.SIGNER, Outcome.ACCEPTED),
        (Voucher.AUTHORITY, Outcome.ACCEPTED),
        (Voucher.RECEIVER, Outcome.REJECTED),
        (Voucher.INDEPENDENT, Outcome.REJECTED),
    ],
)
def test_the_authoritys_time_stamp_is_as_much_as_it_is(world: World, voucher: Voucher | None, outcome: Outcome) -> None:
    assert world.judge(world.signed_commit(), Policy(require_time=voucher)).outcome is outcome


@pytest.mark.parametrize(
    ("behind", "outcome"), [(59, Outcome.ACCEPTED), (62, Outcome.COULD_NOT_CHECK), (10**6, Outcome.COULD_NOT_CHECK)]
)
def test_a_verifier_whose_clock_is_behind_could_not_check(world: World, behind: int, outcome: Outcome) -> None:
    raw, trusted = world.signed_commit(), world.trust()
    world.tick(seconds=-behind)
    verdict = world.judge(raw, trusted=trusted)
    assert verdict.outcome is outcome
    if outcome is Outcome.COULD_NOT_CHECK:
        assert failure(verdict) == (5, Reason.CLOCK_BEHIND)


def test_without_a_bundle_a_commit_is_accepted_with_a_warning(world: World) -> None:
    bare = Trust(home.read_anchors(world.home / home.ANCHORS, None))
    verdict = world.judge(world.signed_commit(), trusted=bare)
    assert (verdict.outcome, failure(verdict)) == (Outcome.ACCEPTED, (6, Reason.BUNDLE_ABSENT))
    assert (verdict.bundle_sequence, verdict.bundle_age) == (0, 0)
    assert any("no trust bundle" in warning for warning in verdict.warnings)


@pytest.mark.parametrize(("hours", "outcome"), [(1, Outcome.ACCEPTED), (3, Outcome.COULD_NOT_CHECK)])
def test_a_bundle_older_than_the_policy_allows_could_not_check(world: World, hours: int, outcome: Outcome) -> None:
    raw = world.signed_commit()
    world.tick(hours=hours)
    assert world.judge(raw, Policy(max_bundle_age=timedelta(hours=2))).outcome is outcome


def test_a_policy_that_sets_an_age_could_not_check_without_a_bundle(world: World) -> None:
    bare = Trust(home.read_anchors(world.home / home.ANCHORS, None))
    verdict = world.judge(world.signed_commit(), Policy(max_bundle_age=timedelta(hours=2)), trusted=bare)
    assert verdict.outcome is Outcome.COULD_NOT_CHECK
    assert verdict.findings.findings[7].reason == Reason.BUNDLE_STALE


CONSTRAINED = [
    ("the right place", Context(ref="refs/heads/agents/x", repository="https://git.example/app"), Outcome.ACCEPTED, ""),
    (
        "another branch",
        Context(ref="refs/heads/main", repository="https://git.example/app"),
        Outcome.REJECTED,
        Reason.CONSTRAINT_MISMATCH,
    ),
    (
        "another repository",
        Context(ref="refs/heads/agents/x", repository="https://git.example/other"),
        Outcome.REJECTED,
        Reason.CONSTRAINT_MISMATCH,
    ),
    (
        "a tag of the branch's name",
        Context(ref="refs/tags/agents/x", repository="https://git.example/app"),
        Outcome.REJECTED,
        Reason.CONSTRAINT_MISMATCH,
    ),
    ("a place that is not known", Context(), Outcome.COULD_NOT_CHECK, Reason.CONTEXT_UNKNOWN),
    ("git, which shows no place", Context(git=True), Outcome.ACCEPTED, Reason.UNSEEN),
]


@pytest.mark.parametrize(
    ("context", "outcome", "reason"), [c[1:] for c in CONSTRAINED], ids=[c[0] for c in CONSTRAINED]
)
def test_a_constrained_certificate_is_good_for_its_place_alone(
    tmp_path: Path, context: Context, outcome: Outcome, reason: str
) -> None:
    world = World(tmp_path)
    world.grant(repositories=("https://git.example/app",), branches=("agents/*",))
    verdict = world.judge(world.signed_commit(), context=context)
    assert (verdict.outcome, verdict.findings.findings[7].reason) == (outcome, reason)


def test_a_revoked_grant_leaves_good_what_was_signed_before(world: World) -> None:
    with world.opened() as authority:
        grant = next(s.grant for s in authority.store.grants() if s.grant.actor.name == "claude-code")
    before, thief = world.signed_commit(), world.stolen()
    world.tick(seconds=90)
    world.revoke(grant, "laptop lost")
    world.tick(seconds=60)
    after = forged(world.forge(), thief, world.commit())
    undated = forged(world.forge(), thief, world.commit(), stamped=False)
    assert world.judge(before).outcome is Outcome.ACCEPTED
    for raw in (after, undated):
        verdict = world.judge(raw)
        assert verdict.outcome is Outcome.REJECTED
        assert verdict.findings.findings[5].reason == Reason.REVOKED
        assert "laptop lost" in verdict.findings.findings[5].detail


def test_a_rotation_leaves_good_what_was_signed_before(world: World) -> None:
    before, thief = world.signed_commit(), world.stolen()
    world.tick(seconds=90)
    assert world.rotate().number == 2
    world.tick(seconds=60)
    after = forged(world.forge(number=1), thief, world.commit())
    assert statuses(world.judge(before)) == "pppppppp"
    assert failure(world.judge(after)) == (6, Reason.EPOCH_RETIRED)
    new = world.judge(world.signed_commit())
    assert (new.outcome, new.findings.identity and new.findings.identity.epoch) == (Outcome.ACCEPTED, 2)


@pytest.mark.parametrize("hours", [-1, 1], ids=["said to be compromised before", "said to be compromised after"])
def test_after_a_compromise_the_epochs_own_time_stamps_count_for_nothing(world: World, hours: int) -> None:
    before = world.signed_commit()
    compromised = world.now + timedelta(hours=hours)
    world.tick(hours=2)
    world.recover(compromised_at=compromised)
    verdict = world.judge(before)
    assert (failure(verdict), verdict.outcome) == ((6, Reason.EPOCH_RETIRED), Outcome.REJECTED)
    assert world.judge(world.signed_commit()).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("level", ["level0", "level1"])
def test_the_signatures_of_go_cms_are_read_under_profile_signet(shared_vectors: Path, world: World, level: str) -> None:
    folder = shared_vectors / "notme"
    world.tick(days=1)
    anchors = home.read_anchors(folder / "gocms-root.pem", Profile.SIGNET)
    armour, content = (folder / f"gocms-{level}.sig.pem").read_bytes(), (folder / "gocms-data.txt").read_bytes()
    examination = verify.examine_signature(armour, content, Trust(anchors), at=world.now)
    verdict = verify.judge(examination, Policy(), Context(), at=world.now)
    assert statuses(verdict) == "npppuupp"
    assert verdict.outcome is Outcome.ACCEPTED_TIME_UNPROVEN
    assert verdict.findings.remarks == (("certificates-unordered",) if level == "level1" else ())
    assert (verdict.findings.identity and verdict.findings.identity.represented) is None
    changed = verify.examine_signature(armour, content + b"\n", Trust(anchors), at=world.now)
    assert changed.finding(Step.INTEGRITY).reason == Reason.DIGEST_MISMATCH


@pytest.mark.parametrize("level", ["level0", "level1"])
def test_the_first_armour_of_signet_git_is_read_under_profile_signet(shared_vectors: Path, level: str) -> None:
    folder = shared_vectors / "notme"
    anchors = home.read_anchors(folder / "gocms-root.pem", Profile.SIGNET)
    armour = (folder / f"gocms-{level}.sig.pem").read_bytes().replace(b"SIGNED MESSAGE", b"CMS")
    made = signed.read(Signature(SignatureFormat.X509, armour), anchors)
    assert isinstance(made, CmsSigned)
    made.verify_content((folder / "gocms-data.txt").read_bytes())
    assert made.verify_chain(anchors, None, None).anchor == anchors[0]
    assert "armour-cms" in made.remarks


def test_the_first_armour_of_signet_git_is_a_finding_whoever_counts(shared_vectors: Path, world: World) -> None:
    folder = shared_vectors / "notme"
    armour = (folder / "gocms-level1.sig.pem").read_bytes().replace(b"SIGNED MESSAGE", b"CMS")
    head, _, message = (folder / "gocms-data.txt").read_bytes().partition(b"\n\n")
    raw = head + b"\ngpgsig " + armour.strip().replace(b"\n", b"\n ") + b"\n\n" + message
    kind, fmt = ObjectKind.COMMIT, ObjectFormat.SHA1
    found = verify.examine(raw, kind, fmt, gitobject.object_id(kind, raw, fmt), Trust(()), at=world.now)
    assert found.finding(Step.INTEGRITY).status is StepStatus.PROVEN
    assert found.finding(Step.CHAIN).reason == Reason.ANCHOR_UNKNOWN
    assert found.remarks == ("armour-cms",)


def test_a_signature_of_ours_is_in_the_armour_that_git_knows(world: World) -> None:
    """Nothing signs the label, and a second one would be a second id for the same commit."""
    raw = world.signed_commit().replace(b"SIGNED MESSAGE", b"CMS")
    found = world.examine(raw)
    assert found.finding(Step.INTEGRITY).status is StepStatus.PROVEN
    assert (found.finding(Step.CHAIN).reason, world.judge(raw).outcome) == (Reason.PROFILE_MISMATCH, Outcome.REJECTED)


class Standing:
    """One world for all examples of a property, its trust read once. No dataclass: Hypothesis would print it all."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.world.grant()
        self.trusted = self.world.trust()
        self.commits = {profile: self.world.signed_commit(profile=profile) for profile in OURS}

    def judged(self, raw: bytes) -> Outcome:
        return self.world.judge(raw, trusted=self.trusted).outcome


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Standing:
    return Standing(tmp_path_factory.mktemp("standing"))


PLACES = {"place": st.floats(0, 1, exclude_max=True), "bit": st.integers(0, 7), "profile": st.sampled_from(OURS)}


@given(**PLACES)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_no_commit_with_one_flipped_bit_is_accepted(
    standing: Standing, place: float, bit: int, profile: Profile
) -> None:
    """Payload, signature, certificate, time-stamp: every byte of the object."""
    flipped = bytearray(standing.commits[profile])
    flipped[int(place * len(flipped))] ^= 1 << bit
    assert standing.judged(bytes(flipped)) is Outcome.REJECTED


@given(**PLACES)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_no_signature_with_one_flipped_bit_of_its_der_is_accepted(
    standing: Standing, place: float, bit: int, profile: Profile
) -> None:
    """Under intact armour every defect reaches the decoder and what comes after it."""
    examined = standing.world.examine(standing.commits[profile], trusted=standing.trusted)
    flipped = bytearray(cms.ARMOUR.open(examined.signature))
    flipped[int(place * len(flipped))] ^= 1 << bit
    raw = attach(examined.payload, cms.ARMOUR.wrap(bytes(flipped)))
    assert standing.judged(raw) is Outcome.REJECTED
