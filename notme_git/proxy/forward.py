"""One request after another from loopback, each over a TLS connection of its own to the one origin.

What may come in: HTTP/1.1 with a head of at most `MAX_HEAD` bytes and the token, as the first segment of the path or in
`Notme-Proxy-Token`; both are taken off. Bodies stream both ways and may be of any size. A client that closes its side
is gone. What goes out: the same without hop-by-hop fields (RFC 9110 section 7.6.1), to the origin and nowhere else; no
redirect is followed, nothing is upgraded.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11

from attest.errors import Error
from notme_git.proxy.holder import Holder

MAX_HEAD = 32 * 1024
CHUNK = 64 * 1024
HEAD_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 128
TOKEN_FIELD = b"notme-proxy-token"
MIN_TOKEN = 16

_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
     b"trailer", b"upgrade", b"expect", b"host", TOKEN_FIELD)
)  # fmt: skip

Headers = list[tuple[bytes, bytes]]


class Refusal(Exception):
    """An answer of the proxy's own."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class Side:
    """One end: h11's state over a stream."""

    http: h11.Connection
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def event(self) -> h11.Event | type[h11.PAUSED]:
        """The next event; the peer's errors are `h11.RemoteProtocolError`."""
        while True:
            found = self.http.next_event()
            if found is not h11.NEED_DATA:
                return found  # type: ignore[return-value]  # what is left is an event or PAUSED
            if self.http.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.http.receive_data(await self.read())

    async def read(self) -> bytes:
        """What has come; empty at the end, however it ended."""
        try:
            return await self.reader.read(CHUNK)
        except OSError:
            return b""

    async def send(self, event: h11.Event) -> None:
        """Write one event, and wait while the peer is slower."""
        data = self.http.send(event)
        if data:
            self.writer.write(data)
            await self.writer.drain()

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(self.writer.wait_closed(), 1)


@dataclass(slots=True)
class Forward:
    """A proxy to `origin` (`https://HOST[:PORT]`) for those who know `token`."""

    origin: str
    token: str = field(repr=False)
    holder: Holder
    _open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, as `asyncio.start_server` hands it over."""
        client = Side(h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD), reader, writer)
        self._open += 1
        try:
            while await self._one(client) and client.http.our_state is h11.DONE is client.http.their_state:
                client.http.start_next_cycle()
        except (h11.ProtocolError, OSError, TimeoutError):
            pass  # whoever broke off knows
        finally:
            self._open -= 1
            await client.close()

    async def _one(self, client: Side) -> bool:
        """One request; whether there may be another on this connection."""
        try:
            async with asyncio.timeout(HEAD_TIMEOUT_S):
                request = await client.event()
            if not isinstance(request, h11.Request):
                return False
            await self._forward(client, request)
        except h11.RemoteProtocolError as error:
            await _answer(client, Refusal(error.error_status_hint, "that is no HTTP request of a bounded size"))
            return False
        except Refusal as refusal:
            await _answer(client, refusal)
            return False
        return True

    async def _forward(self, client: Side, request: h11.Request) -> None:
        target = self._target(request)
        if self._open > MAX_CONNECTIONS:
            raise Refusal(503, f"more than {MAX_CONNECTIONS} connections at once")
        server = await self._connect()
        try:
            host = urlsplit(self.origin).netloc.encode()
            headers = [(b"host", host), *_end_to_end(request.headers), (b"connection", b"close")]
            await server.send(h11.Request(method=request.method, target=target, headers=headers))
            sending = asyncio.create_task(_upload(client, server))
            try:
                await _response(server, client)
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError, h11.ProtocolError):
                    await sending
        except (h11.ProtocolError, OSError) as error:
            if client.http.our_state is not h11.SEND_RESPONSE:
                raise
            raise Refusal(502, f"{self.origin} broke off: {_reason(error)}") from None
        finally:
            await server.close()

    def _target(self, request: h11.Request) -> bytes:
        """The path to ask for, once the caller has shown the token."""
        if request.method == b"CONNECT" or not request.target.startswith(b"/"):
            raise Refusal(400, f"this proxy is for {self.origin} alone: ask it for a path")
        shown = [value for name, value in request.headers if name == TOKEN_FIELD]
        if shown:
            given, rest = shown[0], request.target
        else:
            given, slash, path = request.target[1:].partition(b"/")
            rest = slash + path or b"/"
        if not hmac.compare_digest(given, self.token.encode()):
            raise Refusal(403, "ask with the address or the token that notme-git proxy printed")
        return bytes(rest)

    async def _connect(self) -> Side:
        parts = urlsplit(self.origin)
        try:
            context = await self.holder.context()
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                streams = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=context)
        except Error as error:
            raise Refusal(502, error.message) from None
        except (OSError, TimeoutError) as error:
            raise Refusal(502, f"{self.origin} cannot be reached: {_reason(error)}") from None
        return Side(h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD), *streams)


async def _body(source: Side, sink: Side) -> None:
    """The rest of a message, as it comes."""
    while isinstance(event := await source.event(), h11.Data):
        await sink.send(h11.Data(data=event.data))
    await sink.send(h11.EndOfMessage())


async def _upload(client: Side, server: Side) -> None:
    """The request's body; then, while the answer comes, whether the client is still there to have it."""
    try:
        await _body(client, server)
        more = await client.read()
    except h11.RemoteProtocolError:
        more = b""
    if more:
        client.http.receive_data(more)
    else:
        server.writer.transport.abort()


async def _response(server: Side, client: Side) -> None:
    while isinstance(event := await server.event(), h11.InformationalResponse):
        continue
    if not isinstance(event, h11.Response):
        raise ConnectionResetError("it closed the connection")
    headers = list(_end_to_end(event.headers))
    await client.send(h11.Response(status_code=event.status_code, headers=headers, reason=event.reason))
    await _body(server, client)


async def _answer(client: Side, refusal: Refusal) -> None:
    if client.http.our_state is not h11.SEND_RESPONSE and client.http.our_state is not h11.IDLE:
        return
    body = json.dumps({"error": str(refusal)}).encode()
    headers: Headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    response = h11.Response(status_code=refusal.status, headers=[*headers, (b"connection", b"close")])
    for event in (response, h11.Data(data=body), h11.EndOfMessage()):
        await client.send(event)


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Without what is for the next hop alone, which `Connection` names, too."""
    given = list(headers)
    named = {each.strip().lower() for name, value in given if name == b"connection" for each in value.split(b",")}
    return [(name, value) for name, value in given if name not in _HOP_BY_HOP and name not in named]


def _reason(error: BaseException) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return "".join(c if c.isprintable() else "?" for c in str(reason)[:200])
