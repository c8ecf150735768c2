"""A world's authority over HTTP, for tests: served by uvicorn on loopback in a thread, and a client of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import http.client
import json
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest.types import Authentication
from notme_git.authority import accounts, embedded, sessions
from notme_git.authority.accounts import Account
from notme_git.authority.http import app
from notme_git.authority.http.desk import Desk
from notme_git.authority.issue import binding_preimage
from notme_git.authority.settings import Settings
from notme_git.enroll.keys import proof, spki
from tests.disk import unsynced
from tests.world import World

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers in lower case, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class Keys:
    """A client's pair of keys."""

    mtls: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    signing: ed25519.Ed25519PrivateKey = field(default_factory=ed25519.Ed25519PrivateKey.generate)

    def body(self, suffix: bytes = b"") -> dict[str, Any]:
        """`public_keys` and `proofs` of a request, over the pre-image with `suffix`."""
        message = binding_preimage(spki(self.mtls), spki(self.signing)) + suffix
        return {
            "public_keys": {"mtls": pem(self.mtls), "signing": pem(self.signing)},
            "proofs": {"mtls": b64(proof(self.mtls, message)), "signing": b64(proof(self.signing, message))},
        }


@dataclass(slots=True)
class Served:
    """A running server. Its clock is the world's, unless the test hands in another."""

    url: str
    world: World
    desk: Desk
    _call: Callable[[Callable[[], Any]], Any]

    def within(self, work: Callable[[Desk], Any]) -> Any:
        """Run `work` in the server's thread, which alone may use its database, and return what it returns."""
        return self._call(lambda: work(self.desk))

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        raw: bytes | None = None,
    ) -> Answer:
        """One request; a `body` goes as JSON, `raw` as it is."""
        data = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        sent = {"Content-Type": "application/json", **(headers or {})} if data is not None else dict(headers or {})
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=TIMEOUT_S)
        try:
            connection.request(method, path, data, sent)
            got = connection.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            connection.close()

    def nonce(self) -> str:
        """A fresh nonce."""
        return str(self.request("GET", "/nonce").json["nonce"])

    def cert(self, proof: Mapping[str, Any], *, keys: Keys | None = None, cookie: str = "", **more: Any) -> Answer:
        """`POST /cert` with a nonce and honest proofs."""
        nonce = self.nonce()
        ready = (keys or Keys()).body(hashlib.sha256(nonce.encode()).digest())
        headers = {"Cookie": f"{sessions.COOKIE}={cookie}"} if cookie else {}
        return self.request("POST", "/cert", {"proof": proof, "nonce": nonce, **ready, **more}, headers)

    def code(self, *, recovery: bool = False) -> str:
        """An operator's bootstrap code, as `notme-git authority code` makes one."""
        code = base64.urlsafe_b64encode(secrets.token_bytes(24)).decode()
        self.within(lambda desk: _keep_code(desk, code, json.dumps({"recovery": True} if recovery else {}), self.world))
        return code

    def account(self, *scopes: str, display: str = "Alice Example", email: str = "alice@example.org") -> Account:
        """An account on record."""

        def make(desk: Desk) -> Account:
            with desk.authority.store.transaction(durable=True):
                return accounts.create(
                    desk.records,
                    desk.settings.trust_domain,
                    display=display,
                    email=email,
                    scopes=scopes or accounts.MEMBER,
                    authentication=Authentication.PASSKEY,
                    at=self.world.now,
                )

        return self.within(make)  # type: ignore[no-any-return]

    def cookie(self, account: Account, *, method: str = "passkey", lifetime: timedelta = timedelta(hours=24)) -> str:
        """The cookie's value of a new session of an account."""

        def begin(desk: Desk) -> str:
            with desk.authority.store.transaction(durable=True):
                return sessions.begin(
                    desk.records,
                    account,
                    method,
                    scopes=account.scopes,
                    label="test",
                    lifetime=lifetime,
                    at=self.world.now,
                ).value

        return self.within(begin)  # type: ignore[no-any-return]


class Box:
    """What the server's thread hands out."""

    desk: Desk
    loop: asyncio.AbstractEventLoop
    over: asyncio.Event


async def _serve(server: uvicorn.Server, listening: socket.socket, box: Box, ready: threading.Event) -> None:
    """What `Server.serve` does without its tick, which a test would wait for."""
    box.loop, box.over = asyncio.get_running_loop(), asyncio.Event()
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[listening])
    ready.set()
    await box.over.wait()
    for each in server.servers:
        each.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    await asyncio.sleep(0)


@contextlib.contextmanager
def served(world: World, settings: Settings | None = None) -> Iterator[Served]:
    """Serve the world's authority on a free port until the end; `settings.url` becomes the server's own address."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio sets it on its own sockets alone
    url = f"http://localhost:{listening.getsockname()[1]}"
    ready, box = threading.Event(), Box()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with unsynced(), embedded.opened(world.home) as authority:
                front = app.build(authority, replace(settings or Settings(), url=url), clock=lambda: world.now)
                config = uvicorn.Config(front, lifespan="off", log_config=None, access_log=False)
                server = uvicorn.Server(config)
                box.desk = front.desk

                asyncio.run(_serve(server, listening, box, ready))
        except BaseException as error:
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=run, name="served", daemon=True)
    thread.start()
    ready.wait(TIMEOUT_S)
    if failed:
        raise failed[0]

    def call(work: Callable[[], Any]) -> Any:
        async def within() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(within(), box.loop).result(TIMEOUT_S)

    try:
        yield Served(url, world, box.desk, call)
    finally:
        box.loop.call_soon_threadsafe(box.over.set)
        thread.join(TIMEOUT_S)
        listening.close()
    if failed:
        raise failed[0]


def pem(key: Any) -> str:
    """A public key in PEM."""
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _keep_code(desk: Desk, code: str, kept: str, world: World) -> None:
    with desk.authority.store.transaction(durable=True):
        desk.records.keep("bootstrap", code, kept, int(world.now.timestamp()) + 900)
