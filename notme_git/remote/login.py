"""`notme-git login`: a person allows this machine in the browser, and a session comes back through loopback.

The browser is sent to the authority with the SHA-256 of a verifier that stays here (RFC 7636) and a state. What comes
back is a code that is worth nothing without the verifier: to 127.0.0.1, or, where no browser is near, by copying.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from attest.errors import MalformedError, RefusedError, UnavailableError
from notme_git.remote.client import Client
from notme_git.remote.place import Login

PATIENCE_S = 300.0
MAX_CODE = 256
MAX_LABEL = 64

_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>notme-git</title>"
    "<style>:root{{color-scheme:light dark}}body{{font:1.1rem/1.5 system-ui;margin:20vh auto;max-width:32rem;"
    "padding:0 1rem}}</style><h1>{title}</h1><p>{text}"
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One login under way."""

    url: str
    agents: tuple[str, ...]
    label: str
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    def page(self, port: int = 0) -> str:
        """Where the person goes; without a `port` the page shows a code."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")
        asked = {"state": self.state, "challenge": challenge, "label": self.label[:MAX_LABEL]}
        if self.agents:
            asked["agents"] = ",".join(self.agents)
        if port:
            asked["port"] = str(port)
        return f"{self.url}/login/program?{urlencode(asked)}"

    def redeem(self, client: Client, code: str) -> tuple[Login, list[dict[str, Any]]]:
        """The session that a code stands for, and the agents that may be enrolled with it."""
        if not code or len(code) > MAX_CODE or not code.isascii():
            raise RefusedError("that is no code", hint="copy what the page shows")
        answer = client.post("/login/redeem", {"code": code, "verifier": self.verifier})
        try:
            who = Login(
                str(answer["session"]), int(answer["expires_at"]), str(answer["display"]), str(answer["email"])
            )
            return who, [dict(each) for each in answer["agents"]]
        except (KeyError, TypeError, ValueError):
            raise MalformedError("the authority's answer to the code is no session") from None


def through_browser(attempt: Attempt, opened: Callable[[str], object], patience_s: float = PATIENCE_S) -> str:
    """Send the person to the page, and return the code that comes back here. `opened` is given the page's URL.

    Raises `RefusedError` where the person said no, `UnavailableError` when nothing came in time.
    """
    found: list[str] = []
    refused: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers the one request that carries our state; whatever else comes is told nothing."""

        timeout = 5.0

        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            if not hmac.compare_digest(query.get("state", "").encode(), attempt.state.encode()):
                self._say(400, "Not for this login", "This address was not asked for by the login that is under way.")
                return
            if "code" in query:
                found.append(query["code"])
                self._say(200, "You are signed in", "You can close this page and go back to the terminal.")
            else:
                refused.append(query.get("error", "refused"))
                self._say(200, "Nothing was allowed", "You can close this page.")

        def _say(self, status: int, title: str, text: str) -> None:
            page = _PAGE.format(title=title, text=text).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Nothing: the code stands in the address."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        opened(attempt.page(server.server_port))
        end = time.monotonic() + patience_s
        while not found and not refused:
            server.timeout = end - time.monotonic()
            if server.timeout <= 0:
                raise UnavailableError("nobody signed in within five minutes", hint="run notme-git login again")
            server.handle_request()
    if refused:
        raise RefusedError("the login was refused in the browser")
    return found[0]


def machine() -> str:
    """How this machine is called on the page."""
    return "".join(c for c in socket.gethostname() if c.isprintable())[:MAX_LABEL] or "this machine"


def named(agents: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The agents' names in an answer."""
    return tuple(str(each.get("agent", "")) for each in agents)
