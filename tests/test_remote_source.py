"""Signing as a daemon does, with credentials from an authority over HTTP, and what a home keeps of that authority."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from attest import home as homes
from attest import verify
from attest.errors import Error, RefusedError, UnavailableError, UsageError, VerificationError
from attest.gitobject import ObjectFormat, ObjectKind, SignatureFormat, object_id
from attest.policy import Context, Policy
from attest.types import Outcome
from notme_git.authority import epochs
from notme_git.authority.agents import Wish
from notme_git.authority.settings import Limits, Rate, Settings
from notme_git.daemon.credential import Signer
from notme_git.remote import pinning, place
from notme_git.remote.client import AuthorityError, Client
from notme_git.remote.place import FIRST_USE, OUT_OF_BAND, Login
from notme_git.remote.source import PATIENCE_S
from notme_git.sign import UNSTAMPED
from tests.elsewhere import Elsewhere, elsewhere
from tests.forge import attach
from tests.peers import peer
from tests.world import AGENT, World


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Elsewhere]:
    with elsewhere(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    with elsewhere(tmp_path_factory.mktemp("one")) as made:
        yield made


@pytest.fixture
def signer(away: Elsewhere) -> Signer:
    return Signer(away.home, away.source)


def outcome(away: Elsewhere, payload: bytes, armour: bytes) -> Outcome:
    """The verdict of the authority's own home."""
    raw = attach(payload, armour)
    named = object_id(ObjectKind.COMMIT, raw, ObjectFormat.SHA1)
    found = verify.examine(raw, ObjectKind.COMMIT, ObjectFormat.SHA1, named, away.world.trust(), at=away.world.now)
    return verify.judge(found, Policy(), Context(), at=away.world.now).outcome


def gone(away: Elsewhere) -> None:
    """From now on nobody listens where the authority was."""
    away.client.close()
    away.client.url = "http://localhost:1"


def optional(folder: Path, value: str = "optional") -> None:
    """A repository whose configuration says so."""
    for words in (("init", "-q", folder), ("-C", folder, "config", "notme.timestamp", value)):
        subprocess.run([peer("git"), *words], check=True)


@pytest.mark.parametrize("form", [SignatureFormat.X509, SignatureFormat.SSH])
def test_an_agent_signs_by_an_authority_elsewhere(away: Elsewhere, signer: Signer, form: SignatureFormat) -> None:
    payload = away.commit()
    made = away.sign(signer, payload, form=form)
    assert (made.warning, bool(made.token)) == ("", True)
    if form is SignatureFormat.X509:
        assert outcome(away, payload, made.armour) is Outcome.ACCEPTED


def test_one_enrolment_serves_until_shortly_before_it_ends(away: Elsewhere, signer: Signer) -> None:
    def issued() -> int:
        return int(away.server.within(lambda desk: desk.metrics.read()["issued"]))

    before = issued()
    for _ in range(3):
        away.sign(signer, away.commit())
    assert issued() == before + 1
    away.world.tick(minutes=4, seconds=16)
    away.sign(signer, away.commit())
    assert issued() == before + 2


def test_an_authority_that_is_gone_stops_signing_by_default(away: Elsewhere, signer: Signer) -> None:
    away.sign(signer, away.commit())
    gone(away)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        away.sign(signer, away.commit())


@pytest.mark.parametrize("value", ["required", "Optional", ""])
def test_only_one_word_lets_a_signature_go_without_its_time(away: Elsewhere, signer: Signer, value: str) -> None:
    optional(away.home, value)
    away.sign(signer, away.commit())
    gone(away)
    with pytest.raises(UnavailableError):
        away.sign(signer, away.commit())


def test_where_it_is_optional_the_credential_at_hand_signs_and_says_so(away: Elsewhere, signer: Signer) -> None:
    optional(away.home)
    away.sign(signer, away.commit())
    gone(away)
    payload = away.commit()
    made = away.sign(signer, payload)
    assert (made.token, made.warning) == (b"", UNSTAMPED)
    assert outcome(away, payload, made.armour) is Outcome.ACCEPTED_TIME_UNPROVEN


def test_a_credential_that_has_ended_is_not_used_whatever_is_optional(away: Elsewhere, signer: Signer) -> None:
    optional(away.home)
    away.sign(signer, away.commit())
    gone(away)
    away.world.tick(minutes=5)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        away.sign(signer, away.commit())


def test_a_refused_time_stamp_is_no_missing_one(tmp_path: Path) -> None:
    with elsewhere(tmp_path, Settings(limits=Limits(timestamp=Rate(1, 60)))) as away:
        signer = Signer(away.home, away.source)
        optional(away.home)
        away.sign(signer, away.commit())
        with pytest.raises(AuthorityError, match="429"):
            away.sign(signer, away.commit())


def test_all_requests_of_one_signature_have_one_end(away: Elsewhere, signer: Signer) -> None:
    ends: list[float] = []

    class Watched(Client):
        def fetch(self, path: str, data: bytes | None = None, content_type: str = "") -> bytes:
            ends.append(self._end)
            return Client.fetch(self, path, data, content_type)

    client = Watched(away.server.url)
    with contextlib.closing(client):
        signer.source = replace(away.source, client=client)
        began = time.monotonic()
        away.sign(signer, away.commit())
    (end,) = ends  # the time-stamp's, which comes last
    assert began < end <= began + PATIENCE_S + 1
    assert client._end == math.inf


def test_a_revoked_grant_ends_enrolment_and_the_reason_is_told(away: Elsewhere, signer: Signer) -> None:
    grant = away.granted[AGENT].id
    away.server.within(lambda desk: epochs.revoke_grant(desk.authority, grant, reason="", at=away.world.now))
    with pytest.raises(RefusedError, match=f"for {AGENT}, at {away.server.url}"):
        away.sign(signer, away.commit())


def test_nobody_signed_in_is_told_what_to_do(away: Elsewhere, signer: Signer) -> None:
    place.forget_login(away.home)
    with pytest.raises(RefusedError, match="nobody is signed in") as caught:
        away.sign(signer, away.commit())
    assert caught.value.hint == "notme-git login"


def test_a_session_that_is_over_is_not_tried(away: Elsewhere, signer: Signer) -> None:
    away.world.tick(hours=24)
    with pytest.raises(RefusedError, match="the session is over"):
        away.sign(signer, away.commit())


def test_who_signs_out_takes_the_credential_along(away: Elsewhere, signer: Signer) -> None:
    away.sign(signer, away.commit())
    place.forget_login(away.home)
    with pytest.raises(RefusedError, match="nobody is signed in"):
        away.sign(signer, away.commit())


def test_a_new_epoch_is_followed_because_the_key_before_vouches_for_it(away: Elsewhere, signer: Signer) -> None:
    away.sign(signer, away.commit())
    away.world.tick(minutes=10)
    away.server.within(lambda desk: epochs.rotate(desk.authority, away.world.now))
    payload = away.commit()
    assert outcome(away, payload, away.sign(signer, payload).armour) is Outcome.ACCEPTED
    assert len(place.read_trust(away.home).epochs) == 2


@pytest.mark.parametrize("form", [SignatureFormat.X509, SignatureFormat.SSH])
def test_a_new_epoch_is_followed_while_a_credential_of_the_one_before_is_at_hand(
    away: Elsewhere, signer: Signer, form: SignatureFormat
) -> None:
    away.sign(signer, away.commit(), form=form)
    for number in (2, 3):
        away.server.within(lambda desk: epochs.rotate(desk.authority, away.world.now))
        assert away.sign(signer, away.commit(), form=form).token
        assert len(place.read_trust(away.home).epochs) == number


def test_two_agents_of_one_human_have_a_credential_each(away: Elsewhere, signer: Signer) -> None:
    away.grant(Wish("other"))
    away.sign(signer, away.commit())
    away.sign(signer, away.commit("other"), "other")
    assert signer.held == 2


# what the home keeps


def test_first_use_pins_for_signing_and_for_no_verifier(away: Elsewhere) -> None:
    assert place.read(away.home).pinned == FIRST_USE
    with pytest.raises(UnavailableError, match="no verifier here was told to go by"):
        homes.read_trust(away.home)


def pin(away: Elsewhere) -> str:
    spki = away.world.trust().epochs[-1][1][0].key.spki_sha256.hex()
    pinning.add(away.home, away.server.url, f"sha256:{spki.upper()}")
    return spki


def test_a_person_pins_for_verifiers(away: Elsewhere) -> None:
    spki = pin(away)
    assert homes.read_trust(away.home).anchors[0].key.spki_sha256.hex() == spki
    listed = pinning.listed(away.home, away.world.now + timedelta(hours=2))
    assert [(item["use"], item["pinned"]) for item in listed] == [("verify", OUT_OF_BAND), ("enrol", FIRST_USE)]
    assert {item["ageSeconds"] for item in listed} == {7200}
    away.client.close()
    place.adopt(away.home, away.server.url, away.client)
    assert place.read(away.home).pinned == OUT_OF_BAND


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:" + "0" * 63, "md5:" + "0" * 64, "x" * 64])
def test_what_is_no_fingerprint_is_a_usage_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        pinning.add(tmp_path, "http://localhost:1", text)


def test_a_pinned_authority_verifies_beside_the_one_of_this_machine(away: Elsewhere, signer: Signer) -> None:
    pin(away)
    own = World(away.home.parent / "own", human="Bob <bob@example.net>", at=away.world.now)
    shutil.copytree(away.home / "verifier", own.home / "verifier")
    own.grant()
    payload = away.commit()
    armour = away.sign(signer, payload).armour
    assert own.judge(attach(payload, armour)).outcome is Outcome.ACCEPTED
    assert own.judge(own.signed_commit()).outcome is Outcome.ACCEPTED


def test_the_signer_and_the_verifiers_of_a_home_have_the_same_bundle(away: Elsewhere, signer: Signer) -> None:
    """They have one memory of sequences, too: what one of them learns makes the other's bundle an old one."""
    def learn_by_signing() -> None:
        away.sign(signer, away.commit())

    def learn_by_adopting() -> None:
        place.adopt(away.home, away.server.url, away.client)

    pin(away)
    for number, learn in enumerate((lambda: pin(away), learn_by_signing, learn_by_adopting), 2):
        away.server.within(lambda desk: epochs.rotate(desk.authority, away.world.now))
        learn()
        (pinned,) = homes.pinned_in(away.home)
        assert homes.read_pinned(pinned, away.home).bundle == place.read_trust(away.home).bundle
        assert len(place.read_trust(away.home).epochs) == number


def test_after_a_theft_the_new_key_that_a_person_pins_is_signed_by_too(away: Elsewhere, signer: Signer) -> None:
    pin(away)
    away.sign(signer, away.commit())
    world = away.world
    stolen = {"compromised_at": world.now, "at": world.now}
    away.server.within(lambda desk: epochs.recover(desk.authority, world.recovery_key, **stolen))
    with pytest.raises(VerificationError, match="neither its current nor its previous key"):
        pinning.update(away.home)
    pin(away)
    (pinned,) = homes.pinned_in(away.home)
    assert homes.read_pinned(pinned, away.home).bundle == place.read_trust(away.home).bundle
    assert place.read(away.home).pinned == OUT_OF_BAND
    assert [item["sequence"] for item in pinning.listed(away.home, world.now)] == [2, 2]


def test_an_older_bundle_changes_nothing(away: Elsewhere) -> None:
    pin(away)
    old = (away.home / "remote" / "bundle").read_bytes()
    away.world.tick(minutes=10)
    away.server.within(lambda desk: epochs.rotate(desk.authority, away.world.now))
    assert {item["sequence"] for item in pinning.update(away.home)} == {2}
    newest = (away.home / "remote" / "bundle").read_bytes()
    with pytest.raises(VerificationError, match="was seen before"):
        place.update(away.home / "remote", away.home, Replays(away.server.url, old))
    assert (away.home / "remote" / "bundle").read_bytes() == newest
    assert not list((away.home / "remote").glob("*.new"))


class Replays(Client):
    """Hands out an old bundle."""

    def __init__(self, url: str, old: bytes) -> None:
        super().__init__(url)
        self.old = old

    def fetch(self, *_: object) -> bytes:
        return self.old


def no_object(path: Path) -> None:
    path.write_text("[]")


def emptied(path: Path) -> None:
    path.write_text("{}")


def bytes_of_nothing(path: Path) -> None:
    path.write_bytes(b"\xff\x00")


def another_kind(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", ["authority.json", "session", "anchors.pem", "bundle"])
@pytest.mark.parametrize("damage", [no_object, emptied, bytes_of_nothing, another_kind])
def test_what_is_damaged_in_the_home_is_an_error(
    one: Elsewhere, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damaged = replace(one, home=tmp_path / "damaged")
    shutil.copytree(one.home, damaged.home)
    damage(damaged.home / "remote" / name)
    with pytest.raises(Error):
        damaged.sign(Signer(damaged.home, damaged.source), damaged.commit())


def test_nothing_in_the_home_is_for_others_to_read(away: Elsewhere) -> None:
    pin(away)
    found = [path for path in away.home.rglob("*") if path.is_file() and "sequences" not in path.parts]
    assert {path.stat().st_mode & 0o077 for path in found} == {0}
    assert (away.home / "remote").stat().st_mode & 0o077 == 0
    holding = [path for path in found if away.session in path.read_bytes().decode("latin-1")]
    assert holding == [away.home / "remote" / "session"]


def test_a_url_without_tls_in_the_record_is_not_used(away: Elsewhere) -> None:
    file = away.home / "remote" / "authority.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "url": "http://authority.example.com"}))
    with pytest.raises(UsageError, match="without TLS"):
        place.read(away.home)


def test_a_login_is_shown_without_its_secret() -> None:
    assert "secret" not in repr(Login("secret", 0, "Alice", "alice@example.org"))
