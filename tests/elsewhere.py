"""A second home whose agents enrol with a served authority, as `login` and `setup --authority` leave it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attest.gitobject import SignatureFormat
from attest.types import Grant
from notme_git import sign
from notme_git.acting import Acting
from notme_git.authority import accounts, agents
from notme_git.authority.accounts import Account
from notme_git.authority.agents import Wish
from notme_git.authority.http.desk import Desk
from notme_git.authority.settings import Settings
from notme_git.daemon.credential import Signer
from notme_git.remote import place
from notme_git.remote.client import Client
from notme_git.remote.place import Login
from notme_git.remote.source import RemoteSource
from notme_git.sign import Signed
from tests.forge import commit_payload
from tests.served import Served, served
from tests.world import AGENT, HUMAN, World


@dataclass(slots=True)
class Elsewhere:
    """The home, one client of the authority, and Alice, who signed in and granted her agent."""

    server: Served
    home: Path
    client: Client
    account: Account
    session: str
    granted: dict[str, Grant] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.server.world

    @property
    def source(self) -> RemoteSource:
        """A new one, as a daemon that starts has it."""
        return RemoteSource(self.home, place.read(self.home), self.client, ambient=lambda: None)

    def grant(self, wish: Wish) -> Grant:
        """Let an agent act for Alice."""

        def add(desk: Desk) -> Grant:
            with desk.authority.store.transaction(durable=True):
                domain, at = desk.settings.trust_domain, self.world.now
                return agents.add(desk.records, domain, desk.authority.id, self.account, wish, at)

        made: Grant = self.server.within(add)
        self.granted[wish.agent] = made
        return made

    def commit(self, agent: str = AGENT, who: str = "") -> bytes:
        """The payload of a commit made now by the agent."""
        committer = who or f"{agent} <{self.granted[agent].actor.email}>"
        return commit_payload(committer=committer, author=committer, at=self.world.now)

    def sign(
        self, signer: Signer, payload: bytes, agent: str = AGENT, form: SignatureFormat = SignatureFormat.X509
    ) -> Signed:
        """As the daemon signs."""
        parsed, at = sign.parse(payload), self.world.now
        return signer.sign(Acting(agent), parsed, form=form, replaying=False, folder=str(self.home), at=at)


class Today(World):
    """A world whose clock is this machine's, for real programs that take part in it."""

    def __init__(self, folder: Path, *, human: str = HUMAN) -> None:
        super().__init__(folder, human=human, at=datetime.now(UTC))

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @now.setter
    def now(self, _at: datetime) -> None:
        """It goes on by itself."""


@contextlib.contextmanager
def elsewhere(folder: Path, settings: Settings | None = None, world: World | None = None) -> Iterator[Elsewhere]:
    """Served until the end of the block."""
    with served(world or World(folder), settings) as server:
        account, home = server.account(*accounts.ADMIN), folder / "away"
        home.mkdir(mode=0o700)
        client = Client(server.url)
        with contextlib.closing(client):
            place.adopt(home, server.url, client)
            made = Elsewhere(server, home, client, account, server.cookie(account))
            made.grant(Wish(AGENT))
            ends = int((server.world.now + timedelta(hours=24)).timestamp())
            place.write_login(home, Login(made.session, ends, account.principal.display, account.principal.email))
            yield made
