"""`notme-git broker-serve`: the process of a broker, beside the session that it serves, and the folder it offers.

    <runtime folder>/broker-<8 digits of the session's id>/
        sock            the capability
        notme-x509      the program that git calls in the sandbox; needs Python there and nothing else
        notme-ssh       the same
        AGENT.pub       user.signingkey in SSH format
        env             NAME=VALUE lines for docker --env-file

That folder is all that has to be visible in the sandbox, at the same path or at another (`--at`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attest import sshwire
from attest.errors import Error, UnavailableError, as_error, exit_status
from notme_git import gitconfig, shimfile, wanted
from notme_git.config import Config
from notme_git.daemon import hardening, place
from notme_git.daemon.credential import Signer
from notme_git.daemon.main import detach, tell
from notme_git.daemon.server import Server
from notme_git.remote import ambient, source
from notme_git.session import record
from notme_git.session.broker import Broker, BrokeredSigner
from notme_git.session.record import Session
from notme_git.session.view import View

READY_S = 15.0
SCRATCH = "view-"


@dataclass(frozen=True, slots=True)
class Offer:
    """The folder of a broker, and the path at which the sandbox will see it."""

    folder: Path
    inside: Path

    @property
    def socket(self) -> str:
        """As the sandbox names it."""
        return str(self.inside / "sock")

    def values(self, agent: str, identity: tuple[str, str], form: str) -> dict[str, str]:
        """git's configuration inside (`wanted`)."""
        key = str(self.inside / f"{agent}.pub") if form == "ssh" else ""
        found = wanted.for_agent(Path("/"), agent, identity, form=form, key=key)
        for each, name in wanted.PROGRAMS.items():
            if name in found:
                found[name] = str(self.inside / ("notme-ssh" if each == "ssh" else "notme-x509"))
        return found


def prepare(home: Path, session: Session, agent: str, environ: Mapping[str, str], inside: Path | None) -> Offer:
    """Make the folder and what lies in it beside the socket. Nothing in it is secret."""
    folder = place.runtime_folder(home, environ) / f"broker-{session.id[:8]}"
    with gitconfig.file_errors(folder):
        folder.mkdir(mode=0o700)
    for name in ("notme-x509", "notme-ssh"):
        gitconfig.replace_file(folder / name, shimfile.sandbox_program(), mode=shimfile.MODE)
    with source.opened(home) as opening:
        root = opening.trust().epochs[-1][1][0].key
    line = sshwire.line(sshwire.ED25519, sshwire.ed25519_key(root.raw), wanted.key_name(agent, "notme"))
    gitconfig.replace_file(folder / f"{agent}.pub", line, mode=0o644)
    return Offer(folder, inside or folder)


@contextlib.contextmanager
def running(
    config: Config, session: Session, offer: Offer, repository: Path, uids: Sequence[int]
) -> Iterator[subprocess.Popen[bytes]]:
    """The broker's process, from when it listens until the end of the block, when socket and folder go away."""
    reader, writer = os.pipe()
    words = ["broker-serve", session.id, str(repository), str(offer.folder), ",".join(map(str, uids))]
    command = [config.python, "-I", "-m", "notme_git", *words, "--ready", str(writer)]
    environ = {**config.environ, "NOTME_HOME": str(config.home)}
    null = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environ, stdin=null, stdout=null, stderr=null, pass_fds=(writer,))
    try:
        os.close(writer)
        with open(reader, "rb") as said:
            word = said.read(4096)
        if word != b"ready":
            reason = word.decode("utf-8", "replace") or "it ended at once"
            raise UnavailableError(f"the broker could not be started: {reason}")
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(READY_S)
        shutil.rmtree(offer.folder, ignore_errors=True)


def serve(words: Sequence[str]) -> int:
    """The process itself: session, repository, folder, user ids, and where to say that we listen."""
    session_id, repository, folder, uids, ready = *words[:4], int(words[-1])
    detach(ready)
    try:
        config = Config.read()
        os.umask(0o077)
        hardening.harden()
        ambient.keep(os.environ)
        with source.opened(config.home) as opening, _scratch(config.home, session_id) as scratch:
            session = record.load(config.home, session_id)
            view = View.open(Path(repository), scratch, config.environ)
            signer = Signer(config.home, opening)
            _loop(signer, session, view, Path(folder), frozenset(map(int, uids.split(","))), ready)
    except Exception as exception:
        error = as_error(exception)
        tell(ready, error.message.encode())
        return exit_status(error)
    return 0


@contextlib.contextmanager
def _scratch(home: Path, session_id: str) -> Iterator[Path]:
    """A folder of ours for the view, in the home: what lies in the temporary folder may be a sandbox's to change."""
    folder = place.folder(home)
    with gitconfig.file_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget_lost(home)
        with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{session_id}-", dir=folder) as made:
            yield Path(made)


def _forget_lost(home: Path) -> None:
    """Remove what brokers left behind that were killed."""
    for folder in place.folder(home).glob(f"{SCRATCH}*"):
        try:
            lost = record.state(record.load(home, folder.name.removeprefix(SCRATCH).partition("-")[0])) != "running"
        except Error:
            lost = True
        if lost:
            shutil.rmtree(folder, ignore_errors=True)


def _loop(
    signer: Signer, session: Session, view: View, folder: Path, uids: frozenset[int], ready: int
) -> None:
    broker = Broker(BrokeredSigner(signer, session, view), view.work, uids)
    server = Server(idle_s=float("inf"), sweep=lambda: _sweep(server, signer, session))
    listener = place.listen(folder / "sock")
    if uids - {os.getuid()}:
        os.chmod(folder / "sock", 0o666)  # the folder is ours alone; a container sees the socket as it is mounted
        os.chmod(folder, 0o711)
    try:
        server.add(listener, broker)
        server.run(lambda: tell(ready, b"ready"))
    finally:
        signer.drop_all()
        listener.close()
        shutil.rmtree(folder, ignore_errors=True)  # whoever started us may have been killed


def _sweep(server: Server, signer: Signer, session: Session) -> None:
    """The capability ends with the process that leads the session, however that one ends."""
    signer.drop_stale()
    server.stopping = server.stopping or record.state(session) != "running"
