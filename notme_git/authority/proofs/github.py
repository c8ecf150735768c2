"""GitHub Actions: the ID token of a job (`authority-protocol.md` 8, with its gaps closed).

Whose repositories count is written in the settings. A job that a stranger's pull request started can be made to run
the stranger's code with the repository's rights, so `pull_request_target` is refused always, `pull_request` by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attest import fulcio
from attest.errors import MalformedError, RefusedError
from notme_git.authority.identity import Identity
from notme_git.authority.proofs import jwt, oidc
from notme_git.authority.proofs.configured import GitHub, Issuer
from notme_git.authority.proofs.jwt import TokenError

METHOD = "gha-oidc"
REQUIRED = (
    "repository", "repository_owner", "ref", "sha", "actor", "workflow", "job_workflow_ref", "run_id", "event_name"
)  # fmt: skip
PULL_REQUEST, PULL_REQUEST_TARGET = "pull_request", "pull_request_target"


def provider(settings: GitHub) -> Issuer:
    """GitHub as an OpenID provider."""
    return Issuer(
        issuer=settings.issuer,
        kind="github",
        audiences=(settings.audience,),
        algorithms=("RS256",),
        ca_file=settings.ca_file,
    )


def identify(claims: Mapping[str, Any], settings: GitHub) -> Identity:
    """The job that checked claims speak of: `TokenError`, then `RefusedError`, then `MalformedError` without a jti."""
    facts = jwt.texts(claims)
    oidc.require(claims, (*REQUIRED, "iat"))
    owner, _, name = facts["repository"].partition("/")
    if facts["repository_owner"].lower() not in settings.owners:
        raise RefusedError("repository owner not permitted")
    if facts["repository_owner"].lower() != owner.lower() or not name or "/" in name:
        raise TokenError("invalid claims: repository is not one of repository_owner")
    event = facts["event_name"]
    if event == PULL_REQUEST_TARGET or (event == PULL_REQUEST and not settings.allow_pull_request):
        raise RefusedError(f"event {event} not permitted")
    if not claims.get("jti"):
        raise MalformedError("jti claim required for replay protection")
    return oidc.workload(claims, facts, METHOD, ("gha", owner, name), ci=fulcio.of_github(facts))
