"""Which proofs an operator takes from whom: the tables `github`, `issuers`, `workloads` and `proofs` of the settings.

An identity provider counts only if it is written here, and a workload gets more than upstream's `bridgeCert` only by a
rule that matches its claims. Every key is known or an error; the text of an error names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attest import patterns
from attest.errors import UsageError
from notme_git.authority import grants
from notme_git.authority.identity import Identity
from notme_git.loopback import is_loopback

KEYS = ("github", "issuers", "workloads", "proofs")
GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
GITHUB_AUDIENCE = "notme.bot"
KINDS = ("oidc", "gitlab", "kubernetes")
ALGORITHMS = ("RS256", "ES256", "EdDSA")
SCOPES = tuple(scope for scope in grants.SCOPES if scope != "authorityManage")
"""What a rule may give: no program administers."""

MAX_TABLES = 256

_CLAIM = re.compile(r"\{([^{}]+)\}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GitHub:
    """GitHub Actions. `owners` in lower case: whose repositories' jobs are taken; none by default."""

    owners: tuple[str, ...] = ()
    audience: str = GITHUB_AUDIENCE
    allow_pull_request: bool = False
    issuer: str = GITHUB_ISSUER
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An OpenID provider. `jwks_file` holds its keys where it cannot be asked, `ca_file` and `bearer_file` help ask.

    A token is good once, unless `reuse` says that its holder gets no other before it ends.
    """

    issuer: str
    kind: str = "oidc"
    audiences: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    jwks_file: str = ""
    ca_file: str = ""
    bearer_file: str = ""
    reuse: bool = False


@dataclass(frozen=True, slots=True)
class WorkloadRule:
    """What the workloads of one issuer whose claims all `match` may do, and how they are called.

    Patterns are those of grants (`attest.patterns`). `name` may hold claims in braces, as `ci-{repository}`.
    """

    issuer: str
    match: Mapping[str, str]
    scopes: tuple[str, ...] = ()
    name: str = ""
    email: str = ""
    repositories: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()

    def takes(self, identity: Identity) -> bool:
        """Whether this rule is for that identity; a claim that is absent matches nothing."""
        return self.issuer == identity.issuer and all(
            claim in identity.claims and patterns.matches(pattern, identity.claims[claim])
            for claim, pattern in self.match.items()
        )

    def name_of(self, identity: Identity) -> str:
        """The workload's name: `name` with its claims in place, else its subject. A claim that is absent stays."""
        claims = {**identity.claims, "sub": identity.subject}
        return _CLAIM.sub(lambda found: claims.get(found[1], found[0]), self.name or "{sub}")


@dataclass(frozen=True, slots=True)
class Proofs:
    """All of it. `enabled` are the proofs of other packages (entry points) that are taken."""

    github: GitHub = field(default_factory=GitHub)
    issuers: tuple[Issuer, ...] = ()
    workloads: tuple[WorkloadRule, ...] = ()
    enabled: tuple[str, ...] = ()

    def rule_for(self, identity: Identity) -> WorkloadRule | None:
        """The first rule that takes an identity."""
        return next((rule for rule in self.workloads if rule.takes(identity)), None)

    def issuer(self, name: str) -> Issuer | None:
        """The configured provider of that name."""
        return next((each for each in self.issuers if each.issuer == name), None)


def parse_proofs(document: Mapping[str, Any]) -> Proofs:
    """From the tables of the settings; `UsageError` names what is wrong."""
    enabled = _fields(document.get("proofs", {}), "proofs", {"enabled": _texts}).get("enabled", ())
    found = Proofs(
        github=_github(document.get("github", {})),
        issuers=tuple(_issuer(each, at) for each, at in _tables(document, "issuers")),
        workloads=tuple(_workload(each, at) for each, at in _tables(document, "workloads")),
        enabled=enabled,
    )
    _check_issuers(found)
    return found


def _check_issuers(found: Proofs) -> None:
    """Each provider once, and a rule for none that there is not; another package's proofs may name any."""
    names = [found.github.issuer, *(each.issuer for each in found.issuers)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"setting 'issuers': {twice[0]} is there twice", hint="GitHub Actions is the table [github]")
    unknown = [each.issuer for each in found.workloads if each.issuer not in names]
    if unknown and not found.enabled:
        raise UsageError(
            f"setting 'workloads': {unknown[0]} is none of the issuers", hint=f"known are {', '.join(names)}"
        )


def _github(table: object) -> GitHub:
    found = _fields(
        table,
        "github",
        {
            "owners": _texts,
            "audience": _text,
            "allow_pull_request": _flag,
            "issuer": _url,
            "ca_file": _text,
        },
    )
    return GitHub(**{**found, "owners": tuple(each.lower() for each in found.get("owners", ()))})


def _issuer(table: object, where: str) -> Issuer:
    found = _fields(
        table,
        where,
        {
            "issuer": _url,
            "kind": _one_of(KINDS),
            "audiences": _some,
            "algorithms": _all_of(ALGORITHMS),
            "jwks_file": _text,
            "ca_file": _text,
            "bearer_file": _text,
            "reuse": _flag,
        },
        needed=("issuer", "audiences"),
    )
    return Issuer(**{"reuse": found.get("kind") == "kubernetes", **found})


def _workload(table: object, where: str) -> WorkloadRule:
    found = _fields(
        table,
        where,
        {
            "issuer": _url,
            "match": _match,
            "scopes": _all_of(SCOPES),
            "name": _text,
            "email": grants.parse_email,
            "repositories": _patterns,
            "branches": _patterns,
        },
        needed=("issuer", "match", "scopes"),
    )
    return WorkloadRule(**found)


def _fields(
    table: object, where: str, readers: Mapping[str, Callable[[Any], Any]], *, needed: tuple[str, ...] = ()
) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise UsageError(f"setting {where!r}: write a table")
    for name in (*table, *needed):
        if name not in readers:
            raise UsageError(f"unknown setting '{where}.{name}'", hint=f"known are {', '.join(readers)}")
        if name not in table:
            raise UsageError(f"setting '{where}.{name}' is missing")
    return {name: _value(f"{where}.{name}", readers[name], value) for name, value in table.items()}


def _value(where: str, reader: Callable[[Any], T], value: object) -> T:
    try:
        return reader(value)
    except (ValueError, TypeError, UsageError) as error:
        raise UsageError(f"setting '{where}': {error}", hint="docs/proofs.md lists the settings") from None


def _tables(document: Mapping[str, Any], key: str) -> list[tuple[object, str]]:
    found = document.get(key, [])
    if not isinstance(found, list) or len(found) > MAX_TABLES:
        raise UsageError(f"setting {key!r}: write [[{key}]] before each, at most {MAX_TABLES}")
    return [(each, f"{key}[{index}]") for index, each in enumerate(found)]


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("write a printable text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("write a list of texts")
    return tuple(_text(each) for each in value)


def _some(value: object) -> tuple[str, ...]:
    found = _texts(value)
    if not found or not all(found):
        raise ValueError("write at least one")
    return found


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def _url(value: object) -> str:
    """An issuer: https, or http on loopback (a stand-in for tests, a provider on this machine)."""
    parts = urlsplit(_text(value))
    plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    if not parts.hostname or parts.scheme not in ("https", "http") or not plain:
        raise ValueError("write the issuer's URL")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("an issuer that is asked without TLS proves nothing; write https://")
    return _text(value)


def _match(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        raise ValueError('write claims and patterns, as { repository = "example/*" }')
    for pattern in value.values():
        patterns.check(_text(pattern))
    return dict(value)


def _patterns(value: object) -> tuple[str, ...]:
    found = _texts(value)
    for pattern in found:
        patterns.check(pattern)
    return found


def _one_of(known: tuple[str, ...]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in known:
            raise ValueError(f"write one of {', '.join(known)}")
        return str(value)

    return read


def _all_of(known: tuple[str, ...]) -> Callable[[object], tuple[str, ...]]:
    def read(value: object) -> tuple[str, ...]:
        found = _texts(value)
        if unknown := [each for each in found if each not in known]:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return found

    return read
