"""From an examination, and a decision where there is one, to the row that reports are made from."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import replace

from cryptography import x509

from attest import certfacts, certificate, cms, identity, remains, sshcert, sshwire
from attest.certificate import Chain
from attest.errors import Error, Reason, Step
from attest.foreign.vouched import ForeignSigned, Vouched
from attest.gitobject import Commit, Ident, ObjectFormat, ObjectKind, SignatureFormat, Tag
from attest.keys import KeyAlgorithm
from attest.remains import Said
from attest.row import Row, Signer, SignerKind
from attest.signed import CmsSigned, GitObject, Signed, SshSigned
from attest.trust import Trust
from attest.types import Finding, Outcome, StepStatus
from attest.verify import Decision, Examination

MAX_SUBJECT = 200
"""Characters of a message's first line that are kept: it may be a line of sixteen megabytes."""

KEPT = 1024
"""Signers that are remembered, so that the rows of one leaf share one value."""

_CHECKED = frozenset({SignatureFormat.X509, SignatureFormat.SSH})
"""The formats whose integrity is said of every object: nothing but this program is needed to know it."""


def row_of(examination: Examination, decided: Decision | None, trusted: Trust) -> Row:
    """The row of an examined object, judged where something was decided."""
    made, fmt, parsed = examination.signed or examination.foreign, examination.signature_format, examination.parsed
    integrity, signer = _integrity(examination), signer_of(examination)
    if parsed is None and examination.kind in (ObjectKind.COMMIT, ObjectKind.TAG):
        raw, kind, objects = examination.payload, ObjectKind(examination.kind), ObjectFormat(examination.object_format)
        said, found = remains.said(raw, kind, objects), remains.signature(raw, kind, objects, trusted)
        made, fmt, integrity = found.made, found.format, found.integrity
        signer = _unproven(made) if made is not None else None
    else:
        said = _said(parsed)
    word = made.signing_time(parsed) if made is not None else None
    return Row(
        object_id=examination.object_id,
        kind=examination.kind,
        format=fmt.value if fmt is not None else None,
        integrity=integrity,
        signer=signer,
        signing_time=word[0] if word is not None and word[1] == cms.SIGNING_TIME_SOURCE else None,
        author=said.author,
        author_date=said.author_date,
        committer=said.committer,
        committer_date=said.committer_date,
        tree=said.tree,
        parents=said.parents,
        subject=first_line(said.message),
        findings=decided.findings if decided is not None else examination.findings,
        evidence=examination.evidence,
        remarks=examination.remarks,
        contradictions=examination.contradictions,
        outcome=decided.outcome if decided is not None else None,
        rule=decided.rule if decided is not None else "",
        warnings=decided.warnings if decided is not None else (),
    )


def unread(object_id: str, error: Error, *, judged: bool) -> Row:
    """The row of an object that could not be read: nothing is known of it."""
    detail = f"{error.message}; {error.hint}" if error.hint else error.message
    first = Finding(int(Step.OBJECT), StepStatus.UNAVAILABLE, Reason.OBJECT_UNREADABLE.value, detail)
    late = (Step.SIGNATURE, Step.INTEGRITY, Step.CHAIN, Step.TIME, Step.EPOCH, Step.IDENTITY, Step.POLICY)
    others = tuple(
        Finding(int(step), StepStatus.UNAVAILABLE, Reason.EARLIER_STEP.value, "not looked at: it could not be read")
        for step in late
    )
    return Row(
        object_id=object_id,
        kind="object",
        format=None,
        integrity=None,
        signer=None,
        signing_time=None,
        author="",
        author_date=None,
        committer="",
        committer_date=None,
        tree="",
        parents=(),
        subject="",
        findings=(first, *others),
        outcome=Outcome.COULD_NOT_CHECK if judged else None,
    )


def first_line(message: bytes) -> str:
    """The first line of a message, cut to `MAX_SUBJECT`; not made printable."""
    end = message.find(b"\n")
    if end <= 0:
        message = message.lstrip(b"\n")
        end = message.find(b"\n")
    line = message if end < 0 else message[:end]
    return line[: 4 * MAX_SUBJECT].decode("utf-8", "replace")[:MAX_SUBJECT]


def who(ident: Ident) -> str:
    """`NAME <ADDRESS>`"""
    return f"{ident.name} <{ident.email}>"


def _said(parsed: GitObject | None) -> Said:
    """Author and committer with their dates, as the object claims."""
    if isinstance(parsed, Commit):
        author, by = parsed.author, parsed.committer
        return Said(who(author), author.seconds, who(by), by.seconds, parsed.tree, parsed.parents, parsed.message)
    if isinstance(parsed, Tag):
        tagger = parsed.tagger
        if tagger is not None:
            return Said("", None, who(tagger), tagger.seconds, "", (), parsed.message)
        return Said("", None, "", None, "", (), parsed.message)
    return Said("", None, "", None, "", (), b"")


def _integrity(examination: Examination) -> bool | None:
    """Whether the signature is over the object, where that is for us to say."""
    if examination.signature_format not in _CHECKED:
        return None
    return examination.finding(Step.INTEGRITY).status is StepStatus.PROVEN


def signer_of(examination: Examination) -> Signer | None:
    """Who made the signature, by what it says of itself; proven as far as the findings say."""
    if examination.signed is not None:
        return _signer_of(examination.signed, examination.chain)
    if examination.foreign is not None:
        return _vouched(examination.foreign.signer, examination.vouched)
    return None


def _unproven(made: Signed | ForeignSigned) -> Signer:
    return _signer_of(made, None) if isinstance(made, CmsSigned | SshSigned) else made.signer


def _signer_of(made: Signed, chain: Chain | None) -> Signer:
    if isinstance(made, CmsSigned):
        return _of_certificate(made.message.signer, made.algorithm, chain)
    return _of_user_certificate(made.certificate.blob, chain)


@functools.lru_cache(maxsize=KEPT)
def _vouched(signer: Signer, vouched: Vouched | None) -> Signer:
    if vouched is None:
        return signer
    return replace(signer, identity=identity.describe_foreign(vouched, signer), root=vouched.root)


def _of_certificate(signer: x509.Certificate, algorithm: KeyAlgorithm, chain: Chain | None) -> Signer:
    if chain is not None:
        return signer_of_leaf(chain)
    facts = certfacts.read(signer)
    return Signer(
        kind=SignerKind.BRIDGE,
        key=facts.key_id,
        algorithm=algorithm.value,
        leaf_sha256=facts.sha256,
        serial=facts.serial,
        issuer=facts.issuer,
        subject=facts.subject,
        subject_alternative_names=facts.subject_alternative_names,
        not_before=facts.not_before,
        not_after=facts.not_after,
    )


@certificate.kept
def signer_of_leaf(chain: Chain) -> Signer:
    """As `certfacts` would say it, of a certificate that was read under its profile."""
    leaf = chain.leaf
    return Signer(
        kind=SignerKind.BRIDGE,
        key=leaf.key.key_id,
        algorithm=leaf.key.algorithm.value,
        leaf_sha256=leaf.sha256.hex(),
        serial=f"{leaf.serial:x}",
        issuer=leaf.issuer,
        subject=leaf.distinguished_name,
        subject_alternative_names=(*((leaf.uri,) if leaf.uri else ()), *leaf.emails),
        not_before=int(leaf.not_before.timestamp()),
        not_after=int(leaf.not_after.timestamp()),
        profile=str(chain.anchor.profile),
        identity=identity.describe(leaf),
        root=chain.anchor.key.key_id,
    )


@functools.lru_cache(maxsize=KEPT)
def _of_user_certificate(blob: bytes, chain: Chain | None) -> Signer:
    read = sshcert.parse(blob)
    return Signer(
        kind=SignerKind.BRIDGE,
        key=sshwire.fingerprint(sshwire.ed25519_key(read.public_key)),
        algorithm=KeyAlgorithm.ED25519.value,
        leaf_sha256=hashlib.sha256(blob).hexdigest(),
        serial=f"{read.serial:x}",
        issuer=sshwire.fingerprint(sshwire.ed25519_key(read.ca_key)),
        subject=read.key_id,
        subject_alternative_names=read.principals,
        not_before=read.valid_after,
        not_after=read.valid_before,
        profile=str(chain.anchor.profile) if chain is not None else "",
        identity=identity.describe(chain.leaf) if chain is not None else None,
        root=chain.anchor.key.key_id if chain is not None else "",
    )
