"""An audit as one page: no script, nothing from elsewhere. A manager reads its top, an auditor opens the rest."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from attest.audit import charts, sections
from attest.audit.facts import Facts
from attest.audit.markup import Child, el, verbatim_style
from attest.audit.run import Audit, Audited
from attest.audit.standing import Standing
from attest.audit.timeline import timeline
from attest.audit.words import STANDINGS, count, period, share
from attest.instants import rfc3339
from attest.types import Severity

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)

MAX_ROWS = 100
MAX_REPOSITORY_ROWS = 20
"""Rows of one table, over all and of one repository: a page that a phone can open. `--json` has them all."""

REWRITTEN = "Whose content others committed"

MAX_DETAILED = 100
"""Repositories that have their own sections; the others have their line in the table."""


def render(audit: Audit) -> str:
    """The whole file."""
    name = _name(audit)
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=CONTENT_SECURITY_POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", f"Audit of {name}"),
        el("link", rel="icon", href="data:,"),
        verbatim_style(resources.files(__package__).joinpath("style.css").read_text("utf-8")),
    )
    body = el("body", _header(audit, name), el("main", list(_main(audit))), _footer(audit))
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


def _name(audit: Audit) -> str:
    [*names] = (each.name for each in audit.repositories)
    return names[0] if len(names) == 1 else count(len(names), "repository")


def _header(audit: Audit, name: str) -> Child:
    when = rfc3339(int(audit.at.timestamp())).replace("T", " ").replace("Z", " UTC")
    return el(
        "header",
        el("p", "notme audit", class_="brand"),
        el("h1", f"Who signed {name}"),
        el("p", f"{when}{period(audit)}, under policy {audit.policy}", class_="facts"),
    )


def _main(audit: Audit) -> Iterator[Child]:
    total, several = audit.total, len(audit.repositories) > 1
    line = timeline(total.months, audit.at)
    for each in audit.repositories:
        if each.error is not None and not several:
            yield _failed(each)
    if unread := [each for each in audit.repositories if each.error is not None and several]:
        yield el("p", f"Of {count(len(unread), 'repository')} not everything could be read.", class_="failed")
    yield el("p", _sentence(total, audit.trusts), class_="lead")
    yield _tiles(total)
    if total.total:
        strip = charts.strip(total.standings, "All objects, divided by how they stand; the list below has the numbers")
        yield el("div", strip, charts.legend(total.standings), class_="card")
        yield el("h2", "Over time")
        yield el("p", "By the committer's date, in UTC, as each object claims it.", class_="note")
        yield el("div", list(sections.over_time(total, line)), class_="card")
    yield el("h2", "To look at")
    reasons = el("code", "notme-attest reasons CODE")
    yield el("p", reasons, " explains the codes, by what stands after the colon.", class_="note")
    yield sections.look_at(total.anomalies, several)
    yield el("h2", "Who signed for whom")
    yield el("p", "Proven by certificates and keys, not by what commits say.", class_="note")
    yield sections.pairs(total, MAX_ROWS, line)
    if total.rewritten.each:
        yield el("h2", REWRITTEN)
        yield el("p", "By rewrite records that others signed, whoever made the commit itself.", class_="note")
        yield sections.rewritten(total, MAX_ROWS)
    yield el("h2", "What the signatures are worth")
    yield el("p", "The first four are of accepted signatures; the others of all.", class_="note")
    yield sections.worth(total, MAX_REPOSITORY_ROWS)
    yield el("h2", "What the policy said")
    yield sections.rulings(total, MAX_ROWS)
    yield el("h2", "Signers whom nothing vouches for")
    yield sections.strangers(total, MAX_ROWS)
    yield el("h2", "Unsigned")
    yield el("p", "Names that anybody can write.", class_="note")
    yield sections.unsigned(total, MAX_ROWS)
    if several:
        yield el("h2", "Repositories")
        yield from _repositories(audit)
    yield el("h2", "What the words mean")
    yield el("dl", [(el("dt", words.name), el("dd", words.means)) for words in STANDINGS.values()])


def _sentence(total: Facts, trusts: tuple[str, ...]) -> Child:
    if not total.total:
        return "There is no object to look at."

    def part(many: int) -> Child:
        return f"{many:,} (", el("span", share(many, total.total), class_="num"), ")"

    unsigned, rejected = total.standings[Standing.UNSIGNED], total.standings[Standing.REJECTED]
    nobody = " No authority and no key was named whose signatures count, so that none could be accepted."
    return (
        f"Of {count(total.total, 'object')}, ",
        part(total.accepted),
        " are accepted; ",
        part(unsigned),
        f" are unsigned, and {rejected:,} are signed but rejected.",
        "" if trusts else nobody,
    )


def _tiles(total: Facts) -> Child:
    agents = {key.actor_id for key in total.pairs.each if key.actor_kind == "agent"}
    humans = {key.represented_id or key.actor_id for key in total.pairs.each if _human(key.actor_kind, key.represented)}
    grave = sum(a.count for a in total.anomalies.each.values() if a.severity is Severity.ERROR)
    odd = sum(a.count for a in total.anomalies.each.values() if a.severity is Severity.WARNING)
    unsigned = total.standings[Standing.UNSIGNED]
    tiles = (
        (share(total.accepted, total.total), "accepted", ""),
        (share(unsigned, total.total), "unsigned", "warn" if unsigned else ""),
        (f"{len(agents):,}", f"agent{'' if len(agents) == 1 else 's'} at work", ""),
        (f"{len(humans):,}", "people behind the signatures", ""),
        (f"{grave:,}", "errors to look at", "bad" if grave else ""),
        (f"{odd:,}", "warnings to look at", "warn" if odd else ""),
    )
    return el("ul", [el("li", el("b", number), el("span", what), class_=kind or None) for number, what, kind in tiles],
              class_="tiles")  # fmt: skip


def _human(actor_kind: str, represented: str) -> bool:
    return bool(represented) or actor_kind == "human"


def _repositories(audit: Audit) -> Iterator[Child]:
    rows = []
    for each in audit.repositories:
        facts = each.facts
        unsigned = facts.standings[Standing.UNSIGNED]
        rows.append(
            (
                el("th", each.name, scope="row", class_="name"),
                el("td", f"{facts.total:,}", class_="num"),
                el("td", share(facts.accepted, facts.total), class_="num"),
                el("td", share(unsigned, facts.total), class_="num"),
                el("td", f"{facts.standings[Standing.REJECTED]:,}", class_="num"),
                el("td", charts.spark(timeline(facts.months, audit.at).columns)),
                el("td", "not all was read" if each.error else "", class_="error"),
            )
        )
    head = (("Repository", ""), ("Objects", "num"), ("Accepted", "num"), ("Unsigned", "num"), ("Rejected", "num"))
    yield sections.table((*head, ("Over time", ""), ("", "")), rows, len(rows))
    for each in audit.repositories[:MAX_DETAILED]:
        yield el("details", el("summary", each.name), el("div", list(_repository(audit, each)), class_="card"),
                 class_="repository")  # fmt: skip
    yield sections.more(len(audit.repositories) - MAX_DETAILED, "repository")


def _repository(audit: Audit, each: Audited) -> Iterator[Child]:
    facts = each.facts
    if each.error is not None:
        yield _failed(each)
    where = ", ".join(filter(None, (each.address, each.ref, each.object_format)))
    yield el("p", where, class_="facts")
    if not facts.total:
        return
    yield charts.strip(facts.standings, f"Objects of {each.name}, divided by how they stand")
    yield charts.legend(facts.standings)
    line = timeline(facts.months, audit.at)
    yield from sections.over_time(facts, line)
    yield el("h3", "To look at")
    yield sections.look_at(facts.anomalies, several=False)
    yield el("h3", "Who signed for whom")
    yield sections.pairs(facts, MAX_REPOSITORY_ROWS, line)
    if facts.rewritten.each:
        yield el("h3", REWRITTEN)
        yield sections.rewritten(facts, MAX_REPOSITORY_ROWS)
    for name, section in (
        ("What the signatures are worth", sections.worth),
        ("What the policy said", sections.rulings),
        ("Signers whom nothing vouches for", sections.strangers),
        ("Unsigned", sections.unsigned),
    ):
        yield el("h3", name)
        yield section(facts, MAX_REPOSITORY_ROWS)


def _failed(each: Audited) -> Child:
    assert each.error is not None
    return el(
        "p",
        el("b", "Not everything could be read. "),
        f"{each.error.message}. {each.error.hint}".rstrip(),
        class_="failed",
    )


def _footer(audit: Audit) -> Child:
    trust = "; ".join(audit.trusts) or "nobody's"
    digest = el("code", audit.policy_sha256.hex())
    return el(
        "footer",
        el("p", f"Signatures that count: {trust}. Policy {audit.policy}, SHA-256 ", digest, "."),
        el("p", "Made by notme-attest audit. Every figure is of what the named refs reach in the copy that was read."),
    )
