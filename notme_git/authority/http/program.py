"""Signing in a program, as `notme-git login` does: a person allows it in the browser, the program redeems a code.

1. The program opens `GET /login/program?port=P&state=S&challenge=C&agents=a,b&label=HOST`. The challenge is base64url
   of the SHA-256 of a verifier that it keeps (RFC 7636, S256 only). Without a port it has no browser beside it.
2. A person signs in with a passkey, sees who asks for what, and allows it. That grants the agents that have none.
3. The page goes on to `http://127.0.0.1:P/?code=..&state=..`, or shows the code to be copied.
4. `POST /login/redeem {code, verifier}` gives the program a session that can enrol agents, and nothing else: it does
   not manage, grant, invite or register passkeys.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from attest.errors import RefusedError
from notme_git.authority import accounts, agents, grants, sessions
from notme_git.authority.accounts import Account
from notme_git.authority.agents import Wish
from notme_git.authority.http import body, entry, forms
from notme_git.authority.http.answers import NO_STORE, HttpError, answer
from notme_git.authority.http.desk import Desk, client_address, desk_of
from notme_git.authority.http.html import friendly, page, render

CODE = "login"
CODE_S = 300
PRESENCE = timedelta(minutes=5)
LIFETIMES = {"1d": "1 day", "7d": "7 days", "30d": "30 days", "90d": "90 days"}
DEFAULT_LIFETIME = "30d"
MAX_AGENTS = 16
MAX_LABEL, MAX_STATE = 64, 256
SCOPES = (accounts.BRIDGE,)

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
"""RFC 7636 sections 4.1 and 4.2."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a program asks a person for. A `port` of 0: the code is shown, to be copied."""

    port: int
    state: str
    challenge: str
    agents: tuple[str, ...]
    label: str

    def back(self, **told: str) -> Response:
        """On to the program's own listener on this machine."""
        query = urlencode({**told, "state": self.state})
        return RedirectResponse(f"http://127.0.0.1:{self.port}/?{query}", 303, NO_STORE)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a code stands for, as it is kept."""

    account: str
    challenge: str
    label: str
    lifetime: str
    agents: tuple[str, ...]


@page
async def ask(request: Request) -> Response:
    """`GET /login/program`: the page on which a person allows it, after signing in."""
    desk = desk_of(request)
    at = desk.clock()
    wanted = _wanted(request.query_params)
    session = entry.maybe(desk, request, at)
    if session is None or session.method != "passkey" or not session.was_present(at, PRESENCE):
        return render("login.html", why=wanted.label, then=f"{request.url.path}?{request.url.query}")
    store = desk.authority.store
    shown = [(name, agents.usable(store, session.account, name, at) is None) for name in wanted.agents]
    return render("program.html", session=session, wanted=wanted, agents=shown, lifetimes=LIFETIMES)


@friendly
async def decide(request: Request) -> Response:
    """`POST /login/program`: the person's answer."""
    desk = desk_of(request)
    at = desk.clock()
    session = entry.present(desk, request, at, PRESENCE)
    fields: body.Fields = dict.fromkeys(("port", "state", "challenge", "agents", "label"), str)
    sent = await forms.read(request, {**fields, "lifetime": str, "decision": str})
    wanted, lifetime = _wanted(sent.fields), sent.fields.get("lifetime", DEFAULT_LIFETIME)
    if lifetime not in LIFETIMES:
        raise HttpError(400, f"lifetime must be one of {', '.join(LIFETIMES)}")
    if sent.fields.get("decision") != "allow":
        return wanted.back(error="access_denied") if wanted.port else RedirectResponse("/me", 303, NO_STORE)
    code = _allow(desk, session.account, wanted, lifetime, at)
    return wanted.back(code=code) if wanted.port else render("code.html", session=session, code=code, wanted=wanted)


async def redeem(request: Request) -> Response:
    """`POST /login/redeem`: the code, and the verifier of its challenge, for a session. One try a code."""
    desk = desk_of(request)
    at = desk.clock()
    desk.check_rate(f"login:{client_address(request)}", desk.settings.limits.code, at)
    sent = await body.read_json(request, {"code": str, "verifier": str})
    if "code" not in sent or not _VERIFIER.fullmatch(sent.get("verifier", "")):
        raise HttpError(400, "code and verifier required (RFC 7636: 43 to 128 unreserved characters)")
    allowed = _claim(desk, sent["code"], sent["verifier"], at)
    account = accounts.find(desk.records, allowed.account)
    with desk.authority.store.transaction(durable=True):
        session = sessions.begin(
            desk.records,
            account,
            "passkey",
            scopes=SCOPES,
            label=allowed.label,
            lifetime=grants.parse_duration(allowed.lifetime),
            program=True,
            at=at,
        )
    who = account.principal
    told = {"session": session.value, "expires_at": int(session.expires_at.timestamp()), "principal_id": account.id}
    named = {"display": who.display, "email": who.email, "authority": desk.authority.id}
    return answer({**told, **named, "agents": _agents(desk, account, allowed.agents, at)})


def _wanted(given: Mapping[str, Any]) -> Wanted:
    """What a program asks, from a query or a form; an answer of 400."""
    port, state, label = given.get("port", ""), given.get("state", ""), given.get("label", "")
    if port and not (port.isascii() and port.isdecimal() and len(port) <= 5 and 1024 <= int(port) <= 65535):
        raise HttpError(400, "port must be between 1024 and 65535")
    if not _CHALLENGE.fullmatch(given.get("challenge", "")):
        raise HttpError(400, "challenge must be base64url of a SHA-256")
    if len(state) > MAX_STATE or (port and not state):
        raise HttpError(400, f"state required, at most {MAX_STATE} characters")
    if len(label) > MAX_LABEL or not label.isprintable():
        raise HttpError(400, f"label must be printable, at most {MAX_LABEL} characters")
    names = tuple(dict.fromkeys(each for each in re.split("[, ]", given.get("agents", "")) if each))
    if len(names) > MAX_AGENTS:
        raise HttpError(400, f"at most {MAX_AGENTS} agents")
    named = tuple(grants.parse_agent(each) for each in names)
    return Wanted(int(port or 0), state, given["challenge"], named, label or "a program")


def _allow(desk: Desk, account: Account, wanted: Wanted, lifetime: str, at: datetime) -> str:
    """Grant what is not granted yet, and keep what the code stands for."""
    code, store = secrets.token_urlsafe(32), desk.authority.store
    kept = Allowed(account.id, wanted.challenge, wanted.label, lifetime, wanted.agents)
    with store.transaction(durable=True):
        for name in wanted.agents:
            if agents.usable(store, account, name, at) is None:
                wish = Wish(name, lifetime=grants.parse_duration(lifetime))
                agents.add(desk.records, desk.settings.trust_domain, desk.authority.id, account, wish, at)
        desk.records.keep(CODE, code, json.dumps(asdict(kept)), int(at.timestamp()) + CODE_S)
    return code


def _claim(desk: Desk, code: str, verifier: str, at: datetime) -> Allowed:
    """What a code stands for, which is used up even where the verifier is another's."""
    try:
        with desk.authority.store.transaction(durable=True):
            found = json.loads(desk.records.claim(CODE, code, int(at.timestamp())))
    except RefusedError:
        raise HttpError(403, "invalid or used code") from None
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    if not hmac.compare_digest(challenge, found["challenge"]):
        raise HttpError(403, "invalid or used code")
    return Allowed(**{**found, "agents": tuple(found["agents"])})


def _agents(desk: Desk, account: Account, names: tuple[str, ...], at: datetime) -> list[dict[str, object]]:
    found = [agents.usable(desk.authority.store, account, name, at) for name in names]
    return [
        {"agent": each.actor.name, "grant": each.id, "email": each.actor.email, "expires_at": each.expires_at}
        for each in found
        if each is not None
    ]


ROUTES = [
    Route("/login/program", ask, methods=["GET"]),
    Route("/login/program", decide, methods=["POST"]),
    Route("/login/redeem", redeem, methods=["POST"]),
]
