"""npm's @sigstore/verify on our attestations, by the script of docs/attestations.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.compat.attested import COMMIT, NAMES, PAGE, Judged, attested, strangers
from tests.compat.judgements import ALTERED, EXPECTED, SIGNER, STAMPED
from tests.peers import ROOT, peer

SAYS = {
    "it is about another commit": "it is about something else",
    "the digest is of another kind": "it is about something else",
    "another kind of statement is expected": "ERR_ASSERTION",
    "another signer is expected": "UNTRUSTED_SIGNER_ERROR",
    "a part of the signer's name is expected": "UNTRUSTED_SIGNER_ERROR",
    "another authority is expected": "UNTRUSTED_SIGNER_ERROR",
    "the time-stamp is changed": "TIMESTAMP_ERROR",
    "the time-stamp is taken out": "TIMESTAMP_ERROR",
}
"""Else it finds the signature wrong."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Judged]:
    peer("sigstore-js")
    return attested(tmp_path_factory.mktemp("attested"))


@pytest.mark.parametrize(("block", "name"), [*(("sigstore-js", name) for name in NAMES), ("sigstore-js-key", COMMIT)])
def test_every_statement_is_accepted(made: Mapping[str, Judged], block: str, name: str, tmp_path: Path) -> None:
    judged = made[name]
    status, says = judged.by(block, tmp_path)
    assert (status, says) == (0, f"verified: {judged.told['TYPE']}\n")


@pytest.mark.parametrize(
    ("block", "case"),
    [
        *(("sigstore-js", case) for case in {**EXPECTED, **SIGNER, **ALTERED, **STAMPED}),
        *(("sigstore-js-key", case) for case in {**EXPECTED, **ALTERED}),
    ],
)
def test_an_attestation_is_refused_when(made: Mapping[str, Judged], block: str, case: str, tmp_path: Path) -> None:
    change = {**EXPECTED, **SIGNER, **ALTERED, **STAMPED}[case]
    status, says = change(made[COMMIT]).by(block, tmp_path)
    assert status == 1
    stamped = block == "sigstore-js" and case == "the signature is changed"
    assert ("TIMESTAMP_ERROR" if stamped else SAYS.get(case, "SIGNATURE_ERROR")) in says


@pytest.mark.parametrize(
    ("block", "says"), [("sigstore-js", "TIMESTAMP_ERROR"), ("sigstore-js-key", "SIGNATURE_ERROR")]
)
def test_strangers_anchors_and_keys_accept_nothing(
    made: Mapping[str, Judged], block: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "stranger").mkdir()
    (tmp_path / "here").mkdir()
    status, found = made[COMMIT].holding(strangers(tmp_path / "stranger")).by(block, tmp_path / "here")
    assert status == 1
    assert says in found


@pytest.mark.parametrize("variable", ["TYPE", "ALG", "DIGEST", "IDENTITY", "ISSUER"])
def test_without_an_expectation_nothing_is_accepted(
    made: Mapping[str, Judged], variable: str, tmp_path: Path
) -> None:
    status, says = made[COMMIT].telling(**{variable: ""}).by("sigstore-js", tmp_path)
    assert status == 1
    assert "what is expected?" in says


@pytest.mark.parametrize(("block", "name"), [("sigstore-js", "key-bundle.json"), ("sigstore-js-key", "bundle.json")])
def test_a_bundle_is_held_against_what_it_was_asked_by(
    made: Mapping[str, Judged], block: str, name: str, tmp_path: Path
) -> None:
    judged = made[COMMIT]
    swapped = judged.holding({"bundle.json": judged.files[name], "key-bundle.json": judged.files[name]})
    assert swapped.by(block, tmp_path)[0] == 1


def test_the_page_names_the_versions_that_the_tests_have() -> None:
    line = re.search(r"npm install (@sigstore.*)", PAGE.read_text("utf-8"))
    assert line is not None
    assert set(line[1].split()) <= set((ROOT / ".ci" / "peers").read_text("utf-8").split())
