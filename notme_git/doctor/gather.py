"""Looks at everything once. Nothing is written, no key is shown, and no daemon is started."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from attest.errors import RefusedError, UnavailableError, UsageError
from notme_git import __version__, wanted
from notme_git.daemon.client import BROKER, SOCKET
from notme_git.doctor import look_authority, look_daemon, look_files, look_git, look_records, look_remote, look_tsa
from notme_git.doctor.facts import Facts, Git, Session, Ssh
from notme_git.remote import place
from notme_git.session import record
from notme_git.whoami import SESSION


def gather(home: Path, environ: Mapping[str, str], *, directory: Path, python: str, pid: int, at: datetime) -> Facts:
    """The facts about git in `directory` and about `home`. `python` is what the shims are compared with.

    Raises `UnavailableError` where git is missing or cannot read its configuration, `UsageError` for no folder.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory} is no folder", hint="name a repository")
    git = look_git.look(environ, directory)
    key = look_files.key(git, environ, directory)
    if place.exists(home):
        authority, ssh = look_remote.look(home, environ, at), Ssh()
    else:
        authority, ssh = look_authority.look(home, git, key, environ, directory)
    daemon = look_daemon.look(home, environ, version=__version__)
    return Facts(
        home=home,
        environ=environ,
        at=at,
        git=git,
        program=look_files.program(git, environ, directory),
        programs_gone=_gone(git, environ, directory),
        shims=look_files.shims(home, python),
        key=key,
        authority=authority,
        ssh=ssh,
        daemon=daemon,
        session=_session(home, environ, pid),
        tsa=look_tsa.look(home, environ, directory),
        records=look_records.look(home, environ, directory),
    )


def _gone(git: Git, environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Remembered programs that git could not run any more."""
    remembered = {key: git.value(key) for key in wanted.PREVIOUS.values()}
    return {
        key: name
        for key, name in remembered.items()
        if name and look_files.found(name, environ, directory) is None
    }


def _session(home: Path, environ: Mapping[str, str], pid: int) -> Session:
    claimed, socket = environ.get(SESSION, ""), environ.get(SOCKET, "")
    problem = ""
    if claimed and not environ.get(BROKER):  # inside a sandbox the record is not there to be read
        try:
            record.find(home, claimed, pid)
        except (RefusedError, UnavailableError) as error:
            problem = error.message
    return Session(problem, not socket or look_daemon.answers(socket))
