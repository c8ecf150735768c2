"""Asking an authority, and what a hostile or broken one gains by its answers."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import Error, MalformedError, UnavailableError, UsageError
from notme_git.remote import client as clients
from notme_git.remote.client import AuthorityError, Client, parse_url

PATIENCE_S = 10.0


@dataclass
class Peer:
    """Says `says` to each request that comes, on connections that stay open as long as the other side likes."""

    says: list[bytes]
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0
    drip_s: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                with connection, contextlib.suppress(OSError):
                    self.talk(connection)

    def talk(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_S)
        while data := connection.recv(65536):
            self.heard.append(data)
            if not self.says:
                return  # hangs up without a word
            said = self.says.pop(0)
            if not self.drip_s:
                connection.sendall(said)
            while self.drip_s and not self.done.wait(self.drip_s):
                connection.sendall(said[:1])
                said = said[1:] or b"x"


@contextlib.contextmanager
def peer(*says: bytes, drip_s: float = 0.0) -> Iterator[tuple[Client, Peer]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Peer(list(says), drip_s=drip_s)
        thread = threading.Thread(target=made.serve, args=(listener,))
        thread.start()
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}")
        try:
            yield client, made
        finally:
            made.done.set()
            client.close()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)


def said(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_one_connection_is_kept_for_all_requests() -> None:
    with peer(said(b'{"a": 1}'), said(b'{"b": 2}')) as (client, made):
        assert (client.get("/nonce"), client.post("/cert", {"x": 1})) == ({"a": 1}, {"b": 2})
    assert made.connections == 1
    assert b"POST /cert HTTP/1.1" in made.heard[1]


def test_a_kept_connection_that_was_closed_is_opened_again() -> None:
    with peer(said(b'{"a": 1}')) as (client, made):
        client.get("/nonce")
        made.says = []
        with pytest.raises(UnavailableError):  # it is closed before each of the two tries
            client.get("/nonce")
        made.says = [said(b'{"c": 3}')]
        assert client.get("/nonce") == {"c": 3}
    assert made.connections >= 2


def test_a_refusal_has_its_status_and_what_was_said_and_nothing_that_moves_the_cursor() -> None:
    body = json.dumps({"error": "no \x1b[31m such grant" + "x" * 400}).encode()
    with peer(said(body, "403 Forbidden")) as (client, _), pytest.raises(AuthorityError) as caught:
        client.get("/x")
    assert caught.value.status == 403
    assert caught.value.message.startswith("the authority refused (403): no ?[31m such grantx")
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another-protocol"),
        pytest.param(said(b"{}", "302 Found", "Location: http://127.0.0.1:1/"), id="redirect"),
        pytest.param(said(b"[]"), id="list"),
        pytest.param(said(b"{"), id="half-json"),
        pytest.param(said(b"\xff\xfe"), id="no-text"),
        pytest.param(said(b"[" * 100_000), id="deep"),
        pytest.param(said(b'{"a": "' + b"x" * clients.MAX_ANSWER_BYTES + b'"}'), id="large"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", id="short"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n{}", id="many-headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n{}", id="long-header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="no-chunk"),
    ],
)
def test_what_is_no_answer_is_an_error(answer: bytes) -> None:
    with peer(answer) as (client, _):
        client.timeout_s = 0.5
        with pytest.raises(Error) as caught:
            client.get("/x")
    assert isinstance(caught.value, UnavailableError | MalformedError | AuthorityError)


@pytest.mark.parametrize("dripped", [b"HTTP/1.1 200 OK\r\nA: ", said(b"{" + b" " * 10_000)], ids=["headers", "body"])
def test_who_answers_byte_by_byte_is_not_waited_for(dripped: bytes) -> None:
    with peer(dripped, drip_s=0.02) as (client, _):
        began = time.monotonic()
        with client.within(0.3), pytest.raises(UnavailableError, match="no answer in time"):
            client.get("/x")
        assert time.monotonic() - began < PATIENCE_S / 2


@pytest.mark.parametrize("status", [b"HTTP/SECRET", b"HTTP/1.1 SECRET no", b"HTTP/7.7 200 SECRET"])
def test_what_comes_back_instead_of_an_answer_is_not_repeated(status: bytes) -> None:
    """It may be what was sent, with its token, or 64 KiB of anything."""
    with peer(status + b"\r\n\r\n") as (client, _), pytest.raises(UnavailableError) as caught:
        client.get("/x", {"Authorization": "Bearer SECRET"})
    assert "no HTTP" in caught.value.message
    assert "SECRET" not in caught.value.message


def test_a_request_that_cannot_be_made_is_not_repeated_either() -> None:
    with pytest.raises(UnavailableError, match="no such request") as caught, peer(b"") as (client, _):
        client.get("/x", {"Authorization": "Bearer SECRET\n"})
    assert "SECRET" not in caught.value.message
    with pytest.raises(UnavailableError, match="no such request"):
        Client("http://a..b").get("/x")


def test_no_request_begins_after_the_time_for_all_of_them() -> None:
    with peer(said(b"{}")) as (client, made), client.within(0.0), pytest.raises(UnavailableError, match="in time"):
        client.get("/x")
    assert made.heard == []


def test_nobody_who_listens_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(UnavailableError) as caught:
        Client(url).get("/nonce")
    assert caught.value.message == f"the authority {url} cannot be reached: Connection refused"


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://authority.example.com", "https://authority.example.com"),
        ("https://authority.example.com/", "https://authority.example.com"),
        ("https://authority.example.com:8443", "https://authority.example.com:8443"),
        ("http://localhost:8788", "http://localhost:8788"),
        ("http://127.0.0.1:8788", "http://127.0.0.1:8788"),
        ("http://[::1]:8788", "http://[::1]:8788"),
    ],
)
def test_an_origin_is_taken(text: str, origin: str) -> None:
    assert parse_url(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "", "authority.example.com", "ftp://authority.example.com", "https://", "http://authority.example.com",
        "http://127.0.0.1.example.com", "https://user@authority.example.com", "https://a.example/path", "https://a?x",
        "https://a#x", "https://a:99999", "https://a:x", "https://a:0", "http://[", "https://[::1",
    ],
)  # fmt: skip
def test_what_is_no_origin_or_has_no_tls_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_url(text)


@given(st.text())
def test_any_text_is_an_origin_or_an_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_url(text).startswith(("https://", "http://"))


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_an_error(body: bytes) -> None:
    parse: Callable[[bytes], object] = clients._parse
    with contextlib.suppress(MalformedError):
        assert isinstance(parse(body), dict)
