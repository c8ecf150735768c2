"""Steps 3 and 4 for OpenPGP. Nobody but gpg reads it here, so what is malformed is found in step 3."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

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
STRANGER = openpgp.Key(secret("openpgp stranger"), "Alice Example <alice@example.org>", NOW - A_DAY)


def cases(cast: Cast) -> Iterator[Case]:
    plain = payload(cast.openpgp, SHA1)
    good = OPENPGP_KEY.signature(plain, at=NOW)
    strange = STRANGER.signature(plain, at=NOW)
    other = b"tree nobody signed\n"
    flags = subpacket(CRITICAL | 99, b"")
    short = subpacket(EXPIRES, int(timedelta(hours=1).total_seconds()).to_bytes(4, "big"))
    text = OPENPGP_KEY.signature(plain.replace(b"\n", b"\r\n"), at=NOW, kind=TEXT)
    for step, defect, reason, made, sentence, reference in (
        (
            3,
            "message-with-its-content",
            INVALID,
            OPENPGP_KEY.message(plain, at=NOW),
            "A message that carries what it signs, in the armour that git takes too.",
            "git gpg-interface.c, PGP MESSAGE",
        ),
        (
            3,
            "message-with-other-content",
            INVALID,
            OPENPGP_KEY.message(other, at=NOW),
            "A message that carries other content, well signed.",
            "git gpg-interface.c, PGP MESSAGE",
        ),
        (
            3,
            "two-signatures",
            "signature-several",
            armour("SIGNATURE", good + strange),
            "A second signature, by a key that nobody knows.",
            f"{RFC4880} 11.4",
        ),
        (
            3,
            "signature-over-other-content",
            INVALID,
            armour("SIGNATURE", OPENPGP_KEY.signature(other, at=NOW)),
            "A good signature over something else.",
            f"{RFC4880} 5.2.4",
        ),
        (
            3,
            "unknown-critical-subpacket",
            INVALID,
            armour("SIGNATURE", OPENPGP_KEY.signature(plain, at=NOW, hashed=[flags])),
            "A critical subpacket that nobody knows.",
            f"{RFC4880} 5.2.3.1",
        ),
        (
            4,
            "signature-expired",
            "time-outside-validity",
            armour("SIGNATURE", OPENPGP_KEY.signature(plain, at=NOW - A_DAY, hashed=[short])),
            "The signature itself has ended.",
            f"{RFC4880} 5.2.3.10",
        ),
        (
            3,
            "digest-sha1",
            "key-refused",
            armour("SIGNATURE", OPENPGP_KEY.signature(plain, at=NOW, hash_name="sha1")),
            "The digest is SHA-1.",
            "SHAttered, 2017",
        ),
    ):
        raw = attach(plain, made)
        yield Case(f"{step}-openpgp-{defect}", raw, "openpgp", REJECT, reason, sentence, (reference,), NOW)
    raw, sentence = attach(plain, armour("SIGNATURE", strange)), "A key that nobody knows, with the right name."
    reference = f"{RFC4880} 5.2.3.5"
    yield Case("3-openpgp-key-unknown", raw, "openpgp", UNCHECKED, "key-unknown", sentence, (reference,), NOW)
    turned = plain.replace(b"A change\n", b"A change\r\n")
    yield Case(
        *("3-openpgp-line-ends-changed", attach(turned, armour("SIGNATURE", text)), "openpgp", REJECT, INVALID),
        "Signed as text, in which CR LF and LF are the same, and the message was changed thus.",
        (f"{RFC4880} 5.2.1, type 0x01",),
        NOW,
    )
