"""Attestations of every type, for programs of others to judge by the commands of docs/attestations.md.

The page is the test's own text: a block of it is run as it stands there, and only what it is told to expect, or the
files that it reads, are others.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from attest import signing_key, statement, verify
from attest.attester import Attester, KeyAttester
from attest.gitobject import ObjectFormat
from attest.policy import Context, Policy
from attest.types import Outcome
from notme_git import attesting
from notme_git.authority import trusted_root
from notme_git.authority.embedded import Authority
from tests.compat.signed import run
from tests.forge import attach
from tests.peers import NODE_MODULES, ROOT, SEARCH, peer
from tests.world import World

PAGE = ROOT / "docs" / "attestations.md"
BUNDLES = ("bundle.json", "key-bundle.json")
CONTEXT = Context(repository="https://git.example/app", ref="refs/heads/main")

COMMIT = "commit"
GOLDEN = {
    path.stem: path
    for path in sorted((ROOT / "tests" / "golden").glob("*.json"))
    if "_type" in json.loads(path.read_bytes())
}
COMMITS = {COMMIT: ObjectFormat.SHA1, "commit-sha256": ObjectFormat.SHA256}
NAMES = (*COMMITS, *GOLDEN)
"""Statements about commits made here, and every golden one: one of each type."""

_BLOCK = re.compile(r"^```(?:sh|js|python) (?P<name>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path = PAGE) -> dict[str, str]:
    """The named code blocks of a page, in its order."""
    found = [(each["name"], each["text"]) for each in _BLOCK.finditer(page.read_text("utf-8"))]
    assert len(dict(found)) == len(found)
    return dict(found)


def put_scripts(folder: Path) -> None:
    """What of the page is a script with a file name of its own, and npm's packages beside it."""
    for name, text in blocks().items():
        if "." in name:
            (folder / name).write_text(text, "utf-8")
    (folder / "node_modules").symlink_to(NODE_MODULES)


@dataclass(frozen=True)
class Judged:
    """An attestation as the page's commands meet it: the files they read, and the variables that say what is expected.

    `bundle.json` is signed by the verifier of an authority, `key-bundle.json` by the key to `pub.pem`.
    """

    files: Mapping[str, bytes]
    told: Mapping[str, str]

    def telling(self, **told: str) -> Judged:
        """With something else expected."""
        return replace(self, told={**self.told, **told})

    def holding(self, files: Mapping[str, bytes]) -> Judged:
        """With other files."""
        return replace(self, files={**self.files, **files})

    def altered(self, change: Callable[[Any], object]) -> Judged:
        """With both bundles, read as JSON, changed in place."""
        made = dict(self.files)
        for name in BUNDLES:
            bundle = json.loads(made[name])
            change(bundle)
            made[name] = json.dumps(bundle).encode()
        return replace(self, files=made)

    def by(self, block: str, folder: Path) -> tuple[int, str]:
        """The exit status of one block of the page, run in the empty `folder`, and all that it says."""
        put_scripts(folder)
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        return shell(blocks()[block], folder, self.told)


def shell(script: str, folder: Path, told: Mapping[str, str]) -> tuple[int, str]:
    """Run lines of bash, of which the first that fails is the last."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{SEARCH}"
    ended = run(peer("bash"), "-euc", script, cwd=folder, environ={"PATH": path, **told})
    return ended.returncode, ended.stdout + ended.stderr


def attested(folder: Path) -> Mapping[str, Judged]:
    """One attestation of each of `NAMES`, all by the same signers."""
    world = World(folder)
    world.grant()
    with world.opened() as authority:
        home = attesting.HomeAttester.enroll(authority, world.trust(), world.now)
        own = KeyAttester(signing_key.load(_key(folder)), "https://ci.example/verifier")
        files = {**anchors(authority), "pub.pem": _public(own)}
        told = {"IDENTITY": home.id, "ISSUER": authority.url}
        attesters: tuple[Attester, ...] = (home, own)
        made = {}
        for name in NAMES:
            payload = _commit(world, COMMITS[name]) if name in COMMITS else GOLDEN[name].read_bytes()
            bundles = {b: a.sign(payload, world.now) for b, a in zip(BUNDLES, attesters, strict=True)}
            made[name] = Judged({**files, **bundles}, {**told, **expected(payload)})
    return made


def strangers(folder: Path) -> Mapping[str, bytes]:
    """The anchors and the key of somebody else, under the names of the right ones."""
    with World(folder).opened() as authority:
        key = KeyAttester(signing_key.load(_key(folder)), "x")
        return {**anchors(authority), "pub.pem": _public(key)}


def expected(payload: bytes) -> dict[str, str]:
    """What a statement says of itself, as whoever is told of it out of band is told."""
    said = json.loads(payload)
    alg, digest = next(iter(said["subject"][0]["digest"].items()))
    return {"TYPE": said["predicateType"], "ALG": alg, "DIGEST": digest}


def anchors(authority: Authority) -> dict[str, bytes]:
    """What `trust export` prints for stock verifiers, and as PEM."""
    epoch = authority.epoch
    pairs = zip((epoch.root, epoch.interop_root), epoch.timestamp_certificates, strict=True)
    roots = (x509.load_der_x509_certificate(root) for root in (epoch.root, epoch.interop_root))
    return {
        "root.json": json.dumps(trusted_root.build(list(pairs))).encode(),
        "anchors.pem": b"".join(root.public_bytes(Encoding.PEM) for root in roots),
    }


def _commit(world: World, fmt: ObjectFormat) -> bytes:
    payload = world.commit(fmt=fmt)
    examination = world.examine(attach(payload, world.sign(payload), fmt), fmt=fmt)
    verdict = verify.judge(examination, Policy(), CONTEXT, at=world.now)
    assert verdict.outcome is Outcome.ACCEPTED
    return statement.build(
        examination,
        verdict,
        verifier_id="https://ci.example/verifier",
        repository=CONTEXT.repository,
        ref=CONTEXT.ref,
        at=world.now,
    )


def _key(folder: Path) -> Path:
    path = folder / "key.pem"
    path.touch(0o600)
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def _public(attester: KeyAttester) -> bytes:
    key = Ed25519PublicKey.from_public_bytes(attester.public.raw)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
