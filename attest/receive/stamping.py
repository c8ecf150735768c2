"""Time-stamps by third parties for what is about to be pushed (`notme.timestamp = push`).

Asking for them takes a network, which this side of the program has none of: the command line that has one brings the
way to do it (`bring`), as `notme-git` does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from attest.errors import Error
from attest.repository import Repository

if TYPE_CHECKING:
    from attest.receive.settings import Settings
    from attest.receive.updates import Update

Stamp = Callable[[Repository, Iterator[str]], str]
"""Has the signatures of these objects time-stamped; returns a sentence on what was done, or none. Raises `Error`."""

_BROUGHT = "attest.stamping"


def bring(context: click.Context, stamp: Stamp) -> None:
    """Let the hooks of this command line have signatures time-stamped."""
    context.meta[_BROUGHT] = stamp


def brought(context: click.Context) -> Stamp | None:
    """What the command line brings."""
    found: Stamp | None = context.meta.get(_BROUGHT)
    return found


def push(repo: Repository, wanted: Sequence[Update], asked: Settings, known: Sequence[str]) -> None:
    """Time-stamp what these updates bring, where that is configured. What goes wrong is told and stops no push."""
    if not asked.stamps_pushes:
        return
    # A command line brings this module along whatever it is called for.
    from attest.receive.calling import say
    from attest.receive.refusal import sentence
    from attest.receive.updates import is_attestations, new_objects

    stamp = brought(click.get_current_context())
    if stamp is None:
        say("nothing is time-stamped: this hook has no network; notme-git hook install --client puts one in that has")
        return
    try:
        brings = (new_objects(repo, each, known) for each in wanted if not is_attestations(each.ref))
        if said := stamp(repo, iter(dict.fromkeys(itertools.chain.from_iterable(brings)))):
            say(said)
    except Error as error:
        say(f"no time-stamps by others: {sentence(error)}; the push goes on without")
