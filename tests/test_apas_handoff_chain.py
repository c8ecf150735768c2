"""Chains of handoffs, whole and broken, in the library and at the command line."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import bundles, dsse
from attest.apas import handoff_chain, handoff_files, leyline
from attest.apas.handoff import parse_document
from attest.apas.handoff_chain import Asked, Checked
from attest.apas.handoff_cli import handoff
from attest.apas.handoff_signers import Signers
from attest.errors import ACCEPTED, REJECTED, UNCHECKED, MalformedError, UnavailableError, UsageError, VerificationError
from attest.repository import open_repository
from tests.forge import NOW, Forge
from tests.handoffs import HASHES, ORCHESTRATOR, STRANGER, document, envelope, public, statement
from tests.pushes import Clone

WHO = Signers((public(STRANGER), public(ORCHESTRATOR)))
TRUSTED = Asked(WHO)
LINKS = Asked(unsigned=True)


def name_of(phase: int) -> str:
    return f".rsry-handoff-{phase}.json"


def put(folder: Path, *phases: bytes, signed: bool = True) -> Path:
    """Write these documents as phases from 0, each with its envelope."""
    folder.mkdir(exist_ok=True)
    for number, data in enumerate(phases):
        (folder / name_of(number)).write_bytes(data)
        if signed:
            made = envelope(statement(name_of(number), data), ORCHESTRATOR)
            (folder / f".rsry-handoff-{number}.dsse.json").write_bytes(made)
    return folder


def check(*paths: Path, asked: Asked = TRUSTED) -> Checked:
    return handoff_chain.check(handoff_files.collect(paths), asked)


def long_chain(folder: Path, count: int) -> Path:
    phases, previous = [document(0)], parse_document(document(0)).chain_hash
    for number in range(1, count):
        phases.append(document(number, previous_chain_hash=previous))
        previous = parse_document(phases[-1]).chain_hash
    return put(folder, *phases)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return put(tmp_path / "workspace", document(0), document(1))


def test_a_chain_as_rosary_leaves_it_in_a_workspace_holds(whole: Path) -> None:
    made = check(whole)
    assert made.status == ACCEPTED
    assert [phase.handoff.chain_hash for phase in made.phases] == list(HASHES)
    assert [phase.signers for phase in made.phases] == [(public(ORCHESTRATOR).key_id,)] * 2
    assert check(whole, asked=Asked(WHO, last=HASHES[1])).status == ACCEPTED


@pytest.mark.parametrize(
    ("phase", "changed", "complaint"),
    [
        pytest.param(0, {"summary": "another"}, "and before it is", id="an earlier summary"),
        pytest.param(0, {"files_changed": []}, "and before it is", id="an earlier file"),
        pytest.param(0, {"commit_shas": []}, "and before it is", id="an earlier commit"),
        pytest.param(1, {"previous_chain_hash": "0" * 64}, "it follows 000", id="the hash before"),
        pytest.param(1, {"bead_id": "acme-18"}, "it is of work item acme-18", id="the work item"),
    ],
)
def test_what_is_changed_breaks_the_link_even_where_it_is_signed_again(
    tmp_path: Path, phase: int, changed: dict[str, Any], complaint: str
) -> None:
    phases = [document(n, **(changed if n == phase else {})) for n in range(2)]
    for asked in (TRUSTED, LINKS):
        made = check(put(tmp_path / "w", *phases), asked=asked)
        assert made.status == REJECTED
        assert any(complaint in sentence for sentence in made.phases[1].failed)


def test_what_the_hash_does_not_cover_is_covered_by_the_signature(whole: Path) -> None:
    """The verdict and who comes next stand outside the chain hash (formats.md 1.5)."""
    (whole / name_of(0)).write_bytes(document(0, to_agent="another"))
    assert check(whole, asked=LINKS).status == REJECTED
    made = check(whole)
    assert made.status == REJECTED
    assert "not what was handed on" in made.phases[0].failed[0]


@pytest.mark.parametrize("asked", [Asked(), TRUSTED, LINKS])
def test_nothing_taken_away_makes_a_chain_hold(whole: Path, asked: Asked) -> None:
    (whole / name_of(0)).write_bytes(document(0, summary="another"))
    files = sorted(each for each in whole.iterdir() if each.name != name_of(1))
    assert check(whole, asked=asked).status == REJECTED
    for number, gone in enumerate(files):
        left = put(whole.with_name(f"without-{number}"), document(0, summary="another"), document(1), signed=False)
        for each in whole.iterdir():
            (left / each.name).write_bytes(each.read_bytes())
        (left / gone.name).unlink()
        assert check(left, asked=asked).status != ACCEPTED or asked.unsigned


def test_without_a_key_nothing_is_proven_and_with_one_what_nobody_signed_is_rejected(whole: Path) -> None:
    assert check(whole, asked=Asked()).status == UNCHECKED
    (whole / ".rsry-handoff-1.dsse.json").unlink()
    made = check(whole)
    assert (made.status, made.phases[1].failed) == (REJECTED, ["nobody signed it"])
    assert check(whole, asked=LINKS).status == ACCEPTED
    assert check(whole, asked=Asked()).status == UNCHECKED


def test_a_statement_that_nobody_signed_is_read_and_proves_nothing(tmp_path: Path) -> None:
    folder = put(tmp_path / "w", document(0), signed=False)
    (folder / ".rsry-handoff-0.intoto.json").write_bytes(statement(name_of(0), document(0)))
    assert check(folder, asked=LINKS).status == ACCEPTED
    assert check(folder).phases[0].failed == ["nobody signed it"]


@pytest.mark.parametrize("legacy", [True, False])
def test_a_foreign_signature_and_one_in_the_legacy_form_are_told_apart(whole: Path, legacy: bool) -> None:
    signer = ORCHESTRATOR if legacy else STRANGER
    made = envelope(statement(name_of(1), document(1)), signer, legacy=legacy)
    (whole / ".rsry-handoff-1.dsse.json").write_bytes(made)
    asked = Asked(Signers((public(ORCHESTRATOR),)))
    (sentence,) = check(whole, asked=asked).phases[1].failed
    assert ("legacy signature form" in sentence) is legacy
    assert sentence.startswith(".rsry-handoff-1.dsse.json: ")


def test_an_empty_list_of_signatures_is_no_envelope(whole: Path) -> None:
    (whole / ".rsry-handoff-1.dsse.json").write_bytes(envelope(statement(name_of(1), document(1))))
    made = check(whole)
    assert made.status == REJECTED
    assert ".rsry-handoff-1.dsse.json: signatures has 0 entries" in made.failed[0]


def test_two_signed_statements_of_one_phase_have_to_say_the_same(whole: Path) -> None:
    other = envelope(statement(name_of(1), document(1, to_agent="another")), ORCHESTRATOR)
    (whole / "more.intoto.jsonl").write_bytes(other + b"\n")
    assert any("say different things" in sentence for sentence in check(whole).phases[1].failed)
    same = envelope(statement(name_of(1), document(1)), ORCHESTRATOR)
    (whole / "more.intoto.jsonl").write_bytes(same + b"\n" + same + b"\n")
    assert check(whole).status == ACCEPTED


def test_what_nobody_signed_who_counts_is_not_named_beside_what_holds(whole: Path) -> None:
    lie = statement(name_of(1), document(1, commit_shas=["f" * 40]))
    (whole / ".rsry-handoff-1.intoto.json").write_bytes(lie)
    (whole / "more.intoto.jsonl").write_bytes(envelope(lie, STRANGER) + b"\n")
    made = check(whole, asked=Asked(Signers((public(ORCHESTRATOR),))))
    assert (made.status, set(made.phases[1].sources)) == (ACCEPTED, {".rsry-handoff-1.dsse.json", name_of(1)})
    (remark,) = made.remarks
    assert "passed over: .rsry-handoff-1.intoto.json, more.intoto.jsonl" in remark
    assert check(whole, asked=LINKS).status == REJECTED


def test_a_phase_that_is_missing_leaves_open_what_came_before(whole: Path) -> None:
    for gone in (name_of(0), ".rsry-handoff-0.dsse.json"):
        (whole / gone).unlink()
    made = check(whole)
    assert (made.status, made.phases[0].open) == (
        UNCHECKED, ["phase 0 is not there, so that nothing shows what came before"]
    )  # fmt: skip


def test_a_chain_that_was_cut_off_at_its_end_shows_where_its_end_is_known(whole: Path) -> None:
    for gone in (name_of(1), ".rsry-handoff-1.dsse.json"):
        (whole / gone).unlink()
    assert check(whole).status == ACCEPTED
    made = check(whole, asked=Asked(WHO, last=HASHES[1]))
    assert (made.status, made.failed) == (REJECTED, (f"the chain ends with {HASHES[0]}, not with {HASHES[1]}",))


def test_a_whole_chain_for_another_work_item_is_not_the_one_that_was_asked_for(whole: Path) -> None:
    assert check(whole, asked=Asked(WHO, work_item="acme-17")).status == ACCEPTED
    made = check(whole, asked=Asked(WHO, work_item="acme-18"))
    assert [phase.failed for phase in made.phases] == [["it is of work item acme-17, not of acme-18"]] * 2


def test_version_1_links_by_names_and_so_proves_no_link(tmp_path: Path) -> None:
    phases = [document(n, schema_version="1") for n in range(2)]
    made = check(put(tmp_path / "w", *phases))
    assert made.status == UNCHECKED
    assert "version 1 names the file before it" in made.phases[1].open[0]


def test_handoffs_without_numbers_are_taken_in_the_order_they_were_named_in_and_linked_by_what_they_say(
    tmp_path: Path,
) -> None:
    hashes = ["a" * 64, "b" * 64]
    for number, (before, own) in enumerate([("", hashes[0]), (hashes[0], hashes[1])]):
        predicate = {"fromPhase": "a", "toPhase": "b", "summary": "c", "previousChainHash": before, "chainHash": own}
        said = json.loads(statement("plan.md", b"{}"))
        said |= {"predicateType": "https://notme.bot/provenance/handoff/v1", "predicate": predicate}
        (tmp_path / f"{number}.json").write_bytes(envelope(json.dumps(said).encode(), ORCHESTRATOR))
    in_order, reverse = [tmp_path / "0.json", tmp_path / "1.json"], [tmp_path / "1.json", tmp_path / "0.json"]
    made = check(*in_order, asked=Asked(WHO, documents=False))
    assert made.status == UNCHECKED
    assert [phase.open for phase in made.phases] == [["it does not say over what its chain hash is"]] * 2
    assert check(*reverse, asked=Asked(WHO, documents=False)).status == REJECTED
    put(tmp_path, document(0))
    with pytest.raises(MalformedError, match="no order"):
        check(tmp_path / "0.json", tmp_path)


def test_rosarys_reader_stops_at_ten_phases_and_ours_says_so(tmp_path: Path) -> None:
    made = check(long_chain(tmp_path / "w", 11))
    assert made.status == ACCEPTED
    assert made.remarks == ("11 phases: rosary's own reader stops after 10 and does not say so",)
    with pytest.raises(MalformedError, match="65 phases"):
        check(long_chain(tmp_path / "longer", 65))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"schema_version":"2","schema_version":"2"}'])
def test_a_file_that_holds_no_handoff_is_said_and_rejects(whole: Path, data: bytes) -> None:
    (whole / name_of(1)).write_bytes(data)
    made = check(whole)
    assert made.status == REJECTED
    assert made.failed[0].startswith(name_of(1))


def test_a_folder_without_a_handoff_and_a_file_that_is_none_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="there is no handoff in"):
        check(tmp_path)
    with pytest.raises(UnavailableError, match="cannot read"):
        check(tmp_path / "absent.json")
    (tmp_path / "other.intoto.jsonl").write_bytes(
        envelope(statement("x", b"{}").replace(b"rosary.dev", b"other.example"), ORCHESTRATOR)
    )
    made = check(tmp_path)
    assert (made.status, made.remarks) == (UNCHECKED, ("1 statement(s) are of other types and were passed over",))


lines = st.lists(st.binary(max_size=60) | st.sampled_from([b"{}", document(0), envelope(statement("x", document(0)))]))


@settings(max_examples=50, deadline=None)
@given(lines.map(b"\n".join))
def test_any_file_is_checked_or_said_to_be_broken(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.json"
        path.write_bytes(data)
        made = check(path)
    assert made.status != ACCEPTED
    assert made.phases or made.failed


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    from tests.disk import unsynced
    from tests.world import World

    folder = tmp_path_factory.mktemp("handoff")
    with unsynced():
        yield Clone.make(folder / "clone", World(folder / "world"))


def test_commits_are_looked_for_in_the_repository_that_is_named(clone: Clone, tmp_path: Path) -> None:
    first = clone.commit({"a": "1"}, signed=False)
    tree = clone.git("rev-parse", f"{first}^{{tree}}").out.strip()
    statuses = {}
    with open_repository(clone.path, clone.environ) as repo:
        for commit in (first, "0" * 40, tree):
            folder = put(tmp_path / commit, document(0, commit_shas=[commit]))
            statuses[commit] = check(folder, asked=Asked(WHO, repo=repo)).status
    assert statuses == {first: ACCEPTED, "0" * 40: UNCHECKED, tree: REJECTED}


def test_a_verifier_with_a_certificate_hands_on_where_it_was_named(tmp_path: Path) -> None:
    forge, uri = Forge(), "wimse://authority.example/verifier/verifier"
    folder = put(tmp_path / "w", document(0), signed=False)
    made = forge.bundle(statement(name_of(0), document(0)))
    (folder / "0.intoto.jsonl").write_bytes(made.encode() + b"\n")
    whole = Signers(WHO.keys, (uri,), trusted=forge.trusted, at=NOW)
    found = check(folder, asked=Asked(whole))
    assert (found.status, found.phases[0].signers) == (ACCEPTED, (uri,))
    for who in (WHO, replace(whole, uris=(uri + "x",)), replace(whole, trusted=Forge(seed="other").trusted)):
        assert check(folder, asked=Asked(who)).status == REJECTED
    unstamped = bundles.Bundle(made.certificate, (), made.envelope)
    (folder / "0.intoto.jsonl").write_bytes(unstamped.encode() + b"\n")
    assert check(folder, asked=Asked(whole)).status == UNCHECKED


# The command line.


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, key in (("key", ORCHESTRATOR), ("other", STRANGER)):
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{name}.pem").write_bytes(secret)
        (tmp_path / f"{name}.pem").chmod(0o600)
        shown = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub").write_bytes(shown)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(handoff, arguments, standalone_mode=False)


def build(document: str, output: str, *more: str) -> Result:
    phases = ("--from-phase", "a", "--to-phase", "b")
    return run("build", *phases, "--document", document, "--key", "key.pem", "-o", output, *more)


def test_a_chain_is_built_and_checked_and_shown(desk: Path) -> None:
    (desk / "plan.md").write_text("plan", "utf-8")
    (desk / "changes.md").write_text("changes", "utf-8")
    assert build("plan.md", "0.intoto.jsonl", "--from-agent", "scout", "--work-item", "acme-17").return_value == 0
    more = ("--from-agent", "dev", "--previous", "0.intoto.jsonl", "--changed", "a.py", "--commit", "2a1d" * 10)
    assert build("changes.md", "1.intoto.jsonl", *more).return_value == 0
    made = run("check", ".", "--attester-key", "key.pub", "--json")
    said = json.loads(made.stdout)
    assert (made.return_value, said["status"], [each["phase"] for each in said["phases"]]) == (0, "holds", [0, 1])
    chain = said["handoffChain"]
    assert chain["chainRoot"] == chain["previousPhaseHash"] != chain["phaseHash"]
    text = run("check", ".", "--attester-key", "key.pub", "--ends-with", chain["phaseHash"])
    kid = public(ORCHESTRATOR).key_id[:12]
    assert text.return_value == 0
    assert text.stdout.splitlines()[1].startswith(f"holds           acme-17 phase 1, a -> b: signed by {kid}, hash ")
    (desk / "plan.md").write_text("another plan", "utf-8")
    changed = run("check", ".", "--attester-key", "key.pub")
    assert (changed.return_value, changed.stdout.splitlines()[0][:13]) == (1, "DOES NOT HOLD")
    shown = run("show", "1.intoto.jsonl")
    assert "  workItemId acme-17" in shown.stdout.splitlines()
    assert "not verified" in shown.stdout


def test_for_ley_line_an_envelope_is_written_as_it_reads_them(desk: Path) -> None:
    put(desk / "w", document(0), document(1), signed=False)
    for number in range(2):
        previous = ("--previous", f"w/{name_of(0)}") if number else ()
        built = build(f"w/{name_of(number)}", f"w/.rsry-handoff-{number}.dsse.json", "--b64", "url-nopad", *previous)
        assert built.return_value == 0
    written = (desk / "w/.rsry-handoff-1.dsse.json").read_bytes().rstrip(b"\n")
    assert written == leyline.encode(dsse.parse_envelope(written))
    assert dsse.parse_envelope(written).signatures[0].keyid == public(ORCHESTRATOR).key_id
    assert run("check", "w", "--attester-key", "key.pub", "--ends-with", HASHES[1]).return_value == 0


def test_nothing_is_built_on_a_handoff_that_somebody_else_signed(desk: Path) -> None:
    (desk / "plan.md").write_text("plan", "utf-8")
    (desk / "0.dsse.json").write_bytes(envelope(statement(name_of(0), document(0)), STRANGER))
    more = ("--from-agent", "dev", "--previous", "0.dsse.json")
    assert isinstance(build("plan.md", "1.json", *more).exception, VerificationError)
    assert not (desk / "1.json").exists()
    assert build("plan.md", "1.json", *more, "--attester-key", "other.pub").return_value == 0
    (desk / "0.intoto.json").write_bytes(statement(name_of(0), document(0)))
    unsigned = build("plan.md", "2.json", "--from-agent", "dev", "--previous", "0.intoto.json")
    assert isinstance(unsigned.exception, UsageError)


def test_usage_is_said_in_a_sentence(desk: Path) -> None:
    put(desk / "w", document(0))
    for arguments in (("--ends-with", "abc"), ("--unsigned", "--attester-key", "key.pub")):
        assert isinstance(run("check", "w", *arguments).exception, UsageError)
    assert run("check", "w", "--unsigned").stderr == "warning: the links say nothing of who made them (--unsigned)\n"
    os.mkfifo(desk / "pipe")
    assert run("check", "pipe", "--unsigned").return_value == 1


def test_a_pipe_is_read_to_its_end() -> None:
    """As a shell makes one of `<(...)`: opened for writing already, and nothing in it yet."""
    reading, writing = os.pipe()
    content = document(0)

    def write() -> None:
        with open(writing, "wb") as pipe:
            for part in (content[:5], content[5:]):
                time.sleep(0.05)
                pipe.write(part)
                pipe.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        read = handoff_files._read(Path(f"/dev/fd/{reading}"))
    finally:
        writer.join()
        os.close(reading)
    assert read == content
