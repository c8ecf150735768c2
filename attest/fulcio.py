"""What a CI provider said of a job, under the object identifiers that Fulcio published for it (its oid-info.md).

Extensions 1.3.6.1.4.1.57264.1.8 to .22, each the DER of one UTF8String and never critical. Here a fact is its last
arc and its text, and a job's facts are in ascending order of the arcs. Whoever issues repeats what a checked token
said; nothing here checks a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from cryptography import x509
from cryptography.x509 import ObjectIdentifier

from attest import asn1
from attest.errors import MalformedError

Ci: TypeAlias = tuple[tuple[int, str], ...]

MAX_VALUE_BYTES = 1024
"""UTF-8; the longest are URLs of a workflow file at a ref."""

ISSUER = 8
NAMES: Mapping[int, str] = {
    ISSUER: "issuer",
    9: "buildSignerURI",
    10: "buildSignerDigest",
    11: "runnerEnvironment",
    12: "sourceRepositoryURI",
    13: "sourceRepositoryDigest",
    14: "sourceRepositoryRef",
    15: "sourceRepositoryIdentifier",
    16: "sourceRepositoryOwnerURI",
    17: "sourceRepositoryOwnerIdentifier",
    18: "buildConfigURI",
    19: "buildConfigDigest",
    20: "buildTrigger",
    21: "runInvocationURI",
    22: "sourceRepositoryVisibilityAtSigning",
}
OIDS: Mapping[int, ObjectIdentifier] = {arc: ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{arc}") for arc in NAMES}

GITHUB = "https://github.com"
GITLAB = "https://gitlab.com"
_GITLAB_REFS = {"branch": "refs/heads/", "tag": "refs/tags/"}


def extensions(ci: Ci) -> list[x509.UnrecognizedExtension]:
    """The extensions that say `ci`. Raises `MalformedError` for what `read` would not give back."""
    for arc, value in ci:
        if arc not in NAMES:
            raise MalformedError(f"Fulcio has no extension .{arc} for a CI job")
        _check(value, NAMES[arc])
    if [arc for arc, _ in ci] != sorted({arc for arc, _ in ci}):
        raise MalformedError("the facts of a CI job are not in ascending order, each once")
    return [x509.UnrecognizedExtension(OIDS[arc], asn1.encode(value)) for arc, value in ci]


def read(found: Mapping[ObjectIdentifier, bytes]) -> Ci:
    """What a certificate says, from the raw values of its extensions; `MalformedError` for anything but short text."""
    return tuple(
        (arc, _check(asn1.decode(str, found[oid], limit=MAX_VALUE_BYTES + 8), NAMES[arc]))
        for arc, oid in OIDS.items()
        if oid in found
    )


def of_github(claims: Mapping[str, str], *, server: str = GITHUB) -> Ci:
    """The facts of a GitHub Actions job from the claims of its checked ID token, `iss` among them.

    `server` is where the repositories are. What the token does not say is left out.
    """
    repository = _url(server, claims.get("repository"))
    run, attempt = claims.get("run_id"), claims.get("run_attempt")
    return _facts(
        {
            ISSUER: claims.get("iss"),
            9: _url(server, claims.get("job_workflow_ref")),
            10: claims.get("job_workflow_sha"),
            11: claims.get("runner_environment"),
            12: repository,
            13: claims.get("sha"),
            14: claims.get("ref"),
            15: claims.get("repository_id"),
            16: _url(server, claims.get("repository_owner")),
            17: claims.get("repository_owner_id"),
            18: _url(server, claims.get("workflow_ref")),
            19: claims.get("workflow_sha"),
            20: claims.get("event_name"),
            21: f"{repository}/actions/runs/{run}/attempts/{attempt}" if repository and run and attempt else None,
            22: claims.get("repository_visibility"),
        }
    )


def of_gitlab(claims: Mapping[str, str]) -> Ci:
    """The same of a GitLab job; its token's `iss` is the address of the instance. The signer is the pipeline's file."""
    server = claims.get("iss", GITLAB)
    repository, job = _url(server, claims.get("project_path")), claims.get("job_id")
    config = _url("https:", claims.get("ci_config_ref_uri"), "//")
    prefix, ref = _GITLAB_REFS.get(claims.get("ref_type", "")), claims.get("ref")
    return _facts(
        {
            ISSUER: claims.get("iss"),
            9: config,
            10: claims.get("ci_config_sha"),
            11: claims.get("runner_environment"),
            12: repository,
            13: claims.get("sha"),
            14: f"{prefix}{ref}" if prefix and ref else None,
            15: claims.get("project_id"),
            16: _url(server, claims.get("namespace_path")),
            17: claims.get("namespace_id"),
            18: config,
            19: claims.get("ci_config_sha"),
            20: claims.get("pipeline_source"),
            21: f"{repository}/-/jobs/{job}" if repository and job else None,
            22: claims.get("project_visibility"),
        }
    )


def named(ci: Ci) -> dict[str, str]:
    """The facts under the names that Fulcio gives them."""
    return {NAMES[arc]: value for arc, value in ci}


def _facts(found: Mapping[int, str | None]) -> Ci:
    return tuple((arc, value) for arc, value in found.items() if value)


def _url(server: str, path: str | None, between: str = "/") -> str | None:
    return f"{server.rstrip('/')}{between}{path}" if path else None


def _check(value: str, name: str) -> str:
    """Text that a report can print as it stands, not empty and not over the limit."""
    if not value or not value.isprintable() or len(value.encode()) > MAX_VALUE_BYTES:
        raise MalformedError(f"{name} is no printable text of at most {MAX_VALUE_BYTES} bytes")
    return value
