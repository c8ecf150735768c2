"""gitsign's predicate git/v0.1, and tag/v0.1 for tags (sigstore/gitsign, `gitsign show`): the object's text itself.

It holds the whole message and signature. Messages hold secrets and git refs are broadcast, so nobody gets it who does
not ask for it by name.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from attest import statement, trailers
from attest.gitobject import Commit, Ident, ObjectFormat, ObjectKind, Tag
from attest.instants import rfc3339
from attest.predicates.facts import Facts, JsonObject, foreign_cms
from attest.verify import Examination

COMMIT_TYPE = "https://gitsign.sigstore.dev/predicate/git/v0.1"
TAG_TYPE = "https://gitsign.sigstore.dev/predicate/tag/v0.1"


def build(facts: Facts) -> bytes | None:
    """The Statement; None for an object that was not accepted. Raises as `statement.check`."""
    statement.check(facts.examination, facts.verdict)
    parsed = facts.examination.parsed
    if not facts.accepted or not isinstance(parsed, Commit | Tag):
        return None
    predicate: JsonObject = {"source": _commit(parsed) if isinstance(parsed, Commit) else _tag(parsed)}
    if facts.examination.signature:
        predicate["signature"] = facts.examination.signature.decode("ascii")
    signer = _signer(facts.examination)
    if signer is not None:
        attributes, certificate = signer
        predicate["signer_info"] = [
            {
                **({"attributes": _base64(attributes)} if attributes else {}),
                "certificate": certificate.public_bytes(Encoding.PEM).decode("ascii"),
            }
        ]
    return statement.encode([_subject(facts)], type_of(facts), predicate)


def type_of(facts: Facts) -> str:
    """The predicate type that goes with the kind of object."""
    return TAG_TYPE if facts.examination.kind == ObjectKind.TAG else COMMIT_TYPE


def _signer(examination: Examination) -> tuple[bytes, x509.Certificate] | None:
    """The signed attributes as a DER SET, and the certificate, of a CMS signature: of ours, of gitsign, of S/MIME."""
    message, foreign = examination.message, foreign_cms(examination)
    if message is not None:
        return message.signed_attributes, message.signer
    if foreign is not None and foreign.certificate is not None and foreign.certificate.library is not None:
        return next(iter(foreign.message.signed_bytes), b""), foreign.certificate.library
    return None


def _subject(facts: Facts) -> JsonObject:
    """Under gitsign's own name for the digest as well. The id is the same, so no other object matches by it."""
    about = statement.subject(facts.examination, facts.repository, facts.ref)
    if facts.examination.object_format == ObjectFormat.SHA1:
        about["digest"] = {"sha1": facts.examination.object_id, **about["digest"]}
    return about


def _commit(commit: Commit) -> JsonObject:
    return {
        "tree": commit.tree,
        **({"parents": list(commit.parents)} if commit.parents else {}),
        "author": _ident(commit.author),
        "committer": _ident(commit.committer),
        "message": trailers.decode(commit.message, commit.encoding),
    }


def _tag(tag: Tag) -> JsonObject:
    return {
        "object": tag.object,
        "object_type": tag.object_type,
        "tag": tag.name,
        **({"tagger": _ident(tag.tagger)} if tag.tagger is not None else {}),
        "message": trailers.decode(tag.message, None),
    }


def _ident(ident: Ident) -> dict[str, Any]:
    return {"name": ident.name, "email": ident.email, "date": rfc3339(ident.seconds)}


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")
