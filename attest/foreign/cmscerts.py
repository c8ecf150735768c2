"""Certificates of others: what a signature check needs of any of them, and the way from one to a root that was named.

The walk checks, for each certificate from the leaf up, at one instant:

1. the issuer's name is the next one's subject, and the next one's key signed it, without SHA-1 or MD5
2. the issuer is a CA (basic constraints), may sign certificates (key usage), and its path length allows it
3. the issuer was valid then
4. no extension is critical but those that are understood here
5. a CA between leaf and root is for what the leaf is used for, where its extended key usage says what it is for

What it does not check: revocation lists, policies, and name constraints (a CA that has them critical is refused). The
leaf's own validity is left to step 5.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from attest import asn1, certfacts, certificate, keys
from attest.certfacts import CertificateFacts
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.foreign import ber, cmsdata, cmskeys

DER = Encoding.DER

MAX_DEPTH = 6
"""CAs above a leaf; public S/MIME has one or two below the root."""

MAX_TRIED = 16
"""Issuers tried in one walk: whoever includes thirty CAs of one name must not have us check them all."""

KEPT = 256
"""Links of chains whose signature held: the same authorities, and many times the same leaf, are met again."""

UNREADABLE = (*certificate.UNREADABLE, x509.ExtensionNotFound, x509.InvalidVersion, InvalidSignature)

_UNDERSTOOD = frozenset(
    (
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    )
)
_ONE = asn1.encode(1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate. `library` is None where it can read no more than its key.

    `issuer` is DER of a Name, `spki` of a SubjectPublicKeyInfo, `subject_key_identifier` empty where there is none.
    """

    der: bytes
    library: x509.Certificate | None
    issuer: bytes
    serial: int
    spki: bytes
    subject_key_identifier: bytes
    facts: CertificateFacts


@functools.lru_cache(maxsize=keys.KEPT)
def read(der: bytes) -> Certificate:
    """The certificate in `der`, or `MalformedError`. The same bytes give the same object."""
    value = ber.read(der)
    fields = list(value.children[0].children) if value.children else []
    if fields and fields[0].tag == asn1.TAGGED_0:
        fields.pop(0)
    if len(fields) < 6 or any(fields[at].tag != asn1.SEQUENCE for at in (1, 2, 3, 4, 5)):
        raise MalformedError("no readable certificate")
    serial = cmsdata.read_integer(fields[0])
    library = _library(der, value, serial)
    facts = certfacts.read(library) if library is not None else CertificateFacts("", "", "", "", (), None, None, "")
    return Certificate(
        der=der,
        library=library,
        issuer=fields[2].der,
        serial=serial,
        spki=fields[5].der,
        subject_key_identifier=_subject_key_identifier(library),
        facts=replace(
            facts,
            sha256=hashlib.sha256(der).hexdigest(),
            serial=f"{serial:x}",
            key_id=hashlib.sha256(fields[5].der).digest()[:16].hex(),
        ),
    )


def _library(der: bytes, value: ber.Value, serial: int) -> x509.Certificate | None:
    """As the library reads it. It takes no serial number below 1, which some home-made certificates have."""
    if serial < 1:
        body = value.children[0]
        fields = list(body.children)
        at = 1 if fields[0].tag == asn1.TAGGED_0 else 0
        parts = [_ONE if index == at else field.der for index, field in enumerate(fields)]
        der = asn1.der(asn1.SEQUENCE, asn1.der(asn1.SEQUENCE, *parts), *[c.der for c in value.children[1:]])
    try:
        return asn1.load_certificate(der)
    except MalformedError:
        return None


def _subject_key_identifier(library: x509.Certificate | None) -> bytes:
    try:
        if library is not None:
            return library.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except UNREADABLE:
        pass
    return b""


@functools.lru_cache(maxsize=64)
def name_text(der: bytes) -> str:
    """RFC 4514 of a Name that stands alone; empty where nobody can read it.

    The library reads names in certificates and requests only, so that a request is put around it.
    """
    key = bytes.fromhex("302a300506032b6570032100") + bytes(32)
    info = asn1.der(asn1.SEQUENCE, asn1.encode(0), der, key, asn1.der(asn1.TAGGED_0))
    algorithm = asn1.encode(asn1.AlgorithmIdentifier(algorithm=asn1.ED25519, parameters=None))
    try:
        request = x509.load_der_x509_csr(asn1.der(asn1.SEQUENCE, info, algorithm, asn1.der(b"\x03", b"\0")))
        return request.subject.rfc4514_string()
    except UNREADABLE:
        return ""


def addresses(certificate: x509.Certificate) -> tuple[str, ...]:
    """E-mail addresses: of the alternative name, then those of the subject (RFC 8550 section 3)."""
    found = list[str]()
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found += names.get_values_for_type(x509.RFC822Name)
    except UNREADABLE:
        pass
    found += [str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)]
    return tuple(dict.fromkeys(address for address in found if address.isprintable()))


def verify_chain(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    at: datetime,
    purposes: frozenset[x509.ObjectIdentifier] = frozenset(),
) -> x509.Certificate:
    """Step 4: returns the root that `leaf` leads to, or raises `VerificationError(Step.CHAIN, ...)`.

    A leaf that was itself named is its own root. With `purposes` a CA between, whose extended key usage names others
    alone, may not issue such a leaf.
    """
    if leaf in roots:
        return leaf
    walk = _Walk(tuple(others), tuple(roots), at, purposes)
    try:
        _check_critical(leaf)
        found = walk.above((leaf,))
    except UNREADABLE as error:
        raise invalid(f"it cannot be read ({type(error).__name__})") from None
    if found is None:
        raise walk.failure or invalid("its issuer is none of those that were named, and is not included")
    return found


class _Walk:
    """From a certificate up, depth first, through whatever is included; `failure` is the last refusal."""

    def __init__(
        self,
        others: tuple[x509.Certificate, ...],
        roots: tuple[x509.Certificate, ...],
        at: datetime,
        purposes: frozenset[x509.ObjectIdentifier],
    ) -> None:
        self.others, self.roots, self.at, self.purposes = others, roots, at, purposes
        self.left = MAX_TRIED
        self.failure: VerificationError | None = None

    def above(self, path: tuple[x509.Certificate, ...]) -> x509.Certificate | None:
        """The root above the last certificate of `path`. Authorities that certify each other lead in circles."""
        for issuer in (*self.roots, *self.others):
            if issuer.subject != path[-1].issuer or issuer in path:
                continue
            self.left -= 1
            if self.left < 0 or len(path) > MAX_DEPTH:
                raise invalid("the chain is too long")
            try:
                _check_link(path[-1], issuer, len(path) - 1, self.at)
                if issuer not in self.roots:
                    _check_issues(issuer, self.purposes)
            except VerificationError as error:
                self.failure = error
                continue
            except UNREADABLE:
                continue
            if issuer in self.roots:
                return issuer
            if (found := self.above((*path, issuer))) is not None:
                return found
        return None


def _check_link(child: x509.Certificate, issuer: x509.Certificate, below: int, at: datetime) -> None:
    try:
        _check_signature(child, issuer)
    except (Error, *UNREADABLE) as error:
        said = error.message if isinstance(error, Error) else "not by the key of the CA of that name"
        raise invalid(f"its issuer's signature does not hold: {said}") from None
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        raise invalid("its issuer is not a CA") from None
    if not constraints.ca or not _may_issue(issuer):
        raise invalid("its issuer is not a CA that may sign certificates")
    if constraints.path_length is not None and constraints.path_length < below:
        raise invalid("its issuer's path length leaves no room for another CA")
    if not issuer.not_valid_before_utc <= at <= issuer.not_valid_after_utc:
        raise invalid(f"its issuer was not valid at {at:%Y-%m-%dT%H:%M:%SZ}")
    _check_critical(issuer)


def _check_issues(issuer: x509.Certificate, purposes: frozenset[x509.ObjectIdentifier]) -> None:
    """RFC 5280 leaves open what extended key usage says in a CA; that it bounds what it issues is what all others do.

    Of a root it does not matter: that it is named says what it is for.
    """
    try:
        usage = set(issuer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return
    if purposes and not usage & (purposes | {ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}):
        raise VerificationError(
            Step.CHAIN, Reason.PURPOSE_MISMATCH, "its issuer is a CA for other purposes than this certificate's"
        )


@functools.lru_cache(maxsize=KEPT)
def _check_signature(child: x509.Certificate, issuer: x509.Certificate) -> None:
    value = ber.read(child.public_bytes(DER))
    algorithm = cmsdata.read_algorithm(value.children[1])
    spki = issuer.public_key().public_bytes(DER, PublicFormat.SubjectPublicKeyInfo)
    cmskeys.verify(spki, algorithm, algorithm, child.signature, child.tbs_certificate_bytes)


def _may_issue(issuer: x509.Certificate) -> bool:
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _check_critical(checked: x509.Certificate) -> None:
    unknown = [e.oid for e in checked.extensions if e.critical and e.oid not in _UNDERSTOOD]
    if unknown:
        raise VerificationError(
            Step.CHAIN,
            Reason.EXTENSION_UNKNOWN,
            f"a critical extension is not understood: {unknown[0].dotted_string}",
        )


def check_purposes(leaf: x509.Certificate, allowed: frozenset[x509.ObjectIdentifier], *, needed: bool) -> None:
    """The leaf is no CA, signs documents (key usage), and its extended key usage, if `needed` or there, names one."""
    try:
        found: set[x509.ObjectIdentifier] | None = set(
            leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        )
    except x509.ExtensionNotFound:
        found = None
    if (found is None and needed) or (found is not None and not found & allowed):
        raise VerificationError(Step.CHAIN, Reason.PURPOSE_MISMATCH, "the certificate is not for signing documents")
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.digital_signature and not usage.content_commitment:
        raise VerificationError(Step.CHAIN, Reason.PURPOSE_MISMATCH, "the certificate's key is not for signatures")


SMIME_PURPOSES = frozenset(
    (ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
)


def invalid(why: str) -> VerificationError:
    """For step 4."""
    return VerificationError(Step.CHAIN, Reason.CERTIFICATE_INVALID, f"the signer's certificate does not hold: {why}")
