"""The settings of proofs: every key is known or an error that names it, and a rule takes what it matches alone."""

from __future__ import annotations

import contextlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import UsageError
from attest.types import Authentication, PrincipalKind
from notme_git.authority.identity import Identity
from notme_git.authority.proofs import configured
from notme_git.authority.proofs.configured import GitHub, Issuer, Proofs, parse_proofs

ISSUER = {"issuer": "https://idp.example", "audiences": ["us"]}
RULE = {"issuer": "https://idp.example", "match": {"repository": "example/*"}, "scopes": ["sign:git"]}
JOB = Identity(
    "oidc:https://idp.example", PrincipalKind.WORKLOAD, Authentication.OIDC,
    issuer="https://idp.example", subject="job", claims={"repository": "example/{ref}", "ref": "main"},
)  # fmt: skip


def test_without_settings_nobody_is_taken() -> None:
    assert parse_proofs({}) == Proofs(github=GitHub(owners=()), issuers=(), workloads=(), enabled=())


def test_everything_that_can_be_written_is_read() -> None:
    found = parse_proofs({
        "github": {"owners": ["Example"], "audience": "us", "allow_pull_request": True, "issuer": "https://ghe.example",
                   "ca_file": "/ca.pem"},
        "issuers": [{**ISSUER, "kind": "gitlab", "algorithms": ["ES256"], "jwks_file": "/keys", "ca_file": "/ca.pem",
                     "bearer_file": "/token", "reuse": True}],
        "workloads": [{**RULE, "name": "ci", "email": "ci@example.org", "repositories": ["a/**"], "branches": ["*"]}],
        "proofs": {"enabled": ["badge"]},
    })  # fmt: skip
    assert found.github == GitHub(("example",), "us", True, "https://ghe.example", "/ca.pem")
    assert found.issuers == (
        Issuer("https://idp.example", "gitlab", ("us",), ("ES256",), "/keys", "/ca.pem", "/token", True),
    )
    assert (found.workloads[0].name, found.enabled) == ("ci", ("badge",))


def test_the_token_of_a_pod_may_be_used_again_unless_the_settings_say_no() -> None:
    for kind, written, reuse in (
        ("kubernetes", {}, True),
        ("kubernetes", {"reuse": False}, False),
        ("oidc", {}, False),
    ):
        table: dict[str, Any] = {**ISSUER, "kind": kind, **written}
        assert parse_proofs({"issuers": [table]}).issuers[0].reuse is reuse


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"github": []}, "'github'"),
    ({"github": {"owner": ["x"]}}, "'github.owner'"),
    ({"github": {"owners": "x"}}, "'github.owners'"),
    ({"github": {"allow_pull_request": "no"}}, "'github.allow_pull_request'"),
    ({"github": {"issuer": "http://ghe.example"}}, "without TLS"),
    ({"issuers": {}}, "'issuers'"),
    ({"issuers": [ISSUER] * 257}, "'issuers'"),
    ({"issuers": [{"issuer": "https://x"}]}, "'issuers[0].audiences' is missing"),
    ({"issuers": [ISSUER, {**ISSUER, "issuer": "https://a@b"}]}, "'issuers[1].issuer'"),
    ({"issuers": [{**ISSUER, "issuer": "https://b/?a=1"}]}, "'issuers[0].issuer'"),
    ({"issuers": [{**ISSUER, "audiences": []}]}, "'issuers[0].audiences'"),
    ({"issuers": [ISSUER, ISSUER]}, "twice"),
    ({"issuers": [{**ISSUER, "issuer": configured.GITHUB_ISSUER}]}, "twice"),
    ({"issuers": [{**ISSUER, "kind": "saml"}]}, "'issuers[0].kind'"),
    ({"issuers": [{**ISSUER, "algorithms": ["none"]}]}, "'issuers[0].algorithms'"),
    ({"issuers": [{**ISSUER, "algorithms": ["HS256"]}]}, "'issuers[0].algorithms'"),
    ({"issuers": [{**ISSUER, "bearer": "secret"}]}, "'issuers[0].bearer'"),
    ({"workloads": [{**RULE, "match": {}}]}, "'workloads[0].match'"),
    ({"workloads": [{**RULE, "match": {"ref": "a?"}}]}, "'workloads[0].match'"),
    ({"workloads": [{**RULE, "scopes": ["everything"]}]}, "'workloads[0].scopes'"),
    ({"workloads": [{**RULE, "scopes": ["authorityManage"]}]}, "'workloads[0].scopes'"),
    ({"workloads": [{**RULE, "email": "nobody"}]}, "'workloads[0].email'"),
    ({"workloads": [{**RULE, "branches": ["[ab]"]}]}, "'workloads[0].branches'"),
    ({"workloads": [{**RULE, "issuer": "https://other.example"}]}, "none of the issuers"),
    ({"proofs": {"enabled": "badge"}}, "'proofs.enabled'"),
    ({"proofs": {"on": []}}, "'proofs.on'"),
]


@pytest.mark.parametrize(("document", "word"), WRONG)
def test_what_is_wrong_is_named(document: dict[str, Any], word: str) -> None:
    base = {"issuers": [ISSUER]} if "workloads" in document else {}
    with pytest.raises(UsageError) as refused:
        parse_proofs({**base, **document})
    assert word in refused.value.message


def rule(**changed: Any) -> configured.WorkloadRule:
    return parse_proofs({"issuers": [ISSUER], "workloads": [{**RULE, **changed}]}).workloads[0]


def test_a_rule_takes_what_all_its_patterns_match_and_nothing_without_the_claim() -> None:
    assert rule().takes(JOB)
    assert not rule(match={"repository": "example/*", "ref": "release/*"}).takes(JOB)
    assert not rule(match={"environment": "**"}).takes(JOB)
    assert not rule(issuer="https://token.actions.githubusercontent.com").takes(JOB)


def test_the_first_rule_that_takes_an_identity_counts() -> None:
    rules = [{**RULE, "name": "narrow", "match": {"ref": "main"}}, {**RULE, "name": "wide"}]
    proofs = parse_proofs({"issuers": [ISSUER], "workloads": rules})
    found = proofs.rule_for(JOB)
    assert found is not None
    assert found.name == "narrow"


def test_a_name_holds_claims_and_what_a_claim_says_is_not_read_again() -> None:
    assert rule(name="ci-{repository}").name_of(JOB) == "ci-example/{ref}"
    assert rule(name="{ref}@{sub}").name_of(JOB) == "main@job"
    assert rule(name="{nothing}").name_of(JOB) == "{nothing}"
    assert rule().name_of(JOB) == "job"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["issuer", "match", "scopes", "x"]), inner),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(configured.KEYS), VALUES))
def test_any_tables_are_settings_or_a_documented_error(document: dict[str, Any]) -> None:
    with contextlib.suppress(UsageError):
        parse_proofs(document)


def test_every_table_in_the_documentation_is_read_as_it_stands() -> None:
    text = (Path(__file__).parent.parent / "docs" / "proofs.md").read_text("utf-8")
    blocks = [block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "entry-points" not in block]
    for block in blocks:
        assert parse_proofs(tomllib.loads(block)) != Proofs()
    assert len(blocks) == 6
