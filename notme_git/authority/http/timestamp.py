"""`POST /timestamp`: RFC 3161 over HTTP (section 3.4), by the time-stamping key of the current epoch.

What it stamps is a digest; nobody learns what it is of. Anybody may ask, at a rate for each client address: a token
says that something existed, and not whose it is. `?profile=interop` asks for the certificate under the interop root.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attest import timestamp
from attest.profile import Profile
from attest.timestamp import QueryError
from notme_git.authority import ca
from notme_git.authority.http import body
from notme_git.authority.http.answers import NO_STORE, HttpError
from notme_git.authority.http.desk import client_address, desk_of

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


async def stamp(request: Request) -> Response:
    """One query, one reply; what cannot be read is rejected in the reply, as the RFC has it."""
    desk = desk_of(request)
    if request.headers.get("content-type", "").partition(";")[0].strip() != QUERY:
        raise HttpError(400, f"Content-Type must be {QUERY}")
    profile = request.query_params.get("profile", Profile.NOTME.value)
    if profile not in (Profile.NOTME.value, Profile.INTEROP.value):
        raise HttpError(400, "profile must be notme or interop")
    data, at = await body.read(request), desk.clock()
    desk.check_rate(f"timestamp:{client_address(request)}", desk.settings.limits.timestamp, at)
    try:
        query = timestamp.parse_query(data)
    except QueryError as error:
        return _reply(timestamp.rejection(error.failure))
    stamper = ca.stamper(desk.authority.keys, desk.authority.epoch, Profile(profile))
    token = stamper.stamp_for(query, at)
    desk.metrics.add("timestamps")
    return _reply(timestamp.response(token))


def _reply(der: bytes) -> Response:
    return Response(der, headers=NO_STORE, media_type=REPLY)


ROUTES = [Route("/timestamp", stamp, methods=["POST"])]
