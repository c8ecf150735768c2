"""The parts of an audit's page that one repository and all of them together have alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attest.audit import charts
from attest.audit.facts import Facts, Pair
from attest.audit.markup import Child, Html, el
from attest.audit.standing import Standing
from attest.audit.tally import Anomalies, K, Span, Spans, Tally
from attest.audit.timeline import Timeline
from attest.audit.words import STANDINGS, behalf, count, date, share, title

KINDS = {
    "Assurance": "What kept the agent apart from its human's keys",
    "Authentication": "How the human (or who acted alone) proved who it is",
    "Time": "Who vouches best for the time of signing",
    "Epoch": "Generation of the authority's keys",
    "Signer": "Profile or kind of credential, of all signatures",
    "Format": "As git calls it, of all signatures",
    "Algorithm": "Of all signatures",
}


def over_time(facts: Facts, line: Timeline) -> Iterator[Child]:
    """Both charts and their table."""
    if not line.columns:
        yield el("p", "No object has a date.", class_="note")
        return
    unit, total = line.unit, facts.total
    what = f"Objects a {unit} by how they stand, {line.columns[0].label} to {line.columns[-1].label}; a table follows"
    yield el("h3", f"Objects a {unit}")
    yield charts.stacked(line.columns, what)
    unsigned = facts.standings[Standing.UNSIGNED]
    yield el("h3", "Unsigned, as a share of each ", unit)
    yield el("div", charts.shares(line.columns, Standing.UNSIGNED, f"Unsigned share a {unit}"), class_="small")
    yield el("p", f"{unsigned:,} of {total:,} over the whole time, {share(unsigned, total)}.", class_="note")
    if line.left_out:
        yield el(
            "p", f"{count(line.left_out, 'object')} without a date, or dated outside, not in the charts.", class_="note"
        )
    used = [each for each in Standing if facts.standings[each]]
    rows = [
        (
            el("th", column.label, scope="row", class_="date"),
            *(el("td", f"{column.counts[each]:,}", class_="num") for each in used),
            el("td", share(column.counts[Standing.UNSIGNED], column.total), class_="num"),
        )
        for column in reversed(line.columns)
    ]
    head = [(unit.capitalize(), ""), *((STANDINGS[s].name, "num") for s in used), ("unsigned share", "num")]
    yield folded("The same as a table", table(head, rows, len(rows)))


def look_at(anomalies: Anomalies, several: bool) -> Child:
    """What is odd, the gravest first."""
    items = []
    for code, anomaly in anomalies.ranked():
        rows = [
            (
                *((el("td", e.repository, class_="name"),) if several else ()),
                el("td", el("code", e.object_id[:12])),
                el("td", date(e.date), class_="date"),
                el("td", e.detail, class_="name"),
            )
            for e in anomaly.examples
        ]
        head = [*((("Repository", ""),) if several else ()), ("Object", ""), ("Dated", ""), ("What", "")]
        items.append(
            el(
                "li",
                el(
                    "div",
                    el("span", anomaly.severity, class_=f"tag {anomaly.severity}"),
                    el("span", title(code), " ", el("code", code, class_="note"), class_="what"),
                    el("span", f"{anomaly.count:,}", class_="num"),
                    class_="head",
                ),
                folded(
                    count(len(rows), "object")
                    if len(rows) == anomaly.count
                    else f"{len(rows)} of {anomaly.count:,} objects",
                    table(head, rows, len(rows)),
                ),
            )
        )
    if not items:
        return el("p", "Nothing.", class_="note")
    return el("ul", items, class_="look")


def pairs(facts: Facts, limit: int, line: Timeline) -> Child:
    """Who acted for whom, each with the same axes over time."""
    ranked = facts.pairs.ranked()[:limit]
    most = ranked[0][1].count if ranked else 0
    spread = [line.spread(facts.pair_months.get(pair, {})) for pair, _ in ranked]
    top = max((many for counts in spread for many in counts), default=0) or 1
    rows = [
        (
            _who(pair),
            *_figures(span, most, _kind(pair)),
            el("td", charts.pulse(counts, _kind(pair), top)),
            el("td", share(span.accepted, span.count), class_="num"),
            el("td", pair.authentication),
        )
        for (pair, span), counts in zip(ranked, spread, strict=True)
    ]
    head = [("Who signed, and for whom", ""), *_FIGURES, ("Over time", ""), ("Accepted", "num"), ("Proved by", "")]
    return listed(head, rows, facts.pairs, "pair")


def rewritten(facts: Facts, limit: int) -> Child:
    """Whose content was squashed, rebased or merged, by rewrite records."""
    ranked = facts.rewritten.ranked()[:limit]
    most = ranked[0][1].count if ranked else 0
    rows = [
        (_who(pair), *_figures(span, most, _kind(pair)), el("td", share(span.accepted, span.count), class_="num"))
        for pair, span in ranked
    ]
    head = [("Whose content, and for whom", ""), *_FIGURES, ("Accepted", "num")]
    return listed(head, rows, facts.rewritten, "pair")


def _who(pair: Pair) -> Html:
    return el(
        "th",
        el("span", pair.actor, title=pair.actor_id),
        " ",
        el("span", behalf(pair), class_="behalf", title=pair.represented_id or None),
        scope="row",
        class_="name",
    )


def _kind(pair: Pair) -> str:
    return pair.actor_kind if pair.actor_kind in ("agent", "human") else "program"


def strangers(facts: Facts, limit: int) -> Child:
    """Signers that nothing vouches for."""
    ranked = facts.unknown.ranked()
    most = ranked[0][1].count if ranked else 0
    rows = [
        (
            el("th", el("code", who.key or "key unknown"), scope="row", class_="name"),
            el("td", who.says or "-", class_="name"),
            *_figures(span, most, "stranger"),
            el("td", who.kind),
        )
        for who, span in ranked[:limit]
    ]
    head = [("Key", ""), ("Says it is", ""), *_FIGURES, ("Kind", "")]
    return listed(head, rows, facts.unknown, "signer")


def unsigned(facts: Facts, limit: int) -> Child:
    """Whom unsigned objects name."""
    ranked = facts.unsigned.ranked()
    most = ranked[0][1].count if ranked else 0
    rows = [
        (el("th", name or "nobody", scope="row", class_="name"), *_figures(span, most, "unsigned"))
        for name, span in ranked[:limit]
    ]
    head = [("Committer or tagger, as it says", ""), *_FIGURES]
    return listed(head, rows, facts.unsigned, "name")


def rulings(facts: Facts, limit: int) -> Child:
    """What the policy said."""
    ranked = facts.rules.ranked()
    most = ranked[0][1].count if ranked else 0
    rows = [
        (
            el("th", ruling.rule or "no rule", scope="row", class_="name"),
            el("td", ruling.outcome),
            el("td", el("code", ruling.reason) if ruling.reason else "-"),
            *_figures(span, most, "plain"),
        )
        for ruling, span in ranked[:limit]
    ]
    head = [("Rule", ""), ("Outcome", ""), ("Reason", ""), *_FIGURES]
    return listed(head, rows, facts.rules, "ruling")


def worth(facts: Facts, limit: int) -> Child:
    """Distributions side by side."""
    counted = (facts.assurance, facts.authentication, facts.vouchers, facts.epochs)
    tallies = (*counted, facts.signers, facts.formats, facts.algorithms)
    parts = []
    for (name, means), tally in zip(KINDS.items(), tallies, strict=True):
        if tally.counts:
            parts.append(el("div", el("h3", name), el("p", means, class_="note"), _tally(tally, limit)))
    return el("div", parts, class_="pairs") if parts else el("p", "No signature.", class_="note")


def _tally(tally: Tally, limit: int) -> Html:
    total = sum(tally.counts.values()) + tally.others
    shown = tally.counts.most_common(limit)
    rest = total - sum(many for _, many in shown)
    named = [*shown, *([("others", rest)] if rest else [])]
    rows = [
        (
            el("th", name, scope="row", class_="name"),
            el("td", f"{many:,}", class_="num"),
            el("td", share(many, total), class_="num"),
            el("td", charts.bar(many, total), class_="wide"),
        )
        for name, many in named
    ]
    return table([("", ""), ("Objects", "num"), ("Share", "num"), ("", "")], rows, len(rows))


_FIGURES = (("Objects", "num"), ("", "wide"), ("First", ""), ("Last", ""))


def _figures(span: Span, most: int, kind: str) -> tuple[Html, ...]:
    return (
        el("td", f"{span.count:,}", class_="num"),
        el("td", charts.bar(span.count, most, kind), class_="wide"),
        el("td", date(span.first), class_="date"),
        el("td", date(span.last), class_="date"),
    )


def listed(head: Sequence[tuple[str, str]], rows: Sequence[Sequence[Child]], of: Spans[K], what: str) -> Child:
    """A table of the first of them, and how many more there are."""
    if not rows:
        return el("p", "None.", class_="note")
    return (
        el("div", table(head, rows, len(of.each)), class_="most"),
        more(len(of.each) - len(rows), what, of.others.count),
    )


def more(left: int, what: str, uncounted: int = 0) -> Child:
    """What a list leaves out."""
    if uncounted:
        return el(
            "p", f"And {count(left, f'more {what}')}, and {count(uncounted, 'object')} of still others.", class_="note"
        )
    return el("p", f"And {count(left, f'more {what}')}.", class_="note") if left > 0 else None


def table(head: Sequence[tuple[str, str]], rows: Iterable[Sequence[Child]], of: int) -> Html:
    """A table that scrolls by itself where it is too wide. `head` has names and classes of its columns."""
    cells = [
        el("th" if name else "td", name, scope="col" if name else None, class_=kind or None) for name, kind in head
    ]
    body = el("tbody", [el("tr", row) for row in rows])
    inner = el("table", el("thead", el("tr", cells)), body)
    return el("div", inner, class_="scroll", tabindex=0, role="region", aria_label=f"Table, {count(of, 'row')}")


def folded(summary: str, *inside: Child) -> Html:
    """What is shown when asked for."""
    return el("details", el("summary", summary), inside)
