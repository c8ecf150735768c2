"""`notme-git log` over real histories; git and `notme-attest verify` are the judges of what it says."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from notme_git.reading.table import columns_of
from tests.compat.conftest import AGENT, SCRIPTS, Sandbox, found, machine
from tests.compat.terminal import on_terminal
from tests.compat.test_hostile_neighbour import in_repository, now, signed, stolen
from tests.peers import peer

ALICE = "Alice Example <alice@example.org>"
WIDE = "日本語の件名"


def rows(sandbox: Sandbox, *words: str | Path, **options: Any) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = sandbox.notme("log", "--json", *words, **options).json
    return shown


def own_ssh_key(sandbox: Sandbox) -> str:
    """A commit that Alice signs with an ssh key of her own."""
    key = sandbox.user / "id_ed25519"
    sandbox.run(peer("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key)
    settings = {"gpg.format": "ssh", "user.signingkey": str(key), "gpg.ssh.program": str(peer("ssh-keygen")),
                "user.name": "Alice Example", "user.email": "alice@example.org"}  # fmt: skip
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    sandbox.git(*words, "commit", "-q", "-S", "--allow-empty", "-m", "by hand")
    return sandbox.rev("HEAD")


def tampered(sandbox: Sandbox) -> str:
    sandbox.commit("before")
    raw = sandbox.git("cat-file", "commit", "HEAD").out.replace(b"before", b"after!")
    return in_repository(sandbox, raw)


def good(sandbox: Sandbox) -> str:
    sandbox.commit()
    return sandbox.rev("HEAD")


def merge(sandbox: Sandbox) -> str:
    sandbox.commit("base")
    sandbox.git("switch", "-q", "-c", "side")
    sandbox.commit("side")
    sandbox.git("switch", "-q", "main")
    sandbox.commit("main")
    sandbox.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    return sandbox.rev("HEAD")


def without_time(sandbox: Sandbox) -> str:
    at = now()
    return in_repository(sandbox, signed(stolen(sandbox, at), sandbox.payload(), at))


def of_another_authority(sandbox: Sandbox) -> str:
    other = found(machine(sandbox.root / "other"))
    other.commit()
    return in_repository(sandbox, other.git("cat-file", "commit", "HEAD").out)


def with_another_committer(sandbox: Sandbox) -> str:
    at = now()
    payload = sandbox.payload(committer="Mallory <mallory@example.net>")
    return in_repository(sandbox, signed(stolen(sandbox, at), payload, at))


# What makes the commit -> state, reason, actor, word in the table, exit status of `notme-attest verify`.
KINDS: dict[str, tuple[Callable[[Sandbox], str], str, str | None, str | None, str, int]] = {
    "signed by an agent": (good, "good", None, AGENT, "good", 0),
    "a merge": (merge, "good", None, AGENT, "good", 0),
    "without a time-stamp": (without_time, "time-unproven", None, AGENT, "time unproven", 0),
    "unsigned": (Sandbox.unsigned, "unsigned", "signature-missing", None, "unsigned", 1),
    "tampered with": (tampered, "bad", "digest-mismatch", None, "BAD (digest-mismatch)", 1),
    "of another authority": (of_another_authority, "bad", "anchor-unknown", None, "BAD (anchor-unknown)", 1),
    "of another committer": (
        with_another_committer, "bad", "committer-mismatch", AGENT, "BAD (committer-mismatch)", 1,
    ),
    "by the human's own key": (own_ssh_key, "own-key", "signature-foreign", None, "own key (ssh)", 1),
}  # fmt: skip


@pytest.mark.parametrize(("make", "state", "reason", "actor", "word", "status"), KINDS.values(), ids=KINDS.keys())
def test_a_row_says_what_verify_says(
    sandbox: Sandbox, make: Callable[[Sandbox], str], state: str, reason: str | None, actor: str | None, word: str,
    status: int,
) -> None:  # fmt: skip
    commit = make(sandbox)
    first = rows(sandbox, commit)[0]
    assert (first["id"], first["state"], first["reason"]) == (commit, state, reason)
    assert (first["identity"] and first["identity"]["actor"]["name"]) == actor
    verdict = sandbox.verdict(commit, status=status)
    assert first["identity"] == verdict["identity"]
    line = sandbox.notme("log", "-n1", commit).text.splitlines()[1]
    assert line.startswith(commit[:8])
    assert word in line
    assert ("Alice Example" in line) is (actor is not None)
    form = ("--date=format-local:%Y-%m-%d %H:%M", "--format=%cd%n%s")
    date, subject = sandbox.git("log", "-1", *form, commit).text.split("\n")
    assert f"  {date}  " in line
    assert line.endswith(f"  {subject}")


def test_a_grant_for_one_branch_is_judged_for_the_branch_that_is_named(sandbox: Sandbox) -> None:
    sandbox.notme("grant", "add", "limited", "--branch", "main")
    sandbox.notme("setup", "--agent", "limited")
    sandbox.commit()
    sandbox.git("branch", "side")
    commit = sandbox.rev("HEAD")
    for name, state, status in (("HEAD", "good", 0), ("side", "bad", 1), (commit, "could-not-check", 2)):
        assert rows(sandbox, name)[0]["state"] == state
        sandbox.verdict(name, status=status)


def test_the_order_and_choice_of_commits_is_gits(sandbox: Sandbox) -> None:
    merge(sandbox)
    sandbox.unsigned(who=ALICE)
    every = sandbox.git("rev-list", "HEAD").text.split()
    assert [row["id"] for row in rows(sandbox)] == every
    assert [row["id"] for row in rows(sandbox, "side")] == sandbox.git("rev-list", "side").text.split()
    expected = sandbox.git("rev-list", "side..main").text.split()
    assert [row["id"] for row in rows(sandbox, "side..main")] == expected
    assert [row["id"] for row in rows(sandbox, "-n", "2")] == every[:2]


def test_twenty_are_shown_and_the_rest_is_mentioned(sandbox: Sandbox) -> None:
    for number in range(20):
        sandbox.unsigned(str(number))
    assert sandbox.notme("log").err == ""
    sandbox.unsigned("one more")
    done = sandbox.notme("log")
    assert len(done.text.splitlines()) == 21
    assert "one more" in done.text.splitlines()[1]
    assert done.err == "notme-git: the newest 20 are shown, and there are more (-n N)\n"


def test_a_pinned_anchor_stands_in_for_the_home(sandbox: Sandbox) -> None:
    commit = good(sandbox)
    anchor = sandbox.root / "anchor.pem"
    anchor.write_bytes((sandbox.home / "authority" / "anchors.pem").read_bytes())
    shutil.rmtree(sandbox.home)
    done = sandbox.notme("log", status=2)
    assert "notme-git init" in done.err
    [row] = rows(sandbox, "--anchor", anchor)
    assert (row["id"], row["state"]) == (commit, "good")


def test_a_repository_without_a_commit_is_told_so_kindly(sandbox: Sandbox) -> None:
    done = sandbox.notme("log", status=2)
    assert done.out == b""
    assert "there is no commit" in done.err
    assert "git commit" in done.err


@pytest.mark.parametrize("words", [("nothing",), ("nothing..HEAD",), ("-n", "0"), ("HEAD", "HEAD"), ("--output=x",)])
def test_what_is_no_range_is_a_matter_of_usage(sandbox: Sandbox, words: tuple[str, ...]) -> None:
    sandbox.unsigned()
    done = sandbox.notme("log", *words, status=64)
    assert done.out == b""


def test_an_empty_range_is_an_empty_table(sandbox: Sandbox) -> None:
    sandbox.unsigned()
    done = sandbox.notme("log", "HEAD..HEAD")
    assert (done.out, done.err) == (b"", "notme-git: no commit is in HEAD..HEAD\n")
    assert rows(sandbox, "HEAD..HEAD") == []


# -- what cannot be read


def test_a_commit_that_is_too_large_is_a_row(sandbox: Sandbox) -> None:
    sandbox.unsigned("before")
    message = sandbox.root / "message"
    message.write_bytes(b"x" * (16 * 1024 * 1024 + 1))
    sandbox.git("-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-F", message)
    sandbox.unsigned("after")
    states = [row["state"] for row in rows(sandbox)]
    assert states == ["unsigned", "could-not-check", "unsigned"]
    lines = sandbox.notme("log").text.splitlines()
    assert re.search(r"could not check +- +- +- +\(.* at most 16777216", lines[2])


def test_a_history_that_breaks_off_is_shown_as_far_as_it_goes(sandbox: Sandbox) -> None:
    commits = [sandbox.unsigned(str(number)) for number in range(4)]
    lost = sandbox.repo / ".git" / "objects" / commits[1][:2] / commits[1][2:]
    lost.unlink()
    done = sandbox.notme("log", status=2)
    assert done.text.splitlines()[1].startswith(commits[3][:8])
    assert "git fsck" in done.err
    newest = sandbox.notme("log", commits[1], status=2)
    assert re.match(rf"{commits[1][:8]}  - +could not check", newest.text.splitlines()[1])
    assert "Traceback" not in done.err + newest.err


def test_a_malformed_commit_is_a_row(sandbox: Sandbox) -> None:
    tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    raw = f"tree {tree}\ntree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n".encode()
    odd = sandbox.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw).text
    [row] = rows(sandbox, odd)
    assert (row["state"], row["reason"], row["subject"]) == ("bad", "object-malformed", None)


def test_a_subject_in_another_encoding_is_read_as_git_reads_it(sandbox: Sandbox) -> None:
    subject = sandbox.root / "subject"
    subject.write_bytes("Größe\n".encode("latin-1"))
    encoding = ("-c", "i18n.commitEncoding=ISO-8859-1")
    sandbox.git(*encoding, "commit", "-q", "--allow-empty", "-F", subject)
    sandbox.unsigned("first line\nsecond line\n\nbody")
    assert [row["subject"] for row in rows(sandbox)] == ["first line second line", "Größe"]
    assert sandbox.git("log", "--format=%s").text.split("\n") == ["first line second line", "Größe"]
    latin = sandbox.notme("log", environ={"PYTHONIOENCODING": "ascii"})
    assert latin.out.rstrip().endswith(b"Gr??e")


# -- manners


def terminal(sandbox: Sandbox, columns: int, **environ: str) -> list[str]:
    command = (SCRIPTS / "notme-git", "log")
    written = on_terminal(*command, columns=columns, cwd=sandbox.repo, environ={**sandbox.environ, **environ})
    return written.splitlines()


@pytest.mark.parametrize("columns", [30, 60, 80, 100, 200])
def test_a_line_is_as_wide_as_the_terminal_at_most(sandbox: Sandbox, columns: int) -> None:
    sandbox.commit(f"{WIDE} " * 20)
    sandbox.unsigned("a subject that goes on " * 20)
    lines = [click.unstyle(line) for line in terminal(sandbox, columns)]
    assert len(lines) == 3
    assert max(map(columns_of, lines)) <= columns
    assert all(line.endswith("…") for line in lines[1:])
    if columns >= 80:
        assert f"good      {AGENT}  Alice Example  same-user  " in lines[2]


def test_colour_is_for_terminals_that_want_it(sandbox: Sandbox) -> None:
    sandbox.commit()
    assert "\x1b[32mgood\x1b[0m" in terminal(sandbox, 100)[1]
    for environ in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in "".join(terminal(sandbox, 100, **environ))


def test_what_goes_into_a_pipe_is_whole_and_without_colour(sandbox: Sandbox) -> None:
    subject = f"{WIDE} " * 100 + "end"
    sandbox.commit(subject)
    done = sandbox.notme("log", environ={"COLUMNS": "40", "FORCE_COLOR": "1", "TERM": "xterm"})
    assert b"\x1b" not in done.out
    assert done.text.splitlines()[1].endswith(subject)


def test_a_subject_cannot_write_to_the_terminal(sandbox: Sandbox) -> None:
    sandbox.unsigned("\x1b[2J\x1b]0;title\x07 \u202egnp.exe")
    for written in (sandbox.notme("log").text, "\n".join(map(click.unstyle, terminal(sandbox, 100)))):
        assert "?[2J?]0;title? ?gnp.exe" in written
