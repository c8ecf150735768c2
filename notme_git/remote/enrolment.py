"""Enrolment over HTTP: keys made in memory, proofs over a nonce of the authority, an answer checked before use.

Nothing in an answer is believed: the certificate has to be over our own key, under a pinned anchor, of the profile and
the scope that were asked for, and the fields beside it have to say what it says.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import certificate, sshcert, timestamp
from attest.certificate import Anchor, Chain
from attest.errors import Error, MalformedError, RefusedError
from attest.profile import Profile
from notme_git.authority.issue import binding_preimage
from notme_git.authority.keystore import PrivateKey
from notme_git.enroll.keys import new_signing_key, proof, spki
from notme_git.enroll.local import Credential
from notme_git.remote.client import AuthorityError, Client

MAX_CERTIFICATE = 32 * 1024
NOT_FOUND = 404
COOKIE = "notme_session"


class Proof(Protocol):
    """How this machine shows the authority who asks: by a session, or by what its surroundings hand out."""

    @property
    def names_agent(self) -> bool:
        """Whether the agent is to be named: a human has several, a workload is one."""

    def send(self, client: Client, body: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
        """Ask for a pair with this proof; `body` says what for. Raises as `Client.post` does."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A pair of new keys."""

    mtls: ec.EllipticCurvePrivateKey = field(repr=False)
    signing: PrivateKey = field(repr=False)

    @classmethod
    def new(cls, profile: Profile) -> Keys:
        """For a profile's algorithm."""
        return cls(ec.generate_private_key(ec.SECP256R1()), new_signing_key(profile))

    def proven(self, suffix: bytes) -> dict[str, Any]:
        """`public_keys` and `proofs` of a request, over the pre-image with `suffix` (`authority-protocol.md` 2)."""
        message = binding_preimage(spki(self.mtls), spki(self.signing)) + suffix
        return {
            "public_keys": {"mtls": pem(self.mtls), "signing": pem(self.signing)},
            "proofs": {"mtls": b64(proof(self.mtls, message)), "signing": b64(proof(self.signing, message))},
        }


@dataclass(frozen=True, slots=True)
class BySession:
    """Whoever signed in with `notme-git login`."""

    session: str = field(repr=False)
    names_agent: bool = True

    def send(self, client: Client, body: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
        """See `Proof`."""
        return send_with_nonce(client, {**body, "proof": {"type": "session"}}, keys, {"Cookie": cookie(self.session)})


@dataclass(frozen=True, slots=True)
class RemoteStamper:
    """The authority's time-stamps, asked for one by one."""

    client: Client
    profile: Profile
    anchors: tuple[Anchor, ...] = field(repr=False)

    def stamp(self, data: bytes, _at: datetime) -> bytes:
        """DER of an RFC 3161 token over `data`, which is verified. Its time is the authority's."""
        query = timestamp.query(data, secrets.randbits(63))
        path = f"/timestamp?profile={self.profile}"
        token = timestamp.open_response(self.client.fetch(path, query, "application/timestamp-query"))
        timestamp.verify_timestamp(token, data, self.anchors)
        return token


def enroll(
    client: Client,
    shown: Proof,
    *,
    agent: str,
    profile: Profile,
    scope: str,
    anchors: tuple[Anchor, ...],
    session: str = "",
    task_digest: bytes = b"",
    grant: str = "",
) -> Credential:
    """A credential for `agent` (empty: for whoever is shown), checked against the pinned `anchors`.

    With the id of a `grant` it is by that one and by no other.

    Raises `RefusedError` where the authority refuses or answers something else than was asked for.
    """
    keys = Keys.new(profile)
    body: dict[str, Any] = {"scopes": [scope], "profile": profile.value}
    if agent:
        body["agent"] = agent
    if session:
        body |= {"session_id": session, "task_digest": task_digest.hex()}
    if grant:
        body["grant"] = grant
    answer = shown.send(client, body, keys)
    try:
        made = _checked(answer, keys, client, profile, scope, anchors)
        if agent and (claims := made.chain.leaf.claims) is not None and claims.actor_name != agent:
            raise MalformedError(f"the certificate is of {claims.actor_name}, not of {agent}")
        return made
    except (Error, KeyError, TypeError, ValueError) as error:
        raise other_answer(client, error) from None


def other_answer(client: Client, error: Exception) -> RefusedError:
    """For an answer that does not hold; `error` says why."""
    why = error.message if isinstance(error, Error) else f"{type(error).__name__}: {error}"
    return RefusedError(
        f"the authority {client.url} answered what was not asked for: {why}",
        hint="is the right authority pinned? notme-git trust list",
    )


def send_with_nonce(
    client: Client, body: Mapping[str, Any], keys: Keys, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """`POST /cert` over a fresh nonce; an upstream authority, which has none, gets its own form of proofs."""
    try:
        nonce = str(client.get("/nonce")["nonce"])
    except AuthorityError as refused:
        if refused.status != NOT_FOUND:
            raise
        plain = {name: body[name] for name in ("proof", "scopes") if name in body}
        return client.post("/cert", {**plain, **keys.proven(b"")}, headers)
    suffix = hashlib.sha256(nonce.encode()).digest()
    return client.post("/cert", {**body, "nonce": nonce, **keys.proven(suffix)}, headers)


def _checked(
    answer: Mapping[str, Any],
    keys: Keys,
    client: Client,
    profile: Profile,
    scope: str,
    anchors: tuple[Anchor, ...],
) -> Credential:
    signing, mtls = (read_certificate(answer["certificates"][which]) for which in ("signing", "mtls"))
    chain = certificate.verify_chain(signing, (), anchors)
    leaf = chain.leaf
    if leaf.key.spki != spki(keys.signing) or certificate.key_of(mtls).spki != spki(keys.mtls):
        raise MalformedError("a certificate is over another key than ours")
    certificate.verify_issued(mtls, chain.anchor.key)
    if chain.anchor.profile not in (profile, Profile.UPSTREAM) or scope not in (*leaf.scopes, *_upstream(chain)):
        raise MalformedError(f"the certificate is of profile {chain.anchor.profile} with {', '.join(leaf.scopes)}")
    binding = hashlib.sha256(binding_preimage(spki(keys.mtls), spki(keys.signing))).hexdigest()
    said = (answer["identity"], answer["expires_at"], answer["binding"], tuple(answer["scopes"]))
    if said != (leaf.uri, int(leaf.not_after.timestamp()), leaf.binding.hex(), leaf.scopes):
        raise MalformedError("the answer says something else than its certificate")
    if leaf.binding.hex() != binding:
        raise MalformedError("the certificate binds other keys")
    blob = _ssh(answer.get("ssh_certificate"))
    return Credential(
        chain=chain,
        certificate=signing,
        der=signing.public_bytes(Encoding.DER),
        _key=keys.signing,
        _stamper=RemoteStamper(client, profile, anchors),
        ssh_certificate=blob,
        ssh_chain=_ssh_chain(blob, leaf.key.raw, anchors, profile) if blob else None,
    )


def _upstream(chain: Chain) -> tuple[str, ...]:
    """An upstream certificate carries `bridgeCert` for whatever was asked."""
    return ("sign:git",) if chain.anchor.profile is Profile.UPSTREAM else ()


def _ssh_chain(blob: bytes, raw: bytes, anchors: tuple[Anchor, ...], profile: Profile) -> Chain:
    read = sshcert.parse(blob)
    chain = sshcert.verify_chain(read, anchors, profile)
    if chain.leaf.key.raw != raw:
        raise MalformedError("the OpenSSH certificate is over another key than ours")
    return chain


def read_certificate(text: object) -> x509.Certificate:
    """The one certificate in PEM text; `MalformedError`, or `ValueError` for another number of them."""
    if not isinstance(text, str) or len(text) > MAX_CERTIFICATE:
        raise MalformedError("a certificate is no text, or a long one")
    (found,) = certificate.load_pem(text.encode())
    return found


def _ssh(line: object) -> bytes:
    if line is None:
        return b""
    if not isinstance(line, str) or len(line) > MAX_CERTIFICATE or len(line.split()) < 2:
        raise MalformedError("the OpenSSH certificate is none")
    try:
        return base64.b64decode(line.split()[1], validate=True)
    except binascii.Error:
        raise MalformedError("the OpenSSH certificate is no base64") from None


def cookie(value: str) -> str:
    """The header's value that shows a session."""
    return f"{COOKIE}={value}"


def pem(key: PrivateKey) -> str:
    """SubjectPublicKeyInfo, PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def b64(data: bytes) -> str:
    """base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
