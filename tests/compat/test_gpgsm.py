"""gpgsm, which git asks about X.509 signatures where nothing else is configured, on the interop profile."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography.hazmat.primitives.hashes import SHA1

from attest.profile import Profile
from tests.compat.signed import A_DAY, Signed, now, run, sign
from tests.peers import peer


@dataclass(frozen=True)
class Gpgsm:
    """A gpgsm with a home of its own, in which the interop roots of `fresh` and `day_old` are trusted."""

    home: Path
    fresh: Signed
    day_old: Signed

    def run(self, *arguments: str | Path, folder: Path | None = None) -> CompletedProcess[str]:
        environ = {"GNUPGHOME": str(self.home)}
        return run(peer("gpgsm"), "--batch", *arguments, cwd=folder or self.fresh.folder, environ=environ)

    def verify(self, signed: Signed, content: str = "payload") -> list[list[str]]:
        """The status lines, in words."""
        ended = self.run("--status-fd", "1", "--verify", "signature.der", content, folder=signed.folder)
        lines = [line.split() for line in ended.stdout.splitlines()]
        assert all(line[0] == "[GNUPG:]" for line in lines)
        return [line[1:] for line in lines]

    def trust(self, signed: Signed) -> None:
        """Import the root, and name it to gpg-agent, which reads that list once, as the user would when asked."""
        ended = self.run("--import", "root", folder=signed.folder)
        assert ended.returncode == 0, ended.stderr
        fingerprint = signed.forge.root.fingerprint(SHA1()).hex(":").upper()
        with open(self.home / "trustlist.txt", "a") as file:
            file.write(f"{fingerprint} S relax\n")


@pytest.fixture(scope="module")
def gpgsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpgsm]:
    program = peer("gpgsm")
    # Not below pytest's folders: the agent's sockets lie in the home, and their paths have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="g") as home:
        fresh = sign(tmp_path_factory.mktemp("fresh"), Profile.INTEROP, now())
        day_old = sign(tmp_path_factory.mktemp("old"), Profile.INTEROP, now() - A_DAY)
        made = Gpgsm(Path(home), fresh, day_old)
        (made.home / "gpgsm.conf").write_text("disable-crl-checks\n")
        (made.home / "gpg-agent.conf").write_text("no-allow-mark-trusted\n")
        try:
            made.trust(fresh)
            made.trust(day_old)
            yield made
        finally:
            run(program.with_name("gpgconf"), "--kill", "all", cwd=made.home, environ={"GNUPGHOME": home})


def words(status: list[list[str]]) -> list[str]:
    return [line[0] for line in status if line[0] != "PROGRESS"]


def test_a_fresh_interop_signature_is_good_and_fully_trusted(gpgsm: Gpgsm) -> None:
    status = gpgsm.verify(gpgsm.fresh)
    assert words(status) == ["NEWSIG", "GOODSIG", "VALIDSIG", "TRUST_FULLY"]
    good, valid = (next(line for line in status if line[0] == word) for word in ("GOODSIG", "VALIDSIG"))
    fingerprint = gpgsm.fresh.message.signer.fingerprint(SHA1()).hex().upper()
    assert good[1:] == [fingerprint, "/CN=claude-code/O=notme"]
    assert valid[1:4] == [fingerprint, f"{gpgsm.fresh.world.now:%Y-%m-%d}", f"{gpgsm.fresh.world.now:%Y%m%dT%H%M%S}"]


def test_a_signature_over_something_else_is_bad(gpgsm: Gpgsm) -> None:
    assert words(gpgsm.verify(gpgsm.fresh, "tampered")) == ["NEWSIG", "BADSIG"]


def test_a_day_old_signature_is_shown_with_an_expired_key(gpgsm: Gpgsm) -> None:
    """gpgsm goes by the time there is now: what it shows of our signatures holds for five minutes."""
    assert words(gpgsm.verify(gpgsm.day_old)) == ["NEWSIG", "EXPKEYSIG", "VALIDSIG", "TRUST_FULLY"]


def test_a_signature_under_a_root_that_nobody_trusts_has_no_trust(gpgsm: Gpgsm, tmp_path: Path) -> None:
    signed = sign(tmp_path, Profile.INTEROP, now())
    assert words(gpgsm.verify(signed)) == ["NEWSIG", "GOODSIG", "VALIDSIG", "TRUST_UNDEFINED"]


def test_an_ed25519_signature_is_beyond_gpgsm_and_never_called_good(gpgsm: Gpgsm, tmp_path: Path) -> None:
    """gpgsm 2.2 does not take an Ed25519 root: "unknown digest algorithm '1.3.101.112' used certificate"."""
    signed = sign(tmp_path, Profile.NOTME, now())
    ended = gpgsm.run("--import", "root", folder=tmp_path)
    assert ended.returncode != 0
    assert "not imported: 1" in ended.stderr
    for content in ("payload", "tampered"):
        assert words(gpgsm.verify(signed, content)) == ["NEWSIG", "BADSIG"]
