"""What administrators do: rotate the authority's key, revoke, disable an account; and the list that all may read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attest import canonical, certificate
from attest.errors import RefusedError, UnavailableError
from attest.types import Epoch, Revocation, RevocationKind, SignedTrustBundle, TrustBundle
from notme_git.authority import accounts, epochs, sessions
from notme_git.authority.http import body, entry, forms
from notme_git.authority.http.answers import HttpError, answer
from notme_git.authority.http.desk import Desk, desk_of
from notme_git.authority.http.html import friendly
from notme_git.authority.sessions import Session

KINDS = ("routine", "compromise")
MAX_ID, MAX_REASON = 512, 200


@friendly
async def rotate(request: Request) -> Response:
    """`POST /admin/rotate`: the next epoch; after a compromise with the recovery key, which is not kept.

    `compromised_at` (unix seconds) says since when nothing counts without evidence of an earlier time; now without.
    """
    desk = desk_of(request)
    at = desk.clock()
    _present_manager(desk, request, at)
    sent = await forms.read(request, {"kind": str, "recovery_key": str, "compromised_at": int})
    kind = sent.fields.get("kind", "")
    if kind not in KINDS:
        raise HttpError(400, f"kind must be one of {', '.join(KINDS)}")
    made = epochs.rotate(desk.authority, at) if kind == KINDS[0] else _recover(desk, sent.fields, at)
    key_id = certificate.key_of(certificate.read(made.root)).key_id
    return sent.done({"epoch": made.number, "key_id": key_id, "kind": kind}, "/admin")


async def revocations(request: Request) -> Response:
    """`GET /revocations`: what the latest trust bundle says is revoked; the signed text is at `/trust-bundle`."""
    latest = desk_of(request).authority.store.latest_bundle()
    if latest is None:
        raise UnavailableError("the authority's database holds no trust bundle", hint="restore it from a backup")
    bundle = canonical.decode(TrustBundle, canonical.decode(SignedTrustBundle, latest).bundle)
    told = [
        {"kind": str(each.kind), "id": each.id, "at": each.at, "reason": each.reason} for each in bundle.revocations
    ]
    return answer({"sequence": bundle.sequence, "issued_at": bundle.issued_at, "revocations": told})


@friendly
async def revoke(request: Request) -> Response:
    """`POST /revocations`: revoke a principal, grant, session or certificate, from now on and for everybody."""
    desk = desk_of(request)
    at = desk.clock()
    _present_manager(desk, request, at)
    sent = await forms.read(request, {"kind": str, "id": str, "reason": str})
    kind, name = sent.fields.get("kind", ""), body.printable(sent.fields, "id", MAX_ID)
    if kind not in tuple(RevocationKind) or not name:
        raise HttpError(400, f"kind must be one of {', '.join(RevocationKind)}, and id name one")
    reason = body.printable(sent.fields, "reason", MAX_REASON)
    if kind == RevocationKind.GRANT:
        epochs.revoke_grant(desk.authority, name, reason=reason, at=at)
    else:
        _revoke(desk, RevocationKind(kind), name, reason, at)
    return sent.done({"revoked": name, "kind": kind}, "/admin")


@friendly
async def disable(request: Request) -> Response:
    """`POST /accounts/ID/disable`: nobody gets in as this account any more, and its certificates are revoked."""
    desk = desk_of(request)
    at = desk.clock()
    session = _present_manager(desk, request, at)
    sent = await forms.read(request, {"reason": str})
    account = accounts.find(desk.records, request.path_params["account"])
    if account.id == session.account.id:
        raise HttpError(400, "you cannot disable your own account")
    _revoke(desk, RevocationKind.PRINCIPAL, account.principal.id, body.printable(sent.fields, "reason", MAX_REASON), at)
    with desk.authority.store.transaction(durable=True):
        accounts.disable(desk.records, account.id, at)
        sessions.revoke_of(desk.records, account.id, at)
    return sent.done({"disabled": account.id}, "/admin")


def _present_manager(desk: Desk, request: Request, at: datetime) -> Session:
    """An administrator who showed a passkey a moment ago."""
    desk.manager(request, at)
    return entry.present(desk, request, at)


def _recover(desk: Desk, sent: Any, at: datetime) -> Epoch:
    since = sent.get("compromised_at", int(at.timestamp()))
    if not 0 <= since <= int(at.timestamp()):
        raise HttpError(400, "compromised_at must be a time in the past, in unix seconds")
    key = sent.get("recovery_key", "").encode()
    try:
        return epochs.recover(desk.authority, key, compromised_at=datetime.fromtimestamp(since, UTC), at=at)
    except RefusedError as refused:
        raise HttpError(403, refused.message) from None


def _revoke(desk: Desk, kind: RevocationKind, name: str, reason: str, at: datetime) -> None:
    epochs.revoke(desk.authority, Revocation(kind=kind, id=name, at=int(at.timestamp()), reason=reason), at=at)


ROUTES = [
    Route("/admin/rotate", rotate, methods=["POST"]),
    Route("/revocations", revocations, methods=["GET"]),
    Route("/revocations", revoke, methods=["POST"]),
    Route("/accounts/{account}/disable", disable, methods=["POST"]),
]
