"""OpenSSH user certificates of any authority: OpenSSH's PROTOCOL.certkeys, over every kind of key in `sshkeys`.

Ours have a form of their own and a reader of their own (`sshcert`). Of these only what a signature needs is judged:
the authority's signature, the type, and critical options. Who is an authority, for which principals and when, says
the allowed signers file.

`force-command` and `source-address` limit logins, which a signature is none; ssh-keygen passes them over as well.
`verify-required` holds for every use of a security key, so it is held against the signature's flags.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from attest import sshcert
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.foreign import sshkeys
from attest.foreign.sshkeys import SshKey
from attest.gitobject import MAX_SECONDS
from attest.sshwire import Reader

SUFFIX = "-cert-v01@openssh.com"

MAX_BYTES = 32 * 1024
"""256 principals of 64 bytes, with an RSA key and an RSA authority of 16384 bits each."""
MAX_OPTIONS = 64
MAX_NONCE_BYTES = 64

VERIFY_REQUIRED = "verify-required"
_KNOWN_OPTIONS = frozenset({"force-command", "source-address", VERIFY_REQUIRED, sshcert.SIGNING_OPTION})


@dataclass(frozen=True, slots=True)
class OpenSshCertificate:
    """One parsed certificate. Nothing in it has been verified yet.

    `signed` is what `signature` of kind `algorithm` with `extra` covers, by `authority`, a key blob. Valid from
    `valid_after` on until before `valid_before`, unix seconds; None without a beginning, or an end that git can date.
    """

    blob: bytes
    key: SshKey
    serial: int
    type: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: int | None
    valid_before: int | None
    critical: tuple[str, ...]
    authority: bytes
    signed: bytes
    algorithm: str
    signature: bytes
    extra: bytes


def is_certificate(blob: bytes) -> bool:
    """Whether a blob where a key is looked for says that it is a certificate."""
    size = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + size].endswith(SUFFIX.encode())


@functools.lru_cache(maxsize=sshkeys.KEPT)
def parse(blob: bytes) -> OpenSshCertificate:
    """Read one certificate; `MalformedError` for what is none, and for a key in it that counts for nothing."""
    if len(blob) > MAX_BYTES:
        raise MalformedError(f"{len(blob)} bytes of certificate; at most {MAX_BYTES} are read")
    reader = Reader(blob)
    name = reader.text(128)
    kind = plain_kind(name)
    reader.string(MAX_NONCE_BYTES)
    key = sshkeys.parse(sshkeys.encode(kind, sshkeys.read_fields(kind, reader)))
    serial, kind_of_holder, key_id = reader.uint64(), reader.uint32(), reader.text()
    principals = sshcert.read_principals(reader.string())
    valid_after, valid_before = reader.uint64(), reader.uint64()
    critical = _options(reader.string())
    _options(reader.string())
    if reader.string():
        raise MalformedError("the reserved field of a certificate is not empty")
    authority = reader.string(sshkeys.MAX_BLOB_BYTES)
    rest = reader.string()
    reader.end()
    value = Reader(rest)
    algorithm, signature = value.text(128), value.string()
    extra = value.take(5) if algorithm.startswith("sk-") else b""
    value.end()
    return OpenSshCertificate(
        blob=blob,
        key=key,
        serial=serial,
        type=kind_of_holder,
        key_id=key_id,
        principals=principals,
        valid_after=min(valid_after, MAX_SECONDS) or None,
        valid_before=valid_before if valid_before <= MAX_SECONDS else None,
        critical=critical,
        authority=authority,
        signed=blob[: -4 - len(rest)],
        algorithm=algorithm,
        signature=signature,
        extra=extra,
    )


def plain_kind(name: str) -> str:
    """The kind of key that a kind of certificate is over: `sk-ssh-ed25519-cert-v01@openssh.com` has its suffix once."""
    stem = name.removesuffix(SUFFIX)
    kind = f"{stem}@openssh.com" if stem.startswith("sk-") else stem
    if stem == name or kind not in sshkeys.FIELDS:
        raise MalformedError(f"a certificate of kind {name[:64]!r}, which counts for nothing here")
    return kind


@functools.lru_cache(maxsize=sshkeys.KEPT)
def verify(blob: bytes) -> None:
    """Return when this certificate is a user's and its authority signed it; `VerificationError` (step 4).

    Whether the authority is one, and the certificate valid then, is not asked here.
    """
    read = parse(blob)
    if read.type != sshcert.USER:
        raise _invalid(f"it is of type {read.type}, not of a user")
    if unknown := set(read.critical) - _KNOWN_OPTIONS:
        raise _invalid(f"critical option {min(unknown)[:64]!r} is not known here")
    try:
        authority = sshkeys.parse(read.authority)
        sshkeys.verify(authority, read.algorithm, read.signature, read.extra, read.signed)
    except (MalformedError, VerificationError) as error:
        raise _invalid(f"its authority did not sign it: {error}") from None


def _options(data: bytes) -> tuple[str, ...]:
    """Their names, each of which may stand once."""
    reader, found = Reader(data), list[str]()
    while reader.left:
        if len(found) == MAX_OPTIONS:
            raise MalformedError(f"more than {MAX_OPTIONS} options or extensions")
        found.append(reader.text())
        reader.string()
    if len(set(found)) != len(found):
        raise MalformedError("an option or extension stands twice")
    return tuple(found)


def _invalid(why: str) -> VerificationError:
    said = f"the signer's SSH certificate does not hold: {why}"
    return VerificationError(Step.CHAIN, Reason.CERTIFICATE_INVALID, said)
