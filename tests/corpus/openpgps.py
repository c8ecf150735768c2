"""Steps 3 and 4 for OpenPGP. Nobody but gpg reads it here, so what is malformed is found in step 3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from attest.gitobject import ObjectFormat
from tests.corpus import openpgp
from tests.corpus.case import REJECT, UNCHECKED, Case
from tests.corpus.objects import payload
from tests.corpus.openpgp import CRITICAL, EXPIRES, TEXT, armour, subpacket
from tests.corpus.signers import OPENPGP_KEY, Cast, secret
from tests.corpus.smime import A_DAY
from tests.forge import NOW, attach

SHA1 = ObjectFormat.SHA1
RFC4880 = "RFC 4880 section"
INVALID = "signature-invalid"
ELSE = b"tree nobody signed\n"
STRANGER = openpgp.Key(secret("openpgp stranger"), "Alice Example <alice@example.org>", NOW - A_DAY)

Row: TypeAlias = tuple[str, str, bytes, str, str]
"""Defect, reason, armour, sentence, reference."""


def cases(cast: Cast) -> Iterator[Case]:
    plain = payload(cast.openpgp, SHA1)
    for defect, reason, made, sentence, reference in (*_packets(plain), *_signatures(plain)):
        raw = attach(plain, made)
        yield Case(f"3-openpgp-{defect}", raw, "openpgp", REJECT, reason, sentence, (reference,), NOW)
    raw, sentence = (
        attach(plain, _of(STRANGER.signature(plain, at=NOW))),
        "A key that nobody knows, with the right name.",
    )
    reference = f"{RFC4880} 5.2.3.5"
    yield Case("3-openpgp-key-unknown", raw, "openpgp", UNCHECKED, "key-unknown", sentence, (reference,), NOW)
    short = subpacket(EXPIRES, (60 * 60).to_bytes(4, "big"))
    raw = attach(plain, _of(OPENPGP_KEY.signature(plain, at=NOW - A_DAY, hashed=[short])))
    named, reason, reference = "4-openpgp-signature-expired", "time-outside-validity", f"{RFC4880} 5.2.3.10"
    yield Case(named, raw, "openpgp", REJECT, reason, "The signature itself has ended.", (reference,), NOW)
    text = OPENPGP_KEY.signature(plain.replace(b"\n", b"\r\n"), at=NOW, kind=TEXT)
    raw = attach(plain.replace(b"A change\n", b"A change\r\n"), _of(text))
    sentence = "Signed as text, in which CR LF and LF are the same, and the message was changed thus."
    named, reference = "3-openpgp-line-ends-changed", f"{RFC4880} 5.2.1, type 0x01"
    yield Case(named, raw, "openpgp", REJECT, INVALID, sentence, (reference,), NOW)


def _of(packets: bytes) -> bytes:
    return armour("SIGNATURE", packets)


def _packets(plain: bytes) -> Iterator[Row]:
    reference = "git gpg-interface.c, PGP MESSAGE"
    sentence = "A message that carries what it signs, in the armour that git takes too."
    yield "message-with-its-content", INVALID, OPENPGP_KEY.message(plain, at=NOW), sentence, reference
    sentence = "A message that carries other content, well signed."
    yield "message-with-other-content", INVALID, OPENPGP_KEY.message(ELSE, at=NOW), sentence, reference
    both = _of(OPENPGP_KEY.signature(plain, at=NOW) + STRANGER.signature(plain, at=NOW))
    sentence = "A second signature, by a key that nobody knows."
    yield "two-signatures", "signature-several", both, sentence, f"{RFC4880} 11.4"


def _signatures(plain: bytes) -> Iterator[Row]:
    made = _of(OPENPGP_KEY.signature(ELSE, at=NOW))
    sentence = "A good signature over something else."
    yield "signature-over-other-content", INVALID, made, sentence, f"{RFC4880} 5.2.4"
    made = _of(OPENPGP_KEY.signature(plain, at=NOW, hashed=[subpacket(CRITICAL | 99, b"")]))
    sentence = "A critical subpacket that nobody knows."
    yield "unknown-critical-subpacket", INVALID, made, sentence, f"{RFC4880} 5.2.3.1"
    made = _of(OPENPGP_KEY.signature(plain, at=NOW, hash_name="sha1"))
    yield "digest-sha1", "key-refused", made, "The digest is SHA-1.", "SHAttered, 2017"
