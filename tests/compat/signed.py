"""Signatures of a simulated authority as files, for programs of others to judge."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from attest import cms, timestamp
from attest.profile import Profile
from tests.forge import Forge, PrivateKey, certify
from tests.world import World

SECONDS = 60
A_DAY = timedelta(days=1)


def now() -> datetime:
    """The machine's time, which the programs of others go by unless told another; whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def run(
    program: Path, *arguments: str | Path, cwd: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of others, whatever its exit status."""
    return subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@dataclass(frozen=True)
class Signed:
    """One commit's payload and its signature by an agent, under `profile`, made at the world's time.

    `write` puts into `folder`: payload, tampered, signature.der, value (the signature's bytes alone),
    token.der, response.der, and as PEM leaf, mtls, verifier, tsa, root and impostor.
    """

    folder: Path
    world: World
    profile: Profile

    @property
    def epoch_seconds(self) -> str:
        return str(int(self.world.now.timestamp()))

    @cached_property
    def payload(self) -> bytes:
        return self.world.commit()

    @cached_property
    def signature(self) -> bytes:
        """DER."""
        return cms.ARMOUR.open(self.world.sign(self.payload, profile=self.profile))

    @cached_property
    def message(self) -> cms.SignedMessage:
        return cms.parse(self.signature)

    @cached_property
    def forge(self) -> Forge:
        return self.world.forge(self.profile)

    def write(self) -> Signed:
        """Write the files and return self."""
        forge, token = self.forge, self.message.timestamps[0]
        for name, data in {
            "payload": self.payload,
            "tampered": self.payload.replace(b"subject", b"Subject"),
            "signature.der": self.signature,
            "value": self.message.signature,
            "token.der": token,
            "response.der": timestamp.response(token),
            "leaf": pem(self.message.signer),
            "mtls": pem(forge.issue(forge.spec(), mtls=True).certificate),
            "verifier": pem(forge.verifier().certificate),
            "tsa": pem(forge.tsa),
            "root": pem(forge.root),
            "impostor": pem(impostor(forge.root, forge.key())),
        }.items():
            (self.folder / name).write_bytes(data)
        return self


def sign(folder: Path, profile: Profile, at: datetime) -> Signed:
    """A new authority, and one commit signed by its agent at `at`."""
    world = World(folder, at=at)
    world.grant()
    return Signed(folder, world, profile).write()


def impostor(root: x509.Certificate, key: PrivateKey) -> x509.Certificate:
    """Another's root: names, serial number, key identifier and dates of `root`, and a key of its own."""
    builder = x509.CertificateBuilder(
        subject_name=root.subject,
        issuer_name=root.issuer,
        public_key=key.public_key(),
        serial_number=root.serial_number,
        not_valid_before=root.not_valid_before_utc,
        not_valid_after=root.not_valid_after_utc,
    )
    for extension in root.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return certify(builder, key)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
