"""`/grants`: the agents that may act for somebody. Making one takes a passkey shown within the last 15 minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attest.types import Grant
from notme_git.authority import agents, epochs, grants
from notme_git.authority.agents import Wish
from notme_git.authority.http import body, entry, forms
from notme_git.authority.http.answers import HttpError, answer
from notme_git.authority.http.desk import desk_of
from notme_git.authority.http.html import friendly
from notme_git.authority.store import StoredGrant

FIELDS: body.Fields = {
    "agent": str,
    "scopes": list,
    "lifetime": str,
    "email": str,
    "repositories": list,
    "branches": list,
    "delegate": bool,
}
MAX_REASON = 200


async def listed(request: Request) -> Response:
    """`GET /grants`: one's own, the latest first; with `?all=1` everybody's, for an administrator."""
    desk = desk_of(request)
    session = entry.required(desk, request, desk.clock())
    if not request.query_params.get("all"):
        stored = agents.of_account(desk.authority.store, session.account)
    elif session.manages:
        stored = desk.authority.store.grants()[::-1]
    else:
        raise HttpError(403, "authorityManage scope required")
    return answer({"grants": [_told(each) for each in stored]})


@friendly
async def add(request: Request) -> Response:
    """`POST /grants`: let an agent act for oneself."""
    desk = desk_of(request)
    at = desk.clock()
    session = entry.present(desk, request, at)
    sent = await forms.read(request, FIELDS)
    wish = _wish(sent.fields)
    domain, own = desk.settings.trust_domain, desk.authority.id
    with desk.authority.store.transaction(durable=True):
        made = agents.add(desk.records, domain, own, session.account, wish, at)
    return sent.done(_told(StoredGrant(made, None)), "/me")


@friendly
async def revoke(request: Request) -> Response:
    """`DELETE /grants/ID`, or `POST` by a form: end a grant for good; one's own, for an administrator anybody's."""
    desk = desk_of(request)
    at = desk.clock()
    session, name = entry.person(desk, request, at), request.path_params["grant"]
    sent = await forms.read(request, {"reason": str})
    if session.manages:
        found = desk.authority.store.grant(name)
    else:
        found = agents.find(desk.authority.store, session.account, name)
    desk.check_revoking(session, at)
    epochs.revoke_grant(desk.authority, name, reason=body.printable(sent.fields, "reason", MAX_REASON), at=at)
    return sent.done({"revoked": found.grant.id}, "/me")


def _wish(sent: Mapping[str, Any]) -> Wish:
    if "agent" not in sent:
        raise HttpError(400, "agent required")
    given = {name.name: sent[name.name] for name in fields(Wish) if name.name in sent}
    if "lifetime" in sent:
        given["lifetime"] = grants.parse_duration(sent["lifetime"])
    if "scopes" in sent:
        given["scopes"] = tuple(sent["scopes"])
    return Wish(**given)


def _told(stored: StoredGrant) -> dict[str, Any]:
    return {**described(stored.grant), "revoked_at": stored.revoked_at}


def described(grant: Grant) -> dict[str, Any]:
    """A grant as answers tell it."""
    return {
        "grant": grant.id,
        "agent": grant.actor.name,
        "email": grant.actor.email,
        "identity": grant.actor.id,
        "represented": grant.represented.id if grant.represented else None,
        "scopes": list(grant.scopes),
        "repositories": list(grant.constraints.repositories),
        "branches": list(grant.constraints.branches),
        "delegate": grant.delegation_depth > 0,
        "created_at": grant.created_at,
        "expires_at": grant.expires_at,
    }


ROUTES = [
    Route("/grants", listed, methods=["GET"]),
    Route("/grants", add, methods=["POST"]),
    Route("/grants/{grant}", revoke, methods=["DELETE", "POST"]),
]
