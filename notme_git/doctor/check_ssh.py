"""SSH signatures: the files that git and ssh-keygen read, and the ssh-agent's side."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from attest.instants import instant, rfc3339
from notme_git import setup
from notme_git.doctor.check_config import expected_form, setup_command
from notme_git.doctor.check_who import usable_grant
from notme_git.doctor.facts import Facts, our_form
from notme_git.doctor.finding import Finding, Fix


def check_files(facts: Facts) -> Iterator[Finding]:
    """The files in the home, which follow grants and epochs."""
    if facts.ssh.stale and _concerns(facts):
        message = f"not what the authority says: {', '.join(facts.ssh.stale)}"
        yield Finding("ssh-files-stale", message, "write them anew", "notme-git doctor --fix", Fix.SSH_FILES)


def check_allowed_signers(facts: Facts) -> Iterator[Finding]:
    """`gpg.ssh.allowedSignersFile`: by it git verifies, and no other file."""
    if not _concerns(facts) or facts.sandboxed:
        return
    key, named = setup.ALLOWED_SIGNERS, facts.git.value(setup.ALLOWED_SIGNERS)
    if facts.ssh.allowed == "unset":
        message = f"{key} is not set, so git verifies no SSH signature"
        yield Finding("allowed-signers-unset", message, "set up anew", setup_command(facts))
        return
    if not named.startswith(("/", "~")):
        message = f"{key} is {named!r}, a file that whoever writes to the repository chooses"
        remedy = "name a file outside the repository by its full path"
        yield Finding("allowed-signers-relative", message, remedy)
    if named in facts.ssh.stale:
        return
    if facts.ssh.allowed == "missing":
        yield Finding("allowed-signers-missing", f"{named} does not exist or cannot be read", "make it", _export(named))
    elif facts.ssh.allowed == "foreign" and not our_form(facts.program.name):
        # Our own program knows the authority from the home, whatever the file says.
        message = f"{named} does not name this authority, so git takes its agents for unknown"
        yield Finding("allowed-signers-foreign", message, "add the authority", _export(named))


def check_agent(facts: Facts) -> Iterator[Finding]:
    """`setup --ssh-agent`: stock ssh-keygen asks the daemon, which nobody starts for it."""
    if facts.mode != "blind" or not facts.agent:
        return
    if facts.agent not in facts.ssh.offered:
        message = f"{facts.agent} is not among the agents that the daemon offers"
        yield Finding("ssh-agent-not-offered", message, "set up anew, then start the daemon anew", setup_command(facts))
        return
    socket = (facts.daemon.status or {}).get("sshAgent")
    if facts.daemon.state != "running":
        message = "no daemon runs, and ssh-keygen starts none"
        yield Finding("ssh-agent-off", message, "start it", "notme-git daemon start")
    elif not socket:
        command = "notme-git daemon stop && notme-git daemon start"
        yield Finding("ssh-agent-off", "the running daemon is no ssh-agent", "start it anew", command)
    else:
        yield from _asked(facts, str(socket))


def _concerns(facts: Facts) -> bool:
    """Whether SSH signatures are what was set up; where they are not, check_format has said so."""
    return facts.mode != "none" and facts.form == expected_form(facts) == "ssh"


def _asked(facts: Facts, socket: str) -> Iterator[Finding]:
    if facts.environ.get("SSH_AUTH_SOCK", "") != socket:
        message = f"SSH_AUTH_SOCK is {facts.environ.get('SSH_AUTH_SOCK') or 'not set'}, not the daemon's {socket}"
        command = f"export SSH_AUTH_SOCK={shlex.quote(socket)}"
        yield Finding("ssh-auth-sock", message, "set it in the agent's shell", command)
    if usable_grant(facts) is None:
        return  # then the daemon has no certificate
    restart = "start the daemon anew, which keeps it fresh", "notme-git daemon stop && notme-git daemon start"
    until = facts.ssh.certificate_until
    if until is None:
        yield Finding("ssh-certificate-missing", f"{facts.key.path} is no certificate", *restart)
    elif instant(until) <= facts.at:
        yield Finding("ssh-certificate-stale", f"{facts.key.path} ended {rfc3339(until)}", *restart)


def _export(named: str) -> str:
    if named.startswith("~"):
        return f"notme-git trust export --format allowed-signers >> {named}"
    return f"notme-git trust export --format allowed-signers >> {shlex.quote(named)}"
