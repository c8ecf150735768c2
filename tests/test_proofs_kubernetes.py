"""Service accounts: which claims of a projected token are an identity."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import RefusedError
from notme_git.authority.proofs import configured, jwt, kubernetes
from notme_git.authority.proofs.jwt import TokenError
from tests.issuer import Issuer

AT = datetime(2026, 11, 23, 13, 57, 8, tzinfo=UTC)
CLUSTER = "https://kubernetes.default.svc.cluster.local"
PROVIDER = configured.Issuer(CLUSTER, kind="kubernetes", audiences=("notme.bot",), reuse=True)
ACCOUNT = {"name": "builder", "uid": "u"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(lambda: AT) as running:
        yield running


def claims(issuer: Issuer, **more: Any) -> Any:
    return jwt.parse(issuer.kubernetes_token(iss=CLUSTER, **more)).claims


def test_a_service_account_is_named_by_cluster_and_namespace(issuer: Issuer) -> None:
    found = kubernetes.identify(claims(issuer), PROVIDER)
    assert found.names == ("kubernetes", "kubernetes.default.svc.cluster.local", "ci", "builder")
    assert (found.subject, found.method) == ("system:serviceaccount:ci:builder", f"oidc:{CLUSTER}")
    assert [found.claims[name] for name in ("namespace", "serviceaccount", "pod", "node")] == [
        "ci", "builder", "builder-7c9", "node-1"
    ]  # fmt: skip


def test_a_pod_goes_on_using_the_token_in_its_file(issuer: Issuer) -> None:
    assert kubernetes.identify(claims(issuer), PROVIDER).once == ""


REFUSED: list[dict[str, Any]] = [
    {"kubernetes.io": None},
    {"kubernetes.io": "ci"},
    {"kubernetes.io": {"namespace": "ci"}},
    {"kubernetes.io": {"serviceaccount": ACCOUNT}},
    {"kubernetes.io": {"namespace": "ci", "serviceaccount": "builder"}},
    {"kubernetes.io": {"namespace": ["ci"], "serviceaccount": ACCOUNT}},
    {"kubernetes.io": {"namespace": "other", "serviceaccount": ACCOUNT}},
    {"sub": "system:serviceaccount:ci:other"},
    {"sub": "alice"},
]


@pytest.mark.parametrize("changed", REFUSED)
def test_a_token_whose_parts_name_different_accounts_is_refused(issuer: Issuer, changed: dict[str, Any]) -> None:
    with pytest.raises(TokenError, match="another service account than sub"):
        kubernetes.identify(claims(issuer, **changed), PROVIDER)


@given(st.recursive(
    st.none() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(["namespace", "serviceaccount", "name", "uid", "pod"]), inner),
))  # fmt: skip
def test_any_facts_are_an_account_or_a_documented_error(issuer: Issuer, facts: Any) -> None:
    with contextlib.suppress(RefusedError):
        kubernetes.identify({**claims(issuer), kubernetes.FACTS: facts}, PROVIDER)
