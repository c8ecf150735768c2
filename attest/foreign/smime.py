"""CMS signatures of anybody: S/MIME certificates of other authorities, gitsign's, and whatever gpgsm wrote.

Steps 2 and 3 need nobody's trust: the certificate is in the signature, and integrity is arithmetic. Step 4 needs a
root that the verifier named: a CA for S/MIME here, Sigstore's in `sigstore`.

A person of S/MIME is called `smime:KEYID/WHO`: the key id of the CA that was named, and the first address of the
certificate or else its subject (RFC 4514), percent-encoded. With another CA it is somebody else.
"""

from __future__ import annotations

import binascii
import functools
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from cryptography.x509 import ObjectIdentifier

from attest import asn1, cms
from attest.errors import MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.foreign import cmscerts, cmscheck, cmsdata, cmskeys, cmstime
from attest.foreign.cmscerts import Certificate
from attest.foreign.cmsdata import Message
from attest.foreign.vouched import ARMOUR_CMS, Vouched
from attest.gitobject import Commit, PushCertificate, Tag
from attest.row import Signer, SignerKind
from attest.types import Authentication, Principal, PrincipalKind

if TYPE_CHECKING:
    from cryptography import x509

    from attest.foreign.roots import Roots

ARMOUR_LOOSE = "armour-loose"
"""Remarks: the label that signet-git wrote first, which git does not know; base64 in lines of another width."""

ATTRIBUTES_UNORDERED = "signed-attributes-unordered"
"""Remark: signed in the order they were written in, where RFC 5652 section 5.4 has them sorted."""

NO_ATTRIBUTES = "no-signed-attributes"
"""Remark: the signature is over the content itself, and says nothing of a time."""


_ARMOUR = re.compile(rb"-----BEGIN (SIGNED MESSAGE|CMS)-----\n([A-Za-z0-9+/=\s]*)\n?-----END \1-----\n*")
_FULCIO = tuple(asn1.encode(ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{arc}")) for arc in (1, 8))


@dataclass(frozen=True, slots=True)
class ForeignCms:
    """One CMS signature, and its signer's certificate where it carries that."""

    message: Message
    certificate: Certificate | None
    signer: Signer
    remarks: tuple[str, ...]
    roots: Roots

    @property
    def detail(self) -> str:
        """For the finding of step 2."""
        digest = cmskeys.digest_name(self.message.digest)
        return f"one CMS signature, {self.signer.algorithm or self.message.algorithm.oid} with {digest}"

    @property
    def value(self) -> bytes:
        """The signature proper, which time-stamps are over."""
        return self.message.signature

    def verify_content(self, content: bytes) -> str:
        """Step 3 (RFC 5652 section 5.6): returns the key's id."""
        if self.certificate is None:
            who = self.signer.serial or (self.message.key_identifier or b"").hex()
            raise UnavailableError(
                f"the signature names its signer's certificate ({who}) and does not carry it",
                hint="ask the signer to include it (gpgsm: include-certs)",
            )
        cmscheck.verify_message(self.message, self.certificate, content)
        return self.signer.key

    def verify_signer(self, parsed: Commit | Tag | PushCertificate | None) -> Vouched:
        """Step 4."""
        keyless = self.signer.kind is SignerKind.SIGSTORE
        if keyless and self.roots.sigstore is None:
            raise _foreign("a certificate that Sigstore issued", "no trusted root of Sigstore was")
        if not keyless and not self.roots.smime:
            raise _foreign(f"an S/MIME certificate by {self.signer.issuer or 'somebody'}", "no such authority was")
        certificate = self.certificate.library if self.certificate is not None else None
        if certificate is None:
            raise cmscerts.invalid("it cannot be read")
        if self.roots.sigstore is None or not keyless:
            return _verify_smime(self, certificate, parsed)
        from attest.foreign import sigstore

        return sigstore.verify_signer(self, certificate, self.roots.sigstore, date_of(parsed))

    def signing_time(self, parsed: Commit | Tag | PushCertificate | None) -> tuple[int, str] | None:
        """The signer's word on the time, unix seconds, and where it stands; what the object says is not asked."""
        del parsed
        when = self.message.signing_time
        return (int(when.timestamp()), cms.SIGNING_TIME_SOURCE) if when is not None else None

    @property
    def others(self) -> tuple[x509.Certificate, ...]:
        """The other certificates it carries, those that can be read."""
        found = []
        for der in self.message.certificates:
            try:
                other = cmscerts.read(der)
            except MalformedError:
                continue
            if other.library is not None and other is not self.certificate:
                found.append(other.library)
        return tuple(found)


def read(armour: bytes, roots: Roots) -> ForeignCms:
    """Step 2: `MalformedError`, or `VerificationError` for several signers."""
    der, remarks = open_armour(armour)
    message = cmsdata.parse(der)
    if message.content_type != cmsdata.DATA or message.content is not None:
        raise MalformedError("the CMS content is not data that is detached")
    found = cmscheck.find_certificate(message)
    if message.signed is None:
        remarks = (*remarks, NO_ATTRIBUTES)
    if len(message.signed_bytes) > 1:
        remarks = (*remarks, ATTRIBUTES_UNORDERED)
    return ForeignCms(message, found, _signer(found) if found else _named(message), remarks, roots)


def open_armour(armour: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The bytes inside, and what is odd about the text around them."""
    if len(armour) > 2 * cms.MAX_CMS_BYTES:
        raise MalformedError(f"{len(armour)} bytes of armour; a signature has at most {2 * cms.MAX_CMS_BYTES}")
    found = _ARMOUR.fullmatch(armour)
    if found is None:
        raise MalformedError("not one CMS armour block from first to last byte")
    try:
        der = binascii.a2b_base64(b"".join(found[2].split()), strict_mode=True)
    except binascii.Error as error:
        raise MalformedError(f"armour is not base64: {error}") from None
    remarks = [ARMOUR_CMS] if found[1] == b"CMS" else []
    usual = cms.ARMOUR.wrap(der).replace(b" SIGNED MESSAGE-", b" %s-" % found[1])
    return der, (*remarks, ARMOUR_LOOSE) if usual != armour else tuple(remarks)


def _verify_smime(
    made: ForeignCms,
    leaf: x509.Certificate,
    parsed: Commit | Tag | PushCertificate | None,
) -> Vouched:
    when, roots = date_of(parsed), made.roots.smime
    if when is None:
        when = made.message.signing_time or leaf.not_valid_before_utc
    try:
        cmscerts.check_purposes(leaf, cmscerts.SMIME_PURPOSES, needed=False)
        root = cmscerts.verify_chain(leaf, made.others, roots, when, cmscerts.SMIME_PURPOSES)
        addresses = cmscerts.addresses(leaf)
        # Who names a CA for signatures takes its time-stamps too; most CAs for S/MIME have a service for them.
        stampers = [*(cmstime.Stamper((root,), 0, None) for root in roots), *made.roots.stampers]
        evidence, remarks = cmstime.collect(made.message, leaf, stampers, {})
    except cmscerts.UNREADABLE as error:
        raise cmscerts.invalid(f"it cannot be read ({type(error).__name__})") from None
    facts = cmscerts.read(root.public_bytes(cmscerts.DER)).facts
    who = addresses[0].lower() if addresses else made.signer.subject
    return Vouched(
        principal=Principal(
            id=f"smime:{facts.key_id}/{quote(who, safe='@+=,')}",
            kind=PrincipalKind.HUMAN,
            name="",
            display=addresses[0] if addresses else made.signer.subject,
            email=addresses[0] if addresses else "",
            authentication=Authentication.OWN_KEY,
        ),
        addresses=frozenset(addresses),
        root=f"S/MIME authority {facts.subject or facts.key_id}",
        not_before=made.signer.not_before,
        not_after=made.signer.not_after,
        evidence=evidence,
        remarks=remarks,
    )


def date_of(parsed: Commit | Tag | PushCertificate | None) -> datetime | None:
    """The object's own date, at which git and its tools judge."""
    match parsed:
        case Commit():
            return parsed.committer.when
        case Tag() if parsed.tagger is not None:
            return parsed.tagger.when
        case PushCertificate():
            return datetime.fromtimestamp(parsed.seconds, UTC)
    return None


@functools.lru_cache(maxsize=1024)
def _signer(certificate: Certificate) -> Signer:
    facts = certificate.facts
    sigstore = any(mark in certificate.der for mark in _FULCIO)
    return Signer(
        kind=SignerKind.SIGSTORE if sigstore else SignerKind.SMIME,
        key=facts.key_id,
        algorithm=cmskeys.name(cmskeys.load(certificate.spki)),
        leaf_sha256=facts.sha256,
        serial=facts.serial,
        issuer=facts.issuer,
        subject=facts.subject,
        subject_alternative_names=facts.subject_alternative_names,
        not_before=facts.not_before,
        not_after=facts.not_after,
    )


def _named(message: Message) -> Signer:
    """What is known of a signer whose certificate is not there."""
    key, serial = (message.key_identifier or b"").hex(), ""
    if message.key_identifier is None:
        serial = f"{message.serial:x}"
    issuer = cmscerts.name_text(message.issuer) if message.issuer else ""
    return Signer(SignerKind.SMIME, key, "", serial=serial, issuer=issuer)


def _foreign(what: str, missing: str) -> VerificationError:
    return VerificationError(
        Step.CHAIN, Reason.SIGNATURE_FOREIGN, f"signed with {what}, not by this authority, and {missing} named"
    )
