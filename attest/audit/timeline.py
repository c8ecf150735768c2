"""Months made into at most so many columns of a chart, without gaps, and whatever dates people put into commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from attest.audit.standing import Standing

MAX_COLUMNS = 36
"""Columns that are told apart on a phone."""

STRAY = 200
"""One object in so many may be left out on the old side: a date of 1970 would leave the rest a single column."""

_STEPS = ((1, "month"), (3, "quarter"), (12, "year"))


@dataclass(frozen=True, slots=True)
class Column:
    """One month, quarter or year."""

    label: str
    counts: Counter[Standing]

    @property
    def total(self) -> int:
        """How many objects."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Timeline:
    """`unit` is what a column is; `left_out` counts the objects without a date or dated outside of the columns.

    A column has `step` months; the first one is the `begin`th of its kind since the year 0.
    """

    unit: str
    columns: tuple[Column, ...] = ()
    left_out: int = 0
    begin: int = 0
    step: int = 1

    def spread(self, months: Mapping[str, int]) -> list[int]:
        """Other counts by month over the same columns."""
        found = [0] * len(self.columns)
        for name, many in months.items():
            place = _index(name) // self.step - self.begin if name else -1
            if 0 <= place < len(found):
                found[place] += many
        return found


def timeline(months: Mapping[str, Counter[Standing]], at: datetime) -> Timeline:
    """Columns up to the time of the audit, each step of time present."""
    total = sum(sum(counts.values()) for counts in months.values())
    end = at.year * 12 + at.month - 1
    dated = {_index(name): counts for name, counts in months.items() if name}
    dated = {index: counts for index, counts in sorted(dated.items()) if index <= end}
    skipped = 0
    for index, counts in list(dated.items()):
        skipped += sum(counts.values())
        if skipped * STRAY > total:
            break
        del dated[index]
    if not dated:
        return Timeline("month", left_out=total)
    first, last = min(dated), max(dated)
    step, unit = next((s for s in _STEPS if last // s[0] - first // s[0] < MAX_COLUMNS), _STEPS[-1])
    begin = max(first // step, last // step - MAX_COLUMNS + 1)
    columns = []
    for each in range(begin, last // step + 1):
        inside = [dated[index] for index in range(each * step, (each + 1) * step) if index in dated]
        columns.append(Column(_label(each, step), sum(inside, Counter())))
    return Timeline(unit, tuple(columns), total - sum(column.total for column in columns), begin, step)


def _index(name: str) -> int:
    year, _, month = name.partition("-")
    return int(year) * 12 + int(month) - 1


def _label(each: int, step: int) -> str:
    if step == 12:
        return f"{each:04}"
    year, part = divmod(each, 12 // step)
    return f"{year:04}-{part + 1:02}" if step == 1 else f"{year:04} Q{part + 1}"
