"""The decision: a proof of both keys and a usable grant in, a pair of bridge certificates out.

In process or over a wire, nothing is issued without proof of possession of both keys over the binding
pre-image (`authority-protocol.md` 2), and nothing beyond the grant.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509

from attest import certificate, keys, sshcert
from attest.claims import Claims
from attest.errors import Error, RefusedError
from attest.evidence import SKEW
from attest.fulcio import Ci
from attest.keys import KeyAlgorithm, PublicKey
from attest.leaf import Use
from attest.profile import PAYLOAD_UNCHECKED, RULES, LeafSpec, Profile
from attest.types import Assurance, Epoch, Grant
from notme_git.authority import ca, grants
from notme_git.authority.embedded import Authority
from notme_git.authority.store import Issued, Store, stored_digest

SSH_SCOPES = (RULES[Profile.NOTME].scope, PAYLOAD_UNCHECKED)
"""Who signs in git gets an OpenSSH certificate too; who signs statements has no use for one."""


LEGACY_DIGEST = "legacy-digest"
"""Stands in the authentication of a certificate whose proofs were over the digest (`authority-protocol.md` 2)."""


class PossessionError(RefusedError):
    """A key was named and not shown to be held."""


@dataclass(frozen=True, slots=True)
class Proofs:
    """Signatures over the binding pre-image: raw r||s (64 bytes) for P-256, 64 bytes for Ed25519."""

    mtls: bytes
    signing: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What an actor asks for. Keys are SubjectPublicKeyInfo DER.

    `suffix` is what the proofs cover beyond both keys: nothing in process, else 32 bytes that make them fresh.
    `subject` goes into extension .1.1, by default the actor's id; `legacy_digest` also takes proofs over the
    pre-image's SHA-256; `ci` is what the checked token of a CI job said of it.
    """

    grant: Grant
    profile: Profile
    scopes: tuple[str, ...]
    mtls_key: bytes
    signing_key: bytes
    proofs: Proofs
    suffix: bytes = b""
    session: str = ""
    task_digest: bytes = b""
    subject: str = ""
    legacy_digest: bool = False
    ci: Ci = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair of bridge certificates over one actor's two keys (DER), and an OpenSSH one (blob) over the signing key.

    `spec` is what they say.
    """

    mtls_der: bytes
    signing_der: bytes
    ssh: bytes | None
    epoch: Epoch
    spec: LeafSpec
    legacy_digest: bool

    @property
    def mtls(self) -> x509.Certificate:
        """The certificate for mutual TLS."""
        return certificate.read(self.mtls_der)

    @property
    def signing(self) -> x509.Certificate:
        """The certificate that signs."""
        return certificate.read(self.signing_der)


@dataclass(frozen=True, slots=True)
class Draft:
    """A pair that is signed and not on record yet: whoever wants it records it."""

    _pair: Pair = field(repr=False)
    _issued: tuple[Issued, ...] = field(repr=False)

    def record(self, store: Store) -> Pair:
        """Write the issuance log and hand the pair out. In the caller's transaction where there is one."""
        with contextlib.nullcontext() if store.in_transaction else store.transaction(durable=False):
            for each in self._issued:
                store.record_issued(each)
        return self._pair


def binding_preimage(mtls_key: bytes, signing_key: bytes) -> bytes:
    """The bytes both proofs cover, mTLS key first (`authority-protocol.md` 2)."""
    return mtls_key + signing_key


def issue(
    authority: Authority, request: Request, *, assurance: Assurance, auth_method: str, at: datetime
) -> Pair:
    """Issue under the current epoch, or raise `RefusedError`. The issuance is logged before this returns."""
    return draft(authority, request, assurance=assurance, auth_method=auth_method, at=at).record(authority.store)


def draft(authority: Authority, request: Request, *, assurance: Assurance, auth_method: str, at: datetime) -> Draft:
    """The same up to the record, for a caller that has more to write down in one transaction with it."""
    epoch = authority.epoch
    check_clock(authority, epoch, at)
    check_granted(authority, request.grant, request.scopes, at)
    mtls, signing, legacy = _verify_possession(request)
    method = f"{auth_method}+{LEGACY_DIGEST}" if legacy else auth_method
    spec = _spec(authority, epoch, request, assurance, method, at)
    with_ssh = request.profile is Profile.NOTME and any(scope in SSH_SCOPES for scope in request.scopes)

    serials = ca.new_serial(at), ca.new_serial(at)
    pair = Pair(
        mtls_der=ca.sign_leaf(authority.keys, epoch, spec, mtls, Use.MTLS, serials[0]),
        signing_der=ca.sign_leaf(authority.keys, epoch, spec, signing, Use.SIGNING, serials[1]),
        ssh=ca.sign_ssh_certificate(authority.keys, epoch, spec, signing.raw) if with_ssh else None,
        epoch=epoch,
        spec=spec,
        legacy_digest=legacy,
    )
    return Draft(pair, _issued(request, pair, serials, at))


def check_granted(authority: Authority, grant: Grant, scopes: tuple[str, ...], at: datetime) -> None:
    """`RefusedError` unless `grant` is on record as it stands, in force at `at`, and holds all of `scopes`."""
    stored = authority.store.grant(grant.id)
    if stored.grant != grant:
        raise RefusedError(f"grant {grant.id} is not what this authority granted under that id")
    if not scopes:
        raise RefusedError("a certificate without a scope allows nothing")
    for scope in scopes:
        grants.check_usable(stored.grant, stored.revoked_at, scope=scope, at=at)


def check_clock(authority: Authority, epoch: Epoch, at: datetime) -> None:
    """A clock that went back would date certificates before what was already issued."""
    latest = max(authority.store.last_issued_at() or 0, epoch.began_at)
    if at + SKEW < datetime.fromtimestamp(latest, UTC):
        raise RefusedError(
            f"the clock says {at:%Y-%m-%dT%H:%M:%SZ}, but this authority was already at"
            f" {datetime.fromtimestamp(latest, UTC):%Y-%m-%dT%H:%M:%SZ}",
            hint="set the clock of this machine and try again",
        )


def _verify_possession(request: Request) -> tuple[PublicKey, PublicKey, bool]:
    """Both keys, and whether a proof was over the pre-image's digest."""
    mtls, signing = keys.parse_spki(request.mtls_key), keys.parse_spki(request.signing_key)
    if mtls.algorithm is not KeyAlgorithm.P256 or signing.algorithm is not RULES[request.profile].algorithm:
        raise RefusedError(f"profile {request.profile} does not take keys of these algorithms")
    message = binding_preimage(request.mtls_key, request.signing_key) + request.suffix
    legacy = False
    for key, proof in ((mtls, request.proofs.mtls), (signing, request.proofs.signing)):
        legacy |= _verify_proof(key, proof, message, request.legacy_digest)
    return mtls, signing, legacy


def _verify_proof(key: PublicKey, proof: bytes, message: bytes, legacy_digest: bool) -> bool:
    """Each proof is over the pre-image or, where that is allowed, over its digest, independently of the other."""
    for legacy in (False, True) if legacy_digest else (False,):
        try:
            verify_proof_over(key, proof, hashlib.sha256(message).digest() if legacy else message)
        except Error:
            continue
        return legacy
    which = "P-256" if key.algorithm is KeyAlgorithm.P256 else "Ed25519"
    raise PossessionError(f"{which} proof-of-possession failed", hint="sign the pre-image with the key itself")


def verify_proof_over(key: PublicKey, proof: bytes, message: bytes) -> None:
    """One proof of possession over `message`; `VerificationError` or `MalformedError`."""
    if key.algorithm is KeyAlgorithm.ED25519:
        keys.verify_signature(key, proof, message)
    else:
        keys.verify_p1363(key, proof, message)


def _spec(
    authority: Authority, epoch: Epoch, request: Request, assurance: Assurance, auth_method: str, at: datetime
) -> LeafSpec:
    grant = request.grant
    return LeafSpec(
        profile=request.profile,
        claims=claims_of(grant, assurance, request.session, request.task_digest),
        subject=request.subject or grant.actor.id,
        uri=grant.actor.id,
        scopes=request.scopes,
        epoch=epoch.number,
        auth_method=auth_method,
        binding=hashlib.sha256(binding_preimage(request.mtls_key, request.signing_key)).digest(),
        issued_at=at,
        issuer_url=authority.url,
        ci=request.ci,
    )


def claims_of(grant: Grant, assurance: Assurance, session: str, task_digest: bytes) -> Claims:
    """What a certificate under `grant` claims."""
    return Claims(
        actor_kind=grant.actor.kind,
        actor_name=grant.actor.name,
        actor_email=grant.actor.email,
        assurance=assurance,
        represented=grant.represented,
        grant_id=grant.id,
        grant_sha256=stored_digest(grant),
        session=session,
        task_digest=task_digest,
        constraints=grant.constraints,
    )


def _issued(request: Request, pair: Pair, serials: tuple[int, int], at: datetime) -> tuple[Issued, ...]:
    keys_and_bytes = ((request.mtls_key, pair.mtls_der), (request.signing_key, pair.signing_der))
    made = [(serial, *each) for serial, each in zip(serials, keys_and_bytes, strict=True)]
    if pair.ssh is not None:
        made.append((sshcert.parse(pair.ssh).serial, request.signing_key, pair.ssh))
    return tuple(entry(request.grant, request.profile, pair.epoch, each, at) for each in made)


def entry(grant: Grant, profile: Profile, epoch: Epoch, made: tuple[int, bytes, bytes], at: datetime) -> Issued:
    """The record of one certificate: `made` is its serial number, its key (SubjectPublicKeyInfo) and its bytes."""
    serial, spki, encoded = made
    return Issued(
        serial=f"{serial:x}",
        issued_at=int(at.timestamp()),
        actor_id=grant.actor.id,
        represented_id=grant.represented.id if grant.represented else "",
        grant_id=grant.id,
        epoch=epoch.number,
        profile=str(profile),
        spki_sha256=hashlib.sha256(spki).digest(),
        certificate_sha256=hashlib.sha256(encoded).digest(),
    )
