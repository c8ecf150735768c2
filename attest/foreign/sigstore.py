"""Signatures of gitsign: a certificate for ten minutes that Fulcio issued to an identity of an OpenID provider.

Whose Fulcio counts, and whose log and time-stamping authority, stands in a *trusted root* (protobuf-specs,
`trusted_root.json`). The public one travels in the PyPI package `sigstore`; a file that the verifier names wins.

What is checked is the chain as of the leaf's own beginning, the purpose, and the identity and issuer that the
leaf names (Fulcio's oid-info.md). When it was signed, the log's promise or a time-stamp proves where the signature
carries one (`cmstime`); most carry none. Where the root names logs of certificates, one of them has to have promised
to show the leaf (`transparency`).

An identity is called `sigstore:ISSUER#SUBJECT`, both percent-encoded where they are no part of a URI.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from attest import asn1, fulcio, keys
from attest.errors import MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.foreign import cmscerts, cmstime, transparency
from attest.foreign.cmstime import Log, Stamper
from attest.foreign.vouched import Vouched
from attest.types import Authentication, Principal, PrincipalKind

if TYPE_CHECKING:
    from attest.foreign.smime import ForeignCms

MAX_ROOT_BYTES = 1024 * 1024
"""The public trusted root has 12 KiB."""

MAX_ITEMS = 64
"""Authorities and logs of one kind; the public root has two."""

SCT_UNCHECKED = "sct-unchecked"
"""Remark: the trusted root names no log of certificates, so that nobody knows whether it was logged."""

DATED_EARLIER = "dated-before-certificate"
"""Remark: git takes the date first and the signature afterwards, so that the usual commit of gitsign is older than its
certificate by the seconds that signing in takes."""

_PLACES = (
    "_store/https%3A%2F%2Ftuf-repo-cdn.sigstore.dev/trusted_root.json",
    "_store/prod/trusted_root.json",
    "_store/trusted_root.json",
)
"""Where the package has had the file, newest first."""

_ISSUER_RAW = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER = fulcio.OIDS[fulcio.ISSUER]
_USER_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7")
_SIGNING = frozenset((ExtendedKeyUsageOID.CODE_SIGNING,))
_LOG_KEYS = frozenset(("PKIX_ECDSA_P256_SHA_256", "PKIX_ED25519"))


@dataclass(frozen=True, slots=True)
class SigstoreRoot:
    """A trusted root. Authorities have the form of time-stampers: a chain, and when it counts."""

    authorities: tuple[Stamper, ...]
    stampers: tuple[Stamper, ...]
    logs: Mapping[bytes, Log] = field(repr=False)
    certificate_logs: Mapping[bytes, Log] = field(repr=False)
    sha256: bytes

    @classmethod
    def parse(cls, data: bytes) -> SigstoreRoot:
        """`trusted_root.json` of version 0.1, also inside of a client trust configuration; else `MalformedError`."""
        if len(data) > MAX_ROOT_BYTES:
            raise MalformedError(f"{len(data)} bytes of trusted root; at most {MAX_ROOT_BYTES} are read")
        try:
            found = json.loads(data)
            if str(found["mediaType"]).startswith("application/vnd.dev.sigstore.clienttrustconfig"):
                found = found["trustedRoot"]
            kind = found["mediaType"]
            if not str(kind).startswith("application/vnd.dev.sigstore.trustedroot"):
                raise MalformedError("not a trusted root of Sigstore")
            return cls(
                authorities=tuple(_authority(item) for item in _items(found, "certificateAuthorities")),
                stampers=tuple(_authority(item) for item in _items(found, "timestampAuthorities")),
                logs=_logs(found, "tlogs"),
                certificate_logs=_logs(found, "ctlogs"),
                sha256=hashlib.sha256(data).digest(),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else "a field is malformed"
            what = "it is no JSON" if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)) else what
            raise MalformedError(f"not a trusted root of Sigstore: {what}") from None

    @classmethod
    def public_good(cls) -> SigstoreRoot:
        """The public one, from the package `sigstore`, none of whose code is loaded."""
        spec = find_spec("sigstore")
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            for place in _PLACES:
                try:
                    return cls.parse((Path(folder) / place).read_bytes())
                except OSError:
                    continue
        raise UnavailableError(
            "the package with Sigstore's trusted root is not installed",
            hint="pip install 'notme-git[sigstore]', or name a trusted_root.json",
            reason=Reason.TOOL_ABSENT,
        )


def verify_signer(made: ForeignCms, leaf: x509.Certificate, root: SigstoreRoot, date: datetime | None) -> Vouched:
    """Step 4: Fulcio issued `leaf` while it was allowed to, to whom it names. `date` is the object's own."""
    try:
        top = issued(leaf, root, leaf.not_valid_before_utc)
        issuer, subject = issuer_of(leaf), subject_of(leaf)
        if root.certificate_logs:
            transparency.verify_logged(leaf, top, root.certificate_logs)
        evidence, remarks = cmstime.collect(made.message, leaf, made.roots.stampers, root.logs)
    except cmscerts.UNREADABLE as error:
        raise cmscerts.invalid(f"it cannot be read ({type(error).__name__})") from None
    address = subject.value if isinstance(subject, x509.RFC822Name) else ""
    name = text_of(subject)
    kind = PrincipalKind.WORKLOAD if isinstance(subject, x509.UniformResourceIdentifier) else PrincipalKind.HUMAN
    unlogged = () if root.certificate_logs else (SCT_UNCHECKED,)
    early = (DATED_EARLIER,) if date is not None and date < leaf.not_valid_before_utc else ()
    return Vouched(
        principal=Principal(
            id=principal_id(issuer, name),
            kind=kind,
            name="",
            display=f"{name} ({issuer})",
            email=address,
            authentication=Authentication.OIDC,
        ),
        addresses=frozenset((address,)) if address else frozenset(),
        root=f"Sigstore {top.subject.rfc4514_string()}",
        not_before=made.signer.not_before,
        not_after=made.signer.not_after,
        evidence=evidence,
        remarks=(*remarks, *unlogged, *early),
    )


def principal_id(issuer: str, subject: str) -> str:
    """The URI of an identity, for whoever knows both and looks for it."""
    return f"sigstore:{quote(issuer, safe=':/@+=,;~')}#{quote(subject, safe=':/@+=,;~?')}"


def issuer_of(leaf: x509.Certificate) -> str:
    """The OpenID provider: extension .1.8, a UTF8String, or in older certificates .1.1, the text alone."""
    values = {e.oid: e.value.value for e in leaf.extensions if isinstance(e.value, x509.UnrecognizedExtension)}
    found = set[str]()
    if _ISSUER in values:
        found.add(asn1.decode(str, values[_ISSUER], limit=fulcio.MAX_VALUE_BYTES))
    if _ISSUER_RAW in values:
        found.add(values[_ISSUER_RAW].decode())
    if len(found) != 1 or not (issuer := found.pop()).isprintable() or not issuer:
        raise cmscerts.invalid("it names no OpenID provider, or two")
    return issuer


def subject_of(leaf: x509.Certificate) -> x509.GeneralName:
    """The one identity: an e-mail address, the URI of a workload, or a user name."""
    names = list(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    if len(names) != 1 or not isinstance(names[0], x509.RFC822Name | x509.UniformResourceIdentifier | x509.OtherName):
        raise cmscerts.invalid("it does not name one identity")
    if isinstance(names[0], x509.OtherName) and names[0].type_id != _USER_NAME:
        raise cmscerts.invalid("it names an identity of an unknown kind")
    if not text_of(names[0]).isprintable() or not text_of(names[0]):
        raise cmscerts.invalid("it names an identity that cannot be printed")
    return names[0]


def text_of(name: x509.GeneralName) -> str:
    """An identity as it is written: the address, the URI, or the user name inside of the OtherName."""
    if isinstance(name, x509.OtherName):
        return asn1.decode(str, name.value, limit=fulcio.MAX_VALUE_BYTES)
    return str(name.value)


def issued(leaf: x509.Certificate, root: SigstoreRoot, when: datetime) -> x509.Certificate:
    """Step 4: the certificate of the authority that issued the leaf, as of `when`, or `VerificationError`.

    What the signature carries besides the leaf takes no part: the trusted root has the whole chain.
    """
    cmscerts.check_purposes(leaf, _SIGNING, needed=True)
    failure: VerificationError | None = None
    for authority in root.authorities:
        if not authority.begins <= when.timestamp() <= (when.timestamp() if authority.ends is None else authority.ends):
            continue
        try:
            cmscerts.verify_chain(leaf, authority.chain[:-1], authority.chain[-1:], when, _SIGNING)
            return authority.chain[0]
        except VerificationError as error:
            # The newest authority stands last, and its refusal says most.
            failure = error
    raise failure or VerificationError(
        Step.CHAIN, Reason.CERTIFICATE_INVALID, "no authority of the trusted root could issue at that time"
    )


def _items(found: dict[str, Any], name: str) -> list[Any]:
    items = found.get(name, [])
    if not isinstance(items, list) or len(items) > MAX_ITEMS:
        raise MalformedError(f"the trusted root has no list of {name}, or a longer one than is read")
    return items


def _authority(item: dict[str, Any]) -> Stamper:
    chain = tuple(
        asn1.load_certificate(base64.b64decode(each["rawBytes"], validate=True))
        for each in item["certChain"]["certificates"]
    )
    if not 1 <= len(chain) <= cmscerts.MAX_DEPTH:
        raise MalformedError("an authority of the trusted root has no certificate, or too many")
    return Stamper(chain, *_window(item["validFor"]))


def _logs(found: dict[str, Any], name: str) -> Mapping[bytes, Log]:
    items = _items(found, name)
    made = dict(read for item in items if (read := _log(item)) is not None)
    if items and not made:
        # As good as a root that names none, and then nobody would ask for what its logs have to show.
        raise MalformedError(f"of the {name} of the trusted root none has a key that is read: P-256 or Ed25519")
    return MappingProxyType(made)


def _log(item: dict[str, Any]) -> tuple[bytes, Log] | None:
    """None for a log whose key is neither P-256 nor, as those of Rekor version 2, Ed25519."""
    key = item["publicKey"]
    if key["keyDetails"] not in _LOG_KEYS:
        return None
    made = keys.parse_spki(base64.b64decode(key["rawBytes"], validate=True))
    return base64.b64decode(item["logId"]["keyId"], validate=True), Log(made, *_window(key["validFor"]))


def _window(item: dict[str, str]) -> tuple[int, int | None]:
    end = item.get("end")
    return _seconds(item["start"]), _seconds(end) if end is not None else None


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
