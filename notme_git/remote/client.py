"""HTTP to an authority: bounded in bytes and time, TLS unless it is this machine, no redirects, one connection kept.

Whatever goes wrong is `UnavailableError` when no answer could be had, and `AuthorityError` for an answer that refuses.
A client branches on the status, never on the text (`authority-protocol.md` 1).
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import json
import math
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from attest.errors import MalformedError, RefusedError, UnavailableError, UsageError
from notme_git import __version__
from notme_git.loopback import is_loopback

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
class Client:
    """A client of one authority. Not for several threads."""

    url: str
    timeout_s: float = TIMEOUT_S
    _kept: http.client.HTTPConnection | None = field(default=None, repr=False)
    _end: float = math.inf

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let everything inside take no longer than this, however many requests it makes."""
        before, self._end = self._end, min(self._end, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._end = before

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A JSON object."""
        return _object(*self._ask("GET", path, None, headers or {}, MAX_ANSWER_BYTES))

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A JSON object for a JSON object."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        return _object(*self._ask("POST", path, json.dumps(body).encode(), sent, MAX_ANSWER_BYTES))

    def fetch(self, path: str, data: bytes | None = None, content_type: str = "") -> bytes:
        """Bytes, for a bundle or a time-stamp."""
        method, headers = ("GET", {}) if data is None else ("POST", {"Content-Type": content_type})
        status, answer = self._ask(method, path, data, headers, MAX_BUNDLE_BYTES)
        if status != 200:
            raise AuthorityError(status, _parse(answer))
        return answer

    def close(self) -> None:
        """Hang up."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _ask(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], limit: int
    ) -> tuple[int, bytes]:
        """Once more where a kept connection turns out to be closed: nothing was answered on it."""
        kept = self._kept is not None
        try:
            return self._once(method, path, data, headers, limit)
        except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError) as error:
            self.close()
            if not kept:
                raise self._unavailable(error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise self._unavailable(error) from None
        try:
            return self._once(method, path, data, headers, limit)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise self._unavailable(error) from None

    def _once(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], limit: int
    ) -> tuple[int, bytes]:
        end = min(self._end, time.monotonic() + self.timeout_s)
        left = _left(end)
        if self._kept is None:
            self._kept = _connection(self.url, left)
        elif self._kept.sock is not None:
            self._kept.sock.settimeout(left)
        self._kept.response_class = functools.partial(_Answer, end)  # type: ignore[assignment]  # as it is called
        self._kept.request(method, path, data, {"User-Agent": f"notme-git/{__version__}", **headers})
        answer = self._kept.getresponse()
        body = answer.read(limit + 1)
        if len(body) > limit:
            self.close()
            raise MalformedError(f"the authority's answer is larger than {limit} bytes")
        if answer.will_close:
            self.close()
        return answer.status, body

    def _unavailable(self, error: Exception) -> UnavailableError:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            why = "no answer in time"
        return UnavailableError(f"the authority {self.url} cannot be reached: {why}")


class _Answer(http.client.HTTPResponse):
    """An answer that has to be read whole before `end`, by the monotonic clock."""

    def __init__(self, end: float, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp = io.BufferedReader(_Until(end, sock, self.fp.detach()))


class _Until(io.RawIOBase):
    def __init__(self, end: float, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._end, self._sock, self._raw = end, sock, raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left(self._end))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connection(url: str, timeout_s: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context())


def _object(status: int, answer: bytes) -> dict[str, Any]:
    data = _parse(answer)
    if status != 200:
        raise AuthorityError(status, data)
    return data


def _parse(answer: bytes) -> dict[str, Any]:
    try:
        data = json.loads(answer)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise MalformedError("the authority's answer is no JSON object")
    return data
