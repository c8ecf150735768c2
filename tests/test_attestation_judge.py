"""Attestations judged together: what is enough, who may say what, and that leaving one out never opens anything."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import attestation, attestation_judge, attestation_types, dsse, keys
from attest.attestation import Accepting, Attestation, By, Credential
from attest.attestation_judge import Attesters
from attest.attestation_types import Wanted
from attest.attester import KeyAttester, uri_of
from attest.dsse import Envelope, EnvelopeSignature
from attest.errors import MalformedError, Reason, VerificationError
from attest.predicates.provenance import PREDICATE_TYPE as PROVENANCE
from attest.predicates.svr import PREDICATE_TYPE as SVR
from attest.predicates.testresult import PREDICATE_TYPE as TEST_RESULT
from attest.predicates.vsa import PREDICATE_TYPE as VSA
from attest.receive import witness
from attest.receive.updates import Update
from attest.rewrites.statement import PREDICATE_TYPE as REWRITE
from attest.rules import document
from attest.said import read
from attest.signing_key import SigningKey
from attest.statement import PREDICATE_TYPE as COMMIT
from attest.trust import Trust
from attest.types import Outcome
from tests.forge import NOW, Forge
from tests.peers import ROOT

WRITTEN = "003aebff4ea3deee48675505e0d5302386a46081"
OID = "1" * 40
REPOSITORY, REF, CI = "https://git.example/app", "refs/heads/main", "https://ci.example/verifier"
PRIVATE = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3)]
SIGNERS = [SigningKey(keys.from_cryptography(key.public_key()), key) for key in PRIVATE]
KEYS = [signer.public for signer in SIGNERS]
FORGE = Forge(seed="judge")

STEPS = [{"number": number, "name": "x", "result": "PASSED"} for number in range(1, 9)]
PREDICATES: dict[str, dict[str, Any]] = {
    COMMIT: {"verification": {"verifier": {"id": CI}, "result": "PASSED", "outcome": "accepted", "steps": STEPS}},
    VSA: {
        "verifier": {"id": CI},
        "resourceUri": f"git+{REPOSITORY}",
        "policy": {"uri": "x"},
        "verificationResult": "PASSED",
        "verifiedLevels": ["ORG_SOURCE_A", "ORG_SOURCE_B"],
    },
    SVR: {"verifier": {"id": CI, "policies": []}, "timeCreated": "x", "properties": ["APAS_A"]},
    TEST_RESULT: {"result": "PASSED", "configuration": [], "passedTests": ["signature"]},
    REWRITE: {"relation": "same-tree", "old": [{"outcome": "accepted"}], "verification": {"verifier": {"id": CI}}},
}
UNPROVEN = [{**step, "result": "UNKNOWN" if step["number"] == 5 else "PASSED"} for step in STEPS]
FAILED = [{**step, "result": "FAILED" if step["number"] == 8 else "PASSED"} for step in STEPS]


def payload(kind: str = COMMIT, oid: str = OID, refs: tuple[str, ...] = (REF,), **changes: Any) -> bytes:
    predicate = {**PREDICATES.get(kind, {}), **changes}
    subject = {"name": f"git+{REPOSITORY}", "digest": {"gitCommit": oid}, "annotations": {"source_refs": list(refs)}}
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [subject],
            "predicateType": kind,
            "predicate": {name: value for name, value in predicate.items() if value is not None},
        }
    ).encode()


def line(number: int = 0, said: bytes | None = None) -> bytes:
    return KeyAttester(SIGNERS[number], CI).sign(said or payload(), NOW)


def cosigned(*numbers: int, said: bytes | None = None) -> bytes:
    data = said or payload()
    message = dsse.pae(dsse.PAYLOAD_TYPE, data)
    made = tuple(EnvelopeSignature(PRIVATE[n].sign(message), "") for n in numbers)
    return Envelope(data, dsse.PAYLOAD_TYPE, made).encode()


def commit(**verification: Any) -> dict[str, Any]:
    return {"verification": {**PREDICATES[COMMIT]["verification"], **verification}}


ALL = Accepting(FORGE.trusted, keys=tuple(KEYS[:2]))


def outcome(*lines: bytes, threshold: int = 1, types: tuple[str, ...] = (), wanted: Wanted | None = None) -> Outcome:
    who = Attesters(ALL, threshold=threshold)
    return attestation_judge.judge(lines, who, NOW, digest=OID, types=types, wanted=wanted or Wanted()).outcome


@pytest.mark.parametrize("kind", PREDICATES)
def test_one_that_says_yes_is_enough(kind: str) -> None:
    assert outcome(line(said=payload(kind)), types=(kind,)) is Outcome.ACCEPTED
    # What tells nothing of a result is no answer to who did not ask for it.
    assert (outcome(line(said=payload(kind))) is Outcome.ACCEPTED) is (kind != REWRITE)


def test_a_type_without_a_result_counts_where_it_is_asked_for_or_a_rule_names_it() -> None:
    review = "https://example.org/review/v1"
    [item] = by_policy(line(0, payload(review))).items
    assert isinstance(item.error, VerificationError)
    assert item.error.reason is Reason.ATTESTER_REFUSED
    judged = attestation_judge.judge([line(0, payload(review))], Attesters(Accepting(Trust(()), keys=(KEYS[0],))), NOW)
    assert judged.outcome is Outcome.REJECTED
    assert judged.items[0].error is not None
    assert f"--type {review}" in judged.items[0].error.hint
    for named, enough in ((f'predicates = ["{review}"]', True), ("", False)):
        text = f'version = 1\n[[attesters]]\nname = "a"\nkeys = ["{PUBLIC[0]}"]\n{named}\n'
        who = Attesters.of_policy(document.parse(text.encode()).attesters, Accepting(Trust(())))
        judged = attestation_judge.judge([line(0, payload(review))], who, NOW, digest=OID)
        assert (judged.outcome is Outcome.ACCEPTED) is enough


def test_a_verifier_under_a_pinned_anchor_may_call_itself_as_its_certificate_does_and_nothing_else() -> None:
    own = payload(**commit(verifier={"id": "wimse://authority.example/verifier/verifier"}))
    assert outcome(FORGE.bundle(own).encode()) is Outcome.ACCEPTED
    assert outcome(FORGE.bundle(payload()).encode()) is Outcome.REJECTED


NOT_ENOUGH: dict[str, bytes] = {
    "about another commit": line(said=payload(oid="2" * 40)),
    "by a key that nobody named": line(2),
    "a commit that failed": line(said=payload(**commit(result="FAILED", outcome="rejected"))),
    "a result that its outcome contradicts": line(said=payload(**commit(outcome="rejected"))),
    "a result that its steps contradict": line(said=payload(**commit(steps=FAILED))),
    "a time that nobody proved, said to be proven": line(said=payload(**commit(steps=UNPROVEN))),
    "seven steps": line(said=payload(**commit(steps=STEPS[:7]))),
    "steps that are texts": line(said=payload(**commit(steps=["1"] * 8))),
    "numbers that are texts": line(said=payload(**commit(steps=[{**s, "number": str(s["number"])} for s in STEPS]))),
    "a commit without its verifier": line(said=payload(**commit(verifier={}))),
    "a summary that failed": line(said=payload(VSA, verificationResult="FAILED")),
    "a summary without a resource": line(said=payload(VSA, resourceUri=None)),
    "a summary without a verifier": line(said=payload(VSA, verifier=None)),
    "no properties": line(said=payload(SVR, properties=[])),
    "a test that failed": line(said=payload(TEST_RESULT, result="FAILED")),
    "a test without a result": line(said=payload(TEST_RESULT, result=None)),
    "a rewrite of commits that have nothing in common": line(said=payload(REWRITE, relation="none")),
    "a rewrite without a relation": line(said=payload(REWRITE, relation=None)),
    "a rewrite with several relations": line(said=payload(REWRITE, relation=["same-tree"])),
    "a rewrite of nothing": line(said=payload(REWRITE, old=[])),
    "a rewrite of a commit that was rejected": line(said=payload(REWRITE, old=[{"outcome": "rejected"}])),
    "a rewrite of texts": line(said=payload(REWRITE, old=["accepted"])),
    "no JSON": b"{",
}


@pytest.mark.parametrize("given_line", NOT_ENOUGH.values(), ids=NOT_ENOUGH)
def test_what_does_not_say_yes_is_not_enough(given_line: bytes) -> None:
    assert outcome(given_line) is Outcome.REJECTED
    for kind in PREDICATES:
        assert outcome(given_line, types=(kind,)) is Outcome.REJECTED


def test_nothing_there_is_no_ground_to_accept() -> None:
    assert outcome() is Outcome.REJECTED


def test_time_that_only_the_signer_says_goes_with_that_outcome() -> None:
    assert outcome(line(said=payload(**commit(outcome="accepted-time-unproven", steps=UNPROVEN)))) is Outcome.ACCEPTED


def test_what_could_not_be_told_is_not_said_to_be_false() -> None:
    own = payload(**commit(verifier={"id": "wimse://authority.example/verifier/verifier"}))
    later = FORGE.bundle(own, at=NOW + timedelta(hours=1)).encode()
    assert outcome(later) is Outcome.COULD_NOT_CHECK
    assert outcome(later, line()) is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("kind", "wanted", "enough"),
    [
        (VSA, Wanted(levels=("ORG_SOURCE_A", "ORG_SOURCE_B")), True),
        (VSA, Wanted(levels=("SLSA_SOURCE_LEVEL_3",)), False),
        (VSA, Wanted(repository=REPOSITORY, ref=REF), True),
        (VSA, Wanted(repository="https://git.example/other"), False),
        (COMMIT, Wanted(ref="refs/heads/other"), False),
        (COMMIT, Wanted(levels=("ORG_SOURCE_A",)), False),
        (SVR, Wanted(levels=("APAS_A",)), True),
        (SVR, Wanted(levels=("APAS_B",)), False),
        (TEST_RESULT, Wanted(levels=("signature",)), True),
        ("https://example.com/x", Wanted(levels=("x",)), False),
    ],
)
def test_levels_repository_and_ref_have_to_be_stated(kind: str, wanted: Wanted, enough: bool) -> None:
    assert (outcome(line(said=payload(kind)), wanted=wanted) is Outcome.ACCEPTED) is enough


@pytest.mark.parametrize("kind", [".vsa", ".of-anything"])
def test_a_type_of_the_payload_that_names_a_predicate_decides_nothing(kind: str) -> None:
    payload_type = f"application/vnd.in-toto{kind}+json"
    signature = PRIVATE[0].sign(dsse.pae(payload_type, payload(VSA)))
    signed = Envelope(payload(VSA), payload_type, (EnvelopeSignature(signature),)).encode()
    assert outcome(signed, types=(VSA,)) is Outcome.ACCEPTED
    assert outcome(signed, types=(SVR,)) is Outcome.REJECTED


@pytest.mark.parametrize(
    ("wanted", "enough"),
    [("SLSA_SOURCE_LEVEL_1", True), ("SLSA_SOURCE_LEVEL_2", True), ("SLSA_SOURCE_LEVEL_3", False),
     ("SLSA_BUILD_LEVEL_1", False), ("SLSA_SOURCE_LEVEL_", False)],
)  # fmt: skip
def test_a_level_implies_those_below_it_in_its_track(wanted: str, enough: bool) -> None:
    summary = line(said=payload(VSA, verifiedLevels=["ORG_SOURCE_A", "SLSA_SOURCE_LEVEL_2"]))
    assert (outcome(summary, wanted=Wanted(levels=(wanted,))) is Outcome.ACCEPTED) is enough


@pytest.mark.parametrize("said", ["a push as source-tool has it", "a push as a witness saw it"])
def test_a_push_is_about_the_repository_and_ref_that_its_type_names(said: str) -> None:
    update, kinds = Update(REF, "2" * 40, OID), {OID: "commit", "2" * 40: "commit"}
    made = {
        "a push as source-tool has it": (
            payload(PROVENANCE, repo_uri=REPOSITORY, branch=REF).replace(f'"name": "git+{REPOSITORY}", '.encode(), b"")
        ),
        "a push as a witness saw it": witness.build(update, kinds, CI, REPOSITORY, None, NOW),
    }[said]
    assert b'"name": "git+' not in made
    for wanted, enough in (
        (Wanted(repository=REPOSITORY, ref=REF), True),
        (Wanted(repository="https://git.example/other"), False),
        (Wanted(ref="refs/heads/other"), False),
    ):
        types = (read(made).predicate_type,)
        assert (outcome(line(said=made), types=types, wanted=wanted) is Outcome.ACCEPTED) is enough


@pytest.mark.parametrize(("old", "new"), [(OID, None), (OID, "2" * 40)], ids=["deleted", "moved on"])
def test_that_a_ref_went_away_from_a_commit_is_no_ground_to_accept_it(old: str, new: str | None) -> None:
    kinds = {OID: "commit", "2" * 40: "commit"}
    said = json.loads(witness.build(Update(REF, old, new), kinds, CI, REPOSITORY, None, NOW))
    said["subject"] = [{"name": REF, "digest": {"gitCommit": OID}}]
    gone = line(said=json.dumps(said).encode())
    assert outcome(gone, wanted=Wanted(ref=REF)) is Outcome.REJECTED
    assert outcome(gone, types=(said["predicateType"],)) is Outcome.REJECTED


def test_what_source_tool_wrote_itself_is_about_its_own_branch_and_repository() -> None:
    written = json.loads((ROOT / f"tests/sourcetool/{WRITTEN}.jsonl").read_bytes())
    said = read(b64decode(written["dsseEnvelope"]["payload"]))
    wanted = Wanted(repository="https://github.com/slsa-framework/slsa-source-poc", ref="refs/heads/main")
    (place,) = attestation_types.places(said, WRITTEN, wanted)
    assert place.refs == ("refs/heads/main",)
    with pytest.raises(VerificationError):
        attestation_types.places(said, WRITTEN, Wanted(ref="refs/heads/other"))


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("git+https://git.example/app", REPOSITORY),
        ("git+https://git.example/app@refs/heads/main", REPOSITORY),
        ("git+ssh://git@git.example/app", "ssh://git@git.example/app"),
        ("git+ssh://git@git.example/app@" + OID, "ssh://git@git.example/app"),
        ("git@git.example:team/app.git", "git@git.example:team/app.git"),
        ("git+https://user:token@git.example/app@" + OID, REPOSITORY),
        ("https://git.example@elsewhere.example/app", "https://elsewhere.example/app"),
        ("/srv/git/app@v1", "/srv/git/app"),
        ("", ""),
    ],
)
def test_the_user_of_ssh_is_part_of_an_address_and_no_credential_or_revision_is(name: str, repository: str) -> None:
    made = json.loads(payload())
    made["subject"][0]["name"] = name
    (place,) = attestation_types.places(read(json.dumps(made).encode()), OID, Wanted())
    assert place.repository == repository


def test_each_type_that_is_wanted_has_to_be_there() -> None:
    assert outcome(line(), line(said=payload(VSA)), types=(COMMIT, VSA)) is Outcome.ACCEPTED
    assert outcome(line(), types=(COMMIT, VSA)) is Outcome.REJECTED


def test_attesters_are_counted_and_not_signatures() -> None:
    assert outcome(cosigned(0, 1), threshold=2) is Outcome.ACCEPTED
    assert outcome(line(0), line(1), threshold=2) is Outcome.ACCEPTED
    for few in ((cosigned(0, 0),), (line(0), line(0, payload(refs=(REF, "refs/heads/x")))), (cosigned(0, 2), line(2))):
        assert outcome(*few, threshold=2) is Outcome.REJECTED
    # Two types by one attester each are not one type by two.
    assert outcome(line(0), line(1, payload(VSA)), threshold=2) is Outcome.REJECTED


PUBLIC = [b64encode(key.spki).decode() for key in KEYS]
POLICY = f"""
version = 1
[[attesters]]
name = "ci"
keys = ["{PUBLIC[0]}", "{PUBLIC[1]}"]
ids = ["https://ci.example/*"]
predicates = ["{COMMIT}"]
refs = ["main", "release/*"]
repositories = ["https://git.example/*"]
threshold = 2
[[attesters]]
name = "release"
keys = ["{PUBLIC[2]}"]
predicates = ["{VSA}"]
[[attesters]]
name = "home"
certificates = ["wimse://authority.example/verifier/*"]
predicates = ["{SVR}"]
"""


def beside(said: bytes, digest: dict[str, str]) -> bytes:
    """The same statement about something on the branch, too."""
    top = json.loads(said)
    top["subject"].append({**json.loads(payload())["subject"][0], "digest": digest})
    return json.dumps(top).encode()


RULES = document.parse(POLICY.encode()).attesters
OWN = {"id": "wimse://authority.example/verifier/verifier"}


def by_policy(*lines: bytes) -> attestation_judge.Judgement:
    who = Attesters.of_policy(RULES, Accepting(FORGE.trusted))
    return attestation_judge.judge(lines, who, NOW, digest=OID)


BY_POLICY: dict[str, tuple[Callable[[], tuple[bytes, ...]], bool]] = {
    "two keys of CI on a commit": (lambda: (cosigned(0, 1),), True),
    "one of them": (lambda: (line(0),), False),
    "a summary by CI": (lambda: (cosigned(0, 1, said=payload(VSA)),), False),
    "a tag's ref": (lambda: (cosigned(0, 1, said=payload(refs=("refs/tags/v1",))),), False),
    "a branch and a tag": (lambda: (cosigned(0, 1, said=payload(refs=(REF, "refs/tags/v1"))),), True),
    "a tag, and another commit on the branch": (
        lambda: (cosigned(0, 1, said=beside(payload(refs=("refs/tags/v1",)), {"gitCommit": "2" * 40})),),
        False,
    ),
    "no ref at all": (lambda: (cosigned(0, 1, said=payload(refs=())),), False),
    "in another verifier's name": (
        lambda: (cosigned(0, 1, said=payload(**commit(verifier={"id": "https://evil.example"}))),),
        False,
    ),
    "the release key on a summary, in its own name": (
        lambda: (line(2, payload(VSA, verifier={"id": uri_of(KEYS[2])})),),
        True,
    ),
    "the release key in the name of CI": (lambda: (line(2, payload(VSA)),), False),
    "the home's verifier on properties": (lambda: (FORGE.bundle(payload(SVR, verifier=OWN)).encode(),), True),
    "the home's verifier on a commit": (lambda: (FORGE.bundle(payload(**commit(verifier=OWN))).encode(),), False),
}


@pytest.mark.parametrize(("lines", "enough"), BY_POLICY.values(), ids=BY_POLICY)
def test_who_may_attest_what_the_policy_says(lines: Callable[[], tuple[bytes, ...]], enough: bool) -> None:
    judged = by_policy(*lines())
    assert (judged.outcome is Outcome.ACCEPTED) is enough
    refused = [item.error for item in judged.items if item.error is not None]
    assert enough or not refused or isinstance(refused[0], VerificationError)


@pytest.mark.parametrize(("counted", "enough"), [(True, True), (False, False)], ids=["counted", "not counted"])
def test_a_verifier_counts_under_the_anchors_that_the_policy_counts(counted: bool, enough: bool) -> None:
    anchors = frozenset({FORGE.trusted.anchors[0].key.spki_sha256 if counted else bytes(32)})
    who = Attesters.of_policy(RULES, Accepting(FORGE.trusted), anchors)
    stated = FORGE.bundle(payload(SVR, verifier=OWN)).encode()
    judged = attestation_judge.judge([stated], who, NOW, digest=OID)
    assert (judged.outcome is Outcome.ACCEPTED) is enough
    assert enough or [getattr(item.error, "reason", None) for item in judged.items] == [Reason.ATTESTER_REFUSED]


def test_the_reason_of_a_line_that_holds_and_does_not_count_is_a_word_for_programs() -> None:
    [item] = by_policy(line(0, payload(VSA))).items
    assert isinstance(item.error, VerificationError)
    assert item.error.reason is Reason.ATTESTER_REFUSED
    assert item.found is not None


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ('name = "x"', "nobody"),
        ('name = "x"\nkeys = ["AAAA"]', "no public key"),
        (f'name = "x"\nkeys = ["{PUBLIC[0]}"]\nthreshold = 2', "fewer"),
        (f'name = "x"\nkeys = ["{PUBLIC[0]}"]\nthreshold = 0', "not 1 to 16"),
        (f'name = "x"\nkeys = ["{PUBLIC[0]}"]\npredicates = ["commit"]', "no URI"),
        (f'name = "x"\nkeys = ["{PUBLIC[0]}"]\npredicate = ["x:y"]', "not known"),
        (f'name = "x"\nkeys = ["{PUBLIC[0]}"]\n[[attesters]]\nname = "x"\nkeys = ["{PUBLIC[0]}"]', "twice"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(section: str, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        document.parse(f"version = 1\n[[attesters]]\n{section}\n".encode())


POOL = [
    line(0), line(1), line(2), cosigned(0, 1), line(0, payload(VSA)), line(2, payload(VSA, verifier=OWN)),
    FORGE.bundle(payload(SVR, verifier=OWN)).encode(), *NOT_ENOUGH.values(),
]  # fmt: skip


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(POOL), max_size=8), st.data(), st.integers(1, 3), st.sampled_from([(), (COMMIT, VSA)]))
def test_leaving_a_line_out_never_makes_anything_acceptable(
    lines: list[bytes], data: st.DataObject, threshold: int, types: tuple[str, ...]
) -> None:
    fewer = [each for each in lines if data.draw(st.booleans())]
    by_rules = Attesters.of_policy(RULES, Accepting(Trust(FORGE.trusted.anchors)))
    for who in (Attesters(ALL, threshold=threshold), by_rules):
        if attestation_judge.judge(fewer, who, NOW, digest=OID, types=types).outcome is Outcome.ACCEPTED:
            assert attestation_judge.judge(lines, who, NOW, digest=OID, types=types).outcome is Outcome.ACCEPTED


def test_a_place_that_is_wanted_has_to_be_one_where_the_attester_may() -> None:
    who = Attesters.of_policy(RULES, Accepting(FORGE.trusted))
    both = cosigned(0, 1, said=payload(refs=(REF, "refs/tags/v1")))
    for ref, accepted in ((REF, True), ("refs/tags/v1", False), ("refs/heads/x", False)):
        judged = attestation_judge.judge([both], who, NOW, digest=OID, wanted=Wanted(ref=ref))
        assert (judged.outcome is Outcome.ACCEPTED) is accepted


def test_no_subject_lends_another_its_ref() -> None:
    two = line(said=beside(payload(refs=("refs/heads/x",)), {"gitCommit": "2" * 40}))
    assert outcome(two, wanted=Wanted(ref="refs/heads/x")) is Outcome.ACCEPTED
    assert outcome(two, wanted=Wanted(ref=REF)) is Outcome.REJECTED


RECORD, REFERENCE = "https://example.org/record/v1", "https://in-toto.io/attestation/reference/v0.1"
NAMES = [CI, "https://evil.example", OWN["id"], uri_of(KEYS[0])]
DIGESTS = [
    {"gitCommit": OID, "gitTree": "3" * 40}, {"gitCommit": "2" * 40, "gitTree": OID}, {"gitTag": "2" * 40, "sha1": OID},
    {"gitCommit": "2" * 40, "sha256": OID}, {"foo": OID, "gitBlob": OID},
]  # fmt: skip
PLACED = [[], [REF], ["refs/tags/v1", REF], ["refs/tags/v1"]]
BROKEN = [commit(result="FAILED", outcome="rejected"), commit(steps=FAILED), commit(outcome="accepted", steps=UNPROVEN)]


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    """Of every kind, and in a few things other than one that is enough."""
    kind = draw(st.sampled_from([*PREDICATES, RECORD, REFERENCE]))
    said: dict[str, Any] = json.loads(payload(kind))
    if kind == COMMIT and draw(st.booleans()):
        said["predicate"] |= draw(st.sampled_from(BROKEN))
    for path in draw(st.lists(st.sampled_from(["verifier", "attester", "verification"]), max_size=2)):
        who: dict[str, Any] = {"id": draw(st.sampled_from(NAMES))}
        if path == "verification":
            who = {"verifier": who}
        said["predicate"][path] = {**said["predicate"].get(path, {}), **who}
    said["subject"] *= draw(st.integers(1, 2))
    said["subject"] = [{**subject} for subject in said["subject"]]
    for subject in said["subject"]:
        if draw(st.booleans()):
            subject["digest"] = draw(st.sampled_from(DIGESTS))
        if draw(st.booleans()):
            subject["name"] = draw(st.sampled_from(["git+https://elsewhere.example/app", ""]))
        if draw(st.booleans()):
            names = st.sampled_from(["sourceRefs", "source_refs", "source_branches"])
            subject["annotations"] = draw(st.dictionaries(names, st.sampled_from(PLACED)))
    return said


def fields(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of all there is to leave out; the list of steps is one whole."""
    found = list[tuple[str | int, ...]]()
    for name in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        found.append((*at, name))
        if name != "steps":
            found += fields(value[name], (*at, name))
    return found


def without(said: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    left: dict[str, Any] = json.loads(json.dumps(said))
    place: Any = left
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return left


WANTED = [Wanted(), Wanted(ref=REF), Wanted(repository=REPOSITORY), Wanted(levels=("ORG_SOURCE_A",))]
PLACES = """
version = 1
[[attesters]]
name = "here"
keys = ["%s"]
ids = ["https://ci.example/*"]
refs = ["main"]
repositories = ["https://git.example/*"]
[[attesters]]
name = "home"
certificates = ["wimse://authority.example/verifier/*"]
refs = ["main"]
"""
WHO = [
    Attesters(ALL),
    Attesters.of_policy(RULES, Accepting(FORGE.trusted)),
    Attesters.of_policy(document.parse((PLACES % PUBLIC[0]).encode()).attesters, Accepting(FORGE.trusted)),
]
BY = [
    tuple(By(Credential.KEY, uri_of(key), key=key) for key in KEYS[:2]),
    (By(Credential.CERTIFICATE, OWN["id"]),),
]


@settings(derandomize=True, max_examples=400, deadline=None)
@given(statements(), st.sampled_from(BY), st.sampled_from(WHO), st.sampled_from(WANTED))
def test_leaving_a_field_out_never_makes_anything_acceptable(
    said: dict[str, Any], by: tuple[By, ...], who: Attesters, wanted: Wanted
) -> None:
    def accepted(stated: dict[str, Any]) -> bool:
        judged = attestation_judge.judge([json.dumps(stated).encode()], who, NOW, digest=OID, wanted=wanted)
        return judged.outcome is Outcome.ACCEPTED

    with pytest.MonkeyPatch.context() as patch:
        # Whose signature it is, is another matter: here every line is `by` them.
        patch.setattr(attestation, "verify", lambda line, *_: Attestation(read(line), by))
        if not accepted(said):
            for path in fields(said):
                assert not accepted(without(said, path)), path
