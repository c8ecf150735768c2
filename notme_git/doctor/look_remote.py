"""The authority elsewhere that a home's agents enrol with, as the home remembers it. No network here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from attest import home as homes
from attest.errors import Error
from attest.trust import Trust
from notme_git.doctor.facts import Authority, Trouble
from notme_git.remote import ambient, place

SIGN_IN = "notme-git login"


def look(home: Path, environ: Mapping[str, str], at: datetime) -> Authority:
    """What is remembered, and whether somebody is signed in there. Grants are the authority's to know."""
    found: Trust | None = None
    troubles: list[Trouble] = []
    try:
        remote, found = place.read(home), place.read_trust(home)
        if ambient.find(environ) is None:
            troubles += _login(place.read_login(home), remote.url, at)
        if not (home / homes.PINNED / remote.authority).is_dir():
            troubles.append(_unpinned(remote))
    except Error as error:
        troubles.append(Trouble("remote-damaged", error.message, error.hint or "set it up again"))
    issued = found.bundle.issued_at if found is not None and found.bundle is not None else 0
    return Authority(troubles=tuple(troubles), bundle_issued_at=issued)


def _unpinned(remote: place.Remote) -> Trouble:
    message = f"no verifier here goes by {remote.url}, whose key was pinned on first use, for signing alone"
    remedy = f"compare its key with the operator's, then: notme-git trust add {remote.url} --spki sha256:HEX"
    return Trouble("authority-unpinned", message, remedy)


def _login(login: place.Login | None, url: str, at: datetime) -> Iterator[Trouble]:
    if login is None:
        yield Trouble("login-missing", f"nobody is signed in at {url}", "sign in", SIGN_IN)
    elif datetime.fromtimestamp(login.expires_at, UTC) <= at:
        yield Trouble("login-over", f"the session of {login.display} at {url} is over", "sign in again", SIGN_IN)
