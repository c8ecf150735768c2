"""Passkeys (WebAuthn Level 3): the two ceremonies, and what is on record of them.

A ceremony begins with options, which hold a challenge of 32 bytes, and ends with an answer over it. What was begun is
kept under its challenge and used up by the first answer, good or bad. py_webauthn judges the answer: type, challenge,
origin, relying party, presence of the user, signature. User verification is preferred, as upstream has it; presence is
required, and which of them it was is kept with the session. A signature counter that did not grow is refused: there may
be a second authenticator with this key.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import webauthn
from sqlalchemy import delete, insert, select, update
from sqlalchemy import func as sql
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from attest.errors import MalformedError, RefusedError
from notme_git.authority.records import Records
from notme_git.authority.records import passkeys as table
from notme_git.authority.settings import Settings

CEREMONY_S = 300
MAX_CREDENTIAL_ID = 1023
"""WebAuthn 7.1 step 26."""

ALGORITHMS = (-8, -7, -257)
"""EdDSA, ES256, RS256, in upstream's order (`authority-protocol.md` 1.5)."""

REGISTRATION, LOGIN = "passkey-registration", "passkey-login"
_CREATE, _GET = "webauthn.create", "webauthn.get"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """For whom a passkey is being registered.

    `account` is known already, or will be made under `user_id` with these scopes, name and address. `code` is the
    hexadecimal SHA-256 of the operator's code that is used up when the ceremony ends, empty without one.
    """

    user_id: str
    scopes: tuple[str, ...]
    account: str = ""
    display: str = ""
    email: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """A passkey that was verified. `public_key` is a COSE key; `verified` as in `Login`."""

    id: bytes
    public_key: bytes
    sign_count: int
    verified: bool


@dataclass(frozen=True, slots=True)
class Login:
    """Whose passkey it was, and whether its device asked for a PIN or the like and not only for a touch."""

    account: str
    verified: bool


def begin_registration(records: Records, settings: Settings, newcomer: Newcomer, at: datetime) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptionsJSON. The caller holds the transaction."""
    challenge = bytes_to_base64url(secrets.token_bytes(32))
    records.keep(REGISTRATION, challenge, json.dumps(asdict(newcomer)), int(at.timestamp()) + CEREMONY_S)
    known = [{"id": bytes_to_base64url(each), "type": "public-key"} for each in _of_account(records, newcomer.account)]
    return {
        "challenge": challenge,
        "rp": {"name": "notme", "id": settings.relying_party},
        "user": {
            "id": bytes_to_base64url(newcomer.user_id.encode()),
            "name": newcomer.email or newcomer.display or "user",
            "displayName": newcomer.display,
        },
        "pubKeyCredParams": [{"alg": each, "type": "public-key"} for each in ALGORITHMS],
        "timeout": 60000,
        "attestation": "none",
        "excludeCredentials": known,
        "authenticatorSelection": {
            "residentKey": "preferred",
            "userVerification": "preferred",
            "requireResidentKey": False,
        },
        "extensions": {"credProps": True},
        "hints": [],
    }


def claim_registration(records: Records, user_id: str, response: Mapping[str, Any], at: datetime) -> Newcomer:
    """Use up the registration that `response` answers. The caller holds a transaction of its own for that."""
    challenge = _challenge(response, _CREATE)
    found = json.loads(records.claim(REGISTRATION, challenge, int(at.timestamp())))
    newcomer = Newcomer(**{**found, "scopes": tuple(found["scopes"])})
    if newcomer.user_id != user_id:
        raise RefusedError("that registration is another user's")
    return newcomer


def verify_registration(settings: Settings, response: Mapping[str, Any]) -> Credential:
    """The new credential, from an answer whose challenge was claimed."""
    with _judged("registration"):
        found = webauthn.verify_registration_response(
            credential=dict(response),
            expected_challenge=base64url_to_bytes(_challenge(response, _CREATE)),
            expected_rp_id=settings.relying_party,
            expected_origin=settings.origin,
        )
    if len(found.credential_id) > MAX_CREDENTIAL_ID:
        raise RefusedError("the credential's id is too long")
    return Credential(found.credential_id, found.credential_public_key, found.sign_count, found.user_verified)


def add(records: Records, account_id: str, credential: Credential, at: datetime) -> None:
    """Put a verified credential on record; `RefusedError` for one that is there already."""
    if records.row(select(table.c.id).where(table.c.id == credential.id)) is not None:
        raise RefusedError("that passkey is registered already")
    records.run(
        insert(table).values(
            id=credential.id,
            account=account_id,
            public_key=credential.public_key,
            sign_count=credential.sign_count,
            created_at=int(at.timestamp()),
        )
    )


def begin_login(records: Records, settings: Settings, at: datetime) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptionsJSON for any passkey of this site. The caller holds the transaction."""
    challenge = bytes_to_base64url(secrets.token_bytes(32))
    records.keep(LOGIN, challenge, "", int(at.timestamp()) + CEREMONY_S)
    return {
        "rpId": settings.relying_party,
        "challenge": challenge,
        "timeout": 60000,
        "userVerification": "preferred",
    }


def claim_login(records: Records, response: Mapping[str, Any], at: datetime) -> None:
    """Use up the login that `response` answers. The caller holds a transaction of its own for that."""
    records.claim(LOGIN, _challenge(response, _GET), int(at.timestamp()))


def verify_login(records: Records, settings: Settings, response: Mapping[str, Any], at: datetime) -> Login:
    """Whose passkey answered a claimed challenge, its counter put on record.

    The caller holds the transaction, so that of two answers with one counter only one is good.
    """
    row = records.row(select(table).where(table.c.id == _credential_id(response)))
    if row is None:
        raise RefusedError("that passkey is not registered here")
    with _judged("authentication"):
        found = webauthn.verify_authentication_response(
            credential=dict(response),
            expected_challenge=base64url_to_bytes(_challenge(response, _GET)),
            expected_rp_id=settings.relying_party,
            expected_origin=settings.origin,
            credential_public_key=row["public_key"],
            credential_current_sign_count=row["sign_count"],
        )
    used = update(table).where(table.c.id == row["id"])
    records.run(used.values(sign_count=found.new_sign_count, used_at=int(at.timestamp())))
    return Login(row["account"], found.user_verified)


def count(records: Records) -> tuple[int, int]:
    """How many accounts have a passkey, and how many passkeys there are."""
    many = select(sql.count(table.c.account.distinct()).label("users"), sql.count().label("all")).select_from(table)
    row = records.row(many)
    return (row["users"], row["all"]) if row else (0, 0)


def of_account(records: Records, account_id: str) -> list[dict[str, int | None]]:
    """When each passkey of an account was made and last used (unix seconds), for showing."""
    own = select(table).where(table.c.account == account_id).order_by(table.c.created_at)
    return [{"created_at": row["created_at"], "used_at": row["used_at"]} for row in records.rows(own)]


def delete_all(records: Records) -> int:
    """Forget every passkey; how many there were. The caller holds the transaction."""
    return records.run(delete(table))


def _of_account(records: Records, account_id: str) -> Sequence[bytes]:
    return [row["id"] for row in records.rows(select(table.c.id).where(table.c.account == account_id))]


def _challenge(response: Mapping[str, Any], kind: str) -> str:
    """The challenge that an answer says it is over; whether it is, its signature shows."""
    try:
        said = json.loads(base64url_to_bytes(response["response"]["clientDataJSON"]))
        challenge, given, framed = said["challenge"], said["type"], said.get("crossOrigin", False)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise MalformedError("clientDataJSON is not base64url of a WebAuthn client data object") from None
    if not isinstance(challenge, str) or len(challenge) != 43 or not challenge.isascii():
        raise MalformedError("the challenge is none of ours: 32 bytes in base64url")
    if given != kind or framed is not False:
        raise MalformedError(f"clientDataJSON must be of type {kind}, from the page itself")
    return challenge


def _credential_id(response: Mapping[str, Any]) -> bytes:
    try:
        return base64url_to_bytes(response["rawId"])
    except (ValueError, TypeError, KeyError, AttributeError):
        raise MalformedError("rawId must be base64url") from None


@contextmanager
def _judged(what: str) -> Iterator[None]:
    """py_webauthn raises its own errors for most of what is wrong, and whatever its parsers meet for the rest."""
    try:
        yield
    except Exception as error:
        raise RefusedError(f"{what} not verified: {str(error)[:200] or type(error).__name__}") from None
