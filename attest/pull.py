"""The commits that a pull request offers, judged under the policy of the branch they are offered to (design D15)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from attest import forges, history
from attest.errors import ACCEPTED, REJECTED, UNCHECKED, Error, Reason, Step, UnavailableError
from attest.forges import Forge, Made, Originals, Twin
from attest.policy import Policy
from attest.query import Query
from attest.reasons import ENTRIES
from attest.report.text import person_for
from attest.repository import Repository
from attest.row import Row
from attest.rules import pins, source
from attest.rules.source import InForce
from attest.through import ACCEPTING
from attest.types import Outcome, Severity

MAX_COMMITS = 50_000
"""Commits of one pull request, all of which are kept for the report: some 100 MiB."""

MAX_SUBJECT = 100
MAX_DETAIL = 500
"""Characters of a first line, and of a finding, that a report repeats."""

FAIL_ON = ("rejected", "unchecked", "warning")


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to say of one commit. `path` is a file that the commit changes, empty where it changes none."""

    severity: Severity
    code: str
    title: str
    message: str
    object_id: str
    path: str = ""

    @property
    def remedy(self) -> str:
        """What to do about it, empty where nothing is known."""
        entry = ENTRIES.get(self.code)
        return entry.remedy if entry is not None else ""


@dataclass(frozen=True, slots=True)
class Change:
    """One commit of the range.

    `forge` is the forge that stands as committer, and `proven` whether a key of it signed; `twin` a commit with the
    same tree that is known elsewhere; `automatic` whether a merge holds what git alone makes of its parents, None
    where that was not asked.
    """

    row: Row
    made: Made = Made.COMMIT
    forge: Forge | None = None
    proven: bool = False
    twin: Twin | None = None
    automatic: bool | None = None
    path: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the commit itself was."""
        return self.row.outcome in ACCEPTING

    def content(self) -> str:
        """Whose content it is by the first rewrite record that is followed, in words; empty without one."""
        record = next((each for each in self.row.through if each.follows), None)
        if record is None:
            return ""
        people = "; ".join(person_for(*pair) for pair in record.people())
        seen = "compared here" if record.seen else "the record's word"
        return f"content by {people}, by rewrite record {record.record[:12]} ({record.relation}, {seen})"

    def origin(self) -> str:
        """How it came to be, in words; empty for a plain commit of which nothing else is known."""
        parts = []
        if self.forge is not None:
            known = "signed by it" if self.proven else "not proven"
            parts.append(f"{self.made} of {self.forge.name} ({known})")
        elif self.made is Made.MERGE:
            parts.append("merge")
        if self.automatic is not None:
            parts.append("nothing added to what git merges" if self.automatic else "not what git alone makes of it")
        if self.twin is not None:
            parts.append(f"same tree as {self.twin.object_id[:12]} ({_behind(self.twin)})")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Check:
    """A judged range, oldest commit first. `base` and `head` are full ids, `policy` the name of what decided."""

    base: str
    head: str
    policy: str
    query: Query
    changes: tuple[Change, ...]

    @property
    def counts(self) -> Counter[Outcome | None]:
        """How many ended how."""
        return Counter(change.row.outcome for change in self.changes)

    def notes(self) -> list[Note]:
        """All there is to say, what weighs most first."""
        found = [note for change in self.changes for note in _notes(change)]
        order = (Severity.ERROR, Severity.WARNING, Severity.INFO)
        return sorted(found, key=lambda note: order.index(note.severity))

    def status(self, fail_on: str = "unchecked") -> int:
        """The exit status. `rejected` lets pass what could not be checked; `warning` fails on doubts about claims."""
        counts = self.counts
        if counts[Outcome.REJECTED]:
            return REJECTED
        if fail_on != "rejected" and counts[Outcome.COULD_NOT_CHECK]:
            return UNCHECKED
        doubts = any(note.severity is not Severity.INFO for note in self.notes())
        return REJECTED if fail_on == "warning" and doubts else ACCEPTED


def in_force(repo: Repository, base: str, file: Path | None, query: Query, home: Path) -> Query:
    """The query with what commits onto `base` (a full id) are judged by: a file, else the policy in the base's tree.

    Who names the base vouches for it, as a forge does for the branch that a pull request is made to; where a start is
    pinned, the base has to descend from it. Without any policy it is the built-in one. The head has no say.
    """
    trusted = query.trusted
    if file is not None:
        found = source.from_file(file, trusted, repo)
    elif (pin := pins.of_repository(home, repo)) is not None:
        found = source.at(repo, pin.start, base, query)
    else:
        found = source.in_tree(repo, base, trusted) or InForce(Policy(), trusted)
    return replace(query, policy=found.policy, trusted=found.trusted)


def check(
    repo: Repository, base: str, head: str, query: Query, *, originals: Sequence[str] = (), jobs: int = 1
) -> Check:
    """Judge what `head` has beyond `base`, both full ids; `originals` are more ids below which originals may be.

    Raises `UnavailableError` where that is nothing, or more than `MAX_COMMITS`.
    """
    assert query.policy is not None
    walk = repo.walk(("--topo-order", "--reverse", head), (base,))
    object_ids = list(itertools.islice(walk, MAX_COMMITS + 1))
    if not object_ids:
        raise UnavailableError(f"{head[:12]} has no commit beyond {base[:12]}, so nothing was judged")
    if len(object_ids) > MAX_COMMITS:
        hint = "judge it with notme-attest verify BASE..HEAD --policy FILE"
        raise UnavailableError(f"more than {MAX_COMMITS} commits are offered", hint=hint)
    rows = list(history.rows(repo, object_ids, query, jobs=jobs))
    known = Originals(repo, query, head, originals)
    automatic = forges.automatic(repo, rows)
    changes = [_change(row, known, automatic.get(row.object_id)) for row in rows]
    return Check(base, head, query.policy.name, query, tuple(_with_paths(repo, changes)))


def _change(row: Row, known: Originals, automatic: bool | None) -> Change:
    forge = forges.forge_of(row)
    twin = known.twin(row) if forge is not None or row.outcome not in ACCEPTING else None
    return Change(
        row,
        forges.made_of(row, twin),
        forge,
        forge is not None and forges.is_proven(row, forge),
        twin,
        automatic,
    )


def _with_paths(repo: Repository, changes: Sequence[Change]) -> Iterator[Change]:
    """The same, those of which something is said with a file to say it at."""
    noted = [change.row.object_id for change in changes if next(_notes(change), None) is not None]
    paths: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(noted), history.BATCH):
        try:
            paths.update(repo.changed_paths(noted[start : start + history.BATCH]))
        except Error:
            continue  # a tree is missing: a commit can be spoken of without a file
    for change in changes:
        first = next(iter(paths.get(change.row.object_id, ())), "")
        yield replace(change, path=first) if first else change


def _notes(change: Change) -> Iterator[Note]:
    row, short = change.row, change.row.object_id[:12]
    which = f'{row.kind} {short} "{cut(row.subject, MAX_SUBJECT)}" by {cut(row.committer, MAX_SUBJECT)}'
    if row.outcome is Outcome.ACCEPTED_TIME_UNPROVEN:
        message = f"{which}: accepted, but when it was signed is the signer's word alone"
        yield Note(Severity.INFO, Reason.TIME_UNPROVEN, f"{short}: time unproven", message, row.object_id, change.path)
    elif row.outcome is not Outcome.ACCEPTED:
        first = row.decisive
        code = first.reason if first is not None else Reason.EARLIER_STEP
        said = (
            f"step {first.step} {Step(first.step).name.lower()}: {cut(first.detail, MAX_DETAIL)}"
            if first
            else "nothing said"
        )
        word = "rejected" if row.outcome is Outcome.REJECTED else "could not check"
        words = ", ".join(filter(None, (change.origin(), change.content())))
        origin = f" ({words})" if words else ""
        message = f"{which}{origin}: {word}, {said}"
        yield Note(Severity.ERROR, code, f"{short}: {word}: {code}", message, row.object_id, change.path)
    for item in row.contradictions:
        message = f"{which}: {cut(item.detail, MAX_DETAIL)}"
        yield Note(item.severity, item.code, f"{short}: {item.code}", message, row.object_id, change.path)


def _behind(twin: Twin) -> str:
    """`3 commits, accepted`"""
    total = len(twin.rows)
    count = f"{'more than ' if twin.more else ''}{total} commit{'' if total == 1 else 's'}"
    return f"{count}, {twin.outcome.value}"


def cut(text: str, limit: int) -> str:
    """Not longer than that."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
