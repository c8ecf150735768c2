"""What can be said about who acts here, before anything is signed.

Three things that are easily taken for one: what the environment claims (`notme_git.agents`), what the authority in
the home would grant to the one claimed, and what git is configured to sign with in this directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attest.errors import ACCEPTED, REJECTED, RefusedError
from attest.instants import rfc3339
from attest.profile import PAYLOAD_UNCHECKED
from attest.report.text import printable
from attest.types import Assurance, Grant, Principal
from notme_git import agents
from notme_git.agents import Detection
from notme_git.authority import embedded, grants
from notme_git.authority.store import StoredGrant
from notme_git.daemon.agent_setting import CURRENT
from notme_git.doctor.facts import agent_of, is_on
from notme_git.gitconfig import GitConfig
from notme_git.remote import ambient, place
from notme_git.remote.place import Remote

SCOPE = "sign:git"
SESSION = "NOTME_SESSION"
"""Set by `notme-git run` for what it starts."""

WORTH = "a claim: any process of this user can set or unset it; it selects among grants and gives nothing"

GIT_KEYS = ("gpg.format", "user.signingkey", "commit.gpgsign")

MAX_SHOWN = 256
"""Characters of a foreign value; a session's id and a key's name are shorter."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The answer of `notme-git whoami`. `reason` and `remedy` say why there is no `grant`; empty where there is.

    `configured`: the agent as which git here signs every commit, whoever acts. `remote`: the authority elsewhere that
    agents here enrol with, None where it is this machine's.
    """

    detection: Detection
    configured: str | None
    session: str | None
    authority: str | None
    human: Principal | None
    grant: Grant | None
    reason: str
    remedy: str
    git: Mapping[str, str | None]
    remote: Remote | None = None

    @property
    def exit_status(self) -> int:
        """1 where the marks contradict each other; that nobody acts is an answer as good as any."""
        return REJECTED if self.detection.problem else ACCEPTED

    @property
    def assurance(self) -> Assurance | None:
        """What a certificate would say of the distance between agent and human; the embedded authority has none."""
        return Assurance.SAME_USER if self.grant else None


def look(home: Path, environ: Mapping[str, str], *, at: datetime, directory: Path = Path()) -> Identity:
    """Who acts in `directory`, by `environ` and by the authority in `home`, which need not be there.

    Raises `UnavailableError` where git or the authority's database cannot be read.
    """
    found = agents.detect(environ)
    configured = GitConfig.find(environ).in_force(GIT_KEYS, directory)
    authority: str | None = None
    human: Principal | None = None
    stored: list[StoredGrant] | None = None
    remote = place.read(home) if place.exists(home) else None
    if remote is not None:
        authority = remote.authority
    elif embedded.exists(home):
        with embedded.opened(home) as opened:
            authority, human, stored = opened.id, opened.human, opened.store.grants()
    signer, scope = _configured(configured, home)
    if remote is None:
        grant, reason, remedy = _granted(found, signer, scope, home, stored, at)
    else:
        grant, reason, remedy = None, *_elsewhere(found, signer, home, remote, environ, at)
    return Identity(
        detection=found,
        configured=signer,
        session=_shown(environ.get(SESSION, "")) or None,
        authority=authority,
        human=human,
        grant=grant,
        reason=reason,
        remedy=remedy,
        git={key: _shown(values[-1]) if values else None for key, values in configured.items()},
        remote=remote,
    )


def data(who: Identity) -> dict[str, Any]:
    """For programs. Of marks only the names are told: their values may be ids of sessions elsewhere."""
    found, grant, human = who.detection, who.grant, who.human
    return {
        "agent": found.agent,
        "declared": found.declared,
        "marks": list(found.marks),
        "candidates": [{"agent": c.agent, "marks": list(c.marks)} for c in found.candidates],
        "weakMarks": list(found.weak),
        "configured": who.configured,
        "runner": found.runner,
        "worth": WORTH,
        "session": who.session,
        "authority": who.authority,
        "authorityUrl": who.remote.url if who.remote else None,
        "pinned": who.remote.pinned if who.remote else None,
        "human": None if human is None else _person_data(human),
        "grant": None if grant is None else _grant_data(grant),
        "assurance": None if who.assurance is None else who.assurance.value,
        "reason": who.reason or None,
        "remedy": who.remedy or None,
        "git": {"format": who.git["gpg.format"], "signingKey": who.git["user.signingkey"],
                "signsCommits": who.git["commit.gpgsign"]},
    }  # fmt: skip


def lines(who: Identity) -> Iterator[str]:
    """For people: a word, and what there is to say about it."""
    for word, text in _entries(who):
        yield printable(f"{word:<10} {text}")


def _configured(values: Mapping[str, Sequence[str]], home: Path) -> tuple[str | None, str]:
    """The agent that `user.signingkey` names where every commit is signed, and the scope that takes."""
    key = values["user.signingkey"][-1] if values["user.signingkey"] else ""
    if not values["commit.gpgsign"] or not is_on(values["commit.gpgsign"][-1]):
        return None, SCOPE
    return agent_of(key, home) or None, PAYLOAD_UNCHECKED if Path(key).parent.name == CURRENT else SCOPE


def _granted(
    found: Detection, configured: str | None, scope: str, home: Path, stored: Iterable[StoredGrant] | None, at: datetime
) -> tuple[Grant | None, str, str]:
    """The grant that would be used, or why none is and what to do about it."""
    if found.problem:
        return None, found.problem, found.remedy
    agent = found.agent or configured
    if agent is None:
        return None, "no agent was detected: git goes by what is configured here", ""
    if stored is None:
        return None, f"there is no authority in {home}", 'make one: notme-git init --human "NAME <ADDRESS>"'
    try:
        return grants.select_acting(stored, agent, scope=SCOPE if found.agent else scope, at=at), "", ""
    except RefusedError as refused:
        return None, refused.message, refused.hint


def _elsewhere(
    found: Detection, configured: str | None, home: Path, remote: Remote, environ: Mapping[str, str], at: datetime
) -> tuple[str, str]:
    """Why no grant is shown where the authority is elsewhere, and what shows it."""
    agent = found.agent or configured
    if found.problem or agent is None:
        _, reason, remedy = _granted(found, configured, SCOPE, home, None, at)
        return reason, remedy
    login = place.read_login(home)
    signed_in = login is not None and at < datetime.fromtimestamp(login.expires_at, UTC)
    if not signed_in and ambient.find(environ) is None:
        return f"nobody is signed in at {remote.url}", "notme-git login"
    return f"{remote.url} decides when it is asked", f"ask it: notme-git enroll --agent {agent}"


def _entries(who: Identity) -> Iterator[tuple[str, str]]:
    found = who.detection
    yield "agent", _told(found)
    if found.weak:
        yield "weak", f"{', '.join(found.weak)}: a human's shell may have this too, so it decides nothing"
    if found.agent or found.candidates:
        yield "worth", WORTH
    yield "runner", found.runner or "none"
    yield "session", who.session or "none (not started by notme-git run)"
    if who.grant:
        scopes, until = ", ".join(who.grant.scopes), rfc3339(who.grant.expires_at)
        actor = grants.actor_of(who.grant, found.agent or who.configured or "")
        yield "grant", f"{who.grant.id} as <{actor.email}>: {scopes} until {until}"
        yield "assurance", f"{Assurance.SAME_USER.value}: nothing but the grant separates the agent from the human"
    else:
        yield "grant", f"none: {who.reason}"
    if who.remedy:
        yield "remedy", who.remedy
    if who.remote:
        yield "authority", f"{who.authority} at {who.remote.url} ({who.remote.pinned})"
    elif who.authority:
        yield "authority", f"{who.authority} on this machine"
    if who.human:
        yield "human", f"{who.human.display} <{who.human.email}> ({who.human.authentication.value})"
    if who.configured:
        yield "git here", f"signs every commit as {who.configured} (user.signingkey)"
    yield "settings", ", ".join(f"{key} {value or 'not set'}" for key, value in who.git.items())


def _shown(text: str) -> str:
    return printable(text[:MAX_SHOWN])


def _told(found: Detection) -> str:
    by = ", ".join(found.marks)
    if found.problem:
        return f"unclear, by {by}"
    if found.agent is None:
        return "none"
    others = [c.agent for c in found.candidates if c.agent != found.agent]
    rest = f", which wins over the marks of {' and '.join(others)}" if found.declared and others else ""
    return f"{found.agent}, {'declared' if found.declared else 'detected'} by {by}{rest}"


def _person_data(human: Principal) -> dict[str, str]:
    return {
        "id": human.id,
        "display": human.display,
        "email": human.email,
        "authentication": human.authentication.value,
    }


def _grant_data(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.id,
        "agent": grant.actor.name,
        "email": grant.actor.email,
        "represented": grant.represented.email if grant.represented else None,
        "scopes": list(grant.scopes),
        "expiresAt": rfc3339(grant.expires_at),
    }
