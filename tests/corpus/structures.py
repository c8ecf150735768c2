"""Steps 2 and 3 for S/MIME: CMS as it may not be put together (RFC 5652 sections 5 and 11).

BER, unknown attributes and other orders are allowed there, so what is refused here is forbidden by the standard or
would make one signature count for something that nobody signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from attest import cms
from attest.gitobject import ObjectFormat
from tests import der
from tests.corpus.case import ACCEPT, REJECT, Case
from tests.corpus.objects import payload
from tests.corpus.signers import Cast
from tests.der import Cms, algorithm, attribute, octets, oid
from tests.forge import NOW, attach

SHA1 = ObjectFormat.SHA1
BAD, SEVERAL = "signature-malformed", "signature-several"
INVALID, DIFFERS, REFUSED = "signature-invalid", "digest-mismatch", "key-refused"
CMS, ATTRIBUTES, BER = "RFC 5652 section 5", "RFC 5652 section 11", "X.690 section 8.1.3.6"
ELSE = b"tree nobody signed\n"

Parts: TypeAlias = dict[str, Any]
Row: TypeAlias = tuple[str, str, Parts, str, str]
"""Defect, reason, the parts of the good signature that are others, sentence, reference."""


def cases(cast: Cast) -> Iterator[Case]:
    plain = payload(cast.smime, SHA1)
    good = Cms(cast.alice, plain, NOW)
    tables = (
        (2, _contents(cast, good)),
        (3, _attributes(good)),
        (3, _signatures(cast, good)),
        (2, _allowed(cast, good)),
    )
    for step, rows in tables:
        for defect, reason, parts, sentence, reference in rows:
            raw = attach(plain, Cast.mail(replace(good, **parts)))
            expect = REJECT if reason else ACCEPT
            yield Case(f"{step}-smime-{defect}", raw, "smime", expect, reason, sentence, (reference,), NOW)
    for defect, reason, changed, sentence, reference in (
        ("indefinite-length", "", der.indefinite(good.der()), "BER, which the standard allows and gpgsm writes.", BER),
        ("trailing-byte", BAD, good.der() + b"\0", "A byte after the signature.", CMS),
        ("cut-short", BAD, good.der()[:-1], "The signature lacks its last byte.", CMS),
    ):
        raw, expect = attach(plain, cms.ARMOUR.wrap(changed)), REJECT if reason else ACCEPT
        yield Case(f"2-smime-{defect}", raw, "smime", expect, reason, sentence, (reference,), NOW)


def _ordered(*attributes: bytes) -> Parts:
    return {"attributes": tuple(sorted(attributes))}


def _both(cast: Cast) -> Parts:
    return {"certificates": tuple(sorted([cast.alice.der, cast.bob.der]))}


def _contents(cast: Cast, good: Cms) -> Iterator[Row]:
    sentence = "The content travels inside of the signature, too."
    yield "content-carried-inside", BAD, {"carried": good.content}, sentence, f"{CMS}.2"
    sentence = "The signature is good over other content, which it carries inside."
    inside = {"carried": ELSE, **_ordered(*replace(good, content=ELSE).prescribed)}
    yield "other-content-carried-inside", BAD, inside, sentence, f"{CMS}.2"
    signers = tuple(sorted([good.signer_info(), replace(good, leaf=cast.bob).signer_info()]))
    sentence = "Two signers: which one counts depends on the reader."
    yield "two-signers", SEVERAL, {"signers": signers, **_both(cast)}, sentence, f"{CMS}.1"
    yield "no-signer", SEVERAL, {"signers": ()}, "No signer info: nothing was signed.", f"{CMS}.1"


def _attributes(good: Cms) -> Iterator[Row]:
    kind, time, digest = good.prescribed
    zeros = octets(bytes(32))
    sentence = "Signed attributes without message-digest: good over any content."
    yield "no-message-digest", INVALID, _ordered(kind, time), sentence, f"{CMS}.4"
    two = attribute(der.MESSAGE_DIGEST, zeros, octets(good.digest))
    sentence = "A message-digest attribute with two values."
    yield "message-digest-of-two-values", INVALID, _ordered(kind, time, two), sentence, f"{ATTRIBUTES}.2"
    twice = _ordered(kind, time, digest, attribute(der.MESSAGE_DIGEST, zeros))
    yield "message-digest-twice", INVALID, twice, "Two message-digest attributes.", f"{ATTRIBUTES}.2"
    sentence = "Signed attributes without content-type."
    yield "no-content-type", INVALID, _ordered(time, digest), sentence, f"{CMS}.3"
    wrong = _ordered(attribute(der.CONTENT_TYPE, oid(der.SIGNED_DATA)), time, digest)
    sentence = "The content-type attribute is not that of the content."
    yield "content-type-attribute-of-another-type", INVALID, wrong, sentence, f"{ATTRIBUTES}.1"


def _signatures(cast: Cast, good: Cms) -> Iterator[Row]:
    kind, time, _ = good.prescribed
    bob = cast.bob.certificate
    named = der.seq(bob.issuer.public_bytes(), der.integer(bob.serial_number))
    sentence = "Alice signed and Bob is named: who takes the first certificate that fits the signature finds Alice."
    yield "signer-identifier-of-another", INVALID, {"sid": named, **_both(cast)}, sentence, f"{CMS}.3"
    other = {"digest_algorithm": algorithm(der.SHA512)}
    sentence = "The digest is SHA-256 and said to be SHA-512."
    yield "digest-of-another-algorithm", DIFFERS, other, sentence, f"{CMS}.4"
    alter = {"alter": lambda _: cast.alice.sign(good.content)}
    sentence = "Signed over the content, though there are attributes."
    yield "signature-over-the-content", INVALID, alter, sentence, f"{CMS}.4"
    alter = {"alter": lambda _: cast.bob.sign(good.signed_bytes())}
    sentence = "Signed with another key than the certificate's."
    yield "signature-by-another-key", INVALID, alter, sentence, f"{CMS}.6"
    sha1 = attribute(der.MESSAGE_DIGEST, octets(hashlib.sha1(good.content, usedforsecurity=False).digest()))
    weak = {"digest_algorithm": algorithm(der.SHA1), **_ordered(kind, time, sha1)}
    yield "digest-sha1", REFUSED, weak, "The digest is SHA-1.", "SHAttered, 2017"


def _allowed(cast: Cast, good: Cms) -> Iterator[Row]:
    more = _ordered(*good.prescribed, attribute(der.CHALLENGE_PASSWORD, der.utf8("x")))
    sentence = "A signed attribute that nobody knows, which the standard allows."
    yield "unknown-signed-attribute", "", more, sentence, f"{CMS}.3"
    sentence = "Signed over the content itself, which the standard allows."
    yield "no-signed-attributes", "", {"bare": True}, sentence, f"{CMS}.4"
    yield "both-certificates", "", _both(cast), "Another certificate rides along.", f"{CMS}.1"
