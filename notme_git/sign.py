"""Sign one git payload as an agent: decide, enrol, sign, time-stamp, and examine the product.

The payload must be a commit, tag or push certificate; nothing else is ever signed. What this module
returns has passed the same examination that a verifier will hold it to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from attest import cms, gitobject, identity, verify
from attest.errors import MalformedError, RefusedError, Step, VerificationError
from attest.gitobject import Commit
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.trust import Trust
from attest.types import Outcome
from attest.verify import Examination
from notme_git.authority import grants
from notme_git.authority.embedded import Authority
from notme_git.enroll import local
from notme_git.enroll.local import Credential

SCOPE = "sign:git"
MAX_PAYLOAD_BYTES = gitobject.MAX_OBJECT_BYTES


@dataclass(frozen=True, slots=True)
class Signed:
    """An armoured signature and what an examination of it found."""

    armour: bytes
    credential: Credential
    examination: Examination


def sign_payload(
    authority: Authority,
    trusted: Trust,
    payload: bytes,
    *,
    agent: str,
    profile: Profile,
    replaying: bool,
    at: datetime,
) -> Signed:
    """Sign `payload` as `agent` under its grant.

    `replaying` says that git is replaying existing commits (rebase, cherry-pick, am), which keeps their authors.
    Raises `RefusedError` for what the grant or design D14 does not allow, `MalformedError` for no git payload.
    """
    parsed = _parse(payload)
    records = authority.store.grants()
    grant = grants.select(records, agent, scope=SCOPE, at=at)
    credential = local.enroll(authority, grant, profile, SCOPE, trusted.anchors, at)
    _check_identity(credential, parsed, replaying)
    pending = cms.to_be_signed(payload, credential.algorithm, signing_time=at)
    signature = credential.sign(pending.data)
    armour = cms.armour(
        cms.assemble(
            pending, signature, signer=credential.certificate, timestamp=credential.stamp(signature, at)
        )
    )
    examination = verify.examine_signature(armour, payload, trusted, at=at, profile=profile, git=True)
    _check_product(examination, at)
    return Signed(armour, credential, examination)


def _parse(payload: bytes) -> verify.GitObject:
    try:
        return gitobject.parse_payload(payload)
    except MalformedError as error:
        raise MalformedError(
            f"this is no commit, tag or push certificate, and nothing else is signed: {error.message}",
            hint=error.hint,
        ) from None


def _check_identity(credential: Credential, parsed: verify.GitObject, replaying: bool) -> None:
    leaf = credential.chain.leaf
    known = ", ".join(sorted(identity.known_addresses(leaf)))
    try:
        remarks = identity.verify_identity(leaf, parsed)
    except VerificationError as error:
        raise RefusedError(
            f"not signed: {error.message}",
            hint=f"use one of these addresses: {known} (notme-git setup sets them)",
        ) from None
    if (
        identity.AUTHORED_BY_OTHER in remarks
        and isinstance(parsed, Commit)
        and not replaying
        and _is_new(parsed)
    ):
        raise RefusedError(
            f"not signed: author <{parsed.author.email}> of a new commit is neither the agent nor the human",
            hint=f"use one of these addresses: {known}; rebase, cherry-pick and am may keep another author",
        )


def _is_new(commit: Commit) -> bool:
    """git gives a new commit one instant for author and committer; a replayed one keeps its author's."""
    return commit.author.seconds == commit.committer.seconds


def _check_product(examination: Examination, at: datetime) -> None:
    """A signer that checks its own output catches its own mistakes."""
    verdict = verify.judge(examination, Policy(), Context(), at=at)
    if verdict.outcome is Outcome.ACCEPTED:
        return
    bad = [f for f in verdict.findings.findings if f.status in ("failed", "unavailable")]
    # Constraints are for the verifier, who knows ref and repository (design D4).
    bad = [f for f in bad if f.step not in (Step.OBJECT, Step.POLICY)]
    if bad:
        raise RefusedError(
            f"the signature made did not pass its own examination: step {bad[0].step}: {bad[0].detail}"
        )
