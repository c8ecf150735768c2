"""Whose signature on a handoff counts: keys that were named, and principals whom certificates name.

Certificates are those of authorities under an anchor, or a Sigstore instance's under its root.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from attest import attestation
from attest.apas import leyline
from attest.apas.handoff_files import Found
from attest.attestation import Accepting, Credential
from attest.errors import Reason, Step, VerificationError
from attest.keys import PublicKey
from attest.profile import Profile
from attest.trust import Trust

if TYPE_CHECKING:
    from attest.keyless.verify import Identity


@dataclass(frozen=True, slots=True)
class Signers:
    """Keys, URIs of principals under the anchors of `trusted`, and identities under its Sigstore root; `at` is now.

    Without any of the three it is false.
    """

    keys: tuple[PublicKey, ...] = ()
    uris: tuple[str, ...] = ()
    identities: tuple[Identity, ...] = ()
    trusted: Trust | None = None
    at: datetime | None = None
    profile: Profile | None = None

    def __bool__(self) -> bool:
        return bool(self.keys or self.uris or self.identities)

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
        who = Accepting(self.trusted, identities=self.identities, profile=self.profile)
        by = attestation.verify(found.bundle, who, self.at).by[0]
        if by.credential is Credential.CERTIFICATE and by.uri not in self.uris:
            raise _not_named(f"{by.uri} signed it, who was not named as an attester")
        return (by.uri,)


def _not_named(sentence: str) -> VerificationError:
    hint = "--attester URI names one, --certificate-identity one of Sigstore's"
    return VerificationError(Step.IDENTITY, Reason.IDENTITY_UNEXPECTED, sentence, hint=hint)


NOBODY = Signers()
