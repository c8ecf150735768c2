"""Identities that somebody has elsewhere: `/connections`, and signing in by one (`authority-protocol.md` 1.6).

A token proves that a program could get one, not that a person is there: a session that began with it never administers.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attest import certificate
from attest.errors import Error
from attest.profile import SUBJECT
from notme_git.authority import accounts
from notme_git.authority.http import entry, forms
from notme_git.authority.http.answers import HttpError, answer
from notme_git.authority.http.desk import Desk, desk_of
from notme_git.authority.sessions import Session

MAX_PEM = 16384


async def listed(request: Request) -> Response:
    """`GET /connections`: one's own."""
    desk = desk_of(request)
    session = entry.required(desk, request, desk.clock())
    return answer({"connections": accounts.connections_of(desk.records, session.account.id)})


async def connect(request: Request) -> Response:
    """`POST /connections`: let an identity sign in as this account; takes a passkey shown a moment ago."""
    desk = desk_of(request)
    at = desk.clock()
    session = entry.person(desk, request, at)
    sent = await forms.read(request, {"proof": dict})
    proof = sent.fields.get("proof", {})
    if not isinstance(proof.get("type"), str):
        raise HttpError(400, "proof.type required")
    if proof["type"] == "x509":
        provider, subject = _certificate(desk, session, proof.get("cert"), at)
    else:
        raise HttpError(400, f"unsupported proof.type: {proof['type'][:64]}")
    with desk.authority.store.transaction(durable=True):
        accounts.connect(desk.records, session.account.id, provider, subject, at)
    return answer({"connected": True, "provider": provider, "subject": subject})


def _certificate(desk: Desk, session: Session, pem: object, at: datetime) -> tuple[str, str]:
    """Issuer and subject of a live certificate of ours for this very account.

    A certificate is no secret, so another's would prove nothing; upstream takes anybody's.
    """
    if not isinstance(pem, str) or len(pem) > MAX_PEM:
        raise HttpError(400, "proof.cert required (PEM)")
    subject = session.account.id
    try:
        (found,) = certificate.load_pem(pem.encode())
        certificate.verify_issued(found, certificate.key_of(certificate.read(desk.authority.epoch.root)))
        value = found.extensions.get_extension_for_oid(SUBJECT).value
        live = found.not_valid_before_utc <= at < found.not_valid_after_utc
        issuer = str(found.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    except (Error, IndexError, x509.ExtensionNotFound, *certificate.UNREADABLE) as error:
        told = error.message if isinstance(error, Error) else "not a certificate of this authority"
        raise HttpError(401, f"proof verification failed: {told}") from None
    # DER of a UTF8String (`authority-protocol.md` 3); an account's id is 36 characters long.
    named = b"\x0c" + bytes([len(subject)]) + subject.encode()
    if not live or not isinstance(value, x509.UnrecognizedExtension) or value.value != named:
        raise HttpError(401, "proof verification failed: no live certificate of this account")
    return f"x509:{issuer}", subject


ROUTES = [
    Route("/connections", listed, methods=["GET"]),
    Route("/connections", connect, methods=["POST"]),
]
