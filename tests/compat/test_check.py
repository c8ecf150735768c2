"""A constructed pull request under the command line, and under action and workflow as a runner executes them."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.compat import warm
from tests.compat.runner import Job
from tests.offered import Offered, offered
from tests.peers import ROOT, SARIF_SCHEMA, SEARCH, WHEELS, peer
from tests.pushes import Ended, now

ATTEST = Path(sys.executable).parent / "notme-attest"
VERIFY = ROOT / "action" / "verify"
RECORD = ROOT / "action" / "record"
WORKFLOW = ROOT / ".github" / "workflows" / "verify.yml"
FETCHED = "notme-attest/repository"
GITLAB = ROOT / "action" / "gitlab" / "verify.yml"
REPOSITORY = "example/tool"
NO_BUNDLE = "warning: no trust bundle: retired epochs, revocations and rollback were not checked\n"


@dataclass(frozen=True)
class Place:
    """The pull request in a clone, and in the forge's repository."""

    root: Path
    made: Offered

    @property
    def anchors(self) -> str:
        ended = self.run("trust", "export", "--format", "pem", program="notme-git")
        return ended.out

    @property
    def bundle(self) -> str:
        """As a variable holds it."""
        environ = {**self.made.clone.environ, "NOTME_HOME": str(self.made.clone.world.home)}
        words = [str(ATTEST.with_name("notme-git")), "trust", "export", "--format", "bundle"]
        ended = warm.run(words, env=environ)
        assert ended.returncode == 0
        return base64.b64encode(ended.stdout).decode()

    def run(self, *words: str, program: str = "notme-attest", **more: str) -> Ended:
        environ = {**self.made.clone.environ, "NOTME_HOME": str(self.made.clone.world.home), **more}
        ended = warm.run_text([ATTEST.with_name(program), *words], cwd=self.made.clone.path, env=environ)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def check(self, *words: str, head: str = "", **more: str) -> Ended:
        return self.run("check", "--base", self.made.base, "--head", head or self.made.head, *words, **more)

    def job(self, name: str, head: str) -> Job:
        """A job for a pull request, as GitHub starts it."""
        workspace = self.root / name
        workspace.mkdir()
        (self.root / "temp").mkdir(exist_ok=True)
        environ = {
            "PATH": SEARCH,
            "HOME": str(self.root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "file",
            "LC_ALL": "C.UTF-8",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(WHEELS),
        }
        github = {
            "token": "job-token",
            "server_url": (self.root / "hub").as_uri(),
            "repository": REPOSITORY,
            "base_ref": "main",
            "event": {"pull_request": {"base": {"sha": self.made.base}, "head": {"sha": head}}},
        }
        return Job(workspace, self.root / "temp", environ, github)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("check")
    made = offered(root, now())
    hub = root / "hub" / REPOSITORY
    made.clone.git("clone", "-q", "--bare", "--mirror", made.clone.path, hub)
    yield Place(root, made)
    shutil.rmtree(root / "temp", ignore_errors=True)


def test_a_pull_request_yields_annotations_a_summary_sarif_and_json(place: Place, tmp_path: Path) -> None:
    peer("sarif-schema")
    summary, sarif, report = tmp_path / "summary", tmp_path / "s.sarif", tmp_path / "r.json"
    more = ("--write", f"sarif={sarif}", "--write", f"json={report}")
    ended = place.check("--format", "github", *more, GITHUB_STEP_SUMMARY=str(summary))
    assert (ended.status, ended.err) == (1, "")
    commands = ended.out.splitlines()
    assert commands[-1] == "6 commits: 3 accepted, 3 rejected"
    assert all(line.startswith(("::error title=", "::warning title=", "::notice title=")) for line in commands[:-1])
    assert f"::error title={place.made.unsigned[:12]}%3A rejected%3A signature-missing,file=src/b%2Cc%3Ad" in ended.out
    jsonschema.validate(json.loads(sarif.read_text()), json.loads(SARIF_SCHEMA.read_text()))
    assert summary.read_text().startswith("### Signatures\n")
    read = json.loads(report.read_text())
    assert read["outcomes"] == {"accepted": 3, "rejected": 3}
    [squash] = [each for each in read["commits"] if each["made"] == "forge-squash"]
    assert (squash["sameTreeAs"]["id"], squash["sameTreeAs"]["outcome"]) == (place.made.feature, "accepted")


def test_both_command_lines_have_it_and_text_names_what_the_forge_made(place: Place) -> None:
    ended = place.check()
    again = place.run("check", "--base", "main", "--head", "work", program="notme-git")
    assert (ended.status, ended.out) == (again.status, again.out)
    assert "  forge-squash of GitHub (not proven), same tree as" in ended.out
    assert ended.out.endswith("6 objects: 3 accepted, 3 rejected; policy builtin:default\n")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--base", "nowhere"), 64, "is not a commit of"),
        (("--write", "pdf=x"), 64, "is not FORMAT=FILE"),
        (("--json", "--format", "text"), 64, "exclude each other"),
        (("--policy", "absent.toml"), 2, "cannot read the policy"),
        (("--output", "absent/file"), 2, "cannot write absent/file"),
        (("--head", "main"), 2, "no commit beyond"),
    ],
    ids=["base", "write", "json", "policy", "output", "empty"],
)
def test_what_makes_no_sense_ends_with_a_sentence(place: Place, words: tuple[str, ...], status: int, said: str) -> None:
    ended = place.check(*words)
    assert ended.status == status
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_rules_on_the_target_branch_hold_where_the_base_is_the_remotes(place: Place, tmp_path: Path) -> None:
    git, policy = place.made.clone.git, tmp_path / "policy.toml"
    policy.write_text(
        'version = 1\n[[rules]]\nname = "none"\neffect = "deny"\nmatch = { refs = ["main"], classes = ["agent"] }\n'
        '[[rules]]\nname = "agents"\nmatch = { classes = ["agent"] }\n'
    )
    git("clone", "-q", place.root / "hub" / REPOSITORY, tmp_path / "clone")
    words = ("check", "--repo", str(tmp_path / "clone"), "--policy", str(policy), "--format", "json")
    for base in ("origin/main", "origin"):
        ended = place.run(*words, "--base", base, "--head", place.made.agent)
        said = json.loads(ended.out)
        assert "rule-denies" in json.dumps(said), said


def test_the_action_judges_a_pull_request_without_a_checkout(place: Place) -> None:
    peer("action-wheels")
    job = place.job("bad", place.made.head)
    outputs = job.action(VERIFY, {"anchors": place.anchors, "originals": "refs/pull/*/head"})
    assert (job.failed, job.ran) == ("Check them", ["Install", "Fetch the commits", "Check them"]), job.log
    assert outputs["status"] == "1"
    assert NO_BUNDLE in job.log
    assert "6 commits: 3 accepted, 3 rejected" in job.log
    assert f"same tree as {place.made.feature[:12]}" in job.summary
    assert "rules" in json.loads(Path(outputs["sarif"]).read_text())["runs"][0]["tool"]["driver"]
    assert list(job.workspace.iterdir()) == []
    assert "job-token" not in job.log


def test_the_workflow_passes_a_good_pull_request(place: Place) -> None:
    peer("action-wheels")
    job = place.job("good", place.made.agent)
    given = {"anchors": place.anchors, "bundle": place.bundle}
    outputs = job.workflow(WORKFLOW, "verify", given)
    assert (job.failed, outputs) == ("", {"status": "0"}), job.log
    assert NO_BUNDLE not in job.log
    assert "1 commit: 1 accepted" in job.log


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"anchors": ""}, "the input anchors is missing"),
        ({"base": "--upload-pack=x"}, "the input base is no full commit hash"),
        ({"head": "main"}, "the input head is no full commit hash"),
        ({"originals": "--exec=x"}, "the input originals takes refs/..."),
    ],
    ids=["anchors", "base", "head", "originals"],
)
def test_the_action_refuses_inputs_that_make_no_sense(place: Place, given: dict[str, str], said: str) -> None:
    peer("action-wheels")
    job = place.job(f"refused-{'-'.join(given)}", place.made.agent)
    job.action(VERIFY, {"anchors": place.anchors, **given})
    assert f"::error::{said}" in job.log
    assert job.failed


def test_the_action_and_the_workflow_may_read_and_nothing_else() -> None:
    read: Any = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    assert read["permissions"] == {}
    assert [job["permissions"] for job in read["jobs"].values()] == [{"contents": "read"}]
    text = WORKFLOW.read_text("utf-8") + (VERIFY / "action.yml").read_text("utf-8")
    assert "secrets." not in text
    signs = ROOT / "action" / "sign" / "requirements.txt"
    assert (VERIFY / "requirements.txt").read_bytes() == signs.read_bytes()


def test_the_action_after_a_merge_records_what_was_squashed_and_pushes_it(place: Place) -> None:
    peer("action-wheels")
    made = place.made
    hub = place.root / "hub" / REPOSITORY
    made.clone.git("config", "uploadpack.allowAnySHA1InWant", "true", environ={"GIT_DIR": str(hub)})
    job = place.job("record", made.feature)
    key = place.root / "key.pem"
    subprocess.run([peer("openssl"), "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    given = {"anchors": place.anchors, "bundle": place.bundle, "new": made.squash, "base": made.signed_off}
    given |= {"head": made.feature, "key": key.read_text(), "id": "https://ci.example/rewrites", "ref": "main"}
    outputs = job.action(RECORD, given)
    assert (job.failed, outputs["status"]) == ("", "0"), job.log
    [record] = json.loads(Path(outputs["report"]).read_text())
    assert (record["commit"], record["made"], record["relation"]) == (made.squash, "squash", "same-tree")
    assert record["recordedBy"] == "https://ci.example/rewrites"
    assert key.read_text().splitlines()[1] not in job.log
    assert not (Path(outputs["report"]).parent / "key.pem").exists()
    stored = made.clone.git("rev-parse", "refs/attestations/notme", environ={"GIT_DIR": str(hub)})
    assert len(stored.out.strip()) == 40
    after = place.job("after", made.agent)
    after.action(VERIFY, {"anchors": place.anchors})
    assert not after.failed, after.log
    came = made.clone.git("rev-parse", "refs/attestations/notme", environ={"GIT_DIR": str(after.temp / FETCHED)})
    assert came.out == stored.out
    public = subprocess.run(
        [peer("openssl"), "pkey", "-in", key, "-pubout"], capture_output=True, check=True, text=True
    ).stdout
    rule = '[[rules]]\nname = "squashes"\nmatch = { through = "record", refs = ["main"], classes = ["agent"] }\n'
    judged = {"anchors": place.anchors, "base": made.signed_off, "head": made.squash, "ref": "main"}
    judged["policy"] = "version = 1\n" + rule
    asked = {"": "1", public: "0", f"{other_key()}\n{public}": "0", "no key": ""}
    for number, (keys, status) in enumerate(asked.items()):
        again = place.job(f"followed-{number}", made.squash)
        assert again.action(VERIFY, {**judged, "attester-keys": keys})["status"] == status, again.log
    refused = place.job("record-refused", made.feature)
    refused.action(RECORD, {**given, "key": ""})
    assert "the input key is missing" in refused.log


def other_key() -> str:
    """Somebody's public key in PEM."""
    made = Ed25519PrivateKey.generate().public_key()
    return made.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_the_template_for_gitlab_judges_a_merge_request(place: Place) -> None:
    [job] = [each for name, each in yaml.safe_load(GITLAB.read_text("utf-8")).items() if name == "verify-commits"]
    folder = place.root / "gitlab"
    folder.mkdir()
    place.made.clone.git("clone", "-q", "--mirror", place.root / "hub" / REPOSITORY, folder / ".git")
    environ = {
        **place.made.clone.environ,
        "PATH": f"{ATTEST.parent}:{SEARCH}",
        "NOTME_ANCHORS": str(folder / "anchors.pem"),
        "NOTME_BUNDLE": str(folder / "bundle"),
        "CI_PROJECT_DIR": str(folder),
        "CI_PROJECT_URL": "https://gitlab.example/example/tool",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": "",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": place.made.base,
        "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "",
        "CI_COMMIT_SHA": place.made.agent,
        **job["variables"],
    }
    (folder / "anchors.pem").write_text(place.anchors)
    (folder / "bundle").write_bytes(base64.b64decode(place.bundle))
    script = "\n".join(job["script"])
    ended = subprocess.run(
        [peer("bash"), "-euo", "pipefail", "-c", script], cwd=folder, env=environ,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "1 object: 1 accepted" in ended.stdout
    assert (folder / job["artifacts"]["paths"][0]).is_file()
