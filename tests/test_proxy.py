"""The proxy in front of a TLS server that lets nobody in without a certificate of ours."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import RefusedError, UnavailableError, UsageError
from notme_git.enroll import tls
from notme_git.enroll.tls import TlsIdentity
from notme_git.proxy import cli, forward, holder
from notme_git.proxy.forward import MAX_HEAD, Forward
from notme_git.proxy.holder import Holder
from tests.world import AGENT, World

TOKEN = "0123456789abcdef01234567"
TIMEOUT_S = 20.0


class Handler(http.server.BaseHTTPRequestHandler):
    """Says who asked and for what, echoes, streams, and misbehaves."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[Any]] = []

    def do_GET(self) -> None:
        peer = self.connection.getpeercert(binary_form=True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen.append((self.path, headers, x509.load_der_x509_certificate(peer)))
        if self.path == "/broken":
            self.close_connection = True
            return
        if self.path == "/wait":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.rfile.read(1)
            self.server.go_on.set()  # type: ignore[attr-defined]
            return
        if self.path == "/events":
            self.send_response(200)
            self.end_headers()
            for event in (b"one", b"two"):
                self.wfile.write(event)
                self.wfile.flush()
                assert self.server.go_on.wait(TIMEOUT_S)  # type: ignore[attr-defined]
                self.server.go_on.clear()  # type: ignore[attr-defined]
            self.close_connection = True
            return
        self._answer(b"hello")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            self._answer(b"".join(parts))
            return
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "X-Hop")
        self.send_header("X-Hop", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """What breaks off is the tests' doing."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@dataclass
class Through:
    """A proxy and the server behind it."""

    port: int
    forward: Forward
    server: Any
    enrolled: list[TlsIdentity]

    def ask(
        self, path: str, *, method: str = "GET", body: Any = None, token: str = f"/{TOKEN}", **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request(method, token + path, body, headers)
            got = connection.getresponse()
            return got.status, got.read(), dict(got.getheaders())

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S) as sock:
            sock.sendall(data)
            return b"".join(iter(lambda: sock.recv(65536), b""))


def server_certificate(folder: Path) -> Path:
    """A self-signed certificate for localhost, with its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


@contextlib.contextmanager
def proxied(proxy: Forward) -> Iterator[int]:
    """The proxy on a port, in a thread."""
    ready, ended = threading.Event(), asyncio.Event()
    box: dict[str, Any] = {}

    async def main() -> None:
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        box["loop"], box["port"] = asyncio.get_running_loop(), server.sockets[0].getsockname()[1]
        async with server:
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(TIMEOUT_S)
    try:
        yield box["port"]
    finally:
        box["loop"].call_soon_threadsafe(ended.set)
        thread.join(TIMEOUT_S)


@pytest.fixture
def through(tmp_path: Path) -> Iterator[Through]:
    world = World(tmp_path, at=datetime.now(UTC))
    world.grant()
    certificate, root = server_certificate(tmp_path), tmp_path / "root.pem"
    root.write_bytes(world.trust().anchors[0].certificate.public_bytes(Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=root)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.go_on = threading.Event()  # type: ignore[attr-defined]
    Handler.seen.clear()
    enrolled: list[TlsIdentity] = []

    def enroll(at: datetime) -> TlsIdentity:
        enrolled.append(tls.enroll(world.home, AGENT, at))
        return enrolled[-1]

    proxy = Forward(f"https://localhost:{server.server_port}", TOKEN, Holder(enroll, str(certificate)))
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    with proxied(proxy) as port:
        yield Through(port, proxy, server, enrolled)
    server.shutdown()
    server.server_close()
    serving.join(TIMEOUT_S)


def test_a_request_arrives_with_the_agents_certificate_and_without_what_is_for_the_proxy(through: Through) -> None:
    status, body, headers = through.ask("/a/b?c=d", Connection="X-Mine", **{"X-Mine": "1", "X-Kept": "2"})
    assert (status, body) == (200, b"hello")
    assert "X-Hop" not in headers
    path, got, peer = Handler.seen[0]
    assert (path, got["host"], got["x-kept"]) == ("/a/b?c=d", through.forward.origin.removeprefix("https://"), "2")
    assert "x-mine" not in got
    assert TOKEN not in str(got)
    names = peer.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [through.enrolled[0].uri]


def test_the_token_may_stand_in_a_header_and_is_needed(through: Through) -> None:
    assert through.ask("/x", token="", **{"Notme-Proxy-Token": TOKEN})[0] == 200
    assert "notme-proxy-token" not in Handler.seen[0][1]
    for token in ("", "/", "/wrong", f"/{TOKEN}x", f"/{TOKEN[:-1]}"):
        assert through.ask("/x", token=token)[0] == 403
    assert through.ask("/x", **{"Notme-Proxy-Token": "wrong"})[0] == 403
    assert len(Handler.seen) == 1


@pytest.mark.parametrize("target", ["https://evil.example/", "evil.example:443", "*"])
def test_nothing_goes_anywhere_else(through: Through, target: str) -> None:
    method = "CONNECT" if ":443" in target else "GET"
    got = through.raw(f"{method} {target} HTTP/1.1\r\nHost: x\r\nNotme-Proxy-Token: {TOKEN}\r\n\r\n".encode())
    assert got.startswith(b"HTTP/1.1 400")
    assert not Handler.seen


def test_bodies_stream_both_ways(through: Through) -> None:
    data = bytes(range(256)) * 8192
    assert through.ask("/", method="POST", body=data)[:2] == (200, data)
    assert through.ask("/", method="POST", body=iter([data[:7], data[7:]]))[1] == data
    connection = http.client.HTTPConnection("127.0.0.1", through.port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        connection.request("GET", f"/{TOKEN}/events")
        answer = connection.getresponse()
        assert answer.read(3) == b"one"
        through.server.go_on.set()
        assert answer.read(3) == b"two"
        through.server.go_on.set()
        assert answer.read() == b""


def test_the_server_learns_that_a_client_is_gone(through: Through) -> None:
    with socket.create_connection(("127.0.0.1", through.port), TIMEOUT_S) as sock:
        sock.sendall(f"GET /{TOKEN}/wait HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert sock.recv(12) == b"HTTP/1.1 200"
    assert through.server.go_on.wait(TIMEOUT_S)


def test_a_client_that_breaks_off_its_body_gets_no_answer_and_harms_nobody(through: Through) -> None:
    with socket.create_connection(("127.0.0.1", through.port), TIMEOUT_S) as sock:
        sock.sendall(f"POST /{TOKEN}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf".encode())
    assert through.ask("/")[0] == 200


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(through: Through) -> None:
    with socket.create_connection(("127.0.0.1", through.port), TIMEOUT_S) as sock:
        head = f"POST /{TOKEN}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        sock.sendall(head.encode())
        assert sock.recv(12) == b"HTTP/1.1 100"
        sock.sendall(b"body")
        got = b""
        while not got.endswith(b"body"):
            part = sock.recv(1024)
            assert part
            got += part
        assert b"HTTP/1.1 200" in got


def test_connections_at_once_are_bounded(through: Through, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "MAX_CONNECTIONS", 0)
    assert through.ask("/")[0] == 503
    assert not Handler.seen


def test_a_connection_is_kept_for_the_next_request(through: Through) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", through.port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        for _ in range(3):
            connection.request("POST", f"/{TOKEN}/", b"x")
            assert connection.getresponse().read() == b"x"
    assert len(through.enrolled) == 1


def test_a_server_that_breaks_off_is_a_502(through: Through) -> None:
    assert through.ask("/broken")[0] == 502


def test_a_server_of_another_authority_is_a_502(through: Through) -> None:
    through.forward.holder.authorities = None
    status, body, _ = through.ask("/")
    assert status == 502
    assert b"certificate" in body


def test_a_certificate_is_renewed_before_it_ends(through: Through, monkeypatch: pytest.MonkeyPatch) -> None:
    assert through.ask("/")[0] == 200
    monkeypatch.setattr(holder, "MARGIN", timedelta(minutes=5))
    assert through.ask("/")[0] == 200
    first, second = through.enrolled
    assert first.certificate != second.certificate
    assert Handler.seen[1][2] == second.certificate


def test_without_a_grant_there_is_no_certificate_and_no_request(through: Through) -> None:
    def refuse(_at: datetime) -> TlsIdentity:
        raise RefusedError("the grant was revoked")

    through.forward.holder.enroll = refuse
    status, body, _ = through.ask("/")
    assert (status, b"revoked" in body, Handler.seen) == (502, True, [])


def test_the_key_is_never_in_a_file_that_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, at=datetime.now(UTC))
    world.grant()
    made = tls.enroll(world.home, AGENT, world.now)
    made.load_into(ssl.create_default_context())
    secret = made._keys.mtls.private_numbers().private_value.to_bytes(32, "big")
    assert not any(secret in path.read_bytes() for path in filter(Path.is_file, tmp_path.rglob("*")))
    assert "PRIVATE" not in repr(made)
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(UnavailableError, match="only Linux"):
        made.load_into(ssl.create_default_context())


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (MAX_HEAD + 1),
    ],
)
def test_what_is_no_bounded_http_is_refused(through: Through, data: bytes) -> None:
    got = b""
    with contextlib.suppress(OSError):
        got = through.raw(data + b"\r\n\r\n")
    assert got[:10] in (b"HTTP/1.1 4", b"")
    assert through.ask("/")[0] == 200


@pytest.mark.parametrize("text", ["http://localhost", "https://", "https://a/b", "https://u@a", "https://a:x", "a"])
def test_an_origin_is_https_and_nothing_more(text: str) -> None:
    assert cli.parse_origin("https://a.example:8443/") == "https://a.example:8443"
    with pytest.raises(UsageError):
        cli.parse_origin(text)


@pytest.mark.parametrize("text", ["0.0.0.0:80", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "example.org:80"])
def test_it_listens_on_loopback_alone(text: str) -> None:
    assert cli.parse_listen("[::1]:80") == ("::1", 80)
    with pytest.raises(UsageError):
        cli.parse_listen(text)


@given(st.text())
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_text_is_refused_or_an_origin_and_an_address(text: str) -> None:
    for parse in (cli.parse_origin, cli.parse_listen):
        with contextlib.suppress(UsageError):
            parse(text)
