"""Pages: templates that escape everything, headers that allow nothing but our own files, and errors for people."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from attest.errors import Error
from notme_git.authority.http.answers import NO_STORE, HttpError, of_error
from notme_git.authority.http.desk import desk_of
from notme_git.authority.http.forms import wants_html

Handler = Callable[[Request], Awaitable[Response]]

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self' http://127.0.0.1:*; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Vary": "Accept, Cookie",
    "Cross-Origin-Opener-Policy": "same-origin",
}
FILES = {
    "style.css": "text/css; charset=utf-8",
    "webauthn.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def render(template: str, status_code: int = 200, **context: Any) -> HTMLResponse:
    """A page from one of the templates."""
    return HTMLResponse(_environment().get_template(template).render(context), status_code, HEADERS)


def friendly(handler: Handler) -> Handler:
    """`handler`, whose errors a person's browser shows as a page with the same status."""

    @functools.wraps(handler)
    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except (HttpError, Error) as error:
            if not wants_html(request):
                raise
            return _failed(error if isinstance(error, HttpError) else of_error(error), error)

    return handle


def page(handler: Handler) -> Handler:
    """`handler` of a page: friendly, and on loopback under the name that passkeys and cookies belong to (303)."""
    shown = friendly(handler)

    @functools.wraps(handler)
    async def handle(request: Request) -> Response:
        settings = desk_of(request).settings
        moved = settings.origin != settings.url and request.headers.get("host") == settings.trust_domain
        if moved and wants_html(request):
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"{settings.origin}{request.url.path}{query}", 303, NO_STORE)
        return await shown(request)

    return handle


def _failed(answer: HttpError, error: HttpError | Error) -> Response:
    told = answer.body.get("error_description") or answer.body["error"]
    hint = error.hint if isinstance(error, Error) else None
    presence = answer.body["error"] == "presence_required" or answer.status == 401
    return render("error.html", answer.status, status=answer.status, told=told, hint=hint, presence=presence)


async def file(request: Request) -> Response:
    """`GET /web/NAME`: the stylesheet and the script."""
    name = request.path_params["name"]
    if name not in FILES:
        raise HttpError(404, "not_found")
    data = resources.files("notme_git.authority").joinpath("web", name).read_bytes()
    return Response(data, headers={"Cache-Control": "max-age=300", "Content-Type": FILES[name]})


def _when(value: datetime | int | None) -> str:
    """A time to the minute, in UTC."""
    if value is None:
        return "never"
    at = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    return Markup(f'<time datetime="{at:%Y-%m-%dT%H:%MZ}">{at:%Y-%m-%d %H:%M} UTC</time>')


def _left(until: int, at: datetime) -> str:
    """How long it still is, in the largest unit that fits."""
    left = timedelta(seconds=max(0, until - int(at.timestamp())))
    if left.days > 1:
        return f"{left.days} days"
    minutes, seconds = divmod(int(left.total_seconds()), 60)
    if minutes >= 120:
        return f"{minutes // 60} hours"
    return f"{minutes} min" if minutes else f"{seconds} s"


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("notme_git.authority", "web/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(when=_when, left=_left)
    return made


ROUTES = [Route("/web/{name}", file, methods=["GET"])]
