"""From who was proven to a pair of certificates: which grant, which scopes, and the record of it.

Every certificate is issued under a grant on record. An account asks for itself (its standing grant) or for one of its
agents; a workload is mapped by a rule of the organization, whose grant is put on record when it is first used. Nothing
is given because it was asked for: what is effective is what was asked and granted.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509

from attest import canonical
from attest.errors import RefusedError
from attest.profile import CERT_MINT, Profile
from attest.types import Authentication, Constraints, Grant, Principal, PrincipalKind
from notme_git.authority import accounts, grants, identity
from notme_git.authority.embedded import Authority
from notme_git.authority.identity import Identity
from notme_git.authority.issue import Draft, Proofs, Request, draft
from notme_git.authority.issue_ca import CaRequest, issue_ca
from notme_git.authority.proofs.configured import WorkloadRule
from notme_git.authority.sessions import Session
from notme_git.authority.settings import Settings

ELIGIBLE = (accounts.BRIDGE, accounts.GIT, "sign:git-blind", "sign:attestation")
"""Scopes that a certificate may carry; the others are for sessions and tokens."""

WORKLOAD_GRANT = timedelta(days=3650)
NO_NONCE = "no-nonce"
PROGRAM = "program"
MAX_LOCAL = 64
DIGEST = 24
"""Hexadecimal digits that tell workloads apart whose names look alike: nobody finds two names of 96 equal bits."""


class ScopeError(RefusedError):
    """None of the scopes asked for may be given. `requested` and the others are told to the caller."""

    def __init__(self, message: str, **told: tuple[str, ...]) -> None:
        super().__init__(message)
        self.told = told


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client asks for: keys as SubjectPublicKeyInfo DER, proofs, and what the certificates shall say."""

    mtls_key: bytes
    signing_key: bytes
    proofs: Proofs
    scopes: tuple[str, ...] | None = None
    agent: str = ""
    grant: str = ""
    profile: Profile = Profile.NOTME
    session: str = ""
    task_digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks, once proven: what it holds, and the grants it may use. `subject` is upstream's principal id.

    One that `renews` goes by a certificate, and gets what that one was issued under: its grant, its session.
    """

    subject: str
    method: str
    held: tuple[str, ...]
    session: str
    own: Grant
    account: str = ""
    facts: Identity | None = None
    renews: bool = False


def of_session(authority: Authority, session: Session) -> Applicant:
    """A signed-in account. Of a program's session the certificate says so: nobody showed that they are there."""
    account = session.account
    stored = authority.store.grant(account.grant_id)
    method = f"{session.method}+{PROGRAM}" if session.of_program else session.method
    return Applicant(account.id, method, session.scopes, session.id, stored.grant, account=account.id)


def of_workload(authority: Authority, settings: Settings, proven: Identity, rule: WorkloadRule | None) -> Applicant:
    """A workload; without a rule for it, it gets upstream's `bridgeCert` and no more."""
    names = proven.names
    actor = Principal(
        id=identity.uri(settings.trust_domain, *names),
        kind=PrincipalKind.WORKLOAD,
        name=rule.name_of(proven) if rule else "/".join(names[1:]),
        display="/".join(names[1:]),
        email=(rule.email if rule else "") or f"{_local(names)}@{authority.id}.invalid",
        authentication=Authentication.OIDC,
    )
    scopes = (accounts.BRIDGE, *(rule.scopes if rule else ()))
    granted = Grant(
        version=grants.GRANT_VERSION,
        id="",
        actor=actor,
        represented=organization(authority),
        scopes=tuple(scope for scope in grants.SCOPES if scope in scopes),
        created_at=0,
        expires_at=0,
        constraints=Constraints(
            repositories=tuple(rule.repositories) if rule else (), branches=tuple(rule.branches) if rule else ()
        ),
        delegation_depth=0,
        purpose="a workload, mapped by the settings",
    )
    return Applicant(proven.subject, proven.method, granted.scopes, "", granted, facts=proven)


def organization(authority: Authority) -> Principal:
    """On whose behalf workloads act: the organization whose settings map them, on one's own machine the human."""
    named = authority.store.setting("organization")
    found = authority.store.principal(named) if named else None
    return found if found is not None else authority.human


def common(ask: Ask, held: tuple[str, ...]) -> tuple[str, ...]:
    """The scopes that were asked for and are held; `ScopeError` for none."""
    wanted = ask.scopes if ask.scopes is not None else _default(ask)
    both = tuple(scope for scope in held if scope in wanted)
    if not both:
        raise ScopeError("none of the requested scopes are granted", requested=wanted, granted=held)
    return both


def effective(ask: Ask, held: tuple[str, ...]) -> tuple[str, ...]:
    """Those of them that a certificate may carry; `ScopeError` for none."""
    both = common(ask, held)
    carried = tuple(scope for scope in ELIGIBLE if scope in both)
    if not carried:
        raise ScopeError(
            "none of the requested scopes may be carried by a certificate",
            requested=ask.scopes or both,
            eligible=ELIGIBLE,
        )
    return carried


def prepare(
    authority: Authority,
    settings: Settings,
    applicant: Applicant,
    ask: Ask,
    *,
    suffix: bytes,
    marks: tuple[str, ...],
    at: datetime,
) -> Draft:
    """Sign a pair that is not on record yet. Raises `RefusedError`."""
    granted = _grant(authority, applicant, ask, at)
    own = granted.actor.id == applicant.own.actor.id
    scopes = effective(ask, applicant.held if own else granted.scopes)
    request = Request(
        grant=granted,
        profile=ask.profile,
        scopes=tuple(scope for scope in scopes if scope in granted.scopes),
        mtls_key=ask.mtls_key,
        signing_key=ask.signing_key,
        proofs=ask.proofs,
        suffix=suffix,
        session=applicant.session if applicant.renews else ask.session or applicant.session,
        task_digest=ask.task_digest,
        subject=applicant.subject if own else "",
        legacy_digest=settings.compat.legacy_digest,
        ci=applicant.facts.ci if applicant.facts else (),
    )
    method = "+".join((applicant.method, *marks))
    return draft(authority, request, assurance=settings.assurance, auth_method=method, at=at)


def certify_orchestrator(
    authority: Authority, settings: Settings, applicant: Applicant, ask: Ask, *, suffix: bytes, at: datetime
) -> x509.Certificate:
    """An issuing CA over `ask.signing_key`, on record in the caller's transaction. Raises `RefusedError`."""
    if applicant.renews:
        raise RefusedError("a certificate for five minutes gets no issuing CA", hint="prove who you are anew")
    granted = _grant(authority, applicant, replace(ask, scopes=(CERT_MINT,)), at)
    request = CaRequest(
        grant=granted,
        profile=ask.profile,
        key=ask.signing_key,
        proof=ask.proofs.signing,
        suffix=suffix,
        session=ask.session or applicant.session,
        task_digest=ask.task_digest,
        ci=applicant.facts.ci if applicant.facts else (),
    )
    return issue_ca(authority, request, assurance=settings.assurance, auth_method=applicant.method, at=at)


def _local(names: tuple[str, ...]) -> str:
    """The local part of a workload's address (RFC 5321 section 4.5.3.1.1), another for every other workload."""
    local = re.sub(r"[^A-Za-z0-9_-]+", ".", ".".join(names)).strip(".")
    if all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in names) and len(local) <= MAX_LOCAL:
        return local
    digest = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:DIGEST]
    return f"{local[: MAX_LOCAL - DIGEST - 1]}.{digest}".strip(".").replace("..", ".")


def _default(ask: Ask) -> tuple[str, ...]:
    return (accounts.GIT,) if ask.agent or ask.grant else (accounts.BRIDGE,)


def _grant(authority: Authority, applicant: Applicant, ask: Ask, at: datetime) -> Grant:
    if applicant.facts is not None:
        return _workload_grant(authority, applicant.own, at)
    if not (ask.agent or ask.grant):
        return applicant.own
    if applicant.renews:
        raise RefusedError("a certificate is renewed under its own grant", hint="ask without agent and grant")
    who = applicant.own.actor.id
    if ask.grant:
        named = authority.store.grant(ask.grant).grant
        if named.represented is None or named.represented.id != who or ask.agent not in ("", named.actor.name):
            raise RefusedError(f"grant {ask.grant[:64]} is not one of yours")
        return named
    named_so = authority.store.grants_of(ask.agent)
    of_agent = [each for each in named_so if each.grant.represented and each.grant.represented.id == who]
    scope = ask.scopes[0] if ask.scopes else accounts.GIT
    return grants.select(of_agent, ask.agent, scope=scope, at=at)


def _workload_grant(authority: Authority, wanted: Grant, at: datetime) -> Grant:
    """The grant on record that says the same. Its id follows from what it says, so a revoked one stays revoked."""
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, canonical.digest(wanted).hex()))
    try:
        return authority.store.grant(name).grant
    except RefusedError:
        pass
    created = int(at.timestamp())
    lasting = created + int(WORKLOAD_GRANT.total_seconds())
    granted = replace(wanted, id=name, created_at=created, expires_at=lasting)
    try:
        authority.store.add_grant(granted)
    except RefusedError:  # another process was first
        return authority.store.grant(name).grant
    return granted
