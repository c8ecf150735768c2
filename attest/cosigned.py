"""Envelopes that several sign, or a key that is elsewhere: each signature is verified before it is put in.

A Sigstore bundle holds exactly one signature, so what several sign is a plain DSSE envelope (protocol 1.0.2). The bytes
to sign are `dsse.pae` of the statement; where they are signed, by whatever program, is nobody's business here.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace

from attest import bundles, dsse, keys, said
from attest.attester import KeyAttester, name_of
from attest.dsse import Envelope, EnvelopeSignature
from attest.errors import MalformedError, RefusedError, UsageError, VerificationError
from attest.keys import MAX_ECDSA_DER_SIZE, PublicKey

MAX_SIGNATURE_BYTES = 1024
"""In base64, with line ends."""


def signature_of(data: bytes) -> bytes:
    """The signature that a file holds: as openssl writes it, 64 bytes for Ed25519 and DER for P-256, or in base64.

    Whether it is one is found out when it is verified. Raises `MalformedError`.
    """
    if len(data) <= MAX_ECDSA_DER_SIZE:
        return data
    if len(data) > MAX_SIGNATURE_BYTES:
        raise MalformedError(f"{len(data)} bytes are no signature")
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        raise MalformedError(
            f"the signature is {len(data)} bytes and not base64", hint="give 64 bytes (Ed25519), or DER (P-256)"
        ) from None


def around(statement: bytes) -> Envelope:
    """An envelope around an in-toto Statement that has no signature yet, and so is no envelope to write.

    Raises `MalformedError` for what is no Statement.
    """
    said.read(statement)
    return Envelope(statement, dsse.PAYLOAD_TYPE, ())


def opened(data: bytes) -> Envelope:
    """The envelope in a file that has one, plain or as the bundle of a bare key. Raises `MalformedError`.

    `UsageError` for a bundle with a certificate: nothing else would be left of whose signature it holds.
    """
    top = dsse.read_json(data)
    if "dsseEnvelope" not in top:
        envelope = dsse.parse_envelope(data)
    else:
        material = top.get("verificationMaterial")
        if not isinstance(material, dict) or "publicKey" not in material:
            raise UsageError(
                "the file is a bundle with a certificate, which holds one signature and no more",
                hint="each signer makes a bundle of their own, or signs with a key",
            )
        envelope = bundles.parse_key_bundle(data).envelope
    if not dsse.is_statement(envelope.payload_type):
        raise MalformedError(f"the payload is {envelope.payload_type[:80]!r}, not an in-toto Statement")
    said.read(envelope.payload)
    return envelope


def add(envelope: Envelope, made: EnvelopeSignature, key: PublicKey) -> Envelope:
    """The same envelope with a signature more; as it is, where this key has signed it before.

    Raises `RefusedError` for a signature that `key` did not make over this payload, `UsageError` where there is no
    room. Whose the other signatures are is not looked at: nothing is known of their keys.
    """
    message = dsse.pae(envelope.payload_type, envelope.payload)
    try:
        keys.verify_signature(key, made.sig, message)
    except VerificationError:
        raise RefusedError(_why(envelope, made.sig, key), hint=_HOW) from None
    if has_signed(envelope, key):
        return envelope
    if len(envelope.signatures) >= dsse.MAX_SIGNATURES:
        raise UsageError(f"an envelope has at most {dsse.MAX_SIGNATURES} signatures")
    return replace(envelope, signatures=(*envelope.signatures, made))


def has_signed(envelope: Envelope, key: PublicKey) -> bool:
    """Whether one of the signatures is by this key."""
    try:
        dsse.verify_envelope(envelope, [key])
    except VerificationError:
        return False
    return True


def sign(envelope: Envelope, attester: KeyAttester) -> Envelope:
    """The same envelope, signed by this attester too; as `add`."""
    message = dsse.pae(envelope.payload_type, envelope.payload)
    made = EnvelopeSignature(attester.key.sign(message), name_of(attester.key.public))
    return add(envelope, made, attester.key.public)


def _why(envelope: Envelope, signature: bytes, key: PublicKey) -> str:
    try:
        keys.verify_signature(key, signature, envelope.payload)
    except VerificationError:
        return "the signature is not by this key over this statement; nothing was written"
    return "the signature is over the statement itself, not over its DSSE encoding; nothing was written"


_HOW = "sign the bytes of the .pae file that attest --to-be-signed writes"
