"""Markdown: rendered by another's program, hostile words are code and nothing else."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from attest.report import markdown
from tests.forge import NOW
from tests.offered import HOSTILE, offered

MARKUP = st.text(alphabet="`|\\<>[]()!*_~#&;:/@- \tabhtps.www\n\r\u202e\u2028", max_size=60) | st.text()


def rendered(text: str) -> list[Token]:
    """Every token, flattened, with tables and raw HTML as GitHub has them."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    return [leaf for token in tokens for leaf in (token, *(token.children or ()))]


@given(MARKUP, MARKUP)
def test_any_words_are_one_code_span_in_one_cell(one: str, two: str) -> None:
    table = f"| a | b |\n|---|---|\n| {markdown.code(one)} | {markdown.code(two)} |\n"
    tokens = rendered(table)
    assert [token.type for token in tokens].count("td_open") == 2
    inline = [token for token in tokens if token.type in ("code_inline", "text") and token.content]
    cells = inline[2:]
    assert len(cells) == 2
    assert all(token.type == "code_inline" or token.content == "-" for token in cells)


def test_a_report_has_no_link_no_html_and_no_mention(tmp_path: Path) -> None:
    text = markdown.document(offered(tmp_path, NOW).check())
    tokens = rendered(text)
    kinds = {token.type for token in tokens}
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "fence"}
    outside = "".join(token.content for token in tokens if token.type == "text")
    assert "@" not in outside
    assert "http" not in outside
    assert "octocat" in text
    assert HOSTILE not in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 6
    assert [token.type for token in tokens].count("td_open") == 6 * 5


def test_a_report_names_verdicts_signers_and_the_squash(tmp_path: Path) -> None:
    found = offered(tmp_path, NOW)
    text = markdown.document(found.check())
    assert "6 commits: 3 accepted, 3 rejected. Policy `builtin:default`" in text
    assert f"| `{found.agent[:12]}` | accepted | `claude-code for Alice Example` | `Add the app` |" in text
    assert "`Alice Example <alice@example.org>` (claimed)" in text
    assert f"same tree as {found.feature[:12]} (2 commits, accepted)" in text
    assert "- error `agent-signed-off`" in text
