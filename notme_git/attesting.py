"""Sign as the verifier principal of a home (design D10).

One enrolment serves a whole batch; its key exists in memory for that long and is never the key that
signed a commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import click

from attest import bundles, dsse, home, timestamp
from attest.keys import PublicKey
from attest.profile import Profile
from attest.trust import Trust
from notme_git.authority import epochs, grants
from notme_git.authority.embedded import Authority, opened
from notme_git.config import Config
from notme_git.enroll import local
from notme_git.enroll.local import Credential

SCOPE = "sign:attestation"


@dataclass(slots=True)
class HomeAttester:
    """The verifier principal of an embedded authority: an `attest.attester.Attester`.

    What it signs is a Sigstore bundle v0.3 with its certificate and the authority's RFC 3161 time-stamp. It enrols
    anew when the certificate has ended.
    """

    authority: Authority
    trusted: Trust
    credential: Credential

    @classmethod
    def enroll(cls, authority: Authority, trusted: Trust, at: datetime) -> HomeAttester:
        """With a credential that is good from `at` on, and for statements only."""
        return cls(authority, trusted, _enroll(authority, trusted, at))

    @property
    def id(self) -> str:
        """As `Attester` has it: the URI in the certificate."""
        return self.credential.chain.leaf.uri

    @property
    def public(self) -> PublicKey:
        """As `Attester` has it."""
        return self.credential.chain.leaf.key

    def sign(self, payload: bytes, at: datetime) -> bytes:
        """As `Attester` has it."""
        if at > self.credential.chain.leaf.not_after:
            self.credential = _enroll(self.authority, self.trusted, at)
        signature = self.credential.sign(dsse.pae(dsse.PAYLOAD_TYPE, payload))
        # No key id: stock Sigstore verifiers pass over a signature whose id is not their own digest of the key.
        return bundles.assemble(
            payload,
            signature,
            certificate=self.credential.der,
            timestamp_response=timestamp.response(self.credential.stamp(signature, at)),
        ).encode()


def _enroll(authority: Authority, trusted: Trust, at: datetime) -> Credential:
    grant = grants.select(authority.store.grants(), grants.VERIFIER, scope=SCOPE, at=at)
    return local.enroll(authority, grant, Profile.NOTME, SCOPE, trusted.anchors, at)


def of_home(at: datetime) -> HomeAttester:
    """The verifier of this run's home. Its authority is closed with the context of the command that runs."""
    config = Config.read()
    authority: Authority = click.get_current_context().with_resource(opened(config.home))
    epochs.catch_up(authority)
    return HomeAttester.enroll(authority, home.read_trust(config.home), at)
