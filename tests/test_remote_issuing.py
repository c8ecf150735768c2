"""An orchestrator's issuing CA from an authority over HTTP, and what it mints when that cannot be reached."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from attest import verify
from attest.errors import Error, Reason, RefusedError, Step, UnavailableError
from attest.gitobject import SignatureFormat
from attest.profile import Profile
from attest.types import Grant
from notme_git import sign
from notme_git.acting import Acting
from notme_git.authority import accounts, agents, epochs
from notme_git.authority.agents import Wish
from notme_git.authority.http.desk import Desk
from notme_git.daemon.credential import Signer
from notme_git.remote import issuing, place
from notme_git.remote.client import Client
from notme_git.remote.enrolment import BySession
from notme_git.remote.place import Login
from notme_git.remote.source import RemoteSource
from tests.forge import commit_payload
from tests.served import Served, served
from tests.world import World

NAMES = ("orchestrator/a", "orchestrator/b")


@dataclass
class Away:
    """A machine whose agents enrol with a served authority, and the one who signed in on it."""

    server: Served
    home: Path
    client: Client
    grant: Grant
    session: str

    @property
    def world(self) -> World:
        return self.server.world

    def source(self) -> RemoteSource:
        return RemoteSource(self.home, place.read(self.home), self.client)

    def gone(self) -> None:
        """From now on the authority cannot be reached: its name leads to a port where nobody listens."""
        self.client.close()
        self.client.url = "http://localhost:1"


@contextlib.contextmanager
def away(folder: Path) -> Iterator[Away]:
    with served(World(folder)) as server:
        account = server.account(*accounts.ADMIN)
        session = server.cookie(account)

        def add(desk: Desk) -> Grant:
            with desk.authority.store.transaction(durable=True):
                wish = Wish("orchestrator", delegate=True)
                return agents.add(
                    desk.records, desk.settings.trust_domain, desk.authority.id, account, wish, server.world.now
                )

        home, client = folder / "away", Client(server.url)
        home.mkdir()
        place.adopt(home, server.url, client)
        ends = server.world.now + timedelta(days=2)
        place.write_login(home, Login(session, int(ends.timestamp()), "Alice Example", "alice@example.org"))
        with contextlib.closing(client):
            yield Away(server, home, client, server.within(add), session)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Away]:
    with away(tmp_path) as made:
        yield made


def test_one_issuing_ca_serves_all_agents_of_an_orchestrator(here: Away) -> None:
    source = here.source()
    made = [source.enroll(Acting(name), sign.SCOPE, here.world.now) for name in NAMES]
    assert made[0].chain.issuing is made[1].chain.issuing
    assert [each.chain.leaf.uri for each in made] == [f"{here.grant.actor.id}/{name[-1]}" for name in NAMES]
    with contextlib.closing(sqlite3.connect(here.world.home / "authority" / "authority.db")) as database:
        assert database.execute("SELECT count(*) FROM issued").fetchone() == (1,)


@pytest.mark.parametrize("held", [True, False], ids=["one at hand", "none yet"])
def test_a_new_epoch_has_another_issuing_ca_and_agents_go_on_signing(here: Away, held: bool) -> None:
    signer, address = Signer(here.home, here.source()), here.grant.actor.email.replace("@", "+a@")
    parsed = sign.parse(commit_payload(committer=f"a <{address}>", at=here.world.now))

    def signed() -> bytes:
        made = signer.sign(
            Acting(NAMES[0]), parsed, form=SignatureFormat.X509, replaying=False, folder="/", at=here.world.now
        )
        return made.token

    assert not held or signed()
    here.server.within(lambda desk: epochs.rotate(desk.authority, here.world.now))
    assert signed()


def test_agents_are_minted_for_and_sign_while_the_authority_cannot_be_reached(here: Away) -> None:
    source = here.source()
    signer = Signer(here.home, source)
    signer.credential(Acting(NAMES[0]), sign.SCOPE, here.world.now)
    here.gone()
    here.world.tick(hours=20)
    address = here.grant.actor.email.replace("@", "+b@")
    parsed = sign.parse(commit_payload(committer=f"b <{address}>", at=here.world.now))
    credential = signer.credential(Acting(NAMES[1]), sign.SCOPE, here.world.now)
    with pytest.raises(UnavailableError):
        sign.sign_payload(
            credential, source.trust(), parsed, form=SignatureFormat.X509, replaying=False, at=here.world.now
        )
    signed = sign.sign_payload(
        credential,
        source.trust(),
        parsed,
        form=SignatureFormat.X509,
        replaying=False,
        unstamped=lambda: True,
        at=here.world.now,
    )
    assert signed.warning == sign.UNSTAMPED
    found = verify.examine_signature(signed.armour, parsed.payload, here.world.trust(), at=here.world.now, git=True)
    assert found.finding(Step.CHAIN).reason == ""
    assert found.finding(Step.TIME).reason == Reason.TIME_UNPROVEN


def test_a_new_epoch_is_noticed_once_the_bundle_is_old(here: Away) -> None:
    source = here.source()
    first = source.enroll(Acting(NAMES[0]), sign.SCOPE, here.world.now)
    here.world.tick(hours=2)
    here.server.within(lambda desk: epochs.rotate(desk.authority, here.world.now))
    second = source.enroll(Acting(NAMES[0]), sign.SCOPE, here.world.now)
    assert (first.chain.leaf.epoch, second.chain.leaf.epoch) == (1, 2)


def test_nothing_is_minted_after_the_keys_were_forgotten_without_the_authority(here: Away) -> None:
    source = here.source()
    source.enroll(Acting(NAMES[0]), sign.SCOPE, here.world.now)
    here.gone()
    source.forget()
    with pytest.raises(UnavailableError):
        source.enroll(Acting(NAMES[0]), sign.SCOPE, here.world.now)


REFUSED: dict[str, tuple[Acting, str]] = {
    "an orchestrator without a grant": (Acting("nobody/a"), "refused \\(403\\)"),
    "profile interop": (Acting(NAMES[0], Profile.INTEROP), "no issuing CAs"),
}


@pytest.mark.parametrize(("who", "text"), REFUSED.values(), ids=REFUSED)
def test_nothing_is_minted_for(here: Away, who: Acting, text: str) -> None:
    with pytest.raises(RefusedError, match=text):
        here.source().enroll(who, sign.SCOPE, here.world.now)


class Lying(Client):
    """Changes the answer about the CA."""

    change: Callable[[dict[str, Any]], dict[str, Any]]

    def post(self, path: str, *rest: Any) -> dict[str, Any]:
        return self.change(super().post(path, *rest))


LIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another identity": lambda answer: {**answer, "identity": "wimse://x/agent/y"},
    "more scopes": lambda answer: {**answer, "scopes": [*answer["scopes"], "authorityManage"]},
    "another end": lambda answer: {**answer, "expires_at": answer["expires_at"] + 1},
    "another binding": lambda answer: {**answer, "binding": "00" * 32},
    "no certificate": lambda answer: {**answer, "certificate": None},
    "two certificates": lambda answer: {**answer, "certificate": answer["certificate"] * 2},
    "no identity": lambda answer: {name: each for name, each in answer.items() if name != "identity"},
}


def test_an_answer_that_says_something_else_is_not_used(here: Away) -> None:
    for name, change in LIES.items():
        client = Lying(here.server.url)
        client.change = change
        with contextlib.closing(client), pytest.raises(Error, match="not asked for") as caught:
            issuing.enroll(
                client,
                BySession(here.session),
                agent="orchestrator",
                profile=Profile.NOTME,
                anchors=place.read_trust(here.home).anchors,
            )
        assert caught.value.hint, name


def test_an_answer_under_another_anchor_is_not_used(here: Away) -> None:
    with pytest.raises(RefusedError, match=r"not asked for.*no pinned anchor"):
        issuing.enroll(
            here.client,
            BySession(here.session),
            agent="orchestrator",
            profile=Profile.NOTME,
            anchors=here.world.other.trust().anchors,
        )
