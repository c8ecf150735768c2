"""`verify-attestation` as a user calls it: stored attestations, files, keys, policies, and each exit status."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest import attestation_cli, signing_key
from attest.attester import KeyAttester
from attest.statement import PREDICATE_TYPE as COMMIT
from tests.compat.conftest import Sandbox, copy, stop_daemons
from tests.peers import peer

ACCEPTED, REJECTED, UNCHECKED, USAGE = 0, 1, 2, 64


@pytest.fixture(scope="module")
def attested(template: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One signed and attested commit, its bundle in a file, and one commit that nobody attested."""
    folder = tmp_path_factory.mktemp("attested")
    made = copy(template, folder / "machine")
    made.commit("one")
    made.notme("attest", "HEAD", "--out", bundle(made))
    made.git("branch", "one")
    made.commit("two")
    yield made
    stop_daemons(folder)


def bundle(machine: Sandbox) -> Path:
    return machine.root / "one.intoto.jsonl"


def test_what_is_stored_counts_by_the_homes_own_authority(attested: Sandbox) -> None:
    [said] = attested.attest("verify-attestation", "one", "--json").json
    assert said["outcome"] == "accepted"
    [item] = said["attestations"]
    assert (item["counts"], item["predicateType"], item["rules"]) == (True, COMMIT, ["built-in"])
    assert item["statement"]["subject"][0]["digest"] == {"gitCommit": attested.rev("one")}
    text = attested.attest("verify-attestation", "one").text
    assert "ACCEPTED" in text
    assert "counts" in text


def test_what_nobody_attested_is_rejected_and_says_so(attested: Sandbox) -> None:
    done = attested.attest("verify-attestation", "HEAD", status=REJECTED)
    assert "no attestation counts" in done.text
    assert "notme-attest sync --fetch-only" in done.text


def test_lines_of_blanks_are_bounded_and_empty_ones_take_no_memory(
    attested: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attestation_cli, "MAX_FILE_BYTES", 3_000_000)
    good = bundle(attested).read_bytes()
    file = attested.root / "blank.jsonl"
    file.write_bytes(b"\n" * 2_000_000 + good)
    attested.attest("verify-attestation", file, "--subject", "one")
    tracemalloc.start()
    try:
        found, (_, most) = attestation_cli._of_file(str(file)), tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == [good.strip()]
    assert most < 12_000_000
    file.write_bytes(b" \n" * 600_000 + good)
    done = attested.attest("verify-attestation", file, "--subject", "one", status=UNCHECKED)
    assert "more than 100000 lines" in done.err


def test_types_go_by_their_short_names_too_and_what_nothing_can_be_about_is_no_question(attested: Sandbox) -> None:
    assert "ACCEPTED" in attested.attest("verify-attestation", "one", "--type", "commit").text
    missing = attested.attest("verify-attestation", "one", "--type", "vsa", status=REJECTED)
    assert "no attestation of type https://slsa.dev/verification_summary/v1 counts" in missing.text
    nothing = [(name, "") for name in ("--type", "--ref", "--repository", "--level")]
    for words in (("--type", "vsas"), ("--ref", "main"), *nothing):
        attested.attest("verify-attestation", "one", *words, status=USAGE)


def test_what_a_shell_pipes_in_as_a_file_is_one(attested: Sandbox) -> None:
    shell = 'notme-attest verify-attestation <(cat "$1") --subject one'
    done = attested.run("bash", "-c", shell, "bash", bundle(attested))
    assert "ACCEPTED" in done.text
    attested.attest("verify-attestation", "x" * 5000, status=USAGE)


def test_a_file_is_judged_for_the_subject_that_is_named(attested: Sandbox) -> None:
    for subject in ("one", attested.rev("one"), f"gitCommit:{attested.rev('one')}"):
        attested.attest("verify-attestation", bundle(attested), "--subject", subject)
    attested.attest("verify-attestation", bundle(attested), "--subject", "HEAD", status=REJECTED)
    done = attested.attest("verify-attestation", bundle(attested), status=USAGE)
    assert "--subject" in done.err
    attested.attest("verify-attestation", "-", "--subject", "one", stdin=bundle(attested).read_bytes())


OF_RECORD = ("--type", "https://example.org/record/v1")


def test_a_file_with_the_bytes_of_a_commit_is_not_that_commit(attested: Sandbox, tmp_path: Path) -> None:
    there, key = tmp_path / "sha256", tmp_path / "key.pem"
    attested.run("git", "init", "-q", "--object-format=sha256", there)
    plain = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgSign=false")
    attested.run("git", *plain, "-C", there, "commit", "-q", "--allow-empty", "-m", "x")
    oid = attested.run("git", "-C", there, "rev-parse", "HEAD").text.strip()
    raw = attested.run("git", "-C", there, "cat-file", "commit", "HEAD").out
    file = b"commit %d\0%b" % (len(raw), raw)
    assert hashlib.sha256(file).hexdigest() == oid
    attested.run(peer("openssl"), "genpkey", "-algorithm", "ed25519", "-out", key)
    attested.run(peer("openssl"), "pkey", "-in", key, "-pubout", "-out", tmp_path / "pub.pem")
    for algorithm, status in (("sha256", REJECTED), ("gitCommit", ACCEPTED)):
        said = {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.org/record/v1"}
        payload = json.dumps({**said, "subject": [{"name": "upload.bin", "digest": {algorithm: oid}}]}).encode()
        (tmp_path / "line").write_bytes(KeyAttester(signing_key.load(key), "x:y").sign(payload, datetime.now(UTC)))
        words = ("verify-attestation", tmp_path / "line", "--attester-key", tmp_path / "pub.pem", "--json", *OF_RECORD)
        [told] = attested.attest(*words, "--subject", "HEAD", "--repo", there, status=status).json
        assert told["digest"] == oid
        attested.attest(*words, "--subject", f"{algorithm}:{oid}")


def test_a_commit_is_not_its_tree_and_the_tree_is_asked_for_by_name(attested: Sandbox, tmp_path: Path) -> None:
    commit, tree, key = attested.rev("one"), attested.rev("one^{tree}"), tmp_path / "key.pem"
    attested.run(peer("openssl"), "genpkey", "-algorithm", "ed25519", "-out", key)
    attested.run(peer("openssl"), "pkey", "-in", key, "-pubout", "-out", tmp_path / "pub.pem")
    said = {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.org/record/v1"}
    subject = {"digest": {"gitCommit": commit, "gitTree": tree}}
    payload = json.dumps({**said, "subject": [subject]}).encode()
    (tmp_path / "line").write_bytes(KeyAttester(signing_key.load(key), "x:y").sign(payload, datetime.now(UTC)))
    for asked, status in (("one", ACCEPTED), ("one^{tree}", ACCEPTED), (f"gitTree:{tree}", ACCEPTED), (tree, REJECTED)):
        given = ("--attester-key", tmp_path / "pub.pem", "--subject", asked, *OF_RECORD)
        attested.attest("verify-attestation", tmp_path / "line", *given, status=status)


def test_other_anchors_and_altered_files_are_refused(attested: Sandbox, tmp_path: Path) -> None:
    line = bundle(attested).read_bytes()
    changed = tmp_path / "changed.jsonl"
    top = json.loads(line)
    payload = top["dsseEnvelope"]["payload"]
    top["dsseEnvelope"]["payload"] = payload[:-8] + ("A" if payload[-8] != "A" else "B") + payload[-7:]
    changed.write_text(json.dumps(top, indent=2))
    attested.attest("verify-attestation", changed, "--subject", "one", status=REJECTED)
    changed.write_bytes(b"what is no attestation\n" + line + b"\n")
    done = attested.attest("verify-attestation", changed, "--subject", "one")
    assert "does not count" in done.text


def test_a_key_of_openssl_counts_where_it_is_named_and_where_a_policy_names_it(
    attested: Sandbox, tmp_path: Path
) -> None:
    openssl, key, public = peer("openssl"), tmp_path / "key.pem", tmp_path / "public.pem"
    attested.run(openssl, "genpkey", "-algorithm", "ed25519", "-out", key)
    attested.run(openssl, "pkey", "-in", key, "-pubout", "-out", public)
    made = tmp_path / "made.intoto.jsonl"
    attested.attest("attest", "one", "--key", key, "--id", "https://ci.example/v", "--no-store", "--out", made)
    asked = ("verify-attestation", made, "--subject", "one")
    attested.attest(*asked, status=REJECTED)
    attested.attest(*asked, "--attester-key", public)
    spki = "".join(public.read_text().splitlines()[1:-1])
    policy = tmp_path / "policy.toml"
    for ids, status in (('["https://ci.example/*"]', ACCEPTED), ('["https://other.example/*"]', REJECTED)):
        policy.write_text(f'version = 1\n[[attesters]]\nname = "ci"\nkeys = ["{spki}"]\nids = {ids}\n')
        attested.attest(*asked, "--policy", policy, status=status)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        pytest.param(("--type", COMMIT), ACCEPTED, id="its type"),
        pytest.param(("--type", "https://slsa.dev/verification_summary/v1"), REJECTED, id="another type"),
        pytest.param(("--threshold", "2"), REJECTED, id="two attesters"),
        pytest.param(("--ref", "refs/heads/elsewhere"), REJECTED, id="another ref"),
        pytest.param(("--repository", "https://elsewhere.example"), REJECTED, id="another repository"),
        pytest.param(("--level", "X"), REJECTED, id="levels of what has none"),
        pytest.param(("--certificate-identity", "x"), USAGE, id="half an identity"),
        pytest.param(("--attester-key", "/nowhere"), UNCHECKED, id="a key that is not there"),
        pytest.param(("--policy", "/nowhere"), UNCHECKED, id="a policy that is not there"),
    ],
)
def test_options_ask_for_more(attested: Sandbox, options: tuple[str, ...], status: int) -> None:
    done = attested.attest("verify-attestation", "one", *options, status=status)
    assert status < UNCHECKED or done.err.startswith("notme-attest: ") or "Usage" in done.err
    assert "Traceback" not in done.err


def test_a_policy_without_attesters_is_no_answer_to_who_may_attest(attested: Sandbox, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('version = 1\n[[rules]]\nname = "x"\n')
    attested.attest("verify-attestation", "one", "--policy", policy, status=USAGE)
    policy.write_text('version = 1\n[[attesters]]\nname = "home"\ncertificates = ["**"]\n')
    attested.attest("verify-attestation", "one", "--policy", policy)
    policy.write_text('version = 1\n[[attesters]]\nname = "home"\ncertificates = ["wimse://elsewhere.example/**"]\n')
    attested.attest("verify-attestation", "one", "--policy", policy, status=REJECTED)
