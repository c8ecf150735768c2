"""Examine one object, then judge the findings.

An examination takes eight steps, numbered as in `errors.Step`; each ends *proven*, *failed*,
*unavailable* (could not check) or *not applicable* (this kind of object or signature has no such step):

 1. object     the bytes are one well-formed commit, tag or push certificate; the id is recomputed from them
 2. signature  exactly one, in a known format, strictly decoded
 3. integrity  it verifies over exactly the signed bytes with the key the signer info names
 4. chain      leaf -> (at most one issuing CA) -> pinned anchor, the profile kept exactly
 5. time       what the evidence proves about when it was signed, against the certificate's validity
 6. epoch      the issuing epoch was acceptable then; principal, grant and session not revoked
 7. identity   scopes; committer (tagger, pusher) and author agree with actor and represented principal
 8. policy     what the rule in force demands of ref, repository and evidence; `judge` decides it

Steps 1 to 7 are facts. Step 8 needs a policy and the place the object is offered for: an examination
leaves it to `judge`, which fills it in. A step after a failed one is not guessed at: it says so. Steps 5, 6 and
7 do not rest on each other, and all three are looked at whenever step 4 held.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from attest import contradictions, evidence, gitobject, identity, signed, trust
from attest.certificate import Chain
from attest.cms import SignedMessage
from attest.errors import Error, MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.foreign.vouched import ForeignSigned, Vouched
from attest.gitobject import ObjectFormat, ObjectKind, Signature, SignatureFormat
from attest.policy import Case, Context, Paths, PolicyLike, no_paths
from attest.profile import Profile
from attest.signed import CmsSigned, GitObject, Signed, SshSigned
from attest.through import Through
from attest.trust import Trust
from attest.types import Contradiction, Evidence, Finding, Findings, Identity, Outcome, StepStatus, Verdict

T = TypeVar("T")

FINDINGS_VERSION = 1
STEPS = tuple(Step)

TOLERATED = frozenset({Reason.TIME_UNPROVEN, Reason.BUNDLE_ABSENT, Reason.UNSEEN})
"""What the built-in policy lets pass though it is unavailable; listed here and nowhere else."""

_WARNED = frozenset({Reason.TIME_UNPROVEN, Reason.BUNDLE_ABSENT})


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found for one object. `findings` holds all eight; what was not reached is None or empty.

    `identity` is who signed for whom, where step 4 proved it.
    """

    kind: str
    object_format: str
    object_id: str
    parsed: GitObject | None
    payload: bytes
    signature: bytes
    signature_format: SignatureFormat | None
    signed: Signed | None
    chain: Chain | None
    evidence: tuple[Evidence, ...]
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...]
    bundle_sequence: int
    bundle_age: int
    contradictions: tuple[Contradiction, ...] = ()
    foreign: ForeignSigned | None = None
    vouched: Vouched | None = None
    identity: Identity | None = None
    current_epoch: int | None = None

    @property
    def message(self) -> SignedMessage | None:
        """The CMS signature, where it is one."""
        return self.signed.message if isinstance(self.signed, CmsSigned) else None

    def finding(self, step: Step) -> Finding:
        """The finding of one step."""
        return self.findings[step - 1]

    @property
    def timed(self) -> tuple[Evidence, ...]:
        """What proves the time of signing as step 5 asks it, the earliest first; the signer's word is none of it."""
        if self.finding(Step.TIME).status not in (StepStatus.PROVEN, StepStatus.NOT_APPLICABLE):
            return ()
        if self.chain is not None:
            return evidence.holding(self.evidence, *evidence.validity(self.chain.leaf))
        if self.vouched is not None:
            return evidence.holding(self.evidence, self.vouched.not_before, self.vouched.not_after)
        return ()

    @property
    def profile(self) -> str:
        """Of the certificate; for a signature of another kind, the kind."""
        if self.chain is not None:
            return str(self.chain.anchor.profile)
        return str(self.foreign.signer.kind) if self.foreign is not None else ""

    def record(self) -> Findings:
        """The form that is stored and digested (`schema/findings.capnp`)."""
        return Findings(
            version=FINDINGS_VERSION,
            object_format=self.object_format,
            object_id=self.object_id,
            object_kind=self.kind,
            findings=self.findings,
            evidence=self.evidence,
            identity=self.identity,
            profile=self.profile,
            remarks=self.remarks,
            contradictions=self.contradictions,
        )


def examine(
    raw: bytes,
    kind: ObjectKind,
    object_format: ObjectFormat,
    object_id: str,
    trusted: Trust,
    *,
    at: datetime,
    profile: Profile | None = None,
    timestamps: Sequence[bytes] = (),
    seen: Evidence | None = None,
) -> Examination:
    """Examine the raw bytes of a commit or tag that was asked for as `object_id` (lower-case hex).

    `timestamps` are RFC 3161 tokens (DER) over the signature's value that were kept beside the object; `seen` is what a
    witness that counts says of the object (`sightings`).
    """
    walk = _Walk(trusted, at, profile, timestamps, seen=seen)
    parsed = walk.object(raw, kind, object_format, object_id)
    if parsed is not None:
        walk.certificate_steps(parsed.signature, parsed.payload, parsed)
    return walk.done(kind, object_format, object_id, parsed, parsed.payload if parsed else raw, claims=True)


def examine_signature(
    armour: bytes,
    content: bytes,
    trusted: Trust,
    *,
    at: datetime,
    profile: Profile | None = None,
    git: bool = False,
    parsed: GitObject | None = None,
    known_chain: Chain | None = None,
    timestamps: Sequence[bytes] = (),
) -> Examination:
    """Examine a detached signature over `content`: steps 2 to 6 and the certificate's part of 7.

    With `git` the content is what git hands to a verifying program: the payload of a commit, tag or push
    certificate. Its id and stray headers git keeps to itself, so step 1 is unavailable, not inapplicable.
    `parsed` is what `gitobject.parse_payload` made of the very same content, where the caller has it already.
    `known_chain` is what step 4 proved before; it is used again if the certificate has the same bytes.
    """
    walk = _Walk(trusted, at, profile, timestamps, known_chain)
    if git:
        parsed = walk.run(Step.OBJECT, lambda: parsed or gitobject.parse_payload(content), Reason.OBJECT_MALFORMED)
        if parsed is not None:
            detail = "git shows neither the object's id nor its other headers"
            walk.note(Step.OBJECT, StepStatus.UNAVAILABLE, Reason.UNSEEN, detail)
    else:
        walk.note(Step.OBJECT, StepStatus.NOT_APPLICABLE, None, "a detached signature over bytes")
    if walk.open:
        signature = walk.run(
            Step.SIGNATURE, lambda: gitobject.read_armour(armour), Reason.SIGNATURE_MALFORMED
        )
        if signature is not None:
            walk.certificate_steps(signature, content, parsed)
    return walk.done("content", "", hashlib.sha256(content).hexdigest(), parsed, content)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy makes of an examination: `findings` are all eight, the last one filled in."""

    findings: tuple[Finding, ...]
    outcome: Outcome
    rule: str
    warnings: tuple[str, ...]


def decide(
    examination: Examination,
    policy: PolicyLike,
    context: Context,
    *,
    at: datetime,
    paths: Paths = no_paths,
    through: tuple[Through, ...] = (),
) -> Decision:
    """Step 8, and the outcome of all eight. `at` is the time of the decision, `through` the rewrite records."""
    last, rule = _policy_step(Case(examination, context, at, paths, through), policy)
    findings = (*examination.findings[: Step.POLICY - 1], last)
    outcome = _outcome(findings, policy.excuses if last.status is StepStatus.PROVEN else frozenset())
    if outcome is Outcome.ACCEPTED and any(each.follows and each.outcome is not outcome for each in through):
        outcome = Outcome.ACCEPTED_TIME_UNPROVEN
    return Decision(findings, outcome, rule, tuple(f.detail for f in findings if f.reason in _WARNED))


def judge(
    examination: Examination,
    policy: PolicyLike,
    context: Context,
    *,
    at: datetime,
    paths: Paths = no_paths,
    through: tuple[Through, ...] = (),
) -> Verdict:
    """The same in the form that is stored and stated."""
    decided = decide(examination, policy, context, at=at, paths=paths, through=through)
    return Verdict(
        findings=replace(examination.record(), findings=decided.findings),
        outcome=decided.outcome,
        policy=policy.name,
        policy_sha256=policy.digest,
        at=int(at.timestamp()),
        bundle_sequence=examination.bundle_sequence,
        bundle_age=examination.bundle_age,
        warnings=decided.warnings,
        rule=decided.rule,
    )


def _policy_step(case: Case, policy: PolicyLike) -> tuple[Finding, str]:
    """The finding of step 8, and the name of the rule that decided."""
    examination = case.examination
    failed = [f.reason for f in examination.findings if f.status is StepStatus.FAILED]
    if not policy.excuses.issuperset(failed) or not (failed or examination.chain or examination.vouched):
        skipped = "not looked at: an earlier step failed"
        return _finding(Step.POLICY, StepStatus.UNAVAILABLE, Reason.EARLIER_STEP, skipped), ""
    try:
        rule = policy.decide(case)
    except VerificationError as error:
        return _finding(Step.POLICY, StepStatus.FAILED, error.reason, _sentence(error)), error.rule
    except UnavailableError as error:
        return _finding(Step.POLICY, StepStatus.UNAVAILABLE, error.reason, _sentence(error)), ""
    met = f"policy {policy.name} is met" + (f" by rule {rule}" if rule else "")
    if records := [f"sha256:{each.record}" for each in case.through if each.follows]:
        met += f", which follows rewrite record {' or '.join(records)}"
    return _finding(Step.POLICY, StepStatus.PROVEN, None, met), rule


def _outcome(findings: tuple[Finding, ...], excused: frozenset[Reason]) -> Outcome:
    """Failed beats unavailable, unless the rule that decided excuses it."""
    failed = {f.reason for f in findings if f.status is StepStatus.FAILED}
    if failed:
        return Outcome.ACCEPTED if excused.issuperset(failed) else Outcome.REJECTED
    if any(f.status is StepStatus.UNAVAILABLE and f.reason not in TOLERATED for f in findings):
        return Outcome.COULD_NOT_CHECK
    if findings[Step.TIME - 1].status is StepStatus.UNAVAILABLE:
        return Outcome.ACCEPTED_TIME_UNPROVEN
    return Outcome.ACCEPTED


class _Walk:
    """The steps of one examination in order; `open` while no step that others rest on has failed."""

    def __init__(
        self,
        trusted: Trust,
        at: datetime,
        profile: Profile | None,
        timestamps: Sequence[bytes] = (),
        known: Chain | None = None,
        seen: Evidence | None = None,
    ) -> None:
        self.trusted, self.at, self.profile = trusted, at, profile
        self.timestamps, self.known, self.seen = timestamps, known, seen
        self.open = True
        self.found: dict[Step, Finding] = {}
        self.signed: Signed | None = None
        self.foreign: ForeignSigned | None = None
        self.vouched: Vouched | None = None
        self.chain: Chain | None = None
        self.evidence: tuple[Evidence, ...] = ()
        self.signature = b""
        self.format: SignatureFormat | None = None
        self.remarks: list[str] = []
        self.late: list[str] = []

    def note(self, step: Step, status: StepStatus, reason: Reason | None, detail: str) -> None:
        self.found[step] = _finding(step, status, reason, detail)
        if status is StepStatus.FAILED:
            self.open = False

    def run(self, step: Step, check: Callable[[], T], malformed: Reason) -> T | None:
        """Run one step's check. It notes *proven* itself, or raises what the finding becomes."""
        try:
            return check()
        except VerificationError as error:
            self.note(step, StepStatus.FAILED, error.reason, _sentence(error))
        except MalformedError as error:
            self.note(step, StepStatus.FAILED, malformed, _sentence(error))
        except UnavailableError as error:
            self.note(step, StepStatus.UNAVAILABLE, error.reason, _sentence(error))
        except (ValueError, TypeError, OverflowError) as error:
            # What a library says of bytes nobody foresaw is about these bytes, and about no other object.
            self.note(step, StepStatus.FAILED, malformed, f"cannot be read ({type(error).__name__})")
        return None

    def object(
        self, raw: bytes, kind: ObjectKind, object_format: ObjectFormat, object_id: str
    ) -> GitObject | None:
        def check() -> GitObject:
            actual = gitobject.object_id(kind, raw, object_format)
            if actual != object_id:
                raise VerificationError(
                    Step.OBJECT, Reason.OBJECT_ID_MISMATCH, f"the bytes of {object_id} hash to {actual}"
                )
            parsed = gitobject.parse(raw, kind, object_format)
            self.note(
                Step.OBJECT, StepStatus.PROVEN, None, f"one well-formed {kind}, {object_format} id recomputed"
            )
            return parsed

        return self.run(Step.OBJECT, check, Reason.OBJECT_MALFORMED)

    def certificate_steps(
        self, signature: Signature | None, content: bytes, parsed: GitObject | None
    ) -> None:
        """Steps 2 to 7."""
        self.run(Step.SIGNATURE, lambda: self._signature(signature), Reason.SIGNATURE_MALFORMED)
        if self.open and self.signed is not None:
            made = self.signed
            self.run(Step.INTEGRITY, lambda: self._integrity(made, content), Reason.SIGNATURE_INVALID)
        if self.open and self.signed is not None:
            made = self.signed
            self.run(Step.CHAIN, lambda: self._chain(made), Reason.CERTIFICATE_INVALID)
        if self.chain is not None and self.signed is not None:
            chain, made = self.chain, self.signed
            self.run(Step.TIME, lambda: self._time(chain, made, parsed), Reason.TIMESTAMP_INVALID)
            self.run(Step.EPOCH, lambda: self._epoch(chain), Reason.BUNDLE_INVALID)
            self.run(Step.IDENTITY, lambda: self._identity(chain, parsed), Reason.COMMITTER_MISMATCH)
        if self.open and self.foreign is not None:
            self._foreign_steps(self.foreign, content, parsed)

    def _foreign_steps(self, made: ForeignSigned, content: bytes, parsed: GitObject | None) -> None:
        """Steps 3 to 7 for a signature that no authority of ours stands behind: there are no epochs."""

        def integrity() -> bool:
            key = made.verify_content(content)
            self.note(Step.INTEGRITY, StepStatus.PROVEN, None, integrity_detail(key))
            return True

        def chain() -> Vouched:
            vouched = made.verify_signer(parsed)
            self.vouched, self.remarks = vouched, [*self.remarks, *vouched.remarks]
            who = f"vouched for by {vouched.root}: {vouched.principal.display}"
            self.note(Step.CHAIN, StepStatus.PROVEN, None, who)
            return vouched

        if not self.run(Step.INTEGRITY, integrity, Reason.SIGNATURE_INVALID):
            if self.open:
                # What could not be checked, nobody has to: signatures of this kind count for nothing here.
                self.run(Step.CHAIN, lambda: _verify_counts(made, parsed), Reason.CERTIFICATE_INVALID)
            return
        vouched = self.run(Step.CHAIN, chain, Reason.CERTIFICATE_INVALID)
        if vouched is None:
            return
        self.run(Step.TIME, lambda: self._foreign_time(made, vouched, parsed), Reason.TIMESTAMP_INVALID)
        self.note(Step.EPOCH, StepStatus.NOT_APPLICABLE, None, "there are no epochs: the verifier named the root")

        def names() -> None:
            self.remarks += identity.verify_foreign(vouched, made.signer, parsed)
            self.note(Step.IDENTITY, StepStatus.PROVEN, None, vouched.principal.display)

        self.run(Step.IDENTITY, names, Reason.COMMITTER_MISMATCH)

    def _foreign_time(self, made: ForeignSigned, vouched: Vouched, parsed: GitObject | None) -> None:
        word = made.signing_time(parsed)
        signer = (evidence.said(*word),) if word is not None else ()
        named, begins = self.trusted.stampers, vouched.not_before or 0
        tokens = self.timestamps if named else ()
        beside, remarks = evidence.collect_detached(tokens, made.value, None, named, begins)
        self.evidence = (*signer, *vouched.evidence, *beside, *self._seen(begins))
        self.remarks += remarks
        self.late = evidence.remarks(self.evidence, vouched.not_after)
        if vouched.not_before is None and vouched.not_after is None:
            self.note(Step.TIME, StepStatus.NOT_APPLICABLE, None, evidence.bounded_detail(self.evidence))
            return
        found = evidence.verify_within(self.evidence, vouched.not_before, vouched.not_after)
        self.note(Step.TIME, StepStatus.PROVEN, None, evidence.within_detail(found))

    def _seen(self, begins: int) -> tuple[Evidence, ...]:
        return () if self.seen is None else (evidence.observed(self.seen, begins),)

    def _signature(self, signature: Signature | None) -> None:
        if signature is None:
            raise VerificationError(Step.SIGNATURE, Reason.SIGNATURE_MISSING, "it carries no signature")
        self.signature, self.format = signature.armour, signature.format
        found = signed.read(signature, self.trusted.anchors, self.trusted.foreign)
        if isinstance(found, CmsSigned | SshSigned):
            self.signed = found
        else:
            self.foreign = found
        self.remarks += found.remarks
        self.note(Step.SIGNATURE, StepStatus.PROVEN, None, found.detail)

    def _integrity(self, made: Signed, content: bytes) -> None:
        key = made.verify_content(content)
        self.note(Step.INTEGRITY, StepStatus.PROVEN, None, integrity_detail(key.key_id))

    def _chain(self, made: Signed) -> None:
        self.chain = made.verify_chain(self.trusted.anchors, self.profile, self.known)
        self.remarks += (*self.chain.remarks, *made.chain_remarks)
        anchor, between = self.chain.anchor, "" if self.chain.issuing is None else " through one issuing CA"
        self.note(
            Step.CHAIN,
            StepStatus.PROVEN,
            None,
            f"under pinned anchor {anchor.key.key_id}{between}, profile {anchor.profile}",
        )

    def _time(self, chain: Chain, made: Signed, parsed: GitObject | None) -> None:
        self.evidence = evidence.collect(made, chain, parsed)
        begins = int(chain.leaf.issued_at.timestamp())
        # A CMS signature has its authority's time-stamp inside; beside it only others' are looked for.
        own = chain.anchor if isinstance(made, SshSigned) else None
        others = evidence.independent(self.trusted.stampers, self.trusted.of(chain.anchor).anchors)
        tokens = self.timestamps if own or self.trusted.stampers else ()
        beside, remarks = evidence.collect_detached(tokens, made.value, own, others, begins)
        self.evidence += (*beside, *self._seen(begins))
        self.remarks += remarks
        self.late = evidence.remarks(self.evidence, evidence.validity(chain.leaf)[1])
        found = evidence.verify_time(self.evidence, chain.leaf, self.at)
        self.note(Step.TIME, StepStatus.PROVEN, None, evidence.within_detail(found))

    def _epoch(self, chain: Chain) -> None:
        epoch = trust.verify_epoch(self.trusted, chain, self.evidence, self.at)
        bundle = self.trusted.of(chain.anchor).bundle
        sequence = bundle.sequence if bundle else 0
        self.note(
            Step.EPOCH, StepStatus.PROVEN, None, f"epoch {epoch.number} was acceptable (bundle {sequence})"
        )

    def _identity(self, chain: Chain, parsed: GitObject | None) -> None:
        self.remarks += identity.verify_identity(chain.leaf, parsed)
        self.note(Step.IDENTITY, StepStatus.PROVEN, None, identity.summary(chain.leaf))

    def _identity_proven(self) -> Identity | None:
        if self.chain is not None:
            return identity.describe(self.chain.leaf)
        if self.vouched is not None and self.foreign is not None:
            return identity.describe_foreign(self.vouched, self.foreign.signer)
        return None

    def done(
        self,
        kind: str,
        object_format: str,
        object_id: str,
        parsed: GitObject | None,
        payload: bytes,
        *,
        claims: bool = False,
    ) -> Examination:
        """The examination; with `claims`, what the object says of itself is held against what was proven."""
        proven = self._identity_proven()
        foreign = any(f.reason in (Reason.SIGNATURE_FOREIGN, Reason.SIGNATURE_MISSING) for f in self.found.values())
        self.found[Step.POLICY] = _finding(Step.POLICY, StepStatus.NOT_APPLICABLE, None, "no policy was asked for")
        for step in STEPS:
            if step in self.found:
                continue
            if foreign:
                self.found[step] = _finding(
                    step, StepStatus.NOT_APPLICABLE, None, "there is no signature of ours"
                )
            else:
                self.found[step] = _finding(
                    step, StepStatus.UNAVAILABLE, Reason.EARLIER_STEP, "not looked at: an earlier step failed"
                )
        used = self.trusted if self.chain is None else self.trusted.of(self.chain.anchor)
        bundle, age = used.bundle, used.age(self.at)
        return Examination(
            kind=kind,
            object_format=object_format,
            object_id=object_id,
            parsed=parsed,
            payload=payload,
            signature=self.signature,
            signature_format=self.format,
            signed=self.signed,
            chain=self.chain,
            evidence=self.evidence,
            findings=tuple([self.found[step] for step in STEPS]),
            remarks=(*self.remarks, *self.late),
            bundle_sequence=bundle.sequence if bundle else 0,
            bundle_age=max(0, int(age.total_seconds())) if age is not None else 0,
            contradictions=contradictions.find(
                parsed, proven, signed=self.format is not None, evidence=self.evidence
            )
            if claims
            else (),
            foreign=self.foreign,
            vouched=self.vouched,
            identity=proven,
            current_epoch=bundle.epochs[-1].number if bundle else None,
        )


def _verify_counts(made: ForeignSigned, parsed: GitObject | None) -> None:
    """`VerificationError` where no root of this kind was named; nothing else is said of an unchecked signature."""
    try:
        made.verify_signer(parsed)
    except VerificationError as error:
        if error.reason is Reason.SIGNATURE_FOREIGN:
            raise
    raise UnavailableError("not looked at: an earlier step could not be checked", reason=Reason.EARLIER_STEP)


def integrity_detail(key: str) -> str:
    """For the finding of step 3 where it is proven."""
    return f"verifies over the signed bytes with key {key}"


def _finding(step: Step, status: StepStatus, reason: Reason | None, detail: str) -> Finding:
    return Finding(step=int(step), status=status, reason=str(reason) if reason else "", detail=detail)


def _sentence(error: Error) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message
