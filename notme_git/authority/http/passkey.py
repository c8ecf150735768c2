"""`/auth/passkey/*`: registering a passkey, signing in with one, the operator's reset, and the counts.

Shapes and statuses are upstream's (`authority-protocol.md` 1.5). Registration is closed: it takes the operator's code,
a session that somebody began by hand a moment ago, or the setting `open_registration`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attest import certificate
from attest.errors import MalformedError, RefusedError
from attest.types import Authentication
from notme_git.authority import accounts, invites, passkeys, sessions
from notme_git.authority.accounts import Account
from notme_git.authority.http import body, entry, forms, program
from notme_git.authority.http.answers import HttpError, answer
from notme_git.authority.http.applicants import BOOTSTRAP, recovers
from notme_git.authority.http.desk import Desk, client_address, desk_of
from notme_git.authority.passkeys import Newcomer
from notme_git.authority.records import digest, pending

PASSKEY = "passkey"
BAD_CODE = "invalid or already-used bootstrap code"


async def register_options(request: Request) -> Response:
    """`POST /auth/passkey/register/options`: for whom, and the options for the browser."""
    desk, at, data = await _begin(request, {"bootstrapCode": str, "display": str, "email": str})
    display, email = accounts.parse_person(data.get("display", ""), data.get("email", ""))
    newcomer = _newcomer(desk, request, data.get("bootstrapCode"), display, email, at)
    with desk.authority.store.transaction(durable=False):
        first = not passkeys.count(desk.records)[1]
        options = passkeys.begin_registration(desk.records, desk.settings, newcomer, at)
    told = {"isFirstUser": first, "userId": newcomer.user_id, "scopes": list(newcomer.scopes)}
    return answer({"options": options, **told})


async def register_verify(request: Request) -> Response:
    """`POST /auth/passkey/register/verify`: the browser's answer; puts the passkey on record and signs in."""
    desk, at, data = await _begin(request, {"userId": str, "response": dict, "scopes": list})
    if "userId" not in data or "response" not in data:
        raise HttpError(400, "userId and response required")
    newcomer = _claimed(desk, data["userId"], data["response"], at)
    try:
        credential = passkeys.verify_registration(desk.settings, data["response"])
    except RefusedError as refused:
        raise HttpError(400, refused.message) from None
    with desk.authority.store.transaction(durable=True):
        account = _admit(desk, newcomer, at)
        passkeys.add(desk.records, account.id, credential, at)
        session = entry.begin(desk, request, account, PASSKEY, at, verified=credential.verified)
    return entry.with_cookie(answer({"verified": True, "scopes": list(account.scopes)}), desk, session)


async def login_options(request: Request) -> Response:
    """`POST /auth/passkey/login/options`: a challenge for any passkey of this site."""
    desk, at, _ = await _begin(request, {})
    with desk.authority.store.transaction(durable=False):
        return answer(passkeys.begin_login(desk.records, desk.settings, at))


async def login_verify(request: Request) -> Response:
    """`POST /auth/passkey/login/verify`: the browser's answer; signs in."""
    desk, at, data = await _begin(request, {"response": dict})
    if "response" not in data:
        raise HttpError(400, "response required")
    try:
        with desk.authority.store.transaction(durable=False):
            passkeys.claim_login(desk.records, data["response"], at)
        with desk.authority.store.transaction(durable=True):
            found = passkeys.verify_login(desk.records, desk.settings, data["response"], at)
            account = accounts.find(desk.records, found.account)
            session = entry.begin(desk, request, account, PASSKEY, at, verified=found.verified)
    except MalformedError as malformed:
        raise HttpError(400, f"verification error: {malformed.message}") from None
    except RefusedError:
        raise HttpError(401, "authentication failed (verified=false, userId=null)") from None
    told = {"verified": True, "userId": account.id, "isAdmin": session.manages}
    return entry.with_cookie(answer(told), desk, session)


async def reset(request: Request) -> Response:
    """`POST /auth/passkey/reset`: with a recovery code nobody is signed in, invited or known by a passkey any more."""
    desk, at, data = await _begin(request, {"bootstrapCode": str})
    desk.check_rate(f"code:{client_address(request)}", desk.settings.limits.code, at)
    with desk.authority.store.transaction(durable=True):
        try:
            kept = desk.records.claim(BOOTSTRAP, data.get("bootstrapCode", ""), int(at.timestamp()))
        except RefusedError:
            kept = "{}"
        if not recovers(kept):
            raise HttpError(403, "invalid or expired bootstrap code")
        deleted = passkeys.delete_all(desk.records)
        sessions.revoke_all(desk.records, at)
        invites.void_all(desk.records, at)
        for begun in (passkeys.REGISTRATION, passkeys.LOGIN, program.CODE):
            desk.records.run(delete(pending).where(pending.c.kind == begun))
    return answer({"ok": True, "deleted": deleted})


async def status(request: Request) -> Response:
    """`GET /auth/passkey/status`, for administrators."""
    desk = desk_of(request)
    session = entry.maybe(desk, request, desk.clock())
    if session is None:
        raise HttpError(401, "unauthorized")
    if not session.manages:
        raise HttpError(403, "admin required")
    epoch = desk.authority.epoch
    key_id = certificate.key_of(certificate.read(epoch.root)).key_id
    users, credentials = passkeys.count(desk.records)
    admins = sum(account.manages for account in accounts.everybody(desk.records))
    return answer(
        {
            "authority": {"epoch": epoch.number, "seqno": desk.authority.store.latest_sequence(), "keyId": key_id},
            "passkey": {"users": users, "credentials": credentials, "admins": admins},
            "rpId": desk.settings.relying_party,
        }
    )


async def _begin(request: Request, fields: body.Fields) -> tuple[Desk, datetime, dict[str, Any]]:
    desk = desk_of(request)
    at = desk.clock()
    desk.tidy(at)
    desk.check_rate(f"passkey:{client_address(request)}", desk.settings.limits.passkey, at)
    forms.check_origin(request)
    return desk, at, await body.read_json(request, fields)


def _newcomer(desk: Desk, request: Request, code: str | None, display: str, email: str, at: datetime) -> Newcomer:
    """For whom a passkey may be registered now, or an answer of 401 or 403."""
    if code is not None:
        desk.check_rate(f"code:{client_address(request)}", desk.settings.limits.code, at)
        used = _check_code(desk, digest(BOOTSTRAP, code), at)
        accounts.check_free(desk.records, email)
        return Newcomer(accounts.new_id(), accounts.ADMIN, display=display, email=email, code=used)
    session = entry.maybe(desk, request, at)
    if session is not None:
        if not session.was_present(at):
            raise HttpError(403, "sign in again: a passkey is added within 15 minutes of signing in")
        own = session.account
        return Newcomer(own.id, own.scopes, own.id, own.principal.display, own.principal.email)
    if not desk.settings.open_registration:
        raise HttpError(401, _closed(desk))
    accounts.check_free(desk.records, email)
    return Newcomer(accounts.new_id(), accounts.MEMBER, display=display, email=email)


def _closed(desk: Desk) -> str:
    if passkeys.count(desk.records)[1]:
        return "registration is closed: sign in first, or ask an administrator for an invite"
    return "bootstrap code required: the operator makes one with notme-git authority code"


def _check_code(desk: Desk, key: bytes, at: datetime) -> str:
    """The hexadecimal digest of an operator's code that is good now: the first, or one for recovery."""
    kept = select(pending.c.data, pending.c.expires_at).where(pending.c.sha256 == key, pending.c.kind == BOOTSTRAP)
    row = desk.records.row(kept)
    if row is None or row["expires_at"] <= at.timestamp():
        raise HttpError(403, BAD_CODE)
    if passkeys.count(desk.records)[1] and not recovers(row["data"]):
        raise HttpError(403, BAD_CODE)
    return key.hex()


def _claimed(desk: Desk, user_id: str, response: dict[str, Any], at: datetime) -> Newcomer:
    try:
        with desk.authority.store.transaction(durable=False):
            return passkeys.claim_registration(desk.records, user_id, response, at)
    except RefusedError:
        raise HttpError(400, "no pending registration challenge") from None


def _admit(desk: Desk, newcomer: Newcomer, at: datetime) -> Account:
    """The account that gets the passkey, made now where there is none; the code that paid for it is used up."""
    if newcomer.account:
        return accounts.find(desk.records, newcomer.account)
    if newcomer.code:
        key = bytes.fromhex(newcomer.code)
        _check_code(desk, key, at)
        desk.records.run(delete(pending).where(pending.c.sha256 == key))
    accounts.check_free(desk.records, newcomer.email)
    return accounts.create(
        desk.records,
        desk.settings.trust_domain,
        display=newcomer.display,
        email=newcomer.email,
        scopes=newcomer.scopes,
        authentication=Authentication.PASSKEY,
        at=at,
        account_id=newcomer.user_id,
    )


ROUTES = [
    Route("/auth/passkey/register/options", register_options, methods=["POST"]),
    Route("/auth/passkey/register/verify", register_verify, methods=["POST"]),
    Route("/auth/passkey/login/options", login_options, methods=["POST"]),
    Route("/auth/passkey/login/verify", login_verify, methods=["POST"]),
    Route("/auth/passkey/reset", reset, methods=["POST"]),
    Route("/auth/passkey/status", status, methods=["GET"]),
]
