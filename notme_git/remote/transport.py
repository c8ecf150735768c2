"""HTTP to one server: bounded in bytes and time, no redirects, no proxies, one connection kept."""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import math
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from attest.errors import MalformedError, UnavailableError
from notme_git import __version__


class Answered(NamedTuple):
    """What came back: HTTP's status, the type of the content without parameters and in lower case, the content."""

    status: int
    content_type: str
    body: bytes


@dataclass(slots=True)
class Transport:
    """A connection to the origin `url` (scheme, host and port). Not for several threads."""

    url: str
    timeout_s: float
    _kept: http.client.HTTPConnection | None = field(default=None, repr=False)
    _end: float = math.inf

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.url

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let everything inside take no longer than this, however many requests it makes."""
        before, self._end = self._end, min(self._end, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._end = before

    def close(self) -> None:
        """Hang up."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def ask(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], limit: int) -> Answered:
        """One request; once more where a kept connection turns out to be closed: nothing was answered on it.

        Raises `UnavailableError` where no answer could be had, `MalformedError` for one of more than `limit` bytes.
        """
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

    def _once(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str], limit: int) -> Answered:
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
            raise MalformedError(f"the answer of {self.name} is larger than {limit} bytes")
        if answer.will_close:
            self.close()
        kind = (answer.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        return Answered(answer.status, kind, body)

    def _unavailable(self, error: Exception) -> UnavailableError:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            why = "no answer in time"
        elif isinstance(error, ValueError | http.client.InvalidURL):
            why = f"no such request can be made ({type(error).__name__})"
        elif not isinstance(error, OSError):
            # Such an error repeats what came: up to 64 KiB of anything, and of a request that is sent back its secrets.
            why = f"what answers there is no HTTP ({type(error).__name__})"
        return UnavailableError(f"{self.name} cannot be reached: {why}")


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
