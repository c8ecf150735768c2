"""Charts as inline SVG. Shapes are in the SVG, which stretches to any width; words stay HTML, which does not.

Every column starts at zero. A chart says in words what it shows, and a table with the numbers stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attest.audit.markup import Html, el
from attest.audit.standing import Standing
from attest.audit.timeline import Column
from attest.audit.words import STANDINGS, count, share

HEIGHT = 100
GAP = 0.18
"""Of a column's width."""


def stacked(columns: Sequence[Column], what: str) -> Html:
    """Columns of objects by standing."""
    top = nice(max((column.total for column in columns), default=1))
    bars = [_stack(index, column, top) for index, column in enumerate(columns)]
    return _frame(columns, bars, (f"{top:,}", f"{top // 2:,}" if top > 1 else "", "0"), what)


def shares(columns: Sequence[Column], of: Standing, what: str) -> Html:
    """Columns of one standing's share, from none to all."""
    bars = []
    for index, column in enumerate(columns):
        part = column.counts[of]
        if part:
            high = HEIGHT * part / column.total
            said = f"{column.label}: {share(part, column.total)}, {part:,} of {column.total:,}"
            bars.append(el("g", el("title", said), _rect(index, HEIGHT - high, high, of)))
    return _frame(columns, bars, ("100 %", "50 %", "0 %"), what)


def strip(counts: Mapping[Standing, int], what: str) -> Html:
    """One bar that is the whole, divided."""
    total, x, parts = sum(counts.values()), 0.0, list[Html]()
    for standing in Standing:
        if many := counts.get(standing, 0):
            wide = 100 * many / total
            said = f"{STANDINGS[standing].name}: {many:,}, {share(many, total)}"
            rect = el("rect", x=_n(x), y=0, width=_n(wide), height=10, class_=f"s-{standing}")
            parts.append(el("g", el("title", said), rect))
            x += wide
    return _svg("0 0 100 10", parts, "strip", what)


def legend(counts: Mapping[Standing, int]) -> Html:
    """What each colour is, how many, and what part of all."""
    total = sum(counts.values())
    items = []
    for standing in Standing:
        if many := counts.get(standing, 0):
            name = el("span", STANDINGS[standing].name, title=STANDINGS[standing].means)
            figures = el("span", f"{many:,} ", el("b", share(many, total)), class_="num")
            items.append(el("li", _swatch(standing), name, figures))
    return el("ul", items, class_="legend")


def bar(part: int, whole: int, kind: str = "plain") -> Html:
    """A bar in a table, as long as its part of `whole`."""
    wide = 100 * part / whole if whole else 0
    rect = el("rect", x=0, y=0, width=_n(wide), height=10, class_=f"s-{kind}")
    return el("svg", rect, viewBox="0 0 100 10", preserveAspectRatio="none", class_="bar", aria_hidden="true")


def spark(columns: Sequence[Column]) -> Html:
    """A small chart of one repository, without axes."""
    top = max((column.total for column in columns), default=0) or 1
    bars = [_stack(index, column, top) for index, column in enumerate(columns)]
    said = f"{count(sum(c.total for c in columns), 'object')} over time, at most {top:,} at once"
    return _svg(f"0 0 {max(len(columns), 1)} {HEIGHT}", bars, "spark", said)


def pulse(counts: Sequence[int], kind: str, top: int) -> Html:
    """The same of plain counts, `top` being as high as the chart."""
    bars = [
        el("rect", x=_n(index + GAP / 2), y=_n(HEIGHT - HEIGHT * many / top), width=_n(1 - GAP),
           height=_n(HEIGHT * many / top), class_=f"s-{kind}")
        for index, many in enumerate(counts)
        if many
    ]  # fmt: skip
    said = f"{count(sum(counts), 'object')} over time, at most {max(counts, default=0):,} at once"
    return _svg(f"0 0 {max(len(counts), 1)} {HEIGHT}", bars, "spark", said)


def nice(value: int) -> int:
    """The next round number that is not smaller and whose half is whole, too; 1 for nothing and for 1."""
    scale = 1
    while value > 1:
        for tenths in (10, 12, 14, 16, 20, 24, 30, 40, 50, 60, 80):
            if tenths * scale % 20 == 0 and value * 10 <= tenths * scale:
                return tenths * scale // 10
        scale *= 10
    return 1


def _stack(index: int, column: Column, top: int) -> Html | None:
    if not column.total:
        return None
    said = [f"{column.label}: {count(column.total, 'object')}"]
    rects, y = list[Html](), float(HEIGHT)
    for standing in Standing:
        if many := column.counts[standing]:
            high = HEIGHT * many / top
            y -= high
            rects.append(_rect(index, y, high, standing))
            said.append(f"{STANDINGS[standing].name}: {many:,} ({share(many, column.total)})")
    return el("g", el("title", "; ".join(said)), rects)


def _rect(index: int, y: float, high: float, standing: Standing) -> Html:
    return el("rect", x=_n(index + GAP / 2), y=_n(y), width=_n(1 - GAP), height=_n(high), class_=f"s-{standing}")


def _frame(columns: Sequence[Column], bars: Sequence[Html | None], ticks: tuple[str, str, str], what: str) -> Html:
    """Axis, grid, and as many labels below as a phone has room for."""
    svg = _svg(f"0 0 {max(len(columns), 1)} {HEIGHT}", bars, "columns", what)
    axis = el("div", [el("span", tick) for tick in ticks], class_="axis", aria_hidden="true")
    labels = list(dict.fromkeys((0, len(columns) // 2, len(columns) - 1))) if columns else []
    below = el("div", [el("span", columns[index].label) for index in labels], class_="below", aria_hidden="true")
    return el("div", axis, el("div", svg, class_="plot"), below, class_="chart")


def _svg(view: str, inside: Sequence[Html | None], kind: str, what: str) -> Html:
    return el("svg", el("title", what), inside, viewBox=view, preserveAspectRatio="none", class_=kind, role="img")


def _swatch(kind: str) -> Html:
    return el("i", class_=f"swatch b-{kind}", aria_hidden="true")


def _n(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
