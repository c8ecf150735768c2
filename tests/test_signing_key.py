"""Key files of the verifying side: what is taken, and what is refused with which sentence."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from attest import keys, signing_key
from attest.errors import UnavailableError, VerificationError
from tests.peers import peer

PKCS8, NONE = PrivateFormat.PKCS8, NoEncryption()
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PEM = KEY.private_bytes(Encoding.PEM, PKCS8, NONE)
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def written(folder: Path, data: bytes, mode: int = 0o600) -> Path:
    path = folder / "key.pem"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_key_that_openssl_made_signs_what_openssl_verifies(tmp_path: Path) -> None:
    openssl = peer("openssl")
    path, public = tmp_path / "made.pem", tmp_path / "public.pem"
    subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", path], check=True)
    path.chmod(0o600)
    subprocess.run([openssl, "pkey", "-in", path, "-pubout", "-out", public], check=True)
    key = signing_key.load(path)
    (tmp_path / "data").write_bytes(b"seen")
    (tmp_path / "signature").write_bytes(key.sign(b"seen"))
    files = ("-in", tmp_path / "data", "-sigfile", tmp_path / "signature")
    command: list[str | Path] = [openssl, "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public, *files]
    checked = subprocess.run(command, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout
    assert signing_key.load_public(public) == key.public


def test_a_signature_is_over_the_very_bytes(tmp_path: Path) -> None:
    key = signing_key.load(written(tmp_path, PEM))
    keys.verify_signature(key.public, key.sign(b"a"), b"a")
    with pytest.raises(VerificationError):
        keys.verify_signature(key.public, key.sign(b"a"), b"b")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(UnavailableError, match="open to other users") as refused:
        signing_key.load(written(tmp_path, PEM, mode))
    assert refused.value.hint.startswith("chmod 600 ")


BAD = {
    "an encrypted key": KEY.private_bytes(Encoding.PEM, PKCS8, BestAvailableEncryption(b"secret")),
    "a P-256 key": generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PKCS8, NONE),
    "a public key": PUBLIC,
    "DER": KEY.private_bytes(Encoding.DER, PKCS8, NONE),
    "an empty file": b"",
    "a large file": PEM + b"#" * signing_key.MAX_KEY_BYTES,
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_what_is_no_plain_ed25519_key_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnavailableError, match=r"holds no|larger than"):
        signing_key.load(written(tmp_path, content))


CUT = {"private": PEM, "empty": b"", "cut": b"-----BEGIN PUBLIC KEY-----\n", "openssh": b"ssh-ed25519 AAAA\n"}


@pytest.mark.parametrize("content", CUT.values(), ids=CUT)
def test_what_is_no_public_key_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnavailableError, match="holds no public key"):
        signing_key.load_public(written(tmp_path, content, 0o644))


@pytest.mark.parametrize("private", [KEY, generate_private_key(SECP256R1())], ids=["ed25519", "p256"])
def test_a_public_key_is_read_as_openssl_and_as_openssh_write_it(
    tmp_path: Path, private: Ed25519PrivateKey | EllipticCurvePrivateKey
) -> None:
    public = private.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    openssh = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" me@here\n"
    found = [signing_key.load_public(written(tmp_path, data)) for data in (pem, openssh)]
    assert found == [keys.from_cryptography(public)] * 2


def test_a_public_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    pem = generate_private_key(SECP384R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(UnavailableError, match="refused: public key algorithm"):
        signing_key.load_public(written(tmp_path, pem))


def test_a_key_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, PEM)
    os.chown(path, 1, -1) if os.geteuid() == 0 else monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(UnavailableError, match="another user"):
        signing_key.load(path)


def test_a_pipe_or_a_missing_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnavailableError, match="is not a file"):
        signing_key.load(tmp_path / "pipe")
    with pytest.raises(UnavailableError, match="No such file"):
        signing_key.load(tmp_path / "absent")
