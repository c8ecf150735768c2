"""Sign one git payload with an agent's credential: check who it names, sign, time-stamp, and examine the product.

The payload must be a commit, tag or push certificate; nothing else is ever signed. What this module
returns has passed the same examination that a verifier will hold it to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from attest import cms, gitobject, identity, sshsig, verify
from attest.certificate import Chain
from attest.errors import MalformedError, RefusedError, Step, UnavailableError, VerificationError
from attest.gitobject import Commit, ObjectFormat, ObjectKind, PushCertificate, Signature, SignatureFormat, Tag
from attest.instants import instant, rfc3339
from attest.signed import GitObject
from attest.trust import Trust
from attest.types import StepStatus
from attest.verify import Examination
from notme_git.enroll.local import Credential

SCOPE = "sign:git"
MAX_PAYLOAD_BYTES = gitobject.MAX_OBJECT_BYTES


@dataclass(frozen=True, slots=True)
class Signed:
    """An armoured signature, the RFC 3161 token over it, and what an examination found.

    `object_id` is the id of the object that the payload becomes with this signature, empty for a push certificate,
    whose repository's hash function nobody names.
    """

    armour: bytes
    token: bytes
    kind: ObjectKind
    object_id: str
    examination: Examination
    warning: str = ""


UNSTAMPED = "time unproven: the signature has no time-stamp"


def parse(payload: bytes) -> GitObject:
    """The one commit, tag or push certificate that `payload` is; `MalformedError` for all else."""
    try:
        return gitobject.parse_payload(payload)
    except MalformedError as error:
        raise MalformedError(
            f"this is no commit, tag or push certificate, and nothing else is signed: {error.message}",
            hint=error.hint,
        ) from None


def sign_payload(
    credential: Credential,
    trusted: Trust,
    parsed: GitObject,
    *,
    form: SignatureFormat,
    replaying: bool,
    unstamped: Callable[[], bool] = lambda: False,
    at: datetime,
) -> Signed:
    """Sign what `parse` returned, in CMS or as an SSH signature.

    `replaying` says that git is replaying existing commits (rebase, cherry-pick, am), which keeps their authors;
    `unstamped` is asked where the authority's time-stamp cannot be had whether the signature may go without.
    Raises `RefusedError` for what design D14 does not allow.
    """
    payload = parsed.payload
    chain = credential.chain if form is SignatureFormat.X509 else credential.ssh_chain
    if chain is None:
        if credential.chain.issuing is not None:
            raise RefusedError(
                "not signed: OpenSSH certificates have no chains, so an orchestrator's agents sign in x509 alone",
                hint="run notme-git setup --agent ORCHESTRATOR/CHILD --format x509",
            )
        profile = credential.chain.anchor.profile
        raise RefusedError(f"profile {profile} has no SSH certificates", hint="run notme-git setup --format ssh")
    check_identity(chain, parsed, replaying)
    if form is SignatureFormat.X509:
        armour, token = _cms(credential, payload, unstamped, at)
    else:
        _check_window(chain, parsed)
        armour, token = _ssh(credential, payload, unstamped, at)
    examination = verify.examine_signature(
        armour, payload, trusted, at=at, profile=chain.anchor.profile, git=True, parsed=parsed, known_chain=chain
    )
    _check_product(examination)
    kind, object_id = become(parsed, Signature(form, armour))
    return Signed(armour, token, kind, object_id, examination, "" if token else UNSTAMPED)


def check_identity(chain: Chain, parsed: GitObject, replaying: bool) -> None:
    """`RefusedError` unless committer and author are those the certificate names, or git keeps another's commit."""
    known = ", ".join(sorted(identity.known_addresses(chain.leaf)))
    try:
        remarks = identity.verify_identity(chain.leaf, parsed)
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


def _cms(
    credential: Credential, payload: bytes, unstamped: Callable[[], bool], at: datetime
) -> tuple[bytes, bytes]:
    pending = cms.to_be_signed(payload, credential.algorithm, signing_time=at)
    signature = credential.sign(pending.data)
    token = _stamp(credential, signature, unstamped, at)
    above = () if credential.chain.issuing is None else (credential.chain.issuing,)
    made = cms.assemble(pending, signature, signer=credential.certificate, intermediates=above, timestamp=token or None)
    return cms.ARMOUR.wrap(made), token


def _ssh(
    credential: Credential, payload: bytes, unstamped: Callable[[], bool], at: datetime
) -> tuple[bytes, bytes]:
    signature = credential.sign(sshsig.to_be_signed(payload))
    token = _stamp(credential, signature, unstamped, at)
    return sshsig.ARMOUR.wrap(sshsig.assemble(credential.ssh_certificate, signature)), token


def _stamp(credential: Credential, signature: bytes, unstamped: Callable[[], bool], at: datetime) -> bytes:
    """The authority's token, empty where there is none to have and the signature may go without."""
    try:
        return credential.stamp(signature, at)
    except UnavailableError:
        if unstamped():
            return b""
        raise


def _check_window(chain: Chain, parsed: GitObject) -> None:
    """Stock ssh-keygen judges a certificate at the date in the object, so that date must lie in its window (D3).

    The end of an OpenSSH certificate's window is not part of it (PROTOCOL.certkeys, `valid before`).
    """
    leaf, seconds = chain.leaf, _stated(parsed)
    if seconds is not None and not leaf.not_before <= instant(seconds) < leaf.not_after:
        raise RefusedError(
            f"not signed: its date {rfc3339(seconds)} is outside the certificate's window, "
            f"{leaf.not_before:%H:%M:%SZ} to {leaf.not_after:%H:%M:%SZ}",
            hint="let git set the date (no --committer-date-is-author-date, no GIT_COMMITTER_DATE), or sign in x509",
        )


def _stated(parsed: GitObject) -> int | None:
    match parsed:
        case Commit():
            return parsed.committer.seconds
        case Tag():
            return parsed.tagger.seconds if parsed.tagger is not None else None
        case PushCertificate():
            return parsed.seconds


def _is_new(commit: Commit) -> bool:
    """git gives a new commit one instant for author and committer; a replayed one keeps its author's."""
    return commit.author.seconds == commit.committer.seconds


def become(parsed: GitObject, signature: Signature) -> tuple[ObjectKind, str]:
    """What git makes of payload and signature."""
    if isinstance(parsed, PushCertificate):
        return ObjectKind.PUSH_CERTIFICATE, ""
    kind = ObjectKind.COMMIT if isinstance(parsed, Commit) else ObjectKind.TAG
    named = parsed.tree if isinstance(parsed, Commit) else parsed.object
    fmt = ObjectFormat.SHA256 if len(named) == ObjectFormat.SHA256.hex_length else ObjectFormat.SHA1
    return kind, gitobject.object_id(kind, replace(parsed, signature=signature).encode(), fmt)


def _check_product(examination: Examination) -> None:
    """A signer that checks its own output catches its own mistakes.

    Step 8 is for the verifier, who knows ref and repository (design D4); an SSH signature's time-stamp travels
    beside it.
    """
    for found in examination.findings[: Step.POLICY - 1]:
        tolerated = found.status is StepStatus.UNAVAILABLE and found.reason in verify.TOLERATED
        if found.status is not StepStatus.PROVEN and not tolerated:
            raise RefusedError(
                f"the signature made did not pass its own examination: step {found.step}: {found.detail}"
            )
