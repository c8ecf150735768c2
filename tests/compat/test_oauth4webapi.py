"""`POST /token`, the JWKS and the middleware with a client that others wrote: oauth4webapi and jose, in Node."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from notme_git.authority.settings import Settings
from notme_git.tokens.asgi import DPoPMiddleware
from tests.compat.test_mcp import audience, serving
from tests.peers import NODE_MODULES, peer
from tests.served import served
from tests.world import World

SCRIPT = Path(__file__).parent / "node" / "tokens.mjs"


async def echo(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """Says who called, and what came."""
    body = (await receive())["body"].decode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{scope['user'].subject} {body}".encode()})


def test_it_discovers_gets_a_token_verifies_it_and_calls_a_service(tmp_path: Path) -> None:
    node = peer("oauth4webapi")
    script = tmp_path / SCRIPT.name
    script.write_bytes(SCRIPT.read_bytes())
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)  # where Node looks from there
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = audience(listening)
        with served(World(tmp_path, at=datetime.now(UTC)), Settings(audiences=(url,))) as authority:
            account = authority.account()
            guarded = DPoPMiddleware(echo, issuer=authority.url, audience=url, nonce_key=bytes(range(32)))
            cookie = f"notme_session={authority.cookie(account)}"
            with serving(guarded, listening):
                done = subprocess.run(
                    [node, script, authority.url, url],
                    env={"COOKIE": cookie},
                    capture_output=True,
                    text=True,
                    timeout=30,
                    check=False,
                )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["type"], found["status"], found["body"]) == ("dpop", 200, f"{account.id} hello")
    assert found["payload"]["cnf"] == {"jkt": found["thumbprint"]}
    assert len(found["refused"]) == 2  # once by the authority and once by the service: their nonces
