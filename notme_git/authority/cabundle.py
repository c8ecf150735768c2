"""Upstream's CABundle: the current key and the one before, signed, for five minutes (`authority-protocol.md` 6).

What is signed is the canonical CBOR (RFC 8949 section 4.2) of a map with the keys 1 to 6; what travels is JSON. Ours is
made at most once a minute and its `seqno` never goes back, across restarts and processes: it lies in the database.
Ours for verifiers that keep what they saw is the trust bundle; this one serves upstream's online checks.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import cbor2

from attest import certificate, keys
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.evidence import SKEW
from attest.keys import PublicKey
from attest.types import Epoch, Retirement
from notme_git.authority import ca
from notme_git.authority.embedded import Authority

MAX_AGE_S = 300
REMADE_S = 60
MAX_KEYS = 2
SETTING = "ca_bundle"


@dataclass(frozen=True, slots=True)
class CaBundle:
    """The values of one bundle; `keys` maps a key id to the raw Ed25519 key, `previous` is empty without one."""

    epoch: int
    seqno: int
    keys: Mapping[str, bytes]
    current: str
    previous: str
    issued_at: int
    signature: bytes = b""

    def to_be_signed(self) -> bytes:
        """Canonical CBOR; the map of keys is sorted by length and then bytes, as key ids are of one length."""
        ordered = dict(sorted(self.keys.items(), key=lambda item: (len(item[0]), item[0])))
        values = (self.epoch, self.seqno, ordered, self.current, self.previous, self.issued_at)
        return cbor2.dumps(dict(enumerate(values, start=1)), canonical=True)

    def document(self) -> dict[str, Any]:
        """The JSON object that travels."""
        found: dict[str, Any] = {
            "epoch": self.epoch,
            "seqno": self.seqno,
            "keys": {kid: base64.b64encode(raw).decode() for kid, raw in self.keys.items()},
            "keyId": self.current,
        }
        if self.previous:
            found["prevKeyId"] = self.previous
        return {**found, "issuedAt": self.issued_at, "signature": base64.b64encode(self.signature).decode()}

    @classmethod
    def parse(cls, document: object) -> CaBundle:
        """From JSON; `MalformedError` for anything that a bundle is not."""
        try:
            if not isinstance(document, dict):
                raise TypeError
            numbers = [document[name] for name in ("epoch", "seqno", "issuedAt")]
            if any(not isinstance(n, int) or isinstance(n, bool) or not 0 < n < 2**53 for n in numbers):
                raise TypeError
            known = {str(kid): _b64(raw) for kid, raw in document["keys"].items()}
            current, previous = document["keyId"], document.get("prevKeyId", "")
            if not isinstance(current, str) or not isinstance(previous, str) or not 0 < len(known) <= MAX_KEYS:
                raise TypeError
            signature = _b64(document["signature"])
            return cls(numbers[0], numbers[1], known, current, previous, numbers[2], signature)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise MalformedError("that is no CABundle") from None


def current(authority: Authority, at: datetime) -> dict[str, Any]:
    """The authority's bundle at `at`, made anew when the last one is a minute old, or of another epoch."""
    store, now = authority.store, int(at.timestamp())
    kept = _kept(store.setting(SETTING))
    epochs = store.epochs()
    newest = epochs[-1]
    if kept is not None and kept["epoch"] == newest.number and 0 <= now - int(kept["issuedAt"]) < REMADE_S:
        return kept
    with store.transaction(durable=True):  # a sequence that was told never goes back, a power cut or not
        last = _kept(store.setting(SETTING))
        epochs = store.epochs()
        made = _make(epochs, (int(last["seqno"]) if last else 0) + 1, now)
        signed = replace(made, signature=ca.sign_ca_bundle(authority.keys, epochs[-1], made.to_be_signed()))
        document = signed.document()
        store.set_setting(SETTING, json.dumps(document))
    return document


def verify_ca_bundle(document: object, pinned: tuple[PublicKey, ...], at: datetime, *, minimum: int = 0) -> CaBundle:
    """A bundle that a pinned key signed as the current one, neither old nor of the future, nor before `minimum`.

    Raises `VerificationError` (step 6), and fails closed where upstream's reader does not (section 15).
    """
    try:
        found = CaBundle.parse(document)
        signer = next((key for key in pinned if key.key_id == found.current), None)
        if signer is None or found.keys.get(found.current) != signer.raw:
            raise MalformedError("its current key is not pinned")
        keys.verify_signature(signer, found.signature, found.to_be_signed())
    except Error as error:
        raise VerificationError(Step.EPOCH, Reason.BUNDLE_INVALID, f"the CABundle: {error.message}") from None
    age = at.timestamp() - found.issued_at
    if not -SKEW.total_seconds() <= age <= MAX_AGE_S:
        raise VerificationError(Step.EPOCH, Reason.BUNDLE_STALE, f"the CABundle is {int(age)} s old")
    if found.seqno < minimum:
        raise VerificationError(
            Step.EPOCH, Reason.BUNDLE_ROLLBACK, f"the CABundle has seqno {found.seqno}; {minimum} was seen before"
        )
    return found


def _make(epochs: list[Epoch], seqno: int, now: int) -> CaBundle:
    """A compromised key is not told as the previous one: nothing of it may be accepted any more."""
    shown = epochs[-1:] if len(epochs) < 2 or epochs[-2].retirement is Retirement.COMPROMISE else epochs[-2:]
    known = [certificate.key_of(certificate.read(epoch.root)) for epoch in reversed(shown)]
    return CaBundle(
        epoch=epochs[-1].number,
        seqno=seqno,
        keys={key.key_id: key.raw for key in known},
        current=known[0].key_id,
        previous=known[1].key_id if len(known) > 1 else "",
        issued_at=now,
    )


def _kept(text: str | None) -> dict[str, Any] | None:
    found = json.loads(text) if text else None
    return found if isinstance(found, dict) else None


def _b64(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError
    return base64.b64decode(text, validate=True)
