"""What an audit prints: text, JSON, CSV and a page, of histories in which every name is hostile."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.audit import charts, facts, markup, page, table, text, watch, words
from attest.audit.data import audit_data
from attest.audit.markup import Html, el
from attest.audit.run import Audit, Audited, Wanted
from attest.audit.standing import Standing
from attest.audit.timeline import MAX_COLUMNS, timeline
from attest.errors import Reason, Step, UnavailableError
from attest.row import Row
from attest.through import Original, Through, Who
from attest.types import Contradiction, Outcome, PrincipalKind, Severity
from tests import auditrows
from tests.auditrows import AT, NOW, acting, agent, failed, human, row, signer, unsigned
from tests.peers import ROOT

SCHEMA = json.loads((ROOT / "docs" / "audit.schema.json").read_text("utf-8"))
EVIL = '"><script>alert(1)</script>&amp;\x1b[31m\u202e\n'
EVIL_HUMAN = human(f"Eve {EVIL}", f"eve{EVIL}@example.net")
HOSTILE = [
    row(1, who=acting(agent(EVIL), EVIL_HUMAN), rule=EVIL, committer=EVIL, subject=EVIL),
    unsigned(2, committer=EVIL, subject=f"={EVIL}"),
    failed(
        row(3, signer=signer(None, key=EVIL, subject=EVIL, algorithm=EVIL, profile="")),
        Step.CHAIN,
        Reason.ANCHOR_UNKNOWN,
    ),
    row(4, contradictions=(Contradiction("agent-signed-off", Severity.ERROR, EVIL),)),
    row(5, date=None),
]


def audited(name: str, rows: Iterable[Row], error: UnavailableError | None = None) -> Audited:
    watching, found = watch.Watch(AT), Audited(name, facts.Facts(), "sha1", "refs/heads/main", "", error)
    watching.begin()
    for each in rows:
        found.facts.add(each)
        for code, example in watching.look(watch.sighting(each)):
            found.facts.anomalies.add(code, watch.SEVERITIES[code], example)
    return found


def made(*repositories: Audited, **wanted: Any) -> Audit:
    return Audit(AT, Wanted(**wanted), "builtin:default", b"\1" * 32, ("authority key 3f9a",), list(repositories))


AUDITS: dict[str, Callable[[], Audit]] = {
    "one repository": lambda: made(audited("r", auditrows.history(300, "one"))),
    "an empty one": lambda: made(audited("r", [])),
    "hostile names": lambda: made(audited(EVIL, HOSTILE)),
    "several, one unreadable": lambda: made(
        audited("a", auditrows.history(100, "a")),
        audited(EVIL, HOSTILE),
        audited("gone", [], UnavailableError(f"no repository at {EVIL}", hint="Name one.")),
        since=0,
        until=NOW,
        refs=("main",),
    ),
}


@pytest.mark.parametrize("name", AUDITS)
def test_json_is_as_its_schema_says(name: str) -> None:
    said = json.loads(json.dumps(audit_data(AUDITS[name]())))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(said)


def test_json_knows_from_which_repository_an_example_is() -> None:
    said = audit_data(AUDITS["several, one unreadable"]())
    examples = [e for anomaly in said["total"]["anomalies"] for e in anomaly["examples"]]
    assert {e["repository"] for e in examples} == {"a", EVIL}
    assert said["total"]["objects"]["total"] == 105
    assert [each["error"] is None for each in said["repositories"]] == [True, True, False]


def test_the_total_is_the_same_however_often_it_is_asked() -> None:
    audit = AUDITS["several, one unreadable"]()
    assert audit_data(audit) == audit_data(audit)


@pytest.mark.parametrize("name", AUDITS)
def test_lines_have_no_control_characters(name: str) -> None:
    assert all(line.isprintable() for line in text.audit_lines(AUDITS[name]()))


def test_lines_say_the_figures() -> None:
    bob = acting(agent("codex"), human("Bob", "bob@example.org"))
    lines = "\n".join(text.audit_lines(made(audited("r", [row(1), row(2), row(3, who=bob), unsigned(4)]))))
    assert "agents, accepted                     3  75.0 %" in lines
    assert "2  claude-code for Alice Example <alice@example.org>, 2026-11-23 to 2026-11-23" in lines
    assert "  2026-11           4    75.0 %    25.0 %" in lines


def test_a_table_reads_back_as_it_was_meant() -> None:
    told = [*HOSTILE, row(6, subject='a "quoted", said'), row(7, who=acting(agent("=cmd()")), subject="  +1")]
    written = table.header() + "".join(table.line("r,\n1", each) for each in told)
    assert written.count("\r\n") == len(told) + 1, "RFC 4180 section 2: each record ends in CRLF"
    read = list(csv.DictReader(io.StringIO(written, newline=""), strict=True))
    assert [tuple(each) for each in read] == [table.COLUMNS] * len(told)
    assert read[0]["repository"] == "r,?1"
    assert read[5]["subject"] == 'a "quoted", said'
    assert read[6]["actor"] == "'=cmd()"
    assert read[6]["subject"].startswith("'")
    assert [each["standing"] for each in read[:4]] == ["agent", "unsigned", "stranger", "agent"]


@given(st.text())
def test_no_cell_is_a_formula(value: str) -> None:
    [[read]] = csv.reader([table.cell(value) or '""'], strict=True)
    assert not read.lstrip().startswith(("=", "+", "-", "@"))
    assert read.isprintable()


class Page(HTMLParser):
    """Tags that are balanced, what they hold, and what they would load."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in markup.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize("name", AUDITS)
def test_a_page_runs_nothing_loads_nothing_and_is_well_formed(name: str) -> None:
    source = page.render(AUDITS[name]())
    parsed = Page(source)
    assert parsed.open == []
    assert not parsed.handlers
    assert parsed.loads == ["data:,"]
    assert parsed.tags["script"] == parsed.tags["img"] == parsed.tags["iframe"] == 0
    assert parsed.tags["h1"] == parsed.tags["main"] == 1
    assert "url(" not in source
    assert "@import" not in source
    assert "\u202e" not in source
    assert "\x1b" not in source
    assert "default-src &#x27;none&#x27;" in source


def test_every_chart_says_in_words_what_it_shows() -> None:
    audit = AUDITS["one repository"]()
    source = page.render(audit)
    assert re.findall(r'<svg[^>]*role="img"[^>]*>(?!<title>)', source) == []
    assert len(re.findall(r'role="img"', source)) == 3 + len(audit.total.pairs.each)


def test_a_page_has_the_figures_in_words() -> None:
    said = "".join(Page(page.render(made(audited("r", [row(1), row(2), row(3), unsigned(4)])))).words)
    assert "Of 4 objects, 3 (75.0 %) are accepted; 1 (25.0 %) are unsigned, and 0 are signed but rejected." in said
    assert "<alice@example.org>" in said


def test_a_page_says_whose_content_others_committed() -> None:
    alice = Who(human().id, PrincipalKind.HUMAN, "Alice Example", "alice@example.org")
    claude = Who(agent().id, PrincipalKind.AGENT, "claude-code", "")
    record = Through("ab" * 32, originals=(Original("1" * 40, True, Outcome.ACCEPTED, claude, alice),))
    with_record = "".join(Page(page.render(made(audited("r", [unsigned(1, through=(record,)), row(2)])))).words)
    assert page.REWRITTEN in with_record
    assert "claude-code for Alice Example" in " ".join(with_record.split())
    assert page.REWRITTEN not in "".join(Page(page.render(made(audited("r", [unsigned(1), row(2)])))).words)


def test_a_page_stays_small_whatever_is_audited(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [unsigned(n, committer=f"{n} {EVIL * 20}") for n in range(250)]
    names += [failed(row(n, who=acting(agent(f"{n}"))), Step.POLICY, Reason.NO_RULE) for n in range(250)]
    monkeypatch.setattr(page, "MAX_DETAILED", 2)
    sizes = [len(page.render(made(*(audited(f"r{n}", names) for n in range(many))))) for many in (2, 4, 6)]
    assert sizes[0] < 1_000_000
    assert sizes[2] - sizes[1] < 8_000, "two further repositories are two rows"


COLUMNS = {
    "a month without objects is a gap": ({"2026-08": 1, "2026-10": 2}, "month", ["2026-08", "2026-09", "2026-10"], 0),
    "three years are quarters": ({"2023-10": 1, "2026-11": 1}, "quarter", 13, 0),
    "thirty years are years": ({"1996-05": 1, "2026-11": 1}, "year", 31, 0),
    "one old date is left out": ({"1970-01": 1, "2026-10": 300, "2026-11": 300}, "month", ["2026-10", "2026-11"], 1),
    "a date to come is left out": ({"2026-11": 3, "9999-12": 2}, "month", ["2026-11"], 2),
    "no date at all": ({"": 4}, "month", [], 4),
    "half of it very old": ({"1970-01": 1, "2026-11": 1}, "year", MAX_COLUMNS, 1),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_time_is_made_into_columns(name: str) -> None:
    months, unit, labels, left_out = COLUMNS[name]
    found = timeline({month: Counter({Standing.AGENT: many}) for month, many in months.items()}, AT)
    told = [column.label for column in found.columns]
    assert (found.unit, found.left_out) == (unit, left_out)
    assert (told if isinstance(labels, list) else len(told)) == labels
    assert sum(column.total for column in found.columns) + left_out == sum(months.values())
    assert found.spread(months) == [column.total for column in found.columns]


@given(st.integers(0, 10**9))
def test_an_axis_ends_little_above_its_highest_column(value: int) -> None:
    top = charts.nice(value)
    assert top >= value
    assert top <= max(1, 2 * value)
    assert top % 2 == 0 or top == 1


def test_a_share_is_rounded_to_nothing_or_all_only_where_it_is() -> None:
    told = [words.share(part, 100_000) for part in (0, 1, 12_345, 99_999, 100_000)]
    assert told == ["0 %", "< 0.1 %", "12.3 %", "> 99.9 %", "100 %"]


def test_only_what_is_made_as_markup_is_markup() -> None:
    assert el("b", "<i>", Html("<u>"), [1, None, ["&"]], title='"', hidden=True, lang=None) == (
        '<b title="&quot;" hidden>&lt;i&gt;<u>1&amp;</b>'
    )
    with pytest.raises(ValueError, match="is no name"):
        el("b onclick=x")
    with pytest.raises(ValueError, match="style sheet"):
        markup.verbatim_style("</style>")


def test_every_column_of_the_strip_is_as_wide_as_its_share() -> None:
    drawn = charts.strip(Counter({Standing.AGENT: 3, Standing.UNSIGNED: 1}), "all")
    assert re.findall(r'<rect x="([\d.]+)" y="0" width="([\d.]+)"', drawn) == [("0", "75"), ("75", "25")]
