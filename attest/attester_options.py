"""The options that say who signs statements, and the `Attester` that they choose.

A command line that brings an attester of its own, as `notme-git` does with the home's verifier, puts a way to make it
into its context (`bring`). A command then signs with what was named, else with that, else not at all.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from attest.attester import Attester, KeyAttester, uri_of
from attest.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

Make = Callable[[datetime], Attester]
"""Makes an attester that signs from that time on. It may open what is closed when the command ends."""

MAX_ID_BYTES = 2048

_BROUGHT = "attest.attester"
"""Under this name the context's `meta` has the `Make` of the command line."""

_URI = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+")
_MAKE = "openssl genpkey -algorithm ed25519 -out FILE makes a key, and --key FILE names it"


@dataclass(frozen=True, slots=True)
class Named:
    """Whom the options name: the key file, and the URI that goes with it."""

    key: Path | None = None
    id: str | None = None


def attester_options(command: F) -> F:
    """--key and --id; the command gets `signer`, a `Named`."""

    @functools.wraps(command)
    def called(*args: Any, key: Path | None, verifier_id: str | None, **kwargs: Any) -> Any:
        return command(*args, signer=Named(key, verifier_id), **kwargs)

    wrapped: Any = called
    for option in (
        click.option(
            "--id", "verifier_id", metavar="URI", help="What statements call the verifier (default: its key's digest)."
        ),
        click.option("--key", type=click.Path(path_type=Path), help="Ed25519 private key (PEM) of the verifier."),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]  # what click's decorators return


def bring(context: click.Context, make: Make) -> None:
    """Let the commands of this command line sign with what `make` makes, where the options name nobody."""
    context.meta[_BROUGHT] = make


def brought(context: click.Context) -> Make | None:
    """What the command line brings."""
    made: Make | None = context.meta.get(_BROUGHT)
    return made


def chosen(signer: Named, at: datetime) -> Attester:
    """Who signs, as the options and the command line have it. Nothing is made before somebody is known who signs.

    Raises `UsageError` where nobody is, and `UnavailableError` for a key that cannot be used.
    """
    if signer.key is not None:
        return _of_key(signer.key, signer.id)
    if signer.id is not None:
        raise UsageError("--id names the owner of a key, and no key is named", hint=_MAKE)
    make = brought(click.get_current_context())
    if make is None:
        raise UsageError("without a key nothing is signed, and nothing unsigned is made", hint=_MAKE)
    return make(at)


def _of_key(path: Path, name: str | None) -> KeyAttester:
    from attest import signing_key

    if name is not None and (len(name) > MAX_ID_BYTES or not _URI.fullmatch(name)):
        raise UsageError(f"--id {name!r} is no URI", hint="for example https://ci.example.org/verifier")
    key = signing_key.load(path)
    return KeyAttester(key, name or uri_of(key.public))
