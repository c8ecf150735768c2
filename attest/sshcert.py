"""Our OpenSSH user certificates: PROTOCOL.certkeys, and what this project puts into one (design D3).

The certificate stands over the same Ed25519 key as the X.509 leaf and is signed by the same root key, so one
pinned anchor covers both. What is checked, beside the canonical form that `parse` insists on:

 1. Ed25519 subject and Ed25519 issuer, of type user; every point passes the strictness rule (`keys`)
 2. signed by a pinned anchor of profile notme; the issue lies within that anchor's validity
 3. exactly one principal, the actor's address; exactly our options and extensions, no login is permitted
 4. life: at most five minutes after issue, and it begins at most fifteen before
 5. key id, scopes and the two places that say whether the payload was checked agree

Key-free as `cms`: `to_be_signed` gives the bytes, the authority signs, `assemble` frames.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from attest import asn1, keys, sshwire
from attest import claims as claims_codec
from attest.certificate import NOT_PINNED, Anchor, BridgeCertificate, Chain, check_name, read_instant
from attest.claims import MAX_CLAIMS_BYTES, Claims
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.gitobject import MAX_SECONDS
from attest.profile import LIFETIME, PAYLOAD_UNCHECKED, SSH_BACKDATING, LeafSpec, Profile, instant
from attest.sshwire import Reader, string, uint32, uint64

if TYPE_CHECKING:
    from cryptography import x509

TYPE = "ssh-ed25519-cert-v01@openssh.com"
USER = 1  # SSH_CERT_TYPE_USER

SIGNING_OPTION = "git-signing@notme.bot"
"""Critical and without a value: sshd refuses a critical option that it does not know, so it is no login."""

CLAIMS = "claims@notme.bot"
BRIDGE = "bridge@notme.bot"
PAYLOAD_CHECKED = "payload-checked@notme.bot"

MAX_BYTES = 2 * MAX_CLAIMS_BYTES
MAX_PRINCIPALS = 256  # as OpenSSH (SSHKEY_CERT_MAX_PRINCIPALS)
MAX_OPTIONS = 64
_NONCES = (16, 32)  # OpenSSH wrote 16 bytes at first, 32 since 5.7

Options = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class UserCertificate:
    """One parsed certificate. Nothing in it has been verified yet.

    `public_key` and `ca_key` are encoded points, options map names to values without their inner length; `signed`
    is what the issuer's `signature` (64 bytes) covers. Times are unix seconds.
    """

    blob: bytes
    nonce: bytes
    public_key: bytes
    serial: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical: Options
    extensions: Options
    ca_key: bytes
    signed: bytes
    signature: bytes

    def to_be_signed(self) -> bytes:
        """The signed part, made anew from the fields."""
        return b"".join(
            (
                string(TYPE),
                string(self.nonce),
                string(self.public_key),
                uint64(self.serial),
                uint32(USER),
                string(self.key_id),
                string(b"".join(string(principal) for principal in self.principals)),
                uint64(self.valid_after),
                uint64(self.valid_before),
                string(_encode_options(self.critical)),
                string(_encode_options(self.extensions)),
                string(b""),
                string(sshwire.ed25519_key(self.ca_key)),
            )
        )


def to_be_signed(spec: LeafSpec, public_key: bytes, ca_key: bytes, *, serial: int, nonce: bytes) -> bytes:
    """The certificate of `spec` over the encoded point `public_key`, as the holder of `ca_key` signs it."""
    at = spec.issued_at.replace(microsecond=0)
    bridge = asn1.Bridge(
        subject=spec.subject,
        issued_at=instant(spec.issued_at),
        scopes=list(spec.scopes),
        epoch=spec.epoch,
        auth_method=spec.auth_method,
        binding=spec.binding,
    )
    extensions = [(BRIDGE, asn1.encode(bridge)), (CLAIMS, claims_codec.encode(spec.claims))]
    if PAYLOAD_UNCHECKED in spec.scopes:
        extensions.append((PAYLOAD_CHECKED, b"no"))
    unsigned = UserCertificate(
        blob=b"",
        nonce=nonce,
        public_key=public_key,
        serial=serial,
        key_id=key_id(spec.uri, spec.claims.session),
        principals=(spec.claims.actor_email,),
        valid_after=int((at - SSH_BACKDATING).timestamp()),
        valid_before=int((at + LIFETIME).timestamp()),
        critical=((SIGNING_OPTION, b""),),
        extensions=tuple(extensions),
        ca_key=ca_key,
        signed=b"",
        signature=b"",
    )
    return unsigned.to_be_signed()


def assemble(signed: bytes, signature: bytes) -> bytes:
    """The blob of a certificate: what `to_be_signed` gave, and the issuer's 64 bytes over it."""
    return signed + string(sshwire.ed25519_signature(signature))


def key_id(uri: str, session: str) -> str:
    """What `sshd` would log and a KRL revokes by: the actor's URI, and the session where there is one."""
    return f"{uri} session {session}" if session else uri


@functools.lru_cache(maxsize=64)
def parse(blob: bytes) -> UserCertificate:
    """Read one certificate strictly; `MalformedError` for anything that does not encode back to `blob`.

    Kept: a leaf signs several commits in a row, and reading it takes as long as checking a signature.
    """
    if len(blob) > MAX_BYTES:
        raise MalformedError(f"{len(blob)} bytes of certificate; at most {MAX_BYTES} are read")
    reader = Reader(blob)
    if (kind := reader.text()) != TYPE:
        raise MalformedError(f"a key of type {kind[:64]!r}, not {TYPE}")
    nonce, public_key, serial = reader.string(64), reader.string(32), reader.uint64()
    if (cert_type := reader.uint32()) != USER:
        raise MalformedError(f"a certificate of type {cert_type}, not of a user")
    name, principals = reader.text(), read_principals(reader.string())
    valid_after, valid_before = reader.uint64(), reader.uint64()
    critical, extensions = _options(reader.string()), _options(reader.string())
    reserved, ca_key = reader.string(), _ed25519(reader.string(), 32)
    signature = _ed25519(reader.string(), 64)
    reader.end()
    if len(nonce) not in _NONCES or len(public_key) != 32 or reserved:
        raise MalformedError("its nonce or key has another size, or its reserved field is not empty")
    read = UserCertificate(
        blob=blob,
        nonce=nonce,
        public_key=public_key,
        serial=serial,
        key_id=name,
        principals=principals,
        valid_after=valid_after,
        valid_before=valid_before,
        critical=critical,
        extensions=extensions,
        ca_key=ca_key,
        signed=blob[: -len(string(sshwire.ed25519_signature(signature)))],
        signature=signature,
    )
    if read.to_be_signed() != read.signed:
        raise MalformedError("a certificate is not in its one canonical form")
    return read


def verify_chain(read: UserCertificate, anchors: Sequence[Anchor], profile: Profile | None = None) -> Chain:
    """Step 4 for an OpenSSH certificate, as `certificate.verify_chain` is for X.509; `VerificationError` (step 4)."""
    anchor = next((a for a in anchors if a.profile is Profile.NOTME and a.key.raw == read.ca_key), None)
    if anchor is None:
        raise VerificationError(
            Step.CHAIN,
            Reason.ANCHOR_UNKNOWN,
            f"no pinned anchor issued the SSH certificate of {read.key_id[:256]!r}",
            hint=NOT_PINNED,
        )
    if profile not in (None, Profile.NOTME):
        raise _mismatch(f"the certificate is of profile {anchor.profile}, not {profile}")
    try:
        return _proven(read, anchor, anchor.certificate)
    except Error as error:
        if isinstance(error, VerificationError) and error.step is Step.CHAIN:
            raise
        raise VerificationError(
            Step.CHAIN, Reason.CERTIFICATE_INVALID, f"the signer's certificate does not hold: {error}"
        ) from None


@functools.lru_cache(maxsize=64)
def _proven(read: UserCertificate, anchor: Anchor, _root: x509.Certificate) -> Chain:
    """What holds whenever it is asked: no clock and no bundle comes in. Anchors are not compared by `_root`."""
    keys.verify_signature(anchor.key, read.signature, read.signed)
    leaf = _read_leaf(read)
    _check_validity(leaf, anchor)
    return Chain(leaf, None, anchor, ())


def _read_leaf(read: UserCertificate) -> BridgeCertificate:
    found = dict(read.extensions)
    if unknown := set(found) - {BRIDGE, CLAIMS, PAYLOAD_CHECKED}:
        raise VerificationError(
            Step.CHAIN, Reason.EXTENSION_UNKNOWN, f"extension {min(unknown)[:64]!r} is not in our SSH certificates"
        )
    if read.critical != ((SIGNING_OPTION, b""),) or BRIDGE not in found or CLAIMS not in found:
        raise _mismatch(f"the certificate lacks {SIGNING_OPTION}, {BRIDGE} or {CLAIMS}, or has other options")
    bridge = asn1.decode(asn1.Bridge, found[BRIDGE], limit=MAX_CLAIMS_BYTES)
    claims = claims_codec.decode(found[CLAIMS])
    _check_names(read, bridge, claims, found.get(PAYLOAD_CHECKED))
    issued_at = read_instant(bridge.issued_at)
    if instant(issued_at) != bridge.issued_at or not 0 <= bridge.epoch < 2**32:
        raise MalformedError("its time of issue or its epoch is not as the authority writes it")
    return BridgeCertificate(
        encoded=read.blob,
        signed=read.signed,
        not_before=_time(read.valid_after),
        not_after=_time(read.valid_before),
        serial=read.serial,
        issuer=sshwire.fingerprint(sshwire.ed25519_key(read.ca_key)),
        profile=Profile.NOTME,
        key=keys.ed25519(read.public_key),
        subject=bridge.subject,
        uri=_uri(read.key_id, claims.session),
        emails=read.principals,
        scopes=tuple(bridge.scopes),
        epoch=bridge.epoch,
        auth_method=bridge.auth_method,
        binding=bridge.binding,
        issued_at=issued_at,
        claims=claims,
        remarks=(),
        fingerprints=tuple(sshwire.fingerprint(sshwire.ed25519_key(raw)) for raw in (read.public_key, read.ca_key)),
        payload_unchecked=PAYLOAD_CHECKED in found,
    )


def _check_names(read: UserCertificate, bridge: asn1.Bridge, claims: Claims, payload: bytes | None) -> None:
    if read.principals != (claims.actor_email,):
        raise _mismatch("the principal of the certificate is not the address of its actor, and that alone")
    unchecked = PAYLOAD_UNCHECKED in bridge.scopes
    if payload != (b"no" if unchecked else None):
        raise _mismatch(f"scope {PAYLOAD_UNCHECKED} and extension {PAYLOAD_CHECKED} contradict each other")
    if claims.depth:
        raise _mismatch("OpenSSH has no chains, and the certificate says that its holder may pass its grant on")
    if not _uri(read.key_id, claims.session):
        raise _mismatch("the key id does not name the actor, or not the session of the claims")
    check_name(_uri(read.key_id, claims.session))


def _check_validity(leaf: BridgeCertificate, anchor: Anchor) -> None:
    """The issue has to lie within the anchor's validity, not the minutes before it that hooks and editors take."""
    issued, root = leaf.issued_at.replace(microsecond=0), anchor.certificate
    if not leaf.not_before <= issued < leaf.not_after:
        raise _mismatch("the certificate's time of issue is outside its own validity")
    if leaf.not_after - issued > LIFETIME:
        raise _mismatch("the certificate lives longer than five minutes from issue")
    if issued - leaf.not_before > SSH_BACKDATING:
        raise _mismatch("the certificate begins more than fifteen minutes before its issue")
    if not root.not_valid_before_utc <= issued or leaf.not_after > root.not_valid_after_utc:
        raise MalformedError("its validity is not within its issuer's")


def _uri(name: str, session: str) -> str:
    """The actor's URI in a key id; empty where the key id is not `key_id` of it and the session."""
    uri = name.removesuffix(f" session {session}") if session else name
    return uri if key_id(uri, session) == name and " " not in uri else ""


def _encode_options(options: Options) -> bytes:
    """Sorted by name, each value a string in a string, or an empty one (PROTOCOL.certkeys)."""
    return b"".join(string(name) + string(string(value) if value else b"") for name, value in sorted(options))


def _options(data: bytes) -> Options:
    reader, found = Reader(data), list[tuple[str, bytes]]()
    while reader.left:
        if len(found) == MAX_OPTIONS:
            raise MalformedError(f"more than {MAX_OPTIONS} options or extensions")
        name, value = reader.text(), Reader(reader.string())
        found.append((name, value.string() if value.left else b""))
        value.end()
    if len({name for name, _ in found}) != len(found):
        raise MalformedError("an option or extension stands twice")
    return tuple(found)


def read_principals(data: bytes) -> tuple[str, ...]:
    """The names in a certificate's list of principals, at most `MAX_PRINCIPALS`; else `MalformedError`."""
    reader, found = Reader(data), list[str]()
    while reader.left:
        if len(found) == MAX_PRINCIPALS:
            raise MalformedError(f"more than {MAX_PRINCIPALS} principals")
        found.append(reader.text())
    return tuple(found)


def _ed25519(blob: bytes, size: int) -> bytes:
    """The one field behind the name ssh-ed25519 in a key or signature blob."""
    reader = Reader(blob)
    if (kind := reader.text()) != sshwire.ED25519:
        raise MalformedError(f"the issuer's key or signature is {kind[:64]!r}, not {sshwire.ED25519}")
    raw = reader.string(size)
    reader.end()
    if len(raw) != size:
        raise MalformedError(f"{len(raw)} bytes where {sshwire.ED25519} has {size}")
    return raw


def _time(seconds: int) -> datetime:
    if seconds > MAX_SECONDS:
        raise MalformedError("its validity has no end, or one after the year 9999")
    return datetime.fromtimestamp(seconds, UTC)


def _mismatch(message: str) -> VerificationError:
    return VerificationError(Step.CHAIN, Reason.PROFILE_MISMATCH, message)
