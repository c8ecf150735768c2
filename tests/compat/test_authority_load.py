"""A served authority under mixed load that is killed with SIGKILL and started again: nothing lost, nothing double.

Two workers; clients enrol by session and by a CI job's token, redeem codes and invites, each of these twice at the same
moment, and an operator rotates. Under CI, and with `NOTME_STRESS=full`, for the minute that the design promises.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import itertools
import json
import os
import random
import secrets
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from attest.profile import Profile
from attest.types import Authentication
from notme_git.authority import accounts, embedded, invites, sessions
from notme_git.authority.accounts import Account
from notme_git.authority.records import Records
from notme_git.remote.enrolment import Keys
from tests.compat.conftest import SCRIPTS, SECONDS, Sandbox, machine
from tests.conftest import IN_CI
from tests.issuer import Issuer

FULL = os.environ.get("NOTME_STRESS") == "full" or IN_CI
LOAD_S = 60.0 if FULL else 9.0
CLIENTS = 4
SECRETS = 400
"""Codes and invites each, made beforehand; each is tried twice at once."""


@dataclass(slots=True)
class Seen:
    """What the clients were told."""

    certificates: list[bytes] = field(default_factory=list)
    used: Counter[str] = field(default_factory=Counter)
    sequences: list[int] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def got(self, status: int, body: Any, secret: str) -> None:
        """One answer; a success used `secret` up."""
        with self.lock:
            self.statuses[status] += 1
            if status != 200:
                return
            self.used[secret] += 1
            for pem in body.get("certificates", {}).values():
                found = x509.load_pem_x509_certificate(pem.encode())
                self.certificates.append(hashlib.sha256(found.public_bytes(Encoding.DER)).digest())


@dataclass(slots=True)
class World:
    """A home with accounts and secrets, and the port that its server has."""

    sandbox: Sandbox
    port: int
    cookie: str
    codes: Iterator[str]
    tokens: Iterator[str]
    provider: Issuer
    seen: Seen = field(default_factory=Seen)
    over: threading.Event = field(default_factory=threading.Event)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One request; 0 for no answer, which says nothing of what was done."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            sent = {"Content-Type": "application/json", **headers}
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data[:1] == b"{" else data
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        finally:
            connection.close()

    def twice(self, path: str, body: Any, secret: str, **headers: str) -> None:
        """The same request twice at the same moment."""

        def once() -> None:
            self.seen.got(*self.ask("POST", path, body, **headers), secret)

        other = threading.Thread(target=once)
        other.start()
        once()
        other.join()

    def by_session(self) -> None:
        status, body = self.ask("GET", "/nonce")
        if status == 200:
            nonce = body["nonce"]
            ready = Keys.new(Profile.NOTME).proven(hashlib.sha256(nonce.encode()).digest())
            sent = {"proof": {"type": "session"}, "nonce": nonce, **ready}
            self.twice("/cert", sent, f"nonce {nonce}", Cookie=f"{sessions.COOKIE}={self.cookie}")

    def by_job(self) -> None:
        token = self.provider.github_token(repository="example/demo", repository_owner="example")
        ready = Keys.new(Profile.NOTME).proven(hashlib.sha256(token.encode()).digest())
        self.twice("/cert/gha", ready, f"jti {token}", Authorization=f"Bearer {token}")

    def by_code(self) -> None:
        code = next(self.codes)
        status, body = self.ask("GET", "/nonce")
        if status == 200:
            nonce = body["nonce"]
            ready = Keys.new(Profile.NOTME).proven(hashlib.sha256(nonce.encode()).digest())
            sent = {"proof": {"type": "bootstrap", "code": code}, "nonce": nonce, **ready}
            self.twice("/cert", sent, f"code {code}")

    def by_invite(self) -> None:
        token = next(self.tokens)
        self.twice("/join", {"token": token, "display": "Guest", "email": "guest@example.org"}, f"invite {token}")

    def by_bundle(self) -> None:
        status, body = self.ask("GET", "/internal/ca-bundle")
        if status == 200:
            with self.seen.lock:
                self.seen.sequences.append(body["seqno"])


def client(world: World, chance: random.Random) -> None:
    doing: list[Callable[[], None]] = [world.by_session, world.by_job, world.by_code, world.by_invite]
    while not world.over.is_set():
        with contextlib.suppress(StopIteration):
            chance.choice(doing)()


def watcher(world: World) -> None:
    while not world.over.is_set():
        world.by_bundle()
        time.sleep(0.05)


def operator(world: World) -> None:
    while not world.over.wait(LOAD_S / 6):
        world.sandbox.run("notme-git", "epoch", "rotate")


def start(sandbox: Sandbox, port: int) -> subprocess.Popen[bytes]:
    command: list[str | Path] = [SCRIPTS / "notme-git", "authority", "serve", "--port", str(port), "--workers", "2"]
    server = subprocess.Popen(
        [*command, "--json"], env=sandbox.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdout is not None
    assert server.stdout.readline()
    return server


def kill(server: subprocess.Popen[bytes]) -> None:
    """All of it at once, as the machine's end would."""
    workers = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in (server.pid, *map(int, workers)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.wait()
    if server.stdout:
        server.stdout.close()


def furnish(sandbox: Sandbox, provider: Issuer) -> tuple[str, list[str], list[str]]:
    """A cookie, codes and invites, in a home whose settings take the provider's jobs."""
    sandbox.run("notme-git", "authority", "init", "--key-store", "file")
    settings = sandbox.home / "authority" / "settings.toml"
    limits = '[limits]\ncert = 0\ncert_gha = 0\ncode = 0\n[github]\nowners = ["example"]\n'
    settings.write_text(f'{settings.read_text()}\n{limits}issuer = "{provider.url}"\n')
    at = datetime.now(UTC)
    with embedded.opened(sandbox.home) as authority:
        records = Records(authority.store)
        sessions.prepare(records)
        with authority.store.transaction(durable=True):
            admin = _account(records, at)
            live = timedelta(hours=1)
            value = sessions.begin(
                records, admin, "passkey", scopes=accounts.ADMIN, label="load", lifetime=live, at=at
            ).value
            codes = [secrets.token_urlsafe(24) for _ in range(SECRETS)]
            for code in codes:
                records.keep("bootstrap", code, '{"recovery": true}', int(at.timestamp()) + 3600)
            tokens = [invites.create(records, admin, accounts.MEMBER, live, at=at).token for _ in range(SECRETS)]
    return value, codes, tokens


def _account(records: Records, at: datetime) -> Account:
    return accounts.create(
        records,
        "localhost",
        display="Admin",
        email="admin@example.org",
        scopes=accounts.ADMIN,
        authentication=Authentication.PASSKEY,
        at=at,
    )


def test_a_killed_and_restarted_authority_loses_nothing_and_gives_nothing_twice(tmp_path: Path) -> None:
    sandbox = machine(tmp_path)
    with Issuer() as provider:
        cookie, codes, tokens = furnish(sandbox, provider)
        port = _free_port()
        server = start(sandbox, port)
        world = World(sandbox, port, cookie, iter(codes), iter(tokens), provider)
        chances = [random.Random(n) for n in range(CLIENTS)]
        threads = [threading.Thread(target=client, args=(world, chance)) for chance in chances]
        threads += [threading.Thread(target=watcher, args=(world,)), threading.Thread(target=operator, args=(world,))]
        for thread in threads:
            thread.start()
        time.sleep(LOAD_S / 2)
        kill(server)
        server = start(sandbox, port)
        time.sleep(LOAD_S / 2)
        world.over.set()
        for thread in threads:
            thread.join(SECONDS)
        kill(server)
    _judge(world, sandbox.home)


def _judge(world: World, home: Path) -> None:
    seen = world.seen
    assert seen.statuses[200] > 20
    assert not {status for status in seen.statuses if status >= 500} - {503}, seen.statuses
    assert {secret for secret, times in seen.used.items() if times > 1} == set()
    assert {kind.partition(" ")[0] for kind in seen.used} == {"nonce", "jti", "code", "invite"}
    with contextlib.closing(sqlite3.connect(home / "authority" / "authority.db")) as database:
        recorded = {row[0] for row in database.execute("SELECT certificate_sha256 FROM issued")}
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert set(seen.certificates) <= recorded
    assert len(seen.certificates) == len(set(seen.certificates))
    assert all(earlier <= later for earlier, later in itertools.pairwise(seen.sequences))
    assert seen.sequences


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
