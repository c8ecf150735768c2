"""Checking a chain of handoffs: who signed each, whether each is about its document, and whether each follows the last.

What is missing is never taken for good: a phase, a document or a key that is not there leaves open what it would have
shown. Only the last phases can be taken away whole without a trace in the rest; who knows the last hash says it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from attest import dsse
from attest.apas import chain, handoff_files
from attest.apas.handoff import Handoff, Shape
from attest.apas.handoff_files import Collection, Found
from attest.apas.handoff_signers import NOBODY, Signers
from attest.apas.handoff_statement import Said
from attest.errors import ACCEPTED, REJECTED, UNCHECKED, Error, MalformedError, UnavailableError
from attest.repository import Repository

MAX_PHASES = 64
READER_STOPS = 10
"""Phases that rosary's own reader reads; it passes over the rest without a word."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be checked. Without `who` nobody's signature counts; `unsigned` asks for links alone (APAS level 1).

    `last` is the chain hash that the last phase is to have, hex, and `work_item` what all of it is to be for; or empty.
    """

    who: Signers = NOBODY
    unsigned: bool = False
    documents: bool = True
    repo: Repository | None = None
    last: str = ""
    work_item: str = ""


@dataclass(slots=True)
class Phase:
    """What was found of one phase: `failed` are sentences on what is false, `open` on what could not be checked.

    `sources` are the files that count for it; `signers` are ids of keys, and URIs of whom certificates name.
    """

    handoff: Handoff
    sources: tuple[str, ...]
    signers: tuple[str, ...] = ()
    failed: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """As an exit status."""
        return REJECTED if self.failed else UNCHECKED if self.open else ACCEPTED


@dataclass(frozen=True, slots=True)
class Checked:
    """A chain as it was found, in its order; `failed` and `open` are about no single phase of it."""

    phases: tuple[Phase, ...]
    failed: tuple[str, ...]
    open: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def status(self) -> int:
        """As an exit status: of the worst."""
        statuses = {phase.status for phase in self.phases}
        if self.failed or REJECTED in statuses:
            return REJECTED
        return UNCHECKED if self.open or UNCHECKED in statuses or not self.phases else ACCEPTED


def check(files: Collection, asked: Asked) -> Checked:
    """Check the chain that the files hold. Raises `MalformedError` for more than `MAX_PHASES`."""
    groups = _groups(files.found)
    if len(groups) > MAX_PHASES:
        raise MalformedError(f"{len(groups)} phases; at most {MAX_PHASES} are checked")
    phases = tuple(_phase(group, files, asked) for group in groups)
    _check_links(phases)
    failed = [f"{name}: {message}" for name, message in files.broken]
    if asked.last and phases and phases[-1].handoff.chain_hash != asked.last:
        failed.append(f"the chain ends with {phases[-1].handoff.chain_hash}, not with {asked.last}")
    if asked.repo is not None:
        _check_commits(phases, asked.repo)
    remarks = []
    if len(phases) > READER_STOPS:
        remarks.append(f"{len(phases)} phases: rosary's own reader stops after {READER_STOPS} and does not say so")
    used = {source for phase in phases for source in phase.sources}
    if left := [each.source for each in files.found if each.source not in used]:
        remarks.append(f"not signed by anybody who counts, and passed over: {', '.join(left)}")
    if files.passed_over:
        remarks.append(f"{files.passed_over} statement(s) are of other types and were passed over")
    missing = () if phases else ("there is no handoff to check",)
    return Checked(phases, tuple(failed), missing, tuple(remarks))


def _groups(found: Sequence[Found]) -> list[list[Found]]:
    """The files of each phase together, in the order of the phases; where none is numbered, as they were named."""
    numbered = [each for each in found if each.handoff.phase is not None]
    if not numbered:
        return [[each] for each in found]
    if len(numbered) != len(found):
        raise MalformedError(
            "some of the handoffs say which phase they end and some do not, so that they have no order",
            hint="check the latter by themselves, in their order",
        )
    groups: dict[int, list[Found]] = {}
    for each in found:
        groups.setdefault(each.handoff.phase or 0, []).append(each)
    return [groups[number] for number in sorted(groups)]


def _phase(group: list[Found], files: Collection, asked: Asked) -> Phase:
    signed, signers, complaint = _signed(group, asked.who)
    stated = [each for each in group if each.said is not None]
    # What is signed is what counts; of several, all have to say the same.
    chosen = (signed or stated or group)[0]
    # Beside what is signed, Statements that nobody signed who counts show nothing, and could say anything.
    used = [each for each in group if not signed or each in signed or each.document is not None]
    made = Phase(chosen.handoff, tuple(each.source for each in used), signers)
    if asked.work_item and made.handoff.work_item != asked.work_item:
        made.failed.append(f"it is of work item {made.handoff.work_item or '(none)'}, not of {asked.work_item}")
    if asked.unsigned:
        made.signers = ()
    elif not asked.who:
        named = "--attester-key, --attester or --certificate-identity names somebody"
        made.open.append(f"nobody's signature counts: {named}")
    elif isinstance(complaint, UnavailableError):
        made.open.append(complaint.message)
    elif not signed:
        made.failed.append(complaint.message if complaint is not None else "nobody signed it")
    for other in signed or stated:
        if other.said != chosen.said:
            made.failed.append(f"{chosen.source} and {other.source} say different things of it")
    _check_documents(made, chosen, group, files, asked)
    _check_itself(made)
    return made


def _signed(group: Iterable[Found], who: Signers) -> tuple[list[Found], tuple[str, ...], Error | None]:
    """The Statements that one of them signed, by whom, and without any what is wrong with the last of the others."""
    signed, signers = list[Found](), dict[str, None]()
    complaint: Error | None = None
    for each in group:
        if each.envelope is None:
            continue
        try:
            signers |= dict.fromkeys(who.of(each))
            signed.append(each)
        except UnavailableError as error:
            complaint = UnavailableError(f"{each.source}: {error.message}")
        except Error as error:
            complaint = complaint or MalformedError(f"{each.source}: {error.message}")
    return signed, tuple(signers), None if signed else complaint


def _check_documents(made: Phase, chosen: Found, group: Iterable[Found], files: Collection, asked: Asked) -> None:
    """Every document of rosary's that is there, and the one that the Statement names, against the Statement."""
    there = [each for each in group if each.document is not None]
    said = chosen.said
    if said is None:
        if any(each.document != there[0].document for each in there):
            made.failed.append("there are two different documents of it")
        return
    compared = 0
    for each in there:
        compared += 1
        if not _agree(each, chosen, said):
            made.failed.append(f"{each.source} is not what was handed on: it was changed, or is another")
    if not any(each.document.name == said.name for each in there if each.document is not None):
        named = handoff_files.beside(files.folders, said.name)
        compared += named is not None
        if named is not None and named.sha256 != said.sha256:
            made.failed.append(f"{named.name} is not what was handed on: it was changed, or is another")
    if not compared and asked.documents:
        made.open.append(f"{said.name or 'its document'} is not there, and was not compared")


def _agree(document: Found, chosen: Found, said: Said) -> bool:
    """Whether a document of rosary's has the subject's digest, and the Statement says what it says."""
    assert document.document is not None
    if document.document.sha256 != said.sha256:
        return False
    if chosen.handoff.shape is Shape.ROSARY:
        return dsse.read_json(document.document.data) == said.predicate
    return document.handoff.link == chosen.handoff.link


def _check_itself(made: Phase) -> None:
    found = made.handoff
    if found.link is None:
        made.open.append("it does not say over what its chain hash is")
    elif found.stated and found.stated != found.link.hash():
        made.failed.append(f"its chain hash is {found.link.hash()}, and it says {found.stated}")


def _check_links(phases: Sequence[Phase]) -> None:
    """Order, gaps, hashes, and that all are of one work item."""
    before: Phase | None = None
    for number, phase in enumerate(phases):
        found = phase.handoff
        expected = number if before is None else (before.handoff.phase or 0) + 1
        if found.phase is not None and found.phase != expected:
            phase.open.append(f"phase {expected} is not there, so that nothing shows what came before")
        elif before is None:
            if found.previous:
                phase.open.append("the handoff before it is not there")
        elif found.link is not None and found.link.version == chain.NAMED:
            phase.open.append("version 1 names the file before it and not its hash, so that any could stand there")
        elif found.previous != before.handoff.chain_hash or not found.previous:
            phase.failed.append(
                f"it follows {found.previous or 'nothing'}, and before it is {before.handoff.chain_hash or 'no hash'}"
            )
        if before is not None and found.work_item != before.handoff.work_item:
            phase.failed.append(f"it is of work item {found.work_item}, the one before of {before.handoff.work_item}")
        before = phase


def _check_commits(phases: Iterable[Phase], repo: Repository) -> None:
    """Whether the repository has every commit that is named. One process of git for all."""
    named = dict.fromkeys(commit for phase in phases for commit in phase.handoff.commits)
    if not named:
        return
    asked = "".join(f"{commit}\n" for commit in named).encode("ascii")
    done = repo.git("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked)
    kinds = dict(line.split(" ", 1) for line in done.stdout.decode("ascii", "replace").splitlines())
    for phase in phases:
        for commit in phase.handoff.commits:
            kind = kinds.get(commit, "missing")
            if kind == "missing":
                phase.open.append(f"commit {commit} is not in the repository")
            elif kind != "commit":
                phase.failed.append(f"{commit} is a {kind}, and no commit")
