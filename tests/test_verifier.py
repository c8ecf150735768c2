"""What a command is told about whose signatures count: the files behind its options."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest import verifier
from attest.errors import UnavailableError
from attest.foreign.roots import NONE
from tests import sshforge

ALICE, BOB = sshforge.ed25519("alice"), sshforge.ed25519("bob")


def test_nobody_counts_who_is_not_named() -> None:
    assert verifier.load_roots() == NONE


def test_keys_that_count_and_keys_that_count_no_longer_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "allowed").write_text(f"a@b {ALICE.line}\n")
    (tmp_path / "revoked").write_text(f"{BOB.line}\n")
    roots = verifier.load_roots(allowed_signers=tmp_path / "allowed", revoked_keys=tmp_path / "revoked")
    assert roots.allowed_signers is not None
    assert roots.revoked is not None
    assert (set(roots.allowed_signers.keys), roots.revoked.keys) == ({ALICE.blob}, {BOB.blob})
    assert roots.digest != verifier.load_roots(allowed_signers=tmp_path / "allowed").digest


@pytest.mark.parametrize("option", ["allowed_signers", "revoked_keys"])
def test_a_file_that_is_malformed_or_absent_keeps_from_checking_and_is_named(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").write_text("# a comment\nnonsense\n")
    with pytest.raises(UnavailableError, match="line 2") as caught:
        verifier.load_roots(**{option: tmp_path / "file"})  # type: ignore[arg-type]  # both take a path
    assert str(tmp_path / "file") in caught.value.message
    with pytest.raises(UnavailableError, match="absent"):
        verifier.load_roots(**{option: tmp_path / "absent"})  # type: ignore[arg-type]  # both take a path


def test_a_file_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\n" * (verifier.MAX_FILE_BYTES + 1))
    with pytest.raises(UnavailableError, match="larger"):
        verifier.load_roots(allowed_signers=tmp_path / "file")
