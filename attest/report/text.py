"""Verdicts as lines for a person. Everything that comes from outside is shown without control characters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attest.errors import Step
from attest.row import Row
from attest.through import ACCEPTING, Through, Who
from attest.types import Finding, Findings, Outcome, Principal, Severity, StepStatus, Verdict

HOUR = 3600
SHORT_ID = 12

_HEADLINES = {
    Outcome.ACCEPTED: "accepted",
    Outcome.ACCEPTED_TIME_UNPROVEN: "accepted, time unproven",
    Outcome.REJECTED: "REJECTED",
    Outcome.COULD_NOT_CHECK: "COULD NOT CHECK",
}


def printable(text: str) -> str:
    """`text` with every control and formatting character replaced by `?`.

    A GitHub runner takes `##[` for the beginning of a command wherever it stands in a line (ActionCommand.cs).
    """
    shown = text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
    return shown.replace("##[", "##?")


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """Headline, identity, the eight findings, remarks."""
    findings = verdict.findings
    yield f"{findings.object_kind} {findings.object_id}: {_HEADLINES[verdict.outcome]}"
    yield from _body(findings)
    sequence = f", trust bundle {verdict.bundle_sequence}" if verdict.bundle_sequence else ""
    old = f", {age(verdict.bundle_age)} old" if sequence and verdict.bundle_age >= HOUR else ""
    rule = f", rule {printable(verdict.rule)}" if verdict.rule else ""
    yield f"  policy {verdict.policy}{rule}{sequence}{old}"


def row_lines(row: Row) -> Iterator[str]:
    """One object of a history: a line, and one more on what stands against it."""
    word = _HEADLINES[row.outcome] if row.outcome is not None else row.format or "unsigned"
    who = row.identity
    name = "-"
    if who is not None:
        name = who.actor.display + (f" for {who.represented.display}" if who.represented else "")
    said = row.subject or row.kind
    yield f"{word:<23} {row.object_id[:SHORT_ID]} {printable(name)}: {printable(said)}"
    first = row.decisive
    quiet = row.outcome in ACCEPTING
    if first is not None and not quiet:
        yield f"  {finding_line(first)}"
    for item in row.contradictions:
        if item.severity is not Severity.INFO:
            yield f"  {item.severity} ({item.code}): {printable(item.detail)}"
    yield from through_lines(row.through)


def through_lines(records: Sequence[Through]) -> Iterator[str]:
    """What rewrite records say of a commit: whose content it is, by whose word, and what that does not say."""
    for each in records:
        if each.refused:
            yield f"  rewrite record {each.record[:SHORT_ID]} is not followed: {printable(each.refused)}"
            continue
        people = "; ".join(person_for(*pair) for pair in each.people()) or "nobody that is proven"
        count = len(each.originals)
        yield (
            f"  content by {printable(people)}: {each.made} of {count} commit{'' if count == 1 else 's'} "
            f"({_HEADLINES[each.outcome].lower()}), {each.relation}, {_seen(each)}"
        )
        yield f"    by rewrite record sha256:{each.record} of {printable(each.by)} at {each.at}"
        yield f"    message, author and the decision to take it are the word of {printable(each.rewriter)}"


def person_for(actor: Who, represented: Who | None) -> str:
    """`claude-code for Alice Example`"""
    return actor.name + (f" for {represented.name}" if represented is not None else "")


def _seen(record: Through) -> str:
    if record.seen:
        return "compared and judged here"
    if record.compared:
        return "compared here; some of what it leads to is the word of records"
    return "the record's word: the originals are not all here"


def summary_line(counts: Mapping[Outcome | None, int]) -> str:
    """`12 objects: 10 accepted, 2 rejected`"""
    total = sum(counts.values())
    parts = [f"{counts[outcome]:,} {_HEADLINES[outcome].lower()}" for outcome in Outcome if counts.get(outcome)]
    return f"{total:,} object{'' if total == 1 else 's'}" + (f": {', '.join(parts)}" if parts else "")


def age(seconds: int) -> str:
    """In the largest unit of which it is at least one: `40 s`, `5 min`, `3 h`, `9 d`."""
    for unit, length in (("d", 24 * HOUR), ("h", HOUR), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def findings_lines(findings: Findings) -> Iterator[str]:
    """The same without a verdict."""
    yield f"{findings.object_kind} {findings.object_id}"
    yield from _body(findings)


def git_lines(verdict: Verdict) -> Iterator[str]:
    """What git shows beside a signature (`--show-signature`, `%GG`)."""
    findings = verdict.findings
    bad = [f for f in findings.findings if f.status is StepStatus.FAILED]
    if verdict.outcome in (Outcome.REJECTED, Outcome.COULD_NOT_CHECK):
        bad = bad or [f for f in findings.findings if f.status is StepStatus.UNAVAILABLE]
        yield "Good signature NOT found" if verdict.outcome is Outcome.COULD_NOT_CHECK else "BAD signature"
        yield from (finding_line(finding) for finding in bad)
        return
    signed = findings.findings[Step.TIME - 1]
    yield f"Good signature by {printable(findings.findings[Step.IDENTITY - 1].detail)}"
    yield f"  {printable(signed.detail)}"
    unseen = ", ".join(_name(f) for f in findings.findings if f.status is StepStatus.UNAVAILABLE)
    if unseen:
        yield f"  not checked here: {unseen}; notme-attest verify looks at all eight steps"


def finding_line(finding: Finding) -> str:
    """`step 3 integrity: failed (digest-mismatch): ...`"""
    reason = f" ({finding.reason})" if finding.reason else ""
    return f"step {finding.step} {_name(finding)}: {finding.status}{reason}: {printable(finding.detail)}"


def _body(findings: Findings) -> Iterator[str]:
    if findings.identity is not None:
        who = findings.identity
        yield f"  actor      {_principal(who.actor)}"
        if who.delegator:
            yield f"  under      {_principal(who.delegator)}, who passed its grant on"
        yield f"  represents {_principal(who.represented) if who.represented else 'nobody named in the certificate'}"
        yield f"  assurance  {who.assurance}"
        if who.payload_unchecked:
            yield "  payload    not checked by the signer, which saw a digest alone"
    for finding in findings.findings:
        yield f"  {finding.step} {_name(finding):<10} {finding.status:<15} {printable(finding.detail)}"
    for item in findings.contradictions:
        yield f"  {item.severity:<10} {printable(item.detail)} ({item.code})"
    if findings.remarks:
        yield f"  remarks    {printable(', '.join(findings.remarks))}"


def _principal(principal: Principal) -> str:
    how = f", {principal.authentication}" if principal.kind == "human" else ""
    return printable(f"{principal.display} <{principal.email}> ({principal.kind}{how})")


def _name(finding: Finding) -> str:
    return Step(finding.step).name.lower()
