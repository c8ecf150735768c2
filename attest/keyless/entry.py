"""Entries of a Rekor log, as a Sigstore bundle carries them (protobuf-specs, `sigstore_rekor.proto`).

A log proves two ways that it has an entry. Its *promise* (signed entry timestamp, Rekor version 1) is a signature over
the entry, the instant and the index: it proves a time. An *inclusion proof* leads from the entry to the root hash of a
signed checkpoint: it proves no time, since nobody signs when. Whatever of the two is there has to hold.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from attest import keys
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.foreign.cmstime import Log
from attest.keyless import merkle, note
from attest.keyless.fields import Fields
from attest.keyless.note import Checkpoint

MAX_BODY_BYTES = 256 * 1024
"""A body has the certificate in base64 twice over, some 10 KiB; `intoto` may hold the payload besides."""

_PROMISED = frozenset({("dsse", "0.0.1"), ("hashedrekord", "0.0.1"), ("intoto", "0.0.2")})
"""Kinds of Rekor version 1, the only one that promises and gives times."""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where the entry stands in its tree, the hashes beside its path, and the checkpoint that has the root."""

    index: int
    size: int
    root: bytes
    path: tuple[bytes, ...]
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Entry:
    """One log entry; nothing in it is verified. `when` is in unix seconds and counts with a promise alone."""

    log_id: bytes
    index: int
    kind: tuple[str, str]
    body: bytes
    when: int | None
    promise: bytes | None
    inclusion: Inclusion | None

    @classmethod
    def read(cls, fields: Fields) -> Entry:
        """One of `tlogEntries`; `MalformedError`."""
        kind, body = fields.message("kindVersion"), fields.data("canonicalizedBody")
        if len(body) > MAX_BODY_BYTES:
            raise MalformedError(f"{len(body)} bytes of log entry; at most {MAX_BODY_BYTES} are read")
        promise = None
        if fields.has("inclusionPromise"):
            promise = fields.message("inclusionPromise").data("signedEntryTimestamp")
        return cls(
            log_id=fields.message("logId").data("keyId"),
            index=fields.number("logIndex") if fields.has("logIndex") else 0,
            kind=(kind.text("kind"), kind.text("version")),
            body=body,
            when=fields.number("integratedTime") if fields.has("integratedTime") else None,
            promise=promise,
            inclusion=_inclusion(fields.message("inclusionProof")) if fields.has("inclusionProof") else None,
        )


@dataclass(frozen=True, slots=True)
class Logged:
    """A log that was named has the entry: its id in hex, and when it took it, if it promised (unix seconds)."""

    log: str
    index: int
    when: int | None


def verify_entry(entry: Entry, logs: Mapping[bytes, Log]) -> Logged:
    """That one of `logs` has this entry. What the entry is of, `body.verify_body` says.

    Raises `VerificationError(Step.TIME, Reason.LOG_ENTRY_INVALID)`.
    """
    log = logs.get(entry.log_id)
    if log is None:
        raise invalid("it is of a log that the trusted root does not name")
    if entry.promise is None and entry.inclusion is None:
        raise invalid("it has neither the log's promise nor a proof")
    try:
        when = None if entry.promise is None else _verify_promise(entry, entry.promise, log)
        if entry.inclusion is not None:
            _verify_inclusion(entry, entry.inclusion, log)
    except Error as error:
        raise invalid(error.message) from None
    return Logged(entry.log_id.hex(), entry.index, when)


def invalid(why: str) -> VerificationError:
    """For an entry of a log that does not hold."""
    return VerificationError(Step.TIME, Reason.LOG_ENTRY_INVALID, f"the transparency log's entry does not hold: {why}")


def counts(log: Log, when: int) -> bool:
    """Whether entries of the log count at that instant, unix seconds; both ends included."""
    return log.begins <= when <= (when if log.ends is None else log.ends)


def _verify_promise(entry: Entry, promise: bytes, log: Log) -> int:
    """The promise is over canonical JSON (RFC 8785): keys in order, base64 and hex need no escapes."""
    if entry.kind not in _PROMISED or entry.when is None:
        raise MalformedError("a promise with an entry that has no time")
    if not counts(log, entry.when):
        raise MalformedError("the log does not count at that time")
    said = (
        f'{{"body":"{b64encode(entry.body).decode()}","integratedTime":{entry.when},'
        f'"logID":"{entry.log_id.hex()}","logIndex":{entry.index}}}'
    )
    keys.verify_signature(log.key, promise, said.encode())
    return entry.when


def _verify_inclusion(entry: Entry, proof: Inclusion, log: Log) -> None:
    note.verify_note(proof.checkpoint, entry.log_id, log.key)
    if (proof.checkpoint.size, proof.checkpoint.root) != (proof.size, proof.root):
        raise MalformedError("the proof is for another tree than the checkpoint")
    if merkle.root_of(entry.body, proof.index, proof.size, proof.path) != proof.root:
        raise MalformedError("the proof does not lead to the log's root hash")


def _inclusion(fields: Fields) -> Inclusion:
    return Inclusion(
        index=fields.number("logIndex") if fields.has("logIndex") else 0,
        size=fields.number("treeSize"),
        root=fields.data("rootHash"),
        path=fields.pieces("hashes", most=merkle.MAX_PATH),
        checkpoint=Checkpoint.parse(fields.message("checkpoint").text("envelope")),
    )
