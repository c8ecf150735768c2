"""Who would sign: key, grant, addresses and session."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import timedelta

from attest.errors import RefusedError, UsageError
from attest.identity import KEY_PREFIX
from attest.instants import instant, rfc3339
from attest.profile import PAYLOAD_UNCHECKED
from attest.types import Grant
from notme_git import acting, agents
from notme_git.authority import grants
from notme_git.authority.store import StoredGrant
from notme_git.daemon.client import SOCKET
from notme_git.doctor.check_config import setup_command, without
from notme_git.doctor.facts import Facts, Setting, agent_of, is_on
from notme_git.doctor.finding import Finding
from notme_git.whoami import SCOPE

SOON = timedelta(hours=24)
"""A grant that ends within a working day is renewed before it stops an agent in the middle of its work."""


def check_key(facts: Facts) -> Iterator[Finding]:
    """That `user.signingkey` names the agent."""
    key = facts.git.last("user.signingkey")
    if facts.mode not in ("agent", "blind"):
        return
    certified = facts.mode == "blind" and key is not None and agent_of(key.value, facts.home) != ""
    if not facts.key.named and not certified:
        yield _not_an_agent(facts, key)
        return
    try:
        acting.parse_key(facts.key.named or f"{KEY_PREFIX}{facts.agent}")
        grants.parse_acting(facts.agent)
    except UsageError as error:
        yield Finding("key-malformed", error.message, "set up anew", setup_command(facts))
        return
    if facts.key.literal:
        message = "user.signingkey is a literal key, which stays what it is when the authority's key is another"
        yield Finding("key-literal", message, "let setup name its file", setup_command(facts))


def check_key_file(facts: Facts) -> Iterator[Finding]:
    """A key file that git's program cannot use; an agent's without a word, as it happened (claude-code#83257)."""
    problem, path = facts.key.problem, facts.key.path
    signs = facts.mode != "none" or is_on(facts.git.value("commit.gpgsign"))
    if not problem or not signs or path in facts.ssh.stale or (facts.mode == "blind" and agent_of(path, facts.home)):
        return  # check_ssh says it better
    said = {"missing": "does not exist", "empty": "has 0 bytes", "unreadable": "cannot be read"}[problem]
    remedy = "restore it, or let user.signingkey name another"
    yield Finding(f"key-file-{problem}", f"the key file {path} {said}", remedy)


def check_marks(facts: Facts) -> Iterator[Finding]:
    """Under `setup --auto`: what the environment says of who acts."""
    if facts.mode != "auto":
        return
    found = agents.detect(facts.environ)
    if found.problem:
        yield Finding("marks-ambiguous", found.problem, found.remedy)
    elif found.agent is None and found.weak:
        message = f"{', '.join(found.weak)} may be an agent's or yours; commits are yours"
        yield Finding("marks-weak", message, f"if an agent acts here, set {agents.DECLARED} in its environment")


def check_grant(facts: Facts) -> Iterator[Finding]:
    """A grant for the agent, with the scope, and for a while yet."""
    agent, stored = facts.agent, facts.authority.grants
    if not agent or stored is None:
        return
    own = [item for item in stored if item.grant.actor.name == agent.partition("/")[0]]
    scope = _scope(facts)
    try:
        grants.select_acting(own, agent, scope=scope, at=facts.at)
    except RefusedError as refused:
        yield _no_grant(own, agent, scope, refused, facts)
        return
    last = max(item.grant.expires_at for item in own if _usable(item, scope, facts))
    if instant(last) <= facts.at + SOON:
        message = f"the last grant of {agent} ends {rfc3339(last)}"
        yield Finding("grant-expiring", message, "grant it again", _grant_command(agent, scope))


def check_addresses(facts: Facts) -> Iterator[Finding]:
    """Author and committer, which have to be the agent's or the human's (design D14)."""
    human = facts.authority.human_email
    if facts.mode == "none" or facts.authority.grants is None or (not facts.agent and facts.mode != "auto"):
        return
    grant = usable_grant(facts)
    if grant is None and facts.mode != "auto":
        return  # check_grant says why
    known = {human, *((grants.actor_of(grant, facts.agent).email,) if grant else ())}
    told: set[str] = set()
    for role in ("author", "committer"):
        address, place, setting = _address(facts, role)
        if _fold(address) in {_fold(each) for each in known} or place in told:
            continue
        told.add(place)
        yield _mailbox(facts, role, address, place, setting, known)


def check_session(facts: Facts) -> Iterator[Finding]:
    """What `notme-git run` left in the environment."""
    if facts.session.problem:
        command = "unset NOTME_SESSION NOTME_SOCKET"
        remedy = f"{command}, or begin one with notme-git run -- COMMAND"
        yield Finding("session-stale", facts.session.problem, remedy, command)
    if not facts.session.socket_answers:
        socket = facts.environ.get(SOCKET, "")
        if facts.sandboxed:
            message = f"the broker at {socket} does not answer"
            yield Finding("broker-gone", message, "start the sandbox anew: notme-git run --broker -- COMMAND")
        else:
            message = f"NOTME_SOCKET names {socket}, where no daemon of this user answers"
            yield Finding("socket-dead", message, "leave it out of the environment", "unset NOTME_SOCKET")


def _scope(facts: Facts) -> str:
    return PAYLOAD_UNCHECKED if facts.mode == "blind" else SCOPE


def _not_an_agent(facts: Facts, key: Setting | None) -> Finding:
    if key is None:
        message = "user.signingkey is not set, so git names no agent"
        return Finding("key-not-agent", message, "set up anew", setup_command(facts))
    message = f"user.signingkey names no agent, by {key.place}"
    code = "key-overridden" if facts.configured_key else "key-not-agent"
    remedy = without(facts, key, ("user.signingkey",), lambda value: bool(agent_of(value, facts.home)))
    return Finding(code, message, *remedy)


def _usable(item: StoredGrant, scope: str, facts: Facts) -> bool:
    try:
        grants.check_usable(item.grant, item.revoked_at, scope=scope, at=facts.at)
    except RefusedError:
        return False
    return True


def _no_grant(own: list[StoredGrant], agent: str, scope: str, refused: RefusedError, facts: Facts) -> Finding:
    """`refused` speaks of the newest; so does the code."""
    newest = max(enumerate(own), key=lambda pair: (pair[1].grant.created_at, pair[0]))[1] if own else None
    if newest is None:
        code, message = "grant-missing", f"no grant names {agent}"
    elif newest.revoked_at is not None:
        code, message = "grant-revoked", refused.message
    elif instant(newest.grant.expires_at) <= facts.at:
        code, message = "grant-expired", refused.message
    else:
        code, message = "grant-scope", refused.message
    return Finding(code, message, "grant it again" if own else "grant it", _grant_command(agent, scope))


def _grant_command(agent: str, scope: str) -> str:
    holder, slash, _ = agent.partition("/")
    command = f"notme-git grant add {shlex.quote(holder)}" + " --delegate" * bool(slash)
    return command + (f" --scope {scope}" if scope != SCOPE else "")


def usable_grant(facts: Facts) -> Grant | None:
    """The grant that the agent would sign under, None where check_grant has something to say."""
    try:
        return grants.select_acting(facts.authority.grants or (), facts.agent, scope=_scope(facts), at=facts.at)
    except RefusedError:
        return None


def _address(facts: Facts, role: str) -> tuple[str, str, Setting | None]:
    """The address that git takes (ident.c), and where from."""
    variable = f"GIT_{role.upper()}_EMAIL"
    if variable in facts.environ:
        return facts.environ[variable], variable, None
    for key in (f"{role}.email", "user.email"):
        setting = facts.git.last(key)
        if setting is not None:
            return setting.value, f"{key} in {setting.place}", setting
    return facts.environ.get("EMAIL", ""), "no configuration", None


def _mailbox(
    facts: Facts, role: str, address: str, place: str, setting: Setting | None, known: set[str]
) -> Finding:
    who = " or ".join(sorted(f"<{each}>" for each in known if each))
    message = f"the {role}'s address is <{address}>, by {place}, and not {who}"
    if not address and setting is None and not place.startswith("GIT_"):
        message = f"no {role}'s address is configured, so git guesses one, which is not {who}"
    if place.startswith("GIT_"):
        return Finding(f"{role}-mailbox", message, "leave it out of the environment", f"unset {place}")
    if facts.mode == "auto" and (setting is None or setting.key == "user.email"):
        human = facts.authority.human_email
        remedy = "use the address that the authority knows you by"
        return Finding("human-mailbox", message, remedy, f"git config user.email {shlex.quote(human)}")
    if setting is None or setting.key == "user.email":
        return Finding(f"{role}-mailbox", message, "set up anew", setup_command(facts))
    folded = {_fold(each) for each in known}
    remedies = without(facts, setting, (setting.key,), lambda value: _fold(value) in folded)
    return Finding(f"{role}-mailbox", message, *remedies)


def _fold(address: str) -> bytes:
    """As `attest.identity` compares: letters of ASCII alone."""
    return address.encode("utf-8", "surrogateescape").lower()


