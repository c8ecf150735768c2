"""Steps 2 to 5 for S/MIME: CMS and certificates of an authority of somebody else, as gpgsm knows them.

BER, unknown attributes and other orders are allowed there (RFC 5652), so what is here is forbidden by the standard or
would make one signature count for something that nobody signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from attest import cms
from attest.gitobject import ObjectFormat
from tests import der
from tests.corpus import smime
from tests.corpus.case import ACCEPT, REJECT, Case
from tests.corpus.objects import payload
from tests.corpus.signers import ADDRESS, Cast
from tests.der import Cms, algorithm, attribute, octets, oid
from tests.forge import NOW, Edit, Leaf, attach

SHA1 = ObjectFormat.SHA1
BAD, INVALID, CHAIN = "signature-malformed", "signature-invalid", "certificate-invalid"
CMS, ATTRIBUTES, PKIX = "RFC 5652 section 5", "RFC 5652 section 11", "RFC 5280 section 4.2.1"
PATH = "RFC 5280 section 6.1"


def cases(cast: Cast) -> Iterator[Case]:
    yield from _structures(cast)
    yield from _encodings(cast)
    yield from _chains(cast)
    yield from _times(cast)


def _structures(cast: Cast) -> Iterator[Case]:
    plain = payload(cast.smime, SHA1)
    good = Cms(cast.alice, plain, NOW)
    kind, time, digest = good.prescribed
    other = b"tree nobody signed\n"
    inside = Cms(cast.alice, other, NOW)
    bob = cast.bob.certificate
    of_bob = der.seq(bob.issuer.public_bytes(), der.integer(bob.serial_number))
    both = tuple(sorted([cast.alice.der, cast.bob.der]))
    second = Cms(cast.bob, plain, NOW)
    challenge = attribute(der.CHALLENGE_PASSWORD, der.utf8("x"))
    wrong_type = attribute(der.CONTENT_TYPE, oid(der.SIGNED_DATA))
    changes: tuple[tuple[int, str, str, dict[str, Any], str, str], ...] = (
        (
            2,
            "content-carried-inside",
            BAD,
            {"carried": plain},
            "The content travels inside of the signature, too.",
            f"{CMS}.2",
        ),
        (
            2,
            "other-content-carried-inside",
            BAD,
            {"carried": other, "attributes": tuple(sorted(inside.prescribed))},
            "The signature is good over other content, which it carries inside.",
            f"{CMS}.2",
        ),
        (
            2,
            "two-signers",
            "signature-several",
            {"signers": tuple(sorted([good.signer_info(), second.signer_info()])), "certificates": both},
            "Two signers: which one counts depends on the reader.",
            f"{CMS}.1",
        ),
        (2, "no-signer", "signature-several", {"signers": ()}, "No signer info: nothing was signed.", f"{CMS}.1"),
        (
            3,
            "signer-identifier-of-another",
            INVALID,
            {"certificates": both, "sid": of_bob},
            "Alice signed and Bob is named: who takes the first certificate that fits the signature finds Alice.",
            f"{CMS}.3",
        ),
        (
            3,
            "no-message-digest",
            INVALID,
            {"attributes": tuple(sorted((kind, time)))},
            "Signed attributes without message-digest: good over any content.",
            f"{CMS}.4",
        ),
        (
            3,
            "message-digest-of-two-values",
            INVALID,
            {
                "attributes": tuple(
                    sorted((kind, time, attribute(der.MESSAGE_DIGEST, octets(bytes(32)), octets(good.digest))))
                )
            },
            "A message-digest attribute with two values.",
            f"{ATTRIBUTES}.2",
        ),
        (
            3,
            "message-digest-twice",
            INVALID,
            {"attributes": tuple(sorted((kind, time, digest, attribute(der.MESSAGE_DIGEST, octets(bytes(32))))))},
            "Two message-digest attributes.",
            f"{ATTRIBUTES}.2",
        ),
        (
            3,
            "no-content-type",
            INVALID,
            {"attributes": tuple(sorted((time, digest)))},
            "Signed attributes without content-type.",
            f"{CMS}.3",
        ),
        (
            3,
            "content-type-attribute-of-another-type",
            INVALID,
            {"attributes": tuple(sorted((wrong_type, time, digest)))},
            "The content-type attribute is not that of the content.",
            f"{ATTRIBUTES}.1",
        ),
        (
            3,
            "digest-of-another-algorithm",
            "digest-mismatch",
            {"digest_algorithm": algorithm(der.SHA512)},
            "The digest is SHA-256 and said to be SHA-512.",
            f"{CMS}.4",
        ),
        (
            3,
            "signature-over-the-content",
            INVALID,
            {"alter": lambda _: cast.alice.sign(plain)},
            "Signed over the content, though there are attributes.",
            f"{CMS}.4",
        ),
        (
            3,
            "signature-by-another-key",
            INVALID,
            {"alter": lambda _: cast.bob.sign(good.signed_bytes())},
            "Signed with another key than the certificate's.",
            f"{CMS}.6",
        ),
    )
    sha1 = attribute(der.MESSAGE_DIGEST, octets(hashlib.sha1(plain, usedforsecurity=False).digest()))
    weak = {"attributes": tuple(sorted((kind, time, sha1))), "digest_algorithm": algorithm(der.SHA1)}
    changes += ((3, "digest-sha1", "key-refused", weak, "The digest is SHA-1.", "SHAttered, 2017"),)
    for step, defect, reason, parts, sentence, reference in changes:
        raw = attach(plain, Cast.mail(replace(good, **parts)))
        yield Case(f"{step}-smime-{defect}", raw, "smime", REJECT, reason, sentence, (reference,), NOW)
    allowed: tuple[tuple[str, dict[str, Any], str], ...] = (
        (
            "unknown-signed-attribute",
            {"attributes": tuple(sorted((kind, time, digest, challenge)))},
            "A signed attribute that nobody knows, which the standard allows.",
        ),
        ("no-signed-attributes", {"bare": True}, "Signed over the content itself, which the standard allows."),
        ("both-certificates", {"certificates": both}, "Another certificate rides along, first in order."),
    )
    for name, parts, sentence in allowed:
        raw = attach(plain, Cast.mail(replace(good, **parts)))
        yield Case(f"2-smime-{name}", raw, "smime", ACCEPT, "", sentence, (CMS,), NOW)


def _encodings(cast: Cast) -> Iterator[Case]:
    plain = payload(cast.smime, SHA1)
    good = Cms(cast.alice, plain, NOW).der()
    ber = attach(plain, cms.ARMOUR.wrap(der.indefinite(good)))
    sentence = "BER of indefinite length, which the standard allows and gpgsm writes."
    yield Case("2-smime-indefinite-length", ber, "smime", ACCEPT, "", sentence, ("X.690 section 8.1.3.6",), NOW)
    for defect, changed, sentence in (
        ("trailing-byte", good + b"\0", "A byte after the signature."),
        ("cut-short", good[:-1], "The signature lacks its last byte."),
    ):
        raw = attach(plain, cms.ARMOUR.wrap(changed))
        yield Case(f"2-smime-{defect}", raw, "smime", REJECT, BAD, sentence, (CMS,), NOW)


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
