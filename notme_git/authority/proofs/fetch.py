"""GET of one small document from an identity provider: bounded in bytes and time, TLS, no redirect followed.

httptools parses the answer; what may be asked, and how much of it is read, is decided here. Only addresses that the
settings name, or that a named provider gave, are ever asked.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import httptools

from attest.errors import UnavailableError
from notme_git.loopback import is_loopback

MAX_BYTES = 256 * 1024
TIMEOUT_S = 5.0
CHUNK = 16 * 1024


@dataclass(frozen=True, slots=True)
class Access:
    """How a provider is asked: who vouches for its TLS (a file, or this machine's list), and a bearer token."""

    ca_file: str = ""
    bearer: str = field(default="", repr=False)


class _Answer:
    """What httptools calls back."""

    def __init__(self) -> None:
        self.body, self.complete, self.framed = bytearray(), False, False

    def on_header(self, name: bytes, _: bytes) -> None:
        self.framed |= name.lower() in (b"content-length", b"transfer-encoding")

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


async def get(url: str, access: Access) -> bytes:
    """The body of a 200 answer, at most `MAX_BYTES` with its head, within `TIMEOUT_S`; `UnavailableError`."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _get(urlsplit(url), access)
    except TimeoutError:
        raise UnavailableError(f"{url} did not answer within {TIMEOUT_S:g} seconds") from None
    except (OSError, ValueError, httptools.HttpParserError) as error:
        raise UnavailableError(f"cannot ask {url}: {error}") from None


async def _get(parts: SplitResult, access: Access) -> bytes:
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    if not host or (not secure and not (parts.scheme == "http" and is_loopback(host))):
        raise ValueError("it is neither https nor on this machine")
    request = _request(parts, access)
    context = ssl.create_default_context(cafile=access.ca_file or None) if secure else None
    reader, writer = await asyncio.open_connection(host, parts.port or (443 if secure else 80), ssl=context)
    try:
        writer.write(request)
        return await _read(reader)
    finally:
        writer.transport.abort()  # a farewell over TLS would wait for the other side


def _request(parts: SplitResult, access: Access) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not all("!" <= each <= "~" for each in target + parts.netloc + access.bearer):
        raise ValueError("its address or the bearer token has characters that no request may have")
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Accept: application/json, application/jwk-set+json",
        "Connection: close",
        *([f"Authorization: Bearer {access.bearer}"] if access.bearer else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _read(reader: asyncio.StreamReader) -> bytes:
    answer, size = _Answer(), 0
    parser = httptools.HttpResponseParser(answer)
    while not answer.complete and (data := await reader.read(CHUNK)):
        size += len(data)
        if size > MAX_BYTES:
            raise ValueError(f"its answer is larger than {MAX_BYTES} bytes")
        parser.feed_data(data)
    if not answer.complete and (answer.framed or not size):
        raise ValueError("its answer ended early")
    if parser.get_status_code() != 200:
        raise ValueError(f"it answered with status {parser.get_status_code()}")
    return bytes(answer.body)
