"""The options that say which statements are wanted, and what the caller knows that no repository shows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from attest import store, witnessed
from attest.cli import read_file
from attest.errors import Error, UsageError
from attest.keys import PublicKey
from attest.predicates import vsa
from attest.predicates.maker import COMMIT, PROVENANCE, REFERENCE, TYPES, VSA
from attest.predicates.provenance import Control, Push
from attest.predicates.reference import Document
from attest.repository import Repository

F = TypeVar("F", bound=Callable[..., Any])

MAX_DOCUMENT_BYTES = 256 * 1024 * 1024

_OPTIONS = (
    click.option(
        "--type",
        "types",
        type=click.Choice(TYPES),
        multiple=True,
        help="What to state (default: commit). May be repeated. docs/statements/ has a page on each.",
    ),
    click.option("--level", "levels", multiple=True, metavar="LEVEL", help="vsa: a level that you vouch for, too."),
    click.option(
        "--document", "documents", multiple=True, metavar="URI=FILE", help="reference: FILE, which can be had at URI."
    ),
    click.option(
        "--previous", metavar="REV", help="source-provenance: what the ref pointed to before (or a witness's word)."
    ),
    click.option("--pusher", metavar="NAME", help="source-provenance: who pushed, as the server knows them."),
    click.option(
        "--control", "controls", multiple=True, metavar="NAME=SINCE", help="source-provenance: a control in force."
    ),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say. `types` are never none."""

    types: frozenset[str]
    levels: tuple[str, ...] = ()
    documents: tuple[Document, ...] = ()
    previous: str | None = None
    pusher: str = ""
    controls: tuple[Control, ...] = ()

    def push(self, repo: Repository, tip: str, ref: str | None, witnesses: Sequence[PublicKey]) -> Push:
        """What is known of the push that moved `ref` to `tip`. `witnesses` are the servers whose word counts."""
        previous = "" if self.previous is None else repo.commit_of(repo.resolve(self.previous))
        if PROVENANCE in self.types and not previous and witnesses and ref:
            previous = _witnessed(repo, tip, ref, tuple(witnesses))
        return Push(previous, self.pusher, self.controls)


def predicate_options(command: F) -> F:
    """Them all; the command gets `asked`."""

    @functools.wraps(command)
    def called(
        *args: Any,
        types: tuple[str, ...],
        levels: tuple[str, ...],
        documents: tuple[str, ...],
        previous: str | None,
        pusher: str | None,
        controls: tuple[str, ...],
        **kwargs: Any,
    ) -> Any:
        wanted = frozenset(types or (COMMIT,))
        for option, name, given in (
            ("--level", VSA, levels),
            ("--document", REFERENCE, documents),
            ("--previous", PROVENANCE, previous),
            ("--pusher", PROVENANCE, pusher),
            ("--control", PROVENANCE, controls),
        ):
            if given and name not in wanted:
                raise UsageError(f"{option} goes with --type {name}", hint=f"add --type {name}, or leave it away")
        asked = Asked(
            wanted,
            vsa.check_levels(levels),
            tuple(map(_document, documents)),
            previous,
            _printable(pusher or ""),
            tuple(map(Control.parse, controls)),
        )
        return command(*args, asked=asked, **kwargs)

    wrapped: Any = called
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]  # what click's decorators return


def _document(word: str) -> Document:
    location, equals, path = word.rpartition("=")
    if not equals or not path:
        raise UsageError(f"{word!r} is not URI=FILE", hint="for example https://ci.example.org/log.txt=log.txt")
    return Document.of_file(location, Path(path).name, read_file(Path(path), MAX_DOCUMENT_BYTES))


def _printable(name: str) -> str:
    if not name.isprintable() or len(name) > 255:
        raise UsageError("--pusher is printable text of at most 255 characters")
    return name


def _witnessed(repo: Repository, tip: str, ref: str, known: tuple[PublicKey, ...]) -> str:
    """Where `ref` came from by the word of a server; empty where none says so, `UsageError` where several do."""
    found = set[str]()
    for line in store.read(repo, tip):
        if not witnessed.is_witness(line):
            continue
        try:
            said = witnessed.verify(line, tip, known)
        except Error:
            continue
        if said.ref == ref and said.new == tip and said.old is not None:
            found.add(said.old)
    if len(found) > 1:
        raise UsageError(f"{ref} came to {tip} more than once, from several commits", hint="say with --previous which")
    return next(iter(found), "")
