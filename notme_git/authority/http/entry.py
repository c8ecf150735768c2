"""Signing in and out over HTTP: a session's label and cookie, and whether somebody is there."""

from __future__ import annotations

from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from attest.errors import RefusedError
from notme_git.authority import sessions
from notme_git.authority.accounts import Account
from notme_git.authority.http.answers import HttpError
from notme_git.authority.http.desk import Desk
from notme_git.authority.sessions import COOKIE, RECENT, Session

_BROWSERS = {"Firefox/": "Firefox", "Edg/": "Edge", "Chrome/": "Chromium", "Safari/": "Safari"}
_SYSTEMS = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "Mac OS X": "macOS",
            "Linux": "Linux"}  # fmt: skip


def begin(
    desk: Desk,
    request: Request,
    account: Account,
    method: str,
    at: datetime,
    *,
    without: tuple[str, ...] = (),
    verified: bool = False,
) -> Session:
    """A new session of a browser, with the account's scopes but those `without`. In the open transaction."""
    return sessions.begin(
        desk.records,
        account,
        method,
        scopes=tuple(scope for scope in account.scopes if scope not in without),
        label=_label(request.headers.get("user-agent", "")),
        lifetime=desk.settings.session_lifetime,
        verified=verified,
        at=at,
    )


def with_cookie(response: Response, desk: Desk, session: Session) -> Response:
    """`response`, signing its reader in. The attributes stand in upstream's order (`authority-protocol.md` 10)."""
    response.headers["set-cookie"] = _cookie(session.value, int(desk.settings.session_lifetime.total_seconds()))
    return response


def without_cookie(response: Response) -> Response:
    """`response`, signing its reader out."""
    response.headers["set-cookie"] = _cookie("", 0)
    return response


def maybe(desk: Desk, request: Request, at: datetime) -> Session | None:
    """Who is signed in, or None."""
    try:
        return desk.session(request, at)
    except RefusedError:
        return None


def required(desk: Desk, request: Request, at: datetime) -> Session:
    """Who is signed in, else an answer of 401."""
    try:
        return desk.session(request, at)
    except RefusedError as refused:
        raise HttpError(401, "sign in first" if "no session" in refused.message else "invalid session") from None


def person(desk: Desk, request: Request, at: datetime) -> Session:
    """Somebody who signed in by hand, ever; an answer of 401 or 403 to a program's session."""
    session = required(desk, request, at)
    if session.present_at is None:
        raise HttpError(403, "presence_required", more={"error_description": "a program's session may not do this"})
    return session


def present(desk: Desk, request: Request, at: datetime, within: timedelta = RECENT) -> Session:
    """A person who signed in by passkey not long ago, else an answer of 401 or 403."""
    session = required(desk, request, at)
    if session.method != "passkey" or not session.was_present(at, within):
        minutes = int(within.total_seconds() // 60)
        told = f"this needs a person who signed in with a passkey within {minutes} minutes: sign in again"
        raise HttpError(403, "presence_required", more={"error_description": told})
    return session


def _cookie(value: str, lifetime: int) -> str:
    return f"{COOKIE}={value}; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age={lifetime}"


def _label(agent: str) -> str:
    """What to call a browser in the list of sessions; of a header that anybody may write, two words are kept."""
    browser = next((name for mark, name in _BROWSERS.items() if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS.items() if mark in agent), "")
    return " on ".join(each for each in (browser, system) if each) or "a program"
