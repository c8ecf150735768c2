from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import said, statement, verify
from attest.claims import Claims
from attest.errors import UnavailableError, UsageError
from attest.gitobject import ObjectFormat, ObjectKind, object_id
from attest.policy import Context, Policy
from attest.trust import Trust, verify_bundle
from attest.types import Constraints, Voucher
from attest.verify import Examination
from tests.forge import AGENT, ALICE, EMPTY_TREE, NOW, Forge, Leaf, commit_id, named
from tests.test_trust import ROOTS, bundle, epoch, pinned, retired, signed

MESSAGE = b"Refuse empty certificates\n\nThe body says more.\n\nDispatch: d-42\nOn-Behalf-Of: mallory@example.org\n"


@pytest.fixture(scope="module")
def forge() -> Forge:
    return Forge()


@pytest.fixture(scope="module")
def leaf(forge: Forge) -> Leaf:
    return forge.leaf()


def examined(
    forge: Forge, raw: bytes, *, fmt: ObjectFormat = ObjectFormat.SHA1, trusted: Trust | None = None
) -> Examination:
    return verify.examine(raw, ObjectKind.COMMIT, fmt, commit_id(raw, fmt), trusted or forge.trusted, at=NOW)


def stated(examination: Examination, policy: Policy | None = None, *, self_attested: bool = False) -> dict[str, Any]:
    """The statement built from a real verdict, as any JSON reader sees it."""
    context = Context(ref="refs/heads/main", repository="https://git.example/app")
    verdict = verify.judge(examination, policy or Policy(), context, at=NOW)
    payload = statement.build(
        examination,
        verdict,
        verifier_id="https://verifier.example/",
        repository=context.repository,
        ref=context.ref,
        at=NOW,
        self_attested=self_attested,
    )
    assert payload.isascii()
    assert b"\n" not in payload
    found: dict[str, Any] = json.loads(payload)
    assert json.dumps(found, separators=(",", ":")).encode() == payload
    return found


def results(found: dict[str, Any]) -> list[str]:
    return [step["result"] for step in found["predicate"]["verification"]["steps"]]


def test_a_statement_has_the_commit_as_its_one_subject_and_no_tree(forge: Forge, leaf: Leaf) -> None:
    raw = forge.commit(leaf, message=MESSAGE)
    found = stated(examined(forge, raw))
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://notme.bot/provenance/commit/v0.1"
    assert found["subject"] == [
        {
            "name": "git+https://git.example/app",
            "digest": {"gitCommit": hashlib.sha1(b"commit %d\0" % len(raw) + raw).hexdigest()},
            "annotations": {"sourceRefs": ["refs/heads/main"]},
        }
    ]


def test_what_the_object_says_is_told_apart_from_what_the_certificate_proves(forge: Forge, leaf: Leaf) -> None:
    raw = forge.commit(leaf, message=MESSAGE, parents=("a" * 40, "b" * 40))
    predicate = stated(examined(forge, raw))["predicate"]
    who = {
        "name": "agent-7",
        "email": AGENT.actor_email,
        "claimedAt": "2026-11-23T13:58:10Z",
        "source": "commit-header",
    }
    assert predicate["commit"] == {
        "objectFormat": "sha1",
        "objectSha256": hashlib.sha256(raw).hexdigest(),
        "tree": {"gitTree": EMPTY_TREE[ObjectFormat.SHA1]},
        "parents": [{"gitCommit": "a" * 40}, {"gitCommit": "b" * 40}],
        "author": who,
        "committer": who,
        "messageSha256": hashlib.sha256(MESSAGE).hexdigest(),
        "trailers": [
            {"key": "Dispatch", "value": "d-42", "source": "trailer"},
            {"key": "On-Behalf-Of", "value": "mallory@example.org", "source": "trailer"},
        ],
        "mergeTags": [],
    }
    assert predicate["identity"] == {
        "actor": {
            "id": "wimse://authority.example/agent/agent-7",
            "kind": "agent",
            "name": "agent-7",
            "email": AGENT.actor_email,
            "source": "certificate-claims",
        },
        "representedPrincipal": {
            "id": ALICE.id,
            "kind": "human",
            "display": "Alice Example",
            "email": "alice@example.org",
            "authentication": "self-asserted",
            "source": "certificate-claims",
        },
        "grant": {"id": AGENT.grant_id, "sha256": AGENT.grant_sha256.hex(), "source": "certificate-claims"},
        "assurance": {"value": "same-user", "source": "certificate-claims"},
        "session": {"id": "session-42", "source": "certificate-claims"},
    }


def test_signature_and_certificate_are_named_by_their_digests(forge: Forge, leaf: Leaf) -> None:
    raw = forge.commit(leaf)
    head, _, rest = raw.partition(b"gpgsig ")
    armour, _, body = rest.partition(b"\n\n")
    predicate = stated(examined(forge, raw))["predicate"]
    assert predicate["signature"] == {
        "present": True,
        "payloadSha256": hashlib.sha256(head + b"\n" + body).hexdigest(),
        "format": "x509",
        "signatureSha256": hashlib.sha256(armour.replace(b"\n ", b"\n") + b"\n").hexdigest(),
        "algorithm": "ed25519",
        "digestAlgorithm": "sha512",
        "cmsSigningTime": "2026-11-23T13:58:10Z",
        "header": "gpgsig",
        "signedAttributes": True,
        "anomalies": [],
    }
    section = predicate["certificate"]
    spki = hashlib.sha256(bytes.fromhex("302a300506032b6570032100") + leaf.key.public_key().public_bytes_raw())  # type: ignore[union-attr]
    assert section["sha256"] == hashlib.sha256(leaf.der).hexdigest()
    assert section["spkiSha256"] == spki.hexdigest()
    assert section["kid"] == spki.hexdigest()[:32]
    assert int(section["serial"], 16) == leaf.certificate.serial_number
    assert section["notBefore"] == "2026-11-23T13:57:10Z"
    assert section["notAfter"] == "2026-11-23T14:03:10Z"
    assert section["sanUris"] == ["wimse://authority.example/agent/agent-7"]
    assert section["profile"] == "notme"
    assert section["epoch"] == 1
    assert section["scopes"] == ["sign:git"]
    assert section["authMethod"] == "embedded"
    assert section["keyBinding"] == "sha256:" + hashlib.sha256(b"binding").hexdigest()


def test_a_verdict_is_eight_numbered_steps_a_result_and_the_evidence_of_time(forge: Forge, leaf: Leaf) -> None:
    predicate = stated(examined(forge, forge.commit(leaf)))["predicate"]
    steps = predicate["verification"]["steps"]
    assert [step["number"] for step in steps] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [step["name"] for step in steps] == [
        "object",
        "signature",
        "integrity",
        "chain",
        "time",
        "epoch",
        "identity",
        "policy",
    ]
    assert [step["result"] for step in steps] == ["PASSED"] * 5 + ["UNKNOWN", "PASSED", "PASSED"]
    assert steps[5]["reason"] == "bundle-absent"
    assert predicate["verification"]["result"] == "PASSED"
    assert predicate["verification"]["outcome"] == "accepted"
    assert predicate["verification"]["verifiedAt"] == "2026-11-23T13:58:10Z"
    assert predicate["verification"]["verifier"] == {"id": "https://verifier.example/"}
    assert predicate["verification"]["policy"]["name"] == "builtin:default"
    assert predicate["verification"]["policy"]["digest"]["sha256"] == Policy().digest.hex()
    anchor = forge.trusted.anchors[0].key
    assert predicate["authority"] == {
        "trustAnchorSha256": anchor.spki_sha256.hex(),
        "epoch": 1,
        "currentEpoch": None,
        "bundleSequence": None,
        "bundleAgeSeconds": None,
    }
    assert predicate["time"]["evidence"][1] == {
        "notBefore": "2026-11-23T13:58:10Z",
        "notAfter": "2026-11-23T13:58:11Z",
        "voucher": "authority",
        "source": f"rfc3161:{anchor.key_id}",
    }


def test_the_issuing_epoch_and_the_one_that_was_current_stand_beside_each_other() -> None:
    old, before = ROOTS[0], NOW - timedelta(hours=1)
    trusted = verify_bundle(signed(bundle(retired(1), epoch(2)), previous=old.root_key), pinned(1))
    predicate = stated(examined(old, old.commit(old.leaf(at=before), at=before), trusted=trusted))["predicate"]
    authority = predicate["authority"]
    assert (authority["epoch"], authority["currentEpoch"], authority["bundleSequence"]) == (1, 2, 7)
    assert (predicate["certificate"]["epoch"], predicate["verification"]["result"]) == (1, "PASSED")


def test_time_that_only_the_signer_vouches_for_is_unknown_in_an_accepted_statement(forge: Forge, leaf: Leaf) -> None:
    found = stated(examined(forge, forge.commit(leaf, timestamped=False)))
    assert results(found)[4] == "UNKNOWN"
    assert found["predicate"]["verification"]["steps"][4]["reason"] == "time-unproven"
    assert found["predicate"]["verification"]["result"] == "PASSED"
    assert found["predicate"]["verification"]["outcome"] == "accepted-time-unproven"


def test_a_policy_that_demands_evidence_makes_the_same_commit_fail(forge: Forge, leaf: Leaf) -> None:
    examination = examined(forge, forge.commit(leaf, timestamped=False))
    found = stated(examination, Policy(require_time=Voucher.AUTHORITY))
    assert found["predicate"]["verification"]["result"] == "FAILED"
    assert results(found)[4:8] == ["UNKNOWN", "UNKNOWN", "PASSED", "FAILED"]


@pytest.mark.parametrize(
    ("spoil", "first_failed"),
    [
        pytest.param(lambda raw: raw.replace(b"subject", b"Subject"), 3, id="another message"),
        pytest.param(lambda raw: raw.replace(b"gpgsig ", b"gpgsig-sha256 "), 1, id="the other hash's header"),
        pytest.param(lambda raw: raw.replace(b"author ", b"auth "), 1, id="no author"),
    ],
)
def test_a_spoilt_commit_fails_and_names_nobody(forge: Forge, leaf: Leaf, spoil: Any, first_failed: int) -> None:
    raw = spoil(forge.commit(leaf))
    found = stated(examined(forge, raw))
    assert found["predicate"]["verification"]["result"] == "FAILED"
    assert results(found).index("FAILED") + 1 == first_failed
    assert found["predicate"]["identity"]["actor"] == {"id": None, "source": "none"}
    assert found["predicate"]["commit"]["objectSha256"] == hashlib.sha256(raw).hexdigest()
    assert "certificate" not in found["predicate"]


def test_an_unsigned_commit_fails_and_its_author_line_makes_nobody_the_actor(forge: Forge) -> None:
    predicate = stated(examined(forge, forge.commit(None)))["predicate"]
    assert predicate["signature"]["present"] is False
    assert predicate["verification"]["result"] == "FAILED"
    assert {fact["source"] for fact in predicate["identity"].values()} == {"none"}
    assert "NOT_APPLICABLE" in [step["result"] for step in predicate["verification"]["steps"]]


def test_a_certificate_that_names_no_human_says_so(forge: Forge) -> None:
    claims: Claims = named(AGENT, represented=None, grant_id="", grant_sha256=b"", session="")
    found = stated(examined(forge, forge.commit(forge.leaf(claims))))
    nobody = {"id": None, "source": "none"}
    facts = found["predicate"]["identity"]
    assert (facts["representedPrincipal"], facts["grant"], facts["session"]) == (nobody, nobody, nobody)
    assert found["predicate"]["verification"]["result"] == "PASSED"


def test_what_a_certificate_is_limited_to_is_stated(forge: Forge) -> None:
    limits = Constraints(repositories=("https://git.example/*",), branches=("main", "release/*"))
    found = stated(examined(forge, forge.commit(forge.leaf(named(AGENT, constraints=limits)))))
    assert found["predicate"]["certificate"]["claims"]["constraints"] == {
        "repositories": ["https://git.example/*"],
        "branches": ["main", "release/*"],
    }


def test_a_sha256_commit_has_64_digits(forge: Forge, leaf: Leaf) -> None:
    raw = forge.commit(leaf, fmt=ObjectFormat.SHA256)
    found = stated(examined(forge, raw, fmt=ObjectFormat.SHA256))
    expected = hashlib.sha256(b"commit %d\0" % len(raw) + raw).hexdigest()
    assert found["subject"][0]["digest"] == {"gitCommit": expected}
    assert found["predicate"]["commit"]["objectFormat"] == "sha256"


def test_a_tag_is_stated_as_a_tag(forge: Forge, leaf: Leaf) -> None:
    raw = forge.tag(leaf, "c" * 40)
    oid = object_id(ObjectKind.TAG, raw, ObjectFormat.SHA1)
    examination = verify.examine(raw, ObjectKind.TAG, ObjectFormat.SHA1, oid, forge.trusted, at=NOW)
    found = stated(examination)
    assert found["subject"][0]["digest"] == {"gitTag": hashlib.sha1(b"tag %d\0" % len(raw) + raw).hexdigest()}
    assert found["predicate"]["tag"]["name"] == "v1"
    assert found["predicate"]["tag"]["target"] == {"type": "commit", "digest": {"gitCommit": "c" * 40}}
    assert found["predicate"]["verification"]["result"] == "PASSED"


def test_a_self_attested_statement_is_marked(forge: Forge, leaf: Leaf) -> None:
    found = stated(examined(forge, forge.commit(leaf)), self_attested=True)
    assert found["predicate"]["verification"]["verifier"]["selfAttested"] is True


def test_neither_message_nor_names_beyond_headers_and_trailers_are_in_a_statement(forge: Forge, leaf: Leaf) -> None:
    raw = forge.commit(leaf, message=b"secret-one\n\nsecret-two: not a trailer\nof a paragraph with secret-three\n")
    assert "secret" not in json.dumps(stated(examined(forge, raw)))


@pytest.mark.parametrize(
    ("message", "count"),
    [
        pytest.param(b"Fixes: x\n", 0, id="the subject is no trailer"),
        pytest.param(b"\n\n\nFixes: x\n", 0, id="nor is a subject after empty lines"),
        pytest.param(b"subject\n\nFixes: x\n", 1, id="one trailer"),
        pytest.param(b"subject\n\nFixes: x\n\n\n", 1, id="empty lines at the end"),
        pytest.param(b"subject\n\nFixes: x\nand prose\n", 0, id="prose among trailers"),
        pytest.param(b"subject\n\nSee this: x\n", 0, id="a blank in the key"),
        pytest.param(b"subject\n\n" + b"A: b\n" * 32, 32, id="as many as are read"),
        pytest.param(b"subject\n\n" + b"A: b\n" * 33, 0, id="more than are read"),
        pytest.param(b"subject\n\nA: " + b"b" * 1100 + b"\n", 0, id="longer than is read"),
        pytest.param(b"", 0, id="no message"),
    ],
)
def test_trailers_are_the_whole_last_paragraph_or_none(forge: Forge, leaf: Leaf, message: bytes, count: int) -> None:
    assert len(stated(examined(forge, forge.commit(leaf, message=message)))["predicate"]["commit"]["trailers"]) == count


def test_what_could_not_be_checked_gets_no_statement(forge: Forge, leaf: Leaf) -> None:
    examination = examined(forge, forge.commit(leaf))
    policy = Policy(max_bundle_age=timedelta(hours=1))
    with pytest.raises(UnavailableError):
        stated(examination, policy)


def test_a_detached_signature_gets_no_statement(forge: Forge, leaf: Leaf) -> None:
    examination = verify.examine_signature(forge.armour(leaf, b"x"), b"x", forge.trusted, at=NOW)
    verdict = verify.judge(examination, Policy(), Context(), at=NOW)
    with pytest.raises(UsageError):
        statement.build(examination, verdict, verifier_id="v", repository=None, ref=None, at=NOW)


def test_without_a_known_place_the_subject_is_the_digest_alone(forge: Forge, leaf: Leaf) -> None:
    examination = examined(forge, forge.commit(leaf))
    verdict = verify.judge(examination, Policy(), Context(), at=NOW)
    payload = statement.build(examination, verdict, verifier_id="v", repository=None, ref=None, at=NOW)
    assert list(json.loads(payload)["subject"][0]) == ["digest"]


def test_a_statement_is_read_as_it_was_built(forge: Forge, leaf: Leaf) -> None:
    examination = examined(forge, forge.commit(leaf))
    verdict = verify.judge(examination, Policy(), Context(), at=NOW)
    payload = statement.build(examination, verdict, verifier_id="v", repository=None, ref=None, at=NOW)
    found = said.read(payload)
    assert found.payload == payload
    assert [subject.digests for subject in found.subjects] == [{"gitCommit": examination.object_id}]
    assert found.predicate_type == statement.PREDICATE_TYPE
    assert found.at("verification", "result") == "PASSED"
    assert found.at("identity", "representedPrincipal", "email") == "alice@example.org"


@given(
    name=st.text(st.characters(exclude_characters="<>\n\0\r", exclude_categories=["Cs"]), max_size=20),
    body=st.binary(max_size=60),
)
@settings(derandomize=True, max_examples=60, deadline=None)
def test_whatever_a_commit_says_its_statement_is_read_back(forge: Forge, leaf: Leaf, name: str, body: bytes) -> None:
    message = b"s\n\n" + body.replace(b"\0", b"")
    raw = forge.commit(leaf, committer=f"{name} <{AGENT.actor_email}>", message=message)
    examination = examined(forge, raw)
    verdict = verify.judge(examination, Policy(), Context(), at=NOW)
    payload = statement.build(examination, verdict, verifier_id="v", repository=None, ref=None, at=NOW)
    assert [subject.digests for subject in said.read(payload).subjects] == [{"gitCommit": examination.object_id}]


def test_evidence_by_a_receiver_is_listed_with_its_voucher(forge: Forge, leaf: Leaf) -> None:
    examination = examined(forge, forge.commit(leaf))
    receiver = replace(examination.evidence[0], voucher=Voucher.RECEIVER, source="push-certificate:abc")
    found = stated(replace(examination, evidence=(receiver,)))
    assert found["predicate"]["time"]["evidence"][0]["voucher"] == "receiver"
    assert found["predicate"]["time"]["evidence"][0]["source"] == "push-certificate:abc"
