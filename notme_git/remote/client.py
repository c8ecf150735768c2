"""HTTP to an authority: bounded in bytes and time, TLS unless it is this machine, no redirects, one connection kept.

Whatever goes wrong is `UnavailableError` when no answer could be had, and `AuthorityError` for an answer that refuses.
A client branches on the status, never on the text (`authority-protocol.md` 1).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from attest.errors import MalformedError, RefusedError, UsageError
from notme_git.loopback import is_loopback
from notme_git.remote.transport import Answered, Transport

TIMEOUT_S = 4.0
"""For one request with its answer, however slowly that drips; git waits for us, and is told within five seconds."""

MAX_ANSWER_BYTES = 1024 * 1024
MAX_BUNDLE_BYTES = 4 * 1024 * 1024
MAX_TEXT = 200


class AuthorityError(RefusedError):
    """The authority refused. `status` is HTTP's, `data` the JSON object that came with it."""

    def __init__(self, status: int, data: Mapping[str, Any], *, hint: str = "") -> None:
        text = str(data.get("error", "no reason given"))[:MAX_TEXT]
        said = "".join(c if c.isprintable() else "?" for c in text)
        super().__init__(f"the authority refused ({status}): {said}", hint=hint)
        self.status = status
        self.data = data


def parse_url(text: str) -> str:
    """The origin of an authority: https, or http on this machine; `UsageError`."""
    hint = "write it like https://authority.example.com"
    try:
        parts = urlsplit(text.rstrip("/"))
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc:
        raise UsageError(f"{text[:MAX_TEXT]!r} is no authority's URL", hint=hint)
    if parts.path or parts.query or parts.fragment:
        raise UsageError(f"{text[:MAX_TEXT]!r} has more than an origin", hint=hint)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise UsageError(f"{text[:MAX_TEXT]!r} is without TLS and not on this machine", hint=hint)
    with contextlib.suppress(ValueError):
        if parts.port != 0:
            return f"{parts.scheme}://{parts.netloc}"
    raise UsageError(f"{text[:MAX_TEXT]!r} has no usable port", hint=hint)


@dataclass(slots=True)
class Client(Transport):
    """A client of one authority. Not for several threads."""

    timeout_s: float = TIMEOUT_S

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"the authority {self.url}"

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A JSON object."""
        return _object(self.ask("GET", path, None, headers or {}, MAX_ANSWER_BYTES))

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A JSON object for a JSON object."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        return _object(self.ask("POST", path, json.dumps(body).encode(), sent, MAX_ANSWER_BYTES))

    def fetch(self, path: str, data: bytes | None = None, content_type: str = "") -> bytes:
        """Bytes, for a bundle or a time-stamp."""
        method, headers = ("GET", {}) if data is None else ("POST", {"Content-Type": content_type})
        answered = self.ask(method, path, data, headers, MAX_BUNDLE_BYTES)
        if answered.status != 200:
            raise AuthorityError(answered.status, _parse(answered.body))
        return answered.body


def _object(answered: Answered) -> dict[str, Any]:
    data = _parse(answered.body)
    if answered.status != 200:
        raise AuthorityError(answered.status, data)
    return data


def _parse(answer: bytes) -> dict[str, Any]:
    try:
        data = json.loads(answer)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise MalformedError("the authority's answer is no JSON object")
    return data
