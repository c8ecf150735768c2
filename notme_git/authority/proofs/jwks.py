"""The keys of one identity provider: found by discovery or in a file, remembered, and asked for again when needed.

==================  =============================================================================
remembered          for `FRESH`; a key id that is not among them has them asked for again, at most
                    once in `AGAIN`, so that a provider may rotate and nobody can make us ask
provider is down    keys that are known go on being used for `STALE`; a key id that is not known is
                    no proof, and asking again waits for `RETRY`
provider lies       another issuer's name, private keys, RSA under 2048 bits, no JSON, too much or
                    too slow: as if it were down
==================  =============================================================================
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from attest.errors import UnavailableError
from notme_git.authority.proofs import fetch
from notme_git.authority.proofs.configured import Issuer
from notme_git.authority.proofs.fetch import Access
from notme_git.authority.proofs.jwt import JwsKey, Token, TokenError, shown

DISCOVERY = "/.well-known/openid-configuration"
FRESH, STALE = timedelta(hours=1), timedelta(hours=24)
AGAIN, RETRY = timedelta(minutes=1), timedelta(seconds=10)
MAX_KEYS = 64
RSA_BITS = range(2048, 8192 + 1)
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a JWKS that signs with an algorithm of ours."""

    kid: str | None
    algorithm: str
    key: JwsKey


class Keys:
    """The keys of `provider`. Used by one event loop; times are those of the caller."""

    def __init__(self, provider: Issuer) -> None:
        self.provider = provider
        self._found: tuple[Key, ...] = ()
        self._found_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._asking = asyncio.Lock()

    async def find(self, token: Token, at: datetime) -> JwsKey:
        """The key that `token` says signed it; `TokenError` if there is none, `UnavailableError` if that is not known.

        However many ask at once, one question is under way.
        """
        known = self._choose(token)
        if known is not None and self._younger(self._found_at, FRESH, at):
            return known.key
        async with self._asking:
            failed = await self._refresh(token, at)
        known = self._choose(token)
        if known is not None and self._younger(self._found_at, STALE, at):
            return known.key
        if failed is not None:
            raise failed
        raise TokenError(f"unknown key id: {shown(token.kid or 'none')}")

    async def _refresh(self, token: Token, at: datetime) -> UnavailableError | None:
        """Ask again if that is due. Returns why the keys are not those of now."""
        due = self._choose(token) is None or not self._younger(self._found_at, FRESH, at)
        if not due or (self._found_at == self._tried_at and self._younger(self._tried_at, AGAIN, at)):
            return None
        if self._younger(self._tried_at, RETRY, at):
            return UnavailableError(f"the keys of {self.provider.issuer} could not be had a moment ago")
        self._tried_at = at
        try:
            self._found, self._found_at = await load(self.provider), at
        except UnavailableError as error:
            return error
        return None

    def _choose(self, token: Token) -> Key | None:
        """The one key that fits: by its id, or the only one there is for the algorithm when the token names none."""
        fitting = [each for each in self._found if each.algorithm == token.algorithm]
        if token.kid is not None:
            fitting = [each for each in fitting if each.kid == token.kid]
        return fitting[0] if len(fitting) == 1 else None

    @staticmethod
    def _younger(time: datetime | None, age: timedelta, at: datetime) -> bool:
        return time is not None and abs(at - time) < age


async def load(provider: Issuer) -> tuple[Key, ...]:
    """The provider's keys as they are now; `UnavailableError`."""
    if provider.jwks_file:
        return parse(_read(provider.jwks_file), provider.jwks_file)
    access = Access(
        provider.ca_file, _read(provider.bearer_file).decode(errors="replace").strip() if provider.bearer_file else ""
    )
    discovered = await fetch.get(provider.issuer.rstrip("/") + DISCOVERY, access)
    address = _jwks_uri(provider, _json(discovered, provider.issuer))
    if not provider.ca_file and urlsplit(address).netloc != urlsplit(provider.issuer).netloc:
        access = Access()  # a bearer token goes elsewhere only under the provider's own certificate authority
    return parse(await fetch.get(address, access), address)


def parse(data: bytes, where: str = "a JWKS") -> tuple[Key, ...]:
    """The keys of a JWKS (RFC 7517) that sign as we verify; `UnavailableError` for a set that no provider may have."""
    listed = _json(data, where).get("keys")
    if not isinstance(listed, list) or len(listed) > MAX_KEYS or not all(isinstance(each, dict) for each in listed):
        raise UnavailableError(f"{where} is no list of at most {MAX_KEYS} keys")
    if any(name in each for each in listed for name in PRIVATE):
        raise UnavailableError(f"{where} publishes a private key", hint="tell whoever runs it; it proves nothing now")
    try:
        found = tuple(key for each in listed if (key := _key(each)) is not None)
    except (ValueError, TypeError, KeyError, JoseError) as error:
        raise UnavailableError(f"{where} has a key that cannot be used: {error}") from None
    names = [(each.kid, each.algorithm) for each in found if each.kid is not None]
    if len(set(names)) != len(names):
        raise UnavailableError(f"{where} has two keys of one id and algorithm")
    return found


def _key(jwk: Mapping[str, Any]) -> Key | None:
    """None for a key that is for something else."""
    kind, curve, use, kid = (jwk.get(name) for name in ("kty", "crv", "use", "kid"))
    if use not in (None, "sig") or not isinstance(kid, str | None):
        return None
    made: tuple[str, JwsKey]
    if kind == "RSA" and "n" in jwk:
        bits = int.from_bytes(base64.urlsafe_b64decode(jwk["n"] + "==")).bit_length()
        if bits not in RSA_BITS:
            raise ValueError(f"RSA of {bits} bits")
        made = "RS256", RSAKey.import_key({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]})
    elif kind == "EC" and curve == "P-256":
        made = "ES256", ECKey.import_key({"kty": "EC", "crv": curve, "x": jwk["x"], "y": jwk["y"]})
    elif kind == "OKP" and curve == "Ed25519":
        made = "EdDSA", OKPKey.import_key({"kty": "OKP", "crv": curve, "x": jwk["x"]})
    else:
        return None
    return Key(kid, *made) if jwk.get("alg", made[0]) == made[0] else None


def _jwks_uri(provider: Issuer, document: Mapping[str, Any]) -> str:
    """Where a provider's discovery document (OpenID Connect Discovery 1.0 section 3) says its keys are."""
    if document.get("issuer") != provider.issuer:
        raise UnavailableError(f"{provider.issuer} says it is another issuer", hint="the setting must equal its name")
    address = document.get("jwks_uri")
    if not _is_url(address) or not address.startswith(("https://", f"{provider.issuer.rstrip('/')}/")):
        raise UnavailableError(f"{provider.issuer} names no address of its keys under https")
    return address


def _is_url(text: object) -> TypeGuard[str]:
    try:
        return isinstance(text, str) and bool(urlsplit(text).netloc)
    except ValueError:
        return False


def _json(data: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(data.decode())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnavailableError(f"{where} did not answer with a JSON object")
    return found


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(fetch.MAX_BYTES + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > fetch.MAX_BYTES:
        raise UnavailableError(f"{path} is larger than {fetch.MAX_BYTES} bytes")
    return data
