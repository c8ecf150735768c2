"""The broker: all that a sandbox sees of us is one folder with a socket, and that signs what it may and nothing else.

The sandbox is bubblewrap's, with no network, no other processes and a file system of its own. Judges are git and
`notme-attest`, outside.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attest.errors import UnavailableError
from notme_git.daemon import client, place, protocol
from notme_git.daemon.protocol import Request
from notme_git.session.view import View
from tests.compat import humans
from tests.compat.conftest import AGENT, HUMAN, KEY, SCRIPTS, SECONDS, SUMMARY, Done, Sandbox
from tests.peers import peer

COMMIT = "git commit -q --allow-empty -m"
BROKERED = SUMMARY.replace("same-user", "sandboxed-broker")
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
PARENT = "1" * 40

SYSTEM = ("--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc", "--symlink", "usr/bin", "/bin", "--symlink",
          "usr/sbin", "/sbin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64")  # fmt: skip
EMPTY = ("--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev", "--dir", "/nowhere", "--unshare-all",
         "--die-with-parent", "--setenv", "HOME", "/nowhere", "--unsetenv", "XDG_RUNTIME_DIR")  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def bwrap() -> None:
    """Skip where no sandbox can be made: in a container without user namespaces."""
    program = peer("bubblewrap")
    done = subprocess.run([program, *SYSTEM, *EMPTY, "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"bubblewrap can make no sandbox here: {done.stderr.strip()}")


@pytest.fixture
def human(sandbox: Sandbox) -> Sandbox:
    """A repository that the human signs in with a key of their own, and has one commit in."""
    made = humans.signing_with_ssh(sandbox)
    made.commit("base")
    return made


def jail(sandbox: Sandbox, *more: str | Path) -> list[str]:
    """The command line of a sandbox in which the repository and the broker's folder are all there is of ours."""
    visible = ["--bind", str(sandbox.repo), str(sandbox.repo), "--chdir", str(sandbox.repo)]
    return [str(peer("bubblewrap")), *SYSTEM, *EMPTY, *visible, *map(str, more)]


def run(sandbox: Sandbox, script: str, *options: str | Path, more: tuple[str | Path, ...] = (), **rest: Any) -> Done:
    """`notme-git run --broker OPTIONS -- bwrap ... bash -c SCRIPT`."""
    start = 'folder=${NOTME_SOCKET%/*}; exec "$@" --bind "$folder" "$folder" bash -c "$0"'
    command: tuple[str | Path, ...] = (peer("bash"), "-c", start, script, *jail(sandbox, *more))
    return sandbox.notme("run", "--agent", AGENT, "--broker", *options, "--", *command, **rest)


def report(done: Done) -> Any:
    return json.loads(done.err[done.err.index("{\n") :])


# -- what it signs


def test_a_commit_from_a_sandbox_is_the_agents_and_says_so(human: Sandbox) -> None:
    before = humans.configuration(human)
    done = run(human, f"{COMMIT} x && git tag -s -m t v1 && git commit -q --amend --allow-empty -m y", "--json")
    assert humans.configuration(human) == before
    verdict = human.verdict()
    assert (verdict["outcome"], verdict["identity"]["assurance"]) == ("accepted", "sandboxed-broker")
    assert verdict["identity"]["actor"]["name"] == AGENT
    assert human.verdict("v1")["identity"]["assurance"] == "sandboxed-broker"
    human.git("config", "gpg.x509.program", str(human.shim))
    assert human.shows() == f"G {BROKERED}"
    found = report(done)
    assert found["broker"]
    assert [entry["kind"] for entry in found["signed"]] == ["commit", "tag", "commit"]
    assert found["id"].encode() in humans.signature(human)
    assert found["unsigned"] == []


def test_the_sandbox_sees_neither_keys_nor_daemon_nor_network(human: Sandbox) -> None:
    script = f"""ls {shlex.quote(str(human.home))} {shlex.quote(str(human.user))} 2>&1
        echo "$NOTME_HOME-$HOME"; ls /proc | grep -c '^[0-9]'; cat /proc/net/dev | grep -c eth
        find / -xdev \\( -name '*.pem' -path '*authority*' -o -name authority.db \\) 2>/dev/null
        find /tmp -type s; ls "${{NOTME_SOCKET%/*}}" """
    seen = run(human, script, status=0).text.splitlines()
    assert [line.endswith(": No such file or directory") for line in seen[:2]] == [True, True]
    assert seen[2] == "-/nowhere"
    assert int(seen[3]) <= 6
    assert seen[4] == "0"
    assert [line for line in seen[5:] if line.endswith("/sock")] == seen[5:6]
    assert seen[6:] == [f"{AGENT}.pub", "notme-ssh", "notme-x509", "sock"]


def test_a_sandbox_signs_ssh_certificates_as_well(human: Sandbox) -> None:
    run(human, f"{COMMIT} x", "--format", "ssh", "--task", "t")
    assert b"BEGIN SSH SIGNATURE" in human.git("cat-file", "commit", "HEAD").out
    verdict = human.verdict()
    assert (verdict["outcome"], verdict["identity"]["assurance"]) == ("accepted", "sandboxed-broker")


def test_a_repository_with_sha256_is_signed_in(sandbox: Sandbox) -> None:
    humans.signing_with_ssh(sandbox)
    (sandbox.repo / ".git").rename(sandbox.root / "old")
    sandbox.git("init", "-q", "-b", "main", "--object-format=sha256", ".")
    run(sandbox, f"{COMMIT} one && {COMMIT} two && git tag -s -m t v1")
    for rev in ("HEAD", "HEAD~1", "v1"):
        assert sandbox.verdict(rev)["object"]["format"] == "sha256"


def test_rebase_and_merge_work_in_a_sandbox(human: Sandbox) -> None:
    script = f"""set -e; git branch topic; {COMMIT} one; git checkout -q topic; {COMMIT} two
        git rebase -q --force-rebase main; {COMMIT} three; git checkout -q main; {COMMIT} four
        git merge -q --no-edit topic"""
    found = report(run(human, script, "--json"))
    assert found["unsigned"] == []
    assert human.verdict("HEAD^2~1")["outcome"] == "accepted"


# -- what it refuses, and says so where the agent reads


def refused(human: Sandbox, script: str, says: str, **rest: Any) -> None:
    """The script ends with git's own failure, HEAD stays, and stderr has the reason."""
    before = human.rev("HEAD")
    done = run(human, script, status=128, **rest)
    assert says in done.err
    assert human.rev("HEAD") == before


REFUSALS = {
    "another agent": ("git -c user.signingkey=notme:codex commit -q --allow-empty -m x", "was asked to sign as codex"),
    "the human's name": ("git -c user.signingkey=notme:alice commit -q --allow-empty -m x", "asked to sign as alice"),
    "a foreign author": (f"GIT_AUTHOR_EMAIL=eve@example.net {COMMIT} x", "author <eve@example.net>"),
    "a foreign committer": (f"GIT_COMMITTER_EMAIL=eve@example.net {COMMIT} x", "committer <eve@example.net>"),
    "a foreign author in a rebase that is none": (
        f"mkdir .git/rebase-merge; GIT_COMMITTER_EMAIL=eve@example.net {COMMIT} x",
        "committer <eve@example.net>",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_the_agents_stderr_has_the_reason_of_a_refusal(human: Sandbox, case: str) -> None:
    script, says = REFUSALS[case]
    humans.with_another_agent(human)
    refused(human, script, says)


def test_the_humans_own_key_is_not_signed_with(human: Sandbox) -> None:
    """A key that is not ours is for a program inside, and there is none."""
    script = "rm -f /usr/bin/gpgsm; git -c user.signingkey=0xABCD commit -q --allow-empty -m x"
    done = run(human, script, status=128)
    assert human.git("log", "-1", "--format=%s").text == "base"
    assert f"0 signatures as {AGENT}" in done.err


def test_a_commit_on_top_of_one_that_only_the_sandbox_has_is_refused(human: Sandbox) -> None:
    script = f"""mkdir /tmp/objects; export GIT_ALTERNATE_OBJECT_DIRECTORIES="$PWD/.git/objects"
        export GIT_OBJECT_DIRECTORY=/tmp/objects
        first=$(git commit-tree -S -p HEAD -m one {EMPTY_TREE}) && echo "$first"
        git commit-tree -S -p "$first" -m two {EMPTY_TREE}"""
    done = run(human, script, status=None)
    assert done.status != 0
    first = done.text.splitlines()[0]
    assert f"its parent {first} is no commit in" in done.err


def test_a_tag_of_what_only_the_sandbox_has_is_refused(human: Sandbox) -> None:
    script = """mkdir /tmp/objects; export GIT_ALTERNATE_OBJECT_DIRECTORIES="$PWD/.git/objects"
        export GIT_OBJECT_DIRECTORY=/tmp/objects; blob=$(echo x | git hash-object -w --stdin)
        git tag -s -m t v1 "$blob" """
    done = run(human, script, status=128)
    assert "its target" in done.err
    assert "is no blob in" in done.err


def test_a_revoked_grant_ends_the_brokers_signatures(human: Sandbox) -> None:
    """Whatever was signed before, and however long the credential in the broker's memory would have lived."""
    with brokered(human) as told:
        human.run(*inside(human, told, f"{COMMIT} one"))
        human.notme("grant", "revoke", AGENT)
        done = human.run(*inside(human, told, f"{COMMIT} two"), status=128)
    assert "revoked" in done.err
    assert human.git("log", "-1", "--format=%s").text == "one"


def test_an_expired_grant_ends_them_too(human: Sandbox) -> None:
    human.notme("grant", "revoke", AGENT)
    human.notme("grant", "add", AGENT, "--expires", "6s")
    with brokered(human) as told:
        human.run(*inside(human, told, f"{COMMIT} one"))
        time.sleep(6)
        done = human.run(*inside(human, told, f"{COMMIT} two"), status=128)
    assert "expired" in done.err
    assert human.git("log", "-1", "--format=%s").text == "one"


# -- started by hand, for a sandbox of somebody else's


@contextmanager
def brokered(sandbox: Sandbox, *options: str | Path) -> Iterator[Any]:
    """`notme-git broker --json OPTIONS`, running; gives what it printed."""
    command: list[str | Path] = [SCRIPTS / "notme-git", "broker", "--agent", AGENT, "--json", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=sandbox.repo, env=sandbox.environ, stdout=pipe, stderr=pipe, text=True
    ) as running:
        assert running.stdout is not None
        lines = []
        for line in running.stdout:
            lines.append(line)
            if line == "}\n":
                break
        told = json.loads("".join(lines) or "null")
        try:
            yield told
        finally:
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=SECONDS)


def inside(sandbox: Sandbox, told: Any, script: str) -> list[str]:
    """The command line of a sandbox with the broker's folder at its place and the environment of its file alone."""
    pairs = [line.split("=", 1) for line in (Path(told["folder"]) / "env").read_text().splitlines()]
    words = [word for name, value in pairs for word in ("--setenv", name, value)]
    return [*jail(sandbox, "--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", "/nowhere"), *words,
            "--bind", told["folder"], told["at"], "bash", "-c", script]  # fmt: skip


@pytest.mark.parametrize("form", ["x509", "ssh"])
def test_a_broker_started_by_hand_serves_at_another_path(human: Sandbox, form: str) -> None:
    with brokered(human, "--at", "/broker", "--format", form, "--task", "t") as told:
        assert told["at"] == "/broker"
        human.run(*inside(human, told, f"{COMMIT} x && git log -1 --format=%an"))
        assert stat_of(told["folder"]) == 0o700
        assert stat_of(f"{told['folder']}/sock") == 0o600
        assert human.verdict()["identity"]["assurance"] == "sandboxed-broker"
    assert not Path(told["folder"]).exists()
    session = human.notme("sessions", "--json").json[0]
    assert (session["state"], session["command"], len(session["signed"])) == ("ended", "broker", 1)


def stat_of(path: str) -> int:
    return os.stat(path).st_mode & 0o7777


def test_what_it_prints_names_folder_and_environment(human: Sandbox) -> None:
    command = ["timeout", "--signal=INT", "3", str(SCRIPTS / "notme-git"), "broker", "--at", "/b"]
    done = human.run(*command, status=None)
    folder = place.runtime_folder(human.home, human.environ)
    assert f"mount    {folder}/broker-" in done.text
    assert f"--env-file {folder}/broker-" in done.text
    assert "0 signatures" in done.err


def test_a_socket_that_is_gone_signs_nothing_and_nothing_else_does(human: Sandbox) -> None:
    """Not even where the home is visible in the sandbox, the keys with it."""
    everything = ("--bind", str(human.root), str(human.root))
    with brokered(human) as told:
        words = inside(human, told, "true")
        gone = [*words[:-3], *everything, "--setenv", "NOTME_HOME", str(human.home), "bash", "-c"]
        gone = [word if word != told["folder"] else str(human.root) for word in gone]
        script = f"ls {shlex.quote(str(human.keys))} && {COMMIT} x"
        before = human.rev("HEAD")
        done = human.run(*gone, script, status=128)
    assert "epoch-1-root.pem" in done.text
    assert human.rev("HEAD") == before


def test_a_broker_that_has_ended_signs_nothing(human: Sandbox) -> None:
    saved = human.root / "saved"
    with brokered(human) as told:
        human.run("cp", "-a", told["folder"], saved)
        words = inside(human, told, f"{COMMIT} x")
    words = [
        str(saved) if word == told["folder"] and words[i - 1] == "--bind" else word for i, word in enumerate(words)
    ]
    before = human.rev("HEAD")
    done = human.run(*words, status=128)
    assert "the broker outside this sandbox does not answer" in done.err
    assert human.rev("HEAD") == before


def test_the_capability_ends_with_the_leader_of_its_session_even_if_that_is_killed(human: Sandbox) -> None:
    with brokered(human) as told:
        path = f"{told['folder']}/sock"
        asked = signing(human, told)
        assert client.exchange(path, asked).status == 0
        session = json.loads((human.home / "sessions" / f"{told['session']}.json").read_bytes())
        os.kill(session["pid"], signal.SIGKILL)
        os.waitid(os.P_PID, session["pid"], os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(UnavailableError):  # it may be gone already
            assert client.exchange(path, asked).status == 1
        deadline = time.monotonic() + SECONDS
        while Path(told["folder"]).exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_only_a_unix_socket_listens(human: Sandbox) -> None:
    """Neither TCP, nor UDP, nor vsock; seen in the kernel's own list of the broker's descriptors."""
    with brokered(human) as told:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(f"{told['folder']}/sock")
            pid = client.peer(caller)[1]
            # With this connection in it, which may be gone from one list and not yet from the other.
            before = Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]
        names = [os.readlink(f) for f in Path(f"/proc/{pid}/fd").iterdir() if f.exists() or f.is_symlink()]
        held = {name[8:-1] for name in names if name.startswith("socket:[")}
        for table in ("tcp", "tcp6", "udp", "udp6", "raw", "packet"):
            listed = Path(f"/proc/{pid}/net/{table}")
            rows = listed.read_text().splitlines()[1:] if listed.exists() else []
            assert not [row for row in rows if held & set(row.split())], table
        unix = Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]
        ours = {row.split()[6] for row in (*before, *unix)} & held
        assert held == ours


# -- what reaches the socket without git


def test_it_answers_nothing_that_is_no_signature(human: Sandbox) -> None:
    verify = ("--status-fd=1", "--verify", "sig", "-")
    ssh_verify = ("-Y", "verify", "-n", "git", "-f", "allowed", "-I", "x", "-s", "sig", "-r", "revoked")
    with brokered(human) as told:
        path = f"{told['folder']}/sock"
        for request in (
            Request("control", ("status",)),
            Request("control", ("stop",)),
            Request("control", ("ssh-agent",)),
            Request("control", ("-bsau", KEY)),
            Request("gpgsm", verify, files={"sig": b"x"}),
            Request("gpgsm", ("-bsau", KEY, *verify), files={"sig": b"x"}),
            Request("ssh-keygen", (*ssh_verify, "-bsau"), files={"sig": b"x", "revoked": b"x"}),
            Request("ssh-keygen", ("-Y", "sign", *ssh_verify), files={"sig": b"x", "revoked": b"x"}),
            Request("ssh-keygen", ("-Y", "find-principals", "-s", "sig")),
            Request("ssh-keygen", ("-l", "-f", "key")),
            Request("gpgsm", ("--export-secret-keys",)),
            Request("", ()),
            Request("no-dialect", ("-bsau", KEY)),
        ):
            reply = client.exchange(path, request)
            assert reply.status == 1, request
            assert [where for where, _ in reply.events] == ["2"], request
            assert b"the broker only signs" in reply.events[0][1]
        assert client.exchange(path, signing(human, told)).status == 0


def signing(sandbox: Sandbox, told: Any, **lines: str) -> Request:
    """A request for a signature over the agent's commit with these lines changed."""
    who = f"{AGENT} <{told['env']['GIT_AUTHOR_EMAIL']}> 1795442172 +0000"
    found = {"tree": EMPTY_TREE, "parent": sandbox.rev("HEAD"), "author": who, "committer": who, **lines}
    payload = "".join(f"{name} {value}\n" for name, value in found.items() if value) + "\nsubject\n"
    return Request("gpgsm", ("--status-fd=2", "-bsau", KEY), stdin=payload.encode(), cwd="/")


def test_what_a_commit_builds_on_has_to_be_a_commit_that_the_broker_sees(human: Sandbox) -> None:
    blob = human.git("hash-object", "-w", "--stdin", stdin=b"x").text
    tree = human.rev("HEAD^{tree}")
    with brokered(human) as told:
        path = f"{told['folder']}/sock"
        for parent in (PARENT, blob, tree):
            reply = client.exchange(path, signing(human, told, parent=parent))
            assert reply.status == 1
            assert f"its parent {parent} is no commit".encode() in reply.events[0][1]
        second = signing(human, told, parent=f"{human.rev('HEAD')}\nparent {blob}")
        assert client.exchange(path, second).status == 1
        assert client.exchange(path, signing(human, told, parent="")).status == 0


@pytest.mark.parametrize("payload", [b"", b"any text\n", b"tree \n\n", b"From: alice@example.org\n\nHello\n"])
def test_what_is_no_commit_is_not_signed(human: Sandbox, payload: bytes) -> None:
    with brokered(human) as told:
        asked = Request("gpgsm", ("--status-fd=2", "-bsau", KEY), stdin=payload)
        reply = client.exchange(f"{told['folder']}/sock", asked)
    assert reply.status == 1
    assert b"nothing else is signed" in reply.events[0][1]


def test_environment_and_folder_that_the_sandbox_tells_count_for_nothing(human: Sandbox) -> None:
    """They would say that this is a rebase, which may keep a foreign author."""
    fake = human.root / "fake" / ".git" / "rebase-merge"
    fake.mkdir(parents=True)
    with brokered(human) as told:
        asked = signing(human, told, author="Eve <eve@example.net> 1795442172 +0000")
        told_so = {"GIT_REFLOG_ACTION": "rebase", "GIT_DIR": str(fake.parent), "NOTME_SESSION": "0" * 32}
        asked = Request(asked.dialect, asked.argv, told_so, str(fake.parent.parent), asked.stdin)
        reply = client.exchange(f"{told['folder']}/sock", asked)
    assert reply.status == 1
    assert b"author <eve@example.net>" in reply.events[0][1]


AS_NOBODY = """
import os, socket, sys
folder = os.open(sys.argv[1], os.O_PATH)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
caller = socket.socket(socket.AF_UNIX)
caller.connect(f"/proc/self/fd/{folder}/sock")
caller.sendall(b"\\1\\0\\0\\0\\1x")
sys.stdout.buffer.write(caller.recv(4096))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("allowed", [False, True])
def test_another_user_is_answered_only_where_that_was_allowed(human: Sandbox, allowed: bool) -> None:
    options = ("--allow-uid", "65534") if allowed else ()
    with brokered(human, *options) as told:
        done = human.run("/usr/bin/python3", "-c", AS_NOBODY, told["folder"], status=None)
    assert (b"a message of the daemon's protocol is cut off" in done.out) == allowed, done


def test_messages_of_an_ssh_agent_and_broken_ones_end_the_connection(human: Sandbox) -> None:
    with brokered(human) as told:
        path = f"{told['folder']}/sock"
        for message in (b"\x00\x00\x00\x01\x0b", b"\xff" * 64, b"\x01\xff\xff\xff\xff", b"\x02\x00\x00\x00\x00"):
            with socket.socket(socket.AF_UNIX) as caller:
                caller.settimeout(SECONDS)
                caller.connect(path)
                caller.sendall(message)
                assert caller.recv(64) == b""
        for body in (b"", b"\x00\x00\x00\xffx", protocol.pack([b"a"] * 9)):
            with socket.socket(socket.AF_UNIX) as caller:
                caller.settimeout(SECONDS)
                caller.connect(path)
                caller.sendall(bytes([protocol.VERSION]) + len(body).to_bytes(4, "big") + body)
                assert b"notme-git: a message" in caller.recv(4096)
        assert client.exchange(path, signing(human, told)).status == 0


def test_there_is_no_broker_after_its_session(human: Sandbox) -> None:
    done = run(human, 'echo "$NOTME_SOCKET"')
    path = done.text
    assert path.endswith("/sock")
    assert not Path(path).parent.exists()
    with pytest.raises(UnavailableError):
        client.exchange(path, Request("gpgsm", ("-bsau", KEY)))


def test_a_repository_that_is_none_is_refused_before_anything_runs(human: Sandbox) -> None:
    (human.root / "empty").mkdir()
    done = human.notme("run", "--broker", "--repo", human.root / "empty", "--", "touch", "ran", status=2)
    assert "git cannot look into" in done.err
    assert not (human.repo / "ran").exists()
    assert human.notme("sessions", "--json").json[0]["state"] == "ended"


# -- a repository that the sandbox turned against us


CLONE = "git config extensions.partialClone origin; git config core.repositoryFormatVersion 1; git config "
TRAPS = {
    "fsmonitor": ("git config core.fsmonitor {trap}", "git status"),
    "an include": ("printf '[core]\\n\\tfsmonitor = {trap}\\n' >.git/more; git config include.path more", "git status"),
    "hooks": (
        "for h in post-index-change reference-transaction post-commit; do ln -sf {trap} .git/hooks/$h; done",
        "git update-ref refs/heads/new HEAD",
    ),
    "a partial clone": (
        f"{CLONE} remote.origin.promisor true; git config remote.origin.url {{folder}}; "
        "git config remote.origin.uploadpack {trap}",
        f"git cat-file -t {PARENT}",
    ),
    "a partial clone over ext": (
        f"{CLONE} remote.origin.promisor true; git config remote.origin.url 'ext::{{trap}}'; "
        "git config protocol.ext.allow always",
        f"git cat-file -t {PARENT}",
    ),
    "alternates": (
        "echo {folder} >.git/objects/info/alternates; git config core.alternateRefsCommand {trap}",
        "git init -q ../clone; echo {folder}/.git/objects >../clone/.git/objects/info/alternates; "
        "git -C ../clone -c core.alternateRefsCommand={trap} rev-list --alternate-refs",
    ),
    "programs": (
        "for k in gpg.program gpg.x509.program gpg.ssh.program core.pager core.sshCommand diff.external; "
        "do git config $k {trap}; done; git config log.showSignature true",
        "git log -1 base",
    ),
    "a git folder elsewhere": (
        'mv .git elsewhere; git --git-dir=elsewhere config core.fsmonitor {trap}; echo "gitdir: $PWD/elsewhere" >.git',
        "git status",
    ),
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_repository_that_the_sandbox_turned_against_us_runs_nothing_outside(human: Sandbox, name: str) -> None:
    """Neither when the session ends, nor when the next begins. The last lines see to it that the trap is one."""
    trap, sprung = human.root.parent / "trap", human.root.parent / "sprung"
    trap.write_text(f"#!/bin/sh\ntouch {sprung}\nexit 1\n")
    trap.chmod(0o755)
    human.git("tag", "base")
    evil, control = (text.format(trap=trap, folder=shlex.quote(str(human.repo))) for text in TRAPS[name])
    run(human, f"{COMMIT} x; echo {PARENT} >.git/refs/heads/missing; {evil}", status=None)
    run(human, f"{COMMIT} y", status=None)
    with brokered(human) as told:
        assert client.exchange(f"{told['folder']}/sock", signing(human, told, parent=PARENT)).status == 1
    assert not sprung.exists()
    human.run(peer("bash"), "-c", f"rm -f */refs/heads/missing .git/refs/heads/missing; {control}", status=None)
    assert sprung.exists()


# -- what lies outside of the home is a sandbox's to change


def test_what_decides_what_git_runs_lies_in_the_home_alone_and_goes_with_the_broker(human: Sandbox) -> None:
    """In a temporary folder a sandbox that shares it could configure the broker's own repositories."""
    temporary = human.root / "temporary"
    temporary.mkdir()
    human.environ["TMPDIR"] = str(temporary)
    with brokered(human) as told:
        assert client.exchange(f"{told['folder']}/sock", signing(human, told)).status == 0
        assert list(temporary.iterdir()) == []
        [scratch] = (human.home / "daemon").glob("view-*")
        assert [stat_of(str(place)) for place in (scratch, scratch.parent)] == [0o700, 0o700]
    assert list((human.home / "daemon").glob("view-*")) == []


def test_what_a_killed_broker_left_is_removed_by_the_next_and_what_another_uses_is_not(human: Sandbox) -> None:
    with brokered(human) as told:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(f"{told['folder']}/sock")
            os.kill(client.peer(caller)[1], signal.SIGKILL)
            with contextlib.suppress(ConnectionResetError):
                caller.recv(1)
        [left] = (human.home / "daemon").glob("view-*")
    with brokered(human) as first, brokered(human) as second:
        assert not left.exists()
        for each in (first, second):
            assert client.exchange(f"{each['folder']}/sock", signing(human, each)).status == 0


def test_brokers_whose_folders_lie_in_the_home_leave_each_other_alone(human: Sandbox) -> None:
    """Where there is no runtime directory. The home's path has to be short for that (unix(7))."""
    with tempfile.TemporaryDirectory() as short:
        home = shutil.copytree(human.home, f"{short}/home", ignore=shutil.ignore_patterns("daemon"))
        human.environ["NOTME_HOME"] = home
        del human.environ["XDG_RUNTIME_DIR"]
        with brokered(human) as first, brokered(human) as second:
            assert Path(first["folder"]).parent == Path(home, "daemon")
            for each in (first, second):
                human.run(*inside(human, each, f"{COMMIT} x"))
        assert human.verdict()["outcome"] == "accepted"


def test_the_brokers_git_fetches_nothing_whatever_its_own_configuration_says(human: Sandbox, tmp_path: Path) -> None:
    """The second lock behind the first: the scratch folder of a view is out of reach as it is."""
    sprung = tmp_path / "sprung"
    (tmp_path / "trap").write_text(f"#!/bin/sh\ntouch '{sprung}'\n")
    (tmp_path / "trap").chmod(0o755)
    (tmp_path / "scratch").mkdir()
    found = View.open(human.repo, tmp_path / "scratch", human.environ)
    with open(found.bare / "sha1" / "config", "a") as config:
        config.write(
            '[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = origin\n[remote "origin"]\n'
            f'\tpromisor = true\n\turl = "ext::{tmp_path}/trap"\n[protocol "ext"]\n\tallow = always\n'
        )
    assert found.kind(PARENT) is None
    assert not sprung.exists()
    human.git("cat-file", "-t", PARENT, cwd=found.bare / "sha1", status=None)
    assert sprung.exists()


# -- where the repository borrows objects from


def a_secret(human: Sandbox) -> tuple[Path, str]:
    """Another repository of the human's, and a commit that it alone has."""
    other = human.root / "secret"
    human.git("init", "-q", other)
    return other / ".git" / "objects", human.unsigned("private", who=HUMAN, cwd=other)


LEADS = {
    "alternates": "echo {secret} >.git/objects/info/alternates",
    "alternates of an alternate": "mkdir -p x/info; echo {secret} >x/info/alternates; "
    'echo "$PWD/x" >.git/objects/info/alternates',
    "a link for packs": "rm -r .git/objects/pack; ln -s {secret}/pack .git/objects/pack",
    "a link for loose objects": "ln -s {secret}/{two} .git/objects/{two}",
    "a link for each object": "mkdir .git/objects/{two}; for o in {rest} {none}; do "
    "ln -s {secret}/{two}/$o .git/objects/{two}/$o; done",
    "a link for all": "mv .git/objects x; ln -s {secret} .git/objects",
    "a link for git's folder": "mv .git x; ln -s {secret}/.. .git",
}


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
@pytest.mark.parametrize("name", LEADS)
def test_nobody_learns_through_the_broker_what_another_repository_has(human: Sandbox, name: str, packed: bool) -> None:
    secret, commit = a_secret(human)
    if packed:
        human.git("repack", "-q", "-a", "-d", cwd=secret.parent.parent)
    with brokered(human) as told:
        absent = signing(human, told, parent="")
        words = {"secret": shlex.quote(str(secret)), "two": commit[:2], "rest": commit[2:], "none": "0" * 38}
        human.run(peer("bash"), "-c", f"rm -rf .git/objects/{commit[:2]}; {LEADS[name].format(**words)}")
        replies = []
        for parent in (commit, commit[:2] + "0" * 38):
            asked = absent.stdin.replace(b"\nauthor", f"\nparent {parent}\nauthor".encode(), 1)
            reply = client.exchange(f"{told['folder']}/sock", replace(absent, stdin=asked))
            assert reply.status == 1
            replies.append(reply.events[0][1].replace(parent.encode(), b""))
        assert replies[0] == replies[1], "what is there is answered as what is not"


def test_what_the_repository_borrows_when_the_broker_starts_is_seen(human: Sandbox) -> None:
    secret, commit = a_secret(human)
    middle = human.root / "middle"
    human.git("init", "-q", "--bare", middle)
    (middle / "objects" / "info" / "alternates").write_text(f"{secret}\n")
    (human.repo / ".git" / "objects" / "info" / "alternates").write_text(f"{middle}/objects\n")
    with brokered(human) as told:
        (human.repo / ".git" / "objects" / "info" / "alternates").unlink()
        assert client.exchange(f"{told['folder']}/sock", signing(human, told, parent=commit)).status == 0


ENDLESS = {
    "a device": "ln -sf /dev/zero .git/objects/info/alternates",
    "a pipe": "rm -f .git/objects/info/alternates; mkfifo .git/objects/info/alternates",
    "a large file": "rm -f .git/objects/info/alternates; truncate -s 8G .git/objects/info/alternates",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_alternates_without_end_hold_up_neither_broker_nor_report_nor_the_next_session(
    human: Sandbox, name: str
) -> None:
    began = time.monotonic()
    done = run(human, f"{COMMIT} x; {ENDLESS[name]}")
    assert f"1 signature as {AGENT}" in done.err
    assert "could not be looked at: " in done.err
    assert "is not a file of at most" in done.err
    again = human.notme("run", "--agent", AGENT, "--broker", "--", "true", status=2)
    assert "is not a file of at most" in again.err
    plain = human.notme("run", "--agent", AGENT, "--", "true")
    assert "is not a file of at most" in plain.err
    assert time.monotonic() - began < 20


def test_alternates_that_become_endless_are_not_read_by_the_broker(human: Sandbox) -> None:
    with brokered(human) as told:
        asked, began = signing(human, told), time.monotonic()
        for script in ENDLESS.values():
            human.run(peer("bash"), "-c", script)
            assert client.exchange(f"{told['folder']}/sock", asked).status == 0
        assert time.monotonic() - began < 10


def test_a_pipe_among_the_packs_does_not_hold_up_the_report_for_ever(human: Sandbox) -> None:
    """libgit2 would open it in our own process, and wait."""
    made = "printf x >.git/objects/pack/pack-1.pack; mkfifo .git/objects/pack/pack-1.idx"
    script = (
        "import sys; from pathlib import Path; from notme_git.session import report; import os\n"
        "report.PATIENCE_S = 2; environ = dict(os.environ); before = report.look(Path('.'), environ)\n"
        f"os.system({made!r})\n"
        "from notme_git.session.record import Session\n"
        "session = Session('0' * 32, 'a', '', '', '', 1, '', 0)\n"
        "print(report.report(Path('/nowhere'), session, before, environ).problem)"
    )
    done = human.run(sys.executable, "-c", script)
    assert "longer than 2 s" in done.text


# -- what the certificate says of the sandbox


def test_without_a_sandbox_the_certificate_says_so(human: Sandbox) -> None:
    human.notme("run", "--agent", AGENT, "--broker", "--", "git", "commit", "-q", "--allow-empty", "-m", "x")
    verdict = human.verdict()
    assert (verdict["outcome"], verdict["identity"]["assurance"]) == ("accepted", "same-user")


def test_the_example_of_the_documentation_works_as_it_stands(human: Sandbox) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sandboxes.md").read_text("utf-8")
    [line] = [line.strip() for line in text.splitlines() if "exec bwrap" in line]
    assert line.endswith(" COMMAND'")
    home, runtime, address = human.user, human.environ["XDG_RUNTIME_DIR"], started(human)
    (home / "private").write_text("x")
    work = f"set -e; ls -A {shlex.quote(str(home))} {shlex.quote(runtime)}; ls {shlex.quote(address)} || {COMMIT} x"
    inner = line.removesuffix("COMMAND'") + 'sh -c "$WORK"\''
    done = human.run(peer("bash"), "-c", inner, environ={"WORK": work})
    assert "private" not in done.text
    assert "No such file or directory" in done.err
    verdict = human.verdict()
    assert (verdict["outcome"], verdict["identity"]["assurance"]) == ("accepted", "sandboxed-broker")


def started(human: Sandbox) -> str:
    """The address of the human's daemon, which runs."""
    human.notme("daemon", "start")
    return (human.home / "daemon" / "address").read_text()


@pytest.mark.parametrize("jailed", [True, False], ids=["in a sandbox that sees its socket", "without one"])
def test_the_daemon_does_not_serve_a_session_that_has_a_broker(human: Sandbox, jailed: bool) -> None:
    address = started(human)
    folder = str(Path(address).parent)
    wrap = jail(human, "--bind", folder, folder) if jailed else []
    script = (
        'p=${NOTME_SOCKET%/*}/notme-x509; cp "$p" /tmp/p-$$ && chmod +x /tmp/p-$$; unset NOTME_BROKER NOTME_SESSION; '
        f"NOTME_SOCKET={shlex.quote(address)} git -c gpg.x509.program=/tmp/p-$$ commit -q --allow-empty -m x; "
        "r=$?; rm /tmp/p-$$; exit $r"
    )
    start = 'folder=${NOTME_SOCKET%/*}; exec "$@" bash -c "$0"'
    if jailed:
        start = 'folder=${NOTME_SOCKET%/*}; exec "$@" --bind "$folder" "$folder" bash -c "$0"'
    command = [str(peer("bash")), "-c", start, script, *wrap]
    done = human.notme("run", "--agent", AGENT, "--broker", "--", *command, status=128)
    assert "belongs to a session that signs through its broker" in done.err
    assert human.git("log", "-1", "--format=%s").text == "base"


def test_a_session_with_a_broker_is_not_signed_for_in_its_own_process_either(human: Sandbox) -> None:
    script = (
        f"unset NOTME_BROKER NOTME_SOCKET NOTME_SESSION; export NOTME_HOME={shlex.quote(str(human.home))}; "
        f"git -c gpg.x509.program={shlex.quote(str(human.shim))} commit -q --allow-empty -m x"
    )
    done = human.notme("run", "--agent", AGENT, "--broker", "--", "bash", "-c", script, status=128)
    assert "belongs to a session that signs through its broker" in done.err


def test_the_daemon_is_not_controlled_from_a_session_that_has_a_broker(human: Sandbox) -> None:
    address = started(human)
    words = f"NOTME_HOME={shlex.quote(str(human.home))} notme-git daemon"
    script = f"unset NOTME_BROKER NOTME_SOCKET NOTME_SESSION; {words} stop; r=$?; {words} status >/dev/null && exit $r"
    done = human.notme("run", "--agent", AGENT, "--broker", "--", "bash", "-c", script, status=1)
    assert "belongs to a session that signs through its broker" in done.err
    assert (human.home / "daemon" / "address").read_text() == address
    assert "stopped" in human.notme("daemon", "stop").text


# -- how it is ended


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_broker_that_is_told_to_end_leaves_nothing_behind(human: Sandbox, number: signal.Signals) -> None:
    """SIGHUP is what it gets when its terminal is closed."""
    command = [str(SCRIPTS / "notme-git"), "broker", "--agent", AGENT, "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=human.repo, env=human.environ, stdout=pipe, stderr=pipe, text=True) as running:
        assert running.stdout is not None
        told = json.loads("".join(iter(running.stdout.readline, "}\n")) + "}")
        assert Path(told["folder"], "sock").exists()
        running.send_signal(number)
        _, said = running.communicate(timeout=SECONDS)
    assert "0 signatures" in said
    assert running.returncode == 0
    assert not Path(told["folder"]).exists()
    assert list((human.home / "daemon").glob("view-*")) == []
    assert [s["state"] for s in human.notme("sessions", "--json").json] == ["ended"]


def test_a_replaced_parent_is_looked_at_as_it_is(human: Sandbox) -> None:
    """A replace ref turns a blob into a commit for git, and not for the broker (git-replace(1))."""
    blob = human.git("hash-object", "-w", "--stdin", stdin=b"x").text
    human.git("replace", "-f", blob, human.rev("HEAD"))
    assert human.git("cat-file", "-t", blob).text == "commit"
    with brokered(human) as told:
        reply = client.exchange(f"{told['folder']}/sock", signing(human, told, parent=blob))
    assert reply.status == 1
    assert f"{blob} is no commit".encode() in reply.events[0][1]


def test_another_repository_put_in_the_place_of_the_first_is_not_looked_at(human: Sandbox) -> None:
    other = human.root / "other"
    human.git("init", "-q", other)
    foreign = human.unsigned("foreign", who=HUMAN, cwd=other)
    with brokered(human) as told:
        (human.repo / ".git").rename(human.root / "moved")
        (human.repo / ".git").write_text(f"gitdir: {other / '.git'}\n")
        asked = signing(human, told, parent=foreign)
        reply = client.exchange(f"{told['folder']}/sock", asked)
    assert reply.status != 0
