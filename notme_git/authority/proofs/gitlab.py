"""GitLab CI: the ID token (`id_tokens`) of a job, of GitLab.com or of one's own instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attest import fulcio
from notme_git.authority.identity import Identity
from notme_git.authority.proofs import jwt, oidc
from notme_git.authority.proofs.configured import Issuer
from notme_git.authority.proofs.jwt import TokenError

REQUIRED = (
    "project_path", "namespace_path", "project_id", "namespace_id", "ref", "ref_type", "sha", "pipeline_id",
    "pipeline_source", "job_id", "user_login"
)  # fmt: skip


def identify(claims: Mapping[str, Any], provider: Issuer) -> Identity:
    """The job that checked claims speak of. Its project is named with the instance, groups and all."""
    facts = jwt.texts(claims)
    oidc.require(claims, REQUIRED)
    namespace, _, project = facts["project_path"].rpartition("/")
    if not namespace or namespace != facts["namespace_path"] or not project:
        raise TokenError("invalid claims: project_path is not one of namespace_path")
    names = ("gitlab", oidc.place(provider.issuer), *namespace.split("/"), project)
    return oidc.workload(
        claims, facts, oidc.method(provider.issuer), names, reuse=provider.reuse, ci=fulcio.of_gitlab(facts)
    )
