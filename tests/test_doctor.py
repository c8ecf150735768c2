"""The doctor: one defect, one finding. Facts are made up here; files, keys and sockets are real, programs absent."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from attest import home as homes
from attest import sshcert, sshwire
from attest.errors import UnavailableError, UsageError
from attest.types import Authentication, Constraints, Grant, Principal, PrincipalKind
from notme_git import shimfile, sshfiles, wanted
from notme_git.authority import embedded
from notme_git.authority.keystore import FileKeys
from notme_git.authority.store import StoredGrant
from notme_git.daemon import agent_setting, place
from notme_git.doctor import checks, fix, look_authority, look_daemon, look_files, look_remote
from notme_git.doctor.facts import (
    Authority,
    Daemon,
    Facts,
    Git,
    Key,
    Program,
    Records,
    Session,
    Setting,
    Shims,
    Ssh,
    Trouble,
    is_on,
)
from notme_git.doctor.finding import CODES, Finding, Fix, Severity
from notme_git.remote import place as remote
from notme_git.tsa.missed import Missed
from tests.forge import NOW
from tests.peers import ROOT
from tests.world import AGENT, World

HOME = Path("/home/alice/.local/share/notme-git")
LOCAL, GLOBAL, WORKTREE = "/src/.git/config", "/home/alice/.gitconfig", "/src/.git/config.worktree"
HUMAN, MAIL = "alice@example.org", f"{AGENT}@0123456789abcdef.invalid"
SECONDS = int(NOW.timestamp())

Change = Callable[[Facts], Facts]


# -- a healthy machine, in every way to set it up


def grant(**changes: Any) -> StoredGrant:
    """A grant for the agent, good for thirty days."""
    revoked_at = changes.pop("revoked_at", None)
    given = Grant(
        version=1,
        id="00000000-0000-4000-8000-000000000001",
        actor=principal(PrincipalKind.AGENT, AGENT, MAIL),
        represented=principal(PrincipalKind.HUMAN, "alice", HUMAN),
        scopes=("sign:git", "sign:git-blind"),
        created_at=SECONDS,
        expires_at=SECONDS + 30 * 86400,
        constraints=Constraints(repositories=(), branches=()),
        delegation_depth=0,
        purpose="",
    )
    return StoredGrant(replace(given, **changes), revoked_at)


def principal(kind: PrincipalKind, name: str, email: str) -> Principal:
    return Principal(id=name, kind=kind, name=name, display=name, email=email,
                     authentication=Authentication.SELF_ASSERTED)  # fmt: skip


def settings(values: Mapping[str, str], *, scope: str = "local", origin: str = LOCAL) -> tuple[Setting, ...]:
    return tuple(Setting(key.lower(), value, scope, origin) for key, value in values.items())


def healthy(form: str = "x509", *, environ: Mapping[str, str] | None = None) -> Facts:
    """A repository that signs as the agent in this format; `auto` and `blind` are the other ways to set it up."""
    base = form if form in wanted.FORMATS else "ssh"
    files = {"ssh": f"{AGENT}.pub", "blind": f"current/{AGENT}-cert.pub"}
    key = str(HOME / "ssh" / files[form]) if form in files else ""
    if form == "auto":
        values = {"gpg.format": "ssh", "user.signingkey": "/home/alice/.ssh/id.pub", "user.email": HUMAN}
        values |= wanted.for_whoever_calls(HOME, "ssh")
    else:
        values = wanted.for_agent(HOME, AGENT, (AGENT, MAIL), form=base, key=key)
    if form == "blind":
        del values["gpg.ssh.program"]
    if base == "ssh":
        values["gpg.ssh.allowedSignersFile"] = str(HOME / "ssh" / "allowed_signers")
    name = values.get(wanted.PROGRAMS[base], "ssh-keygen")
    file = key or ("/home/alice/.ssh/id.pub" if form == "auto" else "")
    named = "" if form in ("auto", "blind") else f"notme:{AGENT}"
    status = {"version": "1", "hardening": {"dumpable": "no", "memoryLocked": "yes"}, "sshAgent": None}
    return Facts(
        home=HOME,
        environ=environ or ({"SSH_AUTH_SOCK": "/run/agent"} if form == "blind" else {}),
        at=NOW,
        git=Git((2, 47, 1), settings(values)),
        program=Program(name, "/usr/bin/ssh-keygen" if form == "blind" else name, shim=form != "blind"),
        programs_gone={},
        shims=Shims(python="/usr/bin/python3"),
        key=Key(named=named, path=file),
        authority=Authority(human_email=HUMAN, grants=(grant(),), bundle_issued_at=SECONDS, latest=SECONDS),
        ssh=Ssh(certificate_until=SECONDS + 300, offered=(AGENT,)),
        daemon=Daemon(
            "/run/user/1000/notme-git-0/sock",
            "running",
            {**status, "sshAgent": "/run/agent"} if form == "blind" else status,
            folder="/run/user/1000/notme-git-0",
            version="1",
        ),
        session=Session(),
    )


def found(facts: Facts) -> list[str]:
    return [finding.code for finding in checks.examine(facts)]


@pytest.mark.parametrize("form", [*wanted.FORMATS, "auto", "blind"])
def test_nothing_is_found_on_a_healthy_machine(form: str) -> None:
    assert checks.examine(healthy(form)) == []


@pytest.mark.parametrize("form", wanted.FORMATS)
def test_a_daemon_that_does_not_run_is_no_finding(form: str) -> None:
    assert found(replace(healthy(form), daemon=Daemon())) == []


# -- one defect, one finding


def on(facts: Facts, values: Mapping[str, str], **place: str) -> Facts:
    """Further values, which are in force because they are the last."""
    return replace(facts, git=replace(facts.git, settings=(*facts.git.settings, *settings(values, **place))))


def without(facts: Facts, *keys: str) -> Facts:
    left = tuple(s for s in facts.git.settings if s.key not in keys)
    return replace(facts, git=replace(facts.git, settings=left))


def instead(facts: Facts, values: Mapping[str, str]) -> Facts:
    """Other values in the places of those that setup wrote."""
    changed = {key.lower(): value for key, value in values.items()}
    edited = tuple(replace(s, value=changed.get(s.key, s.value)) for s in facts.git.settings)
    return replace(facts, git=replace(facts.git, settings=edited))


def version(facts: Facts, *numbers: int) -> Facts:
    return replace(facts, git=replace(facts.git, version=numbers))


def part(facts: Facts, name: str, /, **values: Any) -> Facts:
    """Facts with another `name`, which differs in `values`."""
    return replace(facts, **{name: replace(getattr(facts, name), **values)})


def key_overridden(f: Facts) -> Facts:
    return part(on(f, {"user.signingkey": "ABCD"}, scope="worktree", origin=WORKTREE), "key", named="")


def status(facts: Facts, **values: Any) -> Facts:
    return part(facts, "daemon", status={**(facts.daemon.status or {}), **values})


def bare(facts: Facts) -> Facts:
    """A machine on which the authority and the programs are there, and no repository was set up."""
    none = replace(facts, git=replace(facts.git, settings=()), key=Key(), program=Program("gpg", "/usr/bin/gpg"))
    verifier = grant(actor=principal(PrincipalKind.AGENT, "verifier", "verifier@x.invalid"))
    return part(replace(none, shims=Shims()), "authority", grants=(verifier, grant()))


SHIM = str(shimfile.path(HOME))

TABLE: list[tuple[str, str, str, Change, str]] = [
    # code, setup, what is wrong, the change, what the remedy must say
    ("not-set-up", "x509", "nothing is configured", bare, f"setup --agent {AGENT}"),
    ("gpgsign-off", "x509", "commit.gpgsign is unset", lambda f: without(f, "commit.gpgsign"), f"--agent {AGENT}"),
    ("gpgsign-off", "auto", "commit.gpgsign was edited", lambda f: instead(f, {"commit.gpgsign": "no"}), "--auto"),
    ("gpgsign-off", "x509", "commit.gpgsign is no boolean", lambda f: instead(f, {"commit.gpgsign": "2x"}), "setup"),
    ("gpgsign-overridden", "x509", "by the worktree", lambda f: on(f, {"commit.gpgsign": "0"}, origin=WORKTREE),
     f"git config --file {WORKTREE} --unset-all commit.gpgsign"),
    ("gpgsign-overridden", "openpgp", "by `git -c` in a session",
     lambda f: on(on(f, {"commit.gpgsign": "true"}, scope="command", origin=""), {"commit.gpgsign": "false"},
                  scope="command", origin=""), "command line and its environment: unset GIT_CONFIG_PARAMETERS"),
    ("gpgsign-overridden", "ssh", "by the environment",
     lambda f: on(f, {"commit.gpgsign": "false"}, scope="command", origin=""), "unset GIT_CONFIG_COUNT"),
    ("gpgsign-overridden", "x509", "by another line of the same file", lambda f: on(f, {"commit.gpgsign": "off"}),
     f"notme-git setup --agent {AGENT}"),
    ("tag-gpgsign-off", "openpgp", "tag.gpgsign is unset", lambda f: without(f, "tag.gpgsign"), "--format openpgp"),
    ("format-unknown", "x509", "gpg.format is a word", lambda f: on(f, {"gpg.format": "cms"}), "setup"),
    ("format-mismatch", "ssh", "an include says openpgp", lambda f: on(f, {"gpg.format": "openpgp"}, origin="/inc"),
     "git config --file /inc --unset-all gpg.format"),
    ("format-mismatch", "x509", "gpg.format is unset", lambda f: without(f, "gpg.format"), f"--agent {AGENT}"),
    ("format-mismatch", "ssh", "edited to x509", lambda f: instead(f, {"gpg.format": "x509"}), "--format ssh"),
    ("program-not-ours", "x509", "the program was edited",
     lambda f: part(instead(f, {"gpg.x509.program": "/usr/bin/gpgsm"}), "program", name="gpgsm", shim=False), "setup"),
    ("program-overridden", "openpgp", "gpg.openpgp.program is another name for it",
     lambda f: part(on(f, {"gpg.openpgp.program": "gpg"}, origin=GLOBAL), "program", name="gpg", path="/usr/bin/gpg",
                    shim=False), f"git config --file {GLOBAL} --unset-all gpg.openpgp.program"),
    ("program-wrong-dialect", "x509", "the one for ssh",
     lambda f: part(f, "program", name=str(shimfile.path(HOME, "ssh"))), "setup"),
    ("program-gone", "x509", "another home was removed",
     lambda f: part(f, "program", name="/gone/bin/notme-x509", path="/gone/bin/notme-x509", exists=False), "setup"),
    ("program-gone", "blind", "no OpenSSH", lambda f: part(f, "program", path="", exists=False), "install it"),
    ("program-not-executable", "x509", "mode 0644", lambda f: part(f, "program", executable=False), "doctor --fix"),
    ("program-shadowed", "x509", "a bare name finds a stranger",
     lambda f: part(f, "program", name="notme-x509", path="/opt/bin/notme-x509", shim=False), "full path"),
    ("program-other-home", "x509", "another home",
     lambda f: part(f, "program", name="/other/bin/notme-x509", path="/other/bin/notme-x509"), "NOTME_HOME"),
    ("own-program-gone", "auto", "the human's ssh-keygen",
     lambda f: replace(f, programs_gone={"notme.previousSshProgram": "/opt/ssh-keygen"}), "notme.previousSshProgram"),
    ("previous-gone", "x509", "gpgsm", lambda f: replace(f, programs_gone={"notme.previousX509Program": "/opt/gpgsm"}),
     "install it again"),
    ("shim-missing", "x509", "the program in force is removed",
     lambda f: part(part(f, "program", exists=False), "shims", missing=("notme-x509",)), "doctor --fix"),
    ("shim-stale", "ssh", "another version's", lambda f: part(f, "shims", stale=("notme_shim.py",)), "doctor --fix"),
    ("python-gone", "x509", "a removed environment", lambda f: part(f, "shims", python_runs=False, stale=("a",)),
     "doctor --fix"),
    ("key-not-agent", "x509", "unset", lambda f: part(without(f, "user.signingkey"), "key", named=""),
     f"setup --agent {AGENT}"),
    ("key-not-agent", "openpgp", "edited to a key of the human's",
     lambda f: part(instead(f, {"user.signingkey": "ABCD"}), "key", named=""), "set up anew"),
    ("key-overridden", "x509", "by the worktree", key_overridden, f"--file {WORKTREE} --unset-all user.signingkey"),
    ("key-malformed", "x509", "three parts", lambda f: part(on(f, {"user.signingkey": f"notme:{AGENT}:x"}), "key",
     named=f"notme:{AGENT}:x"), "set up anew"),
    ("key-literal", "ssh", "with our comment", lambda f: part(f, "key", literal=True, path=""), "--format ssh"),
    ("key-file-empty", "auto", "the human's key has 0 bytes", lambda f: part(f, "key", problem="empty"), "restore"),
    ("key-file-missing", "auto", "it is gone", lambda f: part(f, "key", problem="missing"), "restore"),
    ("key-file-unreadable", "auto", "it is root's", lambda f: part(f, "key", problem="unreadable"), "restore"),
    ("marks-ambiguous", "auto", "two agents",
     lambda f: replace(f, environ={"CLAUDECODE": "1", "CODEX_THREAD_ID": "x"}), "NOTME_AGENT=claude-code"),
    ("marks-weak", "auto", "an editor's", lambda f: replace(f, environ={"TERM_PROGRAM": "zed"}), "NOTME_AGENT"),
    ("grant-missing", "x509", "none at all", lambda f: part(f, "authority", grants=()), f"grant add {AGENT}"),
    ("grant-missing", "auto", "the agent that was detected has none",
     lambda f: replace(f, environ={"CODEX_THREAD_ID": "x"}), "grant add codex"),
    ("grant-revoked", "x509", "revoked", lambda f: part(f, "authority", grants=(grant(revoked_at=1),)), "grant add"),
    ("grant-expired", "ssh", "now", lambda f: part(f, "authority", grants=(grant(expires_at=SECONDS),)), "grant add"),
    ("grant-scope", "blind", "without the scope that hashes need",
     lambda f: part(f, "authority", grants=(grant(scopes=("sign:git",)),)), f"add {AGENT} --scope sign:git-blind"),
    ("grant-expiring", "x509", "within 24 hours",
     lambda f: part(f, "authority", grants=(grant(expires_at=SECONDS + 86400),)), f"grant add {AGENT}"),
    ("author-mailbox", "x509", "the environment",
     lambda f: replace(f, environ={"GIT_AUTHOR_EMAIL": "bob@example.net"}), "unset GIT_AUTHOR_EMAIL"),
    ("author-mailbox", "ssh", "another scope", lambda f: on(f, {"author.email": "bob@example.net"}, origin=WORKTREE),
     f"--file {WORKTREE} --unset-all author.email"),
    ("committer-mailbox", "x509", "unset, and user.email is another's",
     lambda f: on(without(f, "committer.email"), {"user.email": "bob@example.net"}, origin=GLOBAL), "setup --agent"),
    ("committer-mailbox", "x509", "an empty address", lambda f: replace(f, environ={"GIT_COMMITTER_EMAIL": ""}),
     "unset GIT_COMMITTER_EMAIL"),
    ("human-mailbox", "auto", "work and private", lambda f: instead(f, {"user.email": "alice@work.example"}),
     f"git config user.email {HUMAN}"),
    ("session-stale", "x509", "it has ended", lambda f: part(f, "session", problem="it ended"), "unset NOTME_SESSION"),
    ("socket-dead", "x509", "nobody answers", lambda f: part(f, "session", socket_answers=False), "unset NOTME_SOCKET"),
    ("broker-gone", "x509", "in a sandbox",
     lambda f: replace(part(f, "session", socket_answers=False), environ={"NOTME_BROKER": "1"}), "run --broker"),
    ("authority-missing", "x509", "no authority", lambda f: replace(f, authority=Authority(present=False)), "init"),
    ("authority-missing", "auto", "and git goes by it", lambda f: replace(f, authority=Authority(present=False)),
     "setup --undo"),
    ("database-damaged", "x509", "trouble is told as it is",
     lambda f: replace(f, authority=Authority(troubles=(Trouble("database-damaged", "no SQLite", "restore it"),))),
     "restore it"),
    ("clock-behind", "x509", "an hour back", lambda f: replace(f, at=NOW - timedelta(hours=1)), "set the clock"),
    ("bundle-future", "x509", "revoked in the future",
     lambda f: part(f, "authority", bundle_issued_at=SECONDS + 3600), "clock"),
    ("daemon-dead", "x509", "killed", lambda f: part(f, "daemon", state="dead", status=None), "doctor --fix"),
    ("daemon-foreign", "x509", "squatted", lambda f: part(f, "daemon", state="foreign", status=None), "daemon/address"),
    ("daemon-silent", "x509", "it hangs", lambda f: part(f, "daemon", state="silent", status=None), "end its process"),
    ("daemon-folder", "x509", "mode 0777", lambda f: part(f, "daemon", folder_bad=True, socket_open=True),
     "chmod 0700"),
    ("daemon-folder-blocked", "x509", "/tmp cannot be written to", lambda f: part(f, "daemon", folder_blocked=True),
     "XDG_RUNTIME_DIR"),
    ("daemon-socket-open", "x509", "mode 0666", lambda f: part(f, "daemon", socket_open=True), "daemon stop"),
    ("daemon-version", "x509", "an update", lambda f: status(f, version="0"), "daemon stop"),
    ("daemon-dumpable", "x509", "refused", lambda f: status(f, hardening={"dumpable": "refused"}), "kernel"),
    ("daemon-unlocked", "x509", "a limit", lambda f: status(f, hardening={"dumpable": "no", "memoryLocked": "no: x"}),
     "ulimit -l"),
    ("runtime-dir", "x509", "cron has none", lambda f: part(f, "daemon", runtime_dir="unset"), "0700"),
    ("ssh-files-stale", "ssh", "a new epoch", lambda f: part(f, "ssh", stale=(str(HOME / "ssh" / "allowed_signers"),)),
     "doctor --fix"),
    ("ssh-files-stale", "ssh", "the key file is gone", lambda f: part(
        part(f, "ssh", stale=(f.key.path,)), "key", named=f"notme:{AGENT}", problem="missing"), "doctor --fix"),
    ("allowed-signers-unset", "ssh", "unset", lambda f: part(without(f, "gpg.ssh.allowedsignersfile"), "ssh",
     allowed="unset"), "--format ssh"),
    ("allowed-signers-missing", "ssh", "the user's own is gone",
     lambda f: part(on(f, {"gpg.ssh.allowedSignersFile": "~/signers"}), "ssh", allowed="missing"), ">> ~/signers"),
    ("allowed-signers-foreign", "blind", "the user's own",
     lambda f: part(on(f, {"gpg.ssh.allowedSignersFile": "/a b"}), "ssh", allowed="foreign"), ">> '/a b'"),
    ("allowed-signers-relative", "ssh", "in the work tree",
     lambda f: on(f, {"gpg.ssh.allowedSignersFile": ".signers"}), "full path"),
    ("ssh-agent-off", "blind", "no daemon", lambda f: replace(f, daemon=Daemon()), "daemon start"),
    ("ssh-agent-off", "blind", "killed", lambda f: part(f, "daemon", state="dead", status=None), "daemon start"),
    ("ssh-agent-off", "blind", "one from before setup", lambda f: status(f, sshAgent=None), "daemon stop &&"),
    ("ssh-agent-not-offered", "blind", "another agent", lambda f: part(f, "ssh", offered=("codex",)), "--ssh-agent"),
    ("ssh-auth-sock", "blind", "the desktop's", lambda f: replace(f, environ={"SSH_AUTH_SOCK": "/run/gnome"}),
     "export SSH_AUTH_SOCK=/run/agent"),
    ("ssh-certificate-missing", "blind", "no file", lambda f: part(f, "ssh", certificate_until=None), "daemon start"),
    ("ssh-certificate-stale", "blind", "ended", lambda f: part(f, "ssh", certificate_until=SECONDS), "daemon start"),
    ("git-too-old", "ssh", "2.33", lambda f: version(f, 2, 33), "newer git"),
    ("git-too-old", "x509", "2.18", lambda f: version(f, 2, 18, 4), "newer git"),
    ("git-trust-bug", "ssh", "2.40 with a level", lambda f: version(on(f, {"gpg.mintrustlevel": "fully"}), 2, 40, 1),
     "2.41"),
    ("git-expired-good", "ssh", "2.54 and merges", lambda f: version(on(f, {"merge.verifySignatures": "1"}), 2, 54),
     "notme-attest verify"),
    ("tsa-setting", "x509", "nobody", lambda f: part(f, "tsa", problem="nobody is named", remedy="git config"), ""),
    ("tsa-hook", "x509", "not installed", lambda f: part(f, "tsa", hook_missing=True), "hook install --client"),
    ("tsa-missed", "x509", "three", lambda f: part(f, "tsa", missed=Missed(3, 1, 2, "/r", "http://t", "gone")),
     "timestamp --repo /r"),
    ("daemon-refused", "x509", "nothing since", lambda f: status(
        f, signatures=3, lastRefusal={"at": "2026-11-23T13:58:10Z", "reason": "the session\nis over", "signatures": 3}
    ), "what it says"),
    ("hook-setting", "x509", "no key", lambda f: replace(f, records=Records("cannot read", "make one")), "make one"),
    ("records-keyless", "x509", "no key", lambda f: replace(f, records=Records(keyless=True)), "notme.verifierKey"),
    ("attestations-absent", "x509", "not fetched", lambda f: replace(f, records=Records(absent=True)), "sync"),
    ("min-trust-level", "x509", "fully", lambda f: on(f, {"gpg.minTrustLevel": "FULLY"}), "minTrustLevel marginal"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "form", "what", "change", "remedy"), TABLE, ids=[f"{row[0]}: {row[2]}" for row in TABLE]
)
def test_one_defect_is_one_finding_with_a_remedy(code: str, form: str, what: str, change: Change, remedy: str) -> None:
    findings = checks.examine(change(healthy(form)))
    assert [finding.code for finding in findings] == [code], what
    assert remedy in f"{findings[0].remedy}: {findings[0].command}"
    assert findings[0].message


def test_why_the_daemon_refused_is_said_as_status_says_it() -> None:
    reason = "notme-git: not signed: no\nnotme-git: do another thing"
    refused = status(healthy("x509"), signatures=3, lastRefusal={"at": "then", "reason": reason, "signatures": 3})
    [finding] = checks.examine(refused)
    assert finding.message.endswith("at then: not signed: no; do another thing")


def test_every_code_is_found_by_some_test() -> None:
    alone = {"authority-key-owner", "authority-key-unreadable"}
    assert {code for code, *_ in TABLE} | {code for code, *_ in (*BROKEN, *AWAY)} | alone == set(CODES)


QUIET: list[tuple[str, str, Change]] = [
    ("a refusal before the last signature", "x509", lambda f: status(f, signatures=4, lastRefusal={"signatures": 3})),
    ("a refusal of an older daemon", "x509", lambda f: status(f, signatures=4, lastRefusal={"at": "x"})),
    ("a file of the user's own that our program does not need", "ssh", lambda f: part(f, "ssh", allowed="foreign")),
    ("trust levels concern nobody who set none", "x509", lambda f: version(f, 2, 39, 5)),
    ("git 2.54 concerns nobody who asks git for no verdict", "x509", lambda f: version(f, 2, 54)),
    ("the same value twice", "x509", lambda f: on(f, {"commit.gpgsign": "1"}, origin=WORKTREE)),
    ("the agent's address in another case", "x509", lambda f: on(f, {"author.email": MAIL.upper()})),
    ("the human's address as author", "x509", lambda f: replace(f, environ={"GIT_AUTHOR_EMAIL": HUMAN})),
    ("an older grant outlives the newest", "x509", lambda f: part(f, "authority", grants=(
        grant(), grant(created_at=SECONDS + 1, expires_at=SECONDS + 60)))),
    ("another agent's revoked grant", "x509", lambda f: part(f, "authority", grants=(
        grant(), grant(actor=principal(PrincipalKind.AGENT, "codex", "c@d.invalid"), revoked_at=1)))),
    ("a tag of the human's under auto", "auto", lambda f: on(f, {"tag.gpgsign": "false"})),
    ("an agent detected under auto", "auto", lambda f: replace(f, environ={"CLAUDECODE": "1"})),
    ("a level in format ssh, where git itself says fully", "ssh", lambda f: on(f, {"gpg.mintrustlevel": "fully"})),
    ("a broker's program, whose authority is out of sight", "x509", lambda f: replace(
        instead(part(f, "program", name="/b/notme-x509", path="/b/notme-x509"), {"gpg.x509.program": "/b/notme-x509"}),
        authority=Authority(present=False), environ={"NOTME_BROKER": "/b/sock"}, shims=Shims())),
    ("a clock within a minute", "x509", lambda f: replace(f, at=NOW - timedelta(seconds=59))),
]  # fmt: skip


@pytest.mark.parametrize(("what", "form", "change"), QUIET, ids=[what for what, _, _ in QUIET])
def test_what_is_right_is_not_found(what: str, form: str, change: Change) -> None:
    assert found(change(healthy(form))) == [], what


def test_a_key_file_that_is_empty_is_found_without_any_setup() -> None:
    """claude-code#83257: commits were unsigned without a word."""
    facts = bare(healthy())
    values = {"gpg.format": "ssh", "commit.gpgsign": "true", "user.signingkey": "/home/alice/.ssh/id.pub"}
    facts = replace(on(facts, values), key=Key(path="/home/alice/.ssh/id.pub", problem="empty"))
    assert found(facts) == ["not-set-up", "key-file-empty"]


def test_a_setup_for_everything_is_repeated_for_everything() -> None:
    facts = healthy("x509")
    everywhere = tuple(replace(s, scope="global", origin=GLOBAL) for s in facts.git.settings)
    facts = without(replace(facts, git=replace(facts.git, settings=everywhere)), "commit.gpgsign")
    assert checks.examine(facts)[0].command == f"notme-git setup --agent {AGENT} --global"


def test_a_setup_for_interop_is_repeated_as_such() -> None:
    key = f"notme:{AGENT}:interop"
    facts = part(without(instead(healthy(), {"user.signingkey": key}), "commit.gpgsign"), "key", named=key)
    assert checks.examine(facts)[0].command == f"notme-git setup --agent {AGENT} --profile interop"


def test_the_gravest_comes_first() -> None:
    facts = part(without(status(healthy(), version="0", hardening={}), "commit.gpgsign"), "daemon", socket_open=True)
    assert [f.severity for f in checks.examine(facts)] == [
        Severity.ERROR, Severity.WARNING, Severity.WARNING, Severity.NOTE,
    ]  # fmt: skip


def test_a_literal_key_is_not_repeated() -> None:
    facts = part(on(healthy("ssh"), {"user.signingkey": "key::ssh-ed25519 AAAASECRET"}), "key", named="", path="")
    assert "SECRET" not in "".join(f"{f.message}{f.remedy}{f.command}" for f in checks.examine(facts))


@pytest.mark.parametrize("text", ["true", "YES", "on", "1", "-1", "7"])
def test_git_takes_it_for_true(text: str) -> None:
    assert is_on(text)


@pytest.mark.parametrize("text", ["false", "no", "off", "0", "", "x", "1x"])
def test_git_does_not_take_it_for_true(text: str) -> None:
    assert not is_on(text)


def test_the_page_of_codes_is_the_table() -> None:
    rendered = runpy.run_path(str(ROOT / "docs" / "doctor.py"))["render"]()
    assert (ROOT / "docs" / "doctor.md").read_text("utf-8") == rendered, "python docs/doctor.py > docs/doctor.md"


# -- the authority, with real keys


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.grant()
    return made


def key_file(world: World) -> Path:
    return world.home / "authority" / "keys" / "epoch-1-root.pem"


def look(world: World, *, git: Git | None = None, environ: Mapping[str, str] | None = None) -> tuple[Authority, Ssh]:
    return look_authority.look(world.home, git or Git((2, 47), ()), Key(), environ or {}, Path("/"))


def replaced(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def in_keyring(world: World) -> None:
    """As if the keys had been entrusted to a desktop's keyring; here is none."""
    with world.opened() as authority:
        authority.store.set_setting("key_store", "keyring")
        authority.store.set_setting("key_backend", "keyring.backends.SecretService.Keyring")


BROKEN: list[tuple[str, Callable[[World], object]]] = [
    ("authority-key-missing", lambda w: key_file(w).unlink()),
    ("authority-key-empty", lambda w: replaced(key_file(w), b"")),
    ("authority-key-open", lambda w: key_file(w).chmod(0o640)),
    ("authority-key-open", lambda w: key_file(w).parent.chmod(0o755)),
    ("authority-key-damaged", lambda w: replaced(key_file(w), b"no key")),
    ("authority-key-damaged", lambda w: replaced(key_file(w), key_file(w).with_name("epoch-1-tsa.pem").read_bytes())),
    ("anchors-missing", lambda w: (w.home / "authority" / "anchors.pem").unlink()),
    ("anchors-behind", lambda w: replaced(w.home / "authority" / "anchors.pem", b"")),
    ("bundle-missing", lambda w: (w.home / "authority" / "bundle").unlink()),
    ("bundle-behind", lambda w: replaced(w.home / "authority" / "bundle", b"old")),
    ("database-missing", lambda w: (w.home / "authority" / "authority.db").unlink()),
    ("database-damaged", lambda w: replaced(w.home / "authority" / "authority.db", b"x" * 4096)),
    ("key-store-unreachable", in_keyring),
]


def test_a_whole_authority_has_no_troubles(world: World) -> None:
    authority, _ = look(world)
    assert authority.troubles == ()
    assert (authority.human_email, authority.present) == (HUMAN, True)
    assert [stored.grant.actor.name for stored in authority.grants or ()] == ["verifier", AGENT]
    assert authority.latest == authority.bundle_issued_at == SECONDS


@pytest.mark.parametrize(("code", "damage"), BROKEN, ids=[f"{i} {code}" for i, (code, _) in enumerate(BROKEN)])
def test_each_trouble_of_the_authority_is_told_once(world: World, code: str, damage: Callable[[World], object]) -> None:
    damage(world)
    authority, _ = look(world)
    assert [trouble.code for trouble in authority.troubles] == [code]
    assert authority.troubles[0].remedy
    secrets = [file.read_text() for file in key_file(world).parent.iterdir() if file.stat().st_size > 64]
    assert not any(line in str(authority.troubles) for text in secrets for line in text.splitlines()[1:-1])


def enrols_elsewhere(world: World) -> Path:
    """A home that pinned the world's authority, for signing and for verifying, and where somebody is signed in."""
    home, url = world.home.parent / "away", "https://authority.example.com"
    anchors, bundle = world.trust().anchors, (world.home / "authority" / "bundle").read_bytes()
    folder, pinned = home / "remote", home / homes.PINNED / world.id
    for each in (folder, pinned):
        remote.write_trust(each, anchors, bundle)
    spki = anchors[0].key.spki_sha256.hex()
    record = {"url": url, "authority": world.id, "spki": [spki], "pinned": remote.OUT_OF_BAND}
    (folder / "authority.json").write_text(json.dumps(record))
    remote.write_login(home, remote.Login("secret-cookie", SECONDS + 1, "Alice Example", HUMAN))
    return home


AWAY: list[tuple[str, Callable[[Path], object]]] = [
    ("remote-damaged", lambda home: replaced(home / "remote" / "authority.json", b"{")),
    ("remote-damaged", lambda home: (home / "remote" / "bundle").unlink()),
    ("remote-damaged", lambda home: replaced(home / "remote" / "session", b"{}")),
    ("login-missing", lambda home: (home / "remote" / "session").unlink()),
    ("login-over", lambda home: remote.write_login(home, remote.Login("secret-cookie", SECONDS, "Alice", HUMAN))),
    ("authority-unpinned", lambda home: shutil.rmtree(home / homes.PINNED)),
]


def test_a_whole_authority_elsewhere_has_no_troubles(world: World) -> None:
    found = look_remote.look(enrols_elsewhere(world), {}, NOW)
    assert (found.troubles, found.present, found.bundle_issued_at) == ((), True, SECONDS)


@pytest.mark.parametrize(("code", "damage"), AWAY, ids=[f"{i} {code}" for i, (code, _) in enumerate(AWAY)])
def test_each_trouble_with_an_authority_elsewhere_is_told_once(
    world: World, code: str, damage: Callable[[Path], object]
) -> None:
    home = enrols_elsewhere(world)
    damage(home)
    (trouble,) = look_remote.look(home, {}, NOW).troubles
    assert trouble.code == code
    assert trouble.remedy
    assert "secret-cookie" not in str(trouble)


def test_a_job_with_a_proof_of_its_own_needs_no_login(world: World) -> None:
    home = enrols_elsewhere(world)
    remote.forget_login(home)
    assert look_remote.look(home, {"NOTME_ID_TOKEN": "token"}, NOW).troubles == ()


def test_keys_of_another_user_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    authority, _ = look(world)
    assert [trouble.code for trouble in authority.troubles] == ["authority-key-owner"]


def test_a_key_that_may_not_be_read_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read anything, so the refusal is made up."""

    def load(*_: object) -> bytes:
        raise UnavailableError("Permission denied")

    monkeypatch.setattr(FileKeys, "load", load)
    monkeypatch.setattr(os, "access", lambda *_: False)
    authority, _ = look(world)
    assert {trouble.code for trouble in authority.troubles} == {"authority-key-unreadable"}
    assert authority.troubles[0].command == f"chmod u+r {key_file(world)}"


def test_a_home_without_an_authority_is_said(tmp_path: Path) -> None:
    authority, ssh = look_authority.look(tmp_path, Git((2, 47), ()), Key(), {}, tmp_path)
    assert (authority.present, ssh) == (False, Ssh())
    assert found(replace(healthy(), authority=authority)) == ["authority-missing"]


def test_looking_writes_nothing(world: World) -> None:
    def files() -> dict[Path, int]:
        # SQLite has its own files beside the database while it is open.
        kept = (p for p in world.home.rglob("*") if p.is_file() and "authority.db" not in p.name)
        return {path: path.stat().st_mtime_ns for path in kept}

    before = files()
    look(world)
    assert files() == before


# -- files for SSH


def ssh_git(world: World, **values: str) -> Git:
    """As `setup --format ssh` leaves it, with the two files written."""
    with embedded.opened(world.home) as authority:
        key, allowed = sshfiles.write(world.home, authority, AGENT)
    found = {"gpg.format": "ssh", "user.signingkey": str(key), "gpg.ssh.allowedSignersFile": str(allowed)} | values
    return Git((2, 47), settings(found))


def test_files_that_follow_the_authority_are_not_stale(world: World) -> None:
    assert look(world, git=ssh_git(world))[1] == Ssh()


def test_a_new_epoch_makes_both_files_stale_and_fix_writes_them(world: World) -> None:
    git = ssh_git(world)
    world.tick(hours=1)
    world.rotate()
    authority, ssh = look(world, git=git)
    assert set(ssh.stale) == {s.value for s in git.every("user.signingkey", "gpg.ssh.allowedSignersFile")}
    facts = replace(healthy("ssh"), home=world.home, git=git, ssh=ssh, authority=authority)
    finding = Finding("ssh-files-stale", "", "", fix=Fix.SSH_FILES)
    assert fix.apply(facts, [finding], python="/usr/bin/python3") == ["ssh-files-stale"]
    assert look(world, git=git)[1].stale == ()


def test_a_key_file_that_is_gone_is_written_again(world: World) -> None:
    git = ssh_git(world)
    key = Path(git.value("user.signingkey"))
    key.unlink()
    authority, ssh = look(world, git=git)
    assert ssh.stale == (str(key),)
    facts = replace(healthy("ssh"), home=world.home, git=git, ssh=ssh, authority=authority)
    fix.apply(facts, [Finding("ssh-files-stale", "", "", fix=Fix.SSH_FILES)], python="/usr/bin/python3")
    assert key.read_text().split()[2] == f"notme:{AGENT}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "foreign"),
        ("# {line}", "foreign"),
        ("{address} {key}", "foreign"),
        ("bob@example.net ssh-ed25519 AAAA\n{line}", "named"),
    ],
)
def test_the_users_own_file_names_the_authority_or_not(world: World, tmp_path: Path, content: str, said: str) -> None:
    ssh_git(world)
    line = sshfiles.allowed_signers_file(world.home).read_text().strip()
    file = tmp_path / "signers"
    file.write_text(content.format(line=line, key=" ".join(line.split()[2:4]), address=world.address()))
    git = ssh_git(world, **{"gpg.ssh.allowedSignersFile": "~/signers"})
    assert look(world, git=git, environ={"HOME": str(tmp_path)})[1].allowed == said


def test_the_end_of_a_certificate_is_read_from_its_file(world: World) -> None:
    credential = world.credential()
    assert credential.ssh_certificate is not None
    file = agent_setting.certificate_file(world.home, AGENT)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(sshwire.line(sshcert.TYPE, credential.ssh_certificate))
    git = Git((2, 47), settings({"gpg.format": "ssh", "user.signingkey": str(file)}))
    key = Key(path=str(file))
    until = look_authority.look(world.home, git, key, {}, Path("/"))[1].certificate_until
    assert until == sshcert.parse(credential.ssh_certificate).valid_before
    file.write_bytes(b"no certificate\n")
    assert look_authority.look(world.home, git, key, {}, Path("/"))[1].certificate_until is None


# -- programs and key files


def executable(path: Path, text: bytes = b"#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("python", ["/nowhere/python", "/nowhere/with a blank/python"])
def test_the_python_of_the_shims_is_looked_for(tmp_path: Path, python: str) -> None:
    shimfile.install(tmp_path, python)
    assert look_files.shims(tmp_path, python) == Shims(python=python, python_runs=False)


def test_missing_and_stale_shims_are_told_apart_and_fix_writes_both(tmp_path: Path) -> None:
    python = str(executable(tmp_path / "python"))
    shimfile.install(tmp_path, python)
    (tmp_path / "bin" / "notme-ssh").unlink()
    (tmp_path / "bin" / "notme-x509").write_bytes(b"#!/bin/sh\n")
    assert look_files.shims(tmp_path, python) == Shims(("notme-ssh",), ("notme-x509",), python)
    fix.apply(replace(healthy(), home=tmp_path), [Finding("shim-missing", "", "", fix=Fix.SHIMS)], python=python)
    assert look_files.shims(tmp_path, python) == Shims(python=python)


def test_a_home_without_programs_is_not_asked_for_any(tmp_path: Path) -> None:
    assert look_files.shims(tmp_path, "/usr/bin/python3") == Shims()


def test_a_program_is_found_as_git_finds_it(tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "gpgsm")
    environ = {"PATH": f"relative:{tmp_path / 'bin'}", "HOME": str(tmp_path)}

    def program(name: str) -> Program:
        values = {"gpg.format": "X509"} | ({"gpg.x509.program": name} if name else {})
        return look_files.program(Git((2, 47), settings(values)), environ, tmp_path)

    assert program("") == Program("gpgsm", str(tmp_path / "bin" / "gpgsm"))
    assert program("~/bin/gpgsm").path == str(tmp_path / "bin" / "gpgsm")
    (tmp_path / "bin" / "gpgsm").chmod(0o644)
    name = str(tmp_path / "bin" / "gpgsm")
    assert program(name) == Program(name, name, exists=True, executable=False)
    assert program("") == Program("gpgsm", "", exists=False, executable=False)
    assert program("/gone") == Program("/gone", "/gone", exists=False, executable=False)
    shimfile.install(tmp_path, "/usr/bin/python3")
    assert program("bin/notme-x509").shim


@pytest.mark.parametrize(
    ("content", "problem", "named"),
    [
        (None, "missing", ""),
        (b"", "empty", ""),
        (b"ssh-ed25519 AAAA alice@host\n", "", ""),
        (b"ssh-ed25519 AAAA notme:codex\n", "", "notme:codex"),
    ],
)
def test_a_key_file_is_looked_at(tmp_path: Path, content: bytes | None, problem: str, named: str) -> None:
    if content is not None:
        (tmp_path / "id.pub").write_bytes(content)
    key = look_files.key(
        Git((2, 47), settings({"gpg.format": "ssh", "user.signingkey": "~/id.pub"})), {"HOME": str(tmp_path)}, Path("/")
    )
    assert (key.problem, key.path) == (problem, str(tmp_path / "id.pub"))
    assert key.named == named


def test_a_folder_or_pipe_is_no_key_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path, tmp_path / "pipe"):
        git = Git((2, 47), settings({"gpg.format": "ssh", "user.signingkey": str(name)}))
        assert look_files.key(git, {}, tmp_path).problem == "unreadable"


# -- the daemon's socket


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a short name: a socket's path may have 103 bytes (design D16)."""
    return tmp_path_factory.mktemp("h")


@pytest.fixture
def listening(home: Path) -> Iterator[socket.socket]:
    """A home whose address names a socket at which somebody listens and says nothing."""
    folder = place.folder(home)
    folder.mkdir(mode=0o700)
    listener = place.listen(folder / "sock")
    listener.setblocking(True)
    place.publish(home, folder / "sock")
    with listener:
        yield listener


def test_nobody_at_the_address_is_dead_and_fix_forgets_it(home: Path, listening: socket.socket) -> None:
    listening.close()
    daemon = look_daemon.look(home, {}, version="1")
    assert (daemon.state, daemon.folder_bad, daemon.runtime_dir) == ("dead", False, "unset")
    facts = replace(healthy(), home=home, daemon=daemon)
    fix.apply(facts, [Finding("daemon-dead", "", "", fix=Fix.ADDRESS)], python="/usr/bin/python3")
    assert sorted(file.name for file in place.folder(home).iterdir()) == ["lock"]
    assert look_daemon.look(home, {}, version="1").state == "none"


def test_fix_removes_no_file_that_an_address_names_and_that_is_no_socket(home: Path) -> None:
    precious = home / "precious"
    precious.write_text("x")
    place.folder(home).mkdir(mode=0o700)
    place.publish(home, precious)
    daemon = look_daemon.look(home, {}, version="1")
    assert daemon.state == "dead"
    facts = replace(healthy(), home=home, daemon=daemon)
    fix.apply(facts, [Finding("daemon-dead", "", "", fix=Fix.ADDRESS)], python="/usr/bin/python3")
    assert precious.read_text() == "x"
    assert not (place.folder(home) / "address").exists()


def test_who_hangs_up_is_silent(home: Path, listening: socket.socket) -> None:
    def hang_up() -> None:
        for _ in range(2):
            listening.accept()[0].close()

    helper = threading.Thread(target=hang_up, daemon=True)
    helper.start()
    assert look_daemon.look(home, {}, version="1").state == "silent"


def test_open_modes_of_socket_and_folder_are_seen(home: Path, listening: socket.socket) -> None:
    listening.close()
    sock = place.folder(home) / "sock"
    sock.chmod(0o666)
    place.folder(home).chmod(0o755)
    daemon = look_daemon.look(home, {"XDG_RUNTIME_DIR": str(place.folder(home))}, version="1")
    assert (daemon.socket_open, daemon.folder_bad, daemon.runtime_dir) == (True, True, "open")


def test_a_squatted_runtime_folder_is_seen_before_any_daemon_runs(home: Path) -> None:
    runtime = home / "run"
    runtime.mkdir(mode=0o700)
    (runtime / f"notme-git-{place.name(home)}").mkdir(mode=0o777)
    (runtime / f"notme-git-{place.name(home)}").chmod(0o777)
    daemon = look_daemon.look(home, {"XDG_RUNTIME_DIR": str(runtime)}, version="1")
    assert (daemon.state, daemon.folder_bad, daemon.runtime_dir) == ("none", True, "private")


def test_a_place_where_no_folder_can_be_made_is_seen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not look_daemon.look(home / "not there yet", {}, version="1").folder_blocked
    (home / "file").write_bytes(b"")
    assert look_daemon.look(home / "file" / "home", {}, version="1").folder_blocked
    long = home / ("x" * 100)
    assert not look_daemon.look(long, {}, version="1").folder_blocked
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != Path("/tmp"))  # read only
    daemon = look_daemon.look(long, {}, version="1")
    assert (daemon.folder_blocked, Path(daemon.folder).parent) == (True, Path("/tmp"))
    runtime = home / "run"
    runtime.mkdir(mode=0o700)
    assert not look_daemon.look(home, {"XDG_RUNTIME_DIR": str(runtime)}, version="1").folder_blocked


def test_another_users_socket_is_foreign_and_gets_no_byte(
    home: Path, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notme_git.daemon.client.peer", lambda _: (os.getuid() + 1, 1))
    assert look_daemon.look(home, {}, version="1").state == "foreign"
    connection, _ = listening.accept()
    assert connection.recv(1) == b""
    connection.close()


def test_a_folder_that_is_not_there_is_a_matter_of_usage(tmp_path: Path) -> None:
    from notme_git.doctor.gather import gather

    with pytest.raises(UsageError, match="is no folder"):
        gather(tmp_path, {}, directory=tmp_path / "none", python="", pid=1, at=NOW)
