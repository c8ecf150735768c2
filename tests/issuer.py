"""An OpenID provider on loopback, for tests: discovery, keys and tokens as GitHub, GitLab and Kubernetes write them.

Tokens and keys are written by PyJWT, so that what reads them here is judged by the work of others. It tells the truth
until a test says otherwise: `answers` puts another answer in place of an honest one, `down` closes the door.
"""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import json
import ssl
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/keys"
ACTIONS = "/actions/token"
AUDIENCE = "notme.bot"
REQUEST_TOKEN = "what-a-job-asks-with"
SHA = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True, slots=True)
class Said:
    """An answer that a test chose. A header that is empty is not sent, and closes the connection at the end.

    With `hold` half of the body comes, and the rest only when that is set.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None


@functools.cache
def private_key(kid: str) -> Any:
    """The key of that name, the same throughout a run: `rsa...`, `ec...`, `ed...`, `weak...` (RSA of 1024 bits)."""
    if kid.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    if kid.startswith("ed"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 1024 if kid.startswith("weak") else 2048)


def algorithm(kid: str) -> str:
    """What a key of that name signs with."""
    return "ES256" if kid.startswith("ec") else "EdDSA" if kid.startswith("ed") else "RS256"


def jwk(kid: str, *, private: bool = False) -> dict[str, Any]:
    """A key of a JWKS."""
    writer: Any = {"ES256": ECAlgorithm, "EdDSA": OKPAlgorithm, "RS256": RSAAlgorithm}[algorithm(kid)]
    key = private_key(kid) if private else private_key(kid).public_key()
    return {**writer.to_jwk(key, as_dict=True), "kid": kid, "use": "sig", "alg": algorithm(kid)}


class Issuer:
    """`with Issuer(lambda: world.now) as issuer:`. `keys` are the names of those it publishes.

    With `tls`, a folder, it speaks HTTPS under a certificate that only the file `ca_file` there vouches for.
    """

    def __init__(
        self,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        *,
        keys: tuple[str, ...] = ("rsa", "ec"),
        tls: Path | None = None,
    ) -> None:
        self.clock, self.keys = clock, keys
        self.answers: dict[str, Said] = {}
        self.asked: list[str] = []
        self.bearer = ""
        self.down = False
        self.job: dict[str, Any] = {}
        """Claims of the tokens that a job gets at `ACTIONS`, beside its audience."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, self))
        self._server.daemon_threads = True
        self.ca_file = tls / "issuer-ca.pem" if tls else None
        if tls:
            self._server.socket = _tls(tls).wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Issuer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for said in self.answers.values():
            if said.hold:
                said.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def jwks(self) -> dict[str, Any]:
        """The keys as they are published."""
        return {"keys": [jwk(kid) for kid in self.keys]}

    def token(self, *, kid: str = "", header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token of five minutes for `AUDIENCE`; a claim or header of None is left out. Signed by the first key."""
        signer, now = kid or self.keys[0], int(self.clock().timestamp())
        base = {"iss": self.url, "sub": "someone", "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300}
        said = {**base, "jti": str(uuid.uuid4()), **claims}
        payload = {name: value for name, value in said.items() if value is not None}
        headers = {name: value for name, value in {"kid": signer, **(header or {})}.items() if value is not None}
        return jwt.encode(payload, private_key(signer), algorithm(signer), headers=headers)

    def github_token(self, repository: str = "example/tool", *, kid: str = "", **overrides: Any) -> str:
        """As GitHub Actions writes one for a push to main."""
        owner, ref = repository.partition("/")[0], "refs/heads/main"
        workflow = f"{repository}/.github/workflows/ci.yml@{ref}"
        claims = {
            "sub": f"repo:{repository}:ref:{ref}",
            "repository": repository,
            "repository_owner": owner,
            "repository_id": "74",
            "repository_owner_id": "65",
            "repository_visibility": "public",
            "ref": ref,
            "ref_type": "branch",
            "sha": SHA,
            "actor": "alice",
            "actor_id": "12",
            "workflow": "ci",
            "workflow_ref": workflow,
            "workflow_sha": SHA,
            "job_workflow_ref": workflow,
            "job_workflow_sha": SHA,
            "run_id": "30433642",
            "run_number": "10",
            "run_attempt": "1",
            "event_name": "push",
            "runner_environment": "github-hosted",
        }
        return self.token(kid=kid, **{**claims, **overrides})

    def gitlab_token(self, project: str = "example/tool", *, kid: str = "", **overrides: Any) -> str:
        """As GitLab writes one for a job of a branch; its version 17 and later."""
        namespace = project.rpartition("/")[0]
        claims = {
            "sub": f"project_path:{project}:ref_type:branch:ref:main",
            "namespace_id": "72",
            "namespace_path": namespace,
            "project_id": "20",
            "project_path": project,
            "project_visibility": "private",
            "user_id": "1",
            "user_login": "alice",
            "user_email": "alice@example.org",
            "pipeline_id": "574",
            "pipeline_source": "push",
            "job_id": "302",
            "ref": "main",
            "ref_type": "branch",
            "ref_path": "refs/heads/main",
            "ref_protected": "true",
            "runner_id": 1,
            "runner_environment": "gitlab-hosted",
            "sha": SHA,
            "ci_config_ref_uri": f"gitlab.example/{project}//.gitlab-ci.yml@refs/heads/main",
            "ci_config_sha": SHA,
        }
        return self.token(kid=kid, **{**claims, **overrides})

    def kubernetes_token(self, namespace: str = "ci", account: str = "builder", *, kid: str = "", **more: Any) -> str:
        """As a cluster projects one into a pod: the audience is a list, the facts stand in one object."""
        facts = {
            "namespace": namespace,
            "node": {"name": "node-1", "uid": "9b2c6c5e-6b2f-4b0e-8d3b-3f0f0c6f8d11"},
            "pod": {"name": f"{account}-7c9", "uid": "7f2b8f64-0f53-4bd5-9a46-0c2d4b6e2f11"},
            "serviceaccount": {"name": account, "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
            "warnafter": int(self.clock().timestamp()) + 200,
        }
        claims = {"aud": [AUDIENCE], "sub": f"system:serviceaccount:{namespace}:{account}", "kubernetes.io": facts}
        return self.token(kid=kid, **{**claims, **more})

    def actions_environment(self) -> dict[str, str]:
        """What a runner gives a job that may ask for a token; `job` are the overrides of its `github_token`."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}{ACTIONS}?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
        }

    def say(self, path: str, authorization: str) -> Said:
        """The answer to GET `path`."""
        parts = urlsplit(path)
        self.asked.append(parts.path)
        if parts.path in self.answers:
            return self.answers[parts.path]
        if self.bearer and authorization != f"Bearer {self.bearer}":
            return Said(b"{}", 401)
        if parts.path == DISCOVERY:
            return _json({"issuer": self.url, "jwks_uri": self.url + JWKS})
        if parts.path == JWKS:
            return _json(self.jwks())
        if parts.path == ACTIONS and authorization.lower() == f"bearer {REQUEST_TOKEN}":
            audience = parse_qs(parts.query).get("audience", ["https://github.com/example"])[0]
            return _json({"value": self.github_token(**{"aud": audience, **self.job})})
        return Said(b"not found", 404)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, issuer: Issuer, *arguments: Any) -> None:
        self.issuer = issuer
        super().__init__(*arguments)

    def do_GET(self) -> None:
        if self.issuer.down:
            self.close_connection = True
            return
        said = self.issuer.say(self.path, self.headers.get("Authorization", ""))
        self.send_response(said.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(said.body)), **said.headers}
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.close_connection |= "" in headers.values()
        half = len(said.body) // 2 if said.hold else len(said.body)
        try:
            self.wfile.write(said.body[:half])
            if said.hold:
                said.hold.wait()
                self.wfile.write(said.body[half:])
        except OSError:  # whoever asked has seen enough
            self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing on the test's standard error."""


def _json(value: Any) -> Said:
    return Said(json.dumps(value).encode())


def _tls(folder: Path) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that vouches for itself, as `ca_file` and in a context."""
    key = private_key("ec-tls")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    today = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    file, private = folder / "issuer-ca.pem", folder / "issuer-key.pem"
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, private)
    return context
