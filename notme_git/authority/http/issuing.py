"""`POST /cert/ca`: an issuing CA for an orchestrator whose grant may be passed on. Ours alone; upstream has none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attest import certificate
from attest.keys import KeyAlgorithm
from attest.profile import Profile
from notme_git.authority import enrolment, issue_ca
from notme_git.authority.enrolment import Ask
from notme_git.authority.http import applicants, body, cert
from notme_git.authority.http.answers import HttpError, answer
from notme_git.authority.http.applicants import Call
from notme_git.authority.http.desk import desk_of
from notme_git.authority.issue import Proofs

FIELDS: body.Fields = {
    "proof": dict, "public_key": str, "possession": str, "nonce": str, "agent": str, "grant": str, "session_id": str,
    "task_digest": str,
}  # fmt: skip
SHORT = ("nonce", "agent", "grant", "session_id", "task_digest")
NEEDED = ("public_key", "possession", "nonce")


async def ca(request: Request) -> Response:
    """Proof of who asks, and of an Ed25519 key over `issue_ca.preimage` and SHA-256 of the nonce."""
    desk = desk_of(request)
    data = await body.read_json(request, FIELDS)
    at = desk.clock()
    ask, proof, nonce = read_ask(data), data.get("proof") or {}, data["nonce"]
    if not isinstance(proof.get("type"), str):
        raise HttpError(400, "proof.type required")
    suffix = hashlib.sha256(nonce.encode()).digest()
    preimage = issue_ca.preimage(ask.signing_key) + suffix
    proven = await applicants.prover(proof["type"], desk.proofs.others)(Call(desk, request, proof, preimage, nonce, at))
    with cert.told(), desk.authority.store.transaction(durable=True):
        applicant = proven.spend()
        applicants.check_session(desk, applicant, ask.session)
        desk.spend_nonce(nonce, at)
        if not desk.records.count(f"cert:{applicant.subject}", desk.settings.limits.cert, int(at.timestamp())):
            desk.limited(desk.settings.limits.cert)
        made = enrolment.certify_orchestrator(desk.authority, desk.settings, applicant, ask, suffix=suffix, at=at)
    desk.metrics.add("issued")
    return answer({**described(made), "authority": cert.described_authority(desk.authority.epoch)})


def read_ask(data: Mapping[str, Any]) -> Ask:
    """Key, proof and wishes; an answer of 400 or 401 where they make no sense."""
    if missing := [name for name in NEEDED if not data.get(name)]:
        raise HttpError(400, f"{missing[0]} required")
    for name in SHORT:
        body.printable(data, name, cert.MAX_TEXT)
    return Ask(
        mtls_key=b"",
        signing_key=cert.read_key(data["public_key"], KeyAlgorithm.ED25519),
        proofs=Proofs(mtls=b"", signing=body.unbase64(data["possession"])),
        agent=data.get("agent", ""),
        grant=data.get("grant", ""),
        session=data.get("session_id", ""),
        task_digest=cert.read_digest(data.get("task_digest", "")),
    )


def described(made: x509.Certificate) -> dict[str, Any]:
    """What the certificate says, as the answer for a pair says it."""
    held = certificate.read_issuing(made, Profile.NOTME)
    return {
        "certificate": made.public_bytes(Encoding.PEM).decode(),
        "identity": held.uri,
        "scopes": list(held.scopes),
        "expires_at": int(held.not_after.timestamp()),
        "binding": held.binding.hex(),
        "profile": held.profile.value,
    }


ROUTES = [Route("/cert/ca", ca, methods=["POST"])]
