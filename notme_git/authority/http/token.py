"""`POST /token`: an access token for a service, bound to the key of a DPoP proof (RFC 9449, `authority-protocol.md` 7).

Asked for by a session (cookie, as upstream) or by an agent or a workload with its bridge certificate (ours):
`{"audience": URL, "nonce": NONCE, "proof": {"type": "bridge", ...}}`, over `tokens.proof.preimage`. Its token names
the represented human, the one whom that human's own token names, and who acts (`act`, RFC 8693 section 4.1).

Departure from upstream: `authorityManage` and `certMint` go into a token only when `scopes` asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attest.errors import MalformedError, RefusedError, VerificationError
from notme_git.authority import accounts, nonces, sessions, tokens
from notme_git.authority.enrolment import Applicant
from notme_git.authority.http import applicants, body
from notme_git.authority.http.answers import NO_STORE, HttpError, answer
from notme_git.authority.http.applicants import Call, Proven
from notme_git.authority.http.desk import Desk, desk_of
from notme_git.authority.records import accounts as account_table
from notme_git.tokens import proof as dpop
from notme_git.tokens.proof import Proof

PATH = "/token"
JTI_S = 600
BY_CERTIFICATE = "bridge"
ASKED_FOR = (accounts.MANAGE, accounts.MINT)
MAX_PROOF = 8192

_account = select(account_table.c.id, account_table.c.disabled_at).where(
    account_table.c.principal_id == bindparam("principal")
)


async def token(request: Request) -> Response:
    """One token, in upstream's order of checks and words."""
    desk = desk_of(request)
    at = desk.clock()
    proofs = request.headers.getlist("dpop")
    if not proofs:
        raise HttpError(400, "dpop_proof_required")
    data = await body.read_json(request, {"audience": str, "scopes": list, "nonce": str, "proof": dict})
    allowed = desk.settings.audiences or (desk.settings.url,)
    if not data.get("audience"):
        raise HttpError(400, "audience_required")
    if data["audience"] not in allowed:
        raise HttpError(400, "invalid_audience", more={"allowed": list(allowed)})
    proven = await _proven(desk, request, data, proofs[0], at)
    who = proven.applicant.subject if proven.applicant else ""
    desk.check_rate(f"token:{who}", desk.settings.limits.token, at)
    proof = _verify(desk, proofs, at)
    with desk.authority.store.transaction(durable=False):
        applicant = _spend(desk, proven, data, proof, at)
    made = _token(desk, applicant, data, proof.thumbprint, at)
    desk.metrics.add("tokens")
    headers = {**NO_STORE, **(_fresh(desk, at) if desk.settings.dpop_nonce else {})}
    return answer({"access_token": made, "token_type": "DPoP", "expires_in": tokens.LIFETIME_S}, 200, headers)


async def _proven(desk: Desk, request: Request, data: Mapping[str, Any], dpop_proof: str, at: datetime) -> Proven:
    """By the certificate in the body where there is one, else by the cookie."""
    proof = data.get("proof")
    if proof is None:
        try:
            return applicants.of_session(desk, desk.session(request, at))
        except RefusedError:
            raise HttpError(401, "session_required") from None
    if proof.get("type") != BY_CERTIFICATE:
        raise HttpError(400, f"proof.type must be {BY_CERTIFICATE}; a session goes by its cookie")
    if "nonce" not in data:
        raise HttpError(400, "nonce required", more={"error_description": "GET /nonce, and have the proof cover it"})
    covered = dpop.preimage(data["audience"], dpop_proof)
    return await applicants.prover(BY_CERTIFICATE)(Call(desk, request, proof, covered, data["nonce"], at))


def _verify(desk: Desk, proofs: list[str], at: datetime) -> Proof:
    """The one DPoP proof; with a nonce of ours where the settings want it, which a further proof may repeat."""
    try:
        if len(proofs) != 1 or len(proofs[0]) > MAX_PROOF:
            raise MalformedError("a request has one proof")
        found = dpop.verify_proof(proofs[0], method="POST", url=desk.settings.url + PATH, at=at)
    except (MalformedError, RefusedError, VerificationError) as refused:
        raise HttpError(401, "invalid_dpop_proof", more={"error_description": refused.message}) from None
    if desk.settings.dpop_nonce:
        try:
            nonces.verify(_secret(desk), found.nonce, at)
        except RefusedError:
            description = "make the proof again, with the nonce in DPoP-Nonce"
            more = {"error_description": description}
            raise HttpError(400, "use_dpop_nonce", headers=_fresh(desk, at), more=more) from None
    return found


def _spend(desk: Desk, proven: Proven, data: Mapping[str, Any], proof: Proof, at: datetime) -> Applicant:
    """Use up what is good once, in the open transaction."""
    try:
        desk.records.take("dpop", f"{proof.thumbprint}.{proof.jti}", int(at.timestamp()) + JTI_S)
    except RefusedError:
        raise HttpError(401, "proof_reused") from None
    if "proof" in data:
        desk.spend_nonce(data["nonce"], at)
    return proven.spend()


def _token(desk: Desk, applicant: Applicant, data: Mapping[str, Any], thumbprint: str, at: datetime) -> str:
    subject, actor = _named(desk, applicant)
    return tokens.access_token(
        desk.authority,
        desk.authority.epoch,
        issuer=desk.settings.url,
        subject=subject,
        audience=data["audience"],
        scopes=_scopes(applicant.held, data.get("scopes")),
        thumbprint=thumbprint,
        actor=actor,
        at=at,
    )


def _scopes(held: tuple[str, ...], wanted: list[str] | None) -> tuple[str, ...]:
    """Those held that were asked for; unasked, all but the ones that administer."""
    found = tuple(scope for scope in held if (scope not in ASKED_FOR if wanted is None else scope in wanted))
    if not found:
        told = {"requested": wanted or [], "granted": list(held)}
        raise HttpError(403, "none of the requested scopes are granted", more=told)
    return found


def _named(desk: Desk, applicant: Applicant) -> tuple[str, str]:
    """`sub` and the actor: a human who has an account is named by it, whoever acts."""
    represented = applicant.own.represented
    if represented is None:
        return applicant.subject, ""
    row = desk.records.row(_account, {"principal": represented.id})
    if row is not None and row["disabled_at"] is not None:
        raise HttpError(403, "the account on whose behalf it acts is disabled")
    return row["id"] if row is not None else represented.id, applicant.own.actor.id


def _fresh(desk: Desk, at: datetime) -> dict[str, str]:
    nonce = nonces.make(_secret(desk), at)
    return {"DPoP-Nonce": nonce, "Access-Control-Expose-Headers": "DPoP-Nonce"}


def _secret(desk: Desk) -> bytes:
    return sessions.server_secret(desk.records, "dpop-nonce")


ROUTES = [Route(PATH, token, methods=["POST"])]
