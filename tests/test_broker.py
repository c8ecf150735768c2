"""What a broker decides by itself, before the authority is asked. The whole of it is in `compat/`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from attest.errors import RefusedError
from attest.gitobject import SignatureFormat
from attest.types import Assurance
from notme_git import sign
from notme_git.daemon.credential import Signer
from notme_git.daemon.protocol import Request
from notme_git.session import broker, record
from notme_git.session.broker import BrokeredSigner
from notme_git.session.view import Place, View
from notme_git.sign import Signed
from tests.world import AGENT, World

ASKED = Request("gpgsm", ("-bsau", f"notme:{AGENT}"))


@dataclass
class Brokering:
    """A broker's signer over a world's authority, with a view of a folder without any object."""

    world: World
    signer: BrokeredSigner

    @property
    def folder(self) -> Path:
        return self.signer.view.folder.path

    def sign(self, payload: bytes | None = None, *, replaying: bool = False) -> Signed:
        who = self.signer.decide(f"notme:{AGENT}", ASKED, 1)
        assert who is not None
        parsed = sign.parse(payload or self.world.commit())
        form, at = SignatureFormat.X509, self.world.now
        return self.signer.sign(who, parsed, form=form, replaying=replaying, folder="/", at=at)

    def foreign(self) -> bytes:
        """A commit whose author is a stranger, as a rebase may keep."""
        return self.world.commit(author="Bob <bob@example.org>")


@pytest.fixture
def brokering(tmp_path: Path) -> Iterator[Brokering]:
    world = World(tmp_path)
    world.grant()
    (tmp_path / "git" / "objects").mkdir(parents=True)
    with world.opened() as authority:
        grant = authority.store.grants()[-1].grant
        session = record.begin(world.home, grant, task=b"", command="x", broker=True, at=world.now)
        folder = Place.of(tmp_path / "git")
        view = View("git", tmp_path, folder, folder.path / "objects", (), tmp_path, {})
        yield Brokering(world, BrokeredSigner(Signer.of(world.home, authority), session, view))


def test_it_signs_so_often_and_no_more(brokering: Brokering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "MAX_SIGNATURES", 3)
    for _ in range(3):
        brokering.sign()
    with pytest.raises(RefusedError, match="3 signatures") as caught:
        brokering.sign()
    assert caught.value.hint == "begin a new session"


def test_what_separates_the_caller_is_what_the_certificate_says(brokering: Brokering) -> None:
    for assurance in (Assurance.SAME_USER, Assurance.SANDBOXED_BROKER):
        brokering.signer = replace(brokering.signer, assurance=assurance)
        chain = brokering.sign().examination.chain
        assert chain is not None
        assert chain.leaf.claims is not None
        assert chain.leaf.claims.assurance is assurance


def test_whether_git_replays_is_seen_and_not_believed(brokering: Brokering) -> None:
    with pytest.raises(RefusedError, match="<bob@"):
        brokering.sign(brokering.foreign(), replaying=True)
    (brokering.folder / "rebase-merge").mkdir()
    brokering.sign(brokering.foreign(), replaying=False)


def test_a_link_says_the_same_whether_it_leads_somewhere_or_not(brokering: Brokering, tmp_path: Path) -> None:
    link = brokering.folder / "rebase-merge"
    for place in (tmp_path, tmp_path / "gone"):
        link.symlink_to(place)
        brokering.sign(brokering.foreign())
        link.unlink()


def test_another_git_folder_in_the_place_of_the_first_is_not_looked_at(brokering: Brokering, tmp_path: Path) -> None:
    (tmp_path / "host" / "rebase-merge").mkdir(parents=True)
    shutil.move(brokering.folder, tmp_path / "moved")
    brokering.folder.symlink_to(tmp_path / "host")
    with pytest.raises(RefusedError, match="is not the folder that it was"):
        brokering.sign(brokering.foreign())
