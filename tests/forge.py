"""Real certificates, signatures, time-stamps and commits for tests, made with the keys of a `Forge`.

The formats come from `attest`; the keys and every decision an authority would take come from the test,
so that a test can also make what no authority would.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import bundles, cms, dsse, gitobject, keys, profile, sshcert, sshsig, sshwire, timestamp
from attest.certificate import Anchor
from attest.claims import Claims
from attest.gitobject import ObjectFormat, ObjectKind
from attest.keys import KeyAlgorithm
from attest.profile import LeafSpec, Profile
from attest.trust import Trust
from attest.types import Assurance, Authentication, Principal, PrincipalKind
from tests import builders

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
SshEdit = Callable[[sshcert.UserCertificate], sshcert.UserCertificate]
Edit = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]

NOW = datetime(2026, 11, 23, 13, 58, 10, tzinfo=UTC)
EMPTY_TREE = {
    ObjectFormat.SHA1: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    ObjectFormat.SHA256: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
ALICE = Principal(
    id="https://authority.example/principals/alice",
    kind=PrincipalKind.HUMAN,
    name="",
    display="Alice Example",
    email="alice@example.org",
    authentication=Authentication.SELF_ASSERTED,
)
AGENT = Claims(
    actor_kind=PrincipalKind.AGENT,
    actor_name="agent-7",
    actor_email="agent-7@authority.example.invalid",
    assurance=Assurance.SAME_USER,
    represented=ALICE,
    grant_id="7d3c1c1e-5d0b-4d0e-9d0c-2f6f0e6b7a11",
    grant_sha256=hashlib.sha256(b"grant").digest(),
    session="session-42",
)
VERIFIER = Claims(
    actor_kind=PrincipalKind.VERIFIER,
    actor_name="verifier",
    actor_email="verifier@authority.example.invalid",
    assurance=Assurance.SAME_USER,
)


@dataclass(frozen=True)
class Leaf:
    """A bridge certificate and its key."""

    key: PrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def sign(self, data: bytes) -> bytes:
        return sign(self.key, data)


@dataclass(frozen=True)
class SshLeaf:
    """An OpenSSH certificate (its blob) and its key."""

    key: PrivateKey
    blob: bytes

    def armour(self, content: bytes, *, namespace: str = "git", hash_algorithm: str = "sha512") -> bytes:
        """The armoured SSH signature over `content`."""
        signed = sshsig.to_be_signed(content, namespace=namespace, hash_algorithm=hash_algorithm)
        made = sshsig.assemble(
            self.blob, sign(self.key, signed), namespace=namespace, hash_algorithm=hash_algorithm
        )
        return sshsig.ARMOUR.wrap(made)


class Forge:
    """One authority's keys: a root of `profile` and a time-stamping key under it.

    With a `seed` keys and serial numbers follow from it, and so does every byte that is made.
    """

    def __init__(
        self, of: Profile = Profile.NOTME, *, at: datetime = NOW, name: str = "authority.example", seed: str = ""
    ) -> None:
        self.profile, self.at = of, at
        self._seed, self._drawn = seed.encode() or secrets.token_bytes(32), 0
        self.root_key: PrivateKey = self.key()
        builder = profile.root(
            name, self.root_key.public_key(), serial=1, at=at - timedelta(days=1), until=at + timedelta(days=3650)
        )
        self.root = certify(builder, self.root_key)
        self.tsa_key: PrivateKey = self.key(Profile.INTEROP)
        stamping = profile.timestamping(name, self.tsa_key.public_key(), self.root, serial=2, at=at - timedelta(days=1))
        self.tsa = certify(stamping, self.root_key)

    def key(self, of: Profile | None = None) -> PrivateKey:
        """The next private key for a leaf of `of` (default: this forge's profile)."""
        secret = self._draw()
        if (of or self.profile) is Profile.INTEROP:
            return derive_private_key(int.from_bytes(secret, "big") >> 1, SECP256R1())
        return Ed25519PrivateKey.from_private_bytes(secret)

    def _draw(self) -> bytes:
        self._drawn += 1
        return hashlib.sha256(self._seed + self._drawn.to_bytes(4, "big")).digest()

    @property
    def trusted(self) -> Trust:
        return Trust(anchors=(Anchor.read(self.root),))

    def spec(
        self, claims: Claims = AGENT, *, scopes: tuple[str, ...] = ("sign:git",), at: datetime | None = None
    ) -> LeafSpec:
        """What a leaf issued at `at` (default: the forge's time) says."""
        return LeafSpec(
            profile=self.profile,
            claims=claims,
            subject=claims.actor_name,
            uri=f"wimse://authority.example/{claims.actor_kind}/{claims.actor_name}",
            scopes=scopes,
            epoch=1,
            auth_method="embedded",
            binding=hashlib.sha256(b"binding").digest(),
            issued_at=at or self.at,
            issuer_url="https://authority.example",
        )

    def leaf(
        self, claims: Claims = AGENT, *, scopes: tuple[str, ...] = ("sign:git",), at: datetime | None = None
    ) -> Leaf:
        """A leaf issued at `at` (default: the forge's time), good for five minutes."""
        return self.issue(self.spec(claims, scopes=scopes, at=at))

    def issue(self, spec: LeafSpec, *, edit: Edit = lambda builder: builder, mtls: bool = False) -> Leaf:
        """A leaf of `spec`, its builder changed by `edit` before the root signs: no authority would."""
        key = self.key(Profile.INTEROP if mtls else None)
        serial = int.from_bytes(self._draw()[:15], "big")
        build = builders.mtls_leaf if mtls else builders.signing_leaf
        return Leaf(key, certify(edit(build(spec, key.public_key(), self.root, serial=serial)), self.root_key))

    def ssh_leaf(
        self,
        claims: Claims = AGENT,
        *,
        scopes: tuple[str, ...] = ("sign:git",),
        at: datetime | None = None,
        edit: SshEdit = lambda read: read,
    ) -> SshLeaf:
        """An OpenSSH certificate as `leaf` is an X.509 one, its fields changed by `edit` before the root signs."""
        key, ca = self.key(), keys.from_cryptography(self.root_key.public_key()).raw
        point = keys.from_cryptography(key.public_key()).raw
        nonce, serial = self._draw(), int.from_bytes(self._draw()[:8], "big")
        signed = sshcert.to_be_signed(
            self.spec(claims, scopes=scopes, at=at), point, ca, serial=serial, nonce=nonce
        )
        changed = edit(sshcert.parse(sshcert.assemble(signed, bytes(64))))
        return SshLeaf(key, self.ssh_signed(changed.to_be_signed()))

    def ssh_signed(self, signed: bytes) -> bytes:
        """The certificate that the root makes of these bytes."""
        return sshcert.assemble(signed, sign(self.root_key, signed))

    def verifier(self, *, scopes: tuple[str, ...] = ("sign:attestation",), at: datetime | None = None) -> Leaf:
        return self.leaf(VERIFIER, scopes=scopes, at=at)

    def token(self, data: bytes, *, at: datetime | None = None, certificate: bool = True) -> bytes:
        """A time-stamp token over `data`, DER."""
        pending = timestamp.to_be_signed(data, at=at or self.at, serial=7, tsa=self.tsa)
        value = sign(self.tsa_key, pending.attributes.data)
        return timestamp.assemble(pending, value, tsa=self.tsa, certificate=certificate)

    def armour(
        self,
        leaf: Leaf,
        content: bytes,
        *,
        at: datetime | None = None,
        timestamped: bool = True,
        stamped_at: datetime | None = None,
    ) -> bytes:
        """The armoured CMS signature of `leaf` over `content`."""
        algorithm = KeyAlgorithm.ED25519 if isinstance(leaf.key, Ed25519PrivateKey) else KeyAlgorithm.P256
        pending = cms.to_be_signed(content, algorithm, signing_time=at or self.at)
        signature = leaf.sign(pending.data)
        token = self.token(signature, at=stamped_at or at) if timestamped else None
        return cms.ARMOUR.wrap(cms.assemble(pending, signature, signer=leaf.certificate, timestamp=token))

    def commit(
        self,
        leaf: Leaf | None,
        *,
        message: bytes = b"subject\n",
        committer: str = f"agent-7 <{AGENT.actor_email}>",
        fmt: ObjectFormat = ObjectFormat.SHA1,
        parents: tuple[str, ...] = (),
        at: datetime | None = None,
        timestamped: bool = True,
    ) -> bytes:
        """The raw bytes of a commit on the empty tree; without a leaf it is unsigned."""
        payload = commit_payload(committer=committer, message=message, fmt=fmt, parents=parents, at=at or self.at)
        if leaf is None:
            return payload
        return attach(payload, self.armour(leaf, payload, at=at, timestamped=timestamped), fmt)

    def tag(self, leaf: Leaf, target: str, *, name: str = "v1", message: bytes = b"release\n") -> bytes:
        """The raw bytes of a signed tag of the commit `target`."""
        payload = tag_payload(target, name=name, message=message, at=self.at)
        return attach(payload, self.armour(leaf, payload))

    def bundle(self, payload: bytes, leaf: Leaf | None = None, *, at: datetime | None = None) -> bundles.Bundle:
        """A bundle over `payload` by `leaf` (default: a verifier's), time-stamped at `at`."""
        signer = leaf or self.verifier(at=at)
        signature = signer.sign(dsse.pae(dsse.PAYLOAD_TYPE, payload))
        response = timestamp.response(self.token(signature, at=at))
        return bundles.assemble(payload, signature, certificate=signer.der, timestamp_response=response)


def sign(key: PrivateKey, data: bytes) -> bytes:
    """Ed25519, or ECDSA with the nonce of RFC 6979, so that vectors come out the same each time."""
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(data)
    return key.sign(data, ECDSA(SHA256(), deterministic_signing=True))


def certify(builder: x509.CertificateBuilder, key: PrivateKey) -> x509.Certificate:
    if isinstance(key, Ed25519PrivateKey):
        return builder.sign(key, None)
    return builder.sign(key, SHA256(), ecdsa_deterministic=True)


def commit_payload(
    *,
    committer: str = f"agent-7 <{AGENT.actor_email}>",
    author: str | None = None,
    message: bytes = b"subject\n",
    fmt: ObjectFormat = ObjectFormat.SHA1,
    parents: tuple[str, ...] = (),
    at: datetime = NOW,
    authored: datetime | None = None,
) -> bytes:
    """A commit on the empty tree as git hands it to a signing program. Without `author` the committer is it."""
    names = "".join(f"parent {parent}\n" for parent in parents)
    written = f"author {author or committer} {int((authored or at).timestamp())} +0000\n"
    head = f"tree {EMPTY_TREE[fmt]}\n{names}{written}committer {committer} {int(at.timestamp())} +0000\n"
    return head.encode() + b"\n" + message


def tag_payload(
    target: str,
    *,
    tagger: str | None = f"agent-7 <{AGENT.actor_email}>",
    name: str = "v1",
    message: bytes = b"release\n",
    at: datetime = NOW,
) -> bytes:
    """An annotated tag of the commit `target` as git hands it to a signing program."""
    line = f"tagger {tagger} {int(at.timestamp())} +0000\n" if tagger else ""
    return f"object {target}\ntype commit\ntag {name}\n{line}\n".encode() + message


def push_payload(*, pusher: str = f"agent-7 <{AGENT.actor_email}>", at: datetime = NOW) -> bytes:
    """A push certificate (git's `pack-protocol`) as git hands it to a signing program."""
    update = f"{'0' * 40} {'1' * 40} refs/heads/main\n"
    head = f"certificate version 0.1\npusher {pusher} {int(at.timestamp())} +0000\npushee https://git.example/app\n"
    return f"{head}nonce 1795442172-7c2b\n\n{update}".encode()


def plain_ssh(payload: bytes, seed: str = "somebody") -> bytes:
    """The armour of a signature by somebody's own SSH key, which follows from `seed`."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
    blob = sshwire.ed25519_key(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    return sshsig.ARMOUR.wrap(sshsig.assemble(blob, key.sign(sshsig.to_be_signed(payload))))


def attach(payload: bytes, armour: bytes, fmt: ObjectFormat = ObjectFormat.SHA1) -> bytes:
    """The object that git makes of a payload and its signature: a commit carries it as a header."""
    if not payload.startswith(b"tree "):
        return payload + armour
    head, message = payload.split(b"\n\n", 1)
    folded = armour.removesuffix(b"\n").replace(b"\n", b"\n ")
    return head + b"\n" + fmt.signature_header + b" " + folded + b"\n\n" + message


def commit_id(raw: bytes, fmt: ObjectFormat = ObjectFormat.SHA1) -> str:
    return gitobject.object_id(ObjectKind.COMMIT, raw, fmt)


def named(claims: Claims, **changes: object) -> Claims:
    """`claims` with some fields changed."""
    return replace(claims, **changes)  # type: ignore[arg-type]
