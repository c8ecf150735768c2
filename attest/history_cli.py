"""`examine` and `verify`: one object, a range or a whole history."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import click

from attest import checkpoint, history, merges, signing_key, store, verifier, verify
from attest.checkpoint import MAX_OPEN, Checkpoint, Open
from attest.cli import (
    STATUS,
    VOUCHERS,
    examinations,
    json_option,
    nothing_named,
    open_repository,
    print_verdicts,
    read_context,
    repository_option,
    warn_without_attestations,
)
from attest.command import FILE, WalkCommand, complain
from attest.errors import ACCEPTED, REJECTED, UNCHECKED, Error, Reason, UnavailableError, UsageError, exit_status
from attest.keys import PublicKey
from attest.profile import Profile
from attest.query import Query
from attest.report import data, jsonl, text
from attest.report.progress import Progress
from attest.repository import Repository
from attest.revisions import Revisions
from attest.row import Row
from attest.through import Through
from attest.trust import Trust
from attest.types import Outcome, Verdict, Voucher
from attest.verifier import attester_keys_option, examiner_options, verifier_options

SAVE_EVERY = 50_000
"""Objects between two checkpoints of one run: some seconds of work to do again."""

LINES, JSON, JSONL, SILENT = "text", "json", "jsonl", "silent"


@dataclass(slots=True)
class Batch:
    """What a working process makes of a batch of rows."""

    printed: str = ""
    counts: Counter[Outcome | None] = field(default_factory=Counter)
    open: list[Open] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    warnings: set[str] = field(default_factory=set)
    last: str = ""

    @property
    def size(self) -> int:
        """How many objects."""
        return sum(self.counts.values())


class Printer:
    """Makes a batch of rows into what is printed of it; it runs where the rows are made."""

    def __init__(self, form: str, query: Query, object_format: str) -> None:
        self._form, self._query, self._object_format = form, query, object_format

    def __call__(self, rows: Iterator[Row]) -> Batch:
        made, parts, silent = Batch(), list[str](), self._form == SILENT
        for outcome, group in itertools.groupby(rows, key=_outcome):
            count, bad = 0, outcome in (Outcome.REJECTED, Outcome.COULD_NOT_CHECK)
            for row in group:
                count += 1
                if bad or outcome is None:
                    self._note(made, row)
                if row.warnings:
                    made.warnings.update(row.warnings)
                if not silent:
                    parts += self._lines(row)
                made.last = row.object_id
            made.counts[outcome] += count
        made.printed = "".join([f"{part}\n" for part in parts])
        return made

    def _note(self, made: Batch, row: Row) -> None:
        """What is kept of an object that was not accepted, or not judged."""
        first = row.decisive
        if row.outcome is not None and len(made.open) < MAX_OPEN:
            made.open.append(Open(row.object_id, row.outcome, first.reason if first is not None else ""))
        if first is not None and first.reason == Reason.OBJECT_UNREADABLE:
            made.unread.append(first.detail)

    def _lines(self, row: Row) -> Sequence[str]:
        if self._form == JSONL:
            return (jsonl.line(row),)
        if self._form == JSON:
            return (json.dumps(data.row_data(row, self._query, self._object_format), ensure_ascii=False),)
        return tuple(text.row_lines(row))


def _outcome(row: Row) -> Outcome | None:
    return row.outcome


def history_options(command: Any) -> Any:
    """REV..., --repo, --jobs, --json, --jsonl: what both commands take."""
    for option in (
        click.option("--rewrites", is_flag=True, help="Say by rewrite records whose content an unsigned commit has."),
        attester_keys_option,
        click.option("--notes", is_flag=True, help="Hold notes of git-ai and Agent Trace against the signatures, too."),
        click.option("--quiet", "-q", is_flag=True, help="Print no line an object, only the summary."),
        click.option("--jsonl", "as_jsonl", is_flag=True, help="Print one JSON object a line, as they come."),
        json_option,
        click.option("--jobs", "-j", type=click.IntRange(1, 256), help="Processes at once (default: one a core)."),
        repository_option,
        click.argument("revisions", metavar="[REV|A..B|--all|...]", nargs=-1, type=click.UNPROCESSED),
    ):
        command = option(command)
    return command


@click.command(cls=WalkCommand)
@history_options
@examiner_options
def examine(
    revisions: tuple[str, ...],
    directory: Path | None,
    jobs: int | None,
    as_json: bool,
    as_jsonl: bool,
    quiet: bool,
    notes: bool,
    rewrites: bool,
    attesters: tuple[PublicKey, ...],
    trusted: Trust,
    profile: str | None,
) -> int:
    """Show what was found, without a verdict.

    Name a commit, a tag, a range A..B, or what git rev-list takes to limit a walk: --all, --branches, --since=DATE ...
    With --all and --tags the tag objects are examined too.

    Exits 0 when every object was read, whatever the findings.
    """
    at = datetime.now(UTC)
    repo = open_repository(directory, os.environ)
    named = Revisions(repo, revisions)
    if named.single and not as_jsonl and not notes and not rewrites:
        [found] = examinations(repo, revisions[0], trusted, profile, at, [])
        if as_json:
            click.echo(json.dumps(data.findings_data(found.record()), indent=2, ensure_ascii=False))
        else:
            for line in text.findings_lines(found.record()):
                click.echo(line)
        return ACCEPTED
    wanted = Profile(profile) if profile else None
    form = _form(as_json, as_jsonl, quiet)
    query = Query(
        trusted, at, profile=wanted, home=verifier.home(), notes=notes, rewrites=rewrites, attesters=attesters
    )
    warn_without_attestations(repo, asked=rewrites)
    done = _Run(repo, query, form, jobs).walk([(query, named.objects())])
    done.say(json_form=as_json or as_jsonl)
    return UNCHECKED if done.unread or done.broken is not None else ACCEPTED


@click.command(name="verify", cls=WalkCommand)
@history_options
@verifier_options
@click.option("--policy", "policy_file", type=FILE, help="Judge under the policy in this file.")
@click.option("--require-time", type=VOUCHERS, help="Who at least must vouch for the time of signing.")
@click.option("--ref", help="The full ref REV is offered for (default: REV itself if it names one).")
@click.option("--repository", "address", help="The repository's address (default: remote origin).")
@click.option("--checkpoint", "place", type=FILE, help="Go on from this file, and keep it.")
@click.option("--key", type=FILE, help="Ed25519 key (PEM) that signs the checkpoint.")
def verify_command(
    revisions: tuple[str, ...],
    directory: Path | None,
    jobs: int | None,
    as_json: bool,
    as_jsonl: bool,
    quiet: bool,
    notes: bool,
    rewrites: bool,
    attesters: tuple[PublicKey, ...],
    trusted: Trust,
    profile: str | None,
    policy_file: Path | None,
    require_time: str | None,
    ref: str | None,
    address: str | None,
    place: Path | None,
    key: Path | None,
) -> int:
    """Judge under a policy: a file's, the tree's own where a start is pinned, or the built-in one.

    Name a commit, a tag, a range A..B, or what git rev-list takes to limit a walk: --all, --branches, --since=DATE ...
    With --all and --tags the tag objects are judged too.

    What rewrite records say of a commit that is not accepted as an agent's own is said of a single one, and of several
    with --rewrites. It changes no verdict unless a rule of the policy follows records (docs/rewrites.md).

    Over several: 1 if any was rejected, else 2 if any could not be checked, else 0.
    """
    at = datetime.now(UTC)
    form = _form(as_json, as_jsonl, quiet)
    if (place is None) != (key is None):
        raise UsageError("--checkpoint and --key go together", hint="openssl genpkey -algorithm ed25519 -out KEY")
    repo = open_repository(directory, os.environ)
    named = Revisions(repo, revisions)
    context = read_context(repo, revisions[0], ref, address) if named.single else read_context(repo, "", ref, address)
    voucher = Voucher(require_time) if require_time else None
    policy, trusted = verifier.load_policy(policy_file, voucher, trusted, repo)
    wanted = Profile(profile) if profile else None
    query = Query(trusted, at, policy, context, wanted, verifier.home(), notes, rewrites or named.single, attesters)
    stretches = None if policy_file or voucher else pinned(repo, named, query)
    policies = [each.policy for each, _ in stretches] if stretches else [policy]
    asked = rewrites or any(each is not None and each.follows for each in policies)
    if named.single and not as_jsonl and not notes and place is None:
        status = _one(repo, revisions[0], stretches[0][0] if stretches else query, profile, as_json=as_json)
        warn_without_attestations(repo, asked=asked and status != ACCEPTED)
        return status
    run = _Run(repo, query, form, jobs)
    if place is not None and key is not None:
        if not named.whole:
            raise UsageError(_NOT_WHOLE, hint="name branches, tags or ranges alone, or --all")
        if stretches:
            raise UsageError(_NO_CHECKPOINT, hint="name the policy with --policy FILE")
        done = _Resumed(run, named, place, signing_key.load(key)).walk()
    else:
        done = run.walk(stretches or [(query, named.objects())])
    done.say(json_form=as_json or as_jsonl)
    status = done.status()
    warn_without_attestations(repo, asked=asked and status != ACCEPTED)
    return status


def pinned(repo: Repository, named: Revisions, query: Query) -> list[tuple[Query, Iterator[str]]] | None:
    """What is judged by which policy of the tree, where a start is pinned for this repository; None without a pin.

    Raises `UsageError` for a walk that has no one tip: whose policy is in force is known along its first parents alone.
    """
    from attest.rules import pins, source

    pin = pins.of_repository(verifier.home(), repo)
    if pin is None:
        return None
    ids = named.tips()
    tips, without = [i for i in ids if not i.startswith("^")], [i[1:] for i in ids if i.startswith("^")]
    if len(tips) != 1 or not named.plain:
        raise UsageError(
            "a start is pinned here, and by the tree's own policy one branch is judged at a time",
            hint="name one tip, or A..B, or a policy with --policy FILE",
        )
    tip = repo.commit_of(tips[0])
    stretches = list(source.for_range(repo, pin.start, tip, query, without))
    if named.single:
        return [(stretches[0].query, iter(tips))]
    return [(stretch.query, repo.walk(stretch.arguments)) for stretch in stretches]


_NOT_WHOLE = "a checkpoint says that all was looked at that the tips reach, and this walk passes some of it over"
_NO_CHECKPOINT = "a checkpoint is for one policy, and a start is pinned here: the tree has one for each stretch"


def _one(repo: Repository, revision: str, query: Query, profile: str | None, *, as_json: bool) -> int:
    policy = query.policy
    assert policy is not None
    [found] = examinations(repo, revision, query.trusted, profile, query.at, [])

    def paths() -> tuple[str, ...]:
        return merges.answered_for(repo, [found.object_id])[found.object_id]

    verdict = verify.judge(found, policy, query.context, at=query.at, paths=paths)
    verdict, records = _by_records(repo, query, verdict)
    if as_json:
        said = {"through": [data.through_data(each) for each in records]} if records else {}
        click.echo(json.dumps({**data.verdict_data(verdict), **said}, indent=2, ensure_ascii=False))
        return STATUS[verdict.outcome]
    print_verdicts([verdict], as_json=False, single=True)
    for line in text.through_lines(records):
        click.echo(line)
    return STATUS[verdict.outcome]


def _by_records(repo: Repository, query: Query, verdict: Verdict) -> tuple[Verdict, Sequence[Through]]:
    """The verdict with what rewrite records make of it where the policy follows them, and these records."""
    if verdict.findings.object_kind != "commit" or not store.exists(repo):
        return verdict, ()
    [row] = history.rows(repo, [verdict.findings.object_id], query)
    return history.by_records(verdict, row), row.through


def _form(as_json: bool, as_jsonl: bool, quiet: bool) -> str:
    if as_json and as_jsonl:
        raise UsageError("--json and --jsonl exclude each other", hint="--jsonl prints a line for each object")
    return JSONL if as_jsonl else JSON if as_json else SILENT if quiet else LINES


@dataclass(slots=True)
class Done:
    """A walk that came to its end."""

    counts: Counter[Outcome | None] = field(default_factory=Counter)
    open: list[Open] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    warnings: set[str] = field(default_factory=set)
    before: Checkpoint | None = None
    broken: Error | None = None

    def add(self, batch: Batch) -> None:
        """One more batch."""
        self.counts += batch.counts
        self.open += batch.open[: MAX_OPEN - len(self.open)]
        self.unread += batch.unread[: MAX_OPEN - len(self.unread)]
        self.warnings |= batch.warnings if len(self.warnings) < MAX_OPEN else set()

    def say(self, *, json_form: bool) -> None:
        """The summary, and on stderr what is wrong with the run itself."""
        total = sum(self.counts.values())
        if not json_form:
            if self.before is not None:
                for item in self.before.open:
                    word = "REJECTED" if item.outcome is Outcome.REJECTED else "COULD NOT CHECK"
                    click.echo(f"{word:<23} {item.object_id[: text.SHORT_ID]} ({item.reason}), examined before")
            if total:
                click.echo(text.summary_line(self.counts))
        for detail in self.unread:
            complain("notme-attest", UnavailableError(detail))
        if self.broken is not None:
            complain("notme-attest", self.broken)
        for warning in sorted(self.warnings):
            click.echo(f"warning: {text.printable(warning)}", err=True)

    def status(self) -> int:
        """Of all together."""
        if not sum(self.counts.values()):
            raise nothing_named()
        statuses = {STATUS[outcome] for outcome, count in self.counts.items() if count and outcome is not None}
        statuses |= {exit_status(self.broken)} if self.broken is not None else set()
        return REJECTED if REJECTED in statuses else max(statuses)


class _Run:
    """Objects examined in order and printed as they come."""

    def __init__(self, repo: Repository, query: Query, form: str, jobs: int | None) -> None:
        self.repo, self.query, self._form = repo, query, form
        self._jobs = jobs or history.cores()
        self._progress, self._first = Progress(), True

    def batches(self, query: Query, object_ids: Iterator[str]) -> Iterator[Batch]:
        """Each batch, once what it says is printed."""
        printer = Printer(self._form, query, self.repo.object_format.value)
        try:
            for batch in history.results(self.repo, object_ids, query, printer, jobs=self._jobs):
                self._progress.close()
                self._print(batch.printed)
                self._progress.add(batch.size)
                yield batch
        finally:
            self._progress.close()

    def walk(self, stretches: Iterable[tuple[Query, Iterator[str]]]) -> Done:
        """All of them."""
        done = Done()
        try:
            for query, object_ids in stretches:
                for batch in self.batches(query, object_ids):
                    done.add(batch)
        except Error as error:
            if not done.counts:
                raise
            done.broken = error
        self.end()
        return done

    def end(self) -> None:
        """The end of a JSON list."""
        if self._form == JSON:
            sys.stdout.write("[]\n" if self._first else "\n]\n")

    def _print(self, printed: str) -> None:
        if self._form == JSON:
            for line in printed.splitlines():
                sys.stdout.write(("[\n" if self._first else ",\n") + line)
                self._first = False
        elif printed:
            sys.stdout.write(printed)


class _Patience:
    """Holds Ctrl-C back until a batch is printed and counted: what is printed twice, or never, is no list."""

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> _Patience:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        signal.signal(signal.SIGINT, self._before)
        if self._asked and isinstance(error, Error):
            # The terminal sends Ctrl-C to git as well, and a walk that it ended is no fault of the repository.
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raises `KeyboardInterrupt` if it was asked for since."""
        if self._asked:
            raise KeyboardInterrupt

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True


class _Resumed:
    """A walk that goes on from a checkpoint, and leaves one wherever it ends."""

    def __init__(self, run: _Run, named: Revisions, place: Path, key: signing_key.SigningKey) -> None:
        self._run, self._named, self._place, self._key = run, named, place, key
        query = run.query
        # What a range leaves out was not looked at: where `A` of `A..B` moves, its history is asked about anew.
        excluded = [tip for tip in named.tips() if tip.startswith("^")]
        asked = checkpoint.question(query, [named.text, *excluded], run.repo.object_format.value)
        kept = checkpoint.read(place, key)
        self._kept = kept if kept is not None and kept.question == asked else Checkpoint(asked, 0)
        self._at = int(query.at.timestamp())

    def walk(self) -> Done:
        """What is new since; the counts are of everything."""
        kept, tips = self._kept, tuple(self._named.tips())
        reached = tuple(oid for oid in kept.done if self._known(oid))
        if kept.position and kept.tips != tips:
            # What a walk from other tips would have come by already cannot be told from a position.
            kept = Checkpoint(kept.question, kept.at)
            reached = ()
        done = Done(Counter({Outcome(name): count for name, count in kept.counts.items()}), before=kept)
        done.open += kept.open
        position, last, saved = kept.position, kept.last, kept.position
        ids = self._rest(reached, kept)
        try:
            with _Patience() as patience:
                for batch in self._run.batches(self._run.query, ids):
                    done.add(batch)
                    position, last = position + batch.size, batch.last
                    patience.check()
                    if position - saved >= SAVE_EVERY:
                        self._save(done, kept.done, tips, position, last)
                        saved = position
        except BaseException:
            self._save(done, kept.done, tips, position, last)
            raise
        self._run.end()
        self._save(done, tuple(sorted({*reached, *(t for t in tips if not t.startswith("^"))})), (), 0, "")
        return done

    def _rest(self, reached: tuple[str, ...], kept: Checkpoint) -> Iterator[str]:
        """The ids that are left, tags that were looked at before left out."""
        before = frozenset(reached)
        ids = (oid for oid in self._named.objects(*reached) if oid not in before)
        last = ""
        for _ in range(kept.position):
            last = next(ids, "")
        if kept.position and last != kept.last:
            raise UnavailableError(
                "the history changed under the checkpoint", hint=f"remove {self._place} to begin anew"
            )
        return ids

    def _known(self, oid: str) -> bool:
        try:
            self._run.repo.read(oid)
        except Error:
            return False
        return True

    def _save(self, done: Done, reached: tuple[str, ...], tips: tuple[str, ...], position: int, last: str) -> None:
        counts = {outcome.value: count for outcome, count in done.counts.items() if outcome is not None and count}
        checkpoint.write(
            self._place,
            self._key,
            Checkpoint(
                question=self._kept.question,
                at=self._at,
                done=reached,
                tips=tips if position else (),
                position=position,
                last=last,
                counts=counts,
                open=tuple(done.open[:MAX_OPEN]),
            ),
        )
