"""Statements and bundles of ours as others' libraries and programs read them."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc3161_client
import sigstore_models.bundle.v1 as models
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from attest import statement, verify
from attest.bundles import Bundle
from attest.gitobject import ObjectFormat, ObjectKind
from attest.policy import Context, Policy
from tests.compat.attested import GOLDEN
from tests.forge import NOW, Forge, commit_id
from tests.peers import peer

SAN = "wimse://authority.example/verifier/verifier"


@pytest.fixture(scope="module")
def forge() -> Forge:
    return Forge()


@pytest.fixture(scope="module", params=list(ObjectFormat))
def payload(request: pytest.FixtureRequest, forge: Forge) -> bytes:
    raw = forge.commit(forge.leaf(), message=b"subject\n\nFixes: x\n", fmt=request.param)
    oid = commit_id(raw, request.param)
    examination = verify.examine(raw, ObjectKind.COMMIT, request.param, oid, forge.trusted, at=NOW)
    context = Context(ref="refs/heads/main", repository="https://git.example/app")
    verdict = verify.judge(examination, Policy(), context, at=NOW)
    return statement.build(
        examination, verdict, verifier_id=SAN, repository=context.repository, ref=context.ref, at=NOW
    )


@pytest.fixture(scope="module")
def bundle(forge: Forge, payload: bytes) -> Bundle:
    return forge.bundle(payload)


TYPED = {
    "https://slsa.dev/verification_summary/v1": vsa_pb2.VerificationSummary,
    "https://in-toto.io/attestation/test-result/v0.1": test_result_pb2.TestResult,
}
"""The predicates of ours that in-toto has a message for."""

MISTYPED = {"verifiedLevels"}
"""A list in SLSA's specification and in every example; a single string in in-toto's message (0.9.3)."""


def unread(said: Any, read: Any) -> set[str]:
    """The names of fields that are said and were not read, and of those that were read otherwise than they are said."""
    if isinstance(said, dict) and isinstance(read, dict):
        missing = {name for name, value in said.items() if name not in read and value not in ([], {}, "")}
        return missing.union(*(unread(value, read[name]) for name, value in said.items() if name in read))
    if isinstance(said, list) and isinstance(read, list) and len(said) == len(read):
        return set[str]().union(*map(unread, said, read))
    return set() if said == read else {f"{said} is read as {read}"}


@pytest.mark.parametrize("name", GOLDEN)
def test_in_toto_attestation_reads_and_validates_the_golden_statements(name: str) -> None:
    payload = GOLDEN[name].read_bytes()
    found = Statement.copy_from_pb(json_format.Parse(payload, statement_pb2.Statement()))
    found.validate()
    expected = json.loads(payload)
    assert [dict(one.digest) for one in found.pb.subject] == [one["digest"] for one in expected["subject"]]
    assert json_format.MessageToDict(found.pb)["predicate"] == expected["predicate"]
    message = TYPED.get(expected["predicateType"])
    if message is not None:
        said = {name: value for name, value in expected["predicate"].items() if name not in MISTYPED}
        typed = json_format.ParseDict(said, message())  # refuses fields that the message has not
        assert unread(said, json_format.MessageToDict(typed)) == set()


def test_in_toto_attestation_reads_and_validates_a_statement(payload: bytes) -> None:
    message = json_format.Parse(payload, statement_pb2.Statement())  # refuses fields that a Statement has not
    found = Statement.copy_from_pb(message)
    found.validate()
    expected = json.loads(payload)
    assert dict(found.pb.subject[0].digest) == expected["subject"][0]["digest"]
    assert found.pb.predicate_type == statement.PREDICATE_TYPE
    again = json_format.MessageToDict(found.pb)
    assert again["predicate"]["identity"] == expected["predicate"]["identity"]
    assert again["subject"] == expected["subject"]


def test_sigstores_model_reads_a_bundle_and_gives_the_same_bytes(bundle: Bundle, payload: bytes) -> None:
    found = models.Bundle.from_json(bundle.encode())
    assert found.dsse_envelope is not None
    assert found.dsse_envelope.payload == payload
    assert json.loads(found.to_json()) == json.loads(bundle.encode())


def test_rfc3161_client_verifies_the_time_stamp_of_a_bundle(forge: Forge, bundle: Bundle) -> None:
    answer = rfc3161_client.decode_timestamp_response(bundle.timestamps[0])
    verifier = rfc3161_client.VerifierBuilder().tsa_certificate(forge.tsa).add_root_certificate(forge.root).build()
    signature = bundle.envelope.signatures[0].sig
    assert verifier.verify_message(answer, signature)
    assert answer.tst_info.gen_time == NOW
    with pytest.raises(rfc3161_client.VerificationError):
        verifier.verify_message(answer, signature + b"x")


def trusted_root(forge: Forge) -> str:
    """The document that stock Sigstore verifiers take their anchors from."""

    def chain(*ders: bytes) -> dict[str, object]:
        return {"certificates": [{"rawBytes": base64.b64encode(der).decode()} for der in ders]}

    common = {
        "subject": {"organization": "notme", "commonName": "authority.example"},
        "uri": "https://authority.example",
        "validFor": {"start": (NOW - timedelta(days=1)).isoformat().replace("+00:00", "Z")},
    }
    root, tsa = (item.public_bytes(Encoding.DER) for item in (forge.root, forge.tsa))
    return json.dumps(
        {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [],
            "ctlogs": [],
            "certificateAuthorities": [{**common, "certChain": chain(root)}],
            "timestampAuthorities": [{**common, "certChain": chain(tsa, root)}],
        }
    )


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        pytest.param({}, True, id="as it is"),
        pytest.param({"--digest": "0" * 40}, False, id="another commit"),
        pytest.param({"--certificate-identity": SAN + "x"}, False, id="another signer"),
        pytest.param({"--type": "https://example.org/other"}, False, id="another predicate type"),
    ],
)
def test_cosign_verifies_a_bundle_of_ours(forge: Forge, tmp_path: Path, change: dict[str, str], accepted: bool) -> None:
    raw = forge.commit(forge.leaf())
    oid = commit_id(raw)
    assert oid == hashlib.sha1(b"commit %d\0" % len(raw) + raw).hexdigest()
    examination = verify.examine(raw, ObjectKind.COMMIT, ObjectFormat.SHA1, oid, forge.trusted, at=NOW)
    verdict = verify.judge(examination, Policy(), Context(), at=NOW)
    payload = statement.build(examination, verdict, verifier_id=SAN, repository=None, ref=None, at=NOW)
    (tmp_path / "bundle.json").write_bytes(forge.bundle(payload).encode())
    (tmp_path / "root.json").write_text(trusted_root(forge))
    options = {
        "--bundle": str(tmp_path / "bundle.json"),
        "--trusted-root": str(tmp_path / "root.json"),
        "--certificate-identity": SAN,
        "--certificate-oidc-issuer": "https://authority.example",
        "--type": statement.PREDICATE_TYPE,
        "--digest": oid,
        "--digestAlg": "gitCommit",
        **change,
    }
    flags = ["--insecure-ignore-tlog=true", "--insecure-ignore-sct", "--use-signed-timestamps"]
    command = [str(peer("cosign")), "verify-blob-attestation", *flags]
    for name, value in options.items():
        command += [name, value]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode == 0) is accepted, done.stderr
