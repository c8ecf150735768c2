"""Step 3, the arithmetic: signatures on which libraries differ, or once differed.

Each stands in a CMS signature of ours and in a signature by a plain SSH key (Ed25519), or in CMS of profile interop
and of S/MIME (ECDSA), so that every verifier finds it in a format that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from attest import sshsig
from attest.gitobject import ObjectFormat
from tests import der
from tests.corpus import edwards
from tests.corpus.case import ACCEPT, REJECT, Case
from tests.corpus.objects import payload
from tests.corpus.signers import Cast
from tests.der import Cms
from tests.forge import NOW, Leaf, attach

INVALID, REFUSED = "signature-invalid", "key-refused"
SHA1 = ObjectFormat.SHA1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # the order of P-256, SP 800-186 section 3.2.1.3
STRICT = "RFC 8032 section 5.1.7; Chalkias et al., Taming the many EdDSAs, 2020"
FIPS = "FIPS 186-5 section 6.4.2"

Alter = Callable[[bytes], bytes]


def cases(cast: Cast) -> Iterator[Case]:
    yield from _ed25519_signatures(cast)
    yield from _ed25519_keys(cast)
    yield from _ecdsa(cast)


def _ed25519_signatures(cast: Cast) -> Iterator[Case]:
    """Honest keys, odd signatures: whoever made these had the private key, but for the first."""
    identity, order_2 = edwards.encode(edwards.IDENTITY), edwards.encode(edwards.ORDER_2)
    second = (edwards.P + 1).to_bytes(32, "little")

    def mixed(seed: bytes, key: bytes, message: bytes) -> bytes:
        point = edwards.add(edwards.times(7, edwards.base()), edwards.ORDER_2)
        return edwards.sign_with(7, edwards.encode(point), seed, key, message)

    makers: tuple[tuple[str, Callable[[bytes, bytes, bytes], bytes], str, str], ...] = (
        ("s-not-reduced", _s_plus_l, "S has the group order added: a second spelling of the same signature.", STRICT),
        (
            "r-of-small-order",
            lambda seed, key, message: edwards.sign_with(0, identity, seed, key, message),
            "R is the neutral element: holds by the equation, and gives the private key away.",
            STRICT,
        ),
        (
            "r-of-order-2",
            lambda seed, key, message: edwards.sign_with(0, order_2, seed, key, message),
            "R is of order 2: holds by the equation with the cofactor and by no other.",
            STRICT,
        ),
        (
            "r-not-canonical",
            lambda seed, key, message: edwards.sign_with(0, second, seed, key, message),
            "R is spelled with a y that is not below p.",
            "RFC 8032 section 5.1.3",
        ),
        (
            "r-of-mixed-order",
            mixed,
            "R has a part of order 2: holds by the equation with the cofactor and by no other.",
            STRICT,
        ),
    )
    for defect, maker, sentence, reference in makers:
        plain = payload(cast.notme, SHA1)
        message = Cms(cast.base.leaf, plain, NOW)
        value = _made(maker, cast.base.leaf.key, message.signed_bytes())
        changed = replace(message, alter=_always(value))
        changed = replace(changed, unsigned=der.stamped(cast.base.notme, changed))
        yield _case(f"3-{defect}", attach(plain, Cast.mail(changed)), "notme", sentence, reference)
        own = payload(cast.key, SHA1)
        blob = cast.ssh.blob_over(own)
        value = _made(maker, cast.ssh_private, sshsig.to_be_signed(own))
        raw = attach(own, sshsig.ARMOUR.wrap(blob[:-64] + value))
        yield _case(f"3-ssh-key-{defect}", raw, "ssh-key", sentence, reference)


def _ed25519_keys(cast: Cast) -> Iterator[Case]:
    """Certified keys that sign everything. The root of a test would certify them, no authority should."""
    for defect, point, sentence in (
        ("key-of-order-2", edwards.encode(edwards.ORDER_2), "A certified key of order 2."),
        ("key-not-canonical", (edwards.P + 1).to_bytes(32, "little"), "A certified key whose y is not below p."),
        ("key-with-a-sign-of-zero", (1 | 1 << 255).to_bytes(32, "little"), "A certified key with x = 0 and a sign."),
    ):
        leaf = _leaf_with(cast, point)
        plain = payload(cast.notme, SHA1)
        # R the neutral element and S zero: what is left of the equation is that k times the key is nothing.
        message = replace(Cms(leaf, plain, NOW), alter=_always(b"\x01" + bytes(63)))
        message = replace(message, unsigned=der.stamped(cast.base.notme, message))
        yield _case(f"3-{defect}", attach(plain, Cast.mail(message)), "notme", sentence, STRICT, REFUSED)


def _leaf_with(cast: Cast, point: bytes) -> Leaf:
    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder._public_key = Ed25519PublicKey.from_public_bytes(point)
        return builder

    return cast.base.notme.issue(cast.base.notme.spec(), edit=edit)


def _ecdsa(cast: Cast) -> Iterator[Case]:
    for signer, leaf, forge in (
        (cast.interop, cast.interop_leaf, cast.base.interop),
        (cast.smime, cast.alice, None),
    ):
        plain = payload(signer, SHA1)
        for defect, alter, sentence, reference, good in _ecdsa_changes():
            message = replace(Cms(leaf, plain, NOW), alter=alter)
            if forge is not None:
                message = replace(message, unsigned=der.stamped(forge, message))
            name, raw = f"3-{signer.infix}{defect}", attach(plain, Cast.mail(message))
            one = _case(name, raw, signer.name, sentence, reference, "" if good else INVALID)
            yield replace(one, anchor="interop" if forge else "notme")


def _ecdsa_changes() -> Iterator[tuple[str, Alter, str, str, bool]]:
    def of(change: Callable[[int, int], tuple[int, int]]) -> Alter:
        return lambda value: der.seq(*map(der.integer, change(*decode_dss_signature(value))))

    yield (
        "zero-signature",
        lambda _: der.seq(der.integer(0), der.integer(0)),
        "r and s are zero.",
        "CVE-2022-21449",
        False,
    )
    yield "zero-s", of(lambda r, _: (r, 0)), "s is zero.", FIPS, False
    yield "r-not-reduced", of(lambda r, s: (r + N, s)), "r has the group order added.", FIPS, False
    yield "s-not-reduced", of(lambda r, s: (r, s + N)), "s has the group order added: a second spelling.", FIPS, False
    yield "s-negative", of(lambda r, s: (r, s - N)), "s has the group order taken away: a second spelling.", FIPS, False
    yield (
        "s-of-the-other-half",
        of(lambda r, s: (r, N - s)),
        "n - s in place of s, which the standard allows: one signature has two spellings.",
        FIPS,
        True,
    )
    strict = "CVE-2014-8275; X.690 section 8.3.2"
    yield "integer-padded", _padded, "r has a leading zero byte too many: a second spelling.", strict, False
    yield "trailing-byte-inside", _trailing, "A byte follows s inside of the sequence.", strict, False
    yield "trailing-byte-behind", lambda value: value + b"\0", "A byte follows the sequence.", strict, False
    yield "long-length", der.long_length, "The sequence's length is in more bytes than needed.", strict, False


def _padded(value: bytes) -> bytes:
    r, s = decode_dss_signature(value)
    plain = der.integer(r)
    return der.seq(der.tlv(0x02, b"\0" + plain[2:]), der.integer(s))


def _trailing(value: bytes) -> bytes:
    return der.seq(value[2:], b"\0")


def _s_plus_l(seed: bytes, _key: bytes, message: bytes) -> bytes:
    value = Ed25519PrivateKey.from_private_bytes(seed).sign(message)
    s = int.from_bytes(value[32:], "little") + edwards.L
    return value[:32] + s.to_bytes(32, "little")


def _made(maker: Callable[[bytes, bytes, bytes], bytes], key: object, message: bytes) -> bytes:
    assert isinstance(key, Ed25519PrivateKey)
    return maker(key.private_bytes_raw(), key.public_key().public_bytes_raw(), message)


def _always(value: bytes) -> Alter:
    return lambda _: value


def _case(name: str, raw: bytes, signer: str, sentence: str, reference: str, reason: str = INVALID) -> Case:
    return Case(name, raw, signer, REJECT if reason else ACCEPT, reason, sentence, (reference,), NOW)
