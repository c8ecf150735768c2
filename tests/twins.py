"""Recorded requests to the upstream authority, made again for ours: the same kind of everything, with values of today.

A recording is a list of exchanges in order. What a request holds that belongs to the server of the recording (keys,
proofs, tokens, cookies, challenges, invites, codes) is replaced by ours of the same kind, wrong in the same way. The
same recorded value is always replaced by the same one, so that a replay stays a replay.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from jwt.algorithms import ECAlgorithm

from notme_git.authority.proofs.configured import GitHub, Proofs
from notme_git.authority.settings import Compat, Limits, Rate, Settings
from tests.issuer import Issuer
from tests.passkey import Authenticator
from tests.served import Answer, Served, b64

RECORDED = "http://localhost:8788"
PRODUCTION = "https://auth.notme.bot"
"""What the server of one recording was told that it is called, so that passkeys belong to that."""

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""SP 800-186 section 3.2.1.3."""

PUBLISHED = "fake-1"
"""The name of the one key that the recorded provider published."""

GITHUB = "https://token.actions.githubusercontent.com"
CODE = "bootstrap-secret-0123456789"
COOKIE = "notme_session="
UNLIMITED = Limits(*(Rate(0, 0) for _ in Limits.__slots__))
ONE = Limits(token=Rate(1, 60), cert_gha=Rate(1, 60), passkey=Rate(1, 60))

Exchange = Mapping[str, Any]


@dataclass(slots=True)
class Twin:
    """Sends recorded requests to `server`, in their order."""

    server: Served
    issuer: Issuer
    held: dict[str, Any] = field(default_factory=dict)
    """Ours by the recorded value: cookies, tokens, nonces, invites, user ids, options of ceremonies."""

    keys: dict[bytes, Any] = field(default_factory=dict)
    passkeys: dict[str, Authenticator] = field(default_factory=dict)

    def send(self, recorded: Exchange, *, code: str = CODE) -> Answer:
        """The twin's answer; `code` goes in place of the recorded operator's code."""
        request = recorded["request"]
        path = urlsplit(request["url"])
        target = path.path + (f"?{path.query}" if path.query else "")
        for value, ours in self.held.items():
            if isinstance(ours, str):
                target = target.replace(value, ours)
        sent = self._headers(request["headers"], recorded["at"])
        body = request["body"]
        if isinstance(body, str):
            answer = self.server.request(request["method"], target, headers=sent, raw=body.encode())
        elif body is None and request["method"] == "POST" and path.path == "/cert":
            answer = self.server.request(request["method"], target, headers=sent, raw=b"null")
        else:
            ready = None if body is None else self._body(body, recorded, sent, code)
            answer = self.server.request(request["method"], target, ready, sent)
        self._remember(recorded["response"], answer)
        return answer

    def forget_token(self, recorded: Exchange) -> None:
        """Have the next twin of a request with a provider's token bring another one."""
        token = recorded["request"]["headers"].get("Authorization", "").removeprefix("Bearer ")
        if token:
            self.held.pop(token)
            self.held.pop(_part(token, 1)["jti"])

    def set(self, **changed: Any) -> None:
        """Change settings of the server."""

        def change(desk: Any) -> None:
            desk.settings = replace(desk.settings, **changed)

        self.server.within(change)

    def _headers(self, headers: Mapping[str, str], at: int) -> dict[str, str]:
        made = {name: value.replace(RECORDED, self.server.url) for name, value in headers.items()}
        if "Cookie" in made:
            made["Cookie"] = COOKIE + self._cookie(made["Cookie"].removeprefix(COOKIE))
        if "Authorization" in made:
            made["Authorization"] = "Bearer " + self._token(made["Authorization"].removeprefix("Bearer "), at)
        if "DPoP" in made:
            made["DPoP"] = self._dpop(made["DPoP"], at)
        return made

    def _cookie(self, recorded: str) -> str:
        """Our cookie for a recorded one, without its padding where that is."""
        if recorded in self.held:
            return str(self.held[recorded])
        cut = {value.replace("=", ""): ours for value, ours in self.held.items() if isinstance(ours, str)}
        return cut[recorded].replace("=", "") if recorded in cut else recorded

    def _body(self, recorded: Any, item: Exchange, sent: Mapping[str, str], code: str) -> Any:
        body = json.loads(json.dumps(recorded).replace(json.dumps(CODE), json.dumps(code)))
        for holder in (body, body.get("proof") or {}):
            if str(holder.get("token", "")).startswith("eyJ"):
                holder["token"] = self._token(holder["token"], item["at"])
            elif "token" in holder:
                holder["token"] = self.held.get(holder["token"], holder["token"])
        if "userId" in body:
            body["userId"] = self.held.get(body["userId"], body["userId"])
        if "response" in body:
            body["response"] = self._ceremony(body["response"])
        if "cert" in (proof := body.get("proof") or {}):
            proof["cert"] = self.held.get(proof["cert"], proof["cert"])
        if "public_keys" in body or "proofs" in body:
            self._possession(body, item, sent)
        return body

    def _possession(self, body: dict[str, Any], item: Exchange, sent: Mapping[str, str]) -> None:
        """Keys of the recorded kinds, and proofs over what the route wants, wrong as the recording's name says."""
        public = {name: self._key(text) for name, text in body.get("public_keys", {}).items()}
        if public:
            body["public_keys"] = {name: text for name, (_, text) in public.items()}
        order = ("signing", "mtls") if "swapped-preimage" in item["name"] else ("mtls", "signing")
        preimage = b"".join(_spki(public[name][0]) for name in order if name in public)
        if "without-session-hash" not in item["name"] and "no-jwt-hash" not in item["name"]:
            preimage += _bound(urlsplit(item["request"]["url"]).path, sent)
        proofs = body.get("proofs", {})
        for name in [name for name, proof in proofs.items() if isinstance(proof, str)]:
            proofs[name] = _written(item["name"], name, public.get(name, (None,))[0], preimage)

    def _key(self, recorded: Any) -> tuple[Any, Any]:
        """Our key for a recorded one, and its text with the same quirks."""
        try:
            der = base64.b64decode("".join(x for x in recorded.split("\n") if "--" not in x), validate=False)
            found = load_der_public_key(der)
        except (ValueError, AttributeError, binascii.Error, UnsupportedAlgorithm):
            return None, recorded
        if der not in self.keys:
            curve = found.curve if isinstance(found, ec.EllipticCurvePublicKey) else None
            self.keys[der] = ec.generate_private_key(curve) if curve else ed25519.Ed25519PrivateKey.generate()
        text = self.keys[der].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        if "-----" not in recorded:
            text = "".join(text.splitlines()[1:-1])
        return self.keys[der], text.replace("\n", "\r\n") if "\r\n" in recorded else text

    def _token(self, recorded: str, at: int) -> str:
        """A provider's token with the recorded claims, moved to now."""
        if recorded not in self.held:
            header, claims = (_part(recorded, n) for n in (0, 1))
            moved = {k: v + self._now - at if k in ("iat", "nbf", "exp") else v for k, v in claims.items()}
            if "jti" in claims:
                moved["jti"] = self.held.setdefault(claims["jti"], str(uuid.uuid4()))
            moved["iss"] = self.issuer.url if claims["iss"] == GITHUB else claims["iss"]
            absent = dict.fromkeys(("jti", "nbf", "aud"))
            kid = "rsa" if header.get("kid") == PUBLISHED else header.get("kid")
            made = self.issuer.token(kid="rsa", header={"kid": kid}, **{**absent, **moved})
            self.held[recorded] = self._spoilt(recorded, header, made)
        return str(self.held[recorded])

    def _spoilt(self, recorded: str, header: Mapping[str, Any], made: str) -> str:
        _, payload, _ = made.split(".")
        if header["alg"] == "none":
            return f"{b64(json.dumps(header).encode())}.{payload}."
        return f"{made[:-4]}AAAA" if recorded.endswith("AAAA") else made

    @property
    def _now(self) -> int:
        return int(self.server.world.now.timestamp())

    def _dpop(self, recorded: str, at: int) -> str:
        """A DPoP proof with the recorded header and claims, under a key of ours."""
        if recorded not in self.held:
            header, claims = (_part(recorded, n) for n in (0, 1))
            key = self.keys.setdefault(b"dpop", ec.generate_private_key(ec.SECP256R1()))
            moved = {**claims, "iat": claims["iat"] + self._now - at}
            moved["htu"] = claims["htu"].replace(RECORDED, self.server.url)
            if "nonce" in claims:
                moved["nonce"] = self.held.get(claims["nonce"], claims["nonce"])
            jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
            made = jwt.encode(moved, key, "ES256", headers={"typ": header["typ"], "jwk": jwk})
            if header["alg"] != "ES256":
                said = {**header, "jwk": jwk}
                made = b64(json.dumps(said).encode()) + made[made.index(".") :]
            self.held[recorded] = made
        return str(self.held[recorded])

    def _ceremony(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """A passkey's answer to our options, by an authenticator that stands for the recorded one."""
        said = json.loads(_unb64(recorded["response"]["clientDataJSON"]))
        origin = said["origin"].replace(RECORDED, self.server.url).replace(PRODUCTION, self.server.url)
        device = self.passkeys.setdefault(recorded["id"], Authenticator(origin))
        device.origin = origin
        once = f"{said['type']} {said['challenge']}"
        if once not in self.held:
            options = self.held[said["challenge"]]
            self.held[once] = device.create(options) if said["type"] == "webauthn.create" else device.get(options)
            if "userHandle" not in recorded["response"]:
                self.held[once]["response"].pop("userHandle", None)
        return dict(self.held[once])

    def _remember(self, recorded: Mapping[str, Any], answer: Answer) -> None:
        """What later requests refer to."""
        if "Set-Cookie" in recorded["headers"] and "set-cookie" in answer.headers:
            self.held[_cookie(recorded["headers"]["Set-Cookie"])] = _cookie(answer.headers["set-cookie"])
        if "DPoP-Nonce" in recorded["headers"] and "dpop-nonce" in answer.headers:
            self.held[recorded["headers"]["DPoP-Nonce"]] = answer.headers["dpop-nonce"]
        if recorded["body_kind"] != "json" or answer.status != 200 or answer.body[:1] != b"{":
            return
        theirs, ours = recorded["body"], answer.json
        for name in ("token", "userId"):
            if isinstance(theirs.get(name), str) and name in ours:
                self.held[theirs[name]] = ours[name]
        for told, options in ((theirs, ours), (theirs.get("options") or {}, ours.get("options") or {})):
            if "challenge" in told:
                self.held[told["challenge"]] = options
        if "certificates" in theirs and "certificates" in ours:
            self.held[theirs["certificates"]["signing"]] = ours["certificates"]["signing"]


def _bound(path: str, sent: Mapping[str, str]) -> bytes:
    """What a route's pre-image has beyond the keys (`authority-protocol.md` 2)."""
    if path == "/cert/gha":
        return hashlib.sha256(sent["Authorization"].removeprefix("Bearer ").encode()).digest()
    if path == "/cert/passkey":
        return hashlib.sha256(sent["Cookie"].removeprefix(COOKIE).encode()).digest()
    return b""


def _written(case: str, name: str, key: Any, preimage: bytes) -> str:
    """One proof, made and spelt as the recording of that name has it."""
    digest = case.endswith("digest") or ("mixed" in case and name == "signing")
    message = hashlib.sha256(preimage).digest() if digest else preimage
    if key is None:
        signature = bytes(64)
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        signature = bytes(64) if case == "bootstrap-bad-ed25519-proof" else key.sign(message)
    else:
        der = key.sign(message, ec.ECDSA(hashes.SHA256()))
        size = key.curve.key_size // 8
        r, s = decode_dss_signature(der)
        if case == "ecdsa-flipped-s":
            s = P256_ORDER - s
        raw = r.to_bytes(size, "big") + s.to_bytes(size, "big")
        signature = der if case == "bootstrap-der-ecdsa-sig" else raw
    spelt: Mapping[str, Callable[[bytes], str]] = {
        "bootstrap-hex-proof": bytes.hex,
        "bootstrap-std-base64-padded": lambda data: base64.b64encode(data).decode(),
    }
    return spelt.get(case, b64)(signature)


def _spki(key: Any) -> bytes:
    if key is None:
        return b""
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _cookie(header: str) -> str:
    return header.partition(";")[0].removeprefix(COOKIE)


def _part(token: str, number: int) -> dict[str, Any]:
    return dict(json.loads(_unb64(token.split(".")[number])))


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def settings_for(issuer: Issuer, **more: Any) -> Settings:
    """As the recorded server was set up, as far as ours can be: no nonce at /cert, jobs of one owner, no limits."""
    return Settings(
        audiences=("https://notme.bot", "https://rosary.bot"),
        origins=("https://rosary.bot",),
        limits=UNLIMITED,
        compat=Compat(no_nonce=True),
        proofs=Proofs(github=GitHub(owners=("agentic-research",), issuer=issuer.url)),
        **more,
    )
