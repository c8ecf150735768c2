"""`notme-git token` and `notme-git proxy` as programs, with others' programs at the other end."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notme_git.authority.accounts import Account
from notme_git.authority.proofs.configured import GitHub, Proofs
from notme_git.authority.settings import Settings
from notme_git.remote import place
from notme_git.remote.client import Client
from notme_git.remote.place import Login
from notme_git.tokens import jws
from notme_git.tokens.proof import verify_proof
from tests.compat.conftest import AGENT, SCRIPTS, Sandbox, machine
from tests.issuer import Issuer
from tests.peers import peer
from tests.served import Served, served
from tests.test_http_token import granted
from tests.test_proxy import server_certificate
from tests.world import World

AUDIENCE = "https://rs.example.org/mcp"
TIMEOUT_S = 20.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path / "there", at=datetime.now(UTC)), Settings(audiences=(AUDIENCE,))) as running:
        yield running


@pytest.fixture
def signed_in(server: Served, tmp_path: Path) -> tuple[Sandbox, Account]:
    """A machine whose human signed in at the server."""
    here, account = machine(tmp_path / "here"), server.account()
    with contextlib.closing(Client(server.url)) as client:
        place.adopt(here.home, server.url, client)
    ends = int((server.world.now + timedelta(hours=1)).timestamp())
    place.write_login(here.home, Login(server.cookie(account), ends, "Alice Example", "alice@example.org"))
    return here, account


def test_a_human_gets_a_token_and_the_proof_of_one_request(server: Served, signed_in: tuple[Sandbox, Account]) -> None:
    here, account = signed_in
    url = AUDIENCE + "/messages"
    done = here.notme("token", "--audience", AUDIENCE, "--for", "POST", url, "--json", "--nonce", "n1")
    claims = jws.parse(done.json["accessToken"]).payload
    assert (claims["sub"], claims["aud"], claims["iss"]) == (account.id, AUDIENCE, server.url)
    at = datetime.now(UTC)
    proof = verify_proof(done.json["proof"], method="POST", url=url, at=at, token=done.json["accessToken"])
    assert (proof.thumbprint, proof.nonce) == (claims["cnf"]["jkt"], "n1")


def test_an_agent_gets_one_by_its_certificate(server: Served, signed_in: tuple[Sandbox, Account]) -> None:
    here, account = signed_in
    given = granted(server, account, AGENT)
    lines = here.notme("token", "--audience", AUDIENCE, "--agent", AGENT).text.splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    claims = jws.parse(headers["Authorization"].removeprefix("DPoP ")).payload
    assert (claims["sub"], claims["act"]["sub"], claims["scope"]) == (account.id, given.actor.id, "sign:git")
    assert set(headers) == {"Authorization", "DPoP"}


def test_a_job_of_github_actions_gets_one_for_itself(tmp_path: Path) -> None:
    with Issuer() as github:
        proofs = Proofs(github=GitHub(owners=("example",), issuer=github.url))
        world = World(tmp_path / "there", at=datetime.now(UTC))
        with served(world, Settings(audiences=(AUDIENCE,), proofs=proofs)) as server:
            here = machine(tmp_path / "here")
            with contextlib.closing(Client(server.url)) as client:
                place.adopt(here.home, server.url, client)
            done = here.notme("token", "--audience", AUDIENCE, "--json", environ=github.actions_environment())
    claims = jws.parse(done.json["accessToken"]).payload
    assert claims["act"]["sub"].endswith("/gha/example/tool")
    assert claims["scope"] == "bridgeCert"


def test_what_cannot_be_had_is_said_in_one_line(signed_in: tuple[Sandbox, Account], tmp_path: Path) -> None:
    here, _ = signed_in
    refused = here.notme("token", "--audience", "https://other.example.org", status=1)
    assert "invalid_audience" in refused.err
    place.forget_login(here.home)
    assert "notme-git login" in here.notme("token", "--audience", AUDIENCE, status=1).err
    nowhere = machine(tmp_path / "nowhere")
    assert "setup --authority" in nowhere.notme("token", "--audience", AUDIENCE, status=2).err


def test_openssl_as_the_server_lets_the_proxys_requests_in(sandbox: Sandbox, tmp_path: Path) -> None:
    """`-Verify 1 -verify_return_error`: without a certificate under our root the handshake fails."""
    openssl, certificate, root = peer("openssl"), server_certificate(tmp_path), tmp_path / "root.pem"
    root.write_text(sandbox.notme("trust", "export", "--profile", "notme").text)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = (
        openssl, "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-CAfile", root, "-www",
        "-Verify", "1", "-verify_return_error", "-naccept", "2",
    )  # fmt: skip
    with running(*words, until=b"ACCEPT"):
        origin = f"https://localhost:{port}"
        with pytest.raises(OSError, match="certificate"):
            fetch(origin, ssl.create_default_context(cafile=str(certificate)))
        with proxied(sandbox, "--to", origin, "--ca", str(certificate), "--agent", AGENT) as url:
            page = fetch(url)
    assert "Client certificate" in page
    assert "ED25519" in page
    assert f"CN={AGENT}" in page.replace(" ", "") or AGENT in page


def test_the_proxy_ends_in_order_and_says_what_is_wrong_at_once(sandbox: Sandbox) -> None:
    with (
        proxied(sandbox, "--to", "https://localhost:9", "--agent", AGENT) as url,
        pytest.raises(urllib.error.HTTPError, match="502") as raised,
    ):
        fetch(url)
    raised.value.close()
    assert "no agent" in sandbox.notme("proxy", "--to", "https://localhost:9", "--agent", "nobody", status=1).err
    assert "origin" in sandbox.notme("proxy", "--to", "http://localhost:9", status=64).err


def fetch(url: str, context: ssl.SSLContext | None = None) -> str:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S, context=context) as got:
        return str(got.read().decode())


@contextlib.contextmanager
def proxied(sandbox: Sandbox, *words: str) -> Iterator[str]:
    """`notme-git proxy`; its address. It has to end with 0 on SIGTERM."""
    with running(SCRIPTS / "notme-git", "proxy", *words, until=b"http://", environ=sandbox.environ) as line:
        yield line.decode().strip()


@contextlib.contextmanager
def running(*words: object, until: bytes, environ: dict[str, str] | None = None) -> Iterator[bytes]:
    """A program from the line that begins with `until` on."""
    command = [str(word) for word in words]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as started:
        assert started.stdout is not None
        yield next(line for line in started.stdout if line.startswith(until))
        started.send_signal(signal.SIGTERM)
        ended = started.wait(TIMEOUT_S)
    if environ is not None:
        assert ended == 0
