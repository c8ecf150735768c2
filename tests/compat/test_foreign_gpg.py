"""gpg as the judge of OpenPGP signatures, asked by us: its own keys, its own signatures, its own trust."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from attest.errors import Reason, UnavailableError, VerificationError
from attest.foreign import openpgp
from attest.foreign.openpgp import ForeignOpenPgp, Gpg
from tests.compat.signed import run
from tests.peers import peer

CONTENT = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nx\n"
ALICE, MALLORY = "Alice Example <alice@example.com>", "Mallory <mallory@example.com>"


@dataclass(frozen=True)
class Keyring:
    """A home of gpg's with one secret key, which its owner trusts ultimately."""

    home: Path
    owner: str

    def gpg(self, *arguments: str | Path) -> str:
        ended = run(peer("gpg"), "--batch", *arguments, cwd=self.home, environ={"GNUPGHOME": str(self.home)})
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def make(self, *arguments: str) -> None:
        self.gpg("--passphrase", "", "--quick-generate-key", self.owner, *arguments)

    def signature(self, name: str = "content") -> bytes:
        (self.home / name).write_bytes(CONTENT)
        self.gpg("--yes", "--output", "made.asc", "--armor", "--detach-sign", name)
        return (self.home / "made.asc").read_bytes()

    @property
    def fingerprint(self) -> str:
        lines = [line.split(":") for line in self.gpg("--list-keys", "--with-colons", self.owner).splitlines()]
        return next(line[9] for line in lines if line[0] == "fpr")

    def asked(self, armour: bytes, *, made_for_this: bool = False) -> ForeignOpenPgp:
        environ = {**os.environ, "PATH": str(peer("gpg").parent), "GNUPGHOME": str(self.home)}
        return openpgp.read(armour, Gpg.find(environ, self.home if made_for_this else None))


@contextmanager
def keyring(owner: str, *arguments: str) -> Iterator[Keyring]:
    # Not below pytest's folders: the agent's sockets lie in the home, and their paths have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="g") as home:
        made = Keyring(Path(home), owner)
        try:
            made.make(*arguments)
            yield made
        finally:
            run(peer("gpg").with_name("gpgconf"), "--kill", "all", cwd=made.home, environ={"GNUPGHOME": home})


@pytest.fixture(scope="module")
def alice() -> Iterator[Keyring]:
    with keyring(ALICE, "ed25519", "sign", "never") as made:
        yield made


@pytest.fixture(scope="module")
def mallory() -> Iterator[Keyring]:
    with keyring(MALLORY, "rsa2048", "sign", "1y") as made:
        yield made


def test_the_owners_own_key_is_vouched_for(alice: Keyring) -> None:
    made = alice.asked(alice.signature())
    assert made.verify_content(CONTENT) == made.signer.key == alice.fingerprint
    found = made.verify_signer(None)
    assert (found.principal.id, set(found.addresses)) == (
        f"openpgp:{alice.fingerprint.lower()}",
        {"alice@example.com"},
    )
    assert (made.signer.algorithm, found.not_after) == ("eddsa", None)
    assert made.signing_time(None) is not None


def test_a_signature_over_something_else_is_bad(alice: Keyring) -> None:
    with pytest.raises(VerificationError) as caught:
        alice.asked(alice.signature()).verify_content(CONTENT + b"x")
    assert caught.value.reason is Reason.SIGNATURE_INVALID


def test_a_key_counts_once_somebody_says_whose_it_is_or_in_a_keyring_made_for_this(
    alice: Keyring, mallory: Keyring
) -> None:
    made = alice.asked(mallory.signature())
    with pytest.raises(UnavailableError) as unknown:
        made.verify_content(CONTENT)
    assert unknown.value.reason is Reason.KEY_UNKNOWN
    (alice.home / "mallory.asc").write_text(mallory.gpg("--armor", "--export", MALLORY))
    alice.gpg("--import", "mallory.asc")
    assert made.verify_content(CONTENT) == mallory.fingerprint
    with pytest.raises(VerificationError) as caught:
        made.verify_signer(None)
    assert caught.value.reason is Reason.KEY_UNKNOWN
    directed = alice.asked(mallory.signature(), made_for_this=True)
    directed.verify_content(CONTENT)
    assert directed.verify_signer(None).addresses == {"mallory@example.com"}
    alice.gpg("--yes", "--quick-lsign-key", mallory.fingerprint)
    made.verify_content(CONTENT)
    assert made.verify_signer(None).addresses == {"mallory@example.com"}


def test_a_revoked_key_is_revoked() -> None:
    with keyring("Carol <carol@example.com>", "ed25519", "sign", "never") as carol:
        armour = carol.signature()
        revocation = (carol.home / "openpgp-revocs.d" / f"{carol.fingerprint}.rev").read_text()
        (carol.home / "revoked.asc").write_text(revocation.replace(":-----BEGIN", "-----BEGIN"))
        carol.gpg("--import", "revoked.asc")
        made = carol.asked(armour)
        made.verify_content(CONTENT)
        with pytest.raises(VerificationError) as caught:
            made.verify_signer(None)
        assert caught.value.reason is Reason.KEY_REVOKED


def test_a_key_that_expired_since_counts_until_then() -> None:
    with keyring("Dave <dave@example.com>", "ed25519", "sign", "seconds=600") as dave:
        made = dave.asked(dave.signature())
        made.verify_content(CONTENT)
        (dave.home / "gpg.conf").write_text("faked-system-time 20380101T000000\n")
        made.verify_content(CONTENT)
        found, word = made.verify_signer(None), made.signing_time(None)
        assert word is not None
        assert found.not_after is not None
        assert word[0] <= found.not_after <= word[0] + 600


def test_two_signatures_in_one_armour_are_refused(alice: Keyring, mallory: Keyring) -> None:
    both = b"".join(_dearmoured(ring) for ring in (alice, mallory))
    (alice.home / "both").write_bytes(both)
    alice.gpg("--yes", "--output", "both.asc", "--enarmor", "both")
    armour = (alice.home / "both.asc").read_bytes().replace(b"PGP ARMORED FILE", b"PGP SIGNATURE")
    with pytest.raises(VerificationError) as caught:
        alice.asked(armour).verify_content(CONTENT)
    assert caught.value.reason is Reason.SIGNATURE_SEVERAL


def _dearmoured(ring: Keyring) -> bytes:
    (ring.home / "one.asc").write_bytes(ring.signature())
    ring.gpg("--yes", "--output", "one", "--dearmor", "one.asc")
    return (ring.home / "one").read_bytes()
