"""Handoffs as in-toto Statements: making `handoff/v1`, reading it and rosary's.

The subject is the document by its name and the SHA-256 of its bytes as they lie on disk, so that nobody has to agree on
how JSON is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attest import said, statement
from attest.apas import handoff
from attest.apas.chain import Link
from attest.apas.fields import PREFIX
from attest.apas.handoff import PREDICATE_TYPE, Handoff
from attest.errors import MalformedError, UsageError


@dataclass(frozen=True, slots=True)
class Document:
    """What is handed on: a file's name, without folders, and its bytes."""

    name: str
    data: bytes

    @property
    def sha256(self) -> str:
        """In lower-case hex."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Said:
    """A handoff as a Statement says it, in `predicate`; `name` and `sha256` are its subject's."""

    handoff: Handoff
    predicate: Mapping[str, Any]
    name: str
    sha256: str


def build(document: Document, link: Link, *, from_phase: str, to_phase: str) -> bytes:
    """The Statement `handoff/v1`: compact ASCII JSON, to be signed as it is.

    `link` is what its chain hash is to be over.
    """
    predicate: dict[str, object] = {
        "fromPhase": from_phase,
        "toPhase": to_phase,
        "handoffDocument": document.name,
        "documentHash": PREFIX + document.sha256,
    }
    if link.previous:
        predicate["previousChainHash"] = PREFIX + link.previous
    predicate |= {
        "chainHash": PREFIX + link.hash(),
        "phase": link.phase,
        "fromAgent": link.from_agent,
        "workItemId": link.work_item,
        "summary": link.summary,
        "filesChanged": list(link.files),
        "commitShas": list(link.commits),
    }
    about = {"name": document.name, "digest": {"sha256": document.sha256}}
    return statement.encode([about], PREDICATE_TYPE, predicate)


def link(
    document: Document,
    previous: Handoff | None,
    *,
    agent: str,
    work_item: str,
    files: Sequence[str],
    commits: Sequence[str],
) -> Link:
    """What the chain hash of a document's handoff is over.

    A document of rosary's says all of it itself; of any other, its own hash stands in the summary's place, so that the
    chain is over the document. Raises `UsageError` for what is missing, or said twice.
    """
    if handoff.DOCUMENT.fullmatch(document.name):
        if agent or work_item or files or commits:
            raise UsageError(f"{document.name} itself says agent, work item, files and commits")
        return _own_link(document, previous)
    work_item = work_item or (previous.work_item if previous is not None else "")
    missing = [name for name, value in (("--from-agent", agent), ("--work-item", work_item)) if not value]
    if missing:
        raise UsageError(f"{' and '.join(missing)} not given: {document.name} does not say what a handoff has to")
    phase, before = (0, "") if previous is None else _after(previous, work_item)
    try:
        return Link(phase, agent, work_item, PREFIX + document.sha256, tuple(files), tuple(commits), before)
    except MalformedError as error:  # of what the caller named
        raise UsageError(error.message, hint=error.hint) from None


def _after(previous: Handoff, work_item: str) -> tuple[int, str]:
    """Number and hash for the handoff after this one."""
    if previous.link is None:
        raise UsageError("the handoff before does not say which phase it ends, or of which work item")
    if work_item != previous.work_item:
        raise UsageError(f"the handoff before is of work item {previous.work_item}, not of {work_item}")
    return previous.link.phase + 1, previous.link.hash()


def read(payload: bytes) -> Said:
    """The handoff in a Statement of either type. Raises `MalformedError`."""
    read = said.read(payload)
    if len(read.subjects) != 1:
        raise MalformedError("the statement has not exactly one subject")
    found = handoff.parse(read.predicate_type, read.predicate)
    name, sha256 = read.subjects[0].name, read.subjects[0].digests.get("sha256", "")
    if found.document_hash and found.document_hash != sha256:
        raise MalformedError("documentHash is not the digest of the subject")
    if found.document and name and found.document != name:
        raise MalformedError("handoffDocument is not the name of the subject")
    return Said(found, read.predicate, name, sha256)


def _own_link(document: Document, previous: Handoff | None) -> Link:
    found = handoff.parse_document(document.data, document.name).link
    assert found is not None, "a document of rosary's says all that its hash is over"
    if found.version != "2":
        raise MalformedError(
            f"{document.name} is of version {found.version}: it does not say by its hash which handoff came before",
            hint="have rosary write it again; it has written version 2 since it chains by hashes",
        )
    if previous is None:
        if found.phase:
            raise UsageError(f"{document.name} ends phase {found.phase}: name the handoff before it with --previous")
    elif previous.work_item != found.work_item or previous.chain_hash != found.previous:
        raise MalformedError(f"{document.name} does not follow the handoff before that was named")
    return found
