"""Dispatches read in every shape, and stated by the orchestrator alone, of what it said."""

from __future__ import annotations

import copy
import hashlib
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from attest import attestation_types, certificate, said, statement, verify
from attest.apas import dispatch as dispatches
from attest.apas import dispatch_read, dispatch_statement, origins
from attest.apas.dispatch import PREDICATE_TYPE, Agent, Dispatch, Pipeline, WorkItem
from attest.errors import MalformedError, UnavailableError, UsageError
from attest.gitobject import Commit
from attest.policy import Context, Policy
from attest.verify import Examination
from tests.dispatches import CAPNP, DEFINITION, ITEM_HASH, MANIFEST, RUN, SERVED, SESSION, encoded
from tests.forge import NOW, Forge, Leaf
from tests.peers import ROOT
from tests.test_statement import examined

GOLDEN = Path(__file__).parent / "golden"
ORIGINS_HASH = "sha256:d20204e36d2f60719a9bddb2a595639cd60a80e19797e5128acb9a96bede9669"

# What notme's served schema lists as required (worker/worker.ts, as formats.md 1.3 has it): all other fields may lack.
REQUIRED_BY_NOTME = {
    ("dispatchDefinition", "workItemRef"): ("repo", "workItemId", "contentHash"),
    ("dispatchDefinition", "agent"): ("name", "provider", "model"),
}


@pytest.fixture(scope="module")
def forge() -> Forge:
    return Forge()


@pytest.fixture(scope="module")
def leaf(forge: Forge) -> Leaf:
    return forge.leaf()


@pytest.fixture(scope="module")
def two(forge: Forge, leaf: Leaf) -> list[Examination]:
    messages = (b"Refuse empty certificates\n\nThe body holds a secret.\n", b"Test it\n")
    return [examined(forge, forge.commit(leaf, message=message)) for message in messages]


def parsed(value: object) -> Dispatch:
    return dispatch_read.parse(encoded(value))


def changed(value: dict[str, Any], path: str, new: object) -> dict[str, Any]:
    made = copy.deepcopy(value)
    *above, last = path.split(".")
    place = made
    for name in above:
        place = place[name]
    place[last] = new
    return made


def stated(dispatch: Dispatch, examinations: Sequence[Examination], **options: Any) -> dict[str, Any]:
    options = {"repository": "https://git.example/app", "ref": "refs/heads/main", **options}
    payload = dispatch_statement.build(dispatch, examinations, **options)
    found: dict[str, Any] = json.loads(payload)
    assert json.dumps(found, separators=(",", ":")).encode() == payload
    return found


def schema(name: str) -> jsonschema.Draft202012Validator:
    document = json.loads((ROOT / "schema/gen/json/apas.schema.json").read_text("utf-8"))
    return jsonschema.Draft202012Validator({**document, "$ref": f"#/$defs/{name}"})


# Reading


def test_every_shape_says_the_same_of_work_item_and_agent() -> None:
    served, flat, manifest = parsed(SERVED), parsed(CAPNP), parsed(MANIFEST)
    stated = parsed({"_type": statement.STATEMENT_TYPE, "predicateType": PREDICATE_TYPE, "predicate": SERVED})
    assert stated == served
    assert flat.work_item == served.work_item == WorkItem("acme/app", "acme-17", ITEM_HASH)
    assert flat.agent == replace(served.agent, permission_profile="")
    assert flat.pipeline == served.pipeline == Pipeline(("plan", "generate"), 1, SESSION)
    assert manifest.work_item == WorkItem("acme/app", "acme-17")
    assert manifest.agent == Agent("dev-agent", "claude", "opus", "", "implement")
    assert (manifest.pipeline.current, manifest.id) == (1, "d-2026-11-23-0042")


def test_the_old_name_of_the_work_item_is_read_wherever_it_stands() -> None:
    bead = CAPNP["beadRef"]
    definition = {**{name: value for name, value in DEFINITION.items() if name != "workItemRef"}, "beadRef": bead}
    assert parsed({"dispatchDefinition": definition}).work_item == WorkItem("acme/app", "acme-17", ITEM_HASH)
    with pytest.raises(MalformedError, match="two names of one thing"):
        parsed(changed(SERVED, "dispatchDefinition.beadRef", bead))


def test_what_a_manifest_says_of_its_checks_is_taken_where_its_word_is_known() -> None:
    found = parsed(MANIFEST).verification
    assert (found.passed, found.highest) == (True, 1)
    assert found.tiers == (("commit", True), ("compile", False), ("lint", None))
    assert found.data()["tiers"][2] == {"name": "lint"}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        pytest.param({}, "nothing of a dispatch", id="nothing"),
        pytest.param({"agent": {}}, "nothing of a dispatch", id="an agent alone"),
        pytest.param({"_type": statement.STATEMENT_TYPE, "predicateType": PREDICATE_TYPE + "x"}, "not a", id="a type"),
        pytest.param({"_type": "x", "predicateType": PREDICATE_TYPE, "predicate": {}}, "not a", id="no Statement"),
        pytest.param(changed(MANIFEST, "schema_version", "2"), "version 1 is read", id="a manifest to come"),
        pytest.param(changed(MANIFEST, "identity", None), "identity is missing", id="a manifest of nobody"),
        pytest.param(changed(MANIFEST, "identity.repo", None), r"identity\.repo is", id="a manifest of no repo"),
        pytest.param(changed(MANIFEST, "session.started_at", "today"), "RFC 3339", id="a time in words"),
        pytest.param(changed(SERVED, "runDetails.execution.isolationLevel", "chroot"), "none of", id="isolation"),
        pytest.param(changed(SERVED, "runDetails.execution.durationMs", 1.5), "whole number", id="half a millisecond"),
        pytest.param(changed(SERVED, "runDetails.work.linesAdded", -1), "whole number", id="less than nothing"),
        pytest.param(changed(SERVED, "runDetails.work.commits", [{"sha": "abc123"}]), "no commit id", id="a short id"),
        pytest.param(changed(SERVED, "runDetails.work.commits", [{"sha": "ab" * 20}] * 2), "twice", id="one twice"),
        pytest.param(changed(SERVED, "runDetails.originsHash", ORIGINS_HASH), "exclude each other", id="both origins"),
        pytest.param(changed(SERVED, "runDetails.handoffChain", {}), "without phaseHash", id="a chain of nothing"),
        pytest.param(
            changed(SERVED, "dispatchDefinition.workItemRef.contentHash", "ab" * 32), "sha256:", id="no algorithm"
        ),
        pytest.param(changed(SERVED, "dispatchDefinition.agent", []), "not an object", id="a list of agents"),
    ],
)
def test_what_is_not_in_its_form_is_refused(value: object, complaint: str) -> None:
    with pytest.raises(MalformedError, match=complaint):
        parsed(value)


scalars = st.none() | st.booleans() | st.integers(-2, 2**64) | st.floats() | st.text(max_size=5)
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(max_size=3), scalars, max_size=1)
PATHS = {
    "served": (SERVED, ["dispatchDefinition", "runDetails", *(f"runDetails.{name}" for name in RUN)]),
    "manifest": (MANIFEST, [*MANIFEST, *(f"identity.{name}" for name in MANIFEST["identity"])]),
    "flat": (CAPNP, [*CAPNP, "agent.name", "beadRef.repo"]),
}


@given(st.sampled_from(sorted(PATHS)), st.data())
def test_any_value_is_refused_or_read(shape: str, data: st.DataObject) -> None:
    whole, paths = PATHS[shape]
    try:
        found = parsed(changed(whole, data.draw(st.sampled_from(paths)), data.draw(values)))
    except MalformedError:
        return
    assert isinstance(found.missing, tuple)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        dispatch_read.parse(data)


# Stating


def test_a_dispatch_is_stated_in_the_served_shape_with_what_is_known_of_its_commits(two: list[Examination]) -> None:
    found = stated(parsed(SERVED), two)
    assert found["predicateType"] == PREDICATE_TYPE
    assert [one["digest"] for one in found["subject"]] == [{"gitCommit": one.object_id} for one in two]
    predicate = found["predicate"]
    assert predicate["dispatchDefinition"] == DEFINITION
    first = predicate["runDetails"]["work"]["commits"][0]
    chain = two[0].chain
    assert chain is not None
    assert first == {
        "sha": two[0].object_id,
        "message": "Refuse empty certificates",
        "signature": two[0].signature.decode(),
        "treeId": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "parents": first["parents"],
        "payloadSha256": hashlib.sha256(two[0].payload).hexdigest(),
        "certSha256": chain.leaf.sha256.hex(),
        "epoch": chain.leaf.epoch,
    }
    schema("Dispatch").validate(predicate)
    for name in ("verification", "outcome", "handoffChain"):
        assert predicate["runDetails"][name] == RUN[name]
    assert predicate["runDetails"]["orchestrator"] == {"name": "rosary", "version": "0.9.1"}


def test_what_everyone_reads_has_the_hash_of_the_origins_and_no_path(two: list[Examination]) -> None:
    public = stated(parsed(SERVED), two)["predicate"]["runDetails"]
    whole = stated(parsed(SERVED), two, scoped=True)["predicate"]
    assert (public["originsHash"], "contentOrigins" in public) == (ORIGINS_HASH, False)
    assert "workDir" not in public["execution"]
    assert "originsHash" not in whole["runDetails"]
    assert whole["runDetails"]["execution"] == RUN["execution"]
    assert dispatches.origins_data(parsed(SERVED).origins, scoped=True)["contentOrigins"] == sorted(
        RUN["contentOrigins"], key=lambda one: (one["uri"], one["vouchedBy"])
    )
    schema("Dispatch").validate(whole)
    empty = parsed(changed(SERVED, "runDetails.contentOrigins", []))
    silent = replace(empty, origins=origins.Declared(None, ""))
    looked: list[tuple[Dispatch, bool, dict[str, Any]]] = [
        (empty, True, {"contentOrigins": []}),
        (empty, False, {}),
        (silent, True, {}),
    ]
    for dispatch, scoped, said_of_origins in looked:
        predicate = stated(dispatch, two, scoped=scoped)["predicate"]
        found = {name: value for name, value in predicate["runDetails"].items() if "rigins" in name}
        assert found == said_of_origins
        schema("Dispatch").validate(predicate)


@pytest.mark.parametrize("path", [(*place, name) for place, names in REQUIRED_BY_NOTME.items() for name in names])
@pytest.mark.parametrize("value", [None, ""])
def test_without_a_fact_that_notmes_schema_requires_nothing_is_stated(
    two: list[Examination], path: tuple[str, ...], value: object
) -> None:
    dispatch = parsed(changed(SERVED, ".".join(path), value))
    assert dispatch.missing == (".".join(path[1:]),)
    with pytest.raises(UnavailableError, match=rf"does not say {'.'.join(path[1:])}, so nothing"):
        stated(dispatch, two)


def test_what_is_stated_has_all_that_notmes_schema_requires(two: list[Examination]) -> None:
    predicate = stated(parsed(CAPNP), two)["predicate"]
    for (outer, inner), names in REQUIRED_BY_NOTME.items():
        assert set(names) <= {name for name, value in predicate[outer][inner].items() if value}
    assert "bead" not in json.dumps(predicate).lower()
    schema("Dispatch").validate(predicate)


def test_a_manifest_lacks_the_hash_of_the_work_item_until_it_is_given(two: list[Examination]) -> None:
    manifest = parsed(MANIFEST)
    assert manifest.missing == ("workItemRef.contentHash",)
    whole = dispatch_statement.with_work_item_hash(manifest, ITEM_HASH)
    schema("Dispatch").validate(stated(whole, two)["predicate"])
    assert dispatch_statement.with_work_item_hash(whole, ITEM_HASH) == whole
    for text in (ITEM_HASH.replace("ab", "cd"), "ab" * 32):
        with pytest.raises(UsageError):
            dispatch_statement.with_work_item_hash(whole, text)


def test_a_commit_that_the_dispatch_did_not_make_is_not_stated_of_it(two: list[Examination]) -> None:
    message = "of old\n\nThe body holds a secret."
    named = [{"sha": one, "message": message, "author": "x"} for one in ("ab" * 20, two[0].object_id)]
    dispatch = parsed(changed(SERVED, "runDetails.work.commits", named))
    commits = stated(dispatch, two[:1])["predicate"]["runDetails"]["work"]["commits"]
    assert commits[0] == {"sha": "ab" * 20, "message": "of old"}
    assert (commits[1]["sha"], commits[1]["message"]) == (two[0].object_id, "Refuse empty certificates")
    with pytest.raises(UsageError, match="none of the commits"):
        stated(dispatch, two)


def test_nothing_and_what_is_no_commit_is_stated_of_no_dispatch(two: list[Examination]) -> None:
    with pytest.raises(UsageError, match="no commit was named"):
        stated(parsed(SERVED), [])
    with pytest.raises(UsageError, match="no well-formed commit"):
        stated(parsed(SERVED), [replace(two[0], parsed=None)])


def test_a_commit_that_nobody_signed_is_stated_without_signature_and_certificate(forge: Forge) -> None:
    from tests.forge import commit_payload

    (entry,) = stated(parsed(SERVED), [examined(forge, commit_payload())])["predicate"]["runDetails"]["work"]["commits"]
    assert not {"signature", "certSha256", "epoch"} & set(entry)


def test_the_verifiers_own_statement_about_a_commit_is_named_where_it_was_made(two: list[Examination]) -> None:
    found = stated(parsed(SERVED), two, statements={two[1].object_id: b"{}"})
    digests = [one.get("verificationStatement") for one in found["predicate"]["runDetails"]["work"]["commits"]]
    assert digests == [None, {"sha256": hashlib.sha256(b"{}").hexdigest()}]
    schema("Dispatch").validate(found["predicate"])


def test_a_certificate_is_repeated_as_the_orchestrators_where_it_is_of_the_key_that_signs(
    leaf: Leaf, two: list[Examination]
) -> None:
    text = b64encode(leaf.der).decode()
    dispatch = parsed(changed(SERVED, "runDetails.orchestrator.identity", {"bridgeCert": text}))
    chain = two[0].chain
    assert chain is not None
    stranger = certificate.key_of(Forge(seed="stranger").leaf().certificate)
    for signer, identity in ((chain.leaf.key, {"bridgeCert": text}), (stranger, None), (None, None)):
        run = stated(dispatch, two, signer=signer)["predicate"]["runDetails"]
        assert run["orchestrator"].get("identity") == identity
    broken = parsed(changed(SERVED, "runDetails.orchestrator.identity", {"bridgeCert": "MAA="}))
    assert "identity" not in stated(broken, two, signer=chain.leaf.key)["predicate"]["runDetails"]["orchestrator"]
    with pytest.raises(MalformedError, match="bridgeCert"):
        parsed(changed(SERVED, "runDetails.orchestrator.identity", {"bridgeCert": "-----BEGIN"}))


def test_an_actor_among_the_origins_is_refused(two: list[Examination]) -> None:
    chain, commit = two[0].chain, two[0].parsed
    assert chain is not None
    committer = getattr(commit, "committer", None)
    assert committer is not None
    orchestrator = Forge(seed="orchestrator").verifier()
    named = changed(SERVED, "runDetails.orchestrator.identity", {"bridgeCert": b64encode(orchestrator.der).decode()})
    (own,) = orchestrator.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert chain.leaf.claims is not None
    assert chain.leaf.claims.represented is not None
    human = chain.leaf.claims.represented
    for uri in (chain.leaf.uri, f"mailto:{committer.email}", SESSION, own.value, human.id, f"mailto:{human.email}"):
        entry = {"uri": "https://a.example/", "vouchedBy": uri} if uri == SESSION else {"uri": uri, "vouchedBy": ""}
        with pytest.raises(UsageError, match="is an actor"):
            stated(parsed(changed(named, "runDetails.contentOrigins", [entry])), two)


def test_names_of_subjects_differ_and_say_the_repository(two: list[Examination]) -> None:
    for repository, name in (("https://git.example/app", "git+https://git.example/app"), ("git@x:app", "git@x:app")):
        made = stated(parsed(SERVED), two, repository=repository)
        assert [one["name"] for one in made["subject"]] == [f"{name}@{one.object_id}" for one in two]
        wanted = attestation_types.Wanted(repository=repository)
        (place,) = attestation_types.places(said.read(encoded(made)), two[0].object_id, wanted)
        assert place.repository == repository
    assert "name" not in stated(parsed(SERVED), two, repository=None)["subject"][0]


@pytest.mark.parametrize("path", ["dispatchDefinition.pipeline.currentPhase", "runDetails.verification.highestTier"])
def test_what_is_counted_in_32_bits_is_refused_above(path: str, two: list[Examination]) -> None:
    schema("Dispatch").validate(stated(parsed(changed(SERVED, path, 2**32 - 1)), two)["predicate"])
    with pytest.raises(MalformedError, match="whole number from 0 to 4294967295"):
        parsed(changed(SERVED, path, 2**32))


def test_a_message_is_read_in_its_own_encoding_and_a_profile_without_epochs_has_none(two: list[Examination]) -> None:
    commit, chain = two[0].parsed, two[0].chain
    assert isinstance(commit, Commit)
    assert chain is not None
    made = replace(
        two[0],
        parsed=replace(commit, message="Pr\xfcfung\n".encode("latin-1"), encoding="ISO-8859-1"),
        chain=replace(chain, leaf=replace(chain.leaf, epoch=None)),
    )
    predicate = stated(parsed(SERVED), [made])["predicate"]
    (entry,) = predicate["runDetails"]["work"]["commits"]
    assert (entry["message"], "epoch" in entry) == ("Pr\xfcfung", False)
    schema("Dispatch").validate(predicate)


def test_what_is_stated_reads_back_as_the_same_dispatch_and_of_each_commit(two: list[Examination]) -> None:
    payload = encoded(stated(parsed(SERVED), two))
    again = dispatch_read.parse(payload)
    assert replace(again, work=parsed(SERVED).work) == replace(
        parsed(SERVED),
        origins=again.origins,
        execution=replace(parsed(SERVED).execution, work_dir=""),
    )
    assert again.origins.digest == ORIGINS_HASH
    for one in two:
        (subject,) = said.read(payload).about(one.object_id)
        assert subject.digests == {"gitCommit": one.object_id}


def test_a_verifiers_statement_repeats_work_item_handoffs_and_the_hash_of_the_origins(two: list[Examination]) -> None:
    sections = dispatches.sections(parsed(SERVED))
    assert sections == {
        "dispatchDefinition": {
            "workItemRef": DEFINITION["workItemRef"],
            "agent": {**DEFINITION["agent"], "source": "orchestrator-claim"},
        },
        "runDetails": {"handoffChain": RUN["handoffChain"], "originsHash": ORIGINS_HASH},
    }
    named = {name: DEFINITION["agent"][name] for name in ("name", "provider", "model", "permissionProfile")}
    claimed = {"dispatchDefinition": {"agent": {**named, "source": "orchestrator-claim"}}}
    assert dispatches.sections(parsed(MANIFEST)) == claimed
    assert dispatches.sections(Dispatch()) == {}
    verdict = verify.judge(two[0], Policy(), Context(), at=NOW)
    options: dict[str, Any] = {"verifier_id": "https://v.example/", "repository": None, "ref": None, "at": NOW}
    plain, told = (
        json.loads(statement.build(two[0], verdict, **options, orchestrated=each))["predicate"]
        for each in (None, sections)
    )
    assert told == {**plain, **sections}


def test_the_golden_dispatch_is_reproduced(forge: Forge) -> None:
    from tests.forge import commit_payload

    unsigned = examined(forge, commit_payload())
    payload = dispatch_statement.build(
        parsed(SERVED), [unsigned], repository="https://git.example/app", ref="refs/heads/main"
    )
    assert payload == (GOLDEN / "dispatch-v1.json").read_bytes().rstrip(b"\n")
    schema("Dispatch").validate(json.loads(payload)["predicate"])


def test_the_golden_handoff_is_of_its_schema_and_others_are_not() -> None:
    predicate = json.loads((GOLDEN / "handoff-v1.json").read_bytes())["predicate"]
    schema("Handoff").validate(predicate)
    for wrong in ({**predicate, "phase": -1}, {**predicate, "more": 1}, {**predicate, "commitShas": "x"}):
        with pytest.raises(jsonschema.ValidationError):
            schema("Handoff").validate(wrong)
