"""What changes something for somebody who is signed in: JSON of a program, or a form of our own pages.

Nothing of another site gets through (CSRF). The cookie is SameSite=Strict, so a browser sends it from our pages alone.
Beside that, a request that a browser marks as another site's is refused; JSON must say that it is JSON, which no other
site can send without asking first (CORS, which does not allow it); and a form must come with the mark of our own page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notme_git.authority.http import body
from notme_git.authority.http.answers import NO_STORE, HttpError, answer
from notme_git.authority.http.desk import desk_of

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
OURS = "same-origin"
MAX_FIELDS = 64


@dataclass(frozen=True, slots=True)
class Submitted:
    """The fields that came, and whether a form of ours sent them."""

    fields: Mapping[str, Any]
    form: bool

    def done(self, told: Mapping[str, Any], page: str) -> Response:
        """The JSON answer for a program; for a form the page to go on to (303)."""
        return RedirectResponse(page, 303, NO_STORE) if self.form else answer(told)


async def read(request: Request, fields: body.Fields) -> Submitted:
    """The request's fields, of known names and types; an answer of 400 or 403 otherwise.

    `DELETE` needs no body. In a form an empty field is absent, a list has blanks between, and a flag is there or not.
    """
    check_origin(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "DELETE" and not kind:
        return Submitted({}, form=False)
    if kind == JSON:
        return Submitted(await body.read_json(request, fields), form=False)
    if kind != FORM:
        raise HttpError(400, f"Content-Type must be {JSON}")
    if not _marked_own(request):
        raise HttpError(403, "cross-site request refused")
    return Submitted(body.take(_decode(await body.read(request), fields), fields), form=True)


def check_origin(request: Request) -> None:
    """An answer of 403 to what a browser says another site made it send.

    A page whose referrer policy is `no-referrer` has the origin `null` in its own forms (Fetch 3.2): then the other
    header decides.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    settings = desk_of(request).settings
    ours = origin in (None, settings.origin, settings.url) or (origin == "null" and site == OURS)
    if not ours or site not in (None, OURS, "none"):
        raise HttpError(403, "cross-site request refused")


def wants_html(request: Request) -> bool:
    """Whether a person with a browser asks."""
    return "text/html" in request.headers.get("accept", "")


def wants_json(request: Request) -> bool:
    """Whether a program asks, that says so: what a page and a program may both ask for is a page without (upstream)."""
    return "application/json" in request.headers.get("accept", "")


def _marked_own(request: Request) -> bool:
    return request.headers.get("origin", "null") != "null" or request.headers.get("sec-fetch-site") == OURS


def _decode(data: bytes, fields: body.Fields) -> dict[str, Any]:
    try:
        pairs = parse_qsl(data.decode("ascii"), strict_parsing=bool(data), errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise HttpError(400, "invalid form") from None
    found: dict[str, Any] = {}
    for name, text in pairs:
        kind, value = fields.get(name, str), text.strip()
        if kind is list:
            found.setdefault(name, []).extend(value.split())
        elif name in found:
            raise HttpError(400, f"field twice: {name[:64]}")
        elif kind is int and value:
            found[name] = _integer(name, value)
        elif value:
            found[name] = True if kind is bool else value
    return found


def _integer(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise HttpError(400, f"{name[:64]} must be an integer")
    return int(text)
