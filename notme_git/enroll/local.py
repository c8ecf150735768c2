"""Enrolment with the embedded authority: keys made in memory, proofs, and a checked certificate.

The embedded authority runs as the same user as its client, so it proves attribution and no separation:
assurance is `same-user` (design 2) unless a caller that separates the two, the broker, says more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from attest import certificate, sshcert
from attest.certificate import Anchor, Chain
from attest.keys import KeyAlgorithm
from attest.profile import Profile
from attest.types import Assurance, Grant
from notme_git.authority import ca
from notme_git.authority.embedded import Authority
from notme_git.authority.issue import Proofs, Request, binding_preimage, issue
from notme_git.authority.keystore import PrivateKey
from notme_git.enroll.keys import new_signing_key, proof, spki

AUTH_METHOD = "local"


class Stamps(Protocol):
    """Whoever dates signatures."""

    def stamp(self, data: bytes, at: datetime, /) -> bytes:
        """DER of an RFC 3161 token over `data`."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A signing key in memory with its bridge certificates. It signs; nothing hands the key out.

    `ssh_certificate` is the blob of the OpenSSH certificate over the same key and `ssh_chain` what it was proven
    to stand under; empty and None where the profile or the scope has none.
    """

    chain: Chain
    certificate: x509.Certificate = field(repr=False)
    der: bytes = field(repr=False)
    _key: PrivateKey = field(repr=False)
    _stamper: Stamps = field(repr=False)
    ssh_certificate: bytes = field(default=b"", repr=False)
    ssh_chain: Chain | None = None

    @property
    def algorithm(self) -> KeyAlgorithm:
        """What `sign` makes: Ed25519, or ECDSA with SHA-256 in DER."""
        return self.chain.leaf.key.algorithm

    def sign(self, data: bytes) -> bytes:
        """A signature over `data`."""
        return ca.sign_with(self._key, data)

    def stamp(self, data: bytes, at: datetime) -> bytes:
        """The authority's RFC 3161 token over `data`, under the same root as the certificate."""
        return self._stamper.stamp(data, at)


def enroll(
    authority: Authority,
    grant: Grant,
    profile: Profile,
    scope: str,
    anchors: tuple[Anchor, ...],
    at: datetime,
    *,
    session: str = "",
    task_digest: bytes = b"",
    assurance: Assurance = Assurance.SAME_USER,
) -> Credential:
    """Make a pair of keys, prove them, and check the answer against the pinned `anchors` before using it.

    `session`, `task_digest` and `assurance` go into the certificates' claims.
    """
    mtls = ec.generate_private_key(ec.SECP256R1())
    signing = new_signing_key(profile)
    public = tuple(spki(key) for key in (mtls, signing))
    message = binding_preimage(*public)
    pair = issue(
        authority,
        Request(
            grant=grant,
            profile=profile,
            scopes=(scope,),
            mtls_key=public[0],
            signing_key=public[1],
            proofs=Proofs(mtls=proof(mtls, message), signing=proof(signing, message)),
            session=session,
            task_digest=task_digest,
        ),
        assurance=assurance,
        auth_method=AUTH_METHOD,
        at=at,
    )
    chain = certificate.verify_chain(pair.signing, (), anchors, profile)
    return Credential(
        chain=chain,
        certificate=pair.signing,
        der=pair.signing.public_bytes(Encoding.DER),
        _key=signing,
        _stamper=ca.stamper(authority.keys, authority.epoch, profile),
        ssh_certificate=pair.ssh or b"",
        ssh_chain=sshcert.verify_chain(sshcert.parse(pair.ssh), anchors, profile) if pair.ssh else None,
    )
