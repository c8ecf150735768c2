"""What is wrong in a request is refused with a status that says so, and nothing of it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from notme_git.authority import accounts
from notme_git.authority.http import openapi
from notme_git.authority.http.desk import Desk
from notme_git.authority.http.operations import OPERATIONS, Operation
from notme_git.authority.settings import Limits, Rate, Settings
from tests.served import Keys, Served, served
from tests.test_http_body import answer, connected
from tests.world import World

CHANGING = [each for each in OPERATIONS if each.asks and openapi.is_schema(each.asks)]
WRONG: Mapping[str, tuple[Any, ...]] = {
    "string": (0, -(10**30), 1.5, True, [], ["a"], {}, {"a": {}}),
    "integer": ("1", 1.5, True, [1], {}, 10**30),
    "boolean": ("yes", 1, [], {}),
    "array": ("a", 1, True, {}, [1], [None], [["a"]], [{}], ["a"] * 257),
    "object": ("a", 1, True, [], ["a"]),
}
SAID = {
    "agent": "claude-code", "audience": "https://mcp.example.com", "kind": "compromise", "nonce": "n", "id": "x",
    "proof": {"type": "session"}, "response": {}, "userId": "u", "token": "t", "bootstrapCode": "c", "code": "c",
    "public_keys": {},
    "proofs": {},
    "challenge": "c", "verifier": "v", "public_key": "k", "possession": "p",
}  # fmt: skip

BEFORE = {"/cert/gha": "missing Bearer token", "/token": "dpop_proof_required"}
"""What is looked at before the body."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    unlimited = Limits(*(Rate(0, 0) for _ in Limits.__slots__))
    with served(World(tmp_path_factory.mktemp("bad")), Settings(limits=unlimited)) as running:
        yield running


@pytest.fixture(scope="module")
def cookie(server: Served) -> str:
    return server.cookie(server.account(*accounts.ADMIN, accounts.GIT))


def rows(server: Served) -> dict[str, int]:
    """How many rows each table has."""

    def count(desk: Desk) -> dict[str, int]:
        fetch = desk.authority.store.fetch
        names = [row["name"] for row in fetch("SELECT name FROM sqlite_master WHERE type = 'table'", {})]
        return {name: fetch(f'SELECT count(*) AS n FROM "{name}"', {})[0]["n"] for name in names}

    return server.within(count)  # type: ignore[no-any-return]


def kind_of(schema: Mapping[str, Any]) -> str:
    if reference := schema.get("$ref") or next(
        (each["$ref"] for each in schema.get("anyOf", ()) if "$ref" in each), ""
    ):
        return str(openapi.structs()[reference.rpartition("/")[2]].get("type", "string"))
    return str(schema["type"])


def fields_of(each: Operation) -> dict[str, str]:
    """Its fields, and the JSON type of each."""
    return {name: kind_of(schema) for name, schema in openapi.structs()[each.asks].get("properties", {}).items()}


def path_of(each: Operation) -> str:
    return re.sub(r"\{\w+\}", "unknown", each.path)


def wrong(each: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    """Bodies with one field of another type or one too many, and its name."""
    fields = fields_of(each)
    fine = {name: SAID[name] for name in fields if name in SAID}
    yield "unexpected", {**fine, "unexpected": 1}
    yield "__proto__", {**fine, "__proto__": {}}
    for name, kind in fields.items():
        yield from ((name, {**fine, name: value}) for value in WRONG[kind])


@pytest.mark.parametrize("each", CHANGING, ids=lambda each: each.id)
def test_a_field_that_is_wrong_is_named_and_nothing_is_written(server: Served, cookie: str, each: Operation) -> None:
    before = rows(server)
    for name, body in wrong(each):
        got = server.request("POST", path_of(each), body, {"Cookie": f"notme_session={cookie}"})
        assert got.status == (401 if each.path == "/cert/gha" else 400), (body, got.body)
        assert BEFORE.get(each.path, name) in got.json["error"], (body, got.body)
    assert rows(server) == before


@pytest.mark.parametrize("each", CHANGING, ids=lambda each: each.id)
@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize("text", ["x" * 60_000, "\x00", ""])
def test_a_text_that_is_wrong_is_refused_and_nothing_is_written(
    server: Served, cookie: str, each: Operation, signed_in: bool, text: str
) -> None:
    before, fields = rows(server), fields_of(each)
    for name in [name for name in SAID if fields.get(name) == "string"]:
        body = {**{other: SAID[other] for other in fields if other in SAID}, name: text}
        got = server.request("POST", path_of(each), body, {"Cookie": f"notme_session={cookie}"} if signed_in else {})
        assert got.status in (400, 401, 403, 404), (name, got.body)
        assert isinstance(got.json["error"], str)
        assert len(got.body) < 2048
    assert rows(server) == before


@pytest.mark.parametrize("each", CHANGING, ids=lambda each: each.id)
@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b'"x"', b"{", b'{"a":1,"a":1}', b"\xff", b"[" * 9000])
def test_what_is_no_object_is_refused(server: Served, cookie: str, each: Operation, raw: bytes) -> None:
    got = server.request("POST", path_of(each), headers={"Cookie": f"notme_session={cookie}"}, raw=raw)
    assert got.status in (400, 401)
    assert isinstance(got.json["error"], str)


@pytest.mark.parametrize("each", [each for each in CHANGING if SAID.keys() & fields_of(each)], ids=lambda each: each.id)
@pytest.mark.parametrize("absent", ["all", "null"])
def test_what_is_needed_and_not_there_is_refused(server: Served, cookie: str, each: Operation, absent: str) -> None:
    needed = openapi.structs()[each.asks].get("required") or ()
    before = rows(server)
    for name in needed:
        body = {other: SAID[other] for other in needed if other != name and absent != "all"}
        got = server.request("POST", path_of(each), {**body, name: None}, {"Cookie": f"notme_session={cookie}"})
        assert got.status in (400, 401, 403), (name, got.body)
        assert isinstance(got.json["error"], str)
    assert rows(server) == before


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        *(({"proof": {"type": kind}}, "proof") for kind in ("", "nothing", "x" * 60_000, *WRONG["string"])),
        *(({"proof": {"type": kind, "other": 1}}, "proof.other") for kind in ("session", "bootstrap", "oidc")),
        *(({"proof": {"type": "bootstrap", "code": code}}, "proof.code") for code in WRONG["string"]),
        *(({"proof": {"type": "oidc", "token": token}}, "proof.token") for token in ("", *WRONG["string"])),
        *(({"proof": {"type": "bridge", "signature": text}}, "proof.signature") for text in WRONG["string"]),
        *(({"public_keys": {"mtls": key}}, "public_keys.mtls") for key in WRONG["string"]),
        ({"public_keys": {"mtls": "x", "signing": "x", "other": "x"}}, "public_keys.other"),
        ({"proofs": {"mtls": "x", "signing": 1}}, "proofs.signing"),
        ({"public_keys": {"mtls": "x", "signing": "x"}}, "key"),
        ({"public_keys": {"mtls": "x" * 50_000, "signing": "x"}}, "key"),
    ],
    ids=lambda each: str(each)[:60],
)
def test_what_is_wrong_further_inside_is_named(server: Served, cookie: str, sent: dict[str, Any], named: str) -> None:
    ready = {"proof": {"type": "session"}, "nonce": server.nonce(), **Keys().body()}
    before = rows(server)
    got = server.request("POST", "/cert", {**ready, **sent}, {"Cookie": f"notme_session={cookie}"})
    assert (got.status, named in got.json["error"]) == (400, True), got.body
    assert len(got.body) < 300
    assert rows(server) == before


OWN = b"GET /sessions HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("cookies", "status"),
    [
        ((b"notme_session=%s",), 200),
        ((b'notme_session="%s"',), 200),
        ((b"other=1; notme_session=%s; more",), 200),
        ((b"other=1", b"notme_session=%s"), 200),
        ((b"notme_session=%s; notme_session=x",), 401),
        ((b"notme_session=x; notme_session=%s; notme_session=",), 401),
        ((b"NOTME_SESSION=%s",), 401),
        ((b"notme_session=%s%%00",), 401),
        ((b"notme_session=\xff\xfe",), 401),
        ((b"notme_session=" + b"a." * 8000,), 401),
    ],
)
def test_a_cookie_is_the_one_that_was_made_or_none(
    server: Served, cookie: str, cookies: tuple[bytes, ...], status: int
) -> None:
    sent = b"".join(b"Cookie: " + (each % cookie.encode() if b"%s" in each else each) + b"\r\n" for each in cookies)
    with connected(server) as connection:
        connection.sendall(OWN + sent + b"\r\n")
        said = answer(connection)
    assert int(said.split(b" ")[1]) == status, said
    assert (b'"error"' in said) == (status != 200)


@pytest.mark.parametrize(
    "value", [b"", b"Bearer", b"Bearer ", b"Bearer  x", b"bearer x", b"Basic eA==", b"\xff", b"\t"]
)
def test_an_authorization_that_is_none_is_refused(server: Served, value: bytes) -> None:
    head = b"POST /cert/gha HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nAuthorization: "
    with connected(server) as connection:
        connection.sendall(head + value + b"\r\n\r\n{}")
        assert answer(connection).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "proofs", [(b"",), (b"x",), (b"\xff",), (b"e30.e30.e30",), (b"e30.e30.", b"e30.e30."), (b"a" * 9000,)]
)
def test_a_proof_of_a_key_that_is_none_is_refused(server: Served, cookie: str, proofs: tuple[bytes, ...]) -> None:
    body = b'{"audience":"https://mcp.example.com"}'
    head = b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    sent = b"".join(b"DPoP: " + each + b"\r\n" for each in proofs)
    with connected(server) as connection:
        connection.sendall(head % len(body) + b"Cookie: notme_session=" + cookie.encode() + b"\r\n" + sent)
        connection.sendall(b"\r\n" + body)
        said = answer(connection)
    assert said.startswith(b"HTTP/1.1 400 "), said
    assert b'{"error":"' in said


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /health HTTP/1.0", 200),
        (b"HEAD /health HTTP/1.1", 200),
        (b"POST /health HTTP/1.1", 405),
        (b"PUT /cert HTTP/1.1", 405),
        (b"PATCH /grants HTTP/1.1", 405),
        (b"TRACE /cert HTTP/1.1", 405),
        (b"GET /nothing HTTP/1.1", 404),
        (b"GET //cert HTTP/1.1", 404),
        (b"GET /web/..%2f..%2fsettings.toml HTTP/1.1", 404),
        (b"GET /%00 HTTP/1.1", 404),
        (b"GET /%ff%fe HTTP/1.1", 404),
        (b"BREW /cert HTTP/1.1", 400),
        (b"GET /health HTTP/9.9", 400),
        (b"nonsense", 400),
        (b"GET /" + b"x" * 200_000 + b" HTTP/1.1", 400),
    ],
    ids=lambda each: str(each)[:40],
)
def test_what_is_asked_for_strangely_is_answered(server: Served, line: bytes, status: int) -> None:
    with connected(server) as connection:
        connection.sendall(line + b"\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    assert int(said.split(b" ")[1]) == status, said
    assert b"Traceback" not in said
    assert server.request("GET", "/health").status == 200
