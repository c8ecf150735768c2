"""--dispatch, --work-item-hash and --scoped: what commands that make statements are told of a dispatch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from attest.apas import dispatch_read, dispatch_statement
from attest.apas.dispatch import Dispatch
from attest.cli import read_file
from attest.command import FILE
from attest.dsse import MAX_JSON_BYTES
from attest.errors import MalformedError, UnavailableError, UsageError

F = TypeVar("F", bound=Callable[..., Any])


def dispatch_options(command: F) -> F:
    """The options, as the parameters `dispatch_file` and `work_item_hash`, which `load` reads, and `scoped`."""
    hashed = click.option(
        "--work-item-hash",
        metavar="sha256:HEX",
        help="The content hash of the dispatch's work item, where --dispatch does not say it.",
    )
    file = click.option(
        "--dispatch",
        "dispatch_file",
        type=FILE,
        metavar="FILE",
        help="What the orchestrator says of the dispatch: .rsry-dispatch.json, or a dispatch/v1 predicate.",
    )
    scoped = click.option(
        "--scoped",
        is_flag=True,
        help="Let the dispatch name the sources of content and paths; for a file whose readers may know them.",
    )
    return file(hashed(scoped(command)))


def load(dispatch_file: Path | None, work_item_hash: str | None) -> Dispatch | None:
    """The dispatch that the options name, or None. Raises `UsageError` and `MalformedError`."""
    if dispatch_file is None:
        if work_item_hash is not None:
            raise UsageError("--work-item-hash goes with --dispatch")
        return None
    try:
        found = dispatch_read.parse(read_file(dispatch_file, MAX_JSON_BYTES))
    except MalformedError as error:
        raise UnavailableError(f"{dispatch_file}: {error.message}", hint=error.hint) from None
    return found if work_item_hash is None else dispatch_statement.with_work_item_hash(found, work_item_hash)
