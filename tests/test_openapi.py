"""The OpenAPI document: every route is in it, everything it names is there, and a person can read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from notme_git.authority.http import app, body, openapi
from notme_git.authority.http.operations import OPERATIONS, PARTS
from tests.served import Served, served
from tests.spoken import speak, speaking
from tests.world import World


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(World(tmp_path_factory.mktemp("described"))) as running:
        yield running


@pytest.fixture(scope="module")
def document(server: Served) -> dict[str, Any]:
    got = server.request("GET", "/api/openapi.json")
    assert (got.status, got.headers["content-type"]) == (200, "application/json")
    return got.json  # type: ignore[no-any-return]


def test_every_route_is_an_operation_and_every_operation_a_route() -> None:
    routes = [route for route in app.routes() if isinstance(route, Route)]
    served_here = sorted((method, route.path) for route in routes for method in (route.methods or set()) - {"HEAD"})
    assert served_here == sorted((each.method, each.path) for each in OPERATIONS)
    assert len(routes) == len(app.routes())


def test_it_speaks_of_this_authority(document: dict[str, Any], server: Served) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["servers"] == [{"url": server.url}]


def test_every_reference_leads_to_a_struct_and_every_struct_is_used(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    found = {ref.removeprefix("#/components/schemas/") for ref in references(document)}
    assert found - schemas.keys() == set()
    assert schemas.keys() - found == {"BundleKey"}  # which is a name and a value there


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from references(each)


def test_every_operation_has_a_name_of_its_own_a_part_and_a_sentence(document: dict[str, Any]) -> None:
    told = [each for methods in document["paths"].values() for each in methods.values()]
    assert len({each["operationId"] for each in told}) == len(told) == len(OPERATIONS)
    assert all(each["tags"][0] in PARTS and len(each["summary"]) > 5 for each in told)


def test_a_method_that_is_not_there_is_told_which_are(server: Served) -> None:
    for path, methods in (("/grants", "GET, HEAD, POST"), ("/grants/x", "DELETE, POST"), ("/token", "POST")):
        got = server.request("PUT", path)
        assert (got.status, got.headers["allow"], got.json) == (405, methods, {"error": "method not allowed"})


def test_a_requests_fields_are_those_that_the_document_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: dict[str, Any]
) -> None:
    """What each handler takes, noted while every operation is asked once."""
    taken: set[frozenset[str]] = set()
    take = body.take

    def noting(value: object, fields: body.Fields, where: str = "") -> dict[str, Any]:
        taken.add(frozenset(fields))
        return take(value, fields, where)

    monkeypatch.setattr(body, "take", noting)
    with speaking(tmp_path / "world") as talk:
        speak(talk)
    schemas = document["components"]["schemas"]
    asked = {each.asks for each in OPERATIONS if each.asks in schemas}
    assert [name for name in asked if frozenset(schemas[name].get("properties", ())) not in taken] == []


class Page(HTMLParser):
    """What a page holds, as a reader's program goes through it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.labels: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.ids += [named["id"]] if "id" in named else []
        self.labels += [named["aria-labelledby"]] if "aria-labelledby" in named else []
        if tag == "a":
            self.links.append(named["href"])
        self.loaded += [each for each in (named.get("src"), named.get("href") if tag == "link" else None) if each]


def test_people_can_read_it_with_any_browser(server: Served, document: dict[str, Any]) -> None:
    got = server.request("GET", "/api/docs", headers={"Accept": "text/html"})
    text = got.body.decode()
    page = Page(text)
    assert (got.status, got.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.headings[:2] == [1, 2]
    assert page.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert len(set(page.ids)) == len(page.ids)
    assert {each[1:] for each in page.links if each.startswith("#")} | set(page.labels) <= set(page.ids)
    assert "<script" not in text
    assert all(each.startswith("/web/") for each in page.loaded)
    assert {each.id for each in OPERATIONS} | document["components"]["schemas"].keys() <= set(page.ids)


def test_the_document_of_another_authority_names_that_one() -> None:
    assert openapi.described("https://a.example")["servers"] != openapi.described("https://b.example")["servers"]
