"""What a grant is, and when it may be used.

A grant says who lets which actor act for whom, for what and how long. It is never changed: a narrower or
longer one is a new grant. Nothing here reads a clock, a file or the environment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from attest import delegation, patterns
from attest.errors import RefusedError, UsageError
from attest.instants import rfc3339
from attest.profile import CERT_MINT, PAYLOAD_UNCHECKED
from attest.types import Authentication, Constraints, Grant, Principal, PrincipalKind
from notme_git.authority.store import StoredGrant

SCOPES = ("bridgeCert", "authorityManage", CERT_MINT, "sign:git", "sign:attestation", PAYLOAD_UNCHECKED)
"""The upstream authority's vocabulary (`authority-protocol.md` 9) and one of ours; nothing else can be granted."""

PASSED_ON = frozenset(SCOPES) - {"authorityManage", PAYLOAD_UNCHECKED}
"""What an issuing CA may carry: who manages is on record here, and a digest alone is signed for SSH, without CAs."""

MAX_DEPTH = 1
"""An issuing CA has leaves below it and nothing else: its path length is 0."""

GRANT_VERSION = 1
VERIFIER = "verifier"

MAX_AGENT_NAME = 63
"""A DNS label (RFC 1035 section 2.3.4), because the name stands in the agent's URI and e-mail address."""

MAX_DISPLAY_BYTES = 128
MAX_EMAIL_BYTES = 254
"""RFC 5321 section 4.5.3.1.3 (path of 256 with its angle brackets), see RFC 3696 erratum 1690."""

MAX_LIFETIME = timedelta(days=3650)
"""As long as a root certificate lives; a grant cannot outlive what it is certified under."""

MAX_PATTERNS = 16
"""Of each kind; with their maximal length they fit into the certificate's claims."""

_BRACKET = re.compile("[<>]")
_AGENT = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_AGENT_NAME - 1}}}")
_DURATION = re.compile(r"([1-9][0-9]{0,9})([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Human(NamedTuple):
    """A person as git writes one: `display <email>`."""

    display: str
    email: str


def parse_agent(text: str) -> str:
    """An agent's name: lower-case letters, digits and `._-`, at most 63, beginning with a letter or digit.

    `verifier` is the name of the principal that signs statements here, and so of no agent.
    """
    if not _AGENT.fullmatch(text) or text == VERIFIER:
        raise UsageError(
            f"{text[:MAX_AGENT_NAME]!r} is no name for an agent",
            hint="use lower-case letters, digits, '.', '_' and '-', for example claude-code",
        )
    return text


def parse_acting(text: str) -> tuple[str, str]:
    """`AGENT`, or `ORCHESTRATOR/CHILD` for an agent that acts under another's grant; else `UsageError`.

    Returns whose grant it is, and the child's name or nothing.
    """
    holder, slash, child = text.partition("/")
    return parse_agent(holder), parse_agent(child) if slash else ""


def parse_duration(text: str) -> timedelta:
    """`30d`, `12h`, `5m`, `90s`, `2w`: a positive number and a unit, at most ten years (`UsageError`)."""
    found = _DURATION.fullmatch(text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= MAX_LIFETIME.total_seconds():
        raise UsageError(
            f"{text[:32]!r} is no duration between one second and {MAX_LIFETIME.days} days",
            hint="write a number and one of s, m, h, d, w, for example 30d",
        )
    return timedelta(seconds=seconds)


def parse_human(text: str) -> Human:
    """`Alice Example <alice@example.org>` and nothing looser, because certificates repeat it.

    Raises `UsageError`. git drops angle brackets and line ends from names, so no such name could be compared.
    """
    display, opened, rest = text.partition(" <")
    email, closed, after = rest.partition(">")
    if not opened or not closed or after:
        raise _bad_human(text, "is not of the form NAME <E-MAIL>")
    if not display or display != display.strip() or not display.isprintable() or _BRACKET.search(display):
        raise _bad_human(text, "has no name before the address, or one with signs that git would drop")
    if _utf8_length(display) > MAX_DISPLAY_BYTES:
        raise _bad_human(text, f"has a name over {MAX_DISPLAY_BYTES} bytes")
    return Human(display, parse_email(email))


def parse_email(text: str) -> str:
    """An address to compare whole: one `@`, no blank, bracket or control character, else `UsageError`."""
    local, at, domain = text.partition("@")
    if (
        not (local and at and domain)
        or "@" in domain
        or not text.isprintable()
        or set('<> ",;:\\()[]').intersection(text)
        or _utf8_length(text) > MAX_EMAIL_BYTES
    ):
        raise UsageError(
            f"{text[:MAX_EMAIL_BYTES]!r} is no e-mail address", hint="write it like alice@example.org"
        )
    return text


def new_grant(
    authority_id: str,
    agent: str,
    represented: Principal,
    *,
    email: str | None,
    scopes: Sequence[str],
    expires: timedelta,
    repositories: Sequence[str],
    branches: Sequence[str],
    at: datetime,
    grant_id: str,
    delegation_depth: int = 0,
) -> Grant:
    """A grant for `agent` to act for `represented` from `at` until `at + expires`. Raises `UsageError`.

    Without an address of its own the agent gets one under `.invalid` (RFC 2606 section 2), to which no mail
    can ever go (design D14). With a `delegation_depth` of 1 the agent may pass the grant on to agents of its own, and
    the grant holds `certMint` too.
    """
    name = parse_agent(agent)
    if not 0 <= delegation_depth <= MAX_DEPTH:
        raise UsageError(f"a grant may be passed on {MAX_DEPTH} time at most", hint="use a depth of 0 or 1")
    if not timedelta(seconds=1) <= expires <= MAX_LIFETIME:
        raise UsageError(f"a grant lasts from one second to {MAX_LIFETIME.days} days", hint="for example 30d")
    created = int(at.timestamp())
    return Grant(
        version=GRANT_VERSION,
        id=grant_id,
        actor=Principal(
            id=f"wimse://{authority_id}.invalid/agent/{name}",
            kind=PrincipalKind.AGENT,
            name=name,
            display=name,
            email=parse_email(email if email is not None else f"{name}@{authority_id}.invalid"),
            authentication=Authentication.SELF_ASSERTED,
        ),
        represented=represented,
        scopes=_parse_scopes([*scopes, CERT_MINT] if delegation_depth else scopes),
        created_at=created,
        expires_at=created + int(expires.total_seconds()),
        constraints=Constraints(
            repositories=_parse_patterns(repositories), branches=_parse_patterns(branches)
        ),
        delegation_depth=delegation_depth,
        purpose="",
    )


def check_usable(grant: Grant, revoked_at: int | None, *, scope: str, at: datetime) -> None:
    """`RefusedError` when the grant is revoked, expired at `at`, or does not hold `scope`.

    `revoked_at` in unix seconds, None when not revoked. A revocation counts whatever `at` says: a clock that
    was set back must not bring a grant back.
    """
    name = f"grant {grant.id} for {grant.actor.name}"
    again = f"grant it again: notme-git grant add {grant.actor.name}"
    if revoked_at is not None:
        raise RefusedError(f"{name} was revoked on {rfc3339(revoked_at)}", hint=again)
    if at >= datetime.fromtimestamp(grant.expires_at, UTC):
        raise RefusedError(f"{name} expired on {rfc3339(grant.expires_at)}", hint=again)
    if scope not in grant.scopes:
        raise RefusedError(
            f"{name} holds {', '.join(grant.scopes)}, not {scope}", hint=f"{again} --scope {scope}"
        )


def actor_of(grant: Grant, agent: str) -> Principal:
    """Who acts under `grant` as `agent`: its own actor, or for `ORCHESTRATOR/CHILD` the child, within it."""
    _, _, child = agent.partition("/")
    if not child:
        return grant.actor
    above = grant.actor
    return Principal(
        id=delegation.child_uri(above.id, child),
        kind=PrincipalKind.AGENT,
        name=child,
        display=child,
        email=delegation.child_email(above.email, child),
        authentication=Authentication.SELF_ASSERTED,
    )


def check_delegable(grant: Grant) -> None:
    """`RefusedError` when the grant may not be passed on."""
    if not grant.delegation_depth:
        name = grant.actor.name
        raise RefusedError(
            f"grant {grant.id} for {name} may not be passed on", hint=f"notme-git grant add {name} --delegate"
        )


def select_acting(stored: Iterable[StoredGrant], agent: str, *, scope: str, at: datetime) -> Grant:
    """As `select`; for `ORCHESTRATOR/CHILD` the orchestrator's grant, which has to be one that may be passed on."""
    holder, slash, _ = agent.partition("/")
    return select(stored, holder, scope=scope, at=at, delegable=bool(slash))


def select(
    stored: Iterable[StoredGrant], agent: str, *, scope: str, at: datetime, delegable: bool = False
) -> Grant:
    """The grant that `agent` uses for `scope` at `at`; several may be usable, then the newest.

    `stored` is every grant of the authority, in the order of `Store.grants`. Raises `RefusedError`: for an
    agent without any grant with the names of those that have one, else why the agent's newest is not usable.
    With `delegable` it has to be one that may be passed on.
    """
    everything = list(stored)
    own = [item for item in everything if item.grant.actor.name == agent]
    if not own:
        names = sorted({item.grant.actor.name for item in everything})
        raise RefusedError(
            f"no agent {agent[:MAX_AGENT_NAME]!r} has a grant; known agents: {', '.join(names) or 'none'}",
            hint=f"notme-git grant add {agent}" if _AGENT.fullmatch(agent) else "notme-git grant list",
        )
    # Later of equals first: the store lists in the order of adding, and seconds are coarse.
    refusals: list[RefusedError] = []
    for item in sorted(own, key=lambda item: item.grant.created_at)[::-1]:
        try:
            check_usable(item.grant, item.revoked_at, scope=scope, at=at)
            if delegable:
                check_delegable(item.grant)
        except RefusedError as refused:
            refusals.append(refused)
        else:
            return item.grant
    raise refusals[0]


def _parse_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise UsageError(
            f"no such scope: {unknown[0][:64]!r}" if unknown else "a grant without a scope grants nothing",
            hint=f"scopes are {', '.join(SCOPES)}",
        )
    return tuple(scope for scope in SCOPES if scope in scopes)


def _parse_patterns(given: Sequence[str]) -> tuple[str, ...]:
    if len(given) > MAX_PATTERNS:
        raise UsageError(f"{len(given)} patterns; a grant holds at most {MAX_PATTERNS} of each kind")
    for pattern in given:
        patterns.check(pattern)
    return tuple(given)


def _bad_human(text: str, reason: str) -> UsageError:
    hint = 'write it like "Alice Example <alice@example.org>"'
    return UsageError(f"{text[:MAX_EMAIL_BYTES]!r} {reason}", hint=hint)


def _utf8_length(text: str) -> int:
    """Bytes of UTF-8; printable text has no lone surrogate, so it always can be encoded."""
    return len(text.encode())
