"""`policy`: what a policy says of a commit and of a past, whether it is sound, and one to begin with."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from attest import history, merges, store, verifier, verify
from attest.cli import (
    STATUS,
    examinations,
    json_option,
    nothing_named,
    open_repository,
    read_context,
    repository_option,
)
from attest.command import FILE, WalkCommand
from attest.errors import ACCEPTED, REJECTED, UNCHECKED, MalformedError, UnavailableError
from attest.gitobject import ObjectKind
from attest.keys import PublicKey
from attest.policy import Case
from attest.profile import Profile
from attest.query import Query
from attest.report.text import finding_line, printable, through_lines
from attest.repository import Repository
from attest.revisions import Revisions
from attest.rules import explain as explaining
from attest.rules import lint as linting
from attest.rules import simulate, source, writing
from attest.rules.document import parse
from attest.rules.propose import Proposal, ssh_key
from attest.rules.ruleset import Ruleset
from attest.through import Through
from attest.trust import Trust
from attest.types import Outcome, Severity, StepStatus
from attest.verifier import attester_keys_option, examiner_options

SHOWN = 10
"""Offenders that `simulate` names unless it is told otherwise."""

_POLICY = click.option(
    "--policy", "file", type=FILE, help=f"The policy's file (default: {source.PLACE} in the tree of HEAD)."
)


@click.group()
def policy() -> None:
    """Rules for who may sign what in a repository.

    Nothing here puts a policy in force; docs/policy.md says what does.
    """


@policy.command()
@click.argument("rev")
@repository_option
@examiner_options
@attester_keys_option
@_POLICY
@click.option("--ref", help="The full ref REV is offered for (default: REV itself if it names one).")
@click.option("--repository", "address", help="The repository's address (default: remote origin).")
@json_option
def explain(
    rev: str,
    directory: Path | None,
    file: Path | None,
    ref: str | None,
    address: str | None,
    as_json: bool,
    trusted: Trust,
    profile: str | None,
    attesters: tuple[PublicKey, ...],
) -> int:
    """Say which rule decides REV, and why the others do not.

    Exit status as that of verify under this policy.
    """
    at = datetime.now(UTC)
    repo = open_repository(directory, os.environ)
    rules, trusted = _rules(repo, file, trusted)
    [found] = examinations(repo, repo.resolve(rev), trusted, profile, at, [])

    def paths() -> tuple[str, ...]:
        return merges.answered_for(repo, [found.object_id])[found.object_id]

    context = read_context(repo, rev, ref, address)
    verdict = verify.judge(found, rules, context, at=at, paths=paths)
    through: tuple[Through, ...] = ()
    if rules.follows and STATUS[verdict.outcome] and found.kind == ObjectKind.COMMIT:
        # As everywhere: records are asked where the commit is not accepted by itself.
        wanted = Profile(profile) if profile else None
        query = Query(trusted, at, rules, context, wanted, verifier.home(), attesters=attesters)
        through = history.follower(repo, query).through(found.object_id, store.read(repo, found.object_id))
        verdict = verify.judge(found, rules, context, at=at, paths=paths, through=through)
    said = explaining.explain(rules, Case(found, context, at, paths, through))
    failed = [f for f in verdict.findings.findings[:-1] if f.status is StepStatus.FAILED]
    if as_json:
        outcome = {"object": found.object_id, "outcome": str(verdict.outcome), "ref": context.ref}
        earlier = [{"step": f.step, "reason": f.reason, "detail": f.detail} for f in failed]
        _print_json({**outcome, "failedBefore": earlier, **explaining.data(said)})
        return STATUS[verdict.outcome]
    click.echo(f"{found.kind} {found.object_id}: {verdict.outcome}")
    for finding in failed:
        click.echo(f"  {finding_line(finding)}")
    if failed and not rules.excuses.issuperset(f.reason for f in failed):
        click.echo("  which no rule excuses. What the rules would say all the same:")
    for line in explaining.text_lines(said):
        click.echo(f"  {line}")
    for line in through_lines(through):
        click.echo(line)
    return STATUS[verdict.outcome]


@policy.command(name="simulate", cls=WalkCommand)
@click.argument("revisions", metavar="[REV|A..B|--all|...]", nargs=-1, type=click.UNPROCESSED)
@repository_option
@examiner_options
@attester_keys_option
@_POLICY
@click.option("--ref", help="The full ref that all of it is taken to be offered for.")
@click.option("--repository", "address", help="The repository's address (default: remote origin).")
@click.option("--show", type=click.IntRange(0, 10_000), default=SHOWN, show_default=True, help="Offenders to name.")
@click.option("--jobs", "-j", type=click.IntRange(1, 256), help="Processes at once (default: one a core).")
@json_option
def simulate_command(
    revisions: tuple[str, ...],
    directory: Path | None,
    file: Path | None,
    ref: str | None,
    address: str | None,
    show: int,
    jobs: int | None,
    as_json: bool,
    trusted: Trust,
    profile: str | None,
    attesters: tuple[PublicKey, ...],
) -> int:
    """Say what would break if a policy were enforced today on what is there.

    Exits 0 if nothing would, 1 if something would be rejected, 2 if something could not be checked.
    """
    at = datetime.now(UTC)
    repo = open_repository(directory, os.environ)
    named = Revisions(repo, revisions)
    rules, trusted = _rules(repo, file, trusted)
    where = read_context(repo, revisions[0] if named.single else "HEAD", ref, address)
    wanted = Profile(profile) if profile else None
    query = Query(trusted, at, rules, where, wanted, verifier.home(), attesters=attesters)
    tally = simulate.simulate(repo, named.objects(), query, shown=show, jobs=jobs or history.cores())
    if not tally.total:
        raise nothing_named()
    if as_json:
        _print_json(
            {"policy": rules.name, "policySha256": rules.digest.hex(), "ref": where.ref, **simulate.data(tally)}
        )
    else:
        click.echo(f"policy {printable(rules.name)}, for {printable(where.ref or 'no ref')}")
        for line in simulate.text_lines(tally):
            click.echo(line)
    if tally.count(Outcome.REJECTED):
        return REJECTED
    return UNCHECKED if tally.against else ACCEPTED


@policy.command(name="lint")
@click.argument("file", required=False, type=FILE)
@repository_option
@examiner_options
@json_option
def lint_command(file: Path | None, directory: Path | None, as_json: bool, trusted: Trust, profile: str | None) -> int:
    """Check the policy in FILE (default: the one in the worktree) for what cannot be meant.

    Exits 1 where there is an error, 0 with warnings alone.
    """
    del profile
    at = datetime.now(UTC)
    path = file or _worktree(directory) / source.PLACE
    try:
        notes = linting.lint(parse(source.read(path)), trusted if trusted.anchors else None, at)
    except MalformedError as error:
        detail = f"{error.message}; {error.hint}" if error.hint else error.message
        notes = [linting.Note("malformed", Severity.ERROR, str(path), detail)]
    errors = sum(note.severity is Severity.ERROR for note in notes)
    if as_json:
        items = [
            {"code": note.code, "severity": str(note.severity), "place": note.place, "detail": note.detail}
            for note in notes
        ]
        _print_json({"file": str(path), "errors": errors, "notes": items})
    else:
        for note in notes:
            click.echo(f"{note.severity} {printable(note.place)}: {printable(note.detail)} ({note.code})")
        click.echo(
            f"{printable(str(path))}: {errors} error{'' if errors == 1 else 's'}, {len(notes) - errors} other notes"
        )
    return REJECTED if errors else ACCEPTED


@policy.command(name="init")
@click.argument("rev", default="HEAD")
@repository_option
@examiner_options
def init_command(rev: str, directory: Path | None, trusted: Trust, profile: str | None) -> int:
    """Propose a policy from the history of REV: print one that it keeps to already.

    Keys that nobody vouches for are listed as they were seen. Compare them with their owners.
    """
    at = datetime.now(UTC)
    repo = open_repository(directory, os.environ)
    tip = repo.resolve(f"{rev}^{{commit}}")
    query = Query(trusted, at, profile=Profile(profile) if profile else None, home=verifier.home())
    proposal = Proposal(lambda object_id: ssh_key(repo, object_id))
    for row in history.rows(repo, repo.walk(("--topo-order", tip)), query, jobs=history.cores()):
        proposal.add(row)
    for line in writing.lines(proposal, rev):
        click.echo(line)
    return ACCEPTED


def _rules(repo: Repository, file: Path | None, trusted: Trust) -> tuple[Ruleset, Trust]:
    """The policy to try out: in a file, else in the tree of HEAD."""
    if file is not None:
        return source.load(file, trusted, repo)
    head = repo.resolve("HEAD^{commit}")
    try:
        found = source.policy_at(repo, head)
        if found is None:
            hint = "name one with --policy FILE, or begin with: notme-attest policy init"
            raise UnavailableError(f"HEAD has no {source.PLACE}", hint=hint)
        bound = source.bind(found, trusted, repo)
    except MalformedError as error:
        raise UnavailableError(f"{source.PLACE} in HEAD is no policy: {error.message}", hint=error.hint) from None
    return bound


def _worktree(directory: Path | None) -> Path:
    repo = open_repository(directory, os.environ)
    done = repo.git("rev-parse", "--show-toplevel")
    if done.returncode:
        raise UnavailableError("this repository has no worktree", hint="name the policy's file")
    return Path(os.fsdecode(done.stdout).removesuffix("\n"))


def _print_json(item: object) -> None:
    click.echo(json.dumps(item, indent=2, ensure_ascii=False))
