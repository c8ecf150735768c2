"""`notme-git doctor`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from attest import cli as attest_cli
from attest.cli import json_option, repository_option
from attest.errors import ACCEPTED, REJECTED
from attest.report.text import printable
from notme_git.config import Config
from notme_git.doctor import checks, fix
from notme_git.doctor.facts import Facts
from notme_git.doctor.finding import Finding, Severity
from notme_git.doctor.gather import gather

MAX_SHOWN = 1024
"""Characters of one sentence, which may quote foreign values; a path has at most four times as many."""


@click.command(name="doctor")
@repository_option
@click.option("--fix", "mend", is_flag=True, help="Write anew the files that notme-git made itself; nothing else.")
@json_option
def command(directory: Path | None, mend: bool, as_json: bool) -> int:
    """Find what would keep a commit from being signed.

    Or make its signature absent in silence, or wrong; each with a remedy.

    Looks at git's configuration in the repository, the authority in the home, the daemon, and the environment.
    Exits 0 when nothing was found (notes do not count), 1 when something was, 2 when it could not look.
    """
    config = Config.read()
    facts = _gather(config, directory)
    findings = checks.examine(facts)
    mended: list[str] = []
    if mend and (mended := fix.apply(facts, findings, python=config.python)):
        findings = checks.examine(_gather(config, directory))
    if as_json:
        click.echo(json.dumps(_data(config, directory, findings, mended), indent=2, ensure_ascii=False))
    else:
        for line in _lines(findings, mended):
            click.echo(line)
    return REJECTED if any(finding.severity is not Severity.NOTE for finding in findings) else ACCEPTED


def _gather(config: Config, named: Path | None) -> Facts:
    directory, environ = attest_cli.place(named, config.environ)
    return gather(config.home, environ, directory=directory, python=config.python, pid=os.getpid(), at=config.at)


def _lines(findings: Sequence[Finding], mended: Sequence[str]) -> Iterator[str]:
    for code in mended:
        yield f"fixed    {code}"
    for finding in findings:
        said = finding.command in finding.remedy
        remedy = finding.remedy if said else f"{finding.remedy}: {finding.command}"
        yield f"{finding.severity:<8} {finding.code}: {_shown(finding.message)}"
        yield f"  remedy {_shown(remedy)}"
    if not findings:
        yield "nothing found: git signs here as it was set up"


def _data(config: Config, directory: Path | None, findings: Sequence[Finding], mended: Sequence[str]) -> dict[str, Any]:
    return {
        "home": str(config.home),
        "repository": str((directory or Path()).absolute()),
        "fixed": list(mended),
        "findings": [
            {
                "code": finding.code,
                "severity": str(finding.severity),
                "message": _shown(finding.message),
                "remedy": _shown(finding.remedy),
                "command": _shown(finding.command) or None,
                "fixable": finding.fix is not None,
            }
            for finding in findings
        ],
    }


def _shown(text: str) -> str:
    return printable(text[:MAX_SHOWN])
