"""`check`: the commits of a pull request, judged under the policy of its base."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from attest import attester_options, history, pull, verifier, wholefile
from attest.cli import json_option, open_repository, read_context, repository_option, warn_without_attestations
from attest.command import FILE
from attest.errors import ACCEPTED, UnavailableError, UsageError
from attest.keys import PublicKey
from attest.profile import Profile
from attest.pull import Check
from attest.query import Query
from attest.report.text import printable
from attest.repository import Repository
from attest.trust import Trust
from attest.verifier import attester_keys_option, verifier_options

FORMATS = ("text", "json", "github", "markdown", "sarif", "check-run")
SUMMARY = "GITHUB_STEP_SUMMARY"
"""Where a runner says which file the step's summary goes to."""


@click.command(name="check")
@click.option("--base", required=True, metavar="REV", help="What it is to be merged into; its policy counts.")
@click.option("--head", required=True, metavar="REV", help="The last commit that is offered.")
@repository_option
@verifier_options
@attester_keys_option
@click.option("--policy", "policy_file", type=FILE, help="Judge under this file, and not under the base's policy.")
@click.option("--ref", help="The full ref it is offered for (default: BASE itself if it names one).")
@click.option("--repository", "address", help="The repository's address (default: remote origin).")
@click.option("--originals", multiple=True, metavar="REV", help="Look for a squash's commits here too. Repeatable.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="What to print (default: text).")
@click.option("--out", "--output", "-o", "output", type=FILE, help="Print it to this file.")
@click.option("--write", "written", multiple=True, metavar="FORMAT=FILE", help="Write another form too. Repeatable.")
@click.option(
    "--fail-on", type=click.Choice(pull.FAIL_ON), default="unchecked", show_default=True, help="What is a failure."
)
@click.option("--record", is_flag=True, help="Sign and store what a forge's commits were made from (--key).")
@attester_options.key_options
@click.option("--jobs", "-j", type=click.IntRange(1, 256), help="Processes at once (default: one a core).")
@json_option
def command(
    base: str,
    head: str,
    directory: Path | None,
    trusted: Trust,
    profile: str | None,
    attesters: tuple[PublicKey, ...],
    policy_file: Path | None,
    ref: str | None,
    address: str | None,
    originals: tuple[str, ...],
    form: str | None,
    output: Path | None,
    written: tuple[str, ...],
    fail_on: str,
    record: bool,
    signer: attester_options.Named,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Judge the commits of BASE..HEAD as a pull request.

    They are judged by the policy in BASE's tree, or by a file; a policy that HEAD brings along has no say. Nothing of
    either is executed or checked out. Commits that a forge made are shown with the commits that they were made from.

    With --fail-on rejected, what could not be checked is no failure; with warning, claims that signatures contradict
    are one, too. With --record each commit whose originals are known here gets a rewrite record (docs/rewrites.md).
    """
    at = datetime.now(UTC)
    if (signer.of_key or signer.id) and not record:
        raise UsageError("--key and --id sign rewrite records, and none are asked for", hint="say --record")
    attester = attester_options.chosen(signer, at) if record else None
    if as_json and form not in (None, "json"):
        raise UsageError("--json and --format exclude each other")
    wanted = [(("json" if as_json else form or "text"), output), *map(_wanted, written)]
    repo = open_repository(directory, os.environ)
    tips = [repo.resolve(f"{rev}^{{commit}}") for rev in (base, head, *originals)]
    home = verifier.home()
    context = read_context(repo, base, ref, address)
    query = Query(
        trusted, at, None, context, Profile(profile) if profile else None, home, rewrites=True, attesters=attesters
    )
    query = pull.in_force(repo, tips[0], policy_file, query, home)
    made = pull.check(repo, tips[0], tips[1], query, originals=tips[2:], jobs=jobs or history.cores())
    if attester is not None:
        from attest.rewrites import offered

        made, count = offered.record(repo, made, attester, at)
        click.echo(f"{count} rewrite record{'' if count == 1 else 's'} stored", err=True)
    status = made.status(fail_on)
    for each, place in wanted:
        _print(_rendered(made, each, repo, status), place)
        if each == "github" and (summary := os.environ.get(SUMMARY)):
            _append(Path(summary), _rendered(made, "markdown", repo, status))
    for warning in sorted({warning for change in made.changes for warning in change.row.warnings}):
        click.echo(f"warning: {printable(warning)}", err=True)
    follows = query.policy is not None and query.policy.follows
    warn_without_attestations(repo, asked=follows and made.status("unchecked") != ACCEPTED)
    return status


def _wanted(text: str) -> tuple[str, Path]:
    form, equals, place = text.partition("=")
    if form not in FORMATS or not equals or not place:
        raise UsageError(f"{text!r} is not FORMAT=FILE", hint=f"FORMAT is one of {', '.join(FORMATS)}")
    return form, Path(place)


def _rendered(made: Check, form: str, repo: Repository, status: int) -> str:
    """The report in one form. Each has a module of its own, which is not loaded for the others."""
    if form == "github":
        from attest.report import github

        return "\n".join(github.commands(made)) + "\n"
    if form == "check-run":
        from attest.report import github

        return github.check_runs(made, failed=status != ACCEPTED) + "\n"
    if form == "markdown":
        from attest.report import markdown

        return markdown.document(made)
    if form == "sarif":
        from attest.report import sarif

        return sarif.document(made, status) + "\n"
    from attest.report import pulls

    if form == "json":
        return json.dumps(pulls.document(made, repo.object_format.value), indent=2, ensure_ascii=False) + "\n"
    return "\n".join(pulls.lines(made)) + "\n"


def _print(text: str, place: Path | None) -> None:
    if place is None:
        click.echo(text, nl=False)
        return
    wholefile.write(place, text.encode("utf-8", "replace"))


def _append(place: Path, text: str) -> None:
    try:
        with open(place, "a", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise UnavailableError(f"cannot write {place}, which {SUMMARY} names: {error.strerror}") from None
