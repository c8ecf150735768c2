"""The decision: a proof of both keys and a usable grant in, a pair of bridge certificates out.

In process or over a wire, nothing is issued without proof of possession of both keys over the binding
pre-image (`authority-protocol.md` 2), and nothing beyond the grant.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from attest import canonical, keys, profile, sshcert
from attest.claims import Claims
from attest.errors import Error, RefusedError
from attest.evidence import SKEW
from attest.keys import KeyAlgorithm, PublicKey
from attest.profile import PAYLOAD_UNCHECKED, RULES, LeafSpec, Profile
from attest.types import Assurance, Grant
from notme_git.authority import ca, grants
from notme_git.authority.embedded import Authority
from notme_git.authority.store import Issued

SSH_SCOPES = (RULES[Profile.NOTME].scope, PAYLOAD_UNCHECKED)
"""Who signs in git gets an OpenSSH certificate too; who signs statements has no use for one."""


@dataclass(frozen=True, slots=True)
class Proofs:
    """Signatures over the binding pre-image: raw r||s (64 bytes) for P-256, 64 bytes for Ed25519."""

    mtls: bytes
    signing: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What an actor asks for. Keys are SubjectPublicKeyInfo DER."""

    grant: Grant
    profile: Profile
    scope: str
    mtls_key: bytes
    signing_key: bytes
    proofs: Proofs
    session: str = ""
    task_digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair of bridge certificates over one actor's two keys, and an OpenSSH one (its blob) over the signing key."""

    mtls: x509.Certificate
    signing: x509.Certificate
    ssh: bytes | None = None


def binding_preimage(mtls_key: bytes, signing_key: bytes) -> bytes:
    """The bytes both proofs cover, mTLS key first (`authority-protocol.md` 2)."""
    return mtls_key + signing_key


def issue(
    authority: Authority, request: Request, *, assurance: Assurance, auth_method: str, at: datetime
) -> Pair:
    """Issue under the current epoch, or raise `RefusedError`. The issuance is logged before this returns."""
    _check_clock(authority, at)
    stored = authority.store.grant(request.grant.id)
    if stored.grant != request.grant:
        raise RefusedError(f"grant {request.grant.id} is not what this authority granted under that id")
    grants.check_usable(stored.grant, stored.revoked_at, scope=request.scope, at=at)
    mtls_key, signing_key = _verify_possession(request)
    spec = _spec(authority, request, assurance, auth_method, at)
    epoch = authority.epoch
    issuer = ca.issuer(epoch, request.profile)
    with_ssh = request.profile is Profile.NOTME and request.scope in SSH_SCOPES
    pair = Pair(
        mtls=_sign(authority, request, profile.mtls_leaf(spec, mtls_key, issuer, serial=ca.new_serial())),
        signing=_sign(
            authority, request, profile.signing_leaf(spec, signing_key, issuer, serial=ca.new_serial())
        ),
        ssh=ca.sign_ssh_certificate(authority.keys, epoch, spec, keys.parse_spki(request.signing_key).raw)
        if with_ssh
        else None,
    )
    _log(authority, request, pair, at)
    return pair


def _check_clock(authority: Authority, at: datetime) -> None:
    """A clock that went back would date certificates before what was already issued."""
    latest = max(authority.store.last_issued_at() or 0, authority.epoch.began_at)
    if at + SKEW < datetime.fromtimestamp(latest, UTC):
        raise RefusedError(
            f"the clock says {at:%Y-%m-%dT%H:%M:%SZ}, but this authority was already at"
            f" {datetime.fromtimestamp(latest, UTC):%Y-%m-%dT%H:%M:%SZ}",
            hint="set the clock of this machine and try again",
        )


def _verify_possession(request: Request) -> tuple[CertificatePublicKeyTypes, CertificatePublicKeyTypes]:
    mtls, signing = keys.parse_spki(request.mtls_key), keys.parse_spki(request.signing_key)
    if mtls.algorithm is not KeyAlgorithm.P256 or signing.algorithm is not RULES[request.profile].algorithm:
        raise RefusedError(f"profile {request.profile} does not take keys of these algorithms")
    message = binding_preimage(request.mtls_key, request.signing_key)
    for which, key, proof in (
        ("mTLS", mtls, request.proofs.mtls),
        ("signing", signing, request.proofs.signing),
    ):
        try:
            _verify_proof(key, proof, message)
        except Error:
            raise RefusedError(f"proof of possession of the {which} key failed") from None
    return _load(request.mtls_key), _load(request.signing_key)


def _verify_proof(key: PublicKey, proof: bytes, message: bytes) -> None:
    if key.algorithm is KeyAlgorithm.ED25519:
        keys.verify_signature(key, proof, message)
    else:
        keys.verify_p1363(key, proof, message)


def _spec(
    authority: Authority, request: Request, assurance: Assurance, auth_method: str, at: datetime
) -> LeafSpec:
    grant = request.grant
    claims = Claims(
        actor_kind=grant.actor.kind,
        actor_name=grant.actor.name,
        actor_email=grant.actor.email,
        assurance=assurance,
        represented=grant.represented,
        grant_id=grant.id,
        grant_sha256=canonical.digest(grant),
        session=request.session,
        task_digest=request.task_digest,
        constraints=grant.constraints,
    )
    return LeafSpec(
        profile=request.profile,
        claims=claims,
        subject=grant.actor.id,
        uri=grant.actor.id,
        scopes=(request.scope,),
        epoch=authority.epoch.number,
        auth_method=auth_method,
        binding=hashlib.sha256(binding_preimage(request.mtls_key, request.signing_key)).digest(),
        issued_at=at,
        issuer_url=authority.url,
    )


def _sign(authority: Authority, request: Request, leaf: x509.CertificateBuilder) -> x509.Certificate:
    return ca.sign_leaf(authority.keys, authority.epoch, request.profile, leaf)


def _log(authority: Authority, request: Request, pair: Pair, at: datetime) -> None:
    made = [
        (certificate.serial_number, spki, certificate.public_bytes(Encoding.DER))
        for certificate, spki in ((pair.mtls, request.mtls_key), (pair.signing, request.signing_key))
    ]
    if pair.ssh is not None:
        made.append((sshcert.parse(pair.ssh).serial, request.signing_key, pair.ssh))
    grant = request.grant
    with authority.store.transaction(durable=False):
        for serial, spki, encoded in made:
            authority.store.record_issued(
                Issued(
                    serial=f"{serial:x}",
                    issued_at=int(at.timestamp()),
                    actor_id=grant.actor.id,
                    represented_id=grant.represented.id if grant.represented else "",
                    grant_id=grant.id,
                    epoch=authority.epoch.number,
                    profile=str(request.profile),
                    spki_sha256=hashlib.sha256(spki).digest(),
                    certificate_sha256=hashlib.sha256(encoded).digest(),
                )
            )


def _load(spki: bytes) -> CertificatePublicKeyTypes:
    return load_der_public_key(spki)  # type: ignore[return-value]  # parse_spki let only Ed25519 and P-256 through
