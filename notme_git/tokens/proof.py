"""DPoP proofs (RFC 9449 section 4): made for one request, and checked.

What is checked, with the numbers of section 4.3:

 2-4. a compact JWS of type `dpop+jwt` with the claims it has to have
 5-7. signed by the key in its header, ES256 (or EdDSA where the caller takes it), which is no private key
 8-9. for this method and this URL, without query and fragment, in one spelling
 11.  made within 60 seconds of now
 12.  over this access token, where there is one

Left to the caller: 1 (one header field), 10 (nonces), whether the token is bound to `Proof.thumbprint`, and that a
`Proof.jti` is taken once until `Proof.expires`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, unquote_to_bytes, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from attest import keys
from attest.errors import MalformedError, RefusedError
from notme_git.enroll.keys import proof as signature
from notme_git.tokens import jws

TYPE = "dpop+jwt"
SKEW_S = 60
MAX_JTI = 256
MAX_NONCE = 256

_PORTS = {"https": 443, "http": 80}
_UNRESERVED_AND_DELIMITERS = "-._~!$&'()*+,;=:@"  # pchar, RFC 3986 section 3.3


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof proved: who holds the key, and the values that are good once or were ours."""

    thumbprint: str
    jti: str
    nonce: str
    expires: int


@dataclass(frozen=True, slots=True)
class ProofKey:
    """A client's key, in memory alone."""

    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )

    @property
    def thumbprint(self) -> str:
        """What tokens are bound to (`cnf.jkt`)."""
        return jws.thumbprint(keys.from_cryptography(self._key.public_key()))

    def prove(self, method: str, url: str, at: datetime, *, token: str = "", nonce: str = "") -> str:
        """A proof for one request, over `token` where one goes with it."""
        claims: dict[str, object] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": normal(url),
            "iat": int(at.timestamp()),
        }
        if token:
            claims["ath"] = token_hash(token)
        if nonce:
            claims["nonce"] = nonce
        public = jws.jwk(keys.from_cryptography(self._key.public_key()))
        header = {"typ": TYPE, "alg": jws.ES256, "jwk": public}
        return jws.make(header, claims, lambda signed: signature(self._key, signed))


def verify_proof(
    text: str, *, method: str, url: str, at: datetime, token: str = "", algorithms: Sequence[str] = (jws.ES256,)
) -> Proof:
    """What `text` proves of the request `method` `url`; `MalformedError`, `RefusedError` or `VerificationError`."""
    found = jws.parse(text)
    if found.header.get("typ") != TYPE or found.header.get("alg") not in algorithms:
        raise MalformedError(f"a proof is of type {TYPE} and by {' or '.join(algorithms)}")
    key = jws.parse_key(found.header.get("jwk"))
    found.verify(key)
    jti, nonce, ath = (_text(found, name) for name in ("jti", "nonce", "ath"))
    if not 0 < len(jti) <= MAX_JTI or len(nonce) > MAX_NONCE:
        raise MalformedError("a proof has a jti")
    if found.payload.get("htm") != method or normal(_text(found, "htu")) != normal(url):
        raise RefusedError("the proof is for another request")
    made = found.payload.get("iat")
    if not isinstance(made, int) or isinstance(made, bool) or abs(int(at.timestamp()) - made) > SKEW_S:
        raise RefusedError("the proof was not made now")
    if token and not hmac.compare_digest(ath.encode(), token_hash(token).encode()):
        raise RefusedError("the proof is for another token")
    return Proof(jws.thumbprint(key), jti, nonce, made + SKEW_S)


def preimage(audience: str, dpop_proof: str) -> bytes:
    """What a bridge certificate's proof covers at `POST /token`: the audience, and the DPoP proof with its key."""
    return f"notme-token-v1\n{audience}\n{dpop_proof}".encode()


def token_hash(token: str) -> str:
    """`ath`: SHA-256 of the access token, base64url."""
    return jws.b64(hashlib.sha256(token.encode()).digest())


def normal(url: str) -> str:
    """A URL without query and fragment, in one spelling (RFC 3986 sections 6.2.2 and 6.2.3)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise MalformedError("no URL") from None
    scheme, host = parts.scheme.lower(), (parts.hostname or "")
    if scheme not in _PORTS or not host or "@" in parts.netloc:
        raise MalformedError("no URL of http or https")
    shown = f"[{host}]" if ":" in host else host
    where = shown if port in (None, _PORTS[scheme]) else f"{shown}:{port}"
    path = "/".join(quote(unquote_to_bytes(each), safe=_UNRESERVED_AND_DELIMITERS) for each in parts.path.split("/"))
    return f"{scheme}://{where}{path or '/'}"


def origin(url: str) -> str:
    """Scheme, host and port of a URL, in one spelling."""
    parts = urlsplit(normal(url))
    return f"{parts.scheme}://{parts.netloc}"


def _text(found: jws.Jws, name: str) -> str:
    value = found.payload.get(name, "")
    if not isinstance(value, str):
        raise MalformedError(f"{name} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MalformedError(f"{name} is no Unicode") from None
    return value
