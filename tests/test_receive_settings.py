"""What the operator of a repository says in git's configuration, and that a wrong word is never none."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.errors import UsageError
from attest.receive import settings
from attest.receive.settings import Settings
from attest.repository import open_repository
from tests.pushes import Clone
from tests.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def clone(tmp_path: Path, world: World) -> Clone:
    return Clone.make(tmp_path / "clone", world)


def configured(clone: Clone, text: str) -> Settings:
    with open(clone.path / ".git" / "config", "a") as file:
        file.write(f"[notme]\n{text}\n")
    with open_repository(clone.path, clone.environ) as repo:
        return settings.read(repo)


def test_nothing_is_asked_for_where_nothing_is_configured(clone: Clone) -> None:
    assert configured(clone, "") == Settings()


def test_every_setting_is_read(clone: Clone) -> None:
    read = configured(
        clone,
        """
        policyFile = /etc/policy.toml
        anchor = /etc/one.pem
        anchor = /etc/two.pem
        bundle = /etc/bundle
        allowedSigners = /etc/allowed
        revokedKeys = /etc/revoked
        smimeCa = /etc/smime
        sigstore
        sigstoreRoot = /etc/root
        openpgp = yes
        protect = refs/heads/main
        protect = refs/heads/release/**
        known = refs/heads/v1
        ignore = refs/notes/**
        requireSignedPush = on
        repository = https://git.example/app
        witnessKey = /etc/key
        witness = https://git.example/witness
        """,
    )
    assert read == Settings(
        policy=Path("/etc/policy.toml"),
        anchors=(Path("/etc/one.pem"), Path("/etc/two.pem")),
        bundle=Path("/etc/bundle"),
        allowed_signers=Path("/etc/allowed"),
        revoked_keys=Path("/etc/revoked"),
        smime_ca=Path("/etc/smime"),
        sigstore=True,
        sigstore_root=Path("/etc/root"),
        openpgp=True,
        protect=("refs/heads/main", "refs/heads/release/**"),
        known=("refs/heads/v1",),
        ignore=("refs/notes/**",),
        signed_push=True,
        repository="https://git.example/app",
        witness_key=Path("/etc/key"),
        witness="https://git.example/witness",
    )


def test_settings_of_the_signing_side_are_passed_over_and_an_empty_value_takes_one_away(clone: Clone) -> None:
    read = configured(clone, "auto = true\npreviousX509Program = gpgsm\npolicyFile = /etc/a\npolicyFile =")
    assert read == Settings()


WRONG = {
    "a relative path": ("policyFile = policy.toml", "not an absolute path"),
    "a branch without refs/heads": ("protect = main", "write refs/heads/main"),
    "a pattern of another language": ("protect = refs/heads/[ab]", "does not know"),
    "an empty pattern": ("protect =", "is empty"),
    "a flag that is no flag": ("requireSignedPush = perhaps", "neither true nor false"),
}


@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
def test_a_value_that_makes_no_sense_is_an_error(clone: Clone, text: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        configured(clone, text)
    assert words in f"{refused.value.message} {refused.value.hint}"


REFS = {
    "a protected one": ("refs/heads/main", True, False, True),
    "one below": ("refs/heads/main/x", False, False, False),
    "a known one": ("refs/heads/v1", False, False, True),
    "an ignored one": ("refs/notes/ai", False, True, False),
    "known and ignored": ("refs/notes/old", False, True, False),
    "protected and ignored": ("refs/notes/kept", True, False, True),
}


@pytest.mark.parametrize(("ref", "protected", "ignored", "known"), REFS.values(), ids=REFS)
def test_what_may_hold_anything_never_counts_as_judged(ref: str, protected: bool, ignored: bool, known: bool) -> None:
    read = Settings(
        protect=("refs/heads/main", "refs/notes/kept"),
        known=("refs/heads/v1", "refs/notes/old"),
        ignore=("refs/notes/**",),
    )
    assert (read.protects(ref), read.ignores(ref), read.knows(ref)) == (protected, ignored, known)
