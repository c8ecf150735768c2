"""An orchestrator's issuing CA in memory: enrolled once, then a leaf for each of its agents without the authority.

The key never leaves this module. Every leaf is held against the CA's own certificate by the rule that verifiers have
(`attest.delegation`) before anybody gets to sign with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from attest import certificate, delegation, keys
from attest import leaf as leaves
from attest.certificate import Anchor, BridgeCertificate
from attest.errors import Error, RefusedError
from attest.leaf import Use
from attest.profile import LIFETIME, LeafSpec, Profile
from attest.types import Assurance, Grant, PrincipalKind
from notme_git.authority import ca, grants
from notme_git.authority.embedded import Authority
from notme_git.authority.issue_ca import CaRequest, issue_ca, preimage
from notme_git.authority.keystore import PrivateKey
from notme_git.enroll.keys import new_signing_key, proof, spki
from notme_git.enroll.local import AUTH_METHOD, Credential, Stamps

MAX_HELD = 16
"""One an orchestrator, profile and session."""


@dataclass(frozen=True, slots=True)
class IssuingCA:
    """What an orchestrator holds. It mints; nothing hands its key out."""

    held: BridgeCertificate
    certificate: x509.Certificate = field(repr=False)
    anchors: tuple[Anchor, ...] = field(repr=False)
    _key: PrivateKey = field(repr=False)
    _stamper: Stamps = field(repr=False)

    @property
    def until(self) -> datetime:
        """After this instant nothing that it mints would live its five minutes."""
        return self.held.not_after - LIFETIME

    def mint(self, agent: str, scope: str, at: datetime) -> Credential:
        """A credential of five minutes for the orchestrator's agent of that name.

        Raises `RefusedError` for what goes beyond the orchestrator's share, and when the CA is about to end.
        """
        name = grants.parse_agent(agent)
        if at > self.until:
            raise RefusedError(
                f"the issuing CA of {self.held.uri} ends at {self.held.not_after:%H:%M:%SZ}",
                hint="enrol another: the grant has to allow it (notme-git grant list)",
            )
        key = new_signing_key(self.held.profile)
        spec = self._spec(name, key, scope, at)
        try:
            delegation.verify_within(spec, self.held)
            leaf = self._sign(spec, key, at)
            chain = certificate.verify_chain(leaf, (self.certificate,), self.anchors, self.held.profile)
        except Error as error:
            raise RefusedError(f"nothing was minted for {name}: {error.message}", hint=error.hint) from None
        der = leaf.public_bytes(Encoding.DER)
        return Credential(chain=chain, certificate=leaf, der=der, _key=key, _stamper=self._stamper)

    def _spec(self, name: str, key: PrivateKey, scope: str, at: datetime) -> LeafSpec:
        held = self.held
        if held.claims is None or held.epoch is None:
            raise RefusedError("an issuing CA without claims mints nothing")
        email, uri = delegation.child_email(held.claims.actor_email, name), delegation.child_uri(held.uri, name)
        claims = replace(held.claims, actor_kind=PrincipalKind.AGENT, actor_name=name, actor_email=email, depth=0)
        return LeafSpec(
            profile=held.profile,
            claims=claims,
            subject=uri,
            uri=uri,
            scopes=(scope,),
            epoch=held.epoch,
            auth_method=held.auth_method,
            binding=hashlib.sha256(spki(key)).digest(),
            issued_at=at,
            issuer_url="",
            ci=held.ci,
        )

    def _sign(self, spec: LeafSpec, key: PrivateKey, at: datetime) -> x509.Certificate:
        public = keys.from_cryptography(key.public_key())
        signed = leaves.to_be_signed(spec, public, self.certificate, serial=ca.new_serial(at), use=Use.SIGNING)
        return certificate.read(leaves.assemble(signed, ca.sign_with(self._key, signed), self.certificate))


@dataclass(slots=True)
class Held:
    """The issuing CAs of one signer, each under what it was enrolled for, until shortly before it ends."""

    _found: dict[tuple[str, ...], IssuingCA] = field(default_factory=dict, repr=False)

    def get(self, key: tuple[str, ...], at: datetime, enroll: Callable[[], IssuingCA]) -> IssuingCA:
        """The one under `key`, newly enrolled where there is none that still mints."""
        self.drop_expired(at)
        if key not in self._found:
            while len(self._found) >= MAX_HELD:
                del self._found[next(iter(self._found))]
            self._found[key] = enroll()
        return self._found[key]

    def drop_expired(self, at: datetime) -> None:
        """Forget those that are about to end, or that a clock set back would bring to life again."""
        self._found = {key: ca for key, ca in self._found.items() if ca.held.not_before <= at <= ca.until}

    def clear(self) -> None:
        """Forget every key."""
        self._found.clear()


def enroll(
    authority: Authority,
    grant: Grant,
    profile: Profile,
    anchors: tuple[Anchor, ...],
    at: datetime,
    *,
    session: str = "",
    task_digest: bytes = b"",
    assurance: Assurance = Assurance.SAME_USER,
) -> IssuingCA:
    """Make a key, prove it, and check the answer against the pinned `anchors`. Raises `RefusedError`.

    `session`, `task_digest` and `assurance` go into its claims, and from there into everything minted.
    """
    key = new_signing_key(profile)
    public = spki(key)
    made = issue_ca(
        authority,
        CaRequest(
            grant=grant,
            profile=profile,
            key=public,
            proof=proof(key, preimage(public)),
            session=session,
            task_digest=task_digest,
        ),
        assurance=assurance,
        auth_method=AUTH_METHOD,
        at=at,
    )
    stamper = ca.stamper(authority.keys, authority.epoch, profile)
    return IssuingCA(certificate.verify_issuing(made, anchors, profile), made, anchors, key, stamper)
