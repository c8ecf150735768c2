"""What every judge that knows signer, subject and type has to take and to refuse (docs/attestations.md)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.compat.attested import Judged

Change = Callable[[Judged], Judged]


def payload(change: Callable[[Any], object]) -> Change:
    """The statement is changed in place, and not signed again."""

    def alter(bundle: Any) -> None:
        envelope = bundle["dsseEnvelope"]
        said = json.loads(base64.b64decode(envelope["payload"]))
        change(said)
        envelope["payload"] = base64.b64encode(json.dumps(said).encode()).decode()

    return lambda judged: judged.altered(alter)


def flipped(text: str) -> str:
    """The same bytes but the last, in base64: of a signature its number S, of a time-stamp that of its signature."""
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return base64.b64encode(data).decode()


def signature(bundle: Any) -> None:
    one = bundle["dsseEnvelope"]["signatures"][0]
    one["sig"] = flipped(one["sig"])


def payload_type(bundle: Any) -> None:
    bundle["dsseEnvelope"]["payloadType"] = "application/json"


def token(bundle: Any) -> None:
    for stamp in bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]:
        stamp["signedTimestamp"] = flipped(stamp["signedTimestamp"])


def unstamped(bundle: Any) -> None:
    bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"] = []


EXPECTED: dict[str, Change] = {
    "it is about another commit": lambda j: j.telling(DIGEST="1" * 40),
    "the digest is of another kind": lambda j: j.telling(ALG="sha1"),
    "another kind of statement is expected": lambda j: j.telling(TYPE="https://slsa.dev/provenance/v1"),
}
"""What is expected is something else."""

SIGNER: dict[str, Change] = {
    "another signer is expected": lambda j: j.telling(IDENTITY=j.told["IDENTITY"] + "x"),
    "a part of the signer's name is expected": lambda j: j.telling(IDENTITY=j.told["IDENTITY"][:-1]),
    "another authority is expected": lambda j: j.telling(ISSUER="https://other.invalid"),
}
"""Whom a certificate names is somebody else."""

ALTERED: dict[str, Change] = {
    "the result is changed": payload(lambda s: s["predicate"].update(result="FAILED")),
    "the subject is changed": payload(lambda s: s["subject"].append({"digest": {"gitCommit": "2" * 40}})),
    "the statement is written otherwise": payload(id),
    "the signature is changed": lambda j: j.altered(signature),
    "the payload's type is changed": lambda j: j.altered(payload_type),
}
"""What was signed is not what is there."""

STAMPED: dict[str, Change] = {
    "the time-stamp is changed": lambda j: j.altered(token),
    "the time-stamp is taken out": lambda j: j.altered(unstamped),
}
"""What a certificate needs for its time."""
