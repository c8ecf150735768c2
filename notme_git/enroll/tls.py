"""The TLS certificate of a pair: a P-256 key in memory that a program authenticates connections and requests with.

Nothing in an answer is believed, as in `remote.enrolment`: the certificate is over our own key, under a pinned anchor,
and the pair's signing certificate names both keys.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from attest import certificate
from attest import home as homes
from attest.certificate import Anchor
from attest.errors import RefusedError, UnavailableError
from attest.profile import Profile
from attest.types import Assurance
from notme_git.authority import embedded, grants, issue
from notme_git.authority.embedded import Authority
from notme_git.authority.issue import Request
from notme_git.enroll.keys import proof, spki
from notme_git.enroll.local import AUTH_METHOD
from notme_git.remote import ambient, enrolment, place
from notme_git.remote.client import Client
from notme_git.remote.enrolment import BySession, Keys, Proof

BRIDGE, GIT = "bridgeCert", "sign:git"
MEMFD = "notme-tls"


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Who a connection is authenticated as, until `not_after`. It signs; the key goes to OpenSSL alone."""

    uri: str
    not_before: datetime
    not_after: datetime
    certificate: x509.Certificate = field(repr=False)
    _keys: Keys = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """ECDSA with SHA-256, r||s, as a bridge certificate's proof has it."""
        return proof(self._keys.mtls, message)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Give the key to `context`. `ssl` reads files alone, so it gets one in memory that is gone after it."""
        if sys.platform != "linux":
            raise UnavailableError("a key is not written to a disk, and only Linux has files in memory (memfd_create)")
        key = self._keys.mtls.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        descriptor = os.memfd_create(MEMFD, os.MFD_CLOEXEC)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(self.certificate.public_bytes(Encoding.PEM) + key)
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)


def enroll(home: Path, agent: str, at: datetime) -> TlsIdentity:
    """A new one, from the authority that the home's agents enrol with, else from the one on this machine.

    `agent` may be empty for whoever signed in elsewhere. Raises `RefusedError`, `UnavailableError`.
    """
    if place.exists(home):
        return _elsewhere(home, agent, at)
    with embedded.opened(home) as authority:
        return _here(authority, homes.read_trust(home).anchors, agent, at)


@dataclass(slots=True)
class _Kept:
    """A proof that keeps the keys and the answer, of which `enrolment` hands on what signs alone."""

    shown: Proof
    keys: Keys | None = None
    answer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names_agent(self) -> bool:
        return self.shown.names_agent

    def send(self, client: Client, body: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
        self.keys, answer = keys, self.shown.send(client, body, keys)
        self.answer = answer
        return answer


def _elsewhere(home: Path, agent: str, at: datetime) -> TlsIdentity:
    remote, login = place.read(home), place.read_login(home)
    shown = BySession(login.session) if login and at.timestamp() < login.expires_at else ambient.find()
    if shown is None:
        raise RefusedError(f"nobody is signed in at {remote.url}", hint="notme-git login")
    kept, named = _Kept(shown), agent if shown.names_agent else ""
    with contextlib.closing(Client(remote.url)) as client:
        enrolment.enroll(
            client,
            kept,
            agent=named,
            profile=Profile.NOTME,
            scope=GIT if named else BRIDGE,
            anchors=place.read_trust(home).anchors,
        )
    assert kept.keys is not None
    made = enrolment.read_certificate(kept.answer["certificates"]["mtls"])
    return _identity(made, kept.answer["identity"], kept.keys)


def _here(authority: Authority, anchors: tuple[Anchor, ...], agent: str, at: datetime) -> TlsIdentity:
    keys, stored = Keys.new(Profile.NOTME), authority.store.grants()
    granted = grants.select(stored, agent, scope=GIT, at=at)
    public = spki(keys.mtls), spki(keys.signing)
    message = issue.binding_preimage(*public)
    asked = Request(
        grant=granted,
        profile=Profile.NOTME,
        scopes=(GIT,),
        mtls_key=public[0],
        signing_key=public[1],
        proofs=issue.Proofs(mtls=proof(keys.mtls, message), signing=proof(keys.signing, message)),
    )
    pair = issue.issue(authority, asked, assurance=Assurance.SAME_USER, auth_method=AUTH_METHOD, at=at)
    chain = certificate.verify_chain(pair.signing, (), anchors, Profile.NOTME)
    certificate.verify_issued(pair.mtls, chain.anchor.key)
    return _identity(pair.mtls, chain.leaf.uri, keys)


def _identity(made: x509.Certificate, uri: str, keys: Keys) -> TlsIdentity:
    return TlsIdentity(uri, made.not_valid_before_utc, made.not_valid_after_utc, made, keys)
