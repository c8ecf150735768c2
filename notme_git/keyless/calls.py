"""Calls of the package `sigstore`: loaded when wanted, bounded in time, and their errors as ours.

What a server answered never goes into a sentence of ours: it has seen the identity token and may say it again.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable
from types import ModuleType
from typing import TypeVar
from urllib.parse import urlsplit

from attest.errors import Error, UnavailableError
from notme_git.loopback import is_loopback

T = TypeVar("T")

SECONDS = 120
"""For one call. Rekor version 2 answers when an entry is in the log, some seconds later; the package sets no bound."""

INSTALL = "pip install 'notme-git[sigstore]'"
_RETRY = "what was not signed is not stored; try again, or name the instance with --trust-config"


def load(name: str) -> ModuleType:
    """A module of the package; `UnavailableError` where the extra is not installed."""
    # The package warns of what is then raised as an error, too; nobody asked to read it twice.
    logging.getLogger("sigstore").addHandler(logging.NullHandler())
    try:
        return importlib.import_module(name)
    except ImportError as error:
        absent = (error.name or "").partition(".")[0] == "sigstore"
        said = "which is not installed" if absent else f"which does not load: {error.name or 'something'} is missing"
        raise UnavailableError(f"signing keylessly takes the package sigstore, {said}", hint=INSTALL) from None


def bounded(what: str, call: Callable[[], T], *, seconds: float = SECONDS, hint: str = _RETRY) -> T:
    """What `call` returns; `UnavailableError` saying that `what` failed, where it raises or takes longer.

    A call that hangs is left behind in its thread, which does not keep the program from ending.
    """
    done: list[T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(call())
        except Exception as error:  # the package lets errors of four others through
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise _translated(what, failed[0], hint) from None
    if not done:
        raise UnavailableError(f"{what}: no answer within {seconds:g} seconds", hint=hint)
    return done[0]


def refuse_clear(url: str, what: str) -> None:
    """Raise `UnavailableError` for an address without TLS that is not on this machine: a token goes there."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise UnavailableError(
            f"the instance's {what} is without TLS and not on this machine: no token is sent there",
            hint="the trust configuration has to name it with https",
        )


def _translated(what: str, error: Exception, hint: str) -> Error:
    return error if isinstance(error, Error) else UnavailableError(f"{what}: {_cause(error)}", hint=hint)


def _cause(error: BaseException) -> str:
    """The first link of the chain of causes that says something certain: an HTTP status, an unreachable host."""
    link: BaseException | None = error
    for _ in range(8):
        if link is None:
            break
        answer, request = getattr(link, "response", None), getattr(link, "request", None)
        url = getattr(answer if answer is not None else request, "url", None)
        host = urlsplit(url).netloc.rpartition("@")[2] if isinstance(url, str) else ""
        if answer is not None and host:
            return f"{host} answered with status {answer.status_code}"
        if request is not None and host:
            return f"{host} cannot be reached or broke off ({type(link).__name__})"
        link = link.__cause__ or link.__context__
    name = type(error).__name__
    return f"it could not be brought up to date ({name})" if name == "TUFError" else f"the answer is of no use ({name})"
