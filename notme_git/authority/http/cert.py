"""`POST /cert`, `/cert/gha`, `/cert/passkey` and `GET /nonce`: a proof and two keys in, a pair of certificates out."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attest import certificate, keys, sshcert, sshwire
from attest.errors import MalformedError, RefusedError
from attest.keys import KeyAlgorithm, PublicKey
from attest.profile import LIFETIME, RULES, Profile
from attest.types import Epoch
from notme_git.authority import enrolment, nonces, sessions, tokens
from notme_git.authority.enrolment import Applicant, Ask, ScopeError
from notme_git.authority.http import applicants, body, forms
from notme_git.authority.http.answers import HttpError, answer
from notme_git.authority.http.applicants import Call, Proven
from notme_git.authority.http.desk import Desk, desk_of
from notme_git.authority.issue import Draft, Pair, PossessionError, Proofs, binding_preimage

OURS: body.Fields = {
    "nonce": str, "agent": str, "grant": str, "scopes": list, "profile": str, "session_id": str, "task_digest": str
}  # fmt: skip
KEYS: body.Fields = {"public_keys": dict, "proofs": dict}
PAIR: body.Fields = {"mtls": str, "signing": str}
MAX_KEY_TEXT = 4096
MAX_TEXT = 256
PROFILES = {each.value: each for each in (Profile.NOTME, Profile.INTEROP)}


async def nonce(request: Request) -> Response:
    """`GET /nonce`: what the next proofs have to cover."""
    desk = desk_of(request)
    return answer({"nonce": desk.nonce(desk.clock()), "expires_in": nonces.LIFETIME_S})


async def cert(request: Request) -> Response:
    """`POST /cert`: session, bootstrap code, OIDC token, bridge certificate, or a proof of one's own."""
    desk = desk_of(request)
    data = await body.read_json(request, {"proof": dict, **OURS, **KEYS})
    at = desk.clock()
    proof = data.get("proof") or {}
    if not isinstance(proof.get("type"), str):
        raise HttpError(400, "proof.type required")
    prover, nonce = applicants.prover(proof["type"], desk.proofs.others), data.get("nonce", "")
    if "public_keys" not in data and "proofs" not in data:
        return _bearer(desk, await prover(Call(desk, request, proof, b"", nonce, at)), data, at)
    ask = read_ask(data)
    suffix, marks = _freshness(desk, nonce)
    preimage = binding_preimage(ask.mtls_key, ask.signing_key) + suffix
    proven = await prover(Call(desk, request, proof, preimage, nonce, at))
    if proven.applicant is not None:
        applicants.check_renewable(desk, proven.applicant, at)
    pair, applicant = _issue(desk, proven, ask, suffix=suffix, marks=marks, nonce=nonce, at=at)
    who = {"principal_id": applicant.subject, "auth_method": applicant.method}
    return answer({**described(pair), **who})


async def gha(request: Request) -> Response:
    """`POST /cert/gha`: a GitHub Actions job with its OIDC token, in upstream's order of checks and words."""
    desk = desk_of(request)
    at = desk.clock()
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        raise HttpError(401, "missing Bearer token")
    proven = await applicants.github(desk, token, at)
    repository = proven.claims["repository"]
    desk.check_rate(f"cert:{repository}", desk.settings.limits.cert_gha, at, "rate limit exceeded")
    data = await body.read_json(request, {**OURS, **KEYS})
    if "public_keys" not in data:
        raise HttpError(400, "public_keys.mtls and public_keys.signing required (SPKI PEM)")
    ask = read_ask(data)
    suffix = hashlib.sha256(token.encode()).digest()
    pair, _ = _issue(desk, proven, ask, suffix=suffix, marks=(), nonce=data.get("nonce", ""), at=at)
    shown = ("repository", "ref", "sha", "actor", "workflow", "run_id", "event_name")
    return answer({**described(pair), "claims": {name: proven.claims[name] for name in shown}})


async def passkey(request: Request) -> Response:
    """`POST /cert/passkey`: whoever is signed in, the proofs bound to the cookie as it was sent."""
    desk = desk_of(request)
    at = desk.clock()
    forms.check_origin(request)
    value = request.cookies.get(sessions.COOKIE)
    if value is None:
        raise HttpError(401, "session_required")
    ask = read_ask(await body.read_json(request, {**OURS, **KEYS}), "over the binding payload")
    try:
        session = sessions.verify(desk.records, value, at)
    except RefusedError:
        raise HttpError(401, "invalid_session") from None
    proven = applicants.of_session(desk, session)
    suffix = hashlib.sha256(value.encode()).digest()
    pair, applicant = _issue(desk, proven, ask, suffix=suffix, marks=(), nonce="", at=at)
    more = {"subject": applicant.subject, "principal_id": applicant.subject, "auth_method": applicant.method}
    return answer({**described(pair), **more})


def read_ask(data: Mapping[str, Any], over: str = "over binding payload") -> Ask:
    """Keys, proofs and wishes from a request's body; an answer of 400 or 401 where they make no sense."""
    public = body.take(data.get("public_keys", {}), PAIR, "public_keys")
    proofs = body.take(data.get("proofs", {}), PAIR, "proofs")
    if len(public) < 2:
        raise HttpError(400, "public_keys.mtls and public_keys.signing required (SPKI PEM)")
    if len(proofs) < 2:
        raise HttpError(400, f"proofs.mtls and proofs.signing required (signatures {over})")
    profile = PROFILES.get(data.get("profile", Profile.NOTME.value))
    if profile is None:
        raise HttpError(400, f"profile must be one of {', '.join(PROFILES)}")
    for name in ("agent", "grant", "session_id", "task_digest"):
        body.printable(data, name, MAX_TEXT)
    return Ask(
        mtls_key=read_key(public["mtls"], KeyAlgorithm.P256),
        signing_key=read_key(public["signing"], RULES[profile].algorithm),
        proofs=Proofs(mtls=body.unbase64(proofs["mtls"]), signing=body.unbase64(proofs["signing"])),
        scopes=tuple(data["scopes"]) if "scopes" in data else None,
        agent=data.get("agent", ""),
        grant=data.get("grant", ""),
        profile=profile,
        session=data.get("session_id", ""),
        task_digest=read_digest(data.get("task_digest", "")),
    )


def described(pair: Pair) -> dict[str, Any]:
    """The part of an answer that is the same on every route."""
    spec = pair.spec
    made: dict[str, Any] = {
        "certificates": {"mtls": _pem(pair.mtls_der), "signing": _pem(pair.signing_der)},
        "identity": spec.uri,
        "scopes": list(spec.scopes),
        "expires_at": int((spec.issued_at + LIFETIME).timestamp()),
        "binding": spec.binding.hex(),
        "authority": described_authority(pair.epoch),
        "profile": spec.profile.value,
    }
    if pair.ssh is not None:
        made["ssh_certificate"] = sshwire.line(sshcert.TYPE, pair.ssh, spec.uri).decode().strip()
    return made


def _issue(
    desk: Desk, proven: Proven, ask: Ask, *, suffix: bytes, marks: tuple[str, ...], nonce: str, at: datetime
) -> tuple[Pair, Applicant]:
    """Sign, and put it on record in one transaction with everything that paid for it.

    Signing happens before the transaction where the applicant is known: the lock is held for the writing alone.
    """
    store = desk.authority.store

    def prepare(applicant: Applicant) -> Draft:
        return enrolment.prepare(desk.authority, desk.settings, applicant, ask, suffix=suffix, marks=marks, at=at)

    with told():
        made = prepare(proven.applicant) if proven.applicant is not None else None
        with store.transaction(durable=proven.applicant is None):
            applicant = proven.spend()
            applicants.check_session(desk, applicant, ask.session)
            if nonce:
                desk.spend_nonce(nonce, at)
            if not desk.records.count(f"cert:{applicant.subject}", desk.settings.limits.cert, int(at.timestamp())):
                desk.limited(desk.settings.limits.cert)
            pair = (made or prepare(applicant)).record(store)
    desk.metrics.add("issued")
    desk.metrics.add("legacy_digest", pair.legacy_digest)
    desk.tidy(at)
    return pair, applicant


def _bearer(desk: Desk, proven: Proven, data: Mapping[str, Any], at: datetime) -> Response:
    """Upstream's answer to a request without any key: a token that nothing is bound to, for this authority alone."""
    ask = Ask(b"", b"", Proofs(b"", b""), scopes=tuple(data["scopes"]) if "scopes" in data else None)
    with desk.authority.store.transaction(durable=proven.applicant is None), told():
        applicant = proven.spend()
        scopes = enrolment.common(ask, applicant.held)
    epoch = desk.authority.epoch
    token = tokens.access_token(
        desk.authority,
        epoch,
        issuer=desk.settings.url,
        subject=applicant.subject,
        audience=desk.settings.url,
        scopes=scopes,
        at=at,
    )
    desk.metrics.add("tokens")
    return answer(
        {
            "token": token,
            "token_type": "Bearer",
            "expires_in": tokens.LIFETIME_S,
            "subject": applicant.subject,
            "authority": described_authority(epoch),
            "principal_id": applicant.subject,
            "scopes": list(scopes),
            "auth_method": applicant.method,
        }
    )


def described_authority(epoch: Epoch) -> dict[str, Any]:
    """Which key of this authority signed."""
    return {"epoch": epoch.number, "key_id": certificate.key_of(certificate.read(epoch.root)).key_id}


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Refusals that have a status of their own."""
    try:
        yield
    except PossessionError as refused:
        raise HttpError(401, refused.message) from None
    except ScopeError as refused:
        raise HttpError(403, refused.message, more=refused.told) from None


def _freshness(desk: Desk, nonce: str) -> tuple[bytes, tuple[str, ...]]:
    """What the proofs cover beyond the keys, and what the certificate says of it."""
    if nonce:
        return hashlib.sha256(nonce.encode()).digest(), ()
    if not desk.settings.compat.no_nonce:
        description = "GET /nonce, and sign over SHA-256 of it, too"
        raise HttpError(400, "nonce required", more={"error_description": description})
    desk.metrics.add("no_nonce")
    return b"", (enrolment.NO_NONCE,)


def read_key(text: str, wanted: KeyAlgorithm) -> bytes:
    """Canonical SubjectPublicKeyInfo of a key in PEM; its label lines and white space do not matter (upstream)."""
    if len(text) > MAX_KEY_TEXT:
        raise HttpError(400, "invalid public key: too long")
    lines = "".join(line for line in text.split("\n") if not line.startswith("-----"))
    try:
        der = base64.b64decode("".join(lines.split()), validate=True)
        key = _canonical(der)
    except (ValueError, TypeError, MalformedError, UnsupportedAlgorithm):
        raise HttpError(400, "invalid public key: not P-256 or Ed25519 in SubjectPublicKeyInfo (PEM)") from None
    if key.algorithm is not wanted:
        raise HttpError(401, f"{'P-256' if wanted is KeyAlgorithm.P256 else 'Ed25519'} proof-of-possession failed")
    return key.spki


@functools.lru_cache(maxsize=256)
def _canonical(der: bytes) -> PublicKey:
    """The key in its one spelling; another spelling (a compressed point, say) is rewritten, as upstream does."""
    try:
        return keys.parse_spki(der)
    except MalformedError:
        spki = load_der_public_key(der).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return keys.parse_spki(spki)


def read_digest(text: str) -> bytes:
    """A SHA-256 in hex, or nothing."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b"?"
    if len(found) not in (0, 32):
        raise HttpError(400, "task_digest must be 64 hex digits")
    return found


def _pem(der: bytes) -> str:
    """RFC 7468 section 5."""
    return ssl.DER_cert_to_PEM_cert(der)


async def nothing(_request: Request) -> Response:
    """`GET /cert` is 404 upstream, where its siblings are 405."""
    raise HttpError(404, "not_found")


ROUTES = [
    Route("/cert", cert, methods=["POST"]),
    Route("/nonce", nonce, methods=["GET"]),
    Route("/cert", nothing, methods=["GET"]),
    Route("/cert/gha", gha, methods=["POST"]),
    Route("/cert/passkey", passkey, methods=["POST"]),
]
