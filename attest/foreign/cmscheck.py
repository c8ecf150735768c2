"""Steps 2 and 3 for a SignedData of anybody: which of its certificates signed, and whether it is over the content.

The same for commits and for the time-stamps in them (RFC 5652 sections 5.3 to 5.6).
"""

from __future__ import annotations

from attest import asn1
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.foreign import cmscerts, cmsdata, cmskeys
from attest.foreign.cmscerts import Certificate
from attest.foreign.cmsdata import Message


def find_certificate(message: Message) -> Certificate | None:
    """The included certificate that the signer identifier names; None where none does, an error where two do."""
    included = [cmscerts.read(der) for der in message.certificates]
    if message.key_identifier is not None:
        named = [c for c in included if c.subject_key_identifier == message.key_identifier]
    else:
        same = [c for c in included if c.serial == message.serial]
        # Some write the issuer's name anew, in another type of string; its key decides then.
        named = [c for c in same if c.issuer == message.issuer] or same
    if len(named) > 1:
        raise MalformedError(f"the signer identifier names {len(named)} of the included certificates, not one")
    return named[0] if named else None


def verify_message(message: Message, certificate: Certificate, content: bytes) -> None:
    """Step 3 (RFC 5652 section 5.6), also for what carries its content; raises as `cmskeys.verify`."""
    covered: tuple[bytes, ...] = (content,)
    if message.signed is not None:
        _check_attributes(message, content)
        covered = message.signed_bytes
    for data in covered[:-1]:
        try:
            return cmskeys.verify(certificate.spki, message.algorithm, message.digest, message.signature, data)
        except VerificationError:
            continue
    return cmskeys.verify(certificate.spki, message.algorithm, message.digest, message.signature, covered[-1])


def _check_attributes(message: Message, content: bytes) -> None:
    """RFC 5652 section 11: content type and digest are among the signed attributes, once each, and agree."""
    kind, digest = message.signed_value(cmsdata.CONTENT_TYPE), message.signed_value(cmsdata.MESSAGE_DIGEST)
    if kind is None or digest is None or digest.tag != asn1.OCTETS:
        raise _broken(Reason.SIGNATURE_INVALID, "contentType or messageDigest is not there exactly once")
    if cmsdata.read_oid(kind) != message.content_type:
        raise _broken(Reason.SIGNATURE_INVALID, "the contentType attribute differs from the content's type")
    if cmskeys.digest(message.digest, content) != digest.content:
        raise _broken(Reason.DIGEST_MISMATCH, "the content is not what was signed: its digest differs")


def _broken(reason: Reason, why: str) -> VerificationError:
    return VerificationError(Step.INTEGRITY, reason, why)
