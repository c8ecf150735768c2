"""The certificates of one grant differ in seven places, and are read by comparing the rest.

These are serial number, validity, key, key identifier, time of issue, binding and the issuer's signature. Once one
such certificate was read under its profile and its chain was proven, the next is proven by the same bytes everywhere
else, by the checks of `certificate` on what differs, and by the issuer's signature over all of it. Whatever is not so
is left to `certificate`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509

from attest import keys
from attest.certificate import BridgeCertificate, Chain, der_of, key_identifier, read_instant
from attest.lanecms import OtherError, content, utc
from attest.profile import BACKDATING, LIFETIME, RULES, instant

_VERSION = bytes.fromhex("a003020102")  # v3, RFC 5280 section 4.1.2.1
_VALIDITY = bytes.fromhex("301e170d")  # two UTCTimes, section 4.1.2.5
_BETWEEN = bytes.fromhex("170d")
_TIME_SIZE = 13

MAX_SERIAL = 20
"""Octets, section 4.1.2.2."""


@dataclass(frozen=True, slots=True)
class LeafShape:
    """What the leaves of one grant have in common.

    `constant` are the bytes between the places that differ, from behind the serial number to the end of what is
    signed; `sizes` are the sizes of these places: the two times, the key, then key identifier, issue and binding in
    the order of `names`.
    """

    chain: Chain
    constant: tuple[bytes, ...]
    sizes: tuple[int, ...]
    names: tuple[str, ...]
    algorithm: bytes
    spki: bytes

    @classmethod
    def of(cls, certificate: x509.Certificate, chain: Chain) -> LeafShape | None:
        """The shape of a leaf whose chain was proven without an issuing CA; None for one that is of no use here."""
        try:
            return cls._of(certificate, chain)
        except (OtherError, IndexError, ValueError):
            return None

    @classmethod
    def _of(cls, certificate: x509.Certificate, chain: Chain) -> LeafShape:
        leaf, identifier, der = chain.leaf, key_identifier(certificate), der_of(certificate)
        if not RULES[leaf.profile].ours or chain.issuing is not None or identifier is None:
            raise OtherError
        tail, _, rest = _cut(der)
        times = tail.index(_VALIDITY) + len(_VALIDITY)
        later = times + _TIME_SIZE + len(_BETWEEN)
        found = [(times, _TIME_SIZE, "begin"), (later, _TIME_SIZE, "end")]
        key = tail.index(leaf.key.raw, later)
        found.append((key, len(leaf.key.raw), "key"))
        for name, value in (
            ("identifier", identifier),
            ("issue", instant(leaf.issued_at).encode()),
            ("binding", leaf.binding),
        ):
            found.append((tail.index(value, key + len(leaf.key.raw)), len(value), name))
        found.sort()
        at, constant = 0, list[bytes]()
        for start, size, _ in found:
            if start < at:
                raise OtherError
            constant.append(tail[at:start])
            at = start + size
        constant.append(tail[at:])
        algorithm = rest[: content(rest, 0, 0x30)[1]]
        return cls(
            chain=chain,
            constant=tuple(constant),
            sizes=tuple(size for _, size, _ in found),
            names=tuple(name for _, _, name in found),
            algorithm=algorithm,
            spki=leaf.key.spki[: -len(leaf.key.raw)],
        )

    def read(self, der: bytes) -> tuple[Chain, bytes]:
        """The chain of another leaf of this shape, proven, and its serial number's DER.

        `OtherError` for any other bytes; `Error` where a key, a time or the signature does not hold.
        """
        tail, serial, rest = _cut(der)
        places, at = dict[str, bytes](), 0
        for constant, size, name in zip(self.constant, self.sizes, self.names, strict=False):
            if not tail.startswith(constant, at):
                raise OtherError
            at += len(constant)
            places[name] = tail[at : at + size]
            at += size
        if tail[at:] != self.constant[-1] or not rest.startswith(self.algorithm):
            raise OtherError
        value, end = content(rest, len(self.algorithm), 0x03)
        if end != len(rest) or rest[value] != 0:
            raise OtherError
        leaf = self._leaf(der, places, serial)
        keys.verify_signature(self.chain.anchor.key, rest[value + 1 :], leaf.signed)
        return replace(self.chain, leaf=leaf), serial

    def _leaf(self, der: bytes, places: dict[str, bytes], serial: bytes) -> BridgeCertificate:
        """What the leaf says, under the checks of `certificate` on the places that differ."""
        begin, end = (datetime.fromtimestamp(utc(places[name]), UTC) for name in ("begin", "end"))
        issue = places["issue"].decode("ascii", "replace")
        issued_at = read_instant(issue)
        issued, root = issued_at.replace(microsecond=0), self.chain.anchor.certificate
        if instant(issued_at) != issue or not begin < issued or issued - begin > BACKDATING or end - issued > LIFETIME:
            raise OtherError
        if not (root.not_valid_before_utc <= begin and end <= root.not_valid_after_utc):
            raise OtherError
        _, signed_end = content(der, 4, 0x30)
        return replace(
            self.chain.leaf,
            encoded=der,
            signed=der[4:signed_end],
            not_before=begin,
            not_after=end,
            serial=int.from_bytes(serial[2:], "big"),
            key=keys.PublicKey(self.spki + places["key"]),
            binding=places["binding"],
            issued_at=issued_at,
        )


def _cut(der: bytes) -> tuple[bytes, bytes, bytes]:
    """What is signed behind the serial number, the serial number's DER, and what stands behind what is signed."""
    if der[:2] != b"\x30\x82" or int.from_bytes(der[2:4], "big") != len(der) - 4:
        raise OtherError
    at, end = content(der, 4, 0x30)
    if end > len(der) or not der.startswith(_VERSION, at):
        raise OtherError
    at += len(_VERSION)
    value, after = content(der, at, 0x02)
    number = der[value:after]
    minimal = len(number) == 1 or number[0] or number[1] & 0x80
    if not 1 <= len(number) <= MAX_SERIAL or number[0] & 0x80 or not minimal or number == b"\0":
        raise OtherError
    return der[after:end], der[at:after], der[end:]
