"""What may be passed on: the one rule of a child's certificate within the issuing CA's above it (design D4).

An orchestrator whose grant allows it holds an issuing CA and mints leaves for its agents offline. Nothing but the
grant gives, so everything in a child's certificate is its parent's or narrower:

=============  ====================================================================
represented    the same principal, whole
grant          the same id and digest: what revokes the grant revokes the child
session, task  the parent's, where it has one
actor          an agent or a workload; its URI is the parent's, ``/`` and its name
address        the parent's, or the parent's with ``+NAME`` before the ``@``
scopes         some of the parent's, never `certMint`
constraints    each pattern one of the parent's, or without ``*`` and matched by one
assurance      the parent's or weaker
epoch, method  the parent's; the facts of a CI job are the parent's or left out
depth          below the parent's
=============  ====================================================================

Validity and signatures are the chain's (`certificate`). Whoever mints and whoever verifies ask the same function.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from attest import patterns
from attest.claims import Claims
from attest.errors import Reason, Step, VerificationError
from attest.fulcio import Ci
from attest.profile import CERT_MINT
from attest.types import Assurance, Principal, PrincipalKind

ACTORS = (PrincipalKind.AGENT, PrincipalKind.WORKLOAD)
"""Who passes on, and to whom. A human acts directly, and a verifier's word must be its authority's."""

_RANKS = tuple(Assurance)
"""From the weakest (`schema/grant.capnp`)."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""An agent's name, which is its own encoding in a URI and in an address."""


class Held(Protocol):
    """What a certificate says, or is to say, of its holder's share of a grant."""

    @property
    def claims(self) -> Claims | None: ...

    @property
    def uri(self) -> str: ...

    @property
    def subject(self) -> str: ...

    @property
    def scopes(self) -> tuple[str, ...]: ...

    @property
    def epoch(self) -> int | None: ...

    @property
    def auth_method(self) -> str: ...

    @property
    def ci(self) -> Ci: ...


def child_uri(uri: str, name: str) -> str:
    """The URI of the agent `name` under its orchestrator's."""
    return f"{uri}/{name}"


def child_email(email: str, name: str) -> str:
    """The address of the agent `name`: a subaddress (RFC 5233) of its orchestrator's, so nobody else's."""
    local, _, domain = email.rpartition("@")
    return f"{local}+{name}@{domain}"


def verify_within(child: Held, parent: Held) -> None:
    """`VerificationError` (step 4) unless `child` holds nothing that `parent` does not hold and may pass on."""
    mine, theirs = child.claims, parent.claims
    if mine is None or theirs is None:
        raise _beyond("one of the two certificates has no claims")
    _verify_may_pass_on(parent, theirs)
    _verify_actor(child, mine, parent, theirs)
    _verify_principals(mine, theirs)
    if not child.scopes or not set(child.scopes) <= set(parent.scopes) - {CERT_MINT}:
        raise _beyond(f"scopes {_listed(child.scopes)} are not within {_listed(parent.scopes)}")
    for kind in ("repositories", "branches"):
        _verify_patterns(kind, getattr(mine.constraints, kind), getattr(theirs.constraints, kind))
    if _RANKS.index(mine.assurance) > _RANKS.index(theirs.assurance):
        raise _beyond(f"assurance {mine.assurance} is more than {theirs.assurance}")
    if (child.epoch, child.auth_method) != (parent.epoch, parent.auth_method):
        raise _beyond("its epoch or authentication is not its issuing CA's")
    if not set(child.ci) <= set(parent.ci):
        raise _beyond("it says more of a CI job than its issuing CA's certificate")


def _verify_may_pass_on(parent: Held, theirs: Claims) -> None:
    if CERT_MINT not in parent.scopes or theirs.depth < 1 or theirs.actor_kind not in ACTORS:
        raise _beyond(f"{theirs.actor_name} holds no grant that may be passed on")


def _verify_actor(child: Held, mine: Claims, parent: Held, theirs: Claims) -> None:
    """The child is a new actor below its parent, and can take no other's URI or address."""
    name = mine.actor_name
    if mine.actor_kind not in ACTORS or not _NAME.fullmatch(name):
        raise _beyond(f"{mine.actor_kind} {name[:64]!r} is nobody that a grant is passed on to")
    if child.uri != child_uri(parent.uri, name) or child.subject != child.uri:
        raise _beyond(f"{child.uri} as {child.subject[:256]!r} is not {name} under {parent.uri}")
    if mine.actor_email not in (theirs.actor_email, child_email(theirs.actor_email, name)):
        raise _beyond(f"the address <{mine.actor_email}> is not under <{theirs.actor_email}>")


def _verify_principals(mine: Claims, theirs: Claims) -> None:
    if mine.represented != theirs.represented:
        raise _beyond(f"it represents {_who(mine.represented)}, its issuing CA {_who(theirs.represented)}")
    if (mine.grant_id, mine.grant_sha256) != (theirs.grant_id, theirs.grant_sha256) or not mine.grant_id:
        raise _beyond("it does not name its issuing CA's grant")
    if theirs.session not in ("", mine.session) or theirs.task_digest not in (b"", mine.task_digest):
        raise _beyond("it leaves its issuing CA's session or task")
    if mine.depth >= theirs.depth:
        raise _beyond(f"its delegation depth {mine.depth} is not below {theirs.depth}")


def _verify_patterns(kind: str, mine: Sequence[str], theirs: Sequence[str]) -> None:
    """An empty list does not constrain. Whether one pattern lies within another is not worked out: see above."""
    if theirs and not mine:
        raise _beyond(f"it is not constrained in {kind}, its issuing CA is")
    for pattern in mine if theirs else ():
        if pattern not in theirs and ("*" in pattern or not any(patterns.matches(each, pattern) for each in theirs)):
            raise _beyond(f"pattern {pattern!r} of its {kind} is not within {_listed(theirs)}")


def _who(principal: Principal | None) -> str:
    return "nobody" if principal is None else principal.id


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items) or "none"


def _beyond(message: str) -> VerificationError:
    return VerificationError(
        Step.CHAIN, Reason.DELEGATION_EXCEEDED, f"the certificate is not within its issuing CA's: {message}"
    )
