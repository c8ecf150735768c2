"""Which proof speaks for whom: providers by their tokens' issuer, and the proofs of other packages by their names."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from attest.errors import RefusedError, UnavailableError, UsageError
from attest.types import Authentication, PrincipalKind
from notme_git.authority.identity import Identity
from notme_git.authority.proofs import configured, table
from notme_git.authority.proofs.configured import GitHub, Proofs
from notme_git.authority.proofs.jwt import TokenError
from notme_git.authority.proofs.table import ProofContext, Table
from tests.badge import badge_installed
from tests.issuer import Issuer

AT = datetime(2026, 11, 23, 13, 57, 8, tzinfo=UTC)
CONTEXT = ProofContext("https://authority.example", AT, "nonce", b"preimage")
SOMEONE = Identity("made-up", PrincipalKind.WORKLOAD, Authentication.OIDC, issuer="https://i.example", subject="s")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(lambda: AT) as running:
        yield running


def provider(issuer: Issuer, **more: Any) -> configured.Issuer:
    return configured.Issuer(issuer.url, audiences=("notme.bot",), **more)


def prove(proofs: Proofs, token: str) -> Identity:
    return asyncio.run(Table(proofs).token(token, AT))


def test_each_kind_of_provider_reads_its_own_tokens(issuer: Issuer) -> None:
    for kind, token in (
        ("oidc", issuer.token()),
        ("gitlab", issuer.gitlab_token()),
        ("kubernetes", issuer.kubernetes_token()),
    ):
        assert prove(Proofs(issuers=(provider(issuer, kind=kind),)), token).names[0] == kind
    github = Proofs(github=GitHub(owners=("example",), issuer=issuer.url))
    assert prove(github, issuer.github_token()).names[0] == "gha"


def test_every_kind_in_the_settings_has_a_function() -> None:
    assert set(table._KINDS) == set(configured.KINDS)


def test_a_provider_that_is_not_in_the_settings_is_never_asked(issuer: Issuer) -> None:
    with pytest.raises(TokenError, match="wrong issuer"):
        prove(Proofs(), issuer.token())
    assert issuer.asked == []


def test_nothing_is_asked_for_a_token_that_cannot_hold(issuer: Issuer) -> None:
    proofs = Proofs(issuers=(provider(issuer),))
    for token in (issuer.token(aud="them"), issuer.token(exp=1), issuer.token(kid="ed")):
        with pytest.raises(TokenError):
            prove(proofs, token)
    assert issuer.asked == []


def test_github_is_asked_for_github_alone(issuer: Issuer) -> None:
    with pytest.raises(TokenError, match="wrong issuer"):
        asyncio.run(Table(Proofs(issuers=(provider(issuer),))).github(issuer.github_token(), AT))


def test_a_proof_of_another_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    with badge_installed(tmp_path):
        proofs = Table(Proofs(enabled=("badge",)))
        badge = importlib.import_module("notme_badge").badge("reader", CONTEXT.nonce, CONTEXT.preimage)
        found = asyncio.run(proofs.other("badge", badge, CONTEXT))
        assert (found.method, found.subject, found.names) == ("badge", "reader", ("badge", "holders", "reader"))
        with pytest.raises(RefusedError, match="not for this request"):
            asyncio.run(proofs.other("badge", badge, replace(CONTEXT, nonce="another")))


def test_an_installed_proof_counts_only_when_it_is_enabled(tmp_path: Path) -> None:
    with badge_installed(tmp_path):
        assert "badge" not in Table(Proofs()).others


def entries(*values: str) -> list[EntryPoint]:
    return [EntryPoint("x", value, table.GROUP) for value in values]


UNUSABLE = [
    ("oidc", [], "built in"),
    ("human", [], "built in"),
    ("gha-oidc", [], "built in"),
    ("x", [], "no installed package has"),
    ("x", entries("os:getcwd", "os:getpid"), "several installed packages have"),
    ("x", entries("no_such_module:prove"), "cannot be loaded"),
    ("x", entries("os:sep"), "cannot be called"),
]


@pytest.mark.parametrize(("name", "installed", "word"), UNUSABLE)
def test_a_proof_that_cannot_be_had_stops_the_server(
    name: str, installed: Sequence[EntryPoint], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "entry_points", lambda **_: installed)
    with pytest.raises(UsageError) as refused:
        Table(Proofs(enabled=(name,)))
    assert word in refused.value.message


def other(proof: Any) -> Identity:
    proofs = Table(Proofs())
    proofs.others["x"] = proof
    return asyncio.run(proofs.other("x", "token", CONTEXT))


def test_another_packages_proof_cannot_pass_for_a_session_or_a_passkey() -> None:
    names = ("gha", "example", "tool")
    claimed = replace(SOMEONE, method="passkey", account="a", session="s", scopes=("certMint",), names=names)
    found = other(lambda *_: claimed)
    assert (found.method, found.account, found.session, found.scopes) == ("x", "", "", ())
    assert found.names == ("x", *names)
    assert other(lambda *_: SOMEONE).names == ("x", "s")


def broken(*_: object) -> Identity:
    raise KeyError("a secret")


@pytest.mark.parametrize("proof", [broken, lambda *_: None, lambda *_: "alice"])
def test_a_proof_that_breaks_proves_nothing(proof: Any) -> None:
    with pytest.raises(RefusedError) as refused:
        other(proof)
    assert "a secret" not in refused.value.message


def test_a_proof_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "TIMEOUT_S", 0.01)
    with pytest.raises(UnavailableError, match="took longer"):
        other(lambda *_: time.sleep(0.05))
