"""The application: its routes, and the one place around them that answers errors, logs, counts and sets headers."""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from starlette.datastructures import Headers, State
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attest.errors import Error
from notme_git.authority.embedded import Authority
from notme_git.authority.http import (
    account,
    cert,
    connect,
    grant,
    html,
    issuing,
    manage,
    openapi,
    pages,
    passkey,
    program,
    timestamp,
    token,
    wellknown,
)
from notme_git.authority.http.answers import HttpError, of_error
from notme_git.authority.http.desk import Desk, desk_of
from notme_git.authority.metrics import Metrics
from notme_git.authority.settings import Settings
from notme_git.loopback import LOCALHOST

log = logging.getLogger("notme.authority")

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)


Endpoint = Callable[[Request], Awaitable[Response]]


def build(
    authority: Authority,
    settings: Settings,
    *,
    metrics: Metrics | None = None,
    clock: Callable[[], datetime] | None = None,
) -> Front:
    """The application over an opened authority; to be called in the thread that will run it."""
    return Front(Router(routes()), Desk(authority, settings, clock or _now, metrics or Metrics()))


def routes() -> list[BaseRoute]:
    """Every route; the busiest first, because they are tried in order."""
    people = [each for part in (passkey, program, account, grant, connect, manage, pages, html) for each in part.ROUTES]
    programs = [each for part in (cert, timestamp, token, issuing, wellknown, openapi) for each in part.ROUTES]
    return [*programs, *people, Route("/metrics", metrics_page, methods=["GET"])]


async def metrics_page(request: Request) -> Response:
    """`GET /metrics` in the Prometheus text format; on the loopback side of a front proxy only (docs/authority.md)."""
    return PlainTextResponse(desk_of(request).metrics.text(), media_type="text/plain; version=0.0.4")


def exact(known: list[BaseRoute]) -> dict[tuple[str, str], Endpoint]:
    """Handlers by method and path, of the paths without a parameter; the router asks every route for each request."""
    found: dict[tuple[str, str], Endpoint] = {}
    for route in known:
        if isinstance(route, Route) and not route.param_convertors:
            for method in route.methods or ():
                found.setdefault((method, route.path), route.endpoint)
    return found


class Front:
    """Around every request. Nothing of what a client sent is logged but its method, its path and its status."""

    def __init__(self, router: ASGIApp, desk: Desk) -> None:
        self.router = router
        self.exact = exact(routes())
        self.desk = desk
        self.state = State({"desk": desk})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")
        scope["app"] = self
        began, status = time.perf_counter_ns(), 500
        started = False

        async def sending(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS, *_readable(scope, self.desk.settings)]
            await send(message)

        try:
            try:
                if scope["method"] == "OPTIONS":
                    await preflight(scope, self.desk.settings.origins)(scope, receive, sending)
                    return
                endpoint = self.exact.get((scope["method"], scope["path"]))
                if endpoint is None:
                    await self.router(scope, receive, sending)
                else:
                    response = await endpoint(Request(scope, receive, sending))
                    await response(scope, receive, sending)
            except Exception as exception:
                if started:
                    raise
                await _answer(exception, scope)(scope, receive, sending)
        finally:
            self._note(scope, status, (time.perf_counter_ns() - began) // 1000)

    def _note(self, scope: Scope, status: int, microseconds: int) -> None:
        metrics = self.desk.metrics
        metrics.add("requests")
        metrics.add("microseconds", microseconds)
        if status >= 400:
            metrics.add("failed" if status >= 500 else "refused")
        if log.isEnabledFor(logging.INFO):
            at, path = datetime.now(UTC).isoformat(timespec="milliseconds"), json.dumps(scope["path"][:128])
            method, ms = json.dumps(scope["method"][:16]), microseconds / 1000
            log.info('{"at":"%s","method":%s,"path":%s,"status":%d,"ms":%.3f}', at, method, path, status, ms)


def allowed_origin(scope: Scope, origins: tuple[str, ...]) -> str:
    """The request's origin if it may read our answers: one of the settings, or a page of this machine; else empty."""
    origin = Headers(scope=scope).get("origin", "")
    return origin if origin in origins or _LOCAL.fullmatch(origin) else ""


def _readable(scope: Scope, settings: Settings) -> list[tuple[bytes, bytes]]:
    """As upstream, `/token` alone may be read by the pages of other origins, those that are allowed."""
    origin = allowed_origin(scope, settings.origins) if scope["path"] == token.PATH else ""
    return [(b"access-control-allow-origin", origin.encode()), (b"vary", b"Origin")] if origin else []


def preflight(scope: Scope, origins: tuple[str, ...]) -> Response:
    """The answer to OPTIONS, of any path; credentials are never allowed across origins."""
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Origin": allowed_origin(scope, origins),
            "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
            "Access-Control-Allow-Headers": "Content-Type, Authorization, DPoP",
            "Access-Control-Max-Age": "86400",
            "Vary": "Origin",
        },
    )


def _answer(exception: Exception, scope: Scope) -> Response:
    if isinstance(exception, HttpError):
        return exception.response()
    if isinstance(exception, HTTPException):
        headers = {"Allow": ", ".join(sorted(_methods(scope)))} if exception.status_code == 405 else None
        word = _WORDS.get(exception.status_code, "refused")
        return HttpError(exception.status_code, word, headers=headers).response()
    if isinstance(exception, Error):
        if (found := of_error(exception)).status >= 500:
            log.error(json.dumps({"error": exception.message, "hint": exception.hint}))
        return found.response()
    # Without the exception's own text, in which may stand what the client sent.
    trace = traceback.format_tb(exception.__traceback__)
    log.error(json.dumps({"error": f"unexpected {type(exception).__name__}", "trace": trace}))
    return HttpError(500, "internal_error").response()


def _methods(scope: Scope) -> set[str]:
    """What a path may be asked with, of all routes that it has."""
    routes: list[BaseRoute] = scope["router"].routes
    found = [each for each in routes if isinstance(each, Route) and each.matches(scope)[0] is not Match.NONE]
    return {method for each in found for method in each.methods or ()}


_LOCAL = re.compile(rf"http://{LOCALHOST}(:[0-9]{{1,5}})?")
_WORDS = {404: "not_found", 405: "method not allowed"}


def _now() -> datetime:
    return datetime.now(UTC)
