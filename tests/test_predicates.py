"""Statements of every type: golden files, their schemas and pages, and what is never said."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attest import commands, said, statement, verify
from attest.errors import MalformedError, UnavailableError, UsageError
from attest.foreign.allowed import AllowedSigners
from attest.foreign.roots import Roots
from attest.foreign.sigstore import SigstoreRoot
from attest.gitobject import ObjectFormat, ObjectKind, object_id
from attest.policy import Context, Policy
from attest.predicates import gist, gitsign, maker, provenance, reference, svr, testresult, vsa
from attest.predicates.facts import Facts
from attest.predicates.provenance import Control, Push
from attest.predicates.reference import Document
from attest.predicates.sink import Signed
from attest.predicates.vsa import Part
from attest.types import Voucher
from tests import predicates, sshforge
from tests.forge import NOW, attach, commit_id, commit_payload, plain_ssh
from tests.peers import ROOT
from tests.predicates import EXAMPLES, GOLDEN, ID, MAIN, PAGES, REPOSITORY, facts, facts_of, forge

SCHEMA = json.loads((ROOT / "schema/gen/json/predicates.schema.json").read_text("utf-8"))


def check(payload: bytes | None, struct: str) -> Any:
    """The predicate, which is of its schema; the bytes are compact ASCII, and read back as what they are."""
    assert payload is not None
    assert payload.isascii()
    found = json.loads(payload)
    assert json.dumps(found, separators=(",", ":")).encode() == payload
    assert not [value for value in numbers(found) if isinstance(value, float)]
    jsonschema.validate(found["predicate"], {**SCHEMA, "$ref": f"#/$defs/{struct}"})
    assert said.read(payload).predicate == found["predicate"]
    return found["predicate"]


def numbers(value: Any) -> list[Any]:
    if isinstance(value, dict | list):
        return [found for item in (value.values() if isinstance(value, dict) else value) for found in numbers(item)]
    return [value]


def stated(one: Facts, **more: Any) -> bytes:
    return statement.build(
        one.examination,
        one.verdict,
        verifier_id=one.verifier_id,
        repository=one.repository,
        ref=one.ref,
        at=one.at,
        **more,
    )


def rejected() -> Facts:
    """A commit whose message was changed after it was signed."""
    raw = facts().examination.parsed
    assert raw is not None
    return facts_of(raw.raw.replace(b"Refuse", b"Accept"))


def unproven() -> Facts:
    """Accepted, though nobody but the signer says when it was signed."""
    return facts_of(forge().commit(forge().leaf(), timestamped=False))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_golden_file_is_built_anew_and_its_page_shows_it(name: str) -> None:
    page, struct, make = EXAMPLES[name]
    payload = make()
    assert payload == (GOLDEN / f"{name}.json").read_bytes().removesuffix(b"\n")
    check(payload, struct)
    text = (PAGES / page).read_text("utf-8")
    assert predicates.with_example(text, payload) == text
    assert json.loads(payload)["predicateType"] in text
    index = (PAGES / "README.md").read_text("utf-8")
    assert f"({page})" in index
    for part in ("**Who signs**", "**It says**", "**It does not say**"):
        assert part in text or page == "gitsign.md"


def test_every_type_has_its_page_in_the_index() -> None:
    index = (PAGES / "README.md").read_text("utf-8")
    assert [name for name in maker.TYPES if f"| `{name}`" not in index] == []
    assert commands.VERIFYING["attest"] == "attest.attest_cli:command"


def test_a_commit_statement_is_of_its_schema_whatever_the_object_is() -> None:
    leaf = forge().leaf()
    merge = facts_of(forge().commit(leaf, parents=("a" * 40, "b" * 40)))
    raw = commit_payload()
    unsigned = facts_of(raw)
    broken = facts_of(b"tree x\n\nno commit\n")
    sha256 = facts_of(forge().commit(leaf, fmt=ObjectFormat.SHA256), fmt=ObjectFormat.SHA256)
    for one in (facts(), merge, unsigned, broken, sha256, rejected(), unproven()):
        check(stated(one), "CommitPredicate")
    tag = facts_of(forge().tag(leaf, "c" * 40), kind=ObjectKind.TAG)
    assert check(stated(tag), "CommitPredicate")["tag"]["target"]["digest"] == {"gitCommit": "c" * 40}
    assert check(stated(unsigned), "CommitPredicate")["signature"]["present"] is False
    more = {
        "orchestrated": json.loads((GOLDEN / "dispatch-v1.json").read_bytes())["predicate"]["dispatchDefinition"],
        "related": [{"name": "log.txt", "digest": {"sha256": "1" * 64}, "mediaType": "text/plain"}],
    }
    item, agent = more["orchestrated"]["workItemRef"], {**more["orchestrated"]["agent"], "source": "orchestrator-claim"}
    for definition in ({"workItemRef": item}, {"agent": agent}, {"workItemRef": item, "agent": agent}):
        check(stated(facts(), **{**more, "orchestrated": {"dispatchDefinition": definition}}), "CommitPredicate")


def test_tags_that_a_merge_copied_are_named_by_their_ids() -> None:
    tag = b"object " + b"a" * 40 + b"\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\nrelease\n"
    head, _, body = commit_payload(parents=("a" * 40, "b" * 40)).partition(b"\n\n")
    raw = head + b"\nmergetag " + tag.removesuffix(b"\n").replace(b"\n", b"\n ") + b"\n\n" + body
    predicate = check(stated(facts_of(raw)), "CommitPredicate")
    assert predicate["commit"]["mergeTags"] == [{"gitTag": object_id(ObjectKind.TAG, tag, ObjectFormat.SHA1)}]


def test_a_known_key_is_told_apart_from_a_certificate() -> None:
    key = sshforge.ed25519("somebody")
    payload = commit_payload(committer="Bob <bob@example.org>")
    raw = attach(payload, plain_ssh(payload))
    allowed = AllowedSigners.parse(f"bob@example.org {key.line}\n".encode())
    known = replace(forge().trusted, foreign=Roots(allowed_signers=allowed))
    found = verify.examine(raw, ObjectKind.COMMIT, ObjectFormat.SHA1, commit_id(raw), known, at=NOW)
    verdict = verify.judge(found, Policy(), Context(), at=NOW)
    one = Facts(found, verdict, ID, None, None, NOW)
    predicate = check(stated(one), "CommitPredicate")
    signer = predicate["signature"]["signer"]
    assert signer["kind"] == "ssh-key"
    assert signer["key"].startswith("SHA256:")
    assert one.accepted
    assert predicate["identity"]["actor"]["source"] == "known-key"
    assert "APAS_COMMIT_SIGNED_BY_KNOWN_KEY" in check(svr.build(one), "SimpleResult")["properties"]
    assert not Part.of(one, b"x").agent_attested


def test_nothing_is_stated_of_what_could_not_be_checked() -> None:
    one = facts()
    strict = facts_of(
        forge().commit(forge().leaf(), timestamped=False), policy=Policy(require_time=Voucher.INDEPENDENT)
    )
    open_ = replace(one, verdict=replace(one.verdict, outcome=type(one.verdict.outcome)("could-not-check")))
    for build in (svr.build, testresult.build, gitsign.build, lambda f: reference.build(f, ()), stated):
        with pytest.raises(UnavailableError, match="nothing is stated"):
            build(open_)
    with pytest.raises(UnavailableError):
        provenance.build(open_, Push())
    with pytest.raises(UnavailableError):
        Part.of(open_, b"")
    assert not strict.accepted


def test_what_was_rejected_has_no_statement_that_only_passes() -> None:
    one = rejected()
    document = Document("https://x.example/", "text/plain", "sha256", "1" * 64)
    assert svr.build(one) is None
    assert gitsign.build(one) is None
    assert reference.build(one, [document]) is None
    assert provenance.build(one, Push()) is None
    predicate = check(testresult.build(one), "TestResult")
    assert predicate["result"] == "FAILED"
    assert "integrity" in predicate["failedTests"]


def test_time_by_the_signers_word_alone_passes_nowhere() -> None:
    one = unproven()
    assert one.accepted
    assert "APAS_COMMIT_SIGNED_WHILE_VALID" not in check(svr.build(one), "SimpleResult")["properties"]
    predicate = check(testresult.build(one), "TestResult")
    assert predicate["result"] == "WARNED"
    assert "time" not in predicate["passedTests"] + predicate.get("failedTests", [])
    made = vsa.build(
        [Part.of(one, b"s")], one.examination.object_id, verifier_id=ID, repository=REPOSITORY, ref=None, at=one.at
    )
    assert check(made, "SourceSummary")["verifiedLevels"] == []


def summary(parts: list[Part], **more: Any) -> Any:
    options = {"verifier_id": ID, "repository": REPOSITORY, "ref": MAIN, "at": facts().at, **more}
    return check(vsa.build(parts, parts[0].object_id, **options), "SourceSummary")


def test_a_summary_is_as_good_as_its_worst_commit() -> None:
    good = Part.of(facts(), b"good")
    assert summary([good])["verifiedLevels"] == [vsa.AGENT_COMMITS, vsa.HUMAN_BOUND]
    nobody = replace(good, human_bound=False)
    assert summary([good, nobody])["verifiedLevels"] == [vsa.AGENT_COMMITS]
    bad = summary([good, replace(good, accepted=False)], levels=("SLSA_SOURCE_LEVEL_3",))
    assert (bad["verificationResult"], bad["verifiedLevels"]) == ("FAILED", ["FAILED"])
    assert summary([good], levels=("SLSA_SOURCE_LEVEL_3",))["verifiedLevels"][0] == "SLSA_SOURCE_LEVEL_3"
    assert [item["digest"]["sha256"] for item in bad["inputAttestations"]] == [hashlib.sha256(b"good").hexdigest()] * 2


def test_a_summary_without_a_repository_a_tip_or_one_policy_is_refused() -> None:
    good = Part.of(facts(), b"good")
    for parts, tip, repository in (
        ([good], good.object_id, None),
        ([good], "f" * 40, REPOSITORY),
        ([good, replace(good, policy={"uri": "ni:///sha-256;x"})], good.object_id, REPOSITORY),
        ([good] * (vsa.MAX_COMMITS + 1), good.object_id, REPOSITORY),
        ([replace(good, kind="tag")], good.object_id, REPOSITORY),
    ):
        with pytest.raises(UsageError):
            vsa.build(parts, tip, verifier_id=ID, repository=repository, ref=None, at=facts().at)


@pytest.mark.parametrize(
    "levels",
    [
        ["SLSA_BUILD_LEVEL_3"], ["SLSA_SOURCE_LEVEL_5"], ["FAILED"], ["ORG_SOURCE_"], ["org_source_x"], [""],
        [vsa.AGENT_COMMITS], [vsa.HUMAN_BOUND], ["SLSA_SOURCE_LEVEL_1", "SLSA_SOURCE_LEVEL_2"],
    ],
)  # fmt: skip
def test_a_level_that_no_caller_can_vouch_for_is_refused(levels: list[str]) -> None:
    with pytest.raises(UsageError):
        vsa.check_levels(levels)


def test_levels_of_the_caller_are_taken_once_each() -> None:
    levels = ["SLSA_SOURCE_LEVEL_2", "ORG_SOURCE_REVIEWED_BY_BOT", "SLSA_SOURCE_LEVEL_2"]
    with pytest.raises(UsageError, match="highest"):
        vsa.check_levels(levels)
    assert vsa.check_levels(levels[:2]) == ("SLSA_SOURCE_LEVEL_2", "ORG_SOURCE_REVIEWED_BY_BOT")


def test_a_push_is_stated_without_what_nobody_said() -> None:
    predicate = check(provenance.build(facts(), Push()), "SourceProvenance")
    assert not {"prev_commit", "actor"} & set(predicate)
    with pytest.raises(UsageError, match="names the ref"):
        provenance.build(replace(facts(), ref=None), Push())
    tag = facts_of(forge().tag(forge().leaf(), "c" * 40), kind=ObjectKind.TAG)
    with pytest.raises(UsageError):
        provenance.build(tag, Push())


@pytest.mark.parametrize("repository", [None, "", "git@git.example:team/app.git", "/srv/git/app.git", "https://a b/"])
def test_where_a_uri_belongs_nothing_else_is_stated(repository: str | None) -> None:
    with pytest.raises(UsageError, match="by its URI"):
        provenance.build(replace(facts(), repository=repository), Push())
    part = Part.of(facts(), b"x")
    with pytest.raises(UsageError, match="by its URI"):
        vsa.build([part], part.object_id, verifier_id=ID, repository=repository, ref=MAIN, at=NOW)
    assert statement.is_uri("ssh://git@git.example/team/app.git")


@pytest.mark.parametrize("word", ["", "X", "X=", "=2026-10-01T00:00:00Z", "x=2026-10-01T00:00:00Z", "X=yesterday"])
def test_what_is_no_control_is_refused(word: str) -> None:
    with pytest.raises(UsageError):
        Control.parse(word)


@pytest.mark.parametrize("location", ["", "no uri", "HTTPS://x", "https://x y", "x:" + "y" * 3000])
def test_a_document_has_a_place(location: str) -> None:
    with pytest.raises(UsageError):
        Document.of_file(location, "x.txt", b"")


def test_media_types_are_those_of_the_name() -> None:
    kinds = {
        "a.intoto.jsonl": "application/vnd.in-toto.bundle",
        "sbom.spdx.json": "application/spdx+json",
        "x.json": "application/json",
        "x.bin": "application/octet-stream",
    }
    assert {name: Document.of_file("https://x/", name, b"").media_type for name in kinds} == kinds
    assert reference.build(facts(), ()) is None


def test_gitsigns_predicate_holds_the_object_as_it_is() -> None:
    predicate = check(gitsign.build(facts()), "GitsignGit")
    parsed, message = facts().examination.parsed, facts().examination.message
    assert parsed is not None
    assert message is not None
    assert predicate["source"]["message"].encode() == predicates.MESSAGE
    assert predicate["signature"].encode() == facts().examination.signature
    assert base64.b64decode(predicate["signer_info"][0]["attributes"]) == message.signed_attributes
    tag = facts_of(forge().tag(forge().leaf(), "c" * 40), kind=ObjectKind.TAG)
    check(gitsign.build(tag), "GitsignTagPredicate")
    assert json.loads(gitsign.build(tag) or b"")["predicateType"] == gitsign.TAG_TYPE
    sha256 = facts_of(forge().commit(forge().leaf(), fmt=ObjectFormat.SHA256), fmt=ObjectFormat.SHA256)
    assert list(json.loads(gitsign.build(sha256) or b"")["subject"][0]["digest"]) == ["gitCommit"]


@pytest.mark.parametrize(
    ("kind", "object_file", "shown_file", "struct"),
    [
        (ObjectKind.COMMIT, "show.commit", "show.json", "GitsignGit"),
        (ObjectKind.TAG, "v0.14.0.tag", "show-tag.json", "GitsignTagPredicate"),
    ],
)
def test_of_what_gitsign_signed_it_is_what_gitsign_itself_shows(
    kind: ObjectKind, object_file: str, shown_file: str, struct: str
) -> None:
    pytest.importorskip("sigstore", reason="the package with the public trusted root is not installed")
    folder = ROOT / "tests/gitsign"
    raw, shown = (folder / object_file).read_bytes(), json.loads((folder / shown_file).read_text("utf-8"))
    oid = object_id(kind, raw, ObjectFormat.SHA1)
    assert oid == shown["subject"][0]["digest"]["sha1"]
    known = replace(forge().trusted, foreign=Roots(sigstore=SigstoreRoot.public_good()))
    found = verify.examine(raw, kind, ObjectFormat.SHA1, oid, known, at=NOW)
    verdict = verify.judge(found, Policy(), Context(), at=NOW)
    made = gitsign.build(Facts(found, verdict, ID, None, None, NOW))
    assert check(made, struct) == shown["predicate"]
    assert json.loads(made or b"")["predicateType"] == shown["predicateType"]
    signature = check(stated(Facts(found, verdict, ID, None, None, NOW)), "CommitPredicate")["signature"]
    second = "2022-11-14T21:13:23Z" if kind is ObjectKind.COMMIT else "2026-01-28T17:50:27Z"
    assert (signature["cmsSigningTime"], signature["signedAttributes"]) == (second, True)
    assert signature["signer"]["kind"] == "sigstore"


def test_no_type_but_gitsigns_holds_the_message() -> None:
    for name, (_, _, make) in EXAMPLES.items():
        assert (b"The body says more" in (make() or b"")) is (name == "gitsign-git-v0.1")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_a_damaged_statement_is_a_documented_error_or_another_statement(name: str, data: st.DataObject) -> None:
    payload = bytearray((GOLDEN / f"{name}.json").read_bytes().rstrip())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(payload) - 1))
        payload[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        found = said.read(bytes(payload))
    except MalformedError:
        return
    assert found.payload == bytes(payload)


SCALAR = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
ANY = st.recursive(SCALAR, lambda item: st.lists(item, max_size=3), max_leaves=4)


SHOWN = ("verifiedLevels", "verificationResult", "properties", "passedTests", "failedTests", "references", "branch")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(EXAMPLES)), st.dictionaries(st.sampled_from(SHOWN), ANY, max_size=4))
def test_whatever_shape_a_predicate_has_its_gist_is_text(name: str, predicate: dict[str, Any]) -> None:
    kind = json.loads((GOLDEN / f"{name}.json").read_bytes())["predicateType"]
    assert all(isinstance(line, str) for line in gist.lines(kind, predicate))


def test_a_file_that_cannot_be_finished_is_not_there(tmp_path: Path) -> None:
    class Failing:
        id, public = ID, None

        def sign(self, payload: bytes, _at: datetime) -> bytes:
            if b"svr" in payload:
                raise UnavailableError("no signature")
            return b"line"

    sink = Signed(Failing(), lambda: NOW, None, None, tmp_path / "out")
    sink.add(maker.Stated("a" * 40, "commit", "PASSED", "x", b"{}"))
    with pytest.raises(UnavailableError):
        sink.add(maker.Stated("a" * 40, "svr", "PASSED", "x", b"svr"))
    sink.abandon()
    assert list(tmp_path.iterdir()) == []
