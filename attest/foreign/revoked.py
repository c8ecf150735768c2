"""Revoked SSH keys: git's `gpg.ssh.revocationFile`, a KRL or a list of public keys.

A KRL is OpenSSH's binary list (PROTOCOL.krl): keys whole or by their digest, and certificates by serial number or
key id. A list has public keys as in a `.pub` file, one a line; also the fingerprints that `ssh-keygen -l` prints.
A certificate is revoked with its key and with its authority's key, too.

Whoever reads only half of a list takes a revoked key for a good one. A part that nobody here reads is therefore
`UnavailableError`, also where it could be meant for others.
"""

from __future__ import annotations

import binascii
import enum
import hashlib
from dataclasses import dataclass, field

from attest.errors import MalformedError, UnavailableError
from attest.foreign import allowed, usercert
from attest.foreign.sshkeys import MAX_BLOB_BYTES, SshKey
from attest.foreign.usercert import OpenSshCertificate
from attest.sshwire import Reader

MAGIC = b"SSHKRL\n\0"
VERSION = 1


class Section(enum.IntEnum):
    """What a section of a KRL has, and from 0x20 on what one within `CERTIFICATES` has."""

    CERTIFICATES = 1
    EXPLICIT_KEY = 2
    SHA1 = 3
    SHA256 = 5
    EXTENSION = 255

    SERIAL_LIST = 0x20
    SERIAL_RANGE = 0x21
    SERIAL_BITMAP = 0x22
    KEY_ID = 0x23
    CERTIFICATE_EXTENSION = 0x39


MAX_BITMAP_BYTES = 64 * 1024
"""Half a million serial numbers in one section; ssh-keygen begins another after some thousands."""

_FINGERPRINT = "SHA256:"


@dataclass(frozen=True, slots=True)
class Certificates:
    """What is revoked of one authority: serial numbers from and to, bitmaps of them from an offset on, key ids."""

    ranges: list[tuple[int, int]] = field(default_factory=list)
    bitmaps: list[tuple[int, int]] = field(default_factory=list)
    key_ids: set[str] = field(default_factory=set)

    def revokes(self, certificate: OpenSshCertificate) -> bool:
        """Whether this certificate of the authority is among them. Serial number 0 means that it has none."""
        serial = certificate.serial
        return certificate.key_id in self.key_ids or (
            serial != 0
            and (
                any(first <= serial <= last for first, last in self.ranges)
                or any(first <= serial and bits >> (serial - first) & 1 for first, bits in self.bitmaps)
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class RevokedKeys:
    """A whole list. `keys` are blobs, `sha1s` and `sha256s` digests of blobs; `sha256` is of the file.

    `certificates` are by the blob of their authority's key, under the empty one those of all authorities.
    """

    sha256: bytes
    keys: set[bytes] = field(default_factory=set)
    sha1s: set[bytes] = field(default_factory=set)
    sha256s: set[bytes] = field(default_factory=set)
    certificates: dict[bytes, Certificates] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes) -> RevokedKeys:
        """Read a list; `MalformedError`, or `UnavailableError` for a part that nobody here reads."""
        found = cls(hashlib.sha256(data).digest())
        if data.startswith(MAGIC):
            if len(data) > allowed.MAX_BYTES:
                raise MalformedError(f"{len(data)} bytes of KRL; at most {allowed.MAX_BYTES} are read")
            found._read_krl(Reader(data))
            return found
        for number, line in allowed.lines(data):
            try:
                found._read_line(line)
            except MalformedError as error:
                raise MalformedError(f"revoked keys, line {number}: {error.message}", hint=error.hint) from None
        return found

    def revokes(self, key: SshKey, certificate: OpenSshCertificate | None = None) -> str:
        """What of a signer is revoked, as words for a sentence; empty for nothing."""
        if self._has(key.blob):
            return f"key {key.fingerprint}"
        if certificate is None:
            return ""
        if self._has(certificate.authority):
            return "the key of the certificate's authority"
        named = (self.certificates.get(blob) for blob in (certificate.authority, b""))
        if any(listed is not None and listed.revokes(certificate) for listed in named):
            return f"the certificate with serial number {certificate.serial}"
        return ""

    def _has(self, blob: bytes) -> bool:
        return (
            blob in self.keys
            or (bool(self.sha256s) and hashlib.sha256(blob).digest() in self.sha256s)
            or (bool(self.sha1s) and hashlib.sha1(blob, usedforsecurity=False).digest() in self.sha1s)
        )

    def _read_line(self, line: str) -> None:
        if line.startswith(_FINGERPRINT):
            digest = line.split()[0].removeprefix(_FINGERPRINT)
            try:
                self.sha256s.add(_sized(binascii.a2b_base64(digest + "=", strict_mode=True), 32))
            except (binascii.Error, ValueError):
                raise MalformedError("not a fingerprint as ssh-keygen -l prints it") from None
            return
        blob = allowed.read_key(line)
        if blob is None:
            raise MalformedError("neither an SSH key nor a fingerprint with SHA256: before it")
        # As ssh-keygen: who lists a certificate here revokes the key in it.
        self.keys.add(usercert.parse(blob).key.blob if usercert.is_certificate(blob) else blob)

    def _read_krl(self, reader: Reader) -> None:
        reader.take(len(MAGIC))
        if (version := reader.uint32()) != VERSION:
            raise UnavailableError(f"a KRL of version {version}; this program reads version {VERSION}")
        reader.take(3 * 8)  # its number, when it was made, and flags of which none is defined
        reader.string()
        reader.string()
        while reader.left:
            kind, section = reader.take(1)[0], Reader(reader.string(allowed.MAX_BYTES))
            match kind:
                case Section.EXPLICIT_KEY:
                    self.keys.update(_strings(section, None))
                case Section.SHA1:
                    self.sha1s.update(_strings(section, 20))
                case Section.SHA256:
                    self.sha256s.update(_strings(section, 32))
                case Section.CERTIFICATES:
                    authority = section.string(MAX_BLOB_BYTES)
                    section.string()
                    _read_certificates(section, self.certificates.setdefault(authority, Certificates()))
                case Section.EXTENSION:
                    _pass_over(section)
                case _:
                    raise UnavailableError(f"a KRL with a section of kind {kind}, which nobody here reads")


def _read_certificates(reader: Reader, found: Certificates) -> None:
    while reader.left:
        kind, section = reader.take(1)[0], Reader(reader.string(allowed.MAX_BYTES))
        match kind:
            case Section.SERIAL_LIST:
                while section.left:
                    serial = section.uint64()
                    found.ranges.append((serial, serial))
            case Section.SERIAL_RANGE:
                found.ranges.append((section.uint64(), section.uint64()))
                section.end()
            case Section.SERIAL_BITMAP:
                offset, bits = section.uint64(), section.string(MAX_BITMAP_BYTES)
                found.bitmaps.append((offset, int.from_bytes(bits, "big")))
                section.end()
            case Section.KEY_ID:
                found.key_ids.update(key_id.decode("utf-8", "replace") for key_id in _strings(section, None))
            case Section.CERTIFICATE_EXTENSION:
                _pass_over(section)
            case _:
                raise UnavailableError(f"a KRL with certificates listed in a form {kind} that nobody here reads")


def _strings(reader: Reader, size: int | None) -> list[bytes]:
    found = []
    while reader.left:
        found.append(_sized(reader.string(), size))
    return found


def _sized(data: bytes, size: int | None) -> bytes:
    if size is not None and len(data) != size:
        raise MalformedError(f"a digest of {len(data)} bytes where one has {size}")
    return data


def _pass_over(reader: Reader) -> None:
    """An extension; whoever made the list says whether it may be passed over."""
    name, critical = reader.string(), reader.take(1) != b"\0"
    reader.string(allowed.MAX_BYTES)
    reader.end()
    if critical:
        raise UnavailableError(f"a KRL with extension {name[:64]!r}, which nobody here reads")
