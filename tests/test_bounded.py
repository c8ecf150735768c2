"""Work in a fork that ends in any case, with all that it started."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

from attest.errors import RefusedError, UnavailableError
from notme_git.session import bounded


def test_what_the_work_returns_is_returned() -> None:
    assert bounded.call(lambda: b"x" * 200_000, 20) == b"x" * 200_000
    assert bounded.call(lambda: b"", 20) == b""


def test_the_work_is_done_in_another_process() -> None:
    assert int(bounded.call(lambda: b"%d" % os.getpid(), 20)) != os.getpid()


def test_the_reason_of_a_failure_comes_back() -> None:
    def fail() -> NoReturn:
        raise RefusedError("no, for a reason")

    with pytest.raises(UnavailableError, match="no, for a reason"):
        bounded.call(fail, 20)


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    def wait() -> bytes:
        with subprocess.Popen(["sleep", "60"]) as started:
            (tmp_path / "pid").write_text(str(started.pid))
        return b""

    began = time.monotonic()
    with pytest.raises(UnavailableError, match="longer than 1 s"):
        bounded.call(wait, 1)
    assert time.monotonic() - began < 10
    pid = int((tmp_path / "pid").read_text())
    while (status := Path(f"/proc/{pid}/stat")).exists() and b") Z " not in status.read_bytes():
        assert time.monotonic() - began < 20
        time.sleep(0.01)


def test_what_ends_without_a_word_is_a_failure() -> None:
    def die() -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b""

    with pytest.raises(UnavailableError, match="too much memory or time"):
        bounded.call(die, 20)


def test_what_tells_too_much_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MAX_OUTPUT_BYTES", 100_000)
    with pytest.raises(UnavailableError, match="told too much"):
        bounded.call(lambda: b"x" * 300_000, 20)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts what is allocated on Linux alone")
def test_memory_beyond_the_bound_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    status = Path("/proc/self/status").read_text()
    allocated = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData:"))
    monkeypatch.setattr(bounded, "MEMORY_BYTES", allocated + 256 * 1024 * 1024)
    assert bounded.call(lambda: b"%d" % len(bytearray(64 * 1024 * 1024)), 20) == b"67108864"
    with pytest.raises(UnavailableError):
        bounded.call(lambda: b"%d" % len(bytearray(512 * 1024 * 1024)), 20)


def test_a_lower_limit_that_is_set_already_stays() -> None:
    def twice() -> bytes:
        lower = bounded.MEMORY_BYTES // 2
        resource.setrlimit(resource.RLIMIT_DATA, (lower, lower))
        bounded.limit(20)
        return b"%d" % (resource.getrlimit(resource.RLIMIT_DATA)[0] - lower)

    assert bounded.call(twice, 20) == b"0"
