"""Steps 4 and 5 for S/MIME: certificates of an authority of somebody else, as gpgsm knows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from attest.gitobject import ObjectFormat
from tests import der
from tests.corpus import smime
from tests.corpus.case import REJECT, Case
from tests.corpus.objects import payload
from tests.corpus.signers import ADDRESS, Cast
from tests.der import Cms
from tests.forge import NOW, Edit, Leaf, attach

SHA1 = ObjectFormat.SHA1
CHAIN = "certificate-invalid"
PKIX, PATH = "RFC 5280 section 4.2.1", "RFC 5280 section 6.1"


def cases(cast: Cast) -> Iterator[Case]:
    yield from _chains(cast)
    yield from _times(cast)


def _chains(cast: Cast) -> Iterator[Case]:
    plain = payload(cast.smime, SHA1)
    none = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), der.NULL)
    usage = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    edits: tuple[tuple[str, str, Edit, str, str], ...] = (
        (
            "unknown-critical-extension",
            "extension-unknown",
            lambda b: b.add_extension(none, critical=True),
            "A critical extension that nobody knows.",
            "RFC 5280 section 4.2",
        ),
        (
            "for-tls-servers-alone",
            "purpose-mismatch",
            _instead(purposes, critical=True),
            "A certificate for TLS servers.",
            f"{PKIX}.12",
        ),
        (
            "for-encryption-alone",
            "purpose-mismatch",
            _instead(usage, critical=True),
            "A key for encryption only.",
            f"{PKIX}.3",
        ),
    )
    serial = 10
    for defect, reason, edit, sentence, reference in edits:
        serial += 1
        leaf = smime.leaf(cast.mails, cast.ca, "Alice Example", ADDRESS, serial=serial, edit=edit)
        yield _signed(4, defect, reason, leaf, plain, sentence, reference)
    stranger = smime.leaf(cast.mails, cast.other_ca, "Alice Example", ADDRESS, serial=30)
    sentence = "Issued by another CA with all the names of the right one."
    yield _signed(4, "another-ca-of-the-same-name", CHAIN, stranger, plain, sentence, PATH)
    alone = smime.alone(cast.mails, "Alice Example", ADDRESS)
    sentence = "A certificate that vouches for itself."
    yield _signed(4, "self-signed", CHAIN, alone, plain, sentence, PATH)
    eve = smime.leaf(cast.mails, cast.ca, "Eve Example", "elise@example.org", serial=31)
    tampered = eve.der.replace(b"elise@example.org", ADDRESS.encode())
    changed = Leaf(eve.key, x509.load_der_x509_certificate(tampered))
    sentence = "The address in the certificate was changed after it was issued."
    yield _signed(4, "certificate-changed", CHAIN, changed, plain, sentence, PATH)
    bob = smime.Ca(cast.bob.key, cast.bob.certificate)  # type: ignore[arg-type]  # made with a P-256 key
    child = smime.leaf(cast.mails, bob, "Alice Example", ADDRESS, serial=4)
    message = replace(Cms(child, plain, NOW), certificates=tuple(sorted([child.der, cast.bob.der])))
    raw = attach(plain, Cast.mail(message))
    sentence = "Issued by Bob with his own certificate, which is no CA's."
    references = (f"{PKIX}.9", "CVE-2002-0862")
    yield Case("4-smime-issued-by-a-leaf", raw, "smime", REJECT, CHAIN, sentence, references, NOW)


def _times(cast: Cast) -> Iterator[Case]:
    """Step 5."""
    year, plain, outside = timedelta(days=365), payload(cast.smime, SHA1), "time-outside-validity"
    ended = smime.leaf(
        cast.mails, cast.ca, "Alice Example", ADDRESS, serial=20, edit=_living(NOW - 2 * year, NOW - year)
    )
    ahead = smime.leaf(
        cast.mails, cast.ca, "Alice Example", ADDRESS, serial=21, edit=_living(NOW + year, NOW + 2 * year)
    )
    yield _signed(5, "expired", outside, ended, plain, "By its own word signed when the certificate had ended.", PATH)
    yield _signed(5, "not-yet-valid", outside, ahead, plain, "By its own word signed before the certificate.", PATH)


def _signed(step: int, defect: str, reason: str, leaf: Leaf, content: bytes, sentence: str, reference: str) -> Case:
    raw = attach(content, Cast.mail(Cms(leaf, content, NOW)))
    references = (reference,) if reference else ()
    return Case(f"{step}-smime-{defect}", raw, "smime", REJECT, reason, sentence, references, NOW)


def _instead(value: x509.ExtensionType, *, critical: bool) -> Edit:
    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder._extensions = [e for e in builder._extensions if e.oid != value.oid]
        return builder.add_extension(value, critical=critical)

    return edit


def _living(begin: datetime, end: datetime) -> Edit:
    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder._not_valid_before, builder._not_valid_after = begin.replace(tzinfo=None), end.replace(tzinfo=None)
        return builder

    return edit
