"""`notme-git enroll`: whichever proof a place offers, tried against a real authority."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from attest.errors import Error, RefusedError, UnavailableError, UsageError
from notme_git.authority.proofs import configured
from notme_git.authority.proofs.configured import GitHub, Proofs, WorkloadRule
from notme_git.authority.settings import Settings
from notme_git.cli import cli
from notme_git.remote import place
from tests.elsewhere import Elsewhere, Today, elsewhere
from tests.issuer import AUDIENCE, Issuer
from tests.world import AGENT

REPOSITORY = "example/tool"


@dataclass
class Place:
    """A home, and the providers whose tokens a job would have."""

    away: Elsewhere
    github: Issuer
    gitlab: Issuer
    cluster: Issuer

    def enroll(self, *words: str, environ: Mapping[str, str] | None = None) -> Result:
        known = {"NOTME_HOME": str(self.away.home), **(environ or {})}
        return CliRunner().invoke(cli, ["enroll", "--json", *words], env=known)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("here")
    with Issuer() as github, Issuer() as gitlab, Issuer() as cluster:
        issuers = (
            configured.Issuer(cluster.url, kind="kubernetes", audiences=(AUDIENCE,), reuse=True),
            configured.Issuer(gitlab.url, kind="gitlab", audiences=(AUDIENCE,)),
        )
        matches = {
            github.url: ({"repository": REPOSITORY}, "ci-{repository}"),
            gitlab.url: ({"project_path": REPOSITORY}, "lab-{project_path}"),
            cluster.url: ({"sub": "system:serviceaccount:ci:builder"}, "builder"),
        }
        rules = tuple(
            WorkloadRule(url, match, scopes=("sign:git",), name=name) for url, (match, name) in matches.items()
        )
        proofs = Proofs(github=GitHub(owners=("example",), issuer=github.url), issuers=issuers, workloads=rules)
        with elsewhere(folder, Settings(proofs=proofs), Today(folder)) as away:
            yield Place(away, github, gitlab, cluster)


def told(done: Result) -> Any:
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def test_a_session_enrols_the_agent_that_is_named(here: Place) -> None:
    said = told(here.enroll("--agent", AGENT))
    assert (said["actor"], said["represented"], said["assurance"]) == (AGENT, "Alice Example", "same-user")
    assert said["scopes"] == ["sign:git"]
    assert datetime.fromisoformat(said["notAfter"]) > datetime.now(UTC)


def test_with_a_session_an_agent_has_to_be_named(here: Place) -> None:
    got = here.enroll()
    assert isinstance(got.exception, UsageError)
    assert got.exception.hint == "notme-git enroll --agent AGENT"


@pytest.mark.parametrize("words", [(), ("--with", "github")])
def test_a_github_job_enrols_as_itself_with_a_token_of_its_own(here: Place, words: tuple[str, ...]) -> None:
    if not words:
        place.forget_login(here.away.home)
    assert told(here.enroll(*words, environ=here.github.actions_environment()))["actor"] == f"ci-{REPOSITORY}"


def test_a_gitlab_job_enrols_once_by_its_token(here: Place) -> None:
    environ = {"NOTME_ID_TOKEN": here.gitlab.gitlab_token(REPOSITORY)}
    assert told(here.enroll("--with", "gitlab", environ=environ))["actor"] == f"lab-{REPOSITORY}"
    again = here.enroll("--with", "gitlab", environ=environ)
    assert isinstance(again.exception, RefusedError)
    assert "already used" in again.exception.message


def test_a_pod_enrols_by_the_token_that_is_projected_into_it(here: Place, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(here.cluster.kubernetes_token() + "\n")
    environ = {"NOTME_TOKEN_FILE": str(file)}
    for _ in range(2):  # the kubelet leaves a token there for a while
        assert told(here.enroll("--with", "kubernetes", environ=environ))["actor"] == "builder"


def test_a_token_that_no_rule_takes_is_refused_with_where_rules_are_made(here: Place) -> None:
    done = here.enroll("--with", "gitlab", environ={"NOTME_ID_TOKEN": here.cluster.kubernetes_token(account="other")})
    assert isinstance(done.exception, RefusedError)
    assert "403" in done.exception.message
    assert "docs/actions.md" in done.exception.hint


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_proof_that_is_not_there_is_told(here: Place, kind: str) -> None:
    done = here.enroll("--with", kind)
    assert isinstance(done.exception, UnavailableError)
    assert kind in done.exception.message


def test_nothing_here_to_show_is_told_what_to_do(here: Place, tmp_path: Path) -> None:
    home = tmp_path / "empty"
    with contextlib.closing(here.away.client):
        place.adopt(home, here.away.server.url, here.away.client)
    done = here.enroll(environ={"NOTME_HOME": str(home)})
    assert isinstance(done.exception, RefusedError)
    assert done.exception.hint == "notme-git login"


def test_a_home_without_an_authority_elsewhere_is_told_how_to_get_one(here: Place, tmp_path: Path) -> None:
    done = here.enroll(environ={"NOTME_HOME": str(tmp_path)})
    assert isinstance(done.exception, Error)
    assert done.exception.hint == "notme-git setup --authority URL"


def test_a_home_whose_agents_enrol_elsewhere_serves_no_authority_by_accident(here: Place) -> None:
    words = ["authority", "serve", "--port", "0"]
    got = CliRunner().invoke(cli, words, env={"NOTME_HOME": str(here.away.home)})
    assert isinstance(got.exception, RefusedError)
    assert "enrol with" in got.exception.message
    assert not (here.away.home / "authority").exists()
