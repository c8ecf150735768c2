"""Where the content that an agent worked from came from, and who says so (APAS section 2.5).

One entry names one source and at most one who vouches for it. Confidence is derived, by whoever evaluates and from
whom he trusts, and stands nowhere. Entries are about content, never about actors: who submitted, signed or ran
something is in certificates, and would here lend his identity to what he passed on.

A set is refused whole where anything in it is wrong: what is dropped in silence could be the one source that nobody
vouches for.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from attest.apas.fields import PREFIX, Fields
from attest.dsse import read_json
from attest.errors import MalformedError

MAX_ENTRIES = 64
MAX_URI = 2048
"""Bounds of the reference implementation, the latter in bytes; ours for who vouches, too."""

_NAME = "contentOrigins"
_DIGEST = "originsHash"


class Confidence(enum.StrEnum):
    """What a set of origins is good for, to one who evaluates it."""

    ATTESTED = "origin-attested"
    """Somebody whom the evaluator trusts vouches for every source."""

    ASSERTED = "origin-asserted"
    """There are sources, and for one at least nobody vouches whom the evaluator trusts."""

    UNKNOWN = "origin-unknown"
    """No sources are named."""


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """One source, and who says that it is one; `vouched_by` is empty where nobody does. Raises `MalformedError`."""

    uri: str
    vouched_by: str

    def __post_init__(self) -> None:
        for name, text in (("uri", self.uri), ("vouchedBy", self.vouched_by)):
            # Beyond ASCII implementations sort by different units and write different escapes.
            if not text.isascii() or not text.isprintable():
                raise MalformedError(
                    f"{name} of a content origin is not printable ASCII: {text[:60]!r}", hint="percent-encode it"
                )
            if len(text) > MAX_URI:
                raise MalformedError(f"{name} of a content origin has {len(text)} bytes; at most {MAX_URI} are allowed")
        if not self.uri:
            raise MalformedError("a content origin without a uri names no source")


@dataclass(frozen=True, slots=True)
class Declared:
    """What a document says of its origins: the set, None where it says nothing, or only the set's digest.

    `digest` is `sha256:` and hex, empty where there is none to say: an empty set has none.
    """

    origins: tuple[Origin, ...] | None
    digest: str


def canonical_set(origins: Iterable[Origin]) -> tuple[Origin, ...]:
    """Without duplicates, sorted by uri and then by who vouches, in the order of their bytes."""
    found = tuple(sorted(set(origins)))
    if len(found) > MAX_ENTRIES:
        raise MalformedError(f"{len(found)} content origins; at most {MAX_ENTRIES} can be declared")
    return found


def encode(origins: Iterable[Origin]) -> bytes:
    """The canonical bytes of the set: what `JSON.stringify` writes of it, `uri` before `vouchedBy`."""
    entries = [{"uri": one.uri, "vouchedBy": one.vouched_by} for one in canonical_set(origins)]
    return json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode("ascii")


def digest(origins: Collection[Origin]) -> str:
    """`originsHash` of the set: `sha256:` and hex of its canonical bytes; of an empty one there is none."""
    return PREFIX + hashlib.sha256(encode(origins)).hexdigest() if origins else ""


def confidence(origins: Collection[Origin] | None, trusted: Collection[str]) -> Confidence:
    """What the set is good for to one who trusts these."""
    if not origins:
        return Confidence.UNKNOWN
    vouched = all(one.vouched_by and one.vouched_by in trusted for one in origins)
    return Confidence.ATTESTED if vouched else Confidence.ASSERTED


def declared(holder: Fields) -> Declared:
    """What `contentOrigins` or `originsHash` of an object say. Raises `MalformedError`, also where both are there."""
    if _NAME in holder.value and _DIGEST in holder.value:
        raise MalformedError(f"{_NAME} and {_DIGEST} exclude each other, and both are there")
    if _DIGEST in holder.value:
        stated = holder.sha256(_DIGEST)
        if not stated:
            raise MalformedError(f"{_DIGEST} is not a digest: sha256: and 64 lower-case hex digits")
        return Declared(None, stated)
    if _NAME not in holder.value:
        return Declared(None, "")
    found = _entries(holder)
    return Declared(found, digest(found))


def parse(data: bytes) -> Declared:
    """Read a file of origins: the array, or an object that holds it or its digest. Raises `MalformedError`."""
    if not data.lstrip().startswith(b"["):
        return declared(Fields(read_json(data), ""))
    # The strict reader takes objects; what closed the array early would leave another key in this one.
    top = read_json(b'{"' + _NAME.encode() + b'":' + data + b"}")
    if set(top) != {_NAME}:
        raise MalformedError("not one JSON array of content origins")
    return declared(Fields(top, ""))


def refuse_actors(origins: Iterable[Origin], actors: Collection[str]) -> None:
    """Raise `MalformedError` for an entry about one of `actors`: URIs and addresses of whoever acted.

    Committer, agent, orchestrator and dispatch are no sources, and none of them vouches for what it used itself.
    """
    known = {name.casefold().removeprefix("mailto:") for name in actors if name}
    for one in origins:
        for name, text in (("uri", one.uri), ("vouchedBy", one.vouched_by)):
            if text.casefold().removeprefix("mailto:") in known:
                raise MalformedError(
                    f"{name} {text!r} of a content origin is an actor, and no source of content",
                    hint="who acted is said by certificates and runDetails.orchestrator.identity",
                )


def _entries(holder: Fields) -> tuple[Origin, ...]:
    raw = holder.value[_NAME]
    if not isinstance(raw, list):
        raise MalformedError(f"{_NAME} is not a list")
    # Counted before anything is looked at: what is malformed counts, too.
    if len(raw) > MAX_ENTRIES:
        raise MalformedError(f"{len(raw)} content origins; at most {MAX_ENTRIES} can be declared")
    return canonical_set(Origin(one.text("uri"), one.text("vouchedBy")) for one in holder.parts(_NAME))
