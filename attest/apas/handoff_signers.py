"""Whose signature on a handoff counts: keys that were named, and principals whom certificates under an anchor name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from attest import bundles
from attest.apas import leyline
from attest.apas.handoff_files import Found
from attest.errors import Reason, Step, VerificationError
from attest.keys import PublicKey
from attest.trust import Trust


@dataclass(frozen=True, slots=True)
class Signers:
    """Keys, and URIs of principals under the anchors of `trusted`; `at` is now. Without both kinds it is false."""

    keys: tuple[PublicKey, ...] = ()
    uris: tuple[str, ...] = ()
    trusted: Trust | None = None
    at: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.keys or self.uris)

    def and_key(self, key: PublicKey) -> Signers:
        """These and one more."""
        return replace(self, keys=(*self.keys, key))

    def of(self, found: Found) -> tuple[str, ...]:
        """Who of them signed it: ids of keys, or the URI in the certificate.

        Raises `VerificationError` where nobody of them did, `UnavailableError` where that cannot be told.
        """
        assert found.envelope is not None, "it is signed"
        if not found.bundle:
            return tuple(key.key_id for key in leyline.verify(found.envelope, self.keys))
        if self.trusted is None or self.at is None:
            raise _not_named("it is signed under a certificate, and nobody was named whose certificate counts")
        verified = bundles.verify_bundle(bundles.parse_bundle(found.bundle), self.trusted, self.at)
        if verified.self_attested or verified.signer.uri not in self.uris:
            raise _not_named(f"{verified.signer.uri} signed it, who was not named as an attester")
        return (verified.signer.uri,)


def _not_named(sentence: str) -> VerificationError:
    return VerificationError(Step.IDENTITY, Reason.IDENTITY_UNEXPECTED, sentence, hint="--attester URI names one")


NOBODY = Signers()
