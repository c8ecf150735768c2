"""The record of a session, and the list of what was signed in it.

    <home>/sessions/<id>.json     who acts under which grant, on what task, and the process that leads it
    <home>/sessions/<id>.log      one JSON line a signature, written by whoever signed
    <home>/sessions/live/<id>     present while the leading process runs

The environment of a process says which session it claims; the kernel says whether it belongs to it. Only
the second counts.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from attest.errors import Error, RefusedError, UnavailableError
from attest.instants import rfc3339
from attest.types import Grant
from notme_git import gitconfig
from notme_git.session import processes
from notme_git.session.processes import Process

FOLDER = "sessions"
LIVE = "live"
MAX_RECORD_BYTES = 64 * 1024
MAX_LOG_BYTES = 64 * 1024 * 1024
"""Some 200,000 signatures; a session that goes on longer keeps signing, and its list ends there."""

UNWRITABLE = "begin it outside of the sandbox, where the home can be written to, or name another home in NOTME_HOME"

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command as an agent. `pid` and `pid_began` name the process whose descendants belong to it.

    Times are unix seconds, `began_us` the microseconds of the first; `ended_at` is 0 while it runs. `task_digest` is
    SHA-256 in hex, empty without a task.
    """

    id: str
    agent: str
    grant_id: str
    task_digest: str
    command: str
    pid: int
    pid_began: str
    began_at: int
    began_us: int = 0
    ended_at: int = 0
    broker: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One signature that was made in a session. `object_id` is empty for a push certificate."""

    at: str
    kind: str
    object_id: str
    format: str
    payload_sha256: str
    folder: str


def begin(home: Path, grant: Grant, *, task: bytes, command: str, broker: bool, at: datetime) -> Session:
    """Record a session that this process leads."""
    own = processes.find(os.getpid())
    session = Session(
        id=secrets.token_hex(16),
        agent=grant.actor.name,
        grant_id=grant.id,
        task_digest=hashlib.sha256(task).hexdigest() if task else "",
        command=command,
        pid=os.getpid(),
        pid_began=own.began if own else "",
        began_at=int(at.timestamp()),
        began_us=at.microsecond,
        broker=broker,
    )
    try:
        _forget_lost(home)
        with gitconfig.file_errors(home / FOLDER):
            for place in (home / FOLDER, home / FOLDER / LIVE):
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(home, session)
        with gitconfig.file_errors(home / FOLDER):
            (home / FOLDER / LIVE / session.id).touch(mode=0o600)
    except UnavailableError as error:
        raise UnavailableError(error.message, hint=UNWRITABLE) from None
    return session


def end(home: Path, session: Session, at: datetime) -> Session:
    """Record that it ended."""
    ended = replace(session, ended_at=int(at.timestamp()))
    _write(home, ended)
    with contextlib.suppress(OSError):
        (home / FOLDER / LIVE / session.id).unlink()
    return ended


def load(home: Path, session_id: str) -> Session:
    """The session of that id; `RefusedError` for one never begun here, `UnavailableError` for a broken record."""
    path = home / FOLDER / f"{session_id}.json"
    hint = "begin one: notme-git run -- COMMAND"
    unknown = RefusedError(f"there is no session {session_id[:64]!r} in {home}", hint=hint)
    if not _ID.fullmatch(session_id):
        raise unknown
    try:
        with open(path, "rb") as file:
            return Session(**json.loads(file.read(MAX_RECORD_BYTES)))
    except FileNotFoundError:
        raise unknown from None
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise UnavailableError(f"{path} is not a record of a session", hint="remove it") from None


def every(home: Path) -> list[Session]:
    """All sessions, oldest first."""
    folder = home / FOLDER
    names = sorted(p.stem for p in folder.glob("*.json")) if folder.is_dir() else []
    return sorted((load(home, name) for name in names if _ID.fullmatch(name)), key=lambda s: (s.began_at, s.began_us))


def live(home: Path) -> list[str]:
    """Ids of the sessions on record that have not ended, those that were killed included."""
    folder = f"{home}/{FOLDER}"
    try:
        names = [name for name in os.listdir(f"{folder}/{LIVE}") if _ID.fullmatch(name)]
    except OSError:
        return []
    return [name for name in names if os.path.lexists(f"{folder}/{name}.json")]


def find(home: Path, claimed: str, pid: int) -> Session | None:
    """The session that the process `pid` belongs to, the innermost of several; None for none.

    `claimed` is what its environment says, may be empty. Raises `RefusedError` where the process claims a session
    that it does not belong to: a copied environment gives nothing. So it does where the process belongs to a session
    with a broker, which signs elsewhere, and while sessions run, where it cannot be seen that it belongs to none.
    """
    candidates = live(home)
    if claimed and claimed not in candidates:
        load(home, claimed)
        raise RefusedError(f"the session {claimed} has ended", hint="begin a new one: notme-git run -- COMMAND")
    if not candidates:
        return None
    sessions = (_load_candidate(home, name, claimed) for name in candidates)
    leaders = {(session.pid, session.pid_began): session for session in sessions if session is not None}
    around = _among(leaders, processes.lineage(pid)) or _among(leaders, _whole_lineage(pid))
    if any(session.broker for session in around):
        raise RefusedError(
            "this process belongs to a session that signs through its broker, and to nobody else",
            hint="leave NOTME_BROKER and NOTME_SOCKET as notme-git run --broker set them",
        )
    own = around[0] if around else None
    if claimed and (own is None or own.id != claimed):
        raise RefusedError(
            f"this process does not belong to the session {claimed} that its environment names",
            hint="unset NOTME_SESSION and NOTME_SOCKET, or begin a session of its own: notme-git run -- COMMAND",
        )
    return own


def _among(leaders: Mapping[tuple[int, str], Session], line: Iterable[Process]) -> list[Session]:
    return [leaders[p.pid, p.began] for p in line if (p.pid, p.began) in leaders]


def _whole_lineage(pid: int) -> list[Process]:
    """`RefusedError` without one: a process of a session's could have lent its connection, or be out of sight."""
    line = processes.whole_lineage(pid)
    if not line:
        raise RefusedError(
            f"while sessions run, only a process whose ancestors can be seen is signed for, and {pid} is none",
            hint="ask from a process that waits for the answer; notme-git sessions lists what runs",
        )
    return line


def _load_candidate(home: Path, name: str, claimed: str) -> Session | None:
    """A record that cannot be read keeps those from signing who claim it, and nobody else."""
    try:
        return load(home, name)
    except Error:
        if name == claimed:
            raise
        return None


def _forget_lost(home: Path) -> None:
    """Take away the marks of sessions whose leader was killed: every signature would look at them."""
    for name in live(home):
        with contextlib.suppress(Error, OSError):
            if state(load(home, name)) == "lost":
                (home / FOLDER / LIVE / name).unlink()


def note(home: Path, session: Session, entry: Entry) -> None:
    """Append to the list of what was signed; one line in one write, so that several writers do not mix."""
    path = home / FOLDER / f"{session.id}.log"
    line = json.dumps(asdict(entry)).encode() + b"\n"
    with gitconfig.file_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def entries(home: Path, session: Session) -> Iterator[Entry]:
    """What was signed in it, in order. A last line that a killed writer left unfinished is passed over."""
    path = home / FOLDER / f"{session.id}.log"
    try:
        with open(path, "rb") as file:
            lines = file.read(MAX_LOG_BYTES).split(b"\n")
    except FileNotFoundError:
        return
    for line in lines:
        with contextlib.suppress(ValueError, TypeError):
            yield Entry(**json.loads(line))


def data(home: Path, session: Session) -> dict[str, Any]:
    """For `--json`."""
    return {
        "id": session.id,
        "agent": session.agent,
        "grant": session.grant_id,
        "taskSha256": session.task_digest or None,
        "command": session.command,
        "broker": session.broker,
        "beganAt": rfc3339(session.began_at),
        "endedAt": rfc3339(session.ended_at) if session.ended_at else None,
        "state": state(session),
        "signed": [
            {
                "at": entry.at,
                "kind": entry.kind,
                "object": entry.object_id or None,
                "format": entry.format,
                "payloadSha256": entry.payload_sha256,
            }
            for entry in entries(home, session)
        ],
    }


def state(session: Session) -> str:
    """`ended`, `running`, or `lost` where its process is gone without having said so."""
    if session.ended_at:
        return "ended"
    found = processes.find(session.pid)
    return "running" if found is not None and found.began == session.pid_began else "lost"


def _write(home: Path, session: Session) -> None:
    path = home / FOLDER / f"{session.id}.json"
    gitconfig.replace_file(path, json.dumps(asdict(session), indent=1).encode() + b"\n", mode=0o600)
