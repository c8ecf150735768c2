"""The user's own PGP key and X.509 certificate through our programs: as if gpg and gpgsm had been called.

The judge is the real program itself, and git. There is no home.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.compat.conftest import SCRIPTS
from tests.compat.twin import Outcome, made, run, twin
from tests.peers import peer

PAYLOAD = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\na payload\n"
ALICE = "alice@example.org"
PASSPHRASE = "x"

PGP_KEY = f"""%no-protection
Key-Type: eddsa
Key-Curve: ed25519
Key-Usage: sign
Name-Real: Alice
Name-Email: {ALICE}
Expire-Date: 0
%commit
"""


@pytest.fixture(scope="module")
def gnupg() -> Iterator[str]:
    """A GNUPGHOME with a PGP key of alice's, on a short path: sockets of agents lie in it."""
    gpg = peer("gpg")
    with tempfile.TemporaryDirectory(prefix="g", ignore_cleanup_errors=True) as home:
        try:
            made(Path(home), gpg, "--batch", "--gen-key", stdin=PGP_KEY.encode(), environ={"GNUPGHOME": home})
            made(
                Path(home), gpg, "--check-trustdb", environ={"GNUPGHOME": home}
            )  # else the first call does, and says so
            yield home
        finally:
            made(Path("/"), gpg.with_name("gpgconf"), "--kill", "all", environ={"GNUPGHOME": home})


@pytest.fixture(scope="module")
def certified(gnupg: str) -> str:
    """The same, with a certificate of alice's own and its key, whose passphrase the agent remembers."""
    home, gpgsm, openssl = Path(gnupg), peer("gpgsm"), peer("openssl")
    made(home, openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", "key.pem", "-out",
         "cert.pem", "-subj", f"/CN=Alice/emailAddress={ALICE}")  # fmt: skip
    # gpgsm 2.2 reads the older of PKCS #12's ciphers only.
    older = ("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1")
    made(home, openssl, "pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem", *older, "-passout",
         f"pass:{PASSPHRASE}", "-out", "alice.p12")  # fmt: skip
    (home / "gpgsm.conf").write_text("disable-crl-checks\n")
    loopback = ("--batch", "--pinentry-mode", "loopback", "--passphrase-fd")
    made(home, gpgsm, *loopback, "0", "--import", "alice.p12", stdin=PASSPHRASE.encode(), environ={"GNUPGHOME": gnupg})
    listed = made(home, gpgsm, "-k", "--with-colons", environ={"GNUPGHOME": gnupg}).decode()
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
    (home / "trustlist.txt").write_text(f"{fingerprint} S relax\n")
    made(home, gpgsm.with_name("gpgconf"), "--reload", "gpg-agent", environ={"GNUPGHOME": gnupg})
    (home / "passphrase").write_text(PASSPHRASE)
    words = shlex.join([str(gpgsm), *loopback, "3", "-bsau", ALICE])
    made(home, "/bin/sh", "-c", f"{words} 3<passphrase", stdin=PAYLOAD, environ={"GNUPGHOME": gnupg})
    return gnupg


SIGN = ["--status-fd=2", "-bsau"]
TIME = re.compile(rb"\b(\d{10}|\d{8}T\d{6})\b")


def signature(program: str, home: str, folder: Path) -> Path:
    """A folder with one signature over PAYLOAD, by the real program."""
    folder.mkdir()
    made_by = made(folder, peer(program), *SIGN, ALICE, stdin=PAYLOAD, environ={"GNUPGHOME": home})
    (folder / "signature").write_bytes(made_by)
    return folder


def require_equal(pair: tuple[Outcome, Outcome], *, succeeds: bool) -> Outcome:
    real, ours = pair
    assert ours == real
    assert (real.status == 0) == succeeds, real
    return ours


@pytest.fixture(params=["gpg", "gpgsm"])
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_a_signature_with_the_users_own_key_is_the_real_programs(
    certified: str, program: str, empty: Path, tmp_path: Path
) -> None:
    """Signatures hold the time, which the status line has too; the real program takes both for good."""
    real, ours = twin(program, empty, tmp_path, *SIGN, ALICE, stdin=PAYLOAD, environ={"GNUPGHOME": certified})
    said = [replace(outcome, out=b"", err=TIME.sub(b"TIME", outcome.err)) for outcome in (real, ours)]
    assert said[1] == said[0]
    assert b"SIG_CREATED" in ours.err
    (empty / "signature").write_bytes(ours.out)
    verify = ("--status-fd=1", "--verify", "signature", "-")
    verified = made(empty, peer(program), *verify, stdin=PAYLOAD, environ={"GNUPGHOME": certified})
    assert b"GOODSIG" in verified


def test_a_key_that_nobody_has_is_refused_in_the_real_programs_words(
    certified: str, program: str, empty: Path, tmp_path: Path
) -> None:
    pair = twin(program, empty, tmp_path, *SIGN, "nobody@example.org", stdin=PAYLOAD, environ={"GNUPGHOME": certified})
    assert require_equal(pair, succeeds=False).out == b""


@pytest.mark.parametrize(("payload", "good"), [(PAYLOAD, True), (b"something else", False)])
def test_a_signature_of_the_users_own_is_verified_by_the_real_program(
    certified: str, program: str, tmp_path: Path, payload: bytes, good: bool
) -> None:
    folder, arguments = signature(program, certified, tmp_path / "signed"), ["--status-fd=1", "--verify"]
    pair = twin(
        program, folder, tmp_path, *arguments, "signature", "-", stdin=payload, environ={"GNUPGHOME": certified}
    )
    said = require_equal(pair, succeeds=good).out
    assert (b"GOODSIG" in said, b"BADSIG" in said) == (good, not good)


@pytest.mark.parametrize("arguments", [["--version"], ["--list-keys"], ["-K", "--with-colons"], ["--verify", "none"]])
def test_every_other_call_is_the_real_programs_own(
    certified: str, program: str, empty: Path, tmp_path: Path, arguments: list[str]
) -> None:
    pair = twin(program, empty, tmp_path, *arguments, environ={"GNUPGHOME": certified})
    require_equal(pair, succeeds=arguments[0] != "--verify")


@pytest.mark.parametrize(("program", "form"), [("gpg", "openpgp"), ("gpgsm", "x509")], indirect=["program"])
def test_git_signs_and_verifies_with_the_users_own_key_through_us(
    certified: str, program: str, form: str, empty: Path
) -> None:
    wrapper = empty / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(str(SCRIPTS / "notme-git"))} {program} "$@"\n')
    wrapper.chmod(0o755)
    settings = (f"gpg.format={form}", f"gpg.{form}.program={wrapper}", f"user.signingkey={ALICE}", "user.name=Alice",
                f"user.email={ALICE}")  # fmt: skip
    git = (str(peer("git")), *(word for setting in settings for word in ("-c", setting)))
    made(empty, git[0], "init", "-q", "repo")
    repo = empty / "repo"
    done = run(repo, *git, "commit", "-q", "-S", "--allow-empty", "-m", "x", environ={"GNUPGHOME": certified})
    assert (done.status, done.out) == (0, b""), done.err
    shown = made(repo, *git, "log", "--format=%G? %GS", environ={"GNUPGHOME": certified})
    assert shown.startswith(b"G ")
    assert b"Alice" in shown
