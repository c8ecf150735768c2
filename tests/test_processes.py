from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from notme_git.session import processes

GRANDCHILD = "import subprocess, sys; print(subprocess.run(sys.argv[1:], capture_output=True).stdout.decode())"


@contextmanager
def child(name: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for its stdin to end."""
    command = [name or sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, executable=sys.executable, stdin=subprocess.PIPE) as made:
        try:
            yield made
        finally:
            made.kill()


def test_a_process_is_found_with_its_parent() -> None:
    with child() as made:
        found = processes.find(made.pid)
        assert found is not None
        assert (found.pid, found.parent) == (made.pid, os.getpid())


def test_when_it_began_does_not_change_and_tells_two_processes_apart() -> None:
    with child() as made:
        assert processes.find(made.pid) == processes.find(made.pid)
        assert processes.find(made.pid) != processes.find(os.getpid())


def test_a_process_that_has_ended_is_not_found() -> None:
    with child() as made:
        pass
    assert processes.find(made.pid) is None


@pytest.mark.parametrize("pid", [0, -1, 2**31 - 1, 2**40])
def test_what_is_no_process_is_not_found(pid: int) -> None:
    assert list(processes.lineage(pid)) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("name", ["a b", "(sh)", ") S 1 1 (", "1) S 1 (", "\n"])
def test_a_name_that_looks_like_more_fields_is_skipped_to_its_end(name: str) -> None:
    """A process may call itself what it likes: a forged parent would make it a member of another's session."""
    code = f"import sys; open('/proc/self/comm', 'w').write({name!r}); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as made:
        assert made.stdout is not None
        made.stdout.read(1)
        found = processes.find(made.pid)
        made.kill()
    assert found is not None
    assert (found.parent, found.began.isdecimal()) == (os.getpid(), True)


def test_a_lineage_goes_from_the_process_to_its_ancestors() -> None:
    line = list(processes.lineage(os.getpid()))
    assert [p.pid for p in line[:2]] == [os.getpid(), os.getppid()]
    assert [p.parent for p in line[:-1]] == [p.pid for p in line[1:]]


def test_a_grandchild_has_this_process_in_its_lineage() -> None:
    code = "import os; from notme_git.session import processes; print(*[p.pid for p in processes.lineage(os.getpid())])"
    command = [sys.executable, "-c", GRANDCHILD, sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.split()[2] == str(os.getpid())


def test_no_more_ancestors_are_looked_at_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "find", lambda pid: processes.Process(pid, "1", pid + 1))
    assert len(list(processes.lineage(1))) == processes.MAX_DEPTH


def test_a_whole_lineage_goes_to_the_first_process_of_all() -> None:
    line = processes.whole_lineage(os.getpid())
    assert line == list(processes.lineage(os.getpid()))
    assert line[-1].parent == 0


def test_a_process_that_has_ended_has_no_whole_lineage() -> None:
    with child() as made:
        assert processes.whole_lineage(made.pid)[0].pid == made.pid
    assert processes.whole_lineage(made.pid) == []


def simulated(monkeypatch: pytest.MonkeyPatch, *readings: dict[int, tuple[str, int]]) -> None:
    """What is found of each process, of one reading of all after the other; the last holds on."""
    asked: dict[int, int] = {}

    def find(pid: int) -> processes.Process | None:
        turn = asked[pid] = asked.get(pid, -1) + 1
        found = readings[min(turn, len(readings) - 1)].get(pid)
        return processes.Process(pid, *found) if found else None

    monkeypatch.setattr(processes, "find", find)


def test_a_lineage_that_changed_while_it_was_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent ended, and somebody else's process has its id now."""
    before, after = {9: ("9", 5), 5: ("20", 1), 1: ("1", 0)}, {9: ("9", 3), 3: ("3", 1), 1: ("1", 0)}
    simulated(monkeypatch, before, after)
    assert [p.pid for p in processes.whole_lineage(9)] == [9, 3, 1]


def test_a_lineage_that_never_holds_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated(monkeypatch, *({9: (str(n), 1), 1: ("1", 0)} for n in range(99)))
    assert processes.whole_lineage(9) == []


def test_a_lineage_deeper_than_the_bound_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    line = {pid: ("1", pid - 1) for pid in range(1, processes.MAX_DEPTH + 2)}
    simulated(monkeypatch, line)
    assert len(processes.whole_lineage(processes.MAX_DEPTH)) == processes.MAX_DEPTH
    assert processes.whole_lineage(processes.MAX_DEPTH + 1) == []


@pytest.mark.parametrize(("error", "whole"), [(PermissionError, True), (ProcessLookupError, False), (None, False)])
def test_a_lineage_may_end_below_another_users_process_that_is_hidden(
    monkeypatch: pytest.MonkeyPatch, error: type[OSError] | None, whole: bool
) -> None:
    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (5, 0)
        if error is not None:
            raise error

    simulated(monkeypatch, {9: ("9", 5)})
    monkeypatch.setattr(os, "kill", kill)
    assert [p.pid for p in processes.whole_lineage(9)] == ([9] if whole else [])


def test_ps_says_the_same_as_the_kernel() -> None:
    """What macOS asks; its words for the time are others."""
    if not os.access(processes.PS, os.X_OK):
        pytest.skip("no /bin/ps")
    with child() as made:
        found, other = processes._find_with_ps(made.pid), processes._find_with_ps(os.getpid())
        assert found is not None
        assert (found.pid, found.parent) == (made.pid, os.getpid())
        assert found == processes._find_with_ps(made.pid)
        assert other is not None
    assert processes._find_with_ps(made.pid) is None
