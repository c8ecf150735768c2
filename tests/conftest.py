"""What holds for every test: no settings of this machine, no network, and no silent skip.

* The environment is replaced by a small one with a fresh home, so that neither the machine's git identity,
  nor its keyring, nor the marks of an agent that happens to run the tests can reach a result.
* Signals do what they usually do, however the suite was started.
* A connection to anything but this machine is an error.
* Under CI a skipped test is a failure unless its class is excused in `peers.py`.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import peers

# Everything else is dropped. PATH and LD_LIBRARY_PATH find the programs and their libraries.
KEPT = frozenset({"CI", "JAVA_HOME", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TMPDIR"})
KEPT_PREFIXES = ("HYPOTHESIS_", "PYTEST_")

IN_CI = os.environ.get("CI") == "true"


def isolated_environment(home: Path) -> dict[str, str]:
    """Return the environment of a test whose home is `home`, making the folders that programs expect."""
    runtime = home / "run"
    for folder in (home, runtime, home / ".gnupg"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = [name for name in os.environ if name in KEPT or name.startswith(KEPT_PREFIXES)]
    return {name: os.environ[name] for name in kept} | {
        "HOME": str(home),
        "GNUPGHOME": str(home / ".gnupg"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }


def use_environment(patch: pytest.MonkeyPatch, wanted: Mapping[str, str]) -> None:
    """Make the process's environment equal to `wanted` until `patch` is undone."""
    for name in set(os.environ) - set(wanted):
        patch.delenv(name)
    for name, value in wanted.items():
        patch.setenv(name, value)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders for homes, one a test. Numbered here: pytest's own numbering reads the folder each time."""
    base = tmp_path_factory.mktemp("homes")
    return (base / str(number) for number in itertools.count())


@pytest.fixture(scope="session", autouse=True)
def _isolated_session(homes: Iterator[Path]) -> Iterator[None]:
    """For fixtures that outlive one test."""
    with pytest.MonkeyPatch.context() as patch:
        use_environment(patch, isolated_environment(next(homes)))
        time.tzset()
        # Ignored in what a shell starts in the background, and so in all that this starts.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        yield
    time.tzset()


@pytest.fixture(autouse=True)
def _isolated_test(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    use_environment(monkeypatch, isolated_environment(next(homes)))


@pytest.fixture
def shared_vectors() -> Path:
    """The folder of the shared vectors."""
    return peers.shared_vectors()


def is_local(host: object) -> bool:
    """Whether a connection to `host` stays on this machine."""
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


def refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: the suite needs no network, and a test that does would only fail elsewhere."""
    if event == "socket.getaddrinfo":
        host: object = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return  # a unix socket, whose address is a path, or another event
    if not is_local(host):
        raise RuntimeError(f"a test tried to reach {host!r}: the suite runs without a network")


def pytest_configure() -> None:
    sys.addaudithook(refuse_network)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests wait for daemons, brokers and clocks a good part of their time."""
    return (os.cpu_count() or 1) + 1


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return why the reported test was skipped; empty where it was not, or is expected to fail."""
    if not report.skipped or hasattr(report, "wasxfail") or not isinstance(report.longrepr, tuple):
        return ""
    return report.longrepr[2].removeprefix("Skipped: ")


def excused_class(reason: str) -> str:
    """Return the class named in front of a skip's reason, if it is one that CI excuses; else empty."""
    name = reason.partition(":")[0]
    return name if name in peers.EXCUSED_IN_CI else ""


def fail_silent_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip that CI does not excuse into a failure."""
    reason = skip_reason(report)
    if IN_CI and reason and not excused_class(reason):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI takes for a failure: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_silent_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_silent_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which judges were missing, so that a green run is not read as more than it is."""
    missing = [f"{entry.name} ({entry.install})" for entry in peers.absent()]
    reports = terminalreporter.stats.get("skipped", [])
    skipped = Counter(excused_class(skip_reason(report)) for report in reports)
    classes = [f"{name} ({skipped[name]})" for name in peers.EXCUSED_IN_CI if skipped[name]]
    terminalreporter.write_line("peers absent: " + ("; ".join(missing) or "none"))
    terminalreporter.write_line("skipped classes: " + (", ".join(classes) or "none"))
