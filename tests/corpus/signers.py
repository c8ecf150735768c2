"""Everybody who signs in the corpus. All keys follow from strings in here: never trust them anywhere.

`notme`, `interop` and `ssh-certificate` are of the authority that the vectors are of (tests/vectors); `ssh-key`,
`smime` and `openpgp` are Alice's own long-lived keys, which the tools that git calls by itself can judge.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding

from attest import cms
from attest.profile import Profile
from tests.corpus import openpgp, smime, sshkeys
from tests.corpus.sshkeys import SshKey
from tests.der import Cms
from tests.forge import AGENT, NOW, Forge
from tests.vectors.generate import Vectors

AGENT_IDENT = f"agent-7 <{AGENT.actor_email}>"
ADDRESS = "alice@example.org"
ALICE_IDENT = f"Alice Example <{ADDRESS}>"
OPENPGP_KEY = openpgp.Key(
    Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"corpus: openpgp").digest()),
    ALICE_IDENT,
    NOW - smime.A_DAY,
)


@dataclass(frozen=True)
class Signer:
    """`name` is one of `case.SIGNERS`, `who` the committer that fits it, `armour` the signature over a payload.

    `tampered` is the reason that a changed payload ends with in step 3.
    """

    name: str
    who: str
    armour: Callable[[bytes], bytes]
    tampered: str = "signature-invalid"

    @property
    def infix(self) -> str:
        """For names of cases: those of our own profile go without saying, as in the vectors."""
        return "" if self.name == "notme" else f"{self.name}-"


class Cast:
    """All of them, and what the more special cases need."""

    def __init__(self) -> None:
        self.base = Vectors()
        seeds = Forge(Profile.INTEROP, seed="corpus: smime")
        self.ca = smime.authority(seeds, "Example S/MIME CA")
        self.other_ca = smime.authority(seeds, "Example S/MIME CA")
        self.alice = smime.leaf(seeds, self.ca, "Alice Example", ADDRESS, serial=2)
        self.bob = smime.leaf(seeds, self.ca, "Bob Example", "bob@example.org", serial=3)
        self.ssh_private = secret("ssh")
        self.ssh = sshkeys.ed25519(self.ssh_private)
        self.mails = Forge(Profile.INTEROP, seed="corpus: more of smime")
        self.p256 = sshkeys.ecdsa(smime.new_key(seeds))
        self.interop_leaf, self.ssh_leaf = self.base.interop.leaf(), self.base.notme.ssh_leaf()
        self.notme = Signer("notme", AGENT_IDENT, self._notme, "digest-mismatch")
        self.interop = Signer("interop", AGENT_IDENT, self._interop, "digest-mismatch")
        self.certified = Signer("ssh-certificate", AGENT_IDENT, self._certified)
        self.key = Signer("ssh-key", ALICE_IDENT, self.ssh.armour)
        self.smime = Signer("smime", ALICE_IDENT, self._smime, "digest-mismatch")
        self.openpgp = Signer("openpgp", ALICE_IDENT, pgp)

    @property
    def all(self) -> tuple[Signer, ...]:
        return (self.notme, self.interop, self.certified, self.key, self.smime, self.openpgp)

    @property
    def families(self) -> tuple[Signer, ...]:
        """One for each program that git may call."""
        return (self.notme, self.key, self.smime, self.openpgp)

    @staticmethod
    def mail(message: Cms) -> bytes:
        return cms.ARMOUR.wrap(message.der())

    def _notme(self, payload: bytes) -> bytes:
        return self.base.notme.armour(self.base.leaf, payload)

    def _interop(self, payload: bytes) -> bytes:
        return self.base.interop.armour(self.interop_leaf, payload)

    def _smime(self, payload: bytes) -> bytes:
        return self.mail(Cms(self.alice, payload, NOW))

    def _certified(self, payload: bytes) -> bytes:
        return self.ssh_leaf.armour(payload)

    # The files that programs of others go by

    def allowed_signers(self) -> str:
        """ssh-keygen(1), ALLOWED SIGNERS."""
        root = sshkeys.ed25519(self.base.notme.root_key)  # type: ignore[arg-type]  # profile notme is Ed25519
        plain = [key.line() for key in (self.ssh, self.touched, self.p256, self.rsa, self.withdrawn)]
        lines = [f'{ADDRESS} namespaces="git" {line}' for line in plain]
        lines.append(f'{ADDRESS} namespaces="git",valid-before="20260101000000Z" {self.expired.line()}')
        lines.append(f'{ADDRESS} namespaces="file" {self.for_files.line()}')
        lines.append(f'{AGENT.actor_email} cert-authority,namespaces="git" {root.line()}')
        return "\n".join(lines) + "\n"

    def revoked(self) -> str:
        """Of `gpg.ssh.revocationFile`, in the form of public keys."""
        return self.withdrawn.line() + "\n"

    def roots(self) -> bytes:
        """The root for S/MIME, PEM."""
        return self.ca.certificate.public_bytes(Encoding.PEM)

    def trustlist(self) -> str:
        """gpg-agent's list of roots: SHA-1 of the root for S/MIME."""
        return f"{self.ca.certificate.fingerprint(SHA1()).hex(':').upper()} S relax\n"

    @functools.cached_property
    def touched(self) -> SshKey:
        return sshkeys.security_key(secret("security key"))

    @functools.cached_property
    def rsa(self) -> SshKey:
        return sshkeys.rsa_key(rsa_private())

    @functools.cached_property
    def withdrawn(self) -> SshKey:
        return sshkeys.ed25519(secret("revoked"))

    @functools.cached_property
    def expired(self) -> SshKey:
        return sshkeys.ed25519(secret("expired"))

    @functools.cached_property
    def for_files(self) -> SshKey:
        return sshkeys.ed25519(secret("for files"))


def pgp(payload: bytes) -> bytes:
    return openpgp.armour("SIGNATURE", OPENPGP_KEY.signature(payload, at=NOW))


def secret(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"corpus: {name}".encode()).digest())


@functools.cache
def rsa_private() -> RSAPrivateKey:
    return sshkeys.fixed_rsa(b"corpus: rsa")
