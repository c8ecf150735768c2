"""Which arguments of git's rev-list may be passed on: those that limit a walk, and no other."""

from __future__ import annotations

from typing import cast

import pytest

from attest.errors import UsageError
from attest.repository import Repository
from attest.revisions import Revisions

NOWHERE = cast(Repository, None)
"""Nothing here asks the repository."""


@pytest.mark.parametrize(
    ("arguments", "single", "plain"),
    [
        (("HEAD",), True, True),
        (("v1.0",), True, True),
        (("A..B",), False, True),
        (("A...B",), False, True),
        (("^A", "B"), False, True),
        (("^A",), False, True),
        (("--all",), False, False),
        (("--all", "--since=2026-01-01", "--no-merges"), False, False),
        (("HEAD", "-20"), False, False),
        (("HEAD", "--", "--objects"), False, False),
        (("--branches=feature/*", "--not", "main"), False, False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_limits_a_walk_is_taken(arguments: tuple[str, ...], single: bool, plain: bool) -> None:
    named = Revisions(NOWHERE, arguments)
    assert (named.single, named.plain, named.text) == (single, plain, " ".join(arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--", "path"),
        ("--objects", "HEAD"),
        ("--header",),
        ("--format=%H", "HEAD"),
        ("--pretty",),
        ("--stdin",),
        ("--bisect",),
        ("--filter=blob:none", "HEAD"),
        ("--count", "HEAD"),
        ("--use-bitmap-index",),
        ("--all=x",),
        ("--since", "2026-01-01"),
        ("-",),
        ("-x",),
        ("--upload-pack=x",),
        ("--exec-path=/tmp", "HEAD"),
    ],
    ids=" ".join,
)
def test_nothing_else_is(arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as raised:
        Revisions(NOWHERE, arguments)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [
        (("--all", "--topo-order", "--no-merges"), True),
        (("A..B", "^C"), True),
        (("--branches=feature/*", "--not", "main"), True),
        (("--first-parent", "main"), False),
        (("--all", "-5"), False),
        (("--all", "--max-count=5"), False),
        (("--all", "--skip=1"), False),
        (("--all", "--since=2026-01-01"), False),
        (("--all", "--until=yesterday"), False),
        (("--no-walk", "main"), False),
        (("--ancestry-path", "A..B"), False),
        (("main", "--", "src"), False),
    ],
)
def test_a_walk_is_whole_that_comes_by_all_its_tips_reach(arguments: tuple[str, ...], whole: bool) -> None:
    assert Revisions(NOWHERE, arguments).whole is whole
