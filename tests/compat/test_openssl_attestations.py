"""openssl on attestations, by the commands of docs/attestations.md: signature, time-stamp, certificate."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from attest import dsse
from tests.compat.attested import COMMIT, NAMES, Judged, attested, blocks, shell, strangers
from tests.compat.judgements import ALTERED, STAMPED
from tests.compat.signed import pem, run
from tests.forge import Forge
from tests.peers import peer
from tests.test_dsse import VECTORS

SIGNATURE, STAMP = "Signature Verification Failure", "Verification: FAILED"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Judged]:
    peer("openssl")
    return attested(tmp_path_factory.mktemp("attested"))


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_is_accepted(made: Mapping[str, Judged], name: str, tmp_path: Path) -> None:
    judged = made[name]
    status, says = judged.by("openssl", tmp_path)
    assert status == 0, says
    assert "Signature Verified Successfully\n" in says
    assert "Verification: OK\n" in says
    assert "leaf.pem: OK\n" in says
    assert f"URI:{judged.told['IDENTITY']}\n" in says


@pytest.mark.parametrize("case", [*ALTERED, "the time-stamp is changed"])
def test_an_attestation_is_refused_when(made: Mapping[str, Judged], case: str, tmp_path: Path) -> None:
    status, says = {**ALTERED, **STAMPED}[case](made[COMMIT]).by("openssl", tmp_path)
    assert status != 0
    assert (STAMP if case in STAMPED else SIGNATURE) in says


def test_without_a_time_stamp_there_is_nothing_to_check(made: Mapping[str, Judged], tmp_path: Path) -> None:
    status, says = STAMPED["the time-stamp is taken out"](made[COMMIT]).by("openssl", tmp_path)
    assert status != 0
    assert "not enough values to unpack" in says


def test_a_time_stamp_of_another_attestation_is_refused(made: Mapping[str, Judged], tmp_path: Path) -> None:
    other = json.loads(made[NAMES[1]].files["bundle.json"])["verificationMaterial"]["timestampVerificationData"]

    def exchange(bundle: Any) -> None:
        bundle["verificationMaterial"]["timestampVerificationData"] = other

    status, says = made[COMMIT].altered(exchange).by("openssl", tmp_path)
    assert status != 0
    assert STAMP in says
    assert "message imprint mismatch" in says


def test_a_time_stamp_is_over_the_very_bytes_of_the_signature(made: Mapping[str, Judged], tmp_path: Path) -> None:
    assert made[COMMIT].by("openssl", tmp_path)[0] == 0
    (line,) = (one for one in blocks()["openssl"].splitlines() if one.startswith("openssl ts -verify"))
    assert shell(line, tmp_path, {})[0] == 0
    for altered in (b"", b"x", (tmp_path / "signature").read_bytes() + b"\n", (tmp_path / "signed").read_bytes()):
        (tmp_path / "signature").write_bytes(altered)
        status, says = shell(line, tmp_path, {})
        assert status != 0
        assert STAMP in says


def test_strangers_anchors_accept_no_time_stamp(made: Mapping[str, Judged], tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    (tmp_path / "here").mkdir()
    status, says = made[COMMIT].holding(strangers(tmp_path / "stranger")).by("openssl", tmp_path / "here")
    assert status != 0
    assert STAMP in says


def test_a_certificate_that_the_anchors_did_not_issue_is_refused(made: Mapping[str, Judged], tmp_path: Path) -> None:
    """It signs the statement and has the authority stamp it, and is certified by somebody else."""
    impostor = Forge()
    bundle = impostor.bundle(b"{}").encode()
    given = {"bundle.json": bundle, "anchors.pem": pem(impostor.root)}
    (tmp_path / "own").mkdir()
    (tmp_path / "here").mkdir()
    assert made[COMMIT].holding(given).by("openssl", tmp_path / "own")[0] == 0
    # The stamp is let through, so that only the certificate is left to refuse.
    script = blocks()["openssl"].replace("openssl ts -verify", "true")
    (tmp_path / "own" / "anchors.pem").write_bytes(made[COMMIT].files["anchors.pem"])
    status, says = shell(script, tmp_path / "own", {})
    assert status != 0
    assert "unable to get local issuer certificate" in says or "certificate signature failure" in says


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_signatures_are_openssls(name: str, tmp_path: Path) -> None:
    """formats.md 10, vectors 1 and 5: openssl makes them of the seed and the encoding, byte for byte."""
    seed, _, payload, signature = VECTORS[name]
    prefix = bytes.fromhex("302e020100300506032b657004220420")  # RFC 8410 section 7: PKCS #8 of a seed
    (tmp_path / "key.der").write_bytes(prefix + seed)
    (tmp_path / "signed").write_bytes(dsse.pae(dsse.PAYLOAD_TYPE, payload))
    key = ("-keyform", "DER", "-inkey", "key.der", "-rawin", "-in", "signed")
    done = run(peer("openssl"), "pkeyutl", "-sign", *key, "-out", "signature", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = signature.replace("-", "+").replace("_", "/")
    assert base64.b64encode((tmp_path / "signature").read_bytes()).decode().rstrip("=") == expected.rstrip("=")
