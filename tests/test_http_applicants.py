"""Who gets a pair by whose word, over a real server: jobs, pods, connected accounts, other packages' proofs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from attest import certificate
from attest.certificate import BridgeCertificate
from attest.fulcio import named
from notme_git.authority import accounts, embedded, settings
from notme_git.authority.http import applicants
from notme_git.authority.http.answers import HttpError
from notme_git.authority.http.desk import Desk
from tests.badge import badge_installed
from tests.issuer import Issuer
from tests.served import Answer, Keys, Served, served
from tests.world import World

RULE = {"match": {"sub": "**"}, "scopes": ["bridgeCert", "sign:git"]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


@pytest.fixture
def issuer(world: World) -> Iterator[Issuer]:
    with Issuer(lambda: world.now) as running:
        yield running


def server_with(world: World, **tables: Any) -> Any:
    return served(world, settings.parse(tables))


def github(issuer: Issuer, *rules: Mapping[str, Any]) -> dict[str, Any]:
    workloads = [{**rule, "issuer": issuer.url} for rule in rules]
    return {"github": {"owners": ["Example"], "issuer": issuer.url}, "workloads": workloads}


def gha(server: Served, token: str, **more: Any) -> Answer:
    ready = Keys().body(hashlib.sha256(token.encode()).digest())
    return server.request("POST", "/cert/gha", {**ready, **more}, {"Authorization": f"Bearer {token}"})


def leaf(server: Served, answer: Answer) -> BridgeCertificate:
    """The signing certificate of an answer, verified under the pinned anchor."""
    assert answer.status == 200, answer.body
    found = x509.load_pem_x509_certificate(answer.json["certificates"]["signing"].encode())
    return certificate.verify_chain(found, (), server.world.trust().anchors).leaf


def test_a_job_without_a_rule_gets_what_upstream_gives(world: World, issuer: Issuer) -> None:
    with server_with(world, **github(issuer)) as server:
        got = gha(server, issuer.github_token())
        assert (got.json["scopes"], got.json["claims"]["repository"]) == (["bridgeCert"], "example/tool")
        found = leaf(server, got)
        assert found.uri == f"wimse://{server.url.removeprefix('http://')}/gha/example/tool"
        assert (found.subject, found.auth_method) == ("repo:example/tool:ref:refs/heads/main", "gha-oidc")
        assert named(found.ci)["sourceRepositoryURI"] == "https://github.com/example/tool"
        assert gha(server, issuer.github_token(), scopes=["sign:git"]).status == 403


def test_a_rule_says_what_a_job_may_do_and_for_whom_it_acts(world: World, issuer: Issuer) -> None:
    rule = {
        **RULE,
        "match": {"repository": "example/*", "ref": "refs/heads/main"},
        "name": "ci-{repository}",
        "email": "ci@example.org",
        "repositories": ["github.com/example/**"],
    }
    with server_with(world, **github(issuer, rule)) as server:
        found = leaf(server, gha(server, issuer.github_token(), scopes=["sign:git"]))
        claims = found.claims
        assert claims is not None
        assert claims.represented is not None
        assert (claims.actor_name, claims.actor_email) == ("ci-example/tool", "ci@example.org")
        assert claims.constraints.repositories == ("github.com/example/**",)
        assert gha(server, issuer.github_token(ref="refs/heads/other"), scopes=["sign:git"]).status == 403


ORDER: list[tuple[dict[str, Any], int, str]] = [
    ({"kid": "ec"}, 401, "invalid token: unsupported alg: ES256"),
    ({"aud": "them"}, 401, "invalid token: wrong audience: them"),
    ({"exp": 1}, 401, "invalid token: token expired"),
    ({"nbf": 2**36}, 401, "invalid token: token issued in the future"),
    ({"kid": "rsa-2"}, 401, "invalid token: unknown key id: rsa-2"),
    ({"header": {"kid": "rsa"}, "kid": "rsa-2"}, 401, "invalid token: invalid signature"),
    ({"actor": None}, 401, "invalid token: invalid claims: actor"),
    ({"repository": "other/tool", "jti": None}, 403, "repository owner not permitted"),
    ({"jti": None}, 400, "jti claim required for replay protection"),
]


def test_jobs_are_refused_in_upstreams_order_and_words(world: World, issuer: Issuer) -> None:
    with server_with(world, **github(issuer)) as server:
        for changed, status, error in ORDER:
            got = gha(server, issuer.github_token(**changed))
            assert (got.status, got.json) == (status, {"error": error})


def test_a_token_pays_for_one_pair_at_any_concurrency(world: World, issuer: Issuer) -> None:
    with server_with(world, **github(issuer)) as server, ThreadPoolExecutor(8) as pool:
        token = issuer.github_token()
        answers = list(pool.map(lambda _: gha(server, token), range(16)))
    assert Counter(each.status for each in answers) == {200: 1, 401: 15}
    assert {each.json["error"] for each in answers if each.status == 401} == {"token already used"}


def test_a_token_that_two_workers_have_checked_is_used_up_by_one(world: World, issuer: Issuer) -> None:
    tables = github(issuer)
    with server_with(world, **tables) as server, embedded.opened(world.home) as authority:
        worker, token = Desk(authority, settings.parse(tables), lambda: world.now), issuer.github_token()
        proven = asyncio.run(applicants.github(worker, token, world.now))
        assert gha(server, token).status == 200
        with pytest.raises(HttpError, match="token already used"), authority.store.transaction(durable=False):
            proven.spend()


def test_a_token_is_not_used_up_by_a_request_that_gets_nothing(world: World, issuer: Issuer) -> None:
    with server_with(world, **github(issuer)) as server:
        token = issuer.github_token()
        assert gha(server, token, scopes=["certMint"]).status == 403
        assert gha(server, token, public_keys={}).status == 400
        assert gha(server, token).status == 200
        assert gha(server, token, public_keys={}).json == {"error": "token already used"}


def test_while_the_keys_cannot_be_had_nobody_is_told_that_a_token_is_bad(world: World, issuer: Issuer) -> None:
    with server_with(world, **github(issuer)) as server:
        issuer.down = True
        got = gha(server, issuer.github_token())
        assert (got.status, "retry-after" in got.headers) == (503, True)


def provider(issuer: Issuer, kind: str) -> dict[str, Any]:
    return {"issuer": issuer.url, "kind": kind, "audiences": ["notme.bot"]}


def test_jobs_of_gitlab_and_pods_are_taken_by_their_rules_alone(world: World, issuer: Issuer) -> None:
    for kind, mine, other in (
        ("gitlab", issuer.gitlab_token(), issuer.gitlab_token("evil/tool")),
        ("kubernetes", issuer.kubernetes_token(), issuer.kubernetes_token("evil")),
    ):
        match = {"project_path": "example/*"} if kind == "gitlab" else {"namespace": "ci", "serviceaccount": "*"}
        rules = [{**RULE, "issuer": issuer.url, "match": match}]
        with server_with(world, issuers=[provider(issuer, kind)], workloads=rules) as server:
            found = leaf(server, server.cert({"type": "oidc", "token": mine}, scopes=["sign:git"]))
            assert found.auth_method == f"oidc:{issuer.url}"
            assert f"/{kind}/127.0.0.1%3A" in found.uri
            assert (server.cert({"type": "oidc", "token": mine}).status == 200) is (kind == "kubernetes")
            refused = server.cert({"type": "oidc", "token": other})
            assert (refused.status, "no workload rule" in refused.json["error"]) == (403, True)


def test_any_subject_makes_a_certificate_that_stands(world: World, issuer: Issuer) -> None:
    tables = {"issuers": [provider(issuer, "oidc")], "workloads": [{**RULE, "issuer": issuer.url}]}
    with server_with(world, **tables) as server:
        for subject in ("auth0|a/b@c", "x" * 500, "名前", "a..b-", "CN=a,OU=evil+O=x", '"; drop'):
            keys = Keys(signing=ec.generate_private_key(ec.SECP256R1()))  # type: ignore[arg-type]
            proof = {"type": "oidc", "token": issuer.token(sub=subject)}
            got = server.cert(proof, keys=keys, profile="interop", scopes=["sign:git"])
            assert leaf(server, got).subject == subject


def test_a_connected_account_gets_certificates_and_does_not_administer(world: World, issuer: Issuer) -> None:
    with server_with(world, issuers=[provider(issuer, "oidc")]) as server:
        account = server.account(*accounts.ADMIN)
        assert server.cert({"type": "oidc", "token": issuer.token()}).status == 403

        def connect(desk: Any) -> None:
            with desk.authority.store.transaction(durable=True):
                accounts.connect(desk.records, account.id, f"oidc:{issuer.url}", "someone", world.now)

        server.within(connect)
        found = leaf(server, server.cert({"type": "oidc", "token": issuer.token()}))
        assert (found.subject, found.auth_method) == (account.id, f"oidc:{issuer.url}")
        asked = {"proof": {"type": "oidc", "token": issuer.token()}, "scopes": ["authorityManage"]}
        assert server.request("POST", "/cert", asked).status == 403


def test_a_token_is_a_text_in_a_proof_of_known_fields(world: World, issuer: Issuer) -> None:
    with server_with(world, issuers=[provider(issuer, "oidc")]) as server:
        for proof, error in (
            ({"type": "oidc"}, "proof.token required"),
            ({"type": "oidc", "token": 5}, "proof.token must be a text"),
            ({"type": "oidc", "token": "a", "more": 1}, "unknown field: proof.more"),
            ({"type": "badge", "token": "a"}, "unknown proof type: badge"),
        ):
            got = server.cert(proof)
            assert (got.status, got.json) == (400, {"error": error})


def test_another_packages_proof_gets_what_a_rule_gives(world: World, tmp_path: Path) -> None:
    rule = {**RULE, "issuer": "https://badges.example", "match": {"door": "*"}}
    with (
        badge_installed(tmp_path),
        server_with(world, proofs={"enabled": ["badge"]}, workloads=[rule]) as server,
    ):
        made = importlib.import_module("notme_badge")
        nonce, keys = server.nonce(), Keys()
        suffix = hashlib.sha256(nonce.encode()).digest()
        token = made.badge("reader", nonce, preimage(keys, suffix))
        body = {"proof": {"type": "badge", "token": token}, "nonce": nonce, **keys.body(suffix)}
        found = leaf(server, server.request("POST", "/cert", body))
        assert (found.uri.rpartition("/")[2], found.auth_method) == ("reader", "badge")
        assert server.request("POST", "/cert", body).status == 403


def preimage(keys: Keys, suffix: bytes) -> bytes:
    """What the proofs of possession of these keys cover."""
    ready = keys.body()["public_keys"]
    ders = [base64.b64decode("".join(ready[name].splitlines()[1:-1])) for name in ("mtls", "signing")]
    return b"".join(ders) + suffix
