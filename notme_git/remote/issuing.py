"""An orchestrator's issuing CA from an authority elsewhere: asked for once, it mints without the network for a day."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from attest import certificate
from attest.certificate import Anchor, BridgeCertificate
from attest.errors import Error, MalformedError, RefusedError
from attest.profile import Profile
from notme_git.authority.issue_ca import preimage
from notme_git.enroll.issuing import IssuingCA
from notme_git.enroll.keys import new_signing_key, proof, spki
from notme_git.remote import enrolment
from notme_git.remote.client import Client
from notme_git.remote.enrolment import BySession, RemoteStamper


def enroll(
    client: Client,
    shown: BySession,
    *,
    agent: str,
    profile: Profile,
    anchors: tuple[Anchor, ...],
    session: str = "",
    task_digest: bytes = b"",
) -> IssuingCA:
    """An issuing CA for the orchestrator `agent`, checked against the pinned `anchors`.

    Raises `RefusedError` where the authority refuses or answers something else than was asked for.
    """
    if profile is not Profile.NOTME:
        raise RefusedError(f"profile {profile} has no issuing CAs", hint="use profile notme")
    key = new_signing_key(profile)
    nonce = str(client.get("/nonce")["nonce"])
    message = preimage(spki(key)) + hashlib.sha256(nonce.encode()).digest()
    body: dict[str, Any] = {"proof": {"type": "session"}, "nonce": nonce, "agent": agent}
    body |= {"public_key": enrolment.pem(key), "possession": enrolment.b64(proof(key, message))}
    if session:
        body |= {"session_id": session, "task_digest": task_digest.hex()}
    answer = client.post("/cert/ca", body, {"Cookie": enrolment.cookie(shown.session)})
    try:
        made = enrolment.read_certificate(answer["certificate"])
        held = _checked(answer, certificate.verify_issuing(made, anchors, profile), spki(key), agent)
    except (Error, KeyError, TypeError, ValueError) as error:
        raise enrolment.other_answer(client, error) from None
    return IssuingCA(held, made, anchors, key, RemoteStamper(client, profile, anchors))


def _checked(answer: Mapping[str, Any], held: BridgeCertificate, key: bytes, agent: str) -> BridgeCertificate:
    if held.key.spki != key or held.claims is None or held.claims.actor_name != agent:
        raise MalformedError("the certificate is over another key than ours, or for another agent")
    said = (answer["identity"], answer["expires_at"], answer["binding"], tuple(answer["scopes"]))
    if said != (held.uri, int(held.not_after.timestamp()), held.binding.hex(), held.scopes):
        raise MalformedError("the answer says something else than its certificate")
    return held
