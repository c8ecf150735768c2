"""`notme-git run`: one command and everything it starts acts as an agent, and no file says so.

The repository's own configuration signs with the human's SSH key. Judges are git and `notme-attest`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attest import home
from attest.gitobject import SignatureFormat
from attest.profile import Profile
from notme_git import sign
from notme_git.authority import grants
from notme_git.authority.embedded import opened
from notme_git.enroll import local
from tests.compat import humans
from tests.compat.conftest import AGENT, KEY, SCRIPTS, SECONDS, SUMMARY, Done, Sandbox, failed, without_daemon
from tests.compat.terminal import conversation
from tests.forge import attach
from tests.peers import peer

COMMIT = "git commit -q --allow-empty -m"
ONE = "git commit --allow-empty -m x"
NO_PROCESS = 2**22 - 2
"""Above what Linux gives out without being told to."""


@pytest.fixture
def human(sandbox: Sandbox) -> Sandbox:
    return humans.signing_with_ssh(sandbox)


@pytest.fixture(params=["daemon", "in process"])
def either_way(request: pytest.FixtureRequest, human: Sandbox) -> Sandbox:
    """With a daemon, and where none can be had."""
    return human if request.param == "daemon" else without_daemon(human)


def run(sandbox: Sandbox, script: str, *options: str | Path, agent: str = AGENT, **more: Any) -> Done:
    """`notme-git run --agent AGENT OPTIONS -- bash -c SCRIPT`."""
    named = ("--agent", agent) if agent else ()
    return sandbox.notme("run", *named, *options, "--", peer("bash"), "-c", script, **more)


def report(done: Done) -> Any:
    """What `--json` printed after everything that the command printed."""
    return json.loads(done.err[done.err.index("{\n") :])


def sessions(sandbox: Sandbox) -> Any:
    return sandbox.notme("sessions", "--json").json


def git_here(sandbox: Sandbox) -> dict[str, str]:
    """An environment in which git verifies with us, without a configuration that says so."""
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "gpg.x509.program", "GIT_CONFIG_VALUE_0": str(sandbox.shim)}


# -- whose commit it is


def test_a_commit_is_the_agents_where_the_configuration_signs_with_the_humans_key(either_way: Sandbox) -> None:
    sandbox = either_way
    sandbox.commit("before")
    before = humans.configuration(sandbox)
    done = run(sandbox, ONE + " && git log -1 --format='%G? %GS%n%an <%ae>%n%cn <%ce>'", "--task", "fix the parser")
    agent = f"{AGENT} <{sandbox.verdict()['identity']['actor']['email']}>"
    assert done.text.splitlines()[-3:] == [f"G {SUMMARY}", agent, agent]
    assert humans.configuration(sandbox) == before
    assert sandbox.verdict()["outcome"] == "accepted"
    assert sandbox.verdict()["identity"]["representedPrincipal"]["email"] == humans.EMAIL
    session = sessions(sandbox)[0]
    content = humans.signature(sandbox)
    assert session["id"].encode() in content
    assert hashlib.sha256(b"fix the parser").digest() in content
    sandbox.commit("after")
    assert sandbox.shows() == f"G {humans.EMAIL}"


def test_the_humans_global_configuration_does_not_count_either(human: Sandbox) -> None:
    for key, value in (("user.signingkey", "/gone"), ("gpg.x509.program", "/bin/false"), ("author.name", "Nobody")):
        human.git("config", "--global", key, value)
    before = humans.configuration(human)
    run(human, ONE)
    assert humans.configuration(human) == before
    assert human.verdict()["outcome"] == "accepted"


def test_everything_that_signs_signs_as_the_agent(human: Sandbox) -> None:
    server = human.root / "server.git"
    human.git("init", "-q", "--bare", server)
    human.git("config", "receive.certNonceSeed", "x", cwd=server)
    human.commit("base")
    script = f"""set -e
        git branch topic; {COMMIT} one; git checkout -q topic; {COMMIT} two
        git rebase -q --force-rebase main; {COMMIT} three
        git checkout -q main; {COMMIT} four; git merge -q --no-edit topic
        git tag -s -m t v1
        git push -q --signed {shlex.quote(str(server))} main
        git log --format='%G? %s' HEAD; git verify-tag v1"""
    done = run(human, script, "--json")
    shown = done.text.splitlines()
    assert [line for line in shown if not line.startswith("G ")] == []
    assert {line.split()[-1] for line in shown} >= {"one", "two", "three", "four", "base"}
    kinds = [entry["kind"] for entry in report(done)["signed"]]
    assert kinds[-2:] == ["tag", "push-certificate"], kinds
    assert (report(done)["unsigned"], report(done)["otherwiseSigned"]) == ([], [])
    for rev in ("v1", "HEAD", "HEAD^2", "HEAD^2^"):
        assert human.verdict(rev)["outcome"] == "accepted"


def test_ssh_certificates_sign_as_well(either_way: Sandbox) -> None:
    before = humans.configuration(either_way)
    done = run(either_way, ONE + " && git log -1 --format='%G? %GS'", "--format", "ssh", "--task", "t")
    assert done.text.splitlines()[-1].startswith(f"G {AGENT}")
    assert humans.configuration(either_way) == before
    raw = either_way.git("cat-file", "commit", "HEAD").text
    assert "BEGIN SSH SIGNATURE" in raw
    assert either_way.verdict()["outcome"] == "accepted"
    content = humans.signature(either_way)
    assert sessions(either_way)[0]["id"].encode() in content
    assert hashlib.sha256(b"t").digest() in content


def test_a_configuration_in_the_environment_is_appended_to(human: Sandbox) -> None:
    theirs = {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "alice.own", "GIT_CONFIG_VALUE_0": "kept",
              "GIT_CONFIG_KEY_1": "user.signingkey", "GIT_CONFIG_VALUE_1": "hers"}  # fmt: skip
    done = run(human, f"{ONE} && git config alice.own && git config user.signingkey", environ=theirs)
    assert done.text.splitlines()[-2:] == ["kept", KEY]
    assert human.verdict()["outcome"] == "accepted"


@pytest.mark.parametrize("count", ["-1", "two", "1e3", "99999999999999999999"])
def test_a_broken_count_is_a_usage_error_and_nothing_runs(human: Sandbox, count: str) -> None:
    done = run(human, "touch ran", environ={"GIT_CONFIG_COUNT": count}, status=64)
    assert "GIT_CONFIG_COUNT" in done.err
    assert not (human.repo / "ran").exists()


# -- which processes belong to it


WAYS = {
    "a script in a script": f"bash -c {shlex.quote(f'sh -c {shlex.quote(ONE)}')}",
    "in the background": f"{{ {ONE}; }} & wait",
    "in a session of its own": f"setsid --wait {ONE}",
    "left by its parent": f"( setsid bash -c '{ONE}; touch done' & ) ; until [ -e done ]; do sleep 0.02; done",
    "left by its grandparent": f"( ( ( {ONE}; touch done ) & ) & ) ; until [ -e done ]; do sleep 0.02; done",
}


@pytest.mark.parametrize("way", WAYS)
def test_whatever_the_command_starts_belongs_to_the_session(human: Sandbox, way: str) -> None:
    done = run(human, WAYS[way], "--json")
    assert [entry["object"] for entry in report(done)["signed"]] == [human.rev("HEAD")]
    assert sessions(human)[0]["id"].encode() in humans.signature(human)


def test_a_process_far_down_belongs_to_it_and_cannot_dig_itself_out(human: Sandbox) -> None:
    humans.with_another_agent(human)
    script = human.root / "nested"
    script.write_text('[ "$1" = 0 ] && { shift; "$@"; exit; }\nn=$(($1 - 1)); shift\nsh "$0" $n "$@"; exit $?\n')
    down = f"sh {shlex.quote(str(script))} 150"
    run(human, f"{down} {ONE}")
    assert sessions(human)[0]["id"].encode() in humans.signature(human)
    done = run(human, f"unset NOTME_SESSION; {down} git -c user.signingkey=notme:codex {ONE[4:]}", status=128)
    assert "was asked to sign as codex" in done.err


def test_a_daemonised_process_belongs_to_it_without_a_daemon(human: Sandbox) -> None:
    done = run(without_daemon(human), WAYS["left by its parent"], "--json")
    assert len(report(done)["signed"]) == 1


def test_a_process_whose_environment_forgot_the_session_still_belongs_to_it(human: Sandbox) -> None:
    done = run(human, f"unset NOTME_SESSION NOTME_SOCKET NOTME_AGENT; {ONE}", "--json")
    assert len(report(done)["signed"]) == 1
    assert sessions(human)[0]["id"].encode() in humans.signature(human)


def test_a_session_in_a_session_signs_for_the_inner_one(human: Sandbox) -> None:
    inner = f"{shlex.quote(str(SCRIPTS / 'notme-git'))} run --agent {AGENT} --task inner -- {ONE}"
    run(human, f"{inner} && {COMMIT} outer")
    by_task = {bool(s["taskSha256"]): [e["object"] for e in s["signed"]] for s in sessions(human)}
    assert by_task == {True: [human.rev("HEAD~1")], False: [human.rev("HEAD")]}


@pytest.mark.parametrize("removed", ["", "unset NOTME_SESSION NOTME_AGENT; "], ids=["as it is", "forgotten"])
def test_a_process_of_a_session_cannot_sign_as_another_agent(either_way: Sandbox, removed: str) -> None:
    humans.with_another_agent(either_way)
    done = run(either_way, f"{removed}git -c user.signingkey=notme:codex commit -q --allow-empty -m x", status=128)
    assert f"acts as {AGENT}, and was asked to sign as codex" in done.err
    assert either_way.rev("HEAD") == ""


# -- what it says at the end


def test_an_unsigned_commit_is_warned_of(human: Sandbox) -> None:
    done = run(human, f"{COMMIT} good; git -c commit.gpgsign=false commit -q --allow-empty -m bad")
    assert f"warning: commit {human.rev('HEAD')} was made in this session without any signature" in done.err
    assert f"  commit {human.rev('HEAD~1')}" in done.err
    assert done.err.count("warning") == 1
    assert failed(human.verdict(status=1)) == [(2, "signature-missing")]


def test_attestations_and_notes_are_no_commits_that_want_a_signature(human: Sandbox) -> None:
    attest = f"{shlex.quote(str(SCRIPTS / 'notme-git'))} attest HEAD"
    assert "warning" not in run(human, f"{COMMIT} good; git notes add -m said; {attest}").err
    assert human.rev("refs/attestations/notme")


def test_an_unsigned_commit_that_was_left_behind_is_warned_of(human: Sandbox) -> None:
    human.commit("base")
    script = "git -c commit.gpgsign=false commit -q --allow-empty -m bad; git reset -q --hard HEAD~1"
    done = run(human, script, "--json")
    assert report(done)["unsigned"] == [human.rev("HEAD@{1}")]


def test_the_commit_with_which_git_begins_a_rebase_of_everything_is_not_warned_of(human: Sandbox) -> None:
    """It stays in the reflog alone; its like on a branch is one that somebody made."""
    script = f"{COMMIT} one; {COMMIT} two; git rebase -q --root --force-rebase"
    found = report(run(human, script, "--json"))
    assert (found["unsigned"], found["otherwiseSigned"], len(found["signed"])) == ([], [], 4)
    roots = human.git("rev-list", "--reflog", "--max-parents=0", "--format=x%B").text
    assert "x" in roots.splitlines(), "git made none, and the test shows nothing"
    made = "GIT_AUTHOR_NAME=another git commit-tree $(git hash-object -w -t tree /dev/null) </dev/null"
    found = report(run(human, f"git update-ref refs/heads/kept $({made})", "--json"))
    assert found["unsigned"] == [human.rev("kept")]


def test_a_commit_that_was_pushed_is_warned_of_and_what_was_fetched_is_not(human: Sandbox) -> None:
    server, other = human.root / "server.git", human.root / "other"
    human.commit("base")
    human.git("clone", "-q", "--bare", human.repo, server)
    human.git("clone", "-q", server, other)
    human.git("remote", "add", "origin", server)
    human.git("fetch", "-q", "origin")
    human.git("branch", "-q", "-u", "origin/main")
    theirs = f"git -C {shlex.quote(str(other))} -c user.name=B -c user.email=b@example.org"
    script = f"""set -e
        {theirs} -c commit.gpgsign=false -c committer.email=b@example.org commit -q --allow-empty -m theirs
        {theirs} push -q; git pull -q --rebase
        git -c commit.gpgsign=false commit -q --allow-empty -m ours; git push -q"""
    found = report(run(human, script, "--json"))
    assert human.git("log", "--format=%s").text.split() == ["ours", "theirs", "base"]
    assert found["unsigned"] == [human.rev("HEAD")]


BLINDING = {
    "a ref to nothing": f"echo {'1' * 40} >.git/refs/heads/missing",
    "a ref that is none": "echo x >.git/refs/heads/broken",
    "no reflog": "rm -rf .git/logs",
    "a pushed commit and a ref to nothing": (
        f"git update-ref refs/remotes/origin/main HEAD; echo {'1' * 40} >.git/refs/heads/missing"
    ),
    "a HEAD to nothing": f"echo {'1' * 40} >.git/HEAD",
    "a broken configuration": "echo '[' >>.git/config",
    "no repository": "mv .git elsewhere",
    "another's folder": "chown 65534 .git . 2>/dev/null || mv .git elsewhere",
    "a graft": "mkdir -p .git/info; git rev-parse HEAD HEAD~1 | sed 1q >.git/info/grafts",
    "a replacement": "git replace -f HEAD $(git rev-parse HEAD~1)",
    "a shallow end": "git rev-parse HEAD >.git/shallow",
    "a tip from before": "git update-ref refs/remotes/origin/main HEAD",
}


@pytest.mark.parametrize("how", BLINDING)
def test_a_session_cannot_blind_the_report_in_silence(human: Sandbox, how: str) -> None:
    """It warns of the commit, or says that it could not look."""
    human.commit("base")
    done = run(human, f"git -c commit.gpgsign=false commit -q --allow-empty -m bad; {BLINDING[how]}")
    assert ("without any signature" in done.err) != ("could not be looked at" in done.err)


def test_a_commit_with_the_humans_key_is_warned_of(human: Sandbox) -> None:
    key = shlex.quote(str(human.user / "id"))
    done = run(human, f"git -c gpg.format=ssh -c user.signingkey={key} commit -q --allow-empty -m x", "--json")
    assert (report(done)["otherwiseSigned"], report(done)["signed"]) == ([human.rev("HEAD")], [])
    again = run(human, f"git -c gpg.format=ssh -c user.signingkey={key} commit -q --allow-empty -m x")
    assert f"warning: commit {human.rev('HEAD')} was made in this session with another signature" in again.err


def test_commits_from_before_and_from_elsewhere_are_not_warned_of(human: Sandbox) -> None:
    human.unsigned("before")
    other = human.root / "other"
    human.git("clone", "-q", human.repo, other)
    human.unsigned("b", who="B <b@example.org>", cwd=other)
    human.git("remote", "add", "origin", other)
    done = run(human, "git fetch -q && git merge -q --ff-only origin/main", "--json")
    assert (report(done)["unsigned"], report(done)["otherwiseSigned"]) == ([], [])


def test_the_report_in_json_has_what_the_record_has(human: Sandbox) -> None:
    found = report(run(human, f"{ONE}; exit 3", "--json", "--task", "t", status=3))
    assert found["exitStatus"] == 3
    assert {key: found[key] for key in sessions(human)[0]} == sessions(human)[0]
    assert found["taskSha256"] == hashlib.sha256(b"t").hexdigest()
    assert [entry["object"] for entry in found["signed"]] == [human.rev("HEAD")]
    assert found["state"] == "ended"


def test_quiet_says_nothing(human: Sandbox) -> None:
    assert run(human, f"{COMMIT} x", "--quiet").err == ""


def test_a_task_may_be_in_a_file(human: Sandbox) -> None:
    task = human.root / "task"
    task.write_bytes(b"any \xff bytes\n")
    run(human, ONE, "--task-file", task)
    assert hashlib.sha256(b"any \xff bytes\n").digest() in humans.signature(human)
    assert sessions(human)[0]["taskSha256"] == hashlib.sha256(b"any \xff bytes\n").hexdigest()


@pytest.mark.parametrize(
    ("options", "status"),
    [(("--task", "t", "--task-file", "f"), 64), (("--task-file", "/nowhere/at/all"), 2), (("--at", "/x"), 64)],
)
def test_a_task_that_cannot_be_had_stops_the_command(human: Sandbox, options: tuple[str, ...], status: int) -> None:
    run(human, "touch ran", *options, status=status)
    assert not (human.repo / "ran").exists()
    assert sessions(human) == []


# -- whose session it is, when nobody says so


def test_the_agent_is_the_only_one_that_has_a_grant(human: Sandbox) -> None:
    run(human, ONE, agent="")
    assert human.verdict()["identity"]["actor"]["name"] == AGENT


def test_the_agent_is_the_one_whose_marks_are_there(human: Sandbox) -> None:
    humans.with_another_agent(human, "gemini-cli")
    run(human, ONE, agent="", environ={"GEMINI_CLI": "1"})
    assert human.verdict()["identity"]["actor"]["name"] == "gemini-cli"


def test_of_two_agents_one_has_to_be_named(human: Sandbox) -> None:
    humans.with_another_agent(human)
    done = run(human, "touch ran", agent="", status=64)
    assert f"granted are {AGENT}, codex" in done.err
    assert not (human.repo / "ran").exists()


def test_an_agent_without_a_grant_has_no_session(human: Sandbox) -> None:
    done = run(human, "touch ran", agent="codex", status=1)
    assert "no agent 'codex' has a grant" in done.err
    assert (sessions(human), (human.repo / "ran").exists()) == ([], False)


# -- how it ends


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("true",), 0),
        (("bash", "-c", "exit 7"), 7),
        (("bash", "-c", "kill -TERM $$"), 128 + signal.SIGTERM),
        (("bash", "-c", "kill -KILL $$"), 128 + signal.SIGKILL),
        (("no-such-program",), 127),
        (("/etc/hostname",), 126),
    ],
)
def test_it_exits_as_the_command_does(human: Sandbox, command: tuple[str, ...], status: int) -> None:
    human.notme("run", "--", *command, status=status)
    assert sessions(human)[0]["state"] == "ended"


def test_options_of_the_command_are_the_commands(human: Sandbox) -> None:
    assert human.notme("run", "printf", "%s", "--json").text == "--json"


COUNTING = """
import signal, sys, time
got = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, lambda n, _: got.append(n))
print("ready", flush=True)
while not got:
    time.sleep(0.01)
time.sleep(0.3)
print("got", *got, flush=True)
sys.exit(5)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_is_forwarded_once(human: Sandbox, number: signal.Signals) -> None:
    command: list[str | Path] = [SCRIPTS / "notme-git", "run", "--", sys.executable, "-c", COUNTING]
    with subprocess.Popen(command, cwd=human.repo, env=human.environ, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(number)
        assert running.stdout.readline() == f"got {int(number)}\n"
    assert running.returncode == 5
    assert sessions(human)[0]["state"] == "ended"


def test_control_c_on_a_terminal_reaches_the_command_once(human: Sandbox) -> None:
    # The first process of a terminal session makes the terminal its own by opening it (tty_ioctl(4)).
    own = ("sh", "-c", ': <"$(tty)"; trap : INT; "$@"; echo "status $?"', "sh")
    command = (*own, SCRIPTS / "notme-git", "run", "--", sys.executable, "-c", COUNTING)
    written = conversation(*command, told=[("ready\n", "\x03")], cwd=human.repo, environ=human.environ)
    assert f"got {int(signal.SIGINT)}\n" in written
    assert "status 5\n" in written


# -- sessions on record


def test_sessions_are_listed_and_shown(human: Sandbox) -> None:
    assert "no session yet" in human.notme("sessions").err
    run(human, ONE, "--task", "t")
    run(human, "true \x1b[31m\n\n  true")
    listed = human.notme("sessions").text
    first, second = sessions(human)
    header, *rows = listed.splitlines()
    assert header.split() == ["session", "state", "began", "agent", "signed", "command"]
    assert [row.split()[:2] + row.split()[4:5] for row in rows] == [
        [first["id"], "ended", "1"],
        [second["id"], "ended", "0"],
    ]
    assert rows[1].endswith("; true'")
    assert "\x1b" not in listed
    shown = human.notme("sessions", "show", first["id"][:8]).text
    for part in (AGENT, first["grant"], hashlib.sha256(b"t").hexdigest(), human.rev("HEAD"), str(human.repo)):
        assert part in shown
    assert human.notme("sessions", "show", first["id"], "--json").json == first
    human.notme("sessions", "show", "no such id", status=1)
    human.notme("sessions", "show", "", status=1)


def test_after_a_revocation_nothing_of_the_session_counts_and_before_it_everything(human: Sandbox) -> None:
    """A key that somebody kept from before does not help either."""
    # What was signed in the second of the revocation, or as close to it as clocks may differ, counts as before it.
    script = f"""{COMMIT} early; touch early; until [ -e go ]; do sleep 0.02; done
        notme-git sessions revoke "$NOTME_SESSION" --reason "it went astray" >/dev/null; sleep 2.1
        {COMMIT} late"""
    command: list[str | Path] = [SCRIPTS / "notme-git", "run", "--", peer("bash"), "-c", script]
    with subprocess.Popen(command, cwd=human.repo, env=human.environ, stderr=subprocess.PIPE, text=True) as running:
        wait_for(human.repo / "early")
        early, trusted = human.rev("HEAD"), home.read_trust(human.home)
        kept = credential(human, sessions(human)[0]["id"])
        (human.repo / "go").touch()
        assert running.stderr is not None
        said = running.stderr.read()
    assert running.returncode == 128
    assert "is revoked since" in said
    assert human.rev("HEAD") == early
    assert human.verdict("HEAD")["outcome"] == "accepted"
    payload = humans.payload(human)
    parsed, at = sign.parse(payload), datetime.now(UTC).replace(microsecond=0)
    made = sign.sign_payload(kept, trusted, parsed, form=SignatureFormat.X509, replaying=False, at=at)
    raw = attach(payload, made.armour)
    forged = human.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw).text
    assert failed(human.verdict(forged, status=1)) == [(6, "revoked")]


def credential(sandbox: Sandbox, session: str) -> local.Credential:
    """Key and certificate of a session's agent, as whoever reads the signing process's memory has them."""
    at = datetime.now(UTC).replace(microsecond=0)
    with opened(sandbox.home) as authority:
        grant = grants.select(authority.store.grants(), AGENT, scope=sign.SCOPE, at=at)
        anchors = home.read_trust(sandbox.home).anchors
        return local.enroll(authority, grant, Profile.NOTME, sign.SCOPE, anchors, at, session=session)


def test_a_session_whose_leader_was_killed_is_lost_and_gives_nothing(human: Sandbox) -> None:
    """Neither to what it left running, nor to whoever copied its environment."""
    script = f"""env -0 >environment; touch ready
        until [ -e go ]; do sleep 0.02; done
        {COMMIT} orphan 2>&1 | cat >said; echo ${{PIPESTATUS[0]}} >status; touch done"""
    command: list[str | Path] = [SCRIPTS / "notme-git", "run", "--", peer("bash"), "-c", script]
    with subprocess.Popen(command, cwd=human.repo, env=human.environ, stderr=subprocess.DEVNULL) as running:
        wait_for(human.repo / "ready")
        running.kill()
    assert sessions(human)[0]["state"] == "lost"
    (human.repo / "go").touch()
    wait_for(human.repo / "done")
    assert (human.repo / "status").read_text() == "128\n"
    assert "does not belong to the session" in (human.repo / "said").read_text()
    copied = environment_of(human.repo / "environment")
    done = human.commit(environ=copied, status=128)
    assert "does not belong to the session" in done.err
    assert human.rev("HEAD") == ""


def test_the_environment_of_a_session_that_ended_gives_nothing(either_way: Sandbox) -> None:
    run(either_way, "env -0 >environment")
    done = either_way.commit(environ=environment_of(either_way.repo / "environment"), status=128)
    assert "has ended" in done.err
    assert either_way.rev("HEAD") == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pid": NO_PROCESS}, "does not belong"),
        ({"pid_began": "1"}, "does not belong"),
        ({"surplus": 1}, "is not a record"),
    ],
)
def test_a_record_that_names_another_process_gives_nothing(
    human: Sandbox, change: Mapping[str, object], says: str
) -> None:
    """As after the process id was given to another process, or by a broken disk."""
    edit = f"""
import json, os, pathlib
path = pathlib.Path(os.environ["NOTME_HOME"], "sessions", os.environ["NOTME_SESSION"] + ".json")
path.write_text(json.dumps({{**json.loads(path.read_text()), **{dict(change)!r}}}))
"""
    script = f"{shlex.join([sys.executable, '-c', edit])}; {ONE} 2>&1 | cat >said; echo ${{PIPESTATUS[0]}} >status"
    human.notme("run", "--quiet", "--", peer("bash"), "-c", script)
    assert (human.repo / "status").read_text() == "128\n"
    assert says in (human.repo / "said").read_text()


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} did not come"
        time.sleep(0.01)


def environment_of(file: Path) -> dict[str, str]:
    """What `env -0` wrote."""
    pairs = (item.partition("=")[::2] for item in os.fsdecode(file.read_bytes()).split("\0") if item)
    return dict(pairs)
