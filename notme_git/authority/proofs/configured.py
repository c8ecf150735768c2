"""Which proofs an operator takes from whom: the tables `github`, `issuers`, `workloads` and `proofs` of the settings.

An identity provider counts only if it is written here, and a workload gets more than upstream's `bridgeCert` only by a
rule that matches its claims. Every key is known or an error; the text of an error names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attest import patterns
from attest.errors import UsageError
from notme_git.authority import grants
from notme_git.authority.identity import Identity
from notme_git.authority.proofs import reading

KEYS = ("github", "issuers", "workloads", "proofs")
GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
GITHUB_AUDIENCE = "notme.bot"
KINDS = ("oidc", "gitlab", "kubernetes")
ALGORITHMS = ("RS256", "ES256", "EdDSA")
SCOPES = tuple(scope for scope in grants.SCOPES if scope != "authorityManage")
"""What a rule may give: no program administers."""

_CLAIM = re.compile(r"\{([^{}]+)\}")


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


def parse_proofs(document: Mapping[str, Any]) -> Proofs:
    """From the tables of the settings; `UsageError` names what is wrong."""
    enabled = reading.fields(document.get("proofs", {}), "proofs", {"enabled": reading.texts}).get("enabled", ())
    found = Proofs(
        github=_github(document.get("github", {})),
        issuers=tuple(_issuer(each, at) for each, at in reading.tables(document, "issuers")),
        workloads=tuple(_workload(each, at) for each, at in reading.tables(document, "workloads")),
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
    found = reading.fields(
        table,
        "github",
        {
            "owners": reading.texts,
            "audience": reading.text,
            "allow_pull_request": reading.flag,
            "issuer": reading.url,
            "ca_file": reading.text,
        },
    )
    return GitHub(**{**found, "owners": tuple(each.lower() for each in found.get("owners", ()))})


def _issuer(table: object, where: str) -> Issuer:
    found = reading.fields(
        table,
        where,
        {
            "issuer": reading.url,
            "kind": reading.one_of(KINDS),
            "audiences": reading.some,
            "algorithms": reading.all_of(ALGORITHMS),
            "jwks_file": reading.text,
            "ca_file": reading.text,
            "bearer_file": reading.text,
            "reuse": reading.flag,
        },
        needed=("issuer", "audiences"),
    )
    return Issuer(**{"reuse": found.get("kind") == "kubernetes", **found})


def _workload(table: object, where: str) -> WorkloadRule:
    found = reading.fields(
        table,
        where,
        {
            "issuer": reading.url,
            "match": reading.matching,
            "scopes": reading.all_of(SCOPES),
            "name": reading.text,
            "email": grants.parse_email,
            "repositories": reading.texts_of_patterns,
            "branches": reading.texts_of_patterns,
        },
        needed=("issuer", "match", "scopes"),
    )
    return WorkloadRule(**found)
