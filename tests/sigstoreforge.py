"""A Sigstore instance in process, as small as can be: Fulcio, a log of each version, a time-stamping authority.

What the product reads is written here with other code. Every part can be replaced by another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import timestamp
from attest.foreign.sigstore import SigstoreRoot
from tests.foreignsigned import NOW, ec_key, sign
from tests.test_foreign_sigstore import ISSUED, TSA, b64, leaf, trusted_root

LogKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
STATEMENT = (
    b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"gitCommit":"'
    + b"1" * 40
    + b'"}}],"predicateType":"https://example.com/x","predicate":{}}'
)
WHEN = int(ISSUED.timestamp()) + 2
OLD_LOG, NEW_LOG = ec_key(number=31), ed25519.Ed25519PrivateKey.from_private_bytes(b"\7" * 32)


def spki(key: LogKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def id_of(key: LogKey) -> bytes:
    return hashlib.sha256(spki(key)).digest()


def listed(key: LogKey, end: str | None = None) -> dict[str, Any]:
    """A log as a trusted root lists it."""
    details = "PKIX_ED25519" if isinstance(key, ed25519.Ed25519PrivateKey) else "PKIX_ECDSA_P256_SHA_256"
    window = {"start": "2025-01-01T00:00:00Z"} | ({"end": end} if end else {})
    public = {"rawBytes": b64(spki(key)), "keyDetails": details, "validFor": window}
    return {"baseUrl": "https://log.example", "publicKey": public, "logId": {"keyId": b64(id_of(key))}}


def root(**changes: object) -> SigstoreRoot:
    return SigstoreRoot.parse(trusted_root(**{"tlogs": [listed(OLD_LOG), listed(NEW_LOG)], **changes}))


def signed(key: LogKey, data: bytes) -> bytes:
    return key.sign(data) if isinstance(key, ed25519.Ed25519PrivateKey) else sign(key, data)


def pem(certificate: x509.Certificate) -> str:
    return b64(certificate.public_bytes(Encoding.PEM))


def pae(payload: bytes, kind: str = "application/vnd.in-toto+json") -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def tree(leaves: list[bytes], index: int) -> tuple[bytes, list[bytes]]:
    """Root and audit path of RFC 6962 section 2.1, by its recursive definition."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest(), []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:split], leaves[split:]
    if index < split:
        (found, path), beside = tree(left, index), tree(right, 0)[0]
        return hashlib.sha256(b"\1" + found + beside).digest(), [*path, beside]
    (found, path), beside = tree(right, index - split), tree(left, 0)[0]
    return hashlib.sha256(b"\1" + beside + found).digest(), [*path, beside]


@dataclass(frozen=True)
class Signing:
    """One keyless signature; `kind` is of the log's entry."""

    kind: tuple[str, str] = ("dsse", "0.0.1")
    payload: bytes = STATEMENT
    key: ec.EllipticCurvePrivateKey = field(default_factory=ec_key)
    certificate: x509.Certificate = field(default_factory=leaf)
    log: LogKey = OLD_LOG
    when: int = WHEN
    neighbours: int = 6
    promised: bool = True
    stamped: datetime | None = None
    payload_type: str = "application/vnd.in-toto+json"
    body_changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def signature(self) -> bytes:
        return sign(self.key, pae(self.payload, self.payload_type))

    def spec(self, signature: bytes) -> dict[str, Any]:
        digest, over = hashlib.sha256(self.payload), hashlib.sha256(pae(self.payload, self.payload_type))
        der = {"x509Certificate": {"rawBytes": b64(self.certificate.public_bytes(Encoding.DER))}}
        newer = {"content": b64(signature), "verifier": {**der, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}
        plain = {"algorithm": "sha256", "value": digest.hexdigest()}
        made: dict[tuple[str, str], dict[str, Any]] = {
            ("dsse", "0.0.1"): {
                "payloadHash": plain,
                "envelopeHash": plain,
                "signatures": [{"signature": b64(signature), "verifier": pem(self.certificate)}],
            },
            ("hashedrekord", "0.0.1"): {
                "data": {"hash": {"algorithm": "sha256", "value": over.hexdigest()}},
                "signature": {"content": b64(signature), "publicKey": {"content": pem(self.certificate)}},
            },
            ("intoto", "0.0.2"): {
                "content": {
                    "envelope": {
                        "signatures": [{"sig": b64(b64(signature).encode()), "publicKey": pem(self.certificate)}]
                    },
                    "payloadHash": plain,
                }
            },
            ("dsse", "0.0.2"): {
                "dsseV002": {
                    "payloadHash": {"algorithm": "SHA2_256", "digest": b64(digest.digest())},
                    "signatures": [newer],
                }
            },
            ("hashedrekord", "0.0.2"): {
                "hashedRekordV002": {
                    "data": {"algorithm": "SHA2_256", "digest": b64(over.digest())},
                    "signature": newer,
                }
            },
        }
        return made.get(self.kind, {})

    def entry(self, signature: bytes) -> dict[str, Any]:
        spec = {"apiVersion": self.kind[1], "kind": self.kind[0], "spec": self.spec(signature), **self.body_changes}
        body = json.dumps(spec, separators=(",", ":"), sort_keys=True).encode()
        leaves = [b"%d" % number for number in range(self.neighbours)] + [body]
        top, path = tree(leaves, len(leaves) - 1)
        text = f"log.example\n{len(leaves)}\n{b64(top)}\n"
        note = b64(id_of(self.log)[:4] + signed(self.log, text.encode()))
        made = {
            "logIndex": "4711",
            "logId": {"keyId": b64(id_of(self.log))},
            "kindVersion": {"kind": self.kind[0], "version": self.kind[1]},
            "canonicalizedBody": b64(body),
            "inclusionProof": {
                "logIndex": str(len(leaves) - 1),
                "treeSize": str(len(leaves)),
                "rootHash": b64(top),
                "hashes": [b64(piece) for piece in path],
                "checkpoint": {"envelope": f"{text}\n\N{EM DASH} log.example {note}\n"},
            },
        }
        if self.promised:
            said = {"body": b64(body), "integratedTime": self.when, "logID": id_of(self.log).hex(), "logIndex": 4711}
            promise = signed(self.log, json.dumps(said, separators=(",", ":"), sort_keys=True).encode())
            made["integratedTime"] = str(self.when)
            made["inclusionPromise"] = {"signedEntryTimestamp": b64(promise)}
        return made

    def data(self) -> dict[str, Any]:
        """The bundle as JSON's values, for whoever changes something."""
        signature = self.signature
        made: dict[str, Any] = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": b64(self.certificate.public_bytes(Encoding.DER))},
                "tlogEntries": [self.entry(signature)],
            },
            "dsseEnvelope": {
                "payload": b64(self.payload),
                "payloadType": self.payload_type,
                "signatures": [{"sig": b64(signature)}],
            },
        }
        if self.stamped is not None:
            token = timestamp.response(TSA.token(signature, at=self.stamped))
            stamps = {"rfc3161Timestamps": [{"signedTimestamp": b64(token)}]}
            made["verificationMaterial"]["timestampVerificationData"] = stamps
        return made

    def line(self) -> bytes:
        return encode(self.data())


def encode(made: object) -> bytes:
    return json.dumps(made, ensure_ascii=False).encode()


LATER = NOW + timedelta(days=30)
ROOT = root()
