"""Executes a composite action, or a job of a workflow, step by step as a runner of GitHub Actions does.

No more of the expression language than ours use: contexts are looked up by their dotted name. What a step may read and
write (environment, and the files that `GITHUB_OUTPUT` and others name) is as documented for runners.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.peers import ROOT, peer

SECONDS = 120
_FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
_EXPRESSION = re.compile(r"\$\{\{\s*([A-Za-z0-9_.-]+)\s*\}\}")


@dataclass
class Job:
    """One job on one machine. `failed` is the name of the step that ended it; `log` is all that was printed,
    `summary` what steps wrote for the page of the run.
    """

    workspace: Path
    temp: Path
    environ: dict[str, str]
    github: dict[str, Any]
    log: str = ""
    summary: str = ""
    failed: str = ""
    ran: list[str] = field(default_factory=list)

    def action(self, folder: Path, given: Mapping[str, str]) -> dict[str, str]:
        """Run a composite action with these inputs; its outputs."""
        read = yaml.safe_load((folder / "action.yml").read_text("utf-8"))
        github = {**self.github, "action_path": str(folder)}
        declared = {name: str(each.get("default", "")) for name, each in read["inputs"].items()}
        inputs = {name: self._expanded(value, {"github": github}) for name, value in declared.items()} | dict(given)
        known = {"inputs": inputs, "github": github, "steps": {}, "runner": {"temp": str(self.temp)}}
        self._steps(read["runs"]["steps"], known)
        return {name: self._expanded(each["value"], known) for name, each in read.get("outputs", {}).items()}

    def workflow(self, file: Path, job: str, given: Mapping[str, str]) -> dict[str, str]:
        """Run a job of a reusable workflow with these inputs; the job's outputs."""
        read = yaml.safe_load(file.read_text("utf-8"))
        called = read[True]["workflow_call"]["inputs"]  # `on` is a truth value in YAML 1.1
        declared = {name: str(each.get("default", "")) for name, each in called.items()}
        inputs = {name: self._expanded(value, {"github": self.github}) for name, value in declared.items()} | dict(
            given
        )
        known = {"inputs": inputs, "github": self.github, "steps": {}, "runner": {"temp": str(self.temp)}}
        self._steps(read["jobs"][job]["steps"], known)
        return {name: self._expanded(value, known) for name, value in read["jobs"][job]["outputs"].items()}

    def _steps(self, steps: list[dict[str, Any]], known: dict[str, Any]) -> None:
        for step in steps:
            if self.failed:
                return
            if "uses" in step:
                assert step["uses"].startswith("$/"), "an action of somebody else"
                given = {name: self._expanded(value, known) for name, value in step.get("with", {}).items()}
                outputs = self.action(ROOT / step["uses"].removeprefix("$/"), given)
            else:
                outputs = self._run(step, known)
            known["steps"][step.get("id", step["name"])] = {"outputs": outputs}

    def _run(self, step: dict[str, Any], known: dict[str, Any]) -> dict[str, str]:
        assert step["shell"] == "bash"
        files = {name: self.temp / f"_{name}" for name in _FILES}
        for file in files.values():
            file.write_bytes(b"")
        script = self.temp / "_script.sh"
        script.write_text(self._expanded(step["run"], known), "utf-8")
        environ = {
            **self.environ,
            **{name: str(file) for name, file in files.items()},
            **{name: self._expanded(value, known) for name, value in step.get("env", {}).items()},
        }
        ended = subprocess.run(
            [peer("bash"), "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=self.workspace, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=SECONDS, check=False, text=True,
        )  # fmt: skip
        self.ran.append(step["name"])
        self.log += ended.stdout
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text("utf-8")
        if ended.returncode:
            self.failed = step["name"]
        self.environ.update(_pairs(files["GITHUB_ENV"]))
        added = files["GITHUB_PATH"].read_text("utf-8").split("\n")
        self.environ["PATH"] = ":".join([*filter(None, reversed(added)), self.environ["PATH"]])
        return dict(_pairs(files["GITHUB_OUTPUT"]))

    def _expanded(self, value: object, known: Mapping[str, Any]) -> str:
        def look(found: re.Match[str]) -> str:
            at: Any = known
            for part in found[1].split("."):
                at = at.get(part, {}) if isinstance(at, Mapping) else {}
            return at if isinstance(at, str) else ""

        expanded = _EXPRESSION.sub(look, str(value))
        assert "${{" not in expanded, f"an expression that this runner does not know: {expanded}"
        return expanded


def _pairs(file: Path) -> Iterator[tuple[str, str]]:
    for line in file.read_text("utf-8").splitlines():
        name, equals, value = line.partition("=")
        assert equals, f"no name=value: {line!r}"
        yield name, value
