"""Kubernetes: the projected service account token of a pod, of one cluster each.

A pod is given its token in a file and gets another only when that one is old, so it may be used until it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from notme_git.authority.identity import Identity
from notme_git.authority.proofs import jwt, oidc
from notme_git.authority.proofs.configured import Issuer
from notme_git.authority.proofs.jwt import TokenError

FACTS = "kubernetes.io"
SUBJECT = "system:serviceaccount"


def identify(claims: Mapping[str, Any], provider: Issuer) -> Identity:
    """The service account, and under `pod` and `node` for whom the token was made where it says so."""
    found = claims.get(FACTS)
    said = found if isinstance(found, dict) else {}
    namespace, account = _text(said.get("namespace")), _named(said, "serviceaccount")
    if not namespace or not account or claims["sub"] != f"{SUBJECT}:{namespace}:{account}":
        raise TokenError(f"invalid claims: {FACTS} names another service account than sub")
    facts = {
        "namespace": namespace,
        "serviceaccount": account,
        "serviceaccount_uid": _named(said, "serviceaccount", "uid"),
        "pod": _named(said, "pod"),
        "node": _named(said, "node"),
    }
    known = {name: value for name, value in facts.items() if value}
    names = ("kubernetes", oidc.place(provider.issuer), namespace, account)
    return oidc.workload(
        claims, {**jwt.texts(claims), **known}, oidc.method(provider.issuer), names, reuse=provider.reuse
    )


def _named(said: Mapping[str, Any], thing: str, what: str = "name") -> str:
    found = said.get(thing)
    return _text(found.get(what)) if isinstance(found, dict) else ""


def _text(value: Any) -> str:
    return jwt.texts({"value": value}).get("value", "")
