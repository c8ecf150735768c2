"""By when each object was there, say the servers that received it (design D5).

A witness statement says that a ref came to an id at an instant. Whatever that id reaches was there too: an id is a
digest of all its history. So each object's bound is the earliest statement about anything that reaches it. One walk
over the history of everything stated finds that for all of them, before the first of them is examined.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from attest import refwriter, store, witnessed
from attest.errors import Error, MalformedError, UnavailableError
from attest.evidence import WITNESS
from attest.gitobject import ObjectKind, parse_tag
from attest.keys import PublicKey
from attest.repository import Repository
from attest.types import Evidence, Voucher

MAX_STATEMENTS = 200_000
"""Of witnesses, whoever signed them: each is read and costs a signature check for every key that was named."""

MAX_OBJECTS = 2_000_000
"""Objects that a bound is kept of; a million of them take some 150 MB."""

MAX_TAGS = 8
"""Tags of tags that are followed."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, slots=True)
class Sightings:
    """By object, the earliest that any witness who counts says of it."""

    _found: Mapping[bytes, Evidence]

    def of(self, object_id: str) -> Evidence | None:
        """What is known of this object (lower-case hex). Its lower bound is that of the signature, not said here."""
        return self._found.get(bytes.fromhex(object_id))

    def __len__(self) -> int:
        return len(self._found)


_last: tuple[tuple[object, ...], Sightings] | None = None
"""One push is judged ref by ref, and one policy stretch by stretch: over the same repository each time."""


def find(repo: Repository, trusted: tuple[PublicKey, ...]) -> Sightings:
    """What the statements stored in `repo` prove that one of these keys signed; the same again without a new walk.

    What is malformed, signed by others or about what is not here is passed over. Raises `UnavailableError` for more
    than is read, or where git cannot walk the history.
    """
    global _last
    tip = refwriter.commit_id(repo, store.REF)
    asked = (str(repo.path), tip, trusted)
    if _last is None or _last[0] != asked:
        _last = asked, Sightings({} if tip is None else _spread(repo, _stated(repo, trusted)))
    return _last[1]


def _stated(repo: Repository, trusted: tuple[PublicKey, ...]) -> dict[str, Evidence]:
    """The earliest statement about each tip."""
    found = dict[str, Evidence]()
    for count, (about, line) in enumerate(_lines(repo), 1):
        if count > MAX_STATEMENTS:
            raise UnavailableError(f"more than {MAX_STATEMENTS} witness statements are stored", hint="name no witness")
        with contextlib.suppress(Error):
            said = witnessed.verify(line, about, trusted)
            seen = Evidence(0, read_time(said.received_at), Voucher.RECEIVER, f"{WITNESS}:{said.key.key_id}")
            # Of a deletion the old tip is all there is: it was there until then.
            tip = repo.check_id(said.new or said.old or "")
            found[tip] = min(found.get(tip, seen), seen, key=lambda each: each.not_after)
    return found


def _lines(repo: Repository) -> Iterator[tuple[str, bytes]]:
    with contextlib.suppress(MalformedError):  # what stands in the place of a file; absence is no evidence
        for about, lines in store.read_all(repo):
            for line in filter(witnessed.is_witness, lines):
                yield about, line


def read_time(text: str) -> int:
    """Unix seconds of RFC 3339 in UTC as witnesses write it; `MalformedError`."""
    try:
        if _TIME.fullmatch(text):
            return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        pass
    raise MalformedError(f"{text[:40]!r} is no time in UTC")


def _spread(repo: Repository, stated: Mapping[str, Evidence]) -> dict[bytes, Evidence]:
    """From what is stated of tips to all that they reach."""
    found, begins = dict[bytes, Evidence](), dict[bytes, Evidence]()
    for oid, seen in stated.items():
        for reached in _reached(repo, oid):
            place = found if reached[1] else begins
            _lower(place, bytes.fromhex(reached[0]), seen)
    # Children come before their parents, so that a commit's own bound is known when its turn is.
    for oid, *parents in repo.ancestry([key.hex() for key in begins]):
        key = bytes.fromhex(oid)
        found[key] = seen = begins.pop(key)
        if len(found) + len(begins) > MAX_OBJECTS:
            raise UnavailableError(f"witness statements reach more than {MAX_OBJECTS} objects", hint="name no witness")
        for parent in parents:
            _lower(begins, bytes.fromhex(parent), seen)
    return found


def _lower(place: dict[bytes, Evidence], key: bytes, seen: Evidence) -> None:
    known = place.get(key)
    if known is None or seen.not_after < known.not_after:
        place[key] = seen


def _reached(repo: Repository, oid: str) -> Iterator[tuple[str, bool]]:
    """The object itself, and of a tag those that it leads to, each with whether it is a tag; none that is absent."""
    for _ in range(MAX_TAGS):
        try:
            kind, raw = repo.read(oid)
            if kind == ObjectKind.TAG:
                yield oid, True
                oid = parse_tag(raw, repo.object_format).object
                continue
        except Error:
            return
        if kind == ObjectKind.COMMIT:
            yield oid, False
        return
