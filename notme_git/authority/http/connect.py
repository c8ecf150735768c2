"""Identities that somebody has elsewhere: `/connections`, and signing in by one (`authority-protocol.md` 1.6).

A token proves that a program could get one, not that a person is there: a session that began with it never administers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography import x509
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attest import certificate
from attest.errors import Error, RefusedError
from attest.profile import SUBJECT
from notme_git.authority import accounts
from notme_git.authority.http import body, entry, forms
from notme_git.authority.http.answers import HttpError, answer
from notme_git.authority.http.applicants import JTI, UNTIL_FORGOTTEN, USED
from notme_git.authority.http.desk import Desk, desk_of
from notme_git.authority.identity import Identity
from notme_git.authority.proofs import oidc
from notme_git.authority.proofs.jwt import TokenError
from notme_git.authority.sessions import Session

MAX_PEM = 16384


async def listed(request: Request) -> Response:
    """`GET /connections`: one's own."""
    desk = desk_of(request)
    session = entry.required(desk, request, desk.clock())
    return answer({"connections": accounts.connections_of(desk.records, session.account.id)})


async def connect(request: Request) -> Response:
    """`POST /connections`: let an identity sign in as this account; by a person who signed in by hand a moment ago.

    What is connected can enrol as the account from then on, so a cookie that lies about is not enough for it.
    """
    desk = desk_of(request)
    at = desk.clock()
    session = entry.person(desk, request, at)
    if not session.was_present(at):
        told = "sign in again: an identity is connected within 15 minutes of signing in"
        raise HttpError(403, "presence_required", more={"error_description": told})
    sent = await forms.read(request, {"proof": dict})
    proof = sent.fields.get("proof", {})
    if not isinstance(proof.get("type"), str):
        raise HttpError(400, "proof.type required")
    if proof["type"] == "x509":
        provider, subject = _certificate(desk, session, proof.get("cert"), at)
        with desk.authority.store.transaction(durable=True):
            accounts.connect(desk.records, session.account.id, provider, subject, at)
        return answer({"connected": True, "provider": provider, "subject": subject})
    proven = await identity_of(desk, proof, at)
    with desk.authority.store.transaction(durable=True):
        link(desk, session.account.id, proven, at)
    return answer({"connected": True, "provider": oidc.method(proven.issuer), "subject": proven.subject})


async def login(request: Request) -> Response:
    """`POST /auth/oidc/login`: a token of a connected identity, once, for a session."""
    desk = desk_of(request)
    at = desk.clock()
    forms.check_origin(request)
    sent = await body.read_json(request, {"token": str})
    if "token" not in sent:
        raise HttpError(400, "token required")
    proven = await identity_of(desk, {"type": "oidc", "token": sent["token"]}, at)
    if not proven.once:
        raise HttpError(403, "a token that may be used again begins no session: show it at /cert")
    method = oidc.method(proven.issuer)
    with desk.authority.store.transaction(durable=True):
        account = accounts.connected(desk.records, method, proven.subject)
        if account is None:
            raise HttpError(403, "unknown identity — get an invite first")
        _spend(desk, proven, at)
        session = entry.begin(desk, request, account, method, at, without=(accounts.MANAGE,))
    told = {"authenticated": True, "principalId": account.id, "scopes": list(session.scopes), "authMethod": method}
    return entry.with_cookie(answer(told), desk, session)


async def identity_of(desk: Desk, proof: Mapping[str, Any], at: datetime) -> Identity:
    """Whoever `{"type": "oidc", "token": ...}` speaks of, or an answer of 400, 401 or 403."""
    if proof.get("type") != "oidc":
        raise HttpError(400, f"unsupported proof.type: {str(proof.get('type'))[:64]}")
    if not isinstance(proof.get("token"), str):
        raise HttpError(400, "proof.token required")
    try:
        return await desk.proofs.token(proof["token"], at)
    except TokenError as refused:
        raise HttpError(401, f"invalid token: {refused.message}") from None


def link(desk: Desk, account_id: str, proven: Identity, at: datetime) -> None:
    """Let `proven` sign in as the account, and use its token up. In the open transaction."""
    _spend(desk, proven, at)
    accounts.connect(desk.records, account_id, oidc.method(proven.issuer), proven.subject, at)


def _spend(desk: Desk, proven: Identity, at: datetime) -> None:
    if not proven.once:
        return
    try:
        desk.records.take(JTI, proven.once, int((proven.expires or at + UNTIL_FORGOTTEN).timestamp()) + 1)
    except RefusedError:
        raise HttpError(401, USED) from None


def _certificate(desk: Desk, session: Session, pem: object, at: datetime) -> tuple[str, str]:
    """Issuer and subject of a live certificate of ours for this very account.

    A certificate is no secret, so another's would prove nothing; upstream takes anybody's.
    """
    if not isinstance(pem, str) or len(pem) > MAX_PEM:
        raise HttpError(400, "proof.cert required (PEM)")
    subject = session.account.id
    try:
        (found,) = certificate.load_pem(pem.encode())
        certificate.verify_issued(found, certificate.key_of(certificate.read(desk.authority.epoch.root)))
        value = found.extensions.get_extension_for_oid(SUBJECT).value
        live = found.not_valid_before_utc <= at < found.not_valid_after_utc
        issuer = str(found.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    except (Error, IndexError, x509.ExtensionNotFound, *certificate.UNREADABLE) as error:
        told = error.message if isinstance(error, Error) else "not a certificate of this authority"
        raise HttpError(401, f"proof verification failed: {told}") from None
    # DER of a UTF8String (`authority-protocol.md` 3); an account's id is 36 characters long.
    named = b"\x0c" + bytes([len(subject)]) + subject.encode()
    if not live or not isinstance(value, x509.UnrecognizedExtension) or value.value != named:
        raise HttpError(401, "proof verification failed: no live certificate of this account")
    return f"x509:{issuer}", subject


ROUTES = [
    Route("/connections", listed, methods=["GET"]),
    Route("/connections", connect, methods=["POST"]),
    Route("/auth/oidc/login", login, methods=["POST"]),
]
