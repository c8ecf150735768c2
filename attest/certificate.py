"""Reading certificates under a profile, and the chain from leaf to pinned anchor (step 4).

`x509.verification` refuses Ed25519 issuers, so the chain is walked here, with this list of what is checked:

 1. the leaf carries exactly the extensions of its profile, with their criticality; others are refused
 2. end entity: CA false; key usage digitalSignature and nothing beyond; purpose as the profile says
 3. its key is of the profile's algorithm and passes the strictness rule (`keys`)
 4. it is signed by a pinned anchor, or by one issuing CA that is (profiles notme and signet)
 5. issuer name equals the issuer's subject name, authority key identifier the issuer's, where present
 6. every issuer is a CA with keyCertSign and room in its path length, and the child's validity lies within its own
 7. life: at most five minutes after issue (our profiles)
 8. no certificate comes along that is not on the path

An issuing CA of profile notme, which an orchestrator holds and mints with, is held against a list of its own:

 9. it carries exactly the extensions of its profile's issuing CA, with their criticality
10. CA true with path length 0; key usage keyCertSign and cRLSign and nothing beyond; purpose code signing alone
11. its key is as a leaf's; it says what a leaf says, with one URI, scope `certMint` and delegation depth 1
12. life: at most 24 hours after issue
13. the leaf lies within it (`delegation.verify_within`); leaf and CA have one key each, and their bindings say so

Not checked here: time against evidence (step 5), epochs and revocation (step 6), scopes and names (step 7).
CRLs and OCSP do not exist in these profiles. Where profile upstream departs from good practice the
departure becomes a remark (`authority-protocol.md` 15), never silence.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from attest import asn1, delegation, fulcio, keys
from attest import claims as claims_codec
from attest.claims import MAX_CLAIMS_BYTES, Claims
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.fulcio import Ci
from attest.keys import KeyAlgorithm, PublicKey
from attest.profile import (
    AUTH_METHOD,
    BACKDATING,
    BINDING,
    CERT_MINT,
    CI,
    CLAIMS,
    EPOCH,
    ISSUED_AT,
    ISSUING_LIFETIME,
    LIFETIME,
    MAX_COMMON_NAME,
    RULES,
    SCOPES,
    SUBJECT,
    Profile,
)
from attest.types import PrincipalKind

NOT_PINNED = (
    "pin its authority's root with --anchor FILE, after checking the fingerprint out of band; "
    "after a rotation, a newer trust bundle names it (notme-git trust update, --bundle FILE)"
)
"""What to do about a certificate under no pinned anchor."""

K = TypeVar("K")
T = TypeVar("T")

MAX_PEM_BYTES = 1024 * 1024
KEPT = 64
"""Certificates of which something is remembered: those that sign now, and those of a log that is being read."""

_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", re.ASCII)

UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
"""The library parses a certificate's fields when they are asked for, and this is what it then raises."""

_CA_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
_ALGORITHM_OIDS = {KeyAlgorithm.ED25519: asn1.ED25519, KeyAlgorithm.P256: asn1.ECDSA_SHA256}


@dataclass(frozen=True, slots=True)
class Anchor:
    """An authority's root that a verifier pinned. Equality is by key: the SPKI is what was pinned."""

    key: PublicKey
    profile: Profile
    certificate: x509.Certificate = field(compare=False, repr=False)

    @classmethod
    def read(cls, certificate: x509.Certificate, profile: Profile | None = None) -> Anchor:
        """Without `profile` the key says it: Ed25519 is notme, P-256 interop."""
        key = key_of(certificate)
        if profile is None:
            profile = Profile.NOTME if key.algorithm is KeyAlgorithm.ED25519 else Profile.INTEROP
        return cls(key=key, profile=profile, certificate=certificate)


KEY_SCHEMES = frozenset({"ssh", "openpgp", "sigstore", "smime", "ni"})
"""How URIs begin by which a verifier calls who signs with a key, or under another's authority: no authority of ours has
such a name to give."""


@dataclass(frozen=True, slots=True)
class BridgeCertificate:
    """A leaf as its profile reads it, an X.509 or an OpenSSH certificate. `claims` exists in our profiles alone.

    Where an issuing CA of ours issued it, `delegator` is that CA's certificate, read the same way. `ci` is what a CI
    provider said of the job that holds it.
    `encoded` is the whole certificate and `signed` the part its issuer signed; `issuer` and `distinguished_name`, its
    subject's, are for people. The rest of
    what SSH alone has: `fingerprints` of subject and issuer, by which git names the pusher there, and whether the
    signer sees no more than a digest of what it signs.
    """

    encoded: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    serial: int
    issuer: str
    profile: Profile
    key: PublicKey
    subject: str
    uri: str
    emails: tuple[str, ...]
    scopes: tuple[str, ...]
    epoch: int | None
    auth_method: str
    binding: bytes
    issued_at: datetime
    claims: Claims | None
    remarks: tuple[str, ...]
    fingerprints: tuple[str, ...] = ()
    payload_unchecked: bool = False
    ci: Ci = ()
    delegator: BridgeCertificate | None = None
    distinguished_name: str = ""

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.encoded).digest()

    @property
    def signed_sha256(self) -> bytes:
        """SHA-256 of the part its issuer signed. With ECDSA anybody can write the signature itself in a second way."""
        return hashlib.sha256(self.signed).digest()


@dataclass(frozen=True, slots=True)
class _Values:
    """What upstream's extensions say, or what stands in for them under profile signet."""

    subject: str
    issued_at: datetime
    scopes: tuple[str, ...] = ()
    epoch: int | None = None
    auth_method: str = ""
    binding: bytes = b""


@dataclass(frozen=True, slots=True)
class Chain:
    """What step 4 proved: `leaf` stands under `anchor`, through `issuing` where there is one."""

    leaf: BridgeCertificate
    issuing: x509.Certificate | None
    anchor: Anchor
    remarks: tuple[str, ...]


def kept(function: Callable[[K], T]) -> Callable[[K], T]:
    """Remember what follows from one unchanging value, such as a certificate, alone.

    By the object: to hash all that is in it would take longer than to look. The object is held as well, so that
    nothing else can get its id.
    """
    found: dict[int, tuple[K, T]] = {}

    @functools.wraps(function)
    def remembered(value: K) -> T:
        entry = found.get(id(value))
        if entry is not None and entry[0] is value:
            return entry[1]
        result = function(value)
        if len(found) >= KEPT:
            found.clear()
        found[id(value)] = (value, result)
        return result

    return remembered


@kept
def _values(certificate: x509.Certificate) -> Mapping[x509.ObjectIdentifier, x509.ExtensionType]:
    """Its extensions by OID. The library looks through a list each time that it is asked for one."""
    return {extension.oid: extension.value for extension in certificate.extensions}


@kept
def key_of(certificate: x509.Certificate) -> PublicKey:
    """The certificate's key under the strictness rule, in its one canonical spelling; else `MalformedError`."""
    try:
        key = keys.from_cryptography(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedError(f"the key in a certificate cannot be read: {error}") from None
    # The library hands out the key it understood; a compressed point, say, is another spelling.
    if key.spki not in certificate.tbs_certificate_bytes:
        raise MalformedError("the key in a certificate is not in its canonical encoding")
    return key


@functools.lru_cache(maxsize=KEPT)
def read(der: bytes) -> x509.Certificate:
    """The certificate that `der` is, in its one spelling, or `MalformedError`. The same bytes give the same object."""
    certificate = asn1.load_certificate(der)
    if der_of(certificate) != der:
        raise MalformedError("not the canonical DER of a certificate")
    return certificate


@kept
def _subject(certificate: x509.Certificate) -> bytes:
    return certificate.subject.public_bytes()


@kept
def der_of(certificate: x509.Certificate) -> bytes:
    """The certificate's bytes."""
    return certificate.public_bytes(Encoding.DER)


def load_pem(pem: bytes) -> list[x509.Certificate]:
    """Every certificate in PEM text; `MalformedError` when there is none or one cannot be read."""
    if len(pem) > MAX_PEM_BYTES:
        raise MalformedError(f"{len(pem)} bytes of PEM; at most {MAX_PEM_BYTES} are read")
    return asn1.load_certificates(pem)


def verify_chain(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[Anchor],
    profile: Profile | None = None,
) -> Chain:
    """Step 4. `profile` narrows what is accepted; otherwise the anchor that issued the leaf says it.

    Raises `VerificationError` (step 4), whose reason tells an unknown root from a bad certificate.
    """
    try:
        return _walk(leaf, tuple(others), tuple(anchors), tuple([a.certificate for a in anchors]), profile)
    except VerificationError:
        raise
    except (Error, *UNREADABLE) as error:
        raise VerificationError(
            Step.CHAIN, Reason.CERTIFICATE_INVALID, f"the signer's certificate does not hold: {error}"
        ) from None


@functools.lru_cache(maxsize=KEPT)
def _walk(
    leaf: x509.Certificate,
    others: tuple[x509.Certificate, ...],
    anchors: tuple[Anchor, ...],
    _roots: tuple[x509.Certificate, ...],
    profile: Profile | None,
) -> Chain:
    """Step 4 holds or not whenever it is asked: no clock and no bundle comes in. Certificates stand for their bytes.

    `_roots` are the anchors' own, by which anchors are not compared.
    """
    issuing = _issuing_ca(leaf, others)
    anchor = find_anchor(issuing or leaf, anchors)
    if any(other is not issuing for other in others):
        # Nothing signs this SET: whoever may add to it makes a second object with the same good signature.
        raise _mismatch("the signature carries a certificate that is not on its path")
    if profile is not None and anchor.profile is not profile:
        raise _mismatch(f"the certificate is of profile {anchor.profile}, not {profile}")
    read = read_leaf(leaf, anchor.profile)
    remarks = list(read.remarks)
    if issuing is None:
        remarks += _check_link(leaf, anchor.certificate, anchor.profile)
        return Chain(read, None, anchor, tuple(remarks))
    if anchor.profile is not Profile.SIGNET and not RULES[anchor.profile].issuing:
        raise _mismatch(f"profile {anchor.profile} has no issuing CA between leaf and root")
    remarks += _check_link(leaf, issuing, anchor.profile)
    remarks += _check_link(issuing, anchor.certificate, anchor.profile, below=1)
    if RULES[anchor.profile].ours:
        above = read_issuing(issuing, anchor.profile)
        delegation.verify_within(read, above)
        _check_alone(read)
        read = replace(read, delegator=above)
    return Chain(read, issuing, anchor, tuple(remarks))


def find_anchor(certificate: x509.Certificate, anchors: Sequence[Anchor]) -> Anchor:
    """The anchor whose key signed `certificate`; names and key identifiers only order the tries.

    Names prove nothing: a root with the same names and another key is not the anchor.
    """
    issuer = certificate.issuer.public_bytes()
    for anchor in sorted(anchors, key=lambda a: _subject(a.certificate) != issuer):
        try:
            verify_issued(certificate, anchor.key)
        except (VerificationError, MalformedError):
            continue
        return anchor
    raise VerificationError(
        Step.CHAIN,
        Reason.ANCHOR_UNKNOWN,
        f"no pinned anchor issued the certificate of {certificate.subject.rfc4514_string()!r}"
        f" (issuer {certificate.issuer.rfc4514_string()!r})",
        hint=NOT_PINNED,
    )


def verify_issued(certificate: x509.Certificate, issuer: PublicKey) -> None:
    """The certificate's signature is by `issuer`, in the one algorithm that goes with that key."""
    if certificate.signature_algorithm_oid != _ALGORITHM_OIDS[issuer.algorithm]:
        raise MalformedError("its signature algorithm is not the one of its issuer's key")
    keys.verify_signature(issuer, certificate.signature, certificate.tbs_certificate_bytes)


def read_leaf(certificate: x509.Certificate, profile: Profile) -> BridgeCertificate:
    """Read a signing leaf under `profile`, refusing every departure that is not a listed remark."""
    rules = RULES[profile]
    found = _extensions(certificate, profile, rules.required, rules.optional)
    _check_end_entity(certificate, profile)
    leaf = _read(certificate, profile, found)
    if rules.ours:
        _check_ours(leaf, certificate)
    return leaf


def verify_issuing(issuing: x509.Certificate, anchors: Sequence[Anchor], profile: Profile) -> BridgeCertificate:
    """Step 4 for an issuing CA of ours alone, as its holder checks it: read as it stands under a pinned anchor."""
    try:
        anchor = find_anchor(issuing, anchors)
        if anchor.profile is not profile:
            raise _mismatch(f"the certificate is of profile {anchor.profile}, not {profile}")
        _check_link(issuing, anchor.certificate, profile, below=1)
        return read_issuing(issuing, profile)
    except VerificationError:
        raise
    except (Error, *UNREADABLE) as error:
        raise _invalid(str(error)) from None


def read_issuing(certificate: x509.Certificate, profile: Profile) -> BridgeCertificate:
    """Read the certificate of an issuing CA under `profile`, whoever issued it.

    Checks 9 to 12 of the module's list, and of 13 what concerns the issuing CA alone.
    """
    if not RULES[profile].issuing:
        raise _mismatch(f"profile {profile} has no issuing CA between leaf and root")
    issuing = _read(certificate, profile, _extensions(certificate, profile, RULES[profile].issuing, CI))
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    if not constraints.ca or constraints.path_length != 0 or usage != _CA_USAGE:
        raise _mismatch("the issuing CA may issue more than leaves, or do more than issue")
    if _purposes(certificate) != {ExtendedKeyUsageOID.CODE_SIGNING}:
        raise _mismatch("the issuing CA is not for code signing, and that alone")
    if issuing.remarks or issuing.claims is None or issuing.claims.depth != 1:
        raise _mismatch("the issuing CA's certificate does not say what an issuing CA's says")
    if CERT_MINT not in issuing.scopes:
        raise _mismatch(f"the issuing CA does not hold scope {CERT_MINT}")
    _check_life(issuing, ISSUING_LIFETIME, "24 hours")
    _check_alone(issuing)
    return issuing


def _check_alone(read: BridgeCertificate) -> None:
    """No TLS sibling shares what an orchestrator holds or mints, so the binding is over the one key."""
    if read.binding != read.key.spki_sha256:
        raise _mismatch("the key binding is not the SHA-256 of its own key, which has no sibling")


def _read(
    certificate: x509.Certificate, profile: Profile, found: dict[x509.ObjectIdentifier, bytes]
) -> BridgeCertificate:
    rules = RULES[profile]
    key = key_of(certificate)
    if key.algorithm is not rules.algorithm:
        raise _mismatch(
            f"profile {profile} signs with {rules.algorithm}, the certificate holds {key.algorithm}"
        )
    remarks: list[str] = []
    uri, emails = _names(certificate, profile)
    values = _upstream_values(found, remarks) if SUBJECT in found else _signet_values(certificate)
    check_name(uri or values.subject)
    claims = claims_codec.decode(found[CLAIMS]) if CLAIMS in found else None
    return BridgeCertificate(
        encoded=der_of(certificate),
        signed=certificate.tbs_certificate_bytes,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        serial=certificate.serial_number,
        issuer=_distinguished_name(certificate.issuer),
        profile=profile,
        key=key,
        uri=uri,
        emails=emails,
        claims=claims,
        subject=values.subject,
        scopes=values.scopes,
        epoch=values.epoch,
        auth_method=values.auth_method,
        binding=values.binding,
        issued_at=values.issued_at,
        remarks=tuple(remarks + _remarks(certificate, profile, values.issued_at)),
        ci=fulcio.read(found),
        distinguished_name=_distinguished_name(certificate.subject),
    )


def check_name(name: str) -> None:
    """`VerificationError` (step 4) for the name of an actor that is how verifiers call whoever signs with a key."""
    scheme, colon, _ = name.partition(":")
    if colon and scheme.lower() in KEY_SCHEMES:
        raise _mismatch(f"it calls its holder as somebody with a key of their own is called ({scheme.lower()}:)")


def _check_ours(leaf: BridgeCertificate, certificate: x509.Certificate) -> None:
    """What profiles notme and interop promise beyond upstream (design D1, D4)."""
    claims = leaf.claims
    if claims is None or leaf.remarks:
        raise _mismatch(
            f"profile {leaf.profile} does not allow: {', '.join(leaf.remarks) or 'missing claims'}"
        )
    if claims.depth:
        raise _mismatch("the certificate is a leaf, and says that its holder may pass its grant on")
    _check_life(leaf, LIFETIME, "five minutes")
    verifier = claims.actor_kind is PrincipalKind.VERIFIER
    if leaf.profile is Profile.NOTME:
        purposes = _purposes(certificate)
        if purposes != ({ExtendedKeyUsageOID.CODE_SIGNING} if verifier else set()):
            raise VerificationError(
                Step.CHAIN,
                Reason.PURPOSE_MISMATCH,
                "the certificate is for another purpose than signing in git",
            )
    if leaf.profile is Profile.INTEROP and leaf.emails != (claims.actor_email,):
        raise _mismatch("the e-mail name of the certificate is not the one of its actor")


def _check_life(read: BridgeCertificate, lifetime: timedelta, said: str) -> None:
    issued = read.issued_at.replace(microsecond=0)
    if read.not_after - issued > lifetime:
        raise _mismatch(f"the certificate lives longer than {said} from issue")
    if issued - read.not_before > BACKDATING:
        raise _mismatch("the certificate begins more than a minute before its issue")


def _extensions(
    certificate: x509.Certificate,
    profile: Profile,
    required: Mapping[x509.ObjectIdentifier, bool],
    optional: Mapping[x509.ObjectIdentifier, bool],
) -> dict[x509.ObjectIdentifier, bytes]:
    """Extensions by OID; those that the library does not know as raw bytes, the others empty."""
    found: dict[x509.ObjectIdentifier, bytes] = {}
    allowed = {**required, **optional}
    for extension in certificate.extensions:
        if extension.oid not in allowed:
            what = "critical extension" if extension.critical else "extension"
            raise VerificationError(
                Step.CHAIN,
                Reason.EXTENSION_UNKNOWN,
                f"{what} {extension.oid.dotted_string} is not in profile {profile}",
            )
        if extension.critical is not allowed[extension.oid]:
            raise _mismatch(
                f"extension {extension.oid.dotted_string} has the wrong criticality for profile {profile}"
            )
        value = extension.value
        found[extension.oid] = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    if missing := [oid.dotted_string for oid in required if oid not in found]:
        raise _mismatch(f"profile {profile} demands extension {missing[0]}")
    return found


def _check_end_entity(certificate: x509.Certificate, profile: Profile) -> None:
    if certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
        raise VerificationError(Step.CHAIN, Reason.PURPOSE_MISMATCH, "a CA certificate signs no commits")
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    beyond = (
        usage.content_commitment,
        usage.key_encipherment,
        usage.data_encipherment,
        usage.key_agreement,
        usage.key_cert_sign,
        usage.crl_sign,
    )
    purposes = _purposes(certificate)
    if not usage.digital_signature or any(beyond) or ExtendedKeyUsageOID.CLIENT_AUTH in purposes:
        raise VerificationError(
            Step.CHAIN,
            Reason.PURPOSE_MISMATCH,
            "the certificate is not for signing (the TLS sibling of a pair?)",
        )
    wanted = RULES[profile].purposes
    if wanted and purposes != wanted:
        raise VerificationError(
            Step.CHAIN, Reason.PURPOSE_MISMATCH, f"the certificate lacks the purposes of profile {profile}"
        )


def _check_link(
    child: x509.Certificate, issuer: x509.Certificate, profile: Profile, *, below: int = 0
) -> list[str]:
    """Checks 5 and 6 of the module's list for one link; `below` counts the CAs under `issuer`.

    Check 4, the signature, is what found the issuer: `find_anchor` and `_issuing_ca`.
    """
    remarks = []
    # How many bits of the BIT STRING are unused stands outside what is signed: whoever changes it has a second
    # certificate, and a second object with the same good signature. RFC 8410 and RFC 3279 fill whole octets.
    if not der_of(child).endswith(b"\0" + child.signature):
        raise _invalid("its signature is not in whole octets")
    if child.issuer.public_bytes() != _subject(issuer):
        # Upstream writes one literal issuer name whatever its CA is called (`authority-protocol.md` 15, item 1).
        if profile is not Profile.UPSTREAM:
            raise _invalid("its issuer name is not its issuer's subject name")
        remarks.append("issuer-name-mismatch")
    theirs, ours = key_identifier(issuer), _authority_key_identifier(child)
    if ours is not None and theirs is not None and ours != theirs:
        raise _invalid("its authority key identifier is not its issuer's key identifier")
    constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    if not constraints.ca or not usage.key_cert_sign:
        raise _invalid("its issuer is not a CA that may sign certificates")
    if constraints.path_length is not None and constraints.path_length < below:
        raise _invalid("its issuer's path length leaves no room for an issuing CA")
    if (
        not (
            issuer.not_valid_before_utc <= child.not_valid_before_utc
            and child.not_valid_after_utc <= issuer.not_valid_after_utc
        )
        and profile is not Profile.UPSTREAM
    ):
        raise _invalid("its validity is not within its issuer's")
    return remarks


def _issuing_ca(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The included CA that signed the leaf, found by its key. Two would be one too many."""
    found = []
    for candidate in others:
        try:
            verify_issued(leaf, key_of(candidate))
        except (Error, *UNREADABLE):
            continue
        found.append(candidate)
    if len(found) > 1:
        raise _invalid("several included certificates hold the key that issued it")
    return found[0] if found else None


def _names(certificate: x509.Certificate, profile: Profile) -> tuple[str, tuple[str, ...]]:
    """The one URI (empty for signet without one) and the e-mail addresses of the subject alternative name."""
    names = _values(certificate).get(x509.SubjectAlternativeName.oid)
    if not isinstance(names, x509.SubjectAlternativeName):
        return "", ()
    uris = [n.value for n in names if isinstance(n, x509.UniformResourceIdentifier)]
    emails = tuple(n.value for n in names if isinstance(n, x509.RFC822Name))
    if len(uris) + len(emails) != len(list(names)) or (len(uris) != 1 and profile is not Profile.SIGNET):
        raise _mismatch("the subject alternative name is not one URI")
    if emails and profile in (Profile.NOTME, Profile.UPSTREAM):
        raise _mismatch("the subject alternative name is more than one URI")
    return (uris[0] if uris else ""), emails


def _upstream_values(found: dict[x509.ObjectIdentifier, bytes], remarks: list[str]) -> _Values:
    binding = found[BINDING]
    if len(binding) != 32:
        raise MalformedError(f"key binding of {len(binding)} bytes, not 32")
    issued_at = read_instant(_text(found[ISSUED_AT]))
    return _Values(
        subject=_text(found[SUBJECT]),
        issued_at=issued_at,
        scopes=_scopes(found[SCOPES]),
        epoch=_epoch(found[EPOCH], remarks),
        auth_method=_text(found[AUTH_METHOD]),
        binding=binding,
    )


def read_instant(text: str) -> datetime:
    """The time of issue that `profile.instant` writes."""
    if _INSTANT.fullmatch(text):
        with contextlib.suppress(ValueError):  # a thirteenth month, which the slower way says clearly
            return datetime.fromisoformat(text)
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        raise MalformedError(f"issuance time {text!r} is not RFC 3339 in UTC with milliseconds") from None


@functools.lru_cache(maxsize=64)
def _distinguished_name(name: x509.Name) -> str:
    """RFC 4514. Cached: a batch has one issuer, or a few."""
    return name.rfc4514_string()


def _signet_values(certificate: x509.Certificate) -> _Values:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if len(names) != 1:
        raise MalformedError(f"the subject has {len(names)} common names, not one")
    return _Values(subject=str(names[0].value), issued_at=certificate.not_valid_before_utc)


def _epoch(value: bytes, remarks: list[str]) -> int:
    """Upstream pads the INTEGER to four bytes (`authority-protocol.md` 3, item 7): read, and remarked on."""
    if len(value) < 3 or value[0] != 2 or value[1] != len(value) - 2 or value[1] > 6 or value[2] & 0x80:
        raise MalformedError("the epoch is not a non-negative INTEGER of at most six bytes")
    number = int.from_bytes(value[2:], "big")
    if asn1.encode(number) != value:
        remarks.append("epoch-not-minimal")
    return number


def _remarks(certificate: x509.Certificate, profile: Profile, issued_at: datetime) -> list[str]:
    """Departures of `authority-protocol.md` 15 that a leaf alone shows. Signet promises none of these."""
    if profile is Profile.SIGNET:
        return []
    remarks = []
    if key_identifier(certificate) is None:
        remarks.append("subject-key-identifier-missing")
    if _authority_key_identifier(certificate) is None:
        remarks.append("authority-key-identifier-missing")
    if certificate.not_valid_before_utc >= issued_at.replace(
        microsecond=0
    ):
        remarks.append("not-backdated")
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if any(len(str(n.value)) > MAX_COMMON_NAME for n in names):
        remarks.append("common-name-too-long")
    return remarks


@functools.lru_cache(maxsize=KEPT)
def _scopes(value: bytes) -> tuple[str, ...]:
    return tuple(asn1.decode_strings(value, limit=MAX_CLAIMS_BYTES))


@functools.lru_cache(maxsize=KEPT)
def _text(value: bytes) -> str:
    return asn1.decode(str, value, limit=MAX_CLAIMS_BYTES)


def _purposes(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    usage = _values(certificate).get(x509.ExtendedKeyUsage.oid)
    return set(usage) if isinstance(usage, x509.ExtendedKeyUsage) else set()


def key_identifier(certificate: x509.Certificate) -> bytes | None:
    """Its subject key identifier (RFC 5280 section 4.2.1.2), None without one."""
    found = _values(certificate).get(x509.SubjectKeyIdentifier.oid)
    return found.digest if isinstance(found, x509.SubjectKeyIdentifier) else None


def _authority_key_identifier(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(
            x509.AuthorityKeyIdentifier
        ).value.key_identifier
    except x509.ExtensionNotFound:
        return None


def _mismatch(message: str) -> VerificationError:
    return VerificationError(Step.CHAIN, Reason.PROFILE_MISMATCH, message)


def _invalid(message: str) -> VerificationError:
    return VerificationError(
        Step.CHAIN, Reason.CERTIFICATE_INVALID, f"the signer's certificate does not hold: {message}"
    )
