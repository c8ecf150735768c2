"""A table of text for a terminal or a pipe.

Cells are shown without control characters and aligned by the columns a terminal gives them: East Asian wide
characters take two (UAX #11), combining marks none. Only a terminal has a width; what goes into a pipe or a file is
never cut, so that nothing a program or a reader searches for is missing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from attest.report.text import printable

GAP = "  "
ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, and the width to which the column may be cut on a narrow terminal; 0: never cut."""

    title: str
    least: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. `style` is a colour of `click.style`, or empty; `brief` is shown instead where space is short."""

    text: str
    style: str = ""
    brief: str = ""


def render(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, width: int | None, colour: bool
) -> Iterator[str]:
    """The heading and the rows as lines of at most `width` columns; None cuts nothing."""
    lines = [[Cell(column.title, "bold") for column in columns], *rows]
    widths = _widths(lines)
    if width is not None and _total(widths) > width:
        lines = [[Cell(cell.brief or cell.text, cell.style) for cell in line] for line in lines]
        widths = _shrink(columns, _widths(lines), width)
    for line in lines:
        shown = _line(line, widths, colour)
        # Below the least widths something has to go: the end of the line does, and its colours with it.
        too_wide = width is not None and _total(widths) > width
        yield cut(_line(line, widths, False), width) if too_wide and width is not None else shown


def columns_of(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(_width(character) for character in text)


def cut(text: str, width: int) -> str:
    """The text, or as much of it as fits `width` columns together with an ellipsis."""
    if columns_of(text) <= width:
        return text
    kept, used = "", columns_of(ELLIPSIS)
    for character in text:
        used += _width(character)
        if used > width:
            break
        kept += character
    return kept.rstrip() + ELLIPSIS if width > 0 else ""


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _widths(lines: Sequence[Sequence[Cell]]) -> list[int]:
    return [max(columns_of(printable(cell.text)) for cell in column) for column in zip(*lines, strict=True)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _shrink(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """Take from the last column, then from the widest that can give, until the line fits or none can."""
    found = list(widths)
    last = len(columns) - 1
    found[last] -= max(0, min(found[last] - columns[last].least, _total(found) - width)) if columns[last].least else 0
    while _total(found) > width:
        able = [i for i, column in enumerate(columns) if column.least and found[i] > column.least]
        if not able:
            break
        found[max(able, key=lambda i: found[i])] -= 1
    return found


def _line(cells: Sequence[Cell], widths: Sequence[int], colour: bool) -> str:
    shown: list[str] = []
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        text = cut(printable(cell.text), width)
        blanks = "" if number == len(cells) - 1 else " " * (width - columns_of(text))
        shown.append((_styled(text, cell.style) if colour else text) + blanks)
    return GAP.join(shown).rstrip()


def _styled(text: str, style: str) -> str:
    if not style or not text:
        return text
    return click.style(text, bold=True) if style == "bold" else click.style(text, fg=style)
