"""sigstore-go on our attestations, by the command of docs/attestations.md; in-toto's Go types read the statement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.compat.attested import COMMIT, NAMES, Judged, attested, strangers
from tests.compat.judgements import ALTERED, EXPECTED, SIGNER, STAMPED, Change
from tests.peers import peer

BLOCK = "sigstore-go"
REFUSED: dict[str, Change] = {**EXPECTED, **SIGNER, **ALTERED, **STAMPED}
REFUSED["no commit is named"] = lambda judged: judged.telling(DIGEST="")
del REFUSED["another kind of statement is expected"]  # it is told of none


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Judged]:
    peer("sigstore-go")
    return attested(tmp_path_factory.mktemp("attested"))


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_is_accepted(made: Mapping[str, Judged], name: str, tmp_path: Path) -> None:
    status, says = made[name].by(BLOCK, tmp_path)
    assert status == 0, says
    said = json.loads(says[says.index("{") : says.rindex("}") + 1])
    assert said["verifiedIdentity"]["subjectAlternativeName"]["subjectAlternativeName"] == made[name].told["IDENTITY"]
    assert said["statement"]["predicateType"] == made[name].told["TYPE"]


@pytest.mark.parametrize("case", REFUSED)
def test_an_attestation_is_refused_when(made: Mapping[str, Judged], case: str, tmp_path: Path) -> None:
    status, says = REFUSED[case](made[COMMIT]).by(BLOCK, tmp_path)
    assert status != 0
    assert "Verification successful" not in says


def test_strangers_anchors_accept_nothing(made: Mapping[str, Judged], tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    (tmp_path / "here").mkdir()
    status, says = made[COMMIT].holding(strangers(tmp_path / "stranger")).by(BLOCK, tmp_path / "here")
    assert status != 0
    assert "Verification successful" not in says
