"""What anybody may read: health, discovery, keys, epochs, bundles (`authority-protocol.md` 1.1)."""

from __future__ import annotations

import base64
import os
import re

from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from attest import certificate
from attest.errors import UnavailableError
from attest.types import Epoch
from notme_git.authority import cabundle
from notme_git.authority.grants import SCOPES
from notme_git.authority.http.answers import NO_STORE, HttpError, answer
from notme_git.authority.http.desk import desk_of

ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
_COMMIT = re.compile("[0-9a-f]{40}")


def _cached(seconds: int, *, shared: bool = True) -> dict[str, str]:
    return {"Cache-Control": f"public, max-age={seconds}", **(ANY_ORIGIN if shared else {})}


async def health(_request: Request) -> Response:
    """`GET /health`."""
    return PlainTextResponse("ok", headers=NO_STORE)


async def version(_request: Request) -> Response:
    """`GET /.well-known/version`: the commit that was built, where the build says so in BUILD_SHA."""
    commit = os.environ.get("BUILD_SHA", "")
    known = _COMMIT.fullmatch(commit) is not None
    return answer({"commit": commit if known else "unknown", "stamped": known}, headers={**NO_STORE, **ANY_ORIGIN})


async def authority(request: Request) -> Response:
    """`GET /.well-known/signet-authority.json`."""
    base = desk_of(request).settings.url
    return answer(
        {
            "issuer": base,
            "cert_endpoint": f"{base}/cert",
            "cert_gha_endpoint": f"{base}/cert/gha",
            "ca_bundle_endpoint": f"{base}/.well-known/ca-bundle.pem",
            "algorithms_supported": ["Ed25519"],
            "grant_types_supported": ["github_actions_oidc", "dpop"],
            "cert_types_supported": ["bridge_certificate"],
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/.well-known/jwks.json",
            "dpop_signing_alg_values_supported": ["ES256"],
            "nonce_endpoint": f"{base}/nonce",
            "trust_bundle_endpoint": f"{base}/trust-bundle",
            "timestamp_endpoint": f"{base}/timestamp",
            "documentation": f"{base}/api/docs",
        },
        headers=_cached(86400),
    )


async def oauth(request: Request) -> Response:
    """`GET /.well-known/oauth-authorization-server` (RFC 8414), and as openid-configuration."""
    base = desk_of(request).settings.url
    return answer(
        {
            "issuer": base,
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/.well-known/jwks.json",
            "grant_types_supported": ["github_actions_oidc", "dpop"],
            "response_types_supported": [],
            "scopes_supported": list(SCOPES[:5]),
            "token_endpoint_auth_methods_supported": ["none"],
            "dpop_signing_alg_values_supported": ["ES256"],
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "service_documentation": f"{base}/api/docs",
        },
        headers=_cached(86400),
    )


async def jwks(request: Request) -> Response:
    """`GET /.well-known/jwks.json`: the current key; after a rotation also the one before, whose tokens still live."""
    found = cabundle.current(desk_of(request).authority, desk_of(request).clock())
    keys = [
        {"kty": "OKP", "crv": "Ed25519", "x": _url_safe(raw), "kid": kid, "use": "sig", "alg": "EdDSA"}
        for kid, raw in found["keys"].items()
    ]
    return answer({"keys": keys}, headers=_cached(3600))


async def epochs(request: Request) -> Response:
    """`GET /.well-known/epochs.json`: every epoch, in one read, so that key and id belong together."""
    known = desk_of(request).authority.store.epochs()
    return answer({"epochs": [_epoch(each) for each in known]}, headers=_cached(60))


async def ca_pem(request: Request) -> Response:
    """`GET /.well-known/ca-bundle.pem`: exactly one self-signed root, the current one of Ed25519."""
    root = certificate.read(desk_of(request).authority.epoch.root)
    pem = root.public_bytes(Encoding.PEM).rstrip(b"\n")
    return Response(pem, headers=_cached(3600, shared=False), media_type="application/x-pem-file")


async def ca_bundle(request: Request) -> Response:
    """`GET /internal/ca-bundle`: upstream's CABundle."""
    return answer(cabundle.current(desk_of(request).authority, desk_of(request).clock()))


async def trust_bundle(request: Request) -> Response:
    """`GET /trust-bundle`: ours, canonical bytes (schema/trust.capnp)."""
    latest = desk_of(request).authority.store.latest_bundle()
    if latest is None:
        raise UnavailableError("the authority's database holds no trust bundle", hint="restore it from a backup")
    return Response(latest, headers=_cached(60), media_type="application/octet-stream")


async def not_here(_request: Request) -> Response:
    """Upstream's signing calls, which are no HTTP endpoints there either."""
    raise HttpError(404, "not_an_http_endpoint", more={"error_description": "this is not served over HTTP"})


def _epoch(epoch: Epoch) -> dict[str, object]:
    key = certificate.key_of(certificate.read(epoch.root))
    return {
        "epoch": epoch.number,
        "keyId": key.key_id,
        "publicRawB64": base64.b64encode(key.raw).decode(),
        "retiredAt": epoch.retired_at or None,
    }


def _url_safe(text: str) -> str:
    return text.rstrip("=").replace("+", "-").replace("/", "_")


ROUTES = [
    Route("/health", health, methods=["GET"]),
    Route("/healthz", health, methods=["GET"]),
    Route("/trust-bundle", trust_bundle, methods=["GET"]),
    Route("/.well-known/version", version, methods=["GET"]),
    Route("/.well-known/signet-authority.json", authority, methods=["GET"]),
    Route("/.well-known/oauth-authorization-server", oauth, methods=["GET"]),
    Route("/.well-known/openid-configuration", oauth, methods=["GET"]),
    Route("/.well-known/jwks.json", jwks, methods=["GET"]),
    Route("/.well-known/epochs.json", epochs, methods=["GET"]),
    Route("/.well-known/ca-bundle.pem", ca_pem, methods=["GET"]),
    Route("/internal/ca-bundle", ca_bundle, methods=["GET"]),
    Route("/internal/sign-receipt", not_here, methods=["GET", "POST"]),
    Route("/internal/sign-jwt", not_here, methods=["GET", "POST"]),
]
