"""Every operation of the HTTP interface, as the OpenAPI document tells it; a test holds it against the routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

JSON, FORM, HTML, TEXT = "application/json", "application/x-www-form-urlencoded", "text/html", "text/plain"
BYTES = "application/octet-stream"

SESSION, JOB, DPOP = "session", "job", "dpop"
"""Names of the ways to say who asks, beside `proof` in a body."""

LATER = (429, 503)
ALWAYS = (503,)


@dataclass(frozen=True, slots=True)
class Operation:
    """`asks` and `tells` name structs of `schema/protocol.capnp`, or a media type; several are told apart by shape.

    `by` are security schemes, all of them needed unless `anybody`; `form` also takes a form of a page, answered by
    303; `page` is for people: HTML where they ask for it, also of an error.
    """

    method: str
    path: str
    part: str
    about: str
    tells: tuple[str, ...] = ()
    asks: str = ""
    refuses: tuple[int, ...] = ()
    by: tuple[str, ...] = ()
    anybody: bool = False
    form: bool = False
    page: bool = False
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Such as `post_cert_gha`."""
        words = "".join(each if each.isalnum() else " " for each in self.path).split()
        return "_".join((self.method.lower(), *words))


def _get(path: str, part: str, about: str, tells: str, refuses: tuple[int, ...] = (), **more: object) -> Operation:
    return Operation("GET", path, part, about, (tells,), refuses=refuses, **more)  # type: ignore[arg-type]


def _post(
    path: str, part: str, about: str, asks: str, tells: str, refuses: tuple[int, ...], **more: object
) -> Operation:
    told = tuple(tells.split(" | "))
    return Operation("POST", path, part, about, told, asks, refuses, **more)  # type: ignore[arg-type]


def _form(path: str, part: str, about: str, asks: str, tells: str, refuses: tuple[int, ...]) -> Operation:
    return _post(path, part, about, asks, tells, refuses, by=(SESSION,), form=True, page=True)


def _page(path: str, about: str, refuses: tuple[int, ...] = (), **more: object) -> Operation:
    return _get(path, "pages", about, HTML, (*refuses, 503), page=True, **more)


PARTS = {
    "certificates": "Pairs of certificates, and what comes with them",
    "tokens": "Access tokens for services",
    "discovery": "What anybody may read",
    "passkeys": "Signing in with a passkey",
    "accounts": "One's own account, invites and sessions",
    "grants": "Agents that act for somebody",
    "administration": "For administrators",
    "programs": "Signing in a program",
    "pages": "Pages for people",
}

WELL_KNOWN = "/.well-known"
OWN, CHANGE = (401, 503), (400, 401, 403, 503)

OPERATIONS = (
    _get("/nonce", "certificates", "Freshness for the next request", "NonceAnswer", ALWAYS),
    _post("/cert", "certificates", "A pair of certificates for a proof and two keys; a token where there are no keys",
          "CertRequest", "CertPair | BearerToken", (400, 401, 403, *LATER), by=(SESSION,), anybody=True),
    Operation("GET", "/cert", "certificates", "Not there, as upstream has it: post", refuses=(404,)),
    _post("/cert/gha", "certificates", "A pair for a GitHub Actions job", "PairRequest", "CertPair",
          (400, 401, 403, *LATER), by=(JOB,)),
    _post("/cert/passkey", "certificates", "A pair for whoever is signed in, bound to the cookie", "PairRequest",
          "CertPair", (400, 401, 403, *LATER), by=(SESSION,)),
    _post("/cert/ca", "certificates", "An issuing CA for an orchestrator whose grant may be passed on",
          "IssuingRequest", "IssuingCertificate", (400, 401, 403, *LATER), by=(SESSION,), anybody=True),
    _post("/timestamp", "certificates", "A time stamp over a digest (RFC 3161)", "application/timestamp-query",
          "application/timestamp-reply", (400, *LATER), query={"profile": "notme or interop: under which root"}),
    _post("/token", "tokens", "An access token for a service, bound to the key of a DPoP proof (RFC 9449)",
          "TokenRequest", "AccessToken", (400, 401, 403, *LATER), by=(DPOP, SESSION), anybody=True),
    _get("/health", "discovery", "Whether it runs", TEXT),
    _get("/healthz", "discovery", "Whether it runs", TEXT),
    _get("/metrics", "discovery", "Counters in the Prometheus text format", TEXT),
    _get("/trust-bundle", "discovery", "The signed trust bundle, canonical Cap'n Proto", BYTES, ALWAYS),
    _get(f"{WELL_KNOWN}/version", "discovery", "The commit that was built", "Version"),
    _get(f"{WELL_KNOWN}/signet-authority.json", "discovery", "Where things are", "AuthorityDocument"),
    _get(f"{WELL_KNOWN}/oauth-authorization-server", "discovery", "OAuth 2.0 metadata (RFC 8414)", "ServerMetadata"),
    _get(f"{WELL_KNOWN}/openid-configuration", "discovery", "The same, where OpenID looks for it", "ServerMetadata"),
    _get(f"{WELL_KNOWN}/jwks.json", "discovery", "Keys of its tokens (RFC 7517)", "Jwks", ALWAYS),
    _get(f"{WELL_KNOWN}/epochs.json", "discovery", "Every epoch there was", "Epochs", ALWAYS),
    _get(f"{WELL_KNOWN}/ca-bundle.pem", "discovery", "The current root, PEM", "application/x-pem-file", ALWAYS),
    _get("/internal/ca-bundle", "discovery", "The CA bundle of upstream's online checks", "SignedKeys", ALWAYS),
    *(Operation(method, f"/internal/{name}", "discovery", "Not served over HTTP", refuses=(404,))
      for name in ("sign-receipt", "sign-jwt") for method in ("GET", "POST")),
    _get("/api/openapi.json", "discovery", "This document", JSON),
    _get("/api/docs", "discovery", "This document, for people", HTML),
    _post("/auth/passkey/register/options", "passkeys", "Begin to register a passkey: by the operator's code, or for "
          "who is signed in", "RegistrationStart", "RegistrationOptions", (400, 401, 403, *LATER), by=(SESSION,),
          anybody=True),
    _post("/auth/passkey/register/verify", "passkeys", "Register a passkey, and be signed in", "RegistrationAnswer",
          "Registered", (400, 403, *LATER)),
    _post("/auth/passkey/login/options", "passkeys", "Begin to sign in with a passkey", "Nothing", "LoginOptions",
          (400, 403, *LATER)),
    _post("/auth/passkey/login/verify", "passkeys", "Sign in with a passkey", "LoginAnswer", "SignedIn",
          (400, 401, 403, *LATER)),
    _post("/auth/passkey/reset", "passkeys", "Forget every passkey, session and invite, by a code for recovery",
          "ResetRequest", "ResetDone", (400, 403, *LATER)),
    _get("/auth/passkey/status", "administration", "How many passkeys and administrators there are", "PasskeyStatus",
         (401, 403, 503), by=(SESSION,)),
    _post("/auth/oidc/login", "accounts", "Sign in by a connected identity", "TokenLogin", "TokenSession",
          (400, 401, 403, 503)),
    Operation("GET", "/me", "accounts", "Who is signed in; a page for people", ("Me", HTML), refuses=ALWAYS,
              by=(SESSION,), page=True),
    _form("/invites", "accounts", "Invite somebody", "InviteRequest", "Invite", CHANGE),
    _post("/join", "accounts", "Take an invite: an account and a session", "JoinRequest", "Joined",
          (400, 401, 403, *LATER), form=True, page=True),
    _get("/sessions", "accounts", "One's own sessions", "Sessions", OWN, by=(SESSION,)),
    Operation("DELETE", "/sessions/{session}", "accounts", "End a session of one's own", ("Ended",),
              refuses=(*CHANGE, 404), by=(SESSION,), page=True),
    _form("/sessions/{session}", "accounts", "The same, by a form", "Nothing", "Ended", (*CHANGE, 404)),
    _post("/logout", "accounts", "Sign out", "Nothing", "Done", (400, 403, 503), by=(SESSION,), anybody=True,
          form=True, page=True),
    _get("/connections", "accounts", "One's identities elsewhere", "Connections", OWN, by=(SESSION,)),
    _form("/connections", "accounts", "Connect an identity elsewhere", "ConnectRequest", "Connected", CHANGE),
    _get("/grants", "grants", "One's agents; everybody's for an administrator", "Grants", (401, 403, 503),
         by=(SESSION,), query={"all": "1 for everybody's"}),
    _form("/grants", "grants", "Let an agent act for oneself", "GrantRequest", "GrantEntry", CHANGE),
    Operation("DELETE", "/grants/{grant}", "grants", "End a grant for good", ("Ended",), refuses=(*CHANGE, 404),
              by=(SESSION,), page=True),
    _form("/grants/{grant}", "grants", "The same, with a reason or by a form", "Reason", "Ended", (*CHANGE, 404)),
    _get("/revocations", "discovery", "What is revoked", "Revocations", ALWAYS),
    _form("/revocations", "administration", "Revoke a principal, grant, session or certificate", "RevokeRequest",
          "RevocationDone", CHANGE),
    _form("/admin/rotate", "administration", "End the authority's key, and begin the next epoch", "RotateRequest",
          "Rotated", CHANGE),
    _form("/accounts/{account}/disable", "administration", "Disable an account and revoke its certificates", "Reason",
          "Disabled", (*CHANGE, 404)),
    _form("/login/program", "programs", "A person's answer to a program", "ProgramDecision", HTML, CHANGE),
    _post("/login/redeem", "programs", "A program's session, for the code that a person let it have", "RedeemRequest",
          "ProgramSession", (400, 403, *LATER)),
    _page("/login/program", "A person decides about a program", (400,), by=(SESSION,), anybody=True, query={
        "challenge": "base64url of the SHA-256 of the program's verifier", "port": "where it listens; none for a code",
        "state": "to be handed back", "agents": "names, with commas between", "label": "what it calls itself"}),
    Operation("GET", "/", "pages", "The start; for programs what this is", (HTML, "Start"), refuses=ALWAYS, page=True),
    _page("/login", "Sign in", query={"then": "where to go on to"}),
    _page("/join", "Take an invite", (400,), query={"t": "the invite's token"}),
    _page("/passkey", "Register a passkey", by=(SESSION,)),
    _page("/account", "One's account", by=(SESSION,)),
    _page("/admin", "Administration", (401, 403), by=(SESSION,)),
    Operation("GET", "/web/{name}", "pages", "Stylesheet, script and icon", ("text/css", "text/javascript",
              "image/svg+xml"), refuses=(404,)),
)  # fmt: skip
