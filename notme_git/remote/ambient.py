"""Proofs that a CI job finds in its surroundings, and which of them there are.

========== ================================================================================ ==============
github     ACTIONS_ID_TOKEN_REQUEST_URL and ..._TOKEN: a new token for every enrolment       /cert/gha
gitlab     NOTME_ID_TOKEN (`id_tokens:` of the job): one token, for one enrolment            /cert
kubernetes NOTME_TOKEN_FILE, or the file below: a projected service account token            /cert
========== ================================================================================ ==============

What they need is read once, by the process that keeps it (the daemon of the job), and taken out of its environment: no
child gets it, and no argument, log or error shows it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from attest.errors import Error, UnavailableError
from notme_git.remote.client import Client, parse_url
from notme_git.remote.enrolment import Keys, Proof, send_with_nonce

GITHUB_URL, GITHUB_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
GITLAB_TOKEN = "NOTME_ID_TOKEN"
TOKEN_FILE = "NOTME_TOKEN_FILE"
PROJECTED = Path("/var/run/secrets/tokens/notme")
AUDIENCE = "NOTME_AUDIENCE"
NAMES = (GITHUB_URL, GITHUB_TOKEN, GITLAB_TOKEN, TOKEN_FILE, AUDIENCE)
"""Of the environment; the daemon is started with these, too."""

DEFAULT_AUDIENCE = "notme.bot"
MAX_TOKEN_BYTES = 16 * 1024

_kept: dict[str, str] = {}


def keep(environ: MutableMapping[str, str]) -> None:
    """Take what proofs need out of the environment, for this process alone."""
    for name in NAMES:
        if name in environ:
            _kept[name] = environ.pop(name)


def without(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child: nothing that proves something."""
    return {name: value for name, value in environ.items() if name not in NAMES}


def find(environ: Mapping[str, str] | None = None) -> Proof | None:
    """The proof of these surroundings; None where there is none."""
    known = _kept if environ is None else environ
    audience = known.get(AUDIENCE, DEFAULT_AUDIENCE)
    if GITHUB_URL in known and GITHUB_TOKEN in known:
        return GitHub(known[GITHUB_URL], known[GITHUB_TOKEN], audience)
    if GITLAB_TOKEN in known:
        return Token(known[GITLAB_TOKEN])
    named = known.get(TOKEN_FILE)
    if named is not None or PROJECTED.is_file():
        return TokenFile(Path(named) if named is not None else PROJECTED)
    return None


@dataclass(frozen=True, slots=True)
class GitHub:
    """A job of GitHub Actions with `permissions: id-token: write`."""

    url: str = field(repr=False)
    token: str = field(repr=False)
    audience: str
    names_agent: bool = False

    def send(self, client: Client, body: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
        """`POST /cert/gha`, the proofs over the token's SHA-256 (`authority-protocol.md` 2)."""
        token = self._new_token()
        proven = keys.proven(hashlib.sha256(token.encode()).digest())
        return client.post("/cert/gha", {**body, **proven}, {"Authorization": f"Bearer {token}"})

    def _new_token(self) -> str:
        parts = urlsplit(self.url)
        query = f"{parts.query}&{urlencode({'audience': self.audience})}".lstrip("&")
        try:
            runner = Client(parse_url(f"{parts.scheme}://{parts.netloc}"))
            with contextlib.closing(runner):
                value = runner.get(f"{parts.path}?{query}", {"Authorization": f"Bearer {self.token}"}).get("value")
        except Error as error:
            raise UnavailableError(
                f"the runner gave no ID token: {error.message}", hint="the job needs permissions: id-token: write"
            ) from None
        if not isinstance(value, str) or len(value) > MAX_TOKEN_BYTES:
            raise UnavailableError("the runner's answer holds no ID token")
        return value


@dataclass(frozen=True, slots=True)
class Token:
    """One OIDC token, good for one enrolment."""

    token: str = field(repr=False)
    names_agent: bool = False

    def send(self, client: Client, body: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
        """`POST /cert` with a proof of type oidc."""
        return send_with_nonce(client, {**body, "proof": {"type": "oidc", "token": self.token}}, keys)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A file in which somebody keeps a fresh token, as Kubernetes does; read anew for every enrolment."""

    path: Path
    names_agent: bool = False

    def send(self, client: Client, body: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
        """As `Token`."""
        try:
            with open(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                token = file.read(MAX_TOKEN_BYTES).decode("ascii").strip()
        except (OSError, ValueError) as error:
            raise UnavailableError(f"cannot read the token in {self.path}: {type(error).__name__}") from None
        return Token(token).send(client, body, keys)
