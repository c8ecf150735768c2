"""An audit as lines for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from attest.audit.facts import Facts
from attest.audit.run import Audit, Audited
from attest.audit.standing import Standing
from attest.audit.tally import Tally
from attest.audit.words import STANDINGS, behalf, count, date, period, share, title
from attest.report.text import printable

SHOWN = 10
"""Lines of one list; --json and --html have more."""

SHOWN_MONTHS = 12


def audit_lines(audit: Audit) -> Iterator[str]:
    """Everything together, then each repository in a line or two."""
    total = audit.total
    several = len(audit.repositories) > 1
    yield f"{count(total.total, 'object')}{period(audit)}, policy {printable(audit.policy)}"
    yield from _facts(total, several=several)
    if several:
        yield ""
        yield "repositories"
    for each in audit.repositories:
        if several:
            yield from _repository(each)
        elif each.error is not None:
            yield ""
            yield f"NOT ALL WAS READ: {printable(each.error.message)}"


def _facts(facts: Facts, *, several: bool) -> Iterator[str]:
    for standing in Standing:
        if many := facts.standings[standing]:
            yield f"  {STANDINGS[standing].name:<28} {many:>9,}  {share(many, facts.total)}"
    yield from _months(facts)
    if facts.pairs.each:
        yield ""
        yield "who signed for whom"
        for pair, span in facts.pairs.ranked()[:SHOWN]:
            when = f"{date(span.first)} to {date(span.last)}"
            yield f"  {span.count:>9,}  {printable(pair.actor)} {printable(behalf(pair))}, {when}"
        yield from _more(len(facts.pairs.each), "pair")
    yield from _tallies(facts)
    if facts.unknown.each:
        yield ""
        yield "signers whom nothing vouches for"
        for who, span in facts.unknown.ranked()[:SHOWN]:
            yield f"  {span.count:>9,}  {who.kind} {printable(who.key)} {printable(who.says)}".rstrip()
        yield from _more(len(facts.unknown.each), "signer")
    if facts.unsigned.each:
        yield ""
        yield "unsigned, by the committers they name"
        for name, span in facts.unsigned.ranked()[:SHOWN]:
            yield f"  {span.count:>9,}  {printable(name)}"
        yield from _more(len(facts.unsigned.each), "name")
    if facts.rewritten.each:
        yield ""
        yield "content by rewrite records, whoever committed it"
        for pair, span in facts.rewritten.ranked()[:SHOWN]:
            yield f"  {span.count:>9,}  {printable(pair.actor)} {printable(behalf(pair))}"
        yield from _more(len(facts.rewritten.each), "pair")
    anomalies = list(facts.anomalies.ranked())
    if anomalies:
        yield ""
        yield "to look at"
    for code, anomaly in anomalies:
        yield f"  {anomaly.count:>9,}  {anomaly.severity}: {title(code)} ({code})"
        first = anomaly.examples[0]
        where = f"{printable(first.repository)} " if several else ""
        yield f"             {where}{first.object_id[:12]}: {printable(first.detail)}"


def _months(facts: Facts) -> Iterator[str]:
    months = sorted(name for name in facts.months if name)[-SHOWN_MONTHS:]
    if not months:
        return
    yield ""
    yield f"{'by month':<12}{'objects':>9}{'accepted':>10}{'unsigned':>10}"
    for name in months:
        counts = facts.months[name]
        total, unsigned = sum(counts.values()), counts[Standing.UNSIGNED]
        accepted = sum(many for each, many in counts.items() if STANDINGS[each].good)
        yield f"  {name:<10}{total:>9,}{share(accepted, total):>10}{share(unsigned, total):>10}"


def _tallies(facts: Facts) -> Iterator[str]:
    named = (
        ("assurance", facts.assurance),
        ("authenticated by", facts.authentication),
        ("time vouched by", facts.vouchers),
        ("epoch", facts.epochs),
        ("format", facts.formats),
        ("algorithm", facts.algorithms),
    )
    told = [f"  {name:<17} {_tally(tally)}" for name, tally in named if tally.counts]
    if told:
        yield ""
        yield "what the signatures are worth"
        yield from told
    ruled = [(ruling, span) for ruling, span in facts.rules.ranked() if ruling.rule]
    if ruled:
        yield ""
        yield "rules that decided"
        for ruling, span in ruled[:SHOWN]:
            reason = f" ({ruling.reason})" if ruling.reason else ""
            yield f"  {span.count:>9,}  {printable(ruling.rule)}: {ruling.outcome}{reason}"
        yield from _more(len(ruled), "ruling")


def _tally(tally: Tally) -> str:
    shown = [f"{printable(name)} {many:,}" for name, many in tally.counts.most_common(SHOWN)]
    rest = sum(tally.counts.values()) + tally.others - sum(many for _, many in tally.counts.most_common(SHOWN))
    return ", ".join([*shown, *([f"others {rest:,}"] if rest else [])])


def _more(total: int, what: str) -> Iterator[str]:
    if total > SHOWN:
        yield f"             and {count(total - SHOWN, f'more {what}')}"


def _repository(each: Audited) -> Iterator[str]:
    facts = each.facts
    unsigned = facts.standings[Standing.UNSIGNED]
    yield (
        f"  {printable(each.name)}: {count(facts.total, 'object')}, {share(facts.accepted, facts.total)} accepted,"
        f" {share(unsigned, facts.total)} unsigned, {facts.standings[Standing.REJECTED]:,} rejected"
    )
    if each.error is not None:
        yield f"    NOT ALL WAS READ: {printable(each.error.message)}"
