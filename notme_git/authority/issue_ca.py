"""The second decision: a proof of one key and a grant that may be passed on in, an issuing CA out.

An orchestrator mints leaves for its agents with it, offline and within that grant (`attest.delegation`). It lives a
day at most and never beyond the grant; what revokes the grant revokes everything minted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from attest import keys, profile
from attest.errors import Error, RefusedError
from attest.fulcio import Ci
from attest.profile import CERT_MINT, ISSUING_LIFETIME, LIFETIME, RULES, LeafSpec, Profile
from attest.types import Assurance, Epoch, Grant
from notme_git.authority import ca, grants, issue
from notme_git.authority.embedded import Authority
from notme_git.authority.issue import PossessionError
from notme_git.authority.store import Issued

DOMAIN = b"notme-issuing-ca-v1\n"
"""Separates this proof from those of a pair: who proved a key for leaves has not asked for a CA."""


@dataclass(frozen=True, slots=True)
class CaRequest:
    """What an orchestrator asks for. `key` is SubjectPublicKeyInfo DER, `proof` its signature over the pre-image.

    `suffix` is what the proof covers beyond it: nothing in process, else 32 bytes that make it fresh.
    """

    grant: Grant
    profile: Profile
    key: bytes
    proof: bytes
    suffix: bytes = b""
    session: str = ""
    task_digest: bytes = b""
    ci: Ci = ()


def preimage(key: bytes) -> bytes:
    """The bytes that the proof covers."""
    return DOMAIN + key


def issue_ca(
    authority: Authority, request: CaRequest, *, assurance: Assurance, auth_method: str, at: datetime
) -> x509.Certificate:
    """Issue under the current epoch, or raise `RefusedError`. The issuance is logged before this returns."""
    epoch = authority.epoch
    issue.check_clock(authority, epoch, at)
    if not RULES[request.profile].issuing:
        raise RefusedError(
            f"profile {request.profile} has no issuing CAs: stock tools would take any name from one",
            hint="use profile notme",
        )
    issue.check_granted(authority, request.grant, (CERT_MINT,), at)
    grants.check_delegable(request.grant)
    _verify_possession(request)
    issuer = ca.issuer(epoch, request.profile)
    until = _until(request.grant, issuer, at)
    spec = _spec(authority, epoch, request, assurance, auth_method, at)
    key = _load_key(request.key)
    builder = profile.issuing_ca(spec, key, issuer, serial=ca.new_serial(at), until=until)
    made = ca.sign_issuing_ca(authority.keys, epoch, request.profile, builder)
    authority.store.record_issued(_entry(request, made, epoch, at))
    return made


def _verify_possession(request: CaRequest) -> None:
    key = keys.parse_spki(request.key)
    if key.algorithm is not RULES[request.profile].algorithm:
        raise RefusedError(f"profile {request.profile} does not take a key of this algorithm")
    try:
        issue.verify_proof_over(key, request.proof, preimage(request.key) + request.suffix)
    except Error:
        raise PossessionError("proof-of-possession failed", hint="sign the pre-image with the key itself") from None


def _until(grant: Grant, issuer: x509.Certificate, at: datetime) -> datetime:
    """The end of the CA, with room for one leaf at least."""
    begin = at.replace(microsecond=0)
    granted = datetime.fromtimestamp(grant.expires_at, UTC)
    until = min(begin + ISSUING_LIFETIME, granted, issuer.not_valid_after_utc)
    if until < begin + LIFETIME:
        raise RefusedError(
            f"grant {grant.id} ends before anything minted under it would",
            hint=f"grant it again: notme-git grant add {grant.actor.name} --delegate",
        )
    return until


def _spec(
    authority: Authority, epoch: Epoch, request: CaRequest, assurance: Assurance, auth_method: str, at: datetime
) -> LeafSpec:
    grant = request.grant
    claims = issue.claims_of(grant, assurance, request.session, request.task_digest)
    return LeafSpec(
        profile=request.profile,
        claims=replace(claims, depth=1),
        subject=grant.actor.id,
        uri=grant.actor.id,
        scopes=tuple(scope for scope in grant.scopes if scope in grants.PASSED_ON),
        epoch=epoch.number,
        auth_method=auth_method,
        binding=hashlib.sha256(request.key).digest(),
        issued_at=at,
        issuer_url=authority.url,
        ci=request.ci,
    )


def _entry(request: CaRequest, made: x509.Certificate, epoch: Epoch, at: datetime) -> Issued:
    encoded = made.public_bytes(Encoding.DER)
    return issue.entry(request.grant, request.profile, epoch, (made.serial_number, request.key, encoded), at)


def _load_key(spki: bytes) -> CertificatePublicKeyTypes:
    """The key, in the library's form, of a SubjectPublicKeyInfo that `keys.parse_spki` took."""
    return load_der_public_key(spki)  # type: ignore[return-value]  # parse_spki let only Ed25519 and P-256 through
