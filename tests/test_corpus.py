"""The corpus itself: it comes out the same, it is what its document promises, and its runner can be believed."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import sys
import zlib
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from attest import gitobject
from attest.errors import Reason
from attest.gitobject import ObjectFormat, ObjectKind
from tests.corpus import edwards, run, write
from tests.corpus.__main__ import main
from tests.corpus.case import ACCEPT, EXPECTED, REJECT, SIGNERS, UNCHECKED, Case
from tests.corpus.run import CorpusError, Exits
from tests.corpus.write import Corpus
from tests.peers import ROOT

NAME = re.compile(r"[1-8]-[a-z0-9.]+(-[a-z0-9.]+)*")
SAYS = "import sys; sys.exit({})"


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return write.build()


@pytest.fixture(scope="module")
def folder(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("corpus")
    write.write(corpus, made)
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_comes_out_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    write.write(write.build(), tmp_path)
    assert files(tmp_path) == files(folder)


def test_every_step_has_objects_of_both_kinds_of_repository_and_of_everybody(corpus: Corpus) -> None:
    assert len(corpus.cases) > 800
    assert {one.step for one in corpus.cases} == set(range(1, 9))
    assert {(one.object_format, one.kind) for one in corpus.cases} >= {(f, k) for f in ObjectFormat for k in ObjectKind}
    assert {one.signer for one in corpus.cases} == set(SIGNERS)
    for signer in set(SIGNERS) - {"none", "unknown"}:
        assert {one.expect for one in corpus.cases if one.signer == signer} >= {ACCEPT, REJECT}, signer


def test_a_case_says_what_it_is(corpus: Corpus) -> None:
    for one in corpus.cases:
        assert NAME.fullmatch(one.name), one.name
        assert one.expect in EXPECTED
        assert (one.reason == "" and one.expect == ACCEPT) or one.reason in set(Reason), one.name
        assert re.fullmatch(r"[^|\n]{4,160}\.", one.sentence), one.name


def test_the_document_says_how_many_there_are_and_explains_every_field(corpus: Corpus) -> None:
    text = (ROOT / "docs" / "corpus.md").read_text("utf-8")
    assert f"\n{len(corpus.cases)} commits, tags and push certificates" in text
    for field in corpus.cases[0].entry():
        assert f"| `{field}` |" in text, field
    for field in run.FIELDS:
        assert f"`{{{field}}}`" in text, field


def test_one_defect_means_that_the_bytes_differ_from_those_of_a_good_object(corpus: Corpus) -> None:
    """Where the object decides alone, no bytes are both good and bad."""
    seen: dict[tuple[object, ...], Case] = {}
    for one in corpus.cases:
        judged = (one.repository, one.object_id, one.raw, one.bundle, one.at, one.offered, one.stamp)
        other = seen.setdefault(judged, one)
        assert (other.expect, other.reason) == (one.expect, one.reason), (other.name, one.name)


def test_what_lies_in_the_repositories_is_what_the_index_names(corpus: Corpus, folder: Path) -> None:
    index = json.loads((folder / "index.json").read_bytes())
    for entry, one in zip(index["cases"], corpus.cases, strict=True):
        oid, place = entry["object_id"], folder / entry["repository"]
        stored = zlib.decompress((place / "objects" / oid[:2] / oid[2:]).read_bytes())
        head, _, raw = stored.partition(b"\0")
        assert raw == one.raw
        assert head == f"{'blob' if one.kind is ObjectKind.PUSH_CERTIFICATE else one.kind} {len(raw)}".encode()
        own = gitobject.object_id(one.kind, raw, one.object_format)
        assert (own == oid) == (one.reason != "object-id-mismatch")
        assert f"{oid} {entry['ref']}\n" in (place / "packed-refs").read_text()


def test_an_object_that_is_shown_as_another_has_its_replacement(corpus: Corpus, folder: Path) -> None:
    replaced = [one for one in corpus.cases if one.replaced_by]
    assert len(replaced) >= 8
    for one in replaced:
        refs = (folder / one.repository / "packed-refs").read_text()
        other = gitobject.object_id(one.kind, one.replaced_by, one.object_format)
        assert f"{other} refs/replace/{one.object_id}\n" in refs


def test_the_arithmetic_agrees_with_a_library() -> None:
    """RFC 8032 section 7.1, test 1: key and signature of the empty message."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert edwards.encode(edwards.times(edwards.scalar(seed), edwards.base())) == key
    r = int.from_bytes(hashlib.sha512(hashlib.sha512(seed).digest()[32:]).digest(), "little")
    commitment = edwards.encode(edwards.times(r % edwards.L, edwards.base()))
    signature = edwards.sign_with(r, commitment, seed, key, b"")
    assert signature.hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb88215")


# The runner


def verdicts(folder: Path, template: str, *options: str) -> tuple[int, list[dict[str, object]]]:
    arguments = ["run", str(folder), "--json", "--verifier", template, *options]
    done = CliRunner().invoke(main, arguments, standalone_mode=False)
    assert done.exception is None, done.exception
    return int(done.return_value), json.loads(done.output)


def says(status: str) -> str:
    return shlex.join([sys.executable, "-S", "-c", SAYS.format(status)])


ONLY = ("--only", "1-stray-gpgsig-header", "--only", "8-good-commit", "--only", "8-branch-not-known")


def test_a_verifier_is_judged_by_its_exit_status(folder: Path) -> None:
    for status, got in (("0", ACCEPT), ("1", REJECT), ("2", UNCHECKED), ("77", UNCHECKED)):
        ended, found = verdicts(folder, says(status), *ONLY)
        assert ended == 1
        assert {one["got"] for one in found} == {got}
        assert [one["agrees"] for one in found] == [one["expect"] == got for one in found]
    ended, found = verdicts(folder, says("3"), *ONLY, "--accept", "3,4", "--reject", "0")
    assert {one["got"] for one in found} == {ACCEPT}


def test_a_verifier_that_is_right_about_everything_ends_well(folder: Path) -> None:
    told = "{'1': 1, '8': 0}['{name}'[0]]".replace("{'", "{{'").replace("}[", "}}[")
    ended, found = verdicts(folder, says(told), *ONLY[:4])
    assert ended == 0
    assert all(one["agrees"] for one in found)
    assert len(found) == 4


def test_a_verifier_is_told_what_the_template_asks_for(folder: Path) -> None:
    told = "os.getcwd() == a[1] and all(map(os.path.exists, a[1:5])) and len(a[5]) == 40"
    code = f"import os, sys; a = sys.argv; sys.exit(not ({told}))"
    template = shlex.join([sys.executable, "-S", "-c", code]) + " {repo} {trust} {anchor} {bundle} {oid}"
    _, found = verdicts(folder, template, *ONLY, "--object-format", "sha1")
    assert {one["status"] for one in found} == {0}


def test_a_verifier_that_does_not_end_could_not_check(folder: Path) -> None:
    _, found = verdicts(folder, says("__import__('time').sleep(60)"), *ONLY[:2], "--timeout", "0.2")
    assert {(one["status"], one["got"]) for one in found} == {(None, UNCHECKED)}


def test_disagreements_are_shown_with_their_sentence_and_a_summary(folder: Path) -> None:
    entries = run.select(run.read_index(folder), only=["1-stray-gpgsig-header", "8-good-commit"], formats=["sha1"])
    results = [run.Result(one, 0 if one.step == 1 else 1, ACCEPT if one.step == 1 else REJECT) for one in entries]
    lines = list(run.table(results))
    assert [line[0] for line in lines[:2]] == ["!", "-"]
    assert "nobody signed it" in lines[0]
    assert lines[-1].split() == ["all", "2", "0", "1", "1", "0"]


def test_the_selection_is_by_name_signer_kind_and_hash_function(folder: Path) -> None:
    entries = run.read_index(folder)
    found = run.select(entries, only=["3-*changed"], signers=["smime"], kinds=["tag"], formats=["sha256"])
    assert {one.name for one in found} == {"3-smime-tag-target-changed", "3-smime-tag-name-changed"}
    assert {one.signer for one in run.select(entries, signers=["openpgp"])} == {"openpgp", "none"}


REFUSED = {
    "no field {nothing}; there are": ("run", "{folder}", "--verifier", "x {nothing}"),
    "the verifier's command is empty": ("run", "{folder}", "--verifier", " "),
    "cannot be read: No closing quotation": ("run", "{folder}", "--verifier", "x '"),
    "no case is left to run": ("run", "{folder}", "--verifier", "x", "--only", "9-*"),
    "/does/not/exist cannot be run": ("run", "{folder}", "--verifier", "/does/not/exist"),
    "holds no corpus": ("run", "{folder}/trust", "--verifier", "x"),
    "is not an empty folder": ("generate", "{folder}"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_done_is_said_in_one_sentence(sentence: str, folder: Path) -> None:
    words = [word.replace("{folder}", str(folder)) for word in REFUSED[sentence]]
    done = CliRunner().invoke(main, words, standalone_mode=False)
    assert isinstance(done.exception, CorpusError)
    assert sentence in str(done.exception)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 2, "cases": []}', '{"version": 1, "cases": [{}]}', "[" * 99999]
)
def test_an_index_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(CorpusError):
        run.read_index(tmp_path)


def test_exit_statuses_that_are_named_mean_what_they_are_named_for() -> None:
    exits = Exits(frozenset({0, 3}), frozenset({1}))
    assert [exits.read(status) for status in (0, 3, 1, 2, -9)] == [ACCEPT, ACCEPT, REJECT, UNCHECKED, UNCHECKED]
    assert asdict(replace(exits, accept=frozenset()))["accept"] == frozenset()
