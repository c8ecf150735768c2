"""`notme-git doctor` on a machine that is broken for real: it names the trap, its remedy is followed, git signs again.

What a commit does while the machine is broken is part of each case: it fails, is made unsigned, is another's, or is
signed all the same.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from notme_git import shimfile
from tests.compat.conftest import AGENT, HUMAN, SCRIPTS, Sandbox, copy, machine, stop_daemons
from tests.peers import peer

OTHER = "0123456789abcdef0123456789abcdef"


def doctor(sandbox: Sandbox, *options: str | Path, status: int | None = 0, **more: Any) -> list[str]:
    """The codes found, notes left out: whether memory can be locked is this machine's affair."""
    said = sandbox.notme("doctor", "--json", *options, status=status, **more).json
    return [item["code"] for item in said["findings"] if item["severity"] != "note"]


def finding(sandbox: Sandbox, code: str, **more: Any) -> Any:
    """The one finding, which must be of that code."""
    said = sandbox.notme("doctor", "--json", status=1, **more).json
    counted = [item for item in said["findings"] if item["severity"] != "note"]
    assert [item["code"] for item in counted] == [code]
    return counted[0]


def commit(sandbox: Sandbox, environ: Mapping[str, str] | None = None) -> str:
    """What becomes of a commit: `fails`, `unsigned`, `signed`, or the letter that git shows for it."""
    before = sandbox.rev("HEAD")
    done = sandbox.commit(status=None, environ=environ or {})
    if done.status:
        assert sandbox.rev("HEAD") == before
        return "fails"
    letter = sandbox.shows().split(" ")[0]
    return {"N": "unsigned", "G": "signed"}.get(letter, letter)


def mend(sandbox: Sandbox, command: str, environ: Mapping[str, str]) -> None:
    """In a shell the command that was printed, and where that leaves it, a doctor that finds nothing, and a commit
    that is signed.
    """
    left = sandbox.root / "left"
    sandbox.run("/bin/sh", "-c", f"{command}\nenv -0 >{shlex.quote(str(left))}", environ=environ)
    pairs = [each.split("=", 1) for each in left.read_text("utf-8").split("\0")[:-1]]
    mended = replace(sandbox, environ=dict(pairs))
    assert doctor(mended) == []
    mended.commit("mended")
    assert sandbox.git("log", "-1", "--format=%s %G?").text == "mended G"


def in_worktree(sandbox: Sandbox, key: str, value: str) -> None:
    """A worktree's own configuration, which wins over the repository's."""
    sandbox.git("config", "extensions.worktreeConfig", "true")
    sandbox.git("config", "--worktree", key, value)


def in_include(sandbox: Sandbox, key: str, value: str) -> None:
    """A file that the repository's configuration includes after what setup wrote."""
    file = sandbox.root / "team.inc"
    sandbox.git("config", "--file", file, key, value)
    sandbox.git("config", f"includeIf.gitdir:{sandbox.repo}/.path", file)


def begin_anew(sandbox: Sandbox) -> None:
    """A repository in which nobody has called setup, and a user whom git does not know."""
    (sandbox.repo / ".git" / "config").unlink()
    sandbox.git("init", "-q", "-b", "main", ".")


def remove(path: Path) -> None:
    path.unlink()


def kill_daemon(sandbox: Sandbox) -> None:
    sandbox.commit()
    os.kill(sandbox.notme("daemon", "status", "--json").json["pid"], signal.SIGKILL)
    address = (sandbox.home / "daemon" / "address").read_bytes()
    for _ in range(500):
        with socket.socket(socket.AF_UNIX) as caller:
            if caller.connect_ex(address):
                return
        time.sleep(0.01)


def expire(sandbox: Sandbox) -> None:
    sandbox.notme("grant", "add", AGENT, "--expires", "1s")
    sandbox.notme("grant", "revoke", grants(sandbox)[0]["id"])
    time.sleep(1.1)


def grants(sandbox: Sandbox) -> Any:
    return [item for item in sandbox.notme("grant", "list", "--json").json if item["agent"] == AGENT]


def another_home(sandbox: Sandbox) -> None:
    """The programs of a second home, with an authority of its own."""
    shimfile.install(sandbox.root / "second", str(SCRIPTS / "python"))
    sandbox.git("config", "gpg.x509.program", sandbox.root / "second" / "bin" / "notme-x509")


def old_bundle(sandbox: Sandbox) -> None:
    bundle = sandbox.home / "authority" / "bundle"
    before = bundle.read_bytes()
    sandbox.notme("grant", "add", "codex")
    sandbox.notme("grant", "revoke", "codex")
    bundle.write_bytes(before)


@dataclass(frozen=True)
class Trap:
    """`effect`: what a commit does when `spring` has been done or `environ` set."""

    code: str
    effect: str
    spring: Callable[[Sandbox], object] = lambda _: None
    environ: Mapping[str, str] = field(default_factory=dict)


def configured(**values: str) -> dict[str, str]:
    """As `notme-git run` and others hand configuration on."""
    pairs = [(key.replace("_", "."), value) for key, value in values.items()]
    given = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for i, (key, value) in enumerate(pairs):
        given |= {f"GIT_CONFIG_KEY_{i}": key, f"GIT_CONFIG_VALUE_{i}": value}
    return given


TRAPS = {
    "a repository of before": Trap("not-set-up", "fails", begin_anew),
    "gpgsign unset": Trap("gpgsign-off", "unsigned", lambda s: s.git("config", "--unset", "commit.gpgsign")),
    "gpgsign off in the worktree": Trap(
        "gpgsign-overridden", "unsigned", lambda s: in_worktree(s, "commit.gpgsign", "false")
    ),
    "gpgsign off in an include": Trap(
        "gpgsign-overridden", "unsigned", lambda s: in_include(s, "commit.gpgsign", "no")
    ),
    "gpgsign off by GIT_CONFIG_COUNT": Trap(
        "gpgsign-overridden", "unsigned", environ=configured(commit_gpgsign="false")
    ),
    "gpgsign off by GIT_CONFIG_PARAMETERS": Trap(
        "gpgsign-overridden", "unsigned", environ={"GIT_CONFIG_PARAMETERS": "'commit.gpgsign'='false'"}
    ),
    "gpgsign off by a second line": Trap(
        "gpgsign-overridden", "unsigned", lambda s: s.git("config", "--add", "commit.gpgsign", "false")
    ),
    "format of another": Trap("format-mismatch", "fails", lambda s: in_worktree(s, "gpg.format", "ssh")),
    "program of another": Trap(
        "program-overridden", "fails", lambda s: in_include(s, "gpg.x509.program", "/bin/false")
    ),
    "program edited": Trap("program-not-ours", "fails", lambda s: s.git("config", "gpg.x509.program", "/bin/false")),
    "program of another home": Trap("program-other-home", "signed", another_home),
    "program removed": Trap("shim-missing", "fails", lambda s: remove(s.shim)),
    "program not executable": Trap("program-not-executable", "fails", lambda s: s.shim.chmod(0o644)),
    "program edited in place": Trap("shim-stale", "signed", lambda s: s.shim.write_bytes(s.shim.read_bytes() + b"\n")),
    "Python removed": Trap("python-gone", "fails", lambda s: shimfile.install(s.home, "/gone/bin/python3")),
    "key of another": Trap("key-overridden", "fails", lambda s: in_worktree(s, "user.signingkey", "ABCD1234")),
    "key unset": Trap("key-not-agent", "fails", lambda s: s.git("config", "--unset", "user.signingkey")),
    "grant expired": Trap("grant-expired", "fails", expire),
    "grant revoked": Trap("grant-revoked", "fails", lambda s: s.notme("grant", "revoke", AGENT)),
    "author in the environment": Trap("author-mailbox", "fails", environ={"GIT_AUTHOR_EMAIL": "bob@example.net"}),
    "committer in the worktree": Trap(
        "committer-mailbox", "fails", lambda s: in_worktree(s, "committer.email", "bob@example.net")
    ),
    "session that never was": Trap("session-stale", "fails", environ={"NOTME_SESSION": OTHER}),
    "socket that is gone": Trap("socket-dead", "signed", environ={"NOTME_SOCKET": "/nowhere/sock"}),
    "key file open to others": Trap(
        "authority-key-open", "fails", lambda s: (s.keys / "epoch-1-root.pem").chmod(0o644)
    ),
    "anchors removed": Trap("anchors-missing", "fails", lambda s: remove(s.home / "authority" / "anchors.pem")),
    "bundle of before": Trap("bundle-behind", "signed", old_bundle),
    "daemon killed": Trap("daemon-dead", "signed", kill_daemon),
}  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_a_trap_is_named_and_its_remedy_works(sandbox: Sandbox, trap: Trap) -> None:
    trap.spring(sandbox)
    found = finding(sandbox, trap.code, environ=trap.environ)
    assert found["command"]
    if trap.effect != "signed" or trap.code != "daemon-dead":  # a commit would start another daemon
        assert commit(sandbox, trap.environ) == trap.effect
    mend(sandbox, found["command"], trap.environ)


def test_a_healthy_machine_is_left_as_it_is(sandbox: Sandbox) -> None:
    def files() -> dict[Path, tuple[int, bytes]]:
        kept = (p for p in sandbox.root.rglob("*") if p.is_file() and "authority.db" not in p.name)
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in kept}

    before = files()
    done = sandbox.notme("doctor")
    assert (done.text, done.err) == ("nothing found: git signs here as it was set up", "")
    assert files() == before
    assert not (sandbox.home / "daemon" / "address").exists()


def test_a_machine_without_anything_is_told_to_begin(bare_machine: Sandbox) -> None:
    assert doctor(bare_machine, status=1) == ["authority-missing", "not-set-up"]
    assert "notme-git init" in bare_machine.notme("doctor", status=1).text
    assert not bare_machine.home.exists()


def test_another_repository_is_looked_at_from_anywhere(sandbox: Sandbox) -> None:
    sandbox.git("config", "--unset", "commit.gpgsign")
    assert doctor(sandbox, "--repo", sandbox.repo, cwd=sandbox.root, status=1) == ["gpgsign-off"]
    below = sandbox.repo / "below"
    below.mkdir()
    in_worktree(sandbox, "commit.gpgsign", "false")
    command = finding(sandbox, "gpgsign-off", cwd=below)["command"]
    assert command == f"notme-git setup --agent {AGENT}"


def test_the_file_that_wins_is_named_from_a_subfolder_too(sandbox: Sandbox) -> None:
    in_worktree(sandbox, "commit.gpgsign", "false")
    below = sandbox.repo / "below"
    below.mkdir()
    found = finding(sandbox, "gpgsign-overridden", cwd=below)
    assert str(sandbox.repo / ".git" / "config.worktree") in found["message"]


@pytest.mark.parametrize("name", ["root", "interop", "tsa"])
def test_a_key_of_0_bytes_is_named_and_no_key_is_shown(sandbox: Sandbox, name: str) -> None:
    file = sandbox.keys / f"epoch-1-{name}.pem"
    content = file.read_bytes()
    file.write_bytes(b"")
    assert "0 bytes" in finding(sandbox, "authority-key-empty")["message"]
    file.write_bytes(b"-----BEGIN PRIVATE KEY-----\nSECRETSECRET\n-----END PRIVATE KEY-----\n")
    assert doctor(sandbox, status=1) == ["authority-key-damaged"]
    shown = sandbox.notme("doctor", status=1)
    assert "SECRET" not in shown.text + shown.err
    file.write_bytes(content)
    assert doctor(sandbox) == []
    assert commit(sandbox) == "signed"


def test_a_clock_that_went_back_is_named(sandbox: Sandbox) -> None:
    sandbox.commit()
    early = sandbox.run(peer("faketime"), "-f", "-2d", SCRIPTS / "notme-git", "doctor", "--json", status=1).json
    assert [item["code"] for item in early["findings"] if item["severity"] != "note"] == ["clock-behind"]


def test_a_grant_that_ends_tomorrow_is_a_warning(sandbox: Sandbox) -> None:
    sandbox.notme("grant", "revoke", AGENT)
    sandbox.notme("grant", "add", AGENT, "--expires", "23h")
    found = finding(sandbox, "grant-expiring")
    assert found["severity"] == "warning"
    mend(sandbox, found["command"], {})


# -- ssh


def own_key(sandbox: Sandbox) -> Path:
    """The human signs with a key of theirs, by ssh-keygen."""
    key = sandbox.user / "id"
    sandbox.run(peer("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key)
    name, _, email = HUMAN.removesuffix(">").partition(" <")
    values = {"gpg.format": "ssh", "user.signingkey": f"{key}.pub", "commit.gpgsign": "true", "user.name": name}
    for word, value in {**values, "user.email": email}.items():
        sandbox.git("config", "--global", word, value)
    signers = sandbox.user / "signers"
    signers.write_text(f"{email} {key.with_suffix('.pub').read_text()}")
    sandbox.git("config", "--global", "gpg.ssh.allowedSignersFile", signers)
    return key


@pytest.fixture
def with_ssh(bare_machine: Sandbox) -> Sandbox:
    """A machine with an authority and an empty repository, not set up yet."""
    peer("ssh-keygen")
    bare_machine.notme("init", "--key-store", "file", "--human", HUMAN)
    bare_machine.notme("grant", "add", AGENT)
    bare_machine.git("init", "-q", "-b", "main", ".")
    return bare_machine


def test_ssh_files_of_an_epoch_before_are_named_and_written_anew(with_ssh: Sandbox) -> None:
    with_ssh.notme("setup", "--agent", AGENT, "--format", "ssh")
    assert (doctor(with_ssh), commit(with_ssh)) == ([], "signed")
    files = {file: file.read_bytes() for file in (with_ssh.home / "ssh").iterdir()}
    with_ssh.notme("epoch", "rotate")
    assert doctor(with_ssh) == []
    for file, content in files.items():
        file.write_bytes(content)
    found = finding(with_ssh, "ssh-files-stale")
    assert found["fixable"]
    mend(with_ssh, found["command"], {})


def test_our_program_needs_no_line_in_a_file_of_the_users_own(with_ssh: Sandbox) -> None:
    own_key(with_ssh)
    with_ssh.notme("setup", "--agent", AGENT, "--format", "ssh")
    assert (doctor(with_ssh), commit(with_ssh)) == ([], "signed")


def test_a_signers_file_that_is_unset_or_gone_is_named(with_ssh: Sandbox) -> None:
    with_ssh.notme("setup", "--agent", AGENT, "--format", "ssh")
    with_ssh.git("config", "--unset", "gpg.ssh.allowedSignersFile")
    found = finding(with_ssh, "allowed-signers-unset")
    assert commit(with_ssh) != "signed"
    mend(with_ssh, found["command"], {})
    (with_ssh.home / "ssh" / "allowed_signers").unlink()
    mend(with_ssh, finding(with_ssh, "ssh-files-stale")["command"], {})
    with_ssh.git("config", "gpg.ssh.allowedSignersFile", with_ssh.root / "gone")
    mend(with_ssh, finding(with_ssh, "allowed-signers-missing")["command"], {})


def test_a_signers_file_in_the_work_tree_is_a_warning(with_ssh: Sandbox) -> None:
    with_ssh.notme("setup", "--agent", AGENT, "--format", "ssh")
    (with_ssh.repo / "signers").write_bytes((with_ssh.home / "ssh" / "allowed_signers").read_bytes())
    with_ssh.git("config", "gpg.ssh.allowedSignersFile", "signers")
    assert finding(with_ssh, "allowed-signers-relative")["severity"] == "warning"


def test_a_human_key_of_0_bytes_under_auto_is_named(with_ssh: Sandbox) -> None:
    """What a sandbox did to a user's key in claude-code#83257, where every commit was unsigned without a word."""
    key = own_key(with_ssh)
    with_ssh.notme("setup", "--auto")
    assert (doctor(with_ssh), commit(with_ssh)) == ([], "signed")
    public = key.with_suffix(".pub")
    content = public.read_bytes()
    public.write_bytes(b"")
    assert finding(with_ssh, "key-file-empty")["message"].startswith(f"the key file {public}")
    assert commit(with_ssh) == "fails"
    public.write_bytes(content)
    assert (doctor(with_ssh), commit(with_ssh)) == ([], "signed")


def test_marks_of_two_agents_under_auto_are_named(with_ssh: Sandbox) -> None:
    own_key(with_ssh)
    with_ssh.notme("setup", "--auto")
    both = {"CLAUDECODE": "1", "CODEX_THREAD_ID": "secret-of-a-thread"}
    found = finding(with_ssh, "marks-ambiguous", environ=both)
    assert "secret" not in json.dumps(found)
    assert commit(with_ssh, both) == "fails"
    said = {**both, "NOTME_AGENT": AGENT}
    assert (doctor(with_ssh, environ=said), commit(with_ssh, said)) == ([], "signed")


def test_a_human_of_another_address_under_auto_is_named(with_ssh: Sandbox) -> None:
    own_key(with_ssh)
    with_ssh.notme("setup", "--auto")
    with_ssh.git("config", "--global", "user.email", "alice@work.example")
    found = finding(with_ssh, "human-mailbox")
    marked = {"CLAUDECODE": "1"}
    assert commit(with_ssh, marked) == "fails"
    mend(with_ssh, found["command"], marked)


# -- sessions


@pytest.mark.parametrize("form", ["x509", "ssh"])
@pytest.mark.parametrize("options", [(), ("--broker",)], ids=["with the daemon", "with a broker"])
def test_nothing_is_found_inside_a_session(with_ssh: Sandbox, options: tuple[str, ...], form: str) -> None:
    own_key(with_ssh)
    run = ("run", *options, "--agent", AGENT, "--format", form, "--")
    done = with_ssh.notme(*run, SCRIPTS / "notme-git", "doctor", "--json")
    assert [item for item in done.json["findings"] if item["severity"] != "note"] == []


# -- the daemon as an ssh-agent


@pytest.fixture
def blind(with_ssh: Sandbox) -> Sandbox:
    """Stock ssh-keygen signs, and asks the daemon for the key."""
    with_ssh.notme("grant", "add", AGENT, "--scope", "sign:git", "--scope", "sign:git-blind")
    socket = with_ssh.notme("setup", "--agent", AGENT, "--ssh-agent", "--json").json["sshAuthSock"]
    made = Sandbox(with_ssh.root, {**with_ssh.environ, "SSH_AUTH_SOCK": socket})
    assert (doctor(made), commit(made)) == ([], "signed")
    return made


def test_an_ssh_agent_that_is_not_ours_is_named(blind: Sandbox) -> None:
    desktop = {"SSH_AUTH_SOCK": str(blind.root / "desktop")}
    found = finding(blind, "ssh-auth-sock", environ=desktop)
    assert commit(blind, desktop) == "fails"
    mend(blind, found["command"], desktop)


@pytest.mark.parametrize("end", [lambda s: s.notme("daemon", "stop"), kill_daemon], ids=["stopped", "killed"])
def test_a_daemon_that_nobody_starts_for_ssh_keygen_is_named(blind: Sandbox, end: Callable[[Sandbox], None]) -> None:
    end(blind)
    found = finding(blind, "ssh-agent-off")
    assert commit(blind) == "fails"
    mend(blind, found["command"], {})


def test_a_certificate_file_that_was_overwritten_is_named(blind: Sandbox) -> None:
    key = (blind.home / "ssh" / f"{AGENT}.pub").read_bytes()
    (blind.home / "ssh" / "current" / f"{AGENT}-cert.pub").write_bytes(key)
    found = finding(blind, "ssh-certificate-missing")
    assert commit(blind) == "fails"
    mend(blind, found["command"], {})


def test_a_file_that_stock_ssh_keygen_verifies_by_gets_the_authority(blind: Sandbox) -> None:
    signers = blind.root / "my signers"
    signers.write_text("# none yet\n")
    blind.git("config", "gpg.ssh.allowedSignersFile", signers)
    found = finding(blind, "allowed-signers-foreign")
    assert commit(blind) != "signed"
    mend(blind, found["command"], {})


def test_a_grant_without_the_scope_for_hashes_is_named(blind: Sandbox) -> None:
    for item in grants(blind):
        if "sign:git-blind" in item["scopes"]:
            blind.notme("grant", "revoke", item["id"])
    blind.notme("grant", "add", AGENT)
    found = finding(blind, "grant-scope")
    assert commit(blind) == "fails"
    mend(blind, f"{found['command']} && notme-git daemon stop && notme-git daemon start", {})


# -- could not look


def test_a_configuration_that_git_refuses_ends_with_2(sandbox: Sandbox) -> None:
    (sandbox.repo / ".git" / "config").write_bytes(b"[user\n")
    done = sandbox.notme("doctor", status=2)
    assert "bad config" in done.err
    assert done.out == b""


def test_no_git_ends_with_2(sandbox: Sandbox) -> None:
    done = sandbox.notme("doctor", environ={"PATH": str(sandbox.root)}, status=2)
    assert "git is not on the PATH" in done.err


def test_no_such_folder_is_a_matter_of_usage(sandbox: Sandbox) -> None:
    assert "is no folder" in sandbox.notme("doctor", "--repo", "none", status=64).err


def test_hostile_values_cannot_write_to_the_terminal(sandbox: Sandbox) -> None:
    in_worktree(sandbox, "author.email", "\x1b[2Jbob\tx" + "y" * 5000)
    done = sandbox.notme("doctor", status=1)
    assert b"\x1b" not in done.out
    assert max(map(len, done.text.splitlines())) < 1200


def test_two_machines_do_not_mix(sandbox: Sandbox, tmp_path: Path) -> None:
    """Another home on the same machine has nothing of this one's."""
    other = machine(tmp_path / "other")
    said = doctor(sandbox, environ={"NOTME_HOME": str(other.home)}, status=1)
    assert "authority-missing" in said
    stop_daemons(tmp_path)


def test_attestations_that_the_policy_follows_and_nobody_fetched_are_a_note(template: Sandbox, tmp_path: Path) -> None:
    here = copy(template, tmp_path / "machine")
    place = here.repo / ".notme"
    place.mkdir()
    (place / "policy.toml").write_text(
        'version = 1\n[[rules]]\nname = "squashes"\nmatch = { through = "record", classes = ["agent"] }\n'
    )
    here.git("add", ".notme")
    here.commit("policy")

    def notes() -> set[str]:
        return {each["code"] for each in here.notme("doctor", "--json").json["findings"]}

    assert "attestations-absent" not in notes()  # and nowhere to get them from
    here.git("remote", "add", "origin", "https://git.example/app")
    assert "attestations-absent" in notes()
    here.notme("attest", "HEAD")
    assert "attestations-absent" not in notes()
    stop_daemons(tmp_path)
