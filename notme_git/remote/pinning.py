"""`notme-git trust add|list|update`: what verifiers and signing clients of this home go by, and how old it is."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from attest import home as homes
from attest.errors import UsageError
from attest.trust import Trust
from notme_git.remote import place
from notme_git.remote.client import Client, parse_url

_SPKI = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")


def add(home: Path, url: str, spki: str) -> dict[str, Any]:
    """Pin the authority at `url` by its key's SHA-256, which a person compared."""
    named = _SPKI.fullmatch(spki.replace(" ", ""))
    if named is None:
        raise UsageError(f"{spki[:80]!r} is no SHA-256 of a key", hint="write sha256: and 64 hex digits")
    client = Client(parse_url(url))
    try:
        found = place.pin(home, client, named[1].lower())
    finally:
        client.close()
    return {"url": client.url, "authority": _id(found), "spki": named[1].lower(), "sequence": _sequence(found)}


def listed(home: Path, at: datetime) -> list[dict[str, Any]]:
    """Every authority that is gone by here, and for what."""
    found = []
    if (home / homes.ANCHORS).is_file():
        own = homes.read_bundle(home / homes.BUNDLE, homes.read_anchors(home / homes.ANCHORS, None), home)
        found.append(_item("own", own, "made here", "", at))
    for folder in homes.pinned_in(home):
        remote = place.read_record(folder)
        found.append(_item("verify", homes.read_pinned(folder, home), remote.pinned, remote.url, at))
    if place.exists(home):
        remote = place.read(home)
        found.append(_item("enrol", place.read_trust(home), remote.pinned, remote.url, at))
    return found


def update(home: Path) -> list[dict[str, Any]]:
    """Fetch the bundle of each; one that is older than the last is refused and changes nothing."""
    folders = [("verify", folder) for folder in homes.pinned_in(home)]
    if place.exists(home):
        folders.append(("enrol", home / place.FOLDER))
    told = []
    for use, folder in folders:
        client = Client(place.read_record(folder).url)
        try:
            found = place.update(folder, home, client)
        finally:
            client.close()
        told.append({"use": use, "url": client.url, "authority": _id(found), "sequence": _sequence(found)})
    return told


def _item(use: str, found: Trust, pinned: str, url: str, at: datetime) -> dict[str, Any]:
    age = found.age(at)
    assert age is not None
    return {
        "use": use,
        "authority": _id(found),
        "url": url or None,
        "pinned": pinned,
        "spki": [anchor.key.spki_sha256.hex() for anchor in found.epochs[-1][1]],
        "sequence": _sequence(found),
        "ageSeconds": max(0, int(age.total_seconds())),
    }


def _id(found: Trust) -> str:
    return found.bundle.authority_id if found.bundle else ""


def _sequence(found: Trust) -> int:
    return found.bundle.sequence if found.bundle else 0
