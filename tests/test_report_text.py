"""Lines for a person: nothing from outside moves a cursor, ends a line or commands whoever reads along."""

from __future__ import annotations

import pytest

from attest.report import text
from attest.types import Outcome


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain", "plain"),
        ("Zoë — 漢字", "Zoë — 漢字"),
        ("red \x1b[31m", "red ?[31m"),
        ("two\nlines\r", "two?lines?"),
        ("right to left \u202e", "right to left ?"),
        ("a ##[add-mask]x", "a ##?add-mask]x"),
        ("##[##[", "##?##?"),
        ("###[x", "###?x"),
    ],
)
def test_what_comes_from_outside_is_shown_as_text(given: str, shown: str) -> None:
    assert text.printable(given) == shown


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ({}, "0 objects"),
        ({None: 3}, "3 objects"),
        ({Outcome.ACCEPTED: 1}, "1 object: 1 accepted"),
        (
            {Outcome.REJECTED: 2, Outcome.ACCEPTED: 12_345, Outcome.COULD_NOT_CHECK: 1},
            "12,348 objects: 12,345 accepted, 2 rejected, 1 could not check",
        ),
    ],
)
def test_a_summary_counts_in_the_order_of_outcomes(counts: dict[Outcome | None, int], line: str) -> None:
    assert text.summary_line(counts) == line


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (90_000, "1 d"), (900_000, "10 d")]
)
def test_an_age_is_in_its_largest_unit(seconds: int, said: str) -> None:
    assert text.age(seconds) == said
