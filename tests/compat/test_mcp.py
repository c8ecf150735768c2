"""An MCP server of the official SDK behind `DPoPMiddleware`, called by the SDK's own client with `DPoPAuth`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import uvicorn
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import Context, MCPServer

from notme_git.authority.settings import Settings
from notme_git.tokens.asgi import App, DPoPMiddleware
from notme_git.tokens.auth2 import DPoPAuth
from notme_git.tokens.source import Source, by_session
from tests.served import Served, served
from tests.world import World

TIMEOUT_S = 20.0


@pytest.fixture
def port() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def authority(tmp_path: Path, port: socket.socket) -> Iterator[Served]:
    with served(World(tmp_path), Settings(audiences=(audience(port),))) as running:
        yield running


def audience(port: socket.socket) -> str:
    return f"http://127.0.0.1:{port.getsockname()[1]}/mcp"


def calculator() -> App:
    """An MCP server of the SDK with one tool, which says who calls."""
    server = MCPServer("calculator")

    @server.tool()
    async def add(a: int, b: int, ctx: Context) -> str:
        """Add two numbers."""
        caller = ctx.request_context.request.user  # type: ignore[union-attr]  # over HTTP there is a request
        return f"{a + b} for {caller.subject} as {' '.join(caller.scopes)}"

    return server.streamable_http_app()


@contextlib.contextmanager
def serving(app: App, listening: socket.socket) -> Iterator[None]:
    """uvicorn on a port, in a thread."""
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_S)


def test_the_sdks_client_calls_a_tool_of_the_sdks_server(authority: Served, port: socket.socket) -> None:
    account = authority.account()
    source = Source(authority.url, by_session(authority.cookie(account)))
    shown = DPoPAuth(source, audience(port), clock=lambda: authority.world.now)

    async def run() -> str:
        async with (
            httpx2.AsyncClient(auth=shown, timeout=TIMEOUT_S) as http,
            Client(streamable_http_client(audience(port), http_client=http)) as client,
        ):
            assert [tool.name for tool in (await client.list_tools()).tools] == ["add"]
            result = await client.call_tool("add", {"a": 2, "b": 3})
            return result.content[0].text  # type: ignore[union-attr]  # the tool answers with text

    with serving(guarded(authority, port), port):
        assert asyncio.run(run()) == f"5 for {account.id} as bridgeCert"


def test_without_a_token_the_sdks_client_gets_nothing(authority: Served, port: socket.socket) -> None:
    async def run() -> None:
        async with Client(audience(port)) as client:
            await client.list_tools()

    with serving(guarded(authority, port), port), pytest.raises(BaseExceptionGroup) as raised:
        asyncio.run(run())
    assert "Server returned an error response" in repr(raised.value)


def guarded(authority: Served, port: socket.socket) -> App:
    return DPoPMiddleware(
        calculator(),
        issuer=authority.url,
        audience=audience(port),
        nonce_key=bytes(range(32)),
        clock=lambda: authority.world.now,
    )
