"""What the receiving side saw arrive: a signed statement about each ref that a push moved (design D5).

It says which id came when to which ref, in place of which, and under which push certificate. The certificate stands in
it whole, because git keeps its blob under no ref and throws it away. It is signed with a key of the server's operator,
and counts for whom the public key was given to; without a key there is no statement, and never an unsigned one.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attest import dsse, statement
from attest.errors import UnavailableError
from attest.gitobject import ObjectKind
from attest.instants import rfc3339
from attest.receive.signedpush import Received, sha256
from attest.receive.updates import Update
from attest.repository import Repository
from attest.signing_key import SigningKey
from attest.witnessed import HEAD, PREDICATE_TYPE

MAX_CERTIFICATE_BYTES = 16 * 1024
"""Of a push certificate that is kept whole, in the statement of each of its refs: one of a hundred refs has that many
bytes. A longer one is named by its digest."""

_DIGESTS = {ObjectKind.COMMIT.value: "gitCommit", ObjectKind.TAG.value: "gitTag", "tree": "gitTree", "blob": "gitBlob"}


def lines(
    repo: Repository,
    moved: Sequence[Update],
    witness: str,
    repository: str | None,
    received: Received | None,
    key: SigningKey,
    at: datetime,
) -> dict[str, list[bytes]]:
    """What is stored of a push: for each object id that refs came to, or went from for good, the signed lines."""
    found: dict[str, list[bytes]] = {}
    kinds = _kinds(repo, moved)
    for update in moved:
        ids = [oid for oid in (update.old, update.new) if oid is not None]
        payload = build(update, kinds, witness, repository, received, at)
        found.setdefault(ids[-1], []).append(sign(payload, key))
    return found


def build(
    update: Update,
    kinds: Mapping[str, str],
    witness: str,
    repository: str | None,
    received: Received | None,
    at: datetime,
) -> bytes:
    """The Statement (in-toto v1, compact ASCII JSON) that this update arrived at `at`.

    Its subject is the new tip, of a deletion the old one; `kinds` gives the kind of object of both. `witness` is the
    URI of who says so.
    """
    oid = update.new or update.old
    assert oid is not None, "git reports no update from nothing to nothing"
    predicate: dict[str, Any] = {
        "witness": {"id": witness},
        "repository": repository,
        "ref": update.ref,
        "old": _digest(update.old, kinds),
        "new": _digest(update.new, kinds),
        "receivedAt": rfc3339(int(at.timestamp())),
        "pushCertificate": _certificate(received) if received is not None else None,
    }
    subject = {"name": update.ref, "digest": _digest(oid, kinds)}
    return statement.encode([subject], PREDICATE_TYPE, predicate)


def sign(payload: bytes, key: SigningKey) -> bytes:
    """The line that is stored: a DSSE envelope (protocol 1.0.2) under a media type that says what it is."""
    signature = key.sign(dsse.pae(dsse.PAYLOAD_TYPE, payload))
    made = dsse.EnvelopeSignature(signature, key.public.key_id)
    return HEAD + dsse.Envelope(payload, dsse.PAYLOAD_TYPE, (made,)).encode() + b"}"


def _kinds(repo: Repository, moved: Sequence[Update]) -> dict[str, str]:
    """The kind of every old and new tip, asked for at once."""
    oids = dict.fromkeys(oid for update in moved for oid in (update.old, update.new) if oid is not None)
    asked = "".join(f"{oid}\n" for oid in oids).encode("ascii")
    done = repo.git("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked)
    answers = (line.split(" ") for line in done.stdout.decode("ascii", "replace").splitlines())
    found = {words[0]: words[1] for words in answers if words[-1] in _DIGESTS}
    if len(found) != len(oids):
        raise UnavailableError("git does not know some of the ids that refs came from or went to", hint="run git fsck")
    return found


def _certificate(received: Received) -> dict[str, Any]:
    found = {
        "digest": {"gitBlob": received.blob, "sha256": sha256(received)},
        "nonceIssuedAt": rfc3339(int(received.issued.timestamp())),
    }
    raw = received.certificate.raw
    return found if len(raw) > MAX_CERTIFICATE_BYTES else {**found, "content": b64encode(raw).decode("ascii")}


def _digest(oid: str | None, kinds: Mapping[str, str]) -> dict[str, str] | None:
    return {_DIGESTS[kinds[oid]]: oid} if oid is not None else None
