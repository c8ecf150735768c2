"""Who stands at `/cert`: each kind of proof as one function, chosen by `proof.type`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.requests import Request

from attest.errors import RefusedError
from attest.types import Authentication
from notme_git.authority import accounts, enrolment
from notme_git.authority.enrolment import Applicant
from notme_git.authority.http.answers import HttpError
from notme_git.authority.http.desk import Desk, client_address
from notme_git.authority.sessions import Session

BOOTSTRAP = "bootstrap"


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
    try:
        return of_session(call.desk, call.desk.session(call.request, call.at))
    except RefusedError as refused:
        raise HttpError(401, refused.message) from None


async def by_bootstrap(call: Call) -> Proven:
    """`{"type": "bootstrap", "code": ...}`: the operator's code, once; makes an administrator's account."""
    desk, at = call.desk, call.at
    desk.check_rate(f"code:{client_address(call.request)}", desk.settings.limits.code, at)

    def spend() -> Applicant:
        use_code(desk, call.proof.get("code"), at)
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


def use_code(desk: Desk, code: object, at: datetime) -> None:
    """Use the operator's code up in the open transaction, or answer 403."""
    try:
        desk.records.claim(BOOTSTRAP, code if isinstance(code, str) else "", int(at.timestamp()))
    except RefusedError:
        raise HttpError(403, "invalid or consumed bootstrap code") from None


_PROVERS: Mapping[str, Prover] = {"session": by_session, BOOTSTRAP: by_bootstrap}


def prover(kind: str) -> Prover:
    """The function for a proof's type, or an answer of 400."""
    found = _PROVERS.get(kind)
    if found is None:
        raise HttpError(400, f"unknown proof type: {kind[:64]}")
    return found
