from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import Error, MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.foreign import openpgp, roots
from attest.foreign.openpgp import Gpg
from attest.foreign.roots import Roots
from attest.gitobject import Signature, SignatureFormat
from attest.row import SignerKind
from attest.types import Authentication, PrincipalKind
from attest.verifier import load_roots

ARMOUR = b"-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
KEY, PRIMARY = "A" * 40, "B" * 40
GOOD = f"GOODSIG {KEY[-16:]} Alice Example <alice@example.com>"
VALID = f"VALIDSIG {KEY} 2026-07-10 1783684800 0 4 0 22 8 00 {PRIMARY}"
SURE = "TRUST_FULLY 0 pgp"


@dataclass(frozen=True)
class Fake:
    """A gpg that says these status lines, among others, and writes down what it was asked."""

    folder: Path

    def gpg(self, *lines: str) -> Gpg:
        said = "".join(f"[GNUPG:] {line}\n" for line in lines)
        (self.folder / "said").write_text(f"noise\n{said}")
        program = self.folder / "gpg"
        program.write_text(
            f'#!/bin/sh\necho "$@" >"{self.folder}/asked"\ncat >"{self.folder}/content"\ncat "{self.folder}/said"\n'
        )
        program.chmod(0o700)
        return Gpg.find({"PATH": str(self.folder) + os.pathsep + os.defpath})

    def made(self, *lines: str) -> openpgp.ForeignOpenPgp:
        return openpgp.read(ARMOUR, self.gpg(*lines))


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(tmp_path)


def test_a_key_that_its_owner_is_sure_of_is_vouched_for(fake: Fake) -> None:
    made = fake.made("NEWSIG", GOOD, VALID, SURE)
    assert made.signing_time(None) is None
    assert made.verify_content(b"content") == KEY
    assert (fake.folder / "content").read_bytes() == b"content"
    asked = (fake.folder / "asked").read_text().split()
    assert {"--batch", "--status-fd=1", "--no-auto-key-retrieve", "--disable-dirmngr"} <= set(asked)
    assert (made.signer.kind, made.signer.key, made.signer.algorithm) == (SignerKind.OPENPGP, PRIMARY, "eddsa")
    found = made.verify_signer(None)
    assert found.principal.id == f"openpgp:{PRIMARY.lower()}"
    assert (found.principal.kind, found.principal.authentication) == (PrincipalKind.HUMAN, Authentication.OWN_KEY)
    assert (found.principal.display, set(found.addresses)) == (
        "Alice Example <alice@example.com>",
        {"alice@example.com"},
    )
    assert (found.not_before, found.not_after, found.evidence) == (None, None, ())
    assert made.signing_time(None) == (1783684800, "openpgp-signature")


def test_a_key_that_expired_since_is_vouched_for_until_then(fake: Fake) -> None:
    made = fake.made("NEWSIG", "KEYEXPIRED 1790000000", GOOD.replace("GOODSIG", "EXPKEYSIG"), VALID, SURE)
    made.verify_content(b"content")
    assert made.verify_signer(None).not_after == 1790000000


def test_an_expired_key_whose_end_gpg_does_not_say_is_vouched_for_at_no_time(fake: Fake) -> None:
    made = fake.made("NEWSIG", GOOD.replace("GOODSIG", "EXPKEYSIG"), VALID, SURE)
    made.verify_content(b"content")
    assert made.verify_signer(None).not_after == 0


@pytest.mark.parametrize(
    ("lines", "step", "reason"),
    [
        pytest.param(
            ("NEWSIG", f"BADSIG {KEY[-16:]} Alice"), Step.INTEGRITY, Reason.SIGNATURE_INVALID, id="over something else"
        ),
        pytest.param(
            ("NEWSIG", GOOD, VALID, "NEWSIG", GOOD, VALID),
            Step.SIGNATURE,
            Reason.SIGNATURE_SEVERAL,
            id="two signatures",
        ),
        pytest.param(("NEWSIG", GOOD, GOOD, VALID), Step.SIGNATURE, Reason.SIGNATURE_SEVERAL, id="two verdicts"),
        pytest.param(
            ("NEWSIG", GOOD, VALID.replace(" 22 8 ", " 1 2 "), SURE), Step.INTEGRITY, Reason.KEY_REFUSED, id="SHA-1"
        ),
        pytest.param(
            ("NEWSIG", GOOD, VALID.replace(" 00 ", " 01 "), SURE),
            Step.INTEGRITY,
            Reason.SIGNATURE_INVALID,
            id="over a text whose line ends do not count",
        ),
    ],
)
def test_what_fails_before_it_is_asked_whose_key_it_is(
    fake: Fake, lines: tuple[str, ...], step: Step, reason: Reason
) -> None:
    with pytest.raises(VerificationError) as caught:
        fake.made(*lines).verify_content(b"content")
    assert (caught.value.step, caught.value.reason) == (step, reason)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        pytest.param((GOOD.replace("GOOD", "REVKEY"), VALID, SURE), Reason.KEY_REVOKED, id="a revoked key"),
        pytest.param(
            (GOOD.replace("GOOD", "EXP"), VALID, SURE), Reason.TIME_OUTSIDE_VALIDITY, id="an expired signature"
        ),
        pytest.param((GOOD, VALID, "TRUST_UNDEFINED 0 pgp"), Reason.KEY_UNKNOWN, id="a key that came by itself"),
        pytest.param((GOOD, VALID, "TRUST_MARGINAL 0 pgp"), Reason.KEY_UNKNOWN, id="a key with one unsure voucher"),
        pytest.param((GOOD, VALID, "TRUST_NEVER"), Reason.KEY_UNKNOWN, id="a key that is never trusted"),
        pytest.param((GOOD, VALID), Reason.KEY_UNKNOWN, id="no word on trust"),
        pytest.param((GOOD, VALID, SURE, "TRUST_NEVER"), Reason.KEY_UNKNOWN, id="two words on trust"),
    ],
)
def test_whose_key_does_not_count(fake: Fake, lines: tuple[str, ...], reason: Reason) -> None:
    made = fake.made("NEWSIG", *lines)
    assert made.verify_content(b"content") == KEY
    with pytest.raises(VerificationError) as caught:
        made.verify_signer(None)
    assert (caught.value.step, caught.value.reason) == (Step.CHAIN, reason)


@pytest.mark.parametrize(
    ("lines", "kind", "reason"),
    [
        pytest.param(
            (f"ERRSIG {KEY[-16:]} 22 8 00 1783684800 9 {KEY}", f"NO_PUBKEY {KEY[-16:]}"),
            UnavailableError,
            Reason.KEY_UNKNOWN,
            id="no such key in the keyring",
        ),
        pytest.param((f"ERRSIG {KEY[-16:]} 99 8 00 1783684800 4 -",), UnavailableError, None, id="unknown algorithm"),
        pytest.param(("ERRSIG",), UnavailableError, None, id="an error without fields"),
        pytest.param((GOOD,), UnavailableError, None, id="good, by no key"),
        pytest.param(("NODATA 4",), MalformedError, None, id="no signature in it"),
        pytest.param((), MalformedError, None, id="silence"),
    ],
)
def test_what_cannot_be_checked(fake: Fake, lines: tuple[str, ...], kind: type[Error], reason: Reason | None) -> None:
    with pytest.raises(kind) as caught:
        fake.made(*lines).verify_content(b"content")
    assert getattr(caught.value, "reason", None) == reason


def test_a_gpg_that_cannot_run_is_could_not_check(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        Gpg(str(tmp_path / "absent"), {}).status(ARMOUR, b"content")
    assert caught.value.reason is Reason.TOOL_ABSENT
    with pytest.raises(UnavailableError) as caught:
        Gpg.find({"PATH": f"{tmp_path}:relative:"})
    assert caught.value.reason is Reason.TOOL_ABSENT


def test_a_keyring_that_is_not_there_is_could_not_check(fake: Fake, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        Gpg.find(fake.gpg().environ, tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_a_gpg_that_hangs_is_given_up(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openpgp, "SECONDS", 0.1)
    gpg = fake.gpg()
    (fake.folder / "gpg").write_text("#!/bin/sh\nexec sleep 5\n")
    with pytest.raises(UnavailableError) as caught:
        gpg.status(ARMOUR, b"content")
    assert caught.value.reason is Reason.TOOL_ABSENT


def test_nobody_is_asked_unless_the_verifier_named_openpgp(fake: Fake) -> None:
    signature = Signature(SignatureFormat.OPENPGP, ARMOUR)
    with pytest.raises(VerificationError) as caught:
        roots.read(signature, None)
    assert (caught.value.step, caught.value.reason) == (Step.SIGNATURE, Reason.SIGNATURE_FOREIGN)
    made = roots.read(signature, Roots(openpgp=fake.gpg("NEWSIG", GOOD, VALID, SURE)))
    assert made.verify_content(b"content") == KEY


def test_a_keyring_made_for_this_is_named_to_gpg(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then all its keys count, and gpg says nothing of trust."""
    gpg = fake.gpg("NEWSIG", GOOD, VALID)
    monkeypatch.setenv("PATH", gpg.environ["PATH"])
    named = load_roots(openpgp_keyring=tmp_path).openpgp
    assert named is not None
    made = openpgp.read(ARMOUR, named)
    made.verify_content(b"content")
    assert f"--homedir {tmp_path} --trust-model=always" in (fake.folder / "asked").read_text()
    assert made.verify_signer(None).addresses == {"alice@example.com"}


def test_armour_has_a_limit(fake: Fake) -> None:
    with pytest.raises(MalformedError):
        openpgp.read(bytes(openpgp.MAX_ARMOUR_BYTES + 1), fake.gpg())


def test_another_keyring_is_another_digest(tmp_path: Path) -> None:
    one, other = Gpg("/gpg", {}), Gpg("/gpg", {}, tmp_path)
    assert Roots(openpgp=one).digest != Roots(openpgp=other).digest != Roots().digest


WORDS = st.sampled_from(
    ["NEWSIG", "GOODSIG", "VALIDSIG", KEY, "ERRSIG", "EXPKEYSIG", "KEYEXPIRED", "TRUST_FULLY", "9", ""]
)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=12).map(" ".join), max_size=5))
def test_any_status_lines_end_in_a_documented_error_or_a_key(lines: list[str]) -> None:
    output = "".join(f"[GNUPG:] {line}\n" for line in lines).encode()
    try:
        said = openpgp.Said.read(openpgp.read_status(output))
    except Error:
        return
    assert said.verdict == "ERRSIG" or said.key == KEY
