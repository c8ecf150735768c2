"""The pages that people see: the start, signing in, joining, their agents, their account, administration.

Plain HTML with forms, that post to the routes programs use; a script only where WebAuthn needs it. What a page shows is
read now, and decides nothing: the route that a form posts to checks everything again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from attest import certificate
from attest.profile import LIFETIME
from attest.types import Grant
from notme_git.authority import accounts, agents, invites, passkeys, sessions
from notme_git.authority.http import entry, forms
from notme_git.authority.http.answers import NO_STORE, HttpError, answer
from notme_git.authority.http.desk import Desk, desk_of
from notme_git.authority.http.html import page, render
from notme_git.authority.http.program import LIFETIMES
from notme_git.authority.sessions import Session

THEN = ("/me", "/account", "/admin", "/passkey")
"""Where signing in may lead; anywhere else would be an open door for other sites."""

MAX_SHOWN = 50
AGENT_SCOPES = (
    (accounts.GIT, "sign commits and tags"),
    ("sign:attestation", "sign attestations"),
    (accounts.BRIDGE, "show who it is to services (mutual TLS)"),
)
INVITE_SCOPES = (
    (accounts.BRIDGE, "sign in and let agents act for them"),
    ("sign:attestation", "sign attestations"),
    (accounts.MINT, "let agents pass their grants on"),
    (accounts.MANAGE, "administer this authority"),
)
INVITE_LIFETIMES = ((3600, "an hour"), (86400, "a day"), (604800, "a week"), (2592000, "30 days"))


@dataclass(frozen=True, slots=True)
class Shown:
    """A grant in the list."""

    grant: Grant
    revoked_at: int | None
    open: bool


@dataclass(frozen=True, slots=True)
class Live:
    """The certificates of one enrolment that are still valid: who acts with them, and since and until when."""

    name: str
    profile: str
    issued_at: int
    until: int
    serials: tuple[str, ...]


@page
async def start(request: Request) -> Response:
    """`GET /`: for a person the way in, for a program where things are (`authority-protocol.md` 1.1)."""
    desk = desk_of(request)
    if forms.wants_json(request):
        return answer(_described(desk.settings.url), headers={"Cache-Control": "max-age=3600", "Vary": "Accept"})
    session = entry.maybe(desk, request, desk.clock())
    epoch = desk.authority.epoch
    return render(
        "home.html",
        session=session,
        domain=desk.settings.trust_domain,
        url=desk.settings.url,
        settled=passkeys.count(desk.records)[1] > 0,
        spki=certificate.key_of(certificate.read(epoch.root)).spki_sha256.hex(),
        epoch=epoch.number,
    )


@page
async def login(request: Request) -> Response:
    """`GET /login`; before anybody has a passkey, the form for the operator's code."""
    desk = desk_of(request)
    if not passkeys.count(desk.records)[1]:
        return render("first.html")
    then = request.query_params.get("then", THEN[0])
    return render("login.html", why="", then=then if then in THEN else THEN[0])


@page
async def join(request: Request) -> Response:
    """`GET /join?t=TOKEN`: the form that takes an invite."""
    desk = desk_of(request)
    token = request.query_params.get("t")
    if not token:
        raise HttpError(400, "missing invite token")
    return render("join.html", token=token, open=invites.is_open(desk.records, token, desk.clock()))


@page
async def passkey(request: Request) -> Response:
    """`GET /passkey`: register a passkey for the account that is signed in."""
    desk = desk_of(request)
    at = desk.clock()
    session = entry.maybe(desk, request, at)
    if session is None:
        return _to_login("/passkey")
    many = len(passkeys.of_account(desk.records, session.account.id))
    return render("passkey.html", session=session, many=many, recent=session.was_present(at))


def me(desk: Desk, session: Session, at: datetime) -> Response:
    """`GET /me` for a person: their agents, grants and live certificates."""
    store = desk.authority.store
    stored, held = agents.of_account(store, session.account), store.grant(session.account.grant_id).grant.scopes
    shown = [Shown(each.grant, each.revoked_at, agents.is_open(each, at)) for each in stored]
    return render(
        "me.html",
        session=session,
        here="/me",
        at=at,
        many=len(passkeys.of_account(desk.records, session.account.id)),
        grants=sorted(shown, key=lambda each: not each.open)[:MAX_SHOWN],
        live=_live(desk, session, at),
        recent=session.method == "passkey" and session.was_present(at),
        lifetimes=LIFETIMES,
        scopes=_held(AGENT_SCOPES, held),
        may_delegate=accounts.MINT in held,
    )


@page
async def account(request: Request) -> Response:
    """`GET /account`: who one is here, passkeys, sessions, other identities."""
    desk = desk_of(request)
    at = desk.clock()
    session = entry.maybe(desk, request, at)
    if session is None:
        return _to_login("/account")
    name = session.account.id
    return render(
        "account.html",
        session=session,
        here="/account",
        at=at,
        passkeys=passkeys.of_account(desk.records, name),
        sessions=sessions.of_account(desk.records, name, at),
        connections=accounts.connections_of(desk.records, name),
    )


@page
async def admin(request: Request) -> Response:
    """`GET /admin`: people, invites, and the authority's key."""
    desk = desk_of(request)
    at = desk.clock()
    if entry.maybe(desk, request, at) is None:
        return _to_login("/admin")
    session = desk.manager(request, at)
    longest = desk.settings.invite_lifetime
    return render(
        "admin.html",
        session=session,
        here="/admin",
        domain=desk.settings.trust_domain,
        people=accounts.everybody(desk.records),
        scopes=_held(INVITE_SCOPES, session.scopes),
        lifetimes=[each for each in INVITE_LIFETIMES if timedelta(seconds=each[0]) <= longest],
        epochs=desk.authority.store.epochs()[::-1],
        recent=session.method == "passkey" and session.was_present(at),
    )


def _described(url: str) -> dict[str, object]:
    paths = {"cert": "/cert", "cert_gha": "/cert/gha", "token": "/token", "login": "/login"}
    return {
        "name": "Signet Authority",
        "authority_url": url,
        "status": "operational",
        "endpoints": {name: url + path for name, path in paths.items()}
        | {"ca_bundle": f"{url}/.well-known/ca-bundle.pem"},
        "algorithms": ["Ed25519"],
        "discovery": f"{url}/.well-known/signet-authority.json",
        "public_key_url": f"{url}/.well-known/ca-bundle.pem",
    }


def _live(desk: Desk, session: Session, at: datetime) -> list[Live]:
    store, lifetime = desk.authority.store, int(LIFETIME.total_seconds())
    since = int(at.timestamp()) - lifetime
    made: dict[tuple[str, str, int], list[str]] = {}
    for each in store.issued_since(since, session.account.principal.id, MAX_SHOWN):
        made.setdefault((each.grant_id, each.profile, each.issued_at), []).append(each.serial)
    return [
        Live(store.grant(grant).grant.actor.display, profile, issued, issued + lifetime, tuple(serials))
        for (grant, profile, issued), serials in made.items()
    ]


def _held(table: Sequence[tuple[str, str]], scopes: Sequence[str]) -> list[tuple[str, str]]:
    return [each for each in table if each[0] in scopes]


def _to_login(then: str) -> Response:
    return RedirectResponse(f"/login?then={then}", 303, NO_STORE)


ROUTES = [
    Route("/", start, methods=["GET"]),
    Route("/login", login, methods=["GET"]),
    Route("/join", join, methods=["GET"]),
    Route("/passkey", passkey, methods=["GET"]),
    Route("/account", account, methods=["GET"]),
    Route("/admin", admin, methods=["GET"]),
]
