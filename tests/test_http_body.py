"""What comes in a request's body: strict, bounded JSON, or a status of 400; over real sockets, too."""

from __future__ import annotations

import gzip
import json
import math
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notme_git.authority.http import body
from notme_git.authority.http.answers import HttpError
from notme_git.authority.settings import Limits, Rate, Settings
from tests.served import Served, served
from tests.world import World

POST = b"POST /auth/passkey/login/options HTTP/1.1\r\nHost: localhost\r\n"
FIELDS = {"text": str, "number": int, "flag": bool, "texts": list, "object": dict}

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


def outcome(work: Callable[[], Any]) -> Any:
    """What it returns, or status and text of its refusal; anything else is a failure."""
    try:
        return work()
    except HttpError as error:
        return error.status, error.body["error"]


@given(st.binary(max_size=200) | documents.map(lambda each: json.dumps(each).encode()))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    value = outcome(lambda: body.parse(data))
    if value != (400, "invalid JSON body"):
        json.dumps(value, ensure_ascii=False).encode()


@given(documents)
def test_any_document_is_an_object_of_known_fields_or_refused(value: Any) -> None:
    found = outcome(lambda: body.take(value, FIELDS))
    assert set(found) <= set(FIELDS) if isinstance(found, dict) else found[0] == 400


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1}x',
        b"{'a':1}",
        b'{"a":1,"a":1}',
        b'{"b":{"a":1,"a":2}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"a":"\n"}',
        b'{"a":' + b"9" * 5000 + b"}",
        b"[" * 60_000,
        b'{"a":' * 9 + b"1" + b"}" * 9,
        gzip.compress(b"{}", mtime=0),
    ],
    ids=lambda data: repr(data[:14]),
)
def test_what_is_no_strict_json_is_refused(data: bytes) -> None:
    with pytest.raises(HttpError, match="invalid JSON body") as refused:
        body.parse(data)
    assert refused.value.status == 400


def test_a_number_beyond_every_float_is_no_integer_of_ours() -> None:
    assert math.isinf(body.parse(b'{"number":1e999}')["number"])
    with pytest.raises(HttpError, match="number must be an integer"):
        body.take(body.parse(b'{"number":1e999}'), FIELDS)


def test_as_deep_as_is_permitted_is_taken() -> None:
    nested = b'{"a":' * body.MAX_DEPTH + b"1" + b"}" * body.MAX_DEPTH
    assert body.parse(nested)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "body must be an object"),
        ([], "body must be an object"),
        ({"other": 1}, "unknown field: other"),
        ({"o" * 999: 1}, "unknown field: " + "o" * 128),
        ({"text": 1}, "text must be a text"),
        ({"number": True}, "number must be an integer"),
        ({"number": 1.0}, "number must be an integer"),
        ({"flag": 1}, "flag must be true or false"),
        ({"texts": "a"}, "texts must be a list of texts"),
        ({"texts": ["a", 1]}, "texts must be a list of texts, at most 256"),
        ({"texts": ["a"] * 257}, "texts must be a list of texts, at most 256"),
        ({"object": []}, "object must be an object"),
    ],
)
def test_a_field_of_another_type_is_named(value: object, reason: str) -> None:
    with pytest.raises(HttpError) as refused:
        body.take(value, FIELDS)
    assert (refused.value.status, refused.value.body["error"]) == (400, reason)


def test_null_is_as_good_as_absent() -> None:
    assert body.take({"text": None, "other": None, "flag": False}, FIELDS) == {"flag": False}


@given(st.text(max_size=400))
def test_any_text_is_a_signature_or_none(text: str) -> None:
    assert len(body.unbase64(text)) <= body.MAX_SIGNATURE


@pytest.mark.parametrize("text", ["-_8", "-_8=", "+/8", "+/8="])
def test_a_signature_comes_in_either_alphabet_padded_or_not(text: str) -> None:
    assert body.unbase64(text) == b"\xfb\xff"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    unlimited = Limits(*(Rate(0, 0) for _ in Limits.__slots__))
    with served(World(tmp_path_factory.mktemp("body")), Settings(limits=unlimited)) as running:
        yield running


def talk(server: Served, *pieces: bytes, end: bool = False) -> bytes:
    """What the server answers to these pieces, on a connection of its own."""
    with connected(server) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return answer(connection)


def connected(server: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(server.url).port), timeout=10)


def answer(connection: socket.socket) -> bytes:
    """One answer in full, or all that there is until the connection ends."""
    said = b""
    while part := connection.recv(65536):
        said += part
        head, blank, rest = said.partition(b"\r\n\r\n")
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if blank and length and len(rest) >= int(length[0].partition(b":")[2]):
            break
    return said


def refusal(said: bytes) -> tuple[int, str]:
    head, _, rest = said.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(rest)["error"]


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server: Served) -> None:
    big = b'{"a":"' + b"x" * body.MAX_BYTES + b'"}'
    got = server.request("POST", "/auth/passkey/login/options", raw=big)
    assert (got.status, got.json) == (400, {"error": "body larger than 65536 bytes"})
    chunk = b"8000\r\n" + b"x" * 32768 + b"\r\n"
    endless = talk(server, POST + b"Transfer-Encoding: chunked\r\n\r\n", chunk, chunk, chunk)
    assert refusal(endless) == (400, "body larger than 65536 bytes")


def test_a_body_that_drips_is_given_up(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "TIMEOUT_S", 0.1)
    assert refusal(talk(server, POST + b"Content-Length: 9\r\n\r\n{"))[1] == "body did not arrive within 0.1 seconds"


def test_a_body_that_drips_keeps_nobody_else_waiting(server: Served) -> None:
    slow = [connected(server) for _ in range(20)]
    for each in slow:
        each.sendall(POST + b"Content-Length: 9\r\n\r\n{")
    assert server.request("GET", "/health").status == 200
    for each in slow:
        each.close()
    assert server.request("GET", "/health").status == 200


def test_a_client_that_hangs_up_is_no_error_of_ours(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    talk(server, POST + b"Content-Length: 9\r\n\r\n{", end=True)
    assert server.request("GET", "/health").status == 200
    assert not caplog.records


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        b"Content-Length: two\r\n\r\n{}",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_a_length_that_is_a_lie_is_refused_and_ends_the_connection(server: Served, head: bytes) -> None:
    assert talk(server, POST + head, end=True).split(b" ")[1] == b"400"


def test_what_follows_a_body_is_another_request(server: Served) -> None:
    short = POST + b"Content-Length: 1\r\n\r\n{"
    with connected(server) as connection:
        connection.sendall(short + b"GET /nonce HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        first, *rest = b"".join(iter(lambda: connection.recv(65536), b"")).split(b"HTTP/1.1 ")[1:]
    assert (first[:3], [each[:3] for each in rest]) == (b"400", [b"200"])


def test_a_connection_is_good_after_an_error(server: Served) -> None:
    with connected(server) as connection:
        connection.sendall(POST + b"Content-Length: 1\r\n\r\n{")
        first = answer(connection)
        connection.sendall(b"GET /nonce HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (first.split(b" ")[1], answer(connection).split(b" ")[1]) == (b"400", b"200")


def test_a_compressed_body_is_not_unpacked(server: Served) -> None:
    packed = gzip.compress(b'{"a":"' + b"x" * 10_000_000 + b'"}', mtime=0)
    got = server.request("POST", "/auth/passkey/login/options", raw=packed, headers={"Content-Encoding": "gzip"})
    assert (got.status, got.json) == (400, {"error": "invalid JSON body"})


def test_chunks_make_one_body(server: Served) -> None:
    said = talk(server, POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n", b"1\r\n}\r\n0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200")
