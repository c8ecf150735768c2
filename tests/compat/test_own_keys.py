"""Ordinary keys, certificates and calls through our programs: as if the real program had been called.

The judge is the real program itself: the same call in the same folder has to print the same, end the same and leave
the same files. Ed25519 and RSA signatures have no randomness that could differ. There is no home.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.compat.conftest import HUMAN, SCRIPTS
from tests.compat.twin import NOTHING, Outcome, environment, made, twin
from tests.peers import peer

PAYLOAD = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\na payload\n"
OTHER = b"another payload\n"
KEY_PAIRS = {"alice": "ed25519", "bob": "rsa", "mallory": "ed25519", "carol": "ecdsa", "ca": "ed25519"}
PASSPHRASE = "pass phrase"
ASKING = {"SSH_ASKPASS": "./askpass", "SSH_ASKPASS_REQUIRE": "force"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, signatures over PAYLOAD, lists of signers and of what is revoked; paths in calls are relative to it."""
    keygen, here = peer("ssh-keygen"), tmp_path_factory.mktemp("keys")
    for name, kind in KEY_PAIRS.items():
        made(here, keygen, "-q", "-t", kind, "-N", "", "-C", f"{name}'s", "-f", name)
    made(here, keygen, "-q", "-t", "ed25519", "-N", PASSPHRASE, "-f", "locked")
    certify = ("-q", "-s", "ca", "-I", "an id", "-n", "alice@example.org", "-V", "20250101:20350101")
    made(here, keygen, *certify, "alice.pub")
    (here / "payload").write_bytes(PAYLOAD)
    (here / "askpass").write_text(f"#!/bin/sh\necho '{PASSPHRASE}'\n")
    (here / "askpass").chmod(0o755)
    for name in ("alice", "bob", "carol", "mallory", "alice-cert.pub"):
        signature = made(here, keygen, "-Y", "sign", "-n", "git", "-f", name, stdin=PAYLOAD)
        (here / f"{name}.sig").write_bytes(signature)
    (here / "elsewhere.sig").write_bytes(made(here, keygen, "-Y", "sign", "-n", "file", "-f", "alice", stdin=PAYLOAD))
    (here / "no.sig").write_bytes(b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n")
    lists(here, keygen)
    return here


def lists(here: Path, keygen: Path) -> None:
    """Who may sign, and what is revoked, the latter in both forms that ssh-keygen takes."""
    alice, bob, carol, ca = ((here / f"{name}.pub").read_text().strip() for name in ("alice", "bob", "carol", "ca"))
    (here / "signers").write_text(
        f"alice@example.org,a@example.org namespaces=\"git\" {alice}\n*@corp.example {bob}\n"
        f'carol@example.org valid-after="20200101",valid-before="20210101" {carol}\n'
    )  # fmt: skip
    (here / "by-ca").write_text(f"*@example.org cert-authority {ca}\n")
    (here / "revoked").write_text(f"{alice}\n")
    made(here, keygen, "-q", "-k", "-f", "krl", "alice.pub")
    made(here, keygen, "-q", "-k", "-f", "empty-krl")


def both(
    folder: Path, tmp_path: Path, *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] = NOTHING
) -> tuple[Outcome, Outcome]:
    """The same call by the real ssh-keygen and by ours, each in its copy of the folder."""
    return twin("ssh-keygen", folder, tmp_path, *arguments, stdin=stdin, environ=environ)


VERIFY = ["-Y", "verify", "-n", "git", "-f", "signers"]
AS_ALICE = [*VERIFY, "-I", "alice@example.org", "-s", "alice.sig"]
FIND = ["-Y", "find-principals", "-f", "signers", "-s"]
CHECK = ["-Y", "check-novalidate", "-n", "git", "-s"]
SIGN = ["-Y", "sign", "-n", "git", "-f"]
MATCH = ["-Y", "match-principals", "-f", "signers", "-I"]

SIGNING = {  # what: (arguments, whether it succeeds)
    "an Ed25519 key": ([*SIGN, "alice", "payload"], True),
    "an RSA key": ([*SIGN, "bob", "payload"], True),
    "the public file of a key": ([*SIGN, "alice.pub", "payload"], True),
    "a certificate of another authority": ([*SIGN, "alice-cert.pub", "payload"], True),
    "two payloads": ([*SIGN, "alice", "payload", "signers"], True),
    "another digest": ([*SIGN, "alice", "-Ohashalg=sha256", "payload"], True),
    "an unknown digest": ([*SIGN, "alice", "-Ohashalg=md5", "payload"], False),
    "another namespace": (["-Y", "sign", "-n", "file", "-f", "alice", "payload"], True),
    "no namespace": (["-Y", "sign", "-f", "alice", "payload"], False),
    "no key": (["-Y", "sign", "-n", "git", "payload"], False),
    "a key that is not there": ([*SIGN, "nobody", "payload"], False),
    "a key that is none": ([*SIGN, "signers", "payload"], False),
    "a payload that is not there": ([*SIGN, "alice", "nothing"], False),
    "a locked key, with nobody to ask": ([*SIGN, "locked", "payload"], False),
    "an agent that is not there": ([*SIGN, "alice.pub", "-U", "payload"], False),
}

# git adds an empty word where it knows of no time (gpg-interface.c, verify_ssh_signed_buffer), as for a push.
READING = {  # what: (arguments, whether it succeeds), with PAYLOAD on standard input
    "a good signature": (AS_ALICE, True),
    "a good signature by RSA, of a pattern": ([*VERIFY, "-I", "bob@corp.example", "-s", "bob.sig"], True),
    "a good signature under a certificate": (
        ["-Y", "verify", "-n", "git", "-f", "by-ca", "-I", "alice@example.org", "-s", "alice-cert.pub.sig"], True),
    "a certificate for somebody else": (
        ["-Y", "verify", "-n", "git", "-f", "by-ca", "-I", "bob@example.org", "-s", "alice-cert.pub.sig"], False),
    "a signer who is not on the list": ([*VERIFY, "-I", "alice@example.org", "-s", "mallory.sig"], False),
    "somebody else's name": ([*VERIFY, "-I", "bob@corp.example", "-s", "alice.sig"], False),
    "a signature for another namespace": ([*VERIFY, "-I", "alice@example.org", "-s", "elsewhere.sig"], False),
    "a signature that is none": ([*VERIFY, "-I", "alice@example.org", "-s", "no.sig"], False),
    "a signature that is not there": ([*VERIFY, "-I", "alice@example.org", "-s", "nothing.sig"], False),
    "a list that is not there": (
        ["-Y", "verify", "-n", "git", "-f", "nothing", "-I", "alice@example.org", "-s", "alice.sig"], False),
    "a time given": ([*AS_ALICE, "-Overify-time=20250101"], True),
    "a time given as git gives it": (["-Overify-time=20250101120000", *AS_ALICE], True),
    "no time, as git says that": ([*AS_ALICE, ""], True),
    "an empty time": ([*AS_ALICE, "-Overify-time="], False),
    "a time that is none": ([*AS_ALICE, "-Overify-time=yesterday"], False),
    "a key's lifetime, after": (
        [*VERIFY, "-I", "carol@example.org", "-s", "carol.sig", "-Overify-time=20220601"], False),
    "a key's lifetime, within": (
        [*VERIFY, "-I", "carol@example.org", "-s", "carol.sig", "-Overify-time=20200601"], True),
    "a revoked key, in a list": ([*AS_ALICE, "-r", "revoked"], False),
    "a revoked key, in a KRL": ([*AS_ALICE, "-r", "krl"], False),
    "a KRL without the key": ([*AS_ALICE, "-r", "empty-krl"], True),
    "a revocation list that is not there": ([*AS_ALICE, "-r", "nothing"], False),
    "the key to be printed": ([*AS_ALICE, "-Oprint-pubkey"], True),
    "no principal": ([*VERIFY, "-s", "alice.sig"], False),
    "who signed": ([*FIND, "alice.sig"], True),
    "who signed, as git asks": ([*FIND, "bob.sig", "-Overify-time=20250101120000"], True),
    "who signed, without a time as git says that": ([*FIND, "bob.sig", ""], True),
    "who signed, with an empty time": ([*FIND, "bob.sig", "-Overify-time="], False),
    "who signed, after the key's lifetime": ([*FIND, "carol.sig", "-Overify-time=20220601"], False),
    "who signed, within the key's lifetime": ([*FIND, "carol.sig", "-Overify-time=20200601"], True),
    "who signed, by nobody on the list": ([*FIND, "mallory.sig"], False),
    "who signed, under a certificate": (["-Y", "find-principals", "-f", "by-ca", "-s", "alice-cert.pub.sig"], True),
    "who signed, with no signature named": (["-Y", "find-principals", "-f", "signers"], False),
    "a good signature by anybody": ([*CHECK, "mallory.sig"], True),
    "a good signature by anybody, as git asks": ([*CHECK, "mallory.sig", "-Overify-time=20250101120000"], True),
    "a good signature by anybody, without a time as git says that": ([*CHECK, "mallory.sig", ""], True),
    "a good signature by anybody, with an empty time": ([*CHECK, "mallory.sig", "-Overify-time="], False),
    "a signature by anybody for another namespace": ([*CHECK, "elsewhere.sig"], False),
    "a signature by anybody that is none": ([*CHECK, "no.sig"], False),
    "the names that match": ([*MATCH, "alice@example.org"], True),
    "the patterns that match": ([*MATCH, "x@corp.example"], True),
    "no name that matches": ([*MATCH, "nobody@example.net"], False),
    "a verb that is none": (["-Y", "endorse"], False),
}  # fmt: skip

ELSE = {  # what: (arguments, whether it succeeds)
    "a fingerprint": (["-lf", "alice.pub"], True),
    "a fingerprint, of MD5 and as a picture": (["-lvf", "bob", "-E", "md5"], True),
    "what a certificate says": (["-Lf", "alice-cert.pub"], True),
    "what is no certificate": (["-Lf", "alice.pub"], False),
    "the public key of a private one": (["-yf", "alice"], True),
    "another form of a public key": (["-e", "-m", "PKCS8", "-f", "bob.pub"], True),
    "whether a key is revoked": (["-Q", "-f", "krl", "alice.pub", "bob.pub"], False),
    "what a KRL holds": (["-Q", "-l", "-f", "krl"], True),
    "nothing that it knows": (["-lf", "nothing"], False),
}


@pytest.mark.parametrize("what", SIGNING)
def test_signing_with_an_ordinary_key_is_ssh_keygens_own(folder: Path, tmp_path: Path, what: str) -> None:
    arguments, succeeds = SIGNING[what]
    real, ours = both(folder, tmp_path, *arguments)
    assert ours == real
    assert (real.status == 0) == succeeds
    assert ("payload.sig" in real.files) == succeeds


@pytest.mark.parametrize("what", READING)
def test_reading_an_ordinary_signature_is_ssh_keygens_own(folder: Path, tmp_path: Path, what: str) -> None:
    arguments, succeeds = READING[what]
    real, ours = both(folder, tmp_path, *arguments, stdin=PAYLOAD)
    assert ours == real
    assert (real.status == 0) == succeeds


@pytest.mark.parametrize("what", ELSE)
def test_every_other_call_is_ssh_keygens_own(folder: Path, tmp_path: Path, what: str) -> None:
    arguments, succeeds = ELSE[what]
    real, ours = both(folder, tmp_path, *arguments)
    assert ours == real
    assert (real.status == 0) == succeeds


@pytest.mark.parametrize("arguments", [AS_ALICE, [*CHECK, "alice.sig"]], ids=["verify", "check-novalidate"])
def test_a_signature_over_something_else_is_refused_in_ssh_keygens_words(
    folder: Path, tmp_path: Path, arguments: list[str]
) -> None:
    real, ours = both(folder, tmp_path, *arguments, stdin=OTHER)
    assert ours == real
    assert real.status != 0


def test_a_payload_on_standard_input_is_signed_to_standard_output(folder: Path, tmp_path: Path) -> None:
    real, ours = both(folder, tmp_path, *SIGN, "alice", stdin=PAYLOAD)
    assert ours == real
    assert ours.out == (folder / "alice.sig").read_bytes()


@pytest.mark.parametrize("answer", [b"y\n", b"n\n"])
def test_whether_to_overwrite_a_signature_is_asked_and_answered(folder: Path, tmp_path: Path, answer: bytes) -> None:
    before = tmp_path / "before"
    shutil.copytree(folder, before)
    (before / "payload.sig").write_bytes(b"older\n")
    real, ours = both(before, tmp_path, *SIGN, "alice", "payload", stdin=answer)
    assert ours == real
    assert (real.files["payload.sig"][1] == b"older\n") == (answer == b"n\n")


def test_a_locked_key_is_opened_by_the_program_that_asks_for_it(folder: Path, tmp_path: Path) -> None:
    real, ours = both(folder, tmp_path, *SIGN, "locked", "payload", environ=ASKING)
    assert ours == real
    assert "payload.sig" in ours.files


@pytest.fixture(scope="module")
def agent(folder: Path) -> Iterator[str]:
    """The socket of a real ssh-agent that holds alice's key and locked's, on a short path."""
    keygen = peer("ssh-keygen")
    with tempfile.TemporaryDirectory(prefix="a") as place:
        socket = f"{place}/agent"
        command = [str(keygen.with_name("ssh-agent")), "-D", "-a", socket]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment({})) as process:
            try:
                while not os.path.exists(socket):
                    assert process.poll() is None
                made(
                    folder,
                    keygen.with_name("ssh-add"),
                    "-q",
                    "alice",
                    "locked",
                    environ={"SSH_AUTH_SOCK": socket, **ASKING},
                )
                yield socket
            finally:
                process.terminate()


@pytest.mark.parametrize("key", ["alice", "locked"])
def test_a_literal_key_is_signed_with_by_the_users_own_agent(
    folder: Path, tmp_path: Path, agent: str, key: str
) -> None:
    """git writes the literal `key::` into a file and adds `-U` (gpg-interface.c, sign_buffer_ssh)."""
    before = tmp_path / "before"
    before.mkdir()
    for name in ("payload", f"{key}.pub"):
        shutil.copy(folder / name, before)
    (before / "literal").write_text((before / f"{key}.pub").read_text())
    real, ours = both(before, tmp_path, *SIGN, "literal", "-U", "payload", environ={"SSH_AUTH_SOCK": agent})
    assert ours == real
    assert "payload.sig" in ours.files


def test_a_literal_key_that_the_agent_has_not_is_refused(folder: Path, tmp_path: Path, agent: str) -> None:
    before = tmp_path / "before"
    before.mkdir()
    for name in ("payload", "mallory.pub"):
        shutil.copy(folder / name, before)
    real, ours = both(before, tmp_path, *SIGN, "mallory.pub", "-U", "payload", environ={"SSH_AUTH_SOCK": agent})
    assert ours == real
    assert real.status != 0


def test_no_folder_of_the_user_is_needed_for_an_ordinary_key(folder: Path, tmp_path: Path) -> None:
    """A service may run git without HOME."""
    real, ours = both(folder, tmp_path, *SIGN, "alice", "payload", environ={"HOME": ""})
    assert ours == real
    assert "payload.sig" in ours.files


@pytest.fixture(scope="module")
def home() -> Iterator[str]:
    """The home of an authority, whose daemon is asked first."""
    with tempfile.TemporaryDirectory(prefix="h", ignore_cleanup_errors=True) as place:
        environ = {"NOTME_HOME": f"{place}/home", "XDG_RUNTIME_DIR": place}
        program = SCRIPTS / "notme-git"
        made(Path(place), program, "init", "--key-store", "file", "--human", HUMAN, environ=environ)
        try:
            yield place
        finally:
            made(Path(place), program, "daemon", "stop", environ=environ)


WITH_A_HOME = [
    "a good signature", "a signer who is not on the list", "a signature that is none", "a time given",
    "no time, as git says that", "a revoked key, in a KRL", "a good signature under a certificate", "who signed",
    "who signed, by nobody on the list", "a good signature by anybody, as git asks",
]  # fmt: skip


@pytest.mark.parametrize("what", WITH_A_HOME)
def test_reading_is_ssh_keygens_own_where_there_is_a_home_too(
    folder: Path, tmp_path: Path, home: str, what: str
) -> None:
    arguments, succeeds = READING[what]
    environ = {"NOTME_HOME": f"{home}/home", "XDG_RUNTIME_DIR": home}
    real, ours = both(folder, tmp_path, *arguments, stdin=PAYLOAD, environ=environ)
    assert ours == real
    assert (real.status == 0) == succeeds


@pytest.mark.parametrize("what", ["an Ed25519 key", "a key that is not there", "a certificate of another authority"])
def test_signing_is_ssh_keygens_own_where_there_is_a_home_too(
    folder: Path, tmp_path: Path, home: str, what: str
) -> None:
    arguments, succeeds = SIGNING[what]
    environ = {"NOTME_HOME": f"{home}/home", "XDG_RUNTIME_DIR": home}
    real, ours = both(folder, tmp_path, *arguments, environ=environ)
    assert ours == real
    assert ("payload.sig" in real.files) == succeeds
