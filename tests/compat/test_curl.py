"""A client that we did not write: curl asks, openssl makes the keys and the proofs, and judges the answer."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers import peer
from tests.served import Served, served
from tests.world import World


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path)) as running:
        yield running


def run(*words: object, stdin: bytes = b"") -> bytes:
    return subprocess.run([str(word) for word in words], input=stdin, capture_output=True, check=True).stdout


def curl(url: str, *words: object) -> Any:
    got = run(peer("curl"), "-sS", "--fail-with-body", *words, url)
    return json.loads(got) if got[:1] == b"{" else got


def keys(folder: Path) -> tuple[bytes, bytes]:
    """A P-256 and an Ed25519 key in files; returns both SubjectPublicKeyInfo."""
    openssl = peer("openssl")
    run(openssl, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / "mtls.key")
    run(openssl, "genpkey", "-algorithm", "ED25519", "-out", folder / "signing.key")
    made = [run(openssl, "pkey", "-in", folder / f"{n}.key", "-pubout", "-outform", "DER") for n in ("mtls", "signing")]
    return made[0], made[1]


def prove(folder: Path, message: bytes) -> tuple[str, str]:
    """Raw r||s and Ed25519, as base64url."""
    openssl = peer("openssl")
    (folder / "message").write_bytes(message)
    der = run(openssl, "dgst", "-sha256", "-sign", folder / "mtls.key", folder / "message")
    numbers = re.findall(rb"INTEGER\s*:([0-9A-F]+)", run(openssl, "asn1parse", "-inform", "DER", stdin=der))
    raw = b"".join(bytes.fromhex(number.decode().rjust(64, "0")) for number in numbers)
    signing = ("pkeyutl", "-sign", "-rawin", "-inkey", folder / "signing.key", "-in", folder / "message")
    return b64(raw), b64(run(openssl, *signing))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def pem(spki: bytes) -> str:
    return f"-----BEGIN PUBLIC KEY-----\n{base64.encodebytes(spki).decode()}-----END PUBLIC KEY-----\n"


def test_curl_and_openssl_enrol_and_openssl_takes_the_chain_strictly(server: Served, tmp_path: Path) -> None:
    openssl, cookie = peer("openssl"), server.cookie(server.account())
    found = curl(f"{server.url}/.well-known/signet-authority.json")
    (tmp_path / "root.pem").write_bytes(curl(found["ca_bundle_endpoint"]) + b"\n")
    nonce = curl(found["nonce_endpoint"])["nonce"]
    mtls, signing = keys(tmp_path)
    digest = run(openssl, "dgst", "-sha256", "-binary", stdin=nonce.encode())
    proofs = prove(tmp_path, mtls + signing + digest)
    body = {
        "proof": {"type": "session"},
        "nonce": nonce,
        "public_keys": {"mtls": pem(mtls), "signing": pem(signing)},
        "proofs": {"mtls": proofs[0], "signing": proofs[1]},
    }
    headers = ("-H", "Content-Type: application/json", "-b", f"notme_session={cookie}")
    answer = curl(found["cert_endpoint"], *headers, "-d", json.dumps(body))
    assert bytes.fromhex(answer["binding"]) == run(openssl, "dgst", "-sha256", "-binary", stdin=mtls + signing)
    at = str(int(server.world.now.timestamp()))
    for which in ("mtls", "signing"):
        leaf = tmp_path / f"{which}.pem"
        leaf.write_text(answer["certificates"][which])
        strict = (openssl, "verify", "-x509_strict", "-attime", at, "-CAfile", tmp_path / "root.pem", leaf)
        assert run(*strict).strip().endswith(b": OK")
        assert run(openssl, "x509", "-in", leaf, "-pubkey", "-noout") == run(
            openssl, "pkey", "-in", tmp_path / f"{which}.key", "-pubout"
        )


def test_what_curl_finds_leads_to_where_it_says(server: Served) -> None:
    found = curl(f"{server.url}/.well-known/signet-authority.json")
    for name in ("ca_bundle_endpoint", "jwks_uri", "nonce_endpoint", "trust_bundle_endpoint", "documentation"):
        assert curl(found[name]), name
    metadata = curl(f"{server.url}/.well-known/oauth-authorization-server")
    assert metadata["issuer"] == found["issuer"]
    assert curl(f"{server.url}/health") == b"ok"
