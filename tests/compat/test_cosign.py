"""cosign on our attestations, by the commands of docs/attestations.md: a stock verifier told what to expect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.compat.attested import COMMIT, NAMES, Judged, attested, strangers
from tests.compat.judgements import ALTERED, EXPECTED, SIGNER, STAMPED
from tests.peers import peer

UNSTAMPED = "failed to verify timestamps"
SAYS = {
    "it is about another commit": "does not match any digest in statement",
    "the digest is of another kind": "digests does not match digests in statement",
    "another kind of statement is expected": "invalid predicate type",
    "another signer is expected": "expected SAN value",
    "a part of the signer's name is expected": "expected SAN value",
    "another authority is expected": "expected issuer value",
    "the time-stamp is changed": UNSTAMPED,
    "the time-stamp is taken out": "threshold not met",
}
"""Else it finds no signature that matches."""
UNMATCHED = "accepted signatures do not match threshold"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Judged]:
    peer("cosign")
    return attested(tmp_path_factory.mktemp("attested"))


@pytest.mark.parametrize(("block", "name"), [*(("cosign", name) for name in NAMES), ("cosign-key", COMMIT)])
def test_every_statement_is_accepted(made: Mapping[str, Judged], block: str, name: str, tmp_path: Path) -> None:
    status, says = made[name].by(block, tmp_path)
    assert status == 0, says
    assert "Verified OK" in says


@pytest.mark.parametrize(
    ("block", "case"),
    [
        *(("cosign", case) for case in {**EXPECTED, **SIGNER, **ALTERED, **STAMPED}),
        *(("cosign-key", case) for case in {**EXPECTED, **ALTERED}),
    ],
)
def test_an_attestation_is_refused_when(made: Mapping[str, Judged], block: str, case: str, tmp_path: Path) -> None:
    change = {**EXPECTED, **SIGNER, **ALTERED, **STAMPED}[case]
    status, says = change(made[COMMIT]).by(block, tmp_path)
    assert status != 0
    # A time-stamp is over the signature, and cosign looks at it first.
    stamped = block == "cosign" and case == "the signature is changed"
    assert (UNSTAMPED if stamped else SAYS.get(case, UNMATCHED)) in says


@pytest.mark.parametrize(("block", "says"), [("cosign", UNSTAMPED), ("cosign-key", UNMATCHED)])
def test_strangers_anchors_and_keys_accept_nothing(
    made: Mapping[str, Judged], block: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "stranger").mkdir()
    (tmp_path / "here").mkdir()
    status, found = made[COMMIT].holding(strangers(tmp_path / "stranger")).by(block, tmp_path / "here")
    assert status != 0
    assert says in found
