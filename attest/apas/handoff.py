"""Handoffs from one phase of an agent's work to the next: APAS `handoff/v1`, in the three shapes that are about.

- *served*: the schema that notme serves; names a document, its hash and two chain hashes
- *capnp*: notme's own types; a summary, files and commits in the document's place
- *rosary*: what rosary writes, under a type of its own and in snake_case; the file `.rsry-handoff-N.json` is the same

None of the first two says all that its chain hash covers, so that nobody but their maker could compute it. What is
written here is the served shape, and says the rest under names of its own.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attest.apas import chain
from attest.apas.chain import Link
from attest.apas.fields import PREFIX, Fields
from attest.dsse import read_json
from attest.errors import MalformedError

PREDICATE_TYPE = "https://notme.bot/provenance/handoff/v1"
ROSARY_TYPE = "https://rosary.dev/Handoff/v1"
PREDICATE_TYPES = frozenset({PREDICATE_TYPE, ROSARY_TYPE})

DOCUMENT = re.compile(r"\.rsry-handoff-(0|[1-9][0-9]{0,5})\.json")
"""The name of rosary's own documents; the number is the phase's."""


class Shape(enum.StrEnum):
    """In which of its three shapes a handoff was written."""

    SERVED = "served"
    CAPNP = "capnp"
    ROSARY = "rosary"


@dataclass(frozen=True, slots=True)
class Handoff:
    """What one handoff says. Texts are empty and `phase` is None where it does not say.

    `document_hash`, `previous` and `stated` (its own chain hash, as it says) are hex. `link` is what its chain hash is
    over, where it says all of it.
    """

    shape: Shape
    phase: int | None
    from_phase: str
    to_phase: str
    work_item: str
    summary: str
    files: tuple[str, ...]
    commits: tuple[str, ...]
    document: str
    document_hash: str
    previous: str
    stated: str
    link: Link | None

    @property
    def chain_hash(self) -> str:
        """The chain hash: computed where that can be done, else as it was stated."""
        return self.link.hash() if self.link is not None else self.stated


def parse(predicate_type: str, predicate: Mapping[str, Any]) -> Handoff:
    """The handoff that the predicate of a Statement is. Raises `MalformedError`."""
    fields = Fields(predicate, "predicate")
    if predicate_type == ROSARY_TYPE:
        return _rosary(fields)
    if predicate_type != PREDICATE_TYPE:
        raise MalformedError(f"{predicate_type[:80]!r} is no type of a handoff")
    return _served(fields) if fields.has("handoffDocument") or fields.has("documentHash") else _capnp(fields)


def parse_document(data: bytes, name: str = "") -> Handoff:
    """The handoff that a file of rosary's holds. Raises `MalformedError`.

    With `name`, the number in it is the phase's.
    """
    found = _rosary(Fields(read_json(data), ""))
    numbered = DOCUMENT.fullmatch(name)
    if numbered and int(numbered[1]) != found.phase:
        raise MalformedError(f"{name} holds phase {found.phase}")
    return found


def _served(fields: Fields) -> Handoff:
    """`fromAgent` and what stands with it are ours, and make the chain hash computable."""
    previous, link = fields.chain_hash("previousChainHash"), None
    if fields.has("fromAgent"):
        link = Link(
            phase=_phase(fields),
            from_agent=fields.text("fromAgent"),
            work_item=fields.text("workItemId"),
            summary=fields.text("summary"),
            files=fields.texts("filesChanged"),
            commits=fields.texts("commitShas"),
            previous=previous,
        )
    return Handoff(
        shape=Shape.SERVED,
        phase=link.phase if link else None,
        from_phase=fields.text("fromPhase"),
        to_phase=fields.text("toPhase"),
        work_item=link.work_item if link else "",
        summary=link.summary if link else "",
        files=link.files if link else (),
        commits=link.commits if link else (),
        document=fields.text("handoffDocument"),
        document_hash=fields.sha256("documentHash").removeprefix(PREFIX),
        previous=previous,
        stated=fields.chain_hash("chainHash"),
        link=link,
    )


def _capnp(fields: Fields) -> Handoff:
    return Handoff(
        shape=Shape.CAPNP,
        phase=None,
        from_phase=fields.text("fromPhase"),
        to_phase=fields.text("toPhase"),
        work_item="",
        summary=fields.text("summary"),
        files=fields.texts("filesChanged"),
        commits=fields.commits("commitShas"),
        document="",
        document_hash="",
        previous=fields.chain_hash("previousChainHash"),
        stated=fields.chain_hash("chainHash"),
        link=None,
    )


def _rosary(fields: Fields) -> Handoff:
    """Its own hash stands nowhere in it; the name of the file before only counts in version 1."""
    version = fields.text("schema_version")
    artifacts = fields.part("artifacts")
    before = artifacts.text("previous_handoff", "") if artifacts is not None else ""
    link = Link(
        phase=_phase(fields),
        from_agent=fields.text("from_agent"),
        work_item=fields.text("bead_id"),
        summary=fields.text("summary"),
        files=fields.texts("files_changed"),
        commits=fields.texts("commit_shas"),
        previous=before if version == chain.NAMED else fields.text("previous_chain_hash", ""),
        version=version,
    )
    return Handoff(
        shape=Shape.ROSARY,
        phase=link.phase,
        from_phase=link.from_agent,
        to_phase=fields.text("to_agent", ""),
        work_item=link.work_item,
        summary=link.summary,
        files=link.files,
        commits=link.commits,
        document="",
        document_hash="",
        previous=link.previous,
        stated="",
        link=link,
    )


def _phase(fields: Fields) -> int:
    number = fields.number("phase")
    if number is None:
        raise MalformedError("the handoff does not say which phase it ends")
    return number
