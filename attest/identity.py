"""Step 7: who acted, for whom, and do the object's own lines agree (design D14).

The certificate alone gives the identity. Author, committer, tagger, pusher and trailers are claims:
they can contradict the certificate, they never add to it.
"""

from __future__ import annotations

from attest import fulcio
from attest.certificate import BridgeCertificate
from attest.claims import Claims
from attest.errors import Reason, Step, VerificationError
from attest.foreign.vouched import Vouched
from attest.gitobject import Commit, PushCertificate, Tag
from attest.profile import RULES
from attest.row import Signer
from attest.types import Assurance, Authentication, CiClaim, Identity, Principal, PrincipalKind

AUTHORED_BY_OTHER = "authored-by-other"
"""Remark: rebase, cherry-pick and am keep the author of what they replay; the built-in rule lets that pass."""

NO_ADDRESS = "no-address-in-certificate"
"""Remark: the certificate names no e-mail address, so committer and author could not be held against it."""

UNCHECKED = "payload-unchecked"
"""Remark: the signer saw a digest alone, so that it was one of git's objects is the agent's word."""

KEY_PREFIX = "notme:"
"""How `user.signingkey` names one of our agents; git copies it into the pusher line of a push certificate."""


def describe(leaf: BridgeCertificate) -> Identity:
    """The identity in its stored form. A certificate that names no represented principal has none."""
    claims = leaf.claims
    if claims is None:
        actor = Principal(
            id=leaf.uri or leaf.subject,
            kind=PrincipalKind.WORKLOAD,
            name=leaf.subject,
            display=leaf.subject,
            email=leaf.emails[0] if leaf.emails else "",
            authentication=Authentication.SELF_ASSERTED,
        )
        return _identity(leaf, actor, None, Assurance.REMOTE_AUTHORITY, "", b"")
    actor = _actor(leaf, claims)
    return _identity(leaf, actor, claims.represented, claims.assurance, claims.grant_id, claims.grant_sha256)


def _actor(certificate: BridgeCertificate, claims: Claims) -> Principal:
    return Principal(
        id=certificate.uri,
        kind=claims.actor_kind,
        name=claims.actor_name,
        display=claims.actor_name,
        email=claims.actor_email,
        authentication=Authentication.SELF_ASSERTED,
    )


def describe_foreign(vouched: Vouched, signer: Signer) -> Identity:
    """Who is behind a signature of somebody else's: nobody is represented, no authority says what separates."""
    return Identity(
        actor=vouched.principal,
        represented=None,
        grant_id="",
        grant_sha256=b"",
        scopes=(),
        epoch=0,
        assurance=Assurance.SAME_USER,
        certificate_sha256=bytes.fromhex(signer.leaf_sha256),
        payload_unchecked=False,
        delegator=None,
        ci=(),
    )


def summary(leaf: BridgeCertificate) -> str:
    """One line for a person, e.g. in git's `%GS`; control characters become `?`."""
    text = (
        leaf.claims.summary(delegator_name(leaf))
        if leaf.claims
        else f"{leaf.subject} ({leaf.profile}; represented principal: none)"
    )
    if leaf.payload_unchecked:
        text = text.removesuffix(")") + ", payload unchecked)"
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def delegator_name(leaf: BridgeCertificate) -> str:
    """The name of who issued the certificate within its own grant; empty where the authority issued it."""
    above = leaf.delegator
    return above.claims.actor_name if above is not None and above.claims is not None else ""


def verify_identity(leaf: BridgeCertificate, parsed: Commit | Tag | PushCertificate | None) -> list[str]:
    """Returns remarks, or raises `VerificationError` (step 7). `parsed` is None for content that is no git object."""
    scope = RULES[leaf.profile].scope
    if scope and scope not in leaf.scopes and not leaf.payload_unchecked:
        held = ", ".join(leaf.scopes) or "none"
        raise VerificationError(
            Step.IDENTITY, Reason.SCOPE_MISSING, f"the certificate's scopes ({held}) do not include {scope}"
        )
    remarks = [UNCHECKED] if leaf.payload_unchecked else []
    return remarks if parsed is None else remarks + _verify_names(leaf, parsed)


def _verify_names(leaf: BridgeCertificate, parsed: Commit | Tag | PushCertificate) -> list[str]:
    addresses = known_addresses(leaf)
    if not addresses:
        return [NO_ADDRESS]
    match parsed:
        case Commit():
            _check_address("committer", parsed.committer.email, addresses)
            return [] if _fold(parsed.author.email) in addresses else [AUTHORED_BY_OTHER]
        case Tag():
            if parsed.tagger is None:
                raise VerificationError(Step.IDENTITY, Reason.COMMITTER_MISMATCH, "the tag names no tagger")
            _check_address("tagger", parsed.tagger.email, addresses)
        case PushCertificate():
            _check_pusher(parsed, leaf, addresses)
    return []


def verify_foreign(
    vouched: Vouched, signer: Signer, parsed: Commit | Tag | PushCertificate | None
) -> list[str]:
    """As `verify_identity`, for who is vouched for by a root that the verifier named."""
    addresses = {_fold(address) for address in vouched.addresses}
    if not addresses:
        return [NO_ADDRESS]
    match parsed:
        case Commit():
            _check_address("committer", parsed.committer.email, addresses, vouched=True)
            return [] if _fold(parsed.author.email) in addresses else [AUTHORED_BY_OTHER]
        case Tag():
            if parsed.tagger is None:
                raise VerificationError(Step.IDENTITY, Reason.COMMITTER_MISMATCH, "the tag names no tagger")
            _check_address("tagger", parsed.tagger.email, addresses, vouched=True)
        case PushCertificate():
            pusher = parsed.pusher.decode("utf-8", "replace")
            address = pusher.rpartition("<")[2].removesuffix(">")
            if pusher.strip() != signer.key:
                _check_address("pusher", address, addresses, vouched=True)
    return []


def known_addresses(leaf: BridgeCertificate) -> set[str]:
    """Lower-cased e-mail addresses of actor and represented principal."""
    claims = leaf.claims
    if claims is None:
        named = leaf.emails or ((leaf.subject,) if "@" in leaf.subject else ())
        return {_fold(email) for email in named}
    known = {_fold(claims.actor_email)}
    if claims.represented is not None:
        known.add(_fold(claims.represented.email))
    return known - {""}


def _check_address(role: str, email: str, addresses: set[str], *, vouched: bool = False) -> None:
    if _fold(email) in addresses:
        return
    known = ", ".join(sorted(addresses))
    said = f"{role} <{email}> is neither the actor nor the represented principal ({known})"
    if vouched:
        said = f"{role} <{email}> is none of the addresses that the signer is vouched for with ({known})"
    raise VerificationError(Step.IDENTITY, Reason.COMMITTER_MISMATCH, said)


def _check_pusher(parsed: PushCertificate, leaf: BridgeCertificate, addresses: set[str]) -> None:
    """git writes `user.signingkey` as the pusher where the format has key names, else name and e-mail."""
    pusher = parsed.pusher.decode("utf-8", "replace")
    name = leaf.claims.actor_name if leaf.claims else leaf.subject
    if above := delegator_name(leaf):
        name = f"{above}/{name}"
    # In format ssh it is the fingerprint of what `user.signingkey` names, and git leaves a blank after it.
    named = {KEY_PREFIX + name, f"{KEY_PREFIX}{name}:{leaf.profile}", *leaf.fingerprints}
    _, _, rest = pusher.rpartition("<")
    if pusher.removesuffix(" ") not in named and _fold(rest.removesuffix(">")) not in addresses:
        raise VerificationError(
            Step.IDENTITY,
            Reason.COMMITTER_MISMATCH,
            f"pusher {pusher!r} is neither the actor nor the represented principal",
        )


def _identity(
    leaf: BridgeCertificate,
    actor: Principal,
    represented: Principal | None,
    assurance: Assurance,
    grant_id: str,
    grant_sha256: bytes,
) -> Identity:
    above = leaf.delegator
    return Identity(
        actor=actor,
        represented=represented,
        grant_id=grant_id,
        grant_sha256=grant_sha256,
        scopes=leaf.scopes,
        epoch=leaf.epoch or 0,
        assurance=assurance,
        certificate_sha256=leaf.sha256,
        payload_unchecked=leaf.payload_unchecked,
        delegator=_actor(above, above.claims) if above is not None and above.claims is not None else None,
        ci=tuple(CiClaim(name, value) for name, value in fulcio.named(leaf.ci).items()),
    )


def _fold(email: str) -> str:
    """Addresses differ in case alone in practice only; ASCII is folded, nothing else."""
    return email.lower() if email.isascii() else "".join(c.lower() if c.isascii() else c for c in email)
