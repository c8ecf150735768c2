"""What goes wrong around a signature, with the real git as the caller.

Always the same four things: the exit status, a sentence on stderr and what to do next, nothing on stdout, and no
commit. Never a traceback.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import itertools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509

from attest.certificate import Anchor
from attest.home import read_trust
from notme_git import previous, shimfile
from notme_git.authority import epochs, founding
from notme_git.authority.embedded import opened
from tests.compat.conftest import (
    AGENT,
    HUMAN,
    KEY,
    SCRIPTS,
    Done,
    Sandbox,
    copy,
    failed,
    machine,
    stop_daemons,
    without_daemon,
)  # fmt: skip
from tests.compat.test_hostile_neighbour import now
from tests.compat.test_setup import in_a_fork, killed_at
from tests.peers import peer

STRANGER = "Mallory <mallory@example.net>"


@pytest.fixture(scope="module")
def asked(template: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A machine for calls that leave it as it was."""
    made = copy(template, tmp_path_factory.mktemp("asked") / "Alice's machine")
    yield made
    stop_daemons(made.root)


def plain(done: Done) -> None:
    """Sentences for a person: no traceback, nothing that a terminal or git would obey."""
    assert "Traceback" not in done.err
    assert done.err.replace("\n", "").isprintable()
    assert not any(line.startswith("[GNUPG:]") for line in done.err.splitlines())


def fails(sandbox: Sandbox, *arguments: str, status: int, says: str, then: str = "", **options: object) -> None:
    """git calls the signing program, which fails so; git makes no commit. `then`: what to do next."""
    seen, told = sandbox.root / "seen", sandbox.root / "told"
    wrapper = sandbox.root / "wrapper"
    wrapper.write_text(
        f'#!/bin/sh\n"$REAL" "$@" >"{seen}" 2>"{told}"\nstatus=$?\ncat "{seen}"\ncat "{told}" >&2\n'
        f'echo $status >>"{told}"\nexit $status\n'
    )
    wrapper.chmod(0o755)
    before = sandbox.rev("HEAD")
    sandbox.environ["REAL"] = str(sandbox.shim)
    asked = ("-c", f"gpg.x509.program={wrapper}", "commit", "-q", "--allow-empty", "-m", "x", *arguments)
    sandbox.git(*asked, status=128, **options)
    assert sandbox.rev("HEAD") == before
    *lines, ended = told.read_text().splitlines()
    done = Done(int(ended), seen.read_bytes(), "\n".join(lines))
    assert (done.status, done.out) == (status, b""), done
    assert says in done.err
    assert then in done.err
    plain(done)


# -- what the signing program rests on


def loop(path: Path) -> None:
    """Make a path that nobody can read, root included."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    path.symlink_to(path.name)


def no_database(sandbox: Sandbox) -> None:
    database(sandbox).write_bytes(b"no database" * 1000)


def database(sandbox: Sandbox) -> Path:
    return sandbox.home / "authority" / "authority.db"


def key_file(sandbox: Sandbox) -> Path:
    return sandbox.keys / "epoch-1-root.pem"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def swap(sandbox: Sandbox) -> None:
    """Another Ed25519 key where the root's was."""
    place = key_file(sandbox)
    other = base64.b64encode(bytes.fromhex("302e020100300506032b657004220420") + bytes(range(32))).decode()
    place.write_text(f"-----BEGIN PRIVATE KEY-----\n{other}\n-----END PRIVATE KEY-----\n")


DAMAGE: dict[str, tuple[Callable[[Sandbox], object], int, str, str]] = {
    "no home": (lambda s: shutil.rmtree(s.home / "authority"), 2, "there is no authority in", "notme-git init"),
    "a home that is a loop": (lambda s: loop(s.home / "authority"), 2, "authority", "notme-git init"),
    "a key file that is gone": (lambda s: key_file(s).unlink(), 2, "No such file", "notme-git epoch recover"),
    "a key file that others may read": (lambda s: key_file(s).chmod(0o640), 2, "mode 0640", "chmod go="),
    "a key folder that others may read": (lambda s: s.keys.chmod(0o750), 2, "mode 0750", "chmod go="),
    "a key file that is cut off": (lambda s: truncate(key_file(s)), 2, "no private key", "notme-git epoch recover"),
    "a key file that is a loop": (lambda s: loop(key_file(s)), 2, "cannot use the key file", "restore it"),
    "another key in its place": (swap, 2, "is not that key", "notme-git epoch recover"),
    "no anchor": (lambda s: (s.home / "authority" / "anchors.pem").unlink(), 2, "anchor", "notme-git doctor"),
    "an anchor that is none": (
        lambda s: (s.home / "authority" / "anchors.pem").write_text("no"), 2, "no usable anchor", "notme-git doctor"
    ),
    "an anchor that is a loop": (
        lambda s: loop(s.home / "authority" / "anchors.pem"), 2, "cannot read the anchor", "notme-git doctor"
    ),
    "no database": (lambda s: database(s).unlink(), 2, "there is no database", "restore its home"),
    "a database that is none": (no_database, 2, "no SQLite database", "restore it"),
    "a database that is cut off": (
        lambda s: database(s).write_bytes(database(s).read_bytes()[:5000]), 2, "the database", "restore it"
    ),
    "a database that is a loop": (lambda s: loop(database(s)), 2, "the database", "check who owns it"),
    "no trust bundle": (lambda s: (s.home / "authority" / "bundle").unlink(), 2, "trust bundle", "notme-git doctor"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "status", "says", "then"), DAMAGE.values(), ids=DAMAGE.keys())
def test_without_what_it_rests_on_nothing_is_signed(
    sandbox: Sandbox, damage: Callable[[Sandbox], object], status: int, says: str, then: str
) -> None:
    damage(sandbox)
    fails(sandbox, status=status, says=says, then=then)


def test_a_locked_database_is_waited_for_and_then_named(sandbox: Sandbox) -> None:
    holder = sqlite3.connect(database(sandbox), isolation_level=None)
    with contextlib.closing(holder):
        holder.execute("BEGIN EXCLUSIVE")
        fails(sandbox, status=2, says="another process holds its lock", then="try again")


# -- what git says


def test_an_unknown_agent_is_told_apart_from_the_known(sandbox: Sandbox) -> None:
    fails(sandbox, "--gpg-sign=notme:codex", status=1, says=f"known agents: {AGENT}", then="notme-git grant add codex")


@pytest.mark.parametrize("key", ["notme:", "notme:a:b", "notme:a:notme:c", "notme:a:upstream"])
def test_a_key_name_that_is_none_is_a_usage_error(asked: Sandbox, key: str) -> None:
    done = asked.sign(asked.payload(), key=key, status=64)
    assert (done.out, "run notme-git setup again" in done.err) == (b"", True)


def test_a_committer_who_is_neither_agent_nor_human_is_refused(sandbox: Sandbox) -> None:
    other = {"GIT_COMMITTER_EMAIL": "mallory@example.net"}
    fails(sandbox, status=1, says="committer <mallory@example.net>", then=sandbox.address, environ=other)


def test_an_author_who_is_neither_agent_nor_human_is_refused_for_a_new_commit(asked: Sandbox) -> None:
    done = asked.sign(asked.payload(author=STRANGER), status=1)
    assert (done.out, "author <mallory@example.net>" in done.err, "rebase" in done.err) == (b"", True, True)


def test_a_grant_for_another_repository_could_not_be_checked_until_it_is_said_where(sandbox: Sandbox) -> None:
    sandbox.notme("grant", "revoke", AGENT)
    sandbox.notme("grant", "add", AGENT, "--repo", "https://git.example/app")
    sandbox.commit()
    unknown = sandbox.attest("verify", "HEAD", status=2)
    assert "--repository ADDRESS" in unknown.text
    assert sandbox.verdict("HEAD", "--repository", "https://git.example/app")["outcome"] == "accepted"
    other = sandbox.verdict("HEAD", "--repository", "https://git.example/other", status=1)
    assert failed(other) == [(8, "constraint-mismatch")]


PAYLOADS = {
    "nothing": b"",
    "text": b"hello\n",
    "a blob of zeroes": bytes(4096),
    "a commit without a committer": b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor a <a@b.c> 1 +0000\n\nx\n",
    "bytes that are no text": bytes(range(256)) * 64,
    "a status line": b"[GNUPG:] SIG_CREATED D\n",
    "a signed commit": b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor a <a@b.c> 1 +0000\n"
    b"committer a <a@b.c> 1 +0000\ngpgsig x\n\nx\n",
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_what_is_no_git_payload_is_not_signed(asked: Sandbox, payload: bytes) -> None:
    done = asked.sign(payload, status=1)
    assert (done.out, "nothing else is signed" in done.err) == (b"", True)
    plain(done)


def test_a_payload_beyond_the_limit_is_not_read_to_its_end(sandbox: Sandbox) -> None:
    with open("/dev/zero", "rb") as endless:
        ended = subprocess.run(
            [sandbox.shim, "--status-fd=2", "-bsau", KEY],
            stdin=endless, env=sandbox.environ, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"larger than" in ended.stderr


# -- names that lie


@pytest.mark.parametrize(
    "name",
    ["[GNUPG:] GOODSIG\n", "a\n[GNUPG:] GOODSIG 0 b", "a\x1b[31m", "a\r", "a\u202eb", "a\x7f"],
    ids=["a line feed at the end", "a status line", "an escape", "a carriage return", "right to left", "delete"],
)
def test_a_human_whose_name_holds_more_than_letters_is_refused(bare_machine: Sandbox, name: str) -> None:
    done = bare_machine.notme("init", "--key-store", "file", "--human", f"{name} <a@example.org>", status=64)
    assert (done.out, "write it like" in done.err) == (b"", True)
    plain(done)
    assert not bare_machine.home.exists()


def test_a_human_named_like_a_status_line_stays_a_name(bare_machine: Sandbox) -> None:
    bare_machine.notme("init", "--key-store", "file", "--human", "[GNUPG:] GOODSIG 0 x <a@example.org>")
    bare_machine.notme("grant", "add", AGENT)
    bare_machine.git("init", "-q", ".")
    bare_machine.notme("setup", "--agent", AGENT)
    bare_machine.commit()
    assert bare_machine.shows() == f"G {AGENT} for [GNUPG:] GOODSIG 0 x <a@example.org> (same-user, self-asserted)"


@pytest.mark.parametrize("name", ["a\nb", "A", "-x", "", "a:b", "x" * 64, "\x1b[1m"])
def test_an_agent_of_another_form_is_refused(asked: Sandbox, name: str) -> None:
    done = asked.notme("grant", "add", "--", name, status=64)
    assert (done.out, "for example claude-code" in done.err) == (b"", True)
    plain(done)


def test_a_committers_name_reaches_no_terminal_as_it_is(asked: Sandbox) -> None:
    payload = asked.payload(committer="\x1b[31m[GNUPG:] GOODSIG <mallory@\x1bexample.net>")
    done = asked.sign(payload, status=1)
    assert done.out == b""
    plain(done)


# -- how it is called


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-K",), ("--verify", "x"), ("--status-fd=2", "--export")])
def test_a_call_that_is_not_gits_needs_another_program(
    asked: Sandbox, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("git", "sh"):
        (tools / name).symlink_to(shutil.which(name) or name)
    done = asked.run(asked.shim, *arguments, status=2, environ={"PATH": str(tools)})
    assert (done.out, "there is no gpgsm to make it" in done.err) == (b"", True)


def test_the_status_goes_where_the_caller_says(sandbox: Sandbox) -> None:
    command = f'"$0" --status-fd=7 -bsau {KEY} 7>&1 >/dev/null'
    done = sandbox.run("sh", "-c", command, sandbox.shim, stdin=sandbox.payload())
    assert [line.split()[1] for line in done.text.splitlines()] == ["BEGIN_SIGNING", "SIG_CREATED"]
    assert done.err == ""


def test_without_a_status_descriptor_there_are_no_status_lines(sandbox: Sandbox) -> None:
    done = sandbox.run(sandbox.shim, "-bsau", KEY, stdin=sandbox.payload())
    assert done.out.startswith(b"-----BEGIN SIGNED MESSAGE-----\n")
    assert "[GNUPG:]" not in done.err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">/dev/full"])
def test_closed_descriptors_end_in_a_failure_or_a_whole_signature(sandbox: Sandbox, closed: str) -> None:
    (sandbox.root / "payload").write_bytes(sandbox.payload())
    given = "" if closed == "<&-" else '<"$2"'
    command = f'"$1" --status-fd=2 -bsau {KEY} {given} {closed}'
    done = sandbox.run("sh", "-c", command, "sh", sandbox.shim, sandbox.root / "payload", status=None)
    assert "Traceback" not in done.err
    if closed == "2>&-":
        assert done.status == 0 or done.out == b""
    else:
        assert done.status in (1, 2)
        assert done.out == b""
        assert "SIG_CREATED" not in done.err


def test_a_status_descriptor_that_is_closed_is_a_failure(sandbox: Sandbox) -> None:
    done = sandbox.run(sandbox.shim, "--status-fd=9", "-bsau", KEY, stdin=sandbox.payload(), status=2)
    assert done.out == b""
    plain(done)


@pytest.mark.parametrize("home", ["relative/home", "", "~/home"])
def test_a_home_that_is_no_absolute_path_is_a_usage_error(asked: Sandbox, home: str) -> None:
    for done in (
        asked.notme("grant", "list", environ={"NOTME_HOME": home}, status=64),
        asked.sign(asked.payload(), environ={"NOTME_HOME": home}, status=64),
    ):
        assert (done.out, "give an absolute path" in done.err) == (b"", True)


def test_a_second_authority_in_the_same_home_is_refused(sandbox: Sandbox) -> None:
    before = sorted((p, p.read_bytes()) for p in sandbox.home.rglob("*") if p.is_file())
    done = sandbox.notme("init", "--key-store", "file", "--human", HUMAN, status=1)
    assert (done.out, "NOTME_HOME" in done.err) == (b"", True)
    assert sorted((p, p.read_bytes()) for p in sandbox.home.rglob("*") if p.is_file()) == before


def test_a_shim_whose_python_is_gone_says_so(sandbox: Sandbox) -> None:
    shimfile.install(sandbox.home, "/gone to another place/python")
    fails(sandbox, status=2, says="/gone to another place/python", then="notme-git setup again")


def test_a_shim_that_the_kernel_cannot_start_makes_no_commit_and_git_names_it(sandbox: Sandbox) -> None:
    shimfile.install(sandbox.home, "/gone/python")
    before = sandbox.rev("HEAD")
    done = sandbox.commit(status=128)
    assert f"cannot run {sandbox.shim}" in done.err
    assert sandbox.rev("HEAD") == before
    sandbox.notme("setup", "--agent", AGENT)
    sandbox.commit()


def test_a_broken_git_configuration_is_named(sandbox: Sandbox) -> None:
    (sandbox.repo / ".git" / "config").write_bytes(b"[core\n")
    done = sandbox.notme("setup", "--agent", AGENT, status=2)
    assert (done.out, "config" in done.err) == (b"", True)
    plain(done)


def test_verify_with_a_home_that_is_gone_could_not_check(sandbox: Sandbox) -> None:
    sandbox.commit()
    shutil.rmtree(sandbox.home / "authority")
    assert sandbox.shows().startswith("E")
    assert "notme-git init" in sandbox.attest("verify", "HEAD", status=2).err


# -- the clock


def test_a_clock_that_went_back_is_refused(sandbox: Sandbox) -> None:
    without_daemon(sandbox)  # a daemon's clock is its own
    program = faked(sandbox, "-1h")
    fails(sandbox, status=1, says="the clock says", then="set the clock", environ=program)


def test_a_signature_from_the_future_could_not_be_checked(sandbox: Sandbox) -> None:
    without_daemon(sandbox)
    sandbox.commit(environ=faked(sandbox, "+2h"))
    verdict = sandbox.verdict(status=2)
    assert next(f["reason"] for f in verdict["findings"] if f["status"] == "unavailable") == "clock-behind"
    assert sandbox.shows().startswith("E")


def test_what_was_signed_in_time_is_good_years_later(sandbox: Sandbox) -> None:
    sandbox.commit()
    assert sandbox.verdict(environ=faked(sandbox, "+3y"))["outcome"] == "accepted"


def faked(sandbox: Sandbox, offset: str) -> dict[str, str]:
    """The environment in which a program's clock is `offset` away."""
    told = sandbox.run(peer("faketime"), "-f", offset, "env").text.splitlines()
    found = dict(line.partition("=")[::2] for line in told)
    return {name: found[name] for name in ("LD_PRELOAD", "FAKETIME")}


# -- full disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 256 KiB where that can be made, else one in which files may not grow."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", str(disk)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield disk
    stop_daemons(disk)
    if mounted:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path, *, leave: int = 0) -> dict[str, object]:
    """Leave that many bytes of room; where the disk is not a small one, limit the size of files instead."""
    filler = disk / "filler"
    if not os.path.ismount(disk):
        return {"limit": leave}
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    if leave:
        os.truncate(filler, max(0, filler.stat().st_size - leave))
    return {"limit": None}


def limited(sandbox: Sandbox, limit: object, *command: str | Path, **options: object) -> Done:
    """Run a command that may not write files beyond `limit` bytes (in the 512 of sh's `ulimit`)."""
    if limit is None:
        return sandbox.run(*command, **options)  # type: ignore[arg-type]
    blocks = str(int(str(limit)) // 512)
    return sandbox.run("sh", "-c", 'ulimit -f "$0"; trap "" XFSZ; exec "$@"', blocks, *command, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("room", [0, 4096, 16384, 65536])
def test_an_init_on_a_full_disk_leaves_nothing(tmp_path: Path, small_disk: Path, room: int) -> None:
    full = machine(tmp_path / "machine", home=small_disk / "home")
    limit = fill(small_disk, leave=room)["limit"]
    init = (SCRIPTS / "notme-git", "init", "--key-store", "file", "--human", HUMAN)
    done = limited(full, limit, *init, status=2)
    assert done.out == b""
    plain(done)
    assert not full.home.exists() or list(full.home.iterdir()) == []
    (small_disk / "filler").unlink(missing_ok=True)
    full.run(*init)


def on_small_disk(sandbox: Sandbox, disk: Path) -> None:
    shutil.copytree(sandbox.home, disk / "home")
    sandbox.environ["NOTME_HOME"] = str(disk / "home")


def test_a_grant_on_a_full_disk_is_not_half_there(sandbox: Sandbox, small_disk: Path) -> None:
    on_small_disk(sandbox, small_disk)
    before = sandbox.notme("grant", "list").out
    limit = fill(small_disk)["limit"]
    done = limited(sandbox, limit, SCRIPTS / "notme-git", "grant", "add", "other", status=2)
    assert done.out == b""
    plain(done)
    (small_disk / "filler").unlink(missing_ok=True)
    assert sandbox.notme("grant", "list").out == before
    sandbox.notme("grant", "add", "other")


def test_a_commit_on_a_full_disk_is_not_made(sandbox: Sandbox, small_disk: Path) -> None:
    on_small_disk(sandbox, small_disk)
    limit = fill(small_disk)["limit"]
    done = limited(sandbox, limit, sandbox.shim, "--status-fd=2", "-bsau", KEY, stdin=sandbox.payload(), status=2)
    assert done.out == b""
    plain(done)
    if limit is None:
        sandbox.git("commit", "-q", "--allow-empty", "-m", "x", status=128)
    (small_disk / "filler").unlink(missing_ok=True)
    sandbox.commit()


# -- killed


def first_use(home: Path) -> None:
    founding.found(home, "Alice Example", "alice@example.org", "file", now())


def whole(home: Path) -> bool:
    """Whether there is an authority; if so, it can be used."""
    if not (home / "authority").exists():
        return False
    with opened(home) as authority:
        assert authority.human.email == "alice@example.org"
        assert authority.epoch.number == 1
        assert sorted(p.name for p in (authority.directory / "keys").iterdir()) == [
            f"epoch-1-{role}.pem" for role in ("interop", "root", "tsa")
        ]
    return True


def test_an_init_killed_at_any_change_of_files_leaves_nothing_or_everything(tmp_path: Path) -> None:
    for count in itertools.count(1):
        home = tmp_path / str(count)
        if not killed_at(functools.partial(first_use, home), count):
            break
        if not whole(home):
            first_use(home)
        assert whole(home)
    assert count > 10


def test_an_init_killed_at_any_time_leaves_nothing_or_everything(tmp_path: Path) -> None:
    spent = time.monotonic()
    assert in_a_fork(lambda: first_use(tmp_path / "whole"), lambda: None) == 0
    spent = time.monotonic() - spent
    for number in range(12):
        home, delay = tmp_path / str(number), random.Random(number).uniform(0, 1.2 * spent)
        ended = in_a_fork(
            functools.partial(first_use, home),
            functools.partial(signal.setitimer, signal.ITIMER_REAL, max(delay, 0.001)),
        )
        assert ended in (0, -signal.SIGALRM)
        if not whole(home):
            first_use(home)
        assert whole(home)


def test_a_rotation_killed_at_any_change_of_files_can_be_made_again(tmp_path: Path) -> None:
    first_use(tmp_path / "first")

    def rotate(home: Path) -> None:
        with opened(home) as authority:
            epochs.rotate(authority, now())

    def anchors(home: Path) -> set[bytes]:
        with opened(home) as authority:
            roots = authority.epoch.root, authority.epoch.interop_root
        return {Anchor.read(x509.load_der_x509_certificate(root)).key.spki_sha256 for root in roots}

    for count in itertools.count(1):
        home = tmp_path / str(count)
        shutil.copytree(tmp_path / "first", home)
        if not killed_at(functools.partial(rotate, home), count):
            break
        with opened(home) as authority:
            before = authority.epoch.number
            epochs.catch_up(authority)
        assert {a.key.spki_sha256 for a in read_trust(home).anchors} >= anchors(home)
        rotate(home)
        with opened(home) as authority:
            assert authority.epoch.number == before + 1
    assert count > 10


# -- secrets


def test_no_secret_is_ever_printed(bare_machine: Sandbox) -> None:
    made = bare_machine.notme("init", "--key-store", "file", "--human", HUMAN)
    assert made.text.count("PRIVATE KEY") == 2, "the recovery key, once"
    bare_machine.git("init", "-q", ".")
    bare_machine.notme("grant", "add", AGENT)
    bare_machine.notme("setup", "--agent", AGENT)
    bare_machine.commit()
    printed = [
        bare_machine.git("log", "-1", "--show-signature", "--format=raw"),
        bare_machine.attest("verify", "HEAD", "--json"),
        bare_machine.notme("attest", "HEAD", "--json"),
        bare_machine.attest("show", "HEAD", "--json"),
        bare_machine.notme("trust", "export"),
        bare_machine.notme("trust", "export", "--format", "sigstore"),
        bare_machine.notme("trust", "export", "--format", "bundle"),
        bare_machine.notme("grant", "list", "--json"),
        bare_machine.notme("epoch", "rotate", "--json"),
        bare_machine.notme("epoch", "list", "--json"),
    ]
    text = b"".join(done.out + done.err.encode() for done in printed)
    objects = bare_machine.git("cat-file", "--batch", "--batch-all-objects").out
    for place in (text, objects, (bare_machine.repo / ".git" / "config").read_bytes()):
        assert b"PRIVATE KEY" not in place
        for file in bare_machine.keys.iterdir():
            body = "".join(line for line in file.read_text().splitlines() if not line.startswith("-"))
            secret = base64.b64decode(body)[-32:] if "root" in file.name else base64.b64decode(body)[36:68]
            for form in (body.encode(), secret, secret.hex().encode(), base64.b64encode(secret)[:-4]):
                assert form not in place
    recovery = made.text.split("-----")[2].strip()
    assert recovery.encode() not in b"".join(p.read_bytes() for p in bare_machine.root.rglob("*") if p.is_file())


def test_no_process_of_the_signing_program_leaves_a_core_file_or_inherits_a_key(sandbox: Sandbox) -> None:
    told = sandbox.root / "told"
    program = sandbox.root / "other"
    quoted = str(told).replace("'", "'\\''")
    program.write_text(f"#!/bin/sh\n{{ ulimit -c; env; echo \"$@\"; }} >'{quoted}'\nexit 1\n")
    program.chmod(0o755)
    sandbox.git("config", "notme.previousX509Program", program)
    most = "ulimit -S -c $(ulimit -H -c) && ulimit -S -c >&2 && exec \"$@\""
    done = sandbox.run("sh", "-c", most, "sh", sandbox.shim, "--status-fd=2", "-bsau", "BEEF", status=1)
    limit, *rest = told.read_text().splitlines()
    assert limit == "0", f"the caller's was {done.err}"
    assert "PRIVATE KEY" not in "\n".join(rest)
    known = {*sandbox.environ, previous.PASSED, "PWD", "_", "SHLVL", "OLDPWD"}
    assert {line.partition("=")[0] for line in rest[:-1]} <= known
    assert rest[-1] == "--status-fd=2 -bsau BEEF"
