"""`POST /timestamp` with the tools that others have for it: openssl asks and verifies."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from attest import certificate, timestamp
from attest.profile import Profile
from notme_git.authority.settings import Limits, Rate, Settings
from tests.peers import peer
from tests.served import Answer, Served, served
from tests.world import World

QUERY = {"Content-Type": "application/timestamp-query"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path), Settings(limits=Limits(timestamp=Rate(5, 60)))) as running:
        yield running


def ask(server: Served, query: bytes, profile: str = "notme") -> Answer:
    return server.request("POST", f"/timestamp?profile={profile}", raw=query, headers=QUERY)


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("profile", ["notme", "interop"])
def test_openssl_asks_and_verifies(server: Served, tmp_path: Path, profile: str, digest: str) -> None:
    openssl, data = peer("openssl"), tmp_path / "data"
    data.write_bytes(b"what is to be dated")
    query, reply, root = tmp_path / "query", tmp_path / "reply", tmp_path / "root.pem"
    run(openssl, "ts", "-query", "-data", data, "-cert", f"-{digest}", "-out", query)
    got = ask(server, query.read_bytes(), profile)
    assert (got.status, got.headers["content-type"]) == (200, "application/timestamp-reply")
    reply.write_bytes(got.body)
    anchor = next(a for a in server.world.trust().anchors if a.profile is Profile(profile))
    root.write_bytes(pem(anchor.certificate))
    at = str(int(server.world.now.timestamp()))
    words = ("ts", "-verify", "-queryfile", query, "-in", reply, "-CAfile", root, "-attime", at)
    assert "Verification: OK" in run(openssl, *words)
    data.write_bytes(b"something else")
    refused = subprocess.run(
        [openssl, "ts", "-verify", "-data", data, "-in", reply, "-CAfile", root, "-attime", at],
        capture_output=True, check=False,
    )  # fmt: skip
    assert refused.returncode != 0


def test_openssl_gets_no_certificate_that_it_did_not_ask_for(server: Served, tmp_path: Path) -> None:
    openssl, data = peer("openssl"), tmp_path / "data"
    data.write_bytes(b"what is to be dated")
    query, reply, root, tsa = (tmp_path / name for name in ("query", "reply", "root.pem", "tsa.pem"))
    run(openssl, "ts", "-query", "-data", data, "-out", query)
    reply.write_bytes(ask(server, query.read_bytes()).body)
    epoch = server.within(lambda desk: desk.authority.epoch)
    root.write_bytes(pem(certificate.read(epoch.root)))
    tsa.write_bytes(pem(certificate.read(epoch.timestamp_certificates[0])))
    words = [openssl, "ts", "-verify", "-queryfile", query, "-in", reply, "-CAfile", root, "-attime",
             int(server.world.now.timestamp())]  # fmt: skip
    assert "Verification: OK" in run(*words, "-untrusted", tsa)
    alone = subprocess.run([str(word) for word in words], capture_output=True, check=False)
    assert alone.returncode != 0


def test_our_own_query_is_answered_with_its_nonce(server: Served) -> None:
    got = ask(server, timestamp.query(b"data", 0x1234))
    token = timestamp.open_response(got.body)
    assert timestamp.verify_timestamp(token, b"data", server.world.trust().anchors).time == server.world.now


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("nothing", b""),
        ("no DER", b"hello"),
        ("a digest cut short", timestamp.query(b"data", 1).replace(b"\x04\x20", b"\x04\x1f")),
        ("trailing bytes", timestamp.query(b"data", 1) + b"\0"),
    ],
)
def test_what_is_no_query_is_rejected_as_the_rfc_has_it(
    server: Served, tmp_path: Path, name: str, query: bytes
) -> None:
    reply = tmp_path / name
    reply.write_bytes(ask(server, query).body)
    assert "Status: Rejected" in run(peer("openssl"), "ts", "-reply", "-in", reply, "-text")


def test_another_content_type_and_too_many_queries_are_refused(server: Served) -> None:
    assert server.request("POST", "/timestamp", raw=b"{}").status == 400
    assert [ask(server, timestamp.query(b"data", 1)).status for _ in range(6)] == [*[200] * 5, 429]


def run(*words: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def pem(made: x509.Certificate) -> bytes:
    return made.public_bytes(Encoding.PEM)
