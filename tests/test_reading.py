"""Tables and manual pages from what is given; what programs of others make of them is in tests/compat."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import click
import pytest

from attest import cli as attest_cli
from notme_git.cli import cli as notme_cli
from notme_git.reading import completion, manpage, table
from notme_git.reading.completion import complete_agent
from notme_git.reading.history import COLUMNS, Row, State
from notme_git.reading.table import Cell, Column
from tests.world import World

A_DAY = date(2026, 11, 27)
WIDE = "日本語"
COMBINED = "e\u0301"


def lines(rows: list[list[str]], *, width: int | None = None, least: tuple[int, ...] = ()) -> list[str]:
    """A table of plain cells below the headings a, b, ..."""
    columns = [Column("abcdefgh"[i], least[i] if least else 0) for i in range(len(rows[0]))]
    return list(table.render(columns, [[Cell(c) for c in row] for row in rows], width=width, colour=False))


# -- widths


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("abc", 3), (WIDE, 6), (COMBINED, 1), ("\uff21\uff22", 4), ("ｱ", 1), ("🎉", 2), ("…", 1)],
)
def test_a_text_takes_the_columns_a_terminal_gives_it(text: str, columns: int) -> None:
    assert table.columns_of(text) == columns


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abc def", 5, "abc…"),
        (WIDE, 6, WIDE),
        (WIDE, 5, "日本…"),
        (WIDE, 4, "日…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_what_is_too_long_ends_in_an_ellipsis(text: str, width: int, shown: str) -> None:
    assert table.cut(text, width) == shown
    assert table.columns_of(shown) <= max(width, 0)


def test_columns_are_aligned_below_wide_and_combined_letters() -> None:
    shown = lines([[WIDE, "x"], [COMBINED, "y"], ["abcdefgh", "z"]])
    assert [table.columns_of(line[:-1]) for line in shown] == [10] * 4
    assert [line[-1] for line in shown] == list("bxyz")


def test_no_line_ends_in_blanks() -> None:
    assert lines([["long word", ""], ["x", "y"]])[1] == "long word"


def test_nothing_is_cut_without_a_width() -> None:
    long = "x" * 5000
    assert lines([[long, long]], least=(1, 1))[1] == f"{long}  {long}"


@pytest.mark.parametrize("width", range(12, 60))
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    rows = [["0123456789", "some actor", WIDE * 4], ["0123456789", "x", "a subject that goes on"]]
    shown = lines(rows, width=width, least=(0, 4, 6))
    assert max(map(table.columns_of, shown)) <= width
    if width >= 24:
        assert all("0123456789" in line for line in shown[1:])


def test_the_last_column_gives_first_and_then_the_widest() -> None:
    rows = [["id", "long actor", "subject"]]
    assert lines(rows, width=20, least=(0, 4, 4))[1] == "id  long actor  sub…"
    assert lines(rows, width=18, least=(0, 4, 4))[1] == "id  long ac…  sub…"


def test_the_brief_form_is_shown_where_space_is_short() -> None:
    row = [Cell("2026-11-27 06:00", brief="2026-11-27"), Cell("x")]
    columns = [Column("date"), Column("b")]
    assert "06:00" in list(table.render(columns, [row], width=19, colour=False))[1]
    assert list(table.render(columns, [row], width=18, colour=False))[1] == "2026-11-27  x"


def test_control_characters_are_replaced_before_they_are_measured() -> None:
    [_, shown] = lines([["\x1b[31mred\x07\r\n\u202e", "x"]])
    assert shown == "?[31mred????  x"


def test_colour_changes_no_column() -> None:
    columns = [Column("a"), Column("b")]
    row = [Cell("good", "green"), Cell("x")]
    [heading, shown] = table.render(columns, [row], width=80, colour=True)
    assert shown == "\x1b[32mgood\x1b[0m  x"
    assert click.unstyle(heading) == "a     b"


# -- rows


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.grant()
    return made


def row(world: World, **changes: object) -> Row:
    """The row of a good commit, or what `changes` make of it."""
    given: dict[str, object] = {
        "id": "0123456789" * 4, "state": State.GOOD, "reason": "", "detail": "", "signature_format": "x509",
        "findings": world.judge(world.signed_commit()).findings, "committed": world.now, "subject": "subject",
    }  # fmt: skip
    return Row(**{**given, **changes})  # type: ignore[arg-type]


def texts(shown: Row) -> list[str]:
    return [cell.text for cell in shown.cells()]


def test_a_row_says_who_signed_for_whom(world: World) -> None:
    when = f"{world.now:%Y-%m-%d %H:%M}"
    assert texts(row(world)) == [
        "01234567", when, "good", "claude-code", "Alice Example", "same-user", "subject",
    ]  # fmt: skip
    assert len(row(world).cells()) == len(COLUMNS)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"state": State.TIME_UNPROVEN}, "time unproven"),
        ({"state": State.BAD, "reason": "digest-mismatch"}, "BAD (digest-mismatch)"),
        ({"state": State.UNSIGNED, "reason": "signature-missing", "signature_format": ""}, "unsigned"),
        ({"state": State.OWN_KEY, "reason": "signature-foreign", "signature_format": "ssh"}, "own key (ssh)"),
        ({"state": State.OWN_KEY, "reason": "signature-foreign", "signature_format": "openpgp"}, "own key (openpgp)"),
        ({"state": State.COULD_NOT_CHECK}, "could not check"),
        ({"state": State.COULD_NOT_CHECK, "reason": "bundle-stale"}, "could not check (bundle-stale)"),
    ],
)
def test_a_state_is_a_word_and_its_reason(world: World, changes: dict[str, object], shown: str) -> None:
    assert texts(row(world, **changes))[2] == shown


def test_a_signature_over_a_digest_alone_is_marked(world: World) -> None:
    findings = world.judge(world.signed_commit()).findings
    assert findings.identity is not None
    blind = replace(findings, identity=replace(findings.identity, payload_unchecked=True))
    assert texts(row(world, findings=blind))[5] == "same-user, blind"


def test_a_commit_that_could_not_be_read_says_so_in_place_of_its_subject(world: World) -> None:
    changes = {"state": State.COULD_NOT_CHECK, "findings": None, "committed": None, "detail": "it is not here"}
    shown = row(world, **changes, signature_format="", subject="")
    assert texts(shown)[1:] == ["-", "could not check", "-", "-", "-", "(it is not here)"]
    assert (shown.data()["committedAt"], shown.data()["identity"], shown.data()["subject"]) == (None, None, None)


# -- manual pages


@click.group(name="tool", context_settings={"help_option_names": ["-h", "--help"]})
def tool() -> None:
    """Do things. And others.

    .hidden begins with a dot, 'quoted' with a quote, and \\n is no line; naïve.

    \b
    one   line
    .two  lines
    """


@tool.group()
def inner() -> None:
    """Commands inside."""


@inner.command()
@click.argument("file")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be done; .profile stays.")
@click.option("--kind", type=click.Choice(["a-b", "c"]), default="c", show_default=True)
@click.option("--secret", hidden=True)
def work(file: str, dry_run: bool, kind: str, secret: str | None) -> None:
    """Work on FILE."""


@tool.command(hidden=True)
def nobody() -> None:
    """Not for people."""


def test_there_is_a_page_for_the_program_and_for_each_command_at_its_top() -> None:
    made = manpage.pages(tool, "1.2", A_DAY)
    assert list(made) == ["tool", "tool-inner"]
    assert made["tool"].startswith('.TH TOOL 1 "2026-11-27" "notme\\-git 1.2" "User Commands"\n')


def test_a_page_has_the_sections_of_a_manual_in_order() -> None:
    page = manpage.pages(tool, "1.2", A_DAY)["tool"]
    assert [line[4:] for line in page.splitlines() if line.startswith(".SH ")] == [
        "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "SEE ALSO",
    ]  # fmt: skip
    assert "\ntool \\- Do things\n" in page


@click.command(context_settings={"help_option_names": []})
def bare() -> None:
    """Have no option."""


def test_a_command_without_options_has_no_empty_section() -> None:
    group = click.Group("tool", {"bare": bare}, help="A tool.")
    assert ".SH OPTIONS" not in manpage.pages(group, "1.2", A_DAY)["tool-bare"]


def test_commands_inside_are_on_the_page_of_the_one_around_them() -> None:
    page = manpage.pages(tool, "1.2", A_DAY)["tool-inner"]
    assert ".SS \\fBtool inner work\\fR\nWork on FILE.\n" in page
    assert ".TP\n\\fB\\-n\\fR, \\fB\\-\\-dry\\-run\\fR\nOnly say" in page
    assert "\\fB\\-\\-kind\\fR \\fI[a\\-b|c]\\fR\n" in page
    assert "secret" not in page


def test_every_page_is_ascii_and_no_text_becomes_a_request() -> None:
    requests = {".TH", ".SH", ".SS", ".TP", ".PP", ".br", ".nf", ".fi"}
    for group in (tool, notme_cli, attest_cli.cli):
        for name, page in manpage.pages(group, "1.2", A_DAY).items():
            assert page.isascii(), name
            assert {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))} <= requests, name


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("--a-b", r"\-\-a\-b"),
        (".x", r"\&.x"),
        ("'x'", r"\(aqx\(aq"),
        ("a\\b", r"a\eb"),
        ("~^`", r"\(ti\(ha\(ga"),
        ("ï", r"\[u00EF]"),
    ],
)
def test_what_roff_would_read_otherwise_is_escaped(text: str, written: str) -> None:
    assert manpage.roff(text) == written


def test_source_lines_of_running_text_are_short_and_guarded() -> None:
    made = manpage._filled("word " * 15 + ".dot " * 20)
    assert max(map(len, made)) <= manpage.SOURCE_COLUMNS + len("\\&")
    assert any(line.startswith("\\&.dot") for line in made)


# -- completion


def test_agents_with_a_grant_in_force_are_offered(world: World) -> None:
    revoked = world.grant("codex")
    world.grant("aider")
    world.revoke(revoked)
    assert completion.agents(world.home, "") == ["aider", "claude-code"]
    assert completion.agents(world.home, "cl") == ["claude-code"]
    assert completion.agents(world.home, "x") == []


def test_whoever_presses_tab_gets_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completion.agents(tmp_path, "") == []
    (tmp_path / "authority").mkdir()
    (tmp_path / "authority" / "authority.db").write_bytes(b"no database" * 100)
    assert completion.agents(tmp_path, "") == []
    monkeypatch.setenv("NOTME_HOME", "not/absolute")
    context = click.Context(notme_cli)
    assert complete_agent(context, notme_cli.params[0], "") == []


def test_the_variable_is_the_one_click_looks_for() -> None:
    assert completion.variable("notme-git") == "_NOTME_GIT_COMPLETE"


def parameters(command: click.Command) -> list[click.Parameter]:
    inside = command.commands.values() if isinstance(command, click.Group) else ()
    return [*command.params, *(p for child in inside for p in parameters(child))]


def test_every_option_that_names_an_agent_completes_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTME_HOME", str(world.home))
    named = [p for p in parameters(notme_cli) if "--agent" in p.opts]
    assert named
    for parameter in named:
        offered = parameter.shell_complete(click.Context(notme_cli), "cl")
        assert [item.value for item in offered] == ["claude-code"]
