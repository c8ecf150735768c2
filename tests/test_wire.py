"""Connections that send nothing, too slowly or too much are given up, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from notme_git.authority.http import wire

REQUEST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"


async def app(_scope: Any, _receive: Any, send: Any) -> None:
    """Answers without reading the body."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def told(*parts: bytes) -> bytes:
    """What one connection gets for these bytes, until the server hangs up."""

    async def talk(listener: socket.socket) -> bytes:
        config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, http=wire.Bounded, ws="none")
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            async with asyncio.timeout(10):
                return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.transport.abort()
            for each in server.servers:
                each.close()
            await asyncio.sleep(0)

    with listening() as listener:
        return asyncio.run(talk(listener))


SLOW = [
    pytest.param((), b"", id="nothing"),
    pytest.param((b"\r\n",), b"", id="blank lines"),
    pytest.param((b"GET / HTTP/1.1\r\nHost:",), b"", id="half a head"),
    pytest.param((REQUEST,), b"HTTP/1.1 200 OK", id="a body that never comes"),
]


@pytest.mark.parametrize(("parts", "first"), SLOW)
def test_a_request_that_does_not_end_is_given_up(
    parts: tuple[bytes, ...], first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "REQUEST_S", 0.2)
    assert told(*parts).split(b"\r\n")[0] == first


LARGE = [
    pytest.param(b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 8000) for n in range(10)), id="many"),
    pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * (wire.MAX_HEAD + 1), id="one field"),
    pytest.param(b"GET /" + b"a" * (wire.MAX_HEAD + 1), id="the path"),
]


@pytest.mark.parametrize("head", LARGE)
def test_a_head_without_end_is_refused(head: bytes) -> None:
    assert told(head).startswith(b"HTTP/1.1 400 ")


def test_requests_one_after_the_other_count_each_by_itself() -> None:
    one = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 30000 + b"\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert told(one, one, one, last).count(b"HTTP/1.1 200 OK") == 4
