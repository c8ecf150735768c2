"""What somebody does with their own account: who am I, invites, joining, sessions, signing out.

`GET /me`, `POST /invites` and `POST /join` are upstream's (`authority-protocol.md` 1.6); the rest is ours.
"""

from __future__ import annotations

from datetime import UTC, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from notme_git.authority import accounts, epochs, invites, sessions
from notme_git.authority.http import connect, entry, forms, pages
from notme_git.authority.http.answers import NO_STORE, HttpError, answer
from notme_git.authority.http.desk import client_address, desk_of
from notme_git.authority.http.html import friendly, page, render


@page
async def me(request: Request) -> Response:
    """`GET /me`: JSON for a program, the page for a person, `/login` for somebody unknown."""
    desk = desk_of(request)
    at = desk.clock()
    session = entry.maybe(desk, request, at)
    if session is None:
        return RedirectResponse(f"{desk.settings.origin}/login", 302, NO_STORE)
    if not forms.wants_json(request):
        return pages.me(desk, session, at)
    told = {"authenticated": True, "userId": session.account.id, "isAdmin": session.manages}
    return answer({**told, "expiresAt": int(session.expires_at.timestamp())})


@friendly
async def invite(request: Request) -> Response:
    """`POST /invites`: by an administrator who showed a passkey a moment ago, for at most `invite_lifetime`.

    The token is shown this once.
    """
    desk = desk_of(request)
    at = desk.clock()
    desk.manager(request, at)
    session = entry.present(desk, request, at)
    sent = await forms.read(request, {"scopes": list, "ttl": int, "display": str, "email": str})
    scopes = list(dict.fromkeys(sent.fields.get("scopes", accounts.MEMBER)))
    invites.check_grantable(session.scopes, scopes)
    lifetime = timedelta(seconds=min(sent.fields.get("ttl", int(invites.DEFAULT.total_seconds())), 2**31))
    if not timedelta(0) < lifetime <= desk.settings.invite_lifetime:
        most = int(desk.settings.invite_lifetime.total_seconds())
        raise HttpError(400, f"ttl must be between 1 and {most} seconds")
    display, email = accounts.parse_person(sent.fields.get("display", ""), sent.fields.get("email", ""))
    accounts.check_free(desk.records, email)
    with desk.authority.store.transaction(durable=True):
        made = invites.create(desk.records, session.account, scopes, lifetime, display=display, email=email, at=at)
    url = f"{desk.settings.origin}/join?t={made.token}"
    if sent.form:
        return render("invited.html", session=session, url=url, invite=made, name=display or email)
    expires = f"{made.expires_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
    return answer({"token": made.token, "url": url, "expiresAt": expires, "scopes": list(made.scopes)})


@friendly
async def join(request: Request) -> Response:
    """`POST /join`: an invite's token in, an account and its session out."""
    desk = desk_of(request)
    at = desk.clock()
    desk.check_rate(f"join:{client_address(request)}", desk.settings.limits.code, at)
    sent = await forms.read(request, {"token": str, "proof": dict, "display": str, "email": str})
    if "token" not in sent.fields:
        raise HttpError(400, "invite token required")
    display, email = accounts.parse_person(sent.fields.get("display", ""), sent.fields.get("email", ""))
    linked = await connect.identity_of(desk, sent.fields["proof"], at) if "proof" in sent.fields else None
    domain, token = desk.settings.trust_domain, sent.fields["token"]
    with desk.authority.store.transaction(durable=True):
        account = invites.accept(desk.records, domain, token, display=display, email=email, at=at)
        if linked is not None:
            connect.link(desk, account.id, linked, at)
        session = entry.begin(desk, request, account, invites.KIND, at)
    told = {"joined": True, "principalId": account.id, "scopes": list(account.scopes)}
    return entry.with_cookie(sent.done(told, "/passkey"), desk, session)


async def session_list(request: Request) -> Response:
    """`GET /sessions`: one's own."""
    desk = desk_of(request)
    at = desk.clock()
    session = entry.required(desk, request, at)
    return answer({"sessions": sessions.of_account(desk.records, session.account.id, at)})


@friendly
async def session_end(request: Request) -> Response:
    """`DELETE /sessions/ID`, or `POST` by a form: end one's session, and tell verifiers of what was issued in it."""
    desk = desk_of(request)
    at = desk.clock()
    session, name = entry.person(desk, request, at), request.path_params["session"]
    sent = await forms.read(request, {})
    if name not in [each["id"] for each in sessions.of_account(desk.records, session.account.id, at)]:
        raise HttpError(404, "no such session")
    desk.check_revoking(session, at)
    epochs.revoke_session(desk.authority, name, reason="ended by its owner", at=at)
    with desk.authority.store.transaction(durable=True):
        sessions.revoke(desk.records, name, session.account.id, at)
    return sent.done({"revoked": name}, "/account")


@friendly
async def logout(request: Request) -> Response:
    """`POST /logout`: end the session that asks, a program's too."""
    desk = desk_of(request)
    at = desk.clock()
    sent = await forms.read(request, {})
    session = entry.maybe(desk, request, at)
    if session is not None:
        with desk.authority.store.transaction(durable=True):
            sessions.revoke(desk.records, session.id, session.account.id, at)
    return entry.without_cookie(sent.done({"ok": True}, "/"))


ROUTES = [
    Route("/me", me, methods=["GET"]),
    Route("/invites", invite, methods=["POST"]),
    Route("/join", join, methods=["POST"]),
    Route("/sessions", session_list, methods=["GET"]),
    Route("/sessions/{session}", session_end, methods=["DELETE", "POST"]),
    Route("/logout", logout, methods=["POST"]),
]
