"""The interface described: `GET /api/openapi.json` (OpenAPI 3.1), and `GET /api/docs` for people.

Made from the table of operations and the JSON Schema that is generated from `schema/protocol.capnp`.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from notme_git import __version__
from notme_git.authority.http.answers import answer
from notme_git.authority.http.desk import desk_of
from notme_git.authority.http.html import page, render
from notme_git.authority.http.operations import DPOP, FORM, HTML, JOB, JSON, OPERATIONS, PARTS, SESSION, Operation
from notme_git.authority.sessions import COOKIE

ERROR = "ErrorAnswer"
REASONS = {
    303: "On to a page",
    302: "Nobody is signed in",
    400: "Malformed, or not possible",
    401: "Nobody, or not who it says",
    403: "Not allowed",
    404: "There is none",
    429: "Too many requests: see Retry-After",
    503: "Not now: try again",
}
SCHEMES = {
    SESSION: {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Of somebody who is signed in"},
    JOB: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Of a GitHub Actions job"},
    DPOP: {"type": "apiKey", "in": "header", "name": "DPoP", "description": "A proof of a key (RFC 9449 section 4)"},
}
RULES = (
    "Bodies are JSON of at most 64 KiB, with no fields but those named here; null is as good as absent. "
    "An error is an ErrorAnswer, whose status says the kind."
)
RETRY = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
CACHED = {"Cache-Control": "public, max-age=300"}


async def document(request: Request) -> Response:
    """`GET /api/openapi.json`."""
    return answer(described(desk_of(request).settings.url), headers=CACHED)


@page
async def shown(request: Request) -> Response:
    """`GET /api/docs`."""
    told = described(desk_of(request).settings.url)
    return render("api.html", document=told, parts=PARTS, operations=OPERATIONS, reasons=REASONS, is_schema=is_schema)


@functools.lru_cache(maxsize=4)
def described(url: str) -> dict[str, Any]:
    """The document for the authority at `url`."""
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = operation(each)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "notme authority",
            "version": __version__,
            "description": RULES,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url}],
        "tags": [{"name": name, "description": text} for name, text in PARTS.items()],
        "paths": paths,
        "components": {"schemas": structs(), "securitySchemes": SCHEMES},
    }


@functools.cache
def structs() -> dict[str, Any]:
    """The schema of each struct by its name."""
    text = resources.files("notme_git.authority.http").joinpath("protocol.schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text.replace("#/$defs/", "#/components/schemas/"))["$defs"]
    return found


def operation(each: Operation) -> dict[str, Any]:
    """An Operation Object (OpenAPI 3.1, 4.8.10)."""
    made: dict[str, Any] = {"operationId": each.id, "summary": each.about, "tags": [each.part]}
    if parameters := _parameters(each):
        made["parameters"] = parameters
    if each.asks:
        kinds = (JSON, FORM) if each.form else (JSON,)
        content = _content(each.asks, kinds) if is_schema(each.asks) else {each.asks: {}}
        made["requestBody"] = {"required": True, "content": content}
    if each.by:
        needed: dict[str, list[str]] = {name: [] for name in each.by}
        made["security"] = [needed, {}] if each.anybody else [needed]
    made["responses"] = {str(status): told for status, told in sorted(_responses(each).items())}
    return made


def is_schema(name: str) -> bool:
    """Whether it names a struct, and no media type."""
    return "/" not in name


def _parameters(each: Operation) -> list[dict[str, Any]]:
    text = {"type": "string"}
    names = [part[1:-1] for part in each.path.split("/") if part.startswith("{")]
    inside: list[dict[str, Any]] = [{"name": name, "in": "path", "required": True, "schema": text} for name in names]
    return inside + [
        {"name": name, "in": "query", "description": about, "schema": text} for name, about in each.query.items()
    ]


def _responses(each: Operation) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    if each.tells:
        content: dict[str, Any] = {name: {} for name in each.tells if not is_schema(name)}
        if told := [name for name in each.tells if is_schema(name)]:
            shapes = [{"$ref": f"#/components/schemas/{name}"} for name in told]
            content[JSON] = {"schema": shapes[0] if len(shapes) == 1 else {"oneOf": shapes}}
        if each.form and HTML not in content:
            content[HTML] = {}
        found[200] = {"description": each.about, "content": content}
    if each.path == "/me":
        found[302] = {"description": REASONS[302]}
    if each.page:
        found[303] = {"description": REASONS[303]}
    for status in each.refuses:
        content = {**_content(ERROR, (JSON,)), **({HTML: {}} if each.page else {})}
        found[status] = {"description": REASONS[status], "content": content}
        if status in (429, 503):
            found[status]["headers"] = RETRY
    return found


def _content(name: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    return {kind: {"schema": {"$ref": f"#/components/schemas/{name}"}} for kind in kinds}


ROUTES = [
    Route("/api/openapi.json", document, methods=["GET"]),
    Route("/api/docs", shown, methods=["GET"]),
]
