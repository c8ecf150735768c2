"""A conversation with a live authority in which every operation that answers in JSON succeeds once."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notme_git.authority import accounts, issue_ca
from notme_git.authority.http.operations import JSON, OPERATIONS, Operation
from notme_git.authority.proofs.configured import GitHub, Proofs
from notme_git.authority.settings import Limits, Rate, Settings
from notme_git.enroll.keys import proof, spki
from notme_git.tokens.proof import ProofKey
from tests.issuer import Issuer
from tests.passkey import Authenticator
from tests.served import Answer, Keys, Served, b64, pem, served
from tests.world import World

ERROR = "ErrorAnswer"
UNLIMITED = Limits(*(Rate(0, 0) for _ in Limits.__slots__))
SERVICE = "https://service.example"


@dataclass(slots=True)
class Conversation:
    """Asks, and notes which struct each request and answer has to be."""

    server: Served
    issuer: Issuer
    cookie: str = ""
    noted: list[tuple[tuple[str, ...], Any]] = field(default_factory=list)
    done: set[tuple[str, str]] = field(default_factory=set)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One request, which has to succeed; returns the answer's JSON."""
        sent = {"Cookie": f"notme_session={self.cookie}", "Accept": JSON, **headers}
        answer = self.server.request(method, path, body, sent)
        assert answer.status == 200, (method, path, answer.body)
        self.noted += list(structs(method, path, body, answer))
        self.done.add((method, operation(method, path).path))
        return answer.json

    def refused(self, method: str, path: str, body: Any = None) -> None:
        """One request, which has to fail."""
        answer = self.server.request(method, path, body, {"Cookie": f"notme_session={self.cookie}"})
        assert answer.status >= 400
        self.noted.append(((ERROR,), answer.json))


def operation(method: str, path: str) -> Operation:
    """The operation at a path; `LookupError` where there is none."""
    for each in OPERATIONS:
        if each.method == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each.path), path):
            return each
    raise LookupError(f"{method} {path}")


def structs(method: str, path: str, body: Any, answer: Answer) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Request and answer with the structs that the OpenAPI document has for them."""
    known = operation(method, path)
    if isinstance(body, dict) and known.asks:
        yield (known.asks,), body
    yield tuple(name for name in known.tells if "/" not in name), answer.json


@contextmanager
def speaking(folder: Path) -> Iterator[Conversation]:
    """A conversation with an authority of its own, at which nobody is known yet."""
    world = World(folder)
    with Issuer(lambda: world.now) as issuer:
        settings = Settings(
            audiences=(SERVICE,),
            dpop_nonce=False,
            limits=UNLIMITED,
            proofs=Proofs(github=GitHub(owners=("example",), issuer=issuer.url)),
        )
        with served(world, settings) as server:
            yield Conversation(server, issuer)


def speak(talk: Conversation) -> None:
    """All of it."""
    passkeys(talk)
    own_account(talk)
    others(talk)
    program(talk)
    certificates(talk)
    for each in OPERATIONS:
        if each.method == "GET" and each.part == "discovery" and each.tells and "/" not in each.tells[0]:
            talk.ask("GET", each.path)
    talk.ask("GET", "/")
    last(talk)


def passkeys(talk: Conversation) -> None:
    """Register the first administrator, and sign in."""
    key, at = Authenticator(talk.server.url), "/auth/passkey"
    begun = talk.ask("POST", f"{at}/register/options", {"bootstrapCode": talk.server.code(), "email": "a@example.org"})
    talk.ask(
        "POST", f"{at}/register/verify", {"userId": begun["userId"], "response": key.create(begun["options"])}
    )
    options = talk.ask("POST", f"{at}/login/options", {})
    answer = {"response": key.get(options)}
    got = talk.server.request("POST", f"{at}/login/verify", answer)
    talk.done.add(("POST", f"{at}/login/verify"))
    talk.noted += list(structs("POST", f"{at}/login/verify", answer, got))
    talk.cookie = got.headers["set-cookie"].partition(";")[0].partition("=")[2]
    talk.ask("POST", f"{at}/register/options", {})  # with a passkey to be excluded
    talk.ask("GET", f"{at}/status")


def own_account(talk: Conversation) -> None:
    """Who am I, agents, sessions."""
    talk.ask("GET", "/me")
    made = talk.ask("POST", "/grants", {"agent": "claude-code", "lifetime": "7d", "branches": ["main"]})
    talk.ask("POST", "/grants", {"agent": "orchestrator", "delegate": True})
    talk.ask("DELETE", f"/grants/{made['grant']}")
    made = talk.ask("POST", "/grants", {"agent": "codex"})
    talk.ask("POST", f"/grants/{made['grant']}", {"reason": "lost"})
    talk.ask("GET", "/grants")
    me = talk.server.within(lambda desk: accounts.everybody(desk.records)[0])
    for method, body in (("DELETE", None), ("POST", {})):
        talk.server.cookie(me)
        other = next(each["id"] for each in talk.ask("GET", "/sessions")["sessions"] if each["label"] == "test")
        talk.ask(method, f"/sessions/{other}", body)


def others(talk: Conversation) -> None:
    """Invite somebody who joins with an identity, signs in by it, and is disabled."""
    invite = talk.ask("POST", "/invites", {"ttl": 600, "scopes": ["bridgeCert"]})
    proven = {"type": "oidc", "token": talk.issuer.github_token()}
    joined = talk.ask("POST", "/join", {"token": invite["token"], "proof": proven, "email": "b@example.org"})
    talk.ask("POST", "/auth/oidc/login", {"token": talk.issuer.github_token()})
    mine = {"type": "oidc", "token": talk.issuer.github_token("example/other", sub="repo:example/other")}
    talk.ask("POST", "/connections", {"proof": mine})
    talk.ask("GET", "/connections")
    talk.ask("POST", f"/accounts/{joined['principalId']}/disable", {"reason": "left"})


def program(talk: Conversation) -> None:
    """Let a program in."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    wish = {"port": "50123", "state": "S", "challenge": challenge, "agents": "claude-code", "decision": "allow"}
    answer = talk.server.request("POST", "/login/program", wish, {"Cookie": f"notme_session={talk.cookie}"})
    talk.noted.append((("ProgramDecision",), wish))
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    talk.ask("POST", "/login/redeem", {"code": code, "verifier": verifier})


def certificates(talk: Conversation) -> None:
    """Every way to a pair, an issuing CA, tokens, and what is refused."""
    nonce = talk.ask("GET", "/nonce")["nonce"]
    keys = Keys()
    ready = keys.body(hashlib.sha256(nonce.encode()).digest())
    talk.ask("POST", "/cert", {"proof": {"type": "session"}, "nonce": nonce, **ready, "agent": "claude-code"})
    talk.ask("POST", "/cert", {"proof": {"type": "session"}})
    token = talk.issuer.github_token()
    job = keys.body(hashlib.sha256(token.encode()).digest())
    talk.ask("POST", "/cert/gha", job, Authorization=f"Bearer {token}")
    talk.ask("POST", "/cert/passkey", keys.body(hashlib.sha256(talk.cookie.encode()).digest()))
    key, nonce = Ed25519PrivateKey.generate(), talk.server.nonce()
    possession = proof(key, issue_ca.preimage(spki(key)) + hashlib.sha256(nonce.encode()).digest())
    asked = {"proof": {"type": "session"}, "public_key": pem(key), "possession": b64(possession), "nonce": nonce}
    talk.ask("POST", "/cert/ca", {**asked, "agent": "orchestrator"})
    made = ProofKey().prove("POST", f"{talk.server.url}/token", talk.server.world.now)
    talk.ask("POST", "/token", {"audience": SERVICE}, DPoP=made)
    talk.refused("POST", "/cert", {"proof": {"type": "session"}, "scopes": ["sign:other"]})
    talk.refused("POST", "/token", {"audience": "https://other.example"})
    talk.refused("GET", "/nowhere")


def last(talk: Conversation) -> None:
    """What ends something for everybody."""
    talk.ask("POST", "/revocations", {"kind": "session", "id": "0123", "reason": "lost"})
    talk.ask("GET", "/revocations")
    talk.ask("POST", "/admin/rotate", {"kind": "routine"})
    talk.ask("GET", "/internal/ca-bundle")
    talk.ask("POST", "/logout", {})
    code = talk.server.code(recovery=True)
    talk.ask("POST", "/auth/passkey/reset", {"bootstrapCode": code})
