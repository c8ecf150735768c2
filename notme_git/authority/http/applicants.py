"""Who stands at `/cert`: each kind of proof as one function, chosen by `proof.type`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import bindparam, select
from starlette.requests import Request

from attest.errors import RefusedError
from attest.types import Authentication
from notme_git.authority import accounts, enrolment, passkeys, sessions
from notme_git.authority.accounts import Account
from notme_git.authority.enrolment import Applicant
from notme_git.authority.http import body, forms
from notme_git.authority.http.answers import HttpError
from notme_git.authority.http.desk import Desk, client_address
from notme_git.authority.identity import Identity
from notme_git.authority.proofs import bridge, oidc
from notme_git.authority.proofs.github import METHOD as GITHUB
from notme_git.authority.proofs.jwt import TokenError, shown
from notme_git.authority.proofs.table import ProofContext
from notme_git.authority.records import accounts as account_table
from notme_git.authority.records import sessions as session_table
from notme_git.authority.sessions import Session

BOOTSTRAP = "bootstrap"
JTI = "jti"
USED = "token already used"
UNTIL_FORGOTTEN = timedelta(days=3650)
"""For how long a value of another package's proof is remembered that does not say when it ends."""

T = TypeVar("T")

_whose = select(account_table.c.principal_id).where(
    session_table.c.id == bindparam("sid"), account_table.c.id == session_table.c.account
)


@dataclass(frozen=True, slots=True)
class Proven:
    """Somebody proven. `spend` uses up, in the transaction that issues, what is good once, and says who applies.

    `applicant` is None where that is known only then: a bootstrap code makes its account as it is used.
    """

    spend: Callable[[], Applicant]
    applicant: Applicant | None = None
    claims: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """What a prover has to go by. `preimage` is what the proofs of possession cover; empty where no keys were sent."""

    desk: Desk
    request: Request
    proof: Mapping[str, Any]
    preimage: bytes
    nonce: str
    at: datetime


Prover = Callable[[Call], Awaitable[Proven]]


def of_session(desk: Desk, session: Session) -> Proven:
    """A signed-in account, which nothing is used up for."""
    applicant = enrolment.of_session(desk.authority, session)
    return Proven(lambda: applicant, applicant)


async def by_session(call: Call) -> Proven:
    """`{"type": "session"}` with the cookie."""
    body.take(call.proof, {"type": str}, "proof")
    forms.check_origin(call.request)
    try:
        return of_session(call.desk, call.desk.session(call.request, call.at))
    except RefusedError as refused:
        raise HttpError(401, refused.message) from None


async def by_bootstrap(call: Call) -> Proven:
    """`{"type": "bootstrap", "code": ...}`: the operator's code, once; makes an administrator's account."""
    desk, at = call.desk, call.at
    code = body.take(call.proof, {"type": str, "code": str}, "proof").get("code", "")
    desk.check_rate(f"code:{client_address(call.request)}", desk.settings.limits.code, at)

    def spend() -> Applicant:
        use_code(desk, code, at)
        account = accounts.create(
            desk.records,
            desk.settings.trust_domain,
            display="operator",
            email="",
            scopes=accounts.ADMIN,
            authentication=Authentication.SELF_ASSERTED,
            at=at,
        )
        granted = desk.authority.store.grant(account.grant_id).grant
        return Applicant(account.id, BOOTSTRAP, accounts.ADMIN, "", granted, account=account.id)

    return Proven(spend)


def use_code(desk: Desk, code: str, at: datetime) -> None:
    """Use the operator's code up in the open transaction, or answer 403. Once people are in, only one for recovery."""
    told = "invalid or consumed bootstrap code"
    try:
        kept = desk.records.claim(BOOTSTRAP, code, int(at.timestamp()))
    except RefusedError:
        raise HttpError(403, told) from None
    if passkeys.count(desk.records)[1] and not recovers(kept):
        raise HttpError(403, told)


def recovers(kept: str) -> bool:
    """Whether an operator's code also lets somebody in where people are in already, by what is kept under it."""
    return json.loads(kept or "{}").get("recovery") is True


async def github(desk: Desk, token: str, at: datetime) -> Proven:
    """A GitHub Actions job, in upstream's order of checks and words; `claims` are those of its token."""
    return _workload(desk, await _told(desk.proofs.github(token, at)), at, known=True)


async def by_oidc(call: Call) -> Proven:
    """`{"type": "oidc", "token": ...}` of any provider of the settings: a mapped workload, or a connected account."""
    desk, at = call.desk, call.at
    return _of_identity(desk, await _told(desk.proofs.token(_token(call), at)), at)


async def by_other(call: Call) -> Proven:
    """A proof of another package, `{"type": NAME, "token": ...}`."""
    context = ProofContext(call.desk.settings.url, call.at, call.nonce, call.preimage)
    found = await _told(call.desk.proofs.other(call.proof["type"], _token(call), context))
    return _of_identity(call.desk, found, call.at)


async def by_bridge(call: Call) -> Proven:
    """`{"type": "bridge", "certificate": PEM, "signature": base64url}`: the holder of a certificate, for its grant."""
    proof = body.take(call.proof, {"type": str, "certificate": str, "signature": str}, "proof")
    if not call.nonce or not call.preimage:
        raise HttpError(400, "nonce, public_keys and proofs required with a bridge certificate")
    authority = call.desk.authority
    read = bridge.verify(
        proof.get("certificate", ""),
        body.unbase64(proof.get("signature", "")),
        nonce=call.nonce,
        preimage=call.preimage,
        authority=authority,
        at=call.at,
    )
    granted = authority.store.grant(read.claims.grant_id).grant
    held = tuple(scope for scope in granted.scopes if scope in read.scopes)
    applicant = Applicant(read.subject, bridge.METHOD, held, read.claims.session, granted, renews=True)
    return Proven(lambda: applicant, applicant)


def check_renewable(desk: Desk, applicant: Applicant, at: datetime) -> None:
    """Whoever renews by a certificate renews within a session of its own, or its human's, that is still live."""
    if not applicant.renews:
        return
    row = desk.records.row(_whose, {"sid": applicant.session})
    represented = applicant.own.represented
    own = (applicant.own.actor.id, represented.id if represented else "")
    if row is None or row["principal_id"] not in own or not sessions.is_live(desk.records, applicant.session, at):
        raise HttpError(403, "the session of that certificate is over, or it had none: prove who you are anew")


def check_session(desk: Desk, applicant: Applicant, wanted: str) -> None:
    """Nobody's certificate may name a session here that is not its own: that would outlive the one that it is of."""
    if wanted and wanted != applicant.session and desk.records.row(_whose, {"sid": wanted}) is not None:
        raise HttpError(403, "session_id names another session of this authority")


def _of_identity(desk: Desk, proven: Identity, at: datetime) -> Proven:
    """The workload that a rule takes, else the account that is connected, else a GitHub job of a permitted owner."""
    if desk.settings.proofs.rule_for(proven) is None:
        account = accounts.connected(desk.records, oidc.method(proven.issuer), proven.subject)
        if account is not None:
            return _account(desk, account, proven, at)
    return _workload(desk, proven, at, known=proven.method == GITHUB)


def _workload(desk: Desk, proven: Identity, at: datetime, *, known: bool) -> Proven:
    """`known` are those who get something without a rule."""
    rule = desk.settings.proofs.rule_for(proven)
    if rule is None and not known:
        raise HttpError(403, "no workload rule takes this identity, and no account is connected to it")
    return _once(desk, proven, enrolment.of_workload(desk.authority, desk.settings, proven, rule), at)


def _account(desk: Desk, account: Account, proven: Identity, at: datetime) -> Proven:
    """An account by a program that could get its token: for certificates, and not to administer."""
    granted = desk.authority.store.grant(account.grant_id).grant
    held = tuple(scope for scope in account.scopes if scope in enrolment.ELIGIBLE)
    return _once(desk, proven, Applicant(account.id, proven.method, held, "", granted, account=account.id), at)


def _once(desk: Desk, proven: Identity, applicant: Applicant, at: datetime) -> Proven:
    """What is good once is looked at now, which answers early, and used up with what it pays for."""
    if proven.once and desk.records.taken(JTI, proven.once):
        raise HttpError(401, USED)

    def spend() -> Applicant:
        if proven.once:
            ends = int((proven.expires or at + UNTIL_FORGOTTEN).timestamp()) + 1
            try:
                desk.records.take(JTI, proven.once, ends)
            except RefusedError:
                raise HttpError(401, USED) from None
        return applicant

    return Proven(spend, applicant, proven.claims)


async def _told(proving: Awaitable[T]) -> T:
    try:
        return await proving
    except TokenError as refused:
        raise HttpError(401, f"invalid token: {refused.message}") from None


def _token(call: Call) -> str:
    token = body.take(call.proof, {"type": str, "token": str}, "proof").get("token", "")
    if not token:
        raise HttpError(400, "proof.token required")
    return str(token)


_PROVERS: Mapping[str, Prover] = {
    "session": by_session, BOOTSTRAP: by_bootstrap, "oidc": by_oidc, bridge.METHOD: by_bridge
}  # fmt: skip


def prover(kind: str, others: Container[str] = ()) -> Prover:
    """The function for a proof's type, or an answer of 400. `others` are the types of other packages."""
    if kind not in _PROVERS and kind not in others:
        raise HttpError(400, f"unknown proof type: {shown(kind)[:64]}")
    return _PROVERS.get(kind, by_other)
