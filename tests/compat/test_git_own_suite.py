"""git's own test files for ssh signing, on the git that is installed, with our program in ssh-keygen's place.

The keys are ordinary ones and there is no home: what git expects of ssh-keygen is all that is judged here.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.compat.conftest import SCRIPTS, found, machine
from tests.peers import GIT_TESTS, SEARCH, peer

FILES = {  # each with the number of its tests that need ssh-keygen, in git 2.39
    "t7528-signed-commit-ssh.sh": 29,
    "t4202-log.sh": 8,
    "t7031-verify-tag-signed-ssh.sh": 13,
    "t6200-fmt-merge-msg.sh": 8,
    "t5534-push-signed.sh": 2,
}
PLAIN = ("t5534-push-signed.sh",)  # run with a wrapper that does nothing but run us
LEAST_CALLS = 15  # what the file that starts ssh-keygen least often needs
SECONDS = 300

OF_SSH = re.compile(r"^test_expect_(success|failure) [A-Z0-9_,]*GPGSSH[A-Z0-9_,]* '(.*)' '$", re.MULTILINE)
RESULT = re.compile(r"^(ok|not ok) \d+ (?:- )?(.*)$", re.MULTILINE)
PLAN = re.compile(r"^1\.\.(\d+)", re.MULTILINE)
KNOWN = " # TODO known breakage"  # what git itself expects to fail, with any ssh-keygen


@dataclass(frozen=True)
class Report:
    """How one of git's test files ended, and how often it started the program in front."""

    status: int
    tap: str
    log: str
    calls: int

    @property
    def results(self) -> list[tuple[str, str]]:
        """What became of each test, and the line that git prints for it."""
        return RESULT.findall(self.tap)

    @property
    def failed(self) -> list[str]:
        return [line for word, line in self.results if word != "ok" and not line.endswith(KNOWN)]

    @property
    def planned(self) -> int:
        found = PLAN.search(self.tap)
        return int(found[1]) if found else -1


def own_tests(file: str) -> list[str]:
    """The lines by which git reports those tests of a file that need ssh-keygen, run and ended as it expects."""
    script = (GIT_TESTS / "t" / file).read_text()
    return [title if wanted == "success" else title + KNOWN for wanted, title in OF_SSH.findall(script)]


def run_file(file: str, front: Path, root: Path) -> Report:
    """Run one of git's test files below `root`, with the programs in `front` before all others."""
    calls = root / "calls"
    environ = {
        "PATH": SEARCH,
        "HOME": str(root),
        "LC_ALL": "C.UTF-8",
        "HARNESS_ACTIVE": "1",
        "GIT_TEST_INSTALLED": str(front),
        "TEST_OUTPUT_DIRECTORY": str(root),
        "CALLS": str(calls),
    }
    command = ["/bin/sh", file, "--verbose-log", f"--root={root}"]
    ended = subprocess.run(
        command, cwd=GIT_TESTS / "t", env=environ, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    log = "".join(place.read_text(errors="replace") for place in root.glob("test-results/*.out"))
    count = len(calls.read_text().splitlines()) if calls.exists() else 0
    return Report(ended.returncode, ended.stdout + ended.stderr, log, count)


def wrapper(folder: Path, path: str = "") -> Path:
    """A folder with git, and a program `ssh-keygen` that runs ours and counts how often.

    One that sets the search path keeps us from finding it there, and so halves the time that it takes.
    """
    folder.mkdir()
    (folder / "git").symlink_to(peer("git"))
    program = folder / "ssh-keygen"
    ours = shlex.quote(str(SCRIPTS / "notme-git"))
    setting = f"PATH={shlex.quote(path)} " if path else ""
    program.write_text(f'#!/bin/sh\necho >>"${{CALLS:-/dev/null}}"\n{setting}exec {ours} ssh-keygen "$@"\n')
    program.chmod(0o755)
    return folder


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder on a short path: sockets of agents lie below, and their paths have at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="g", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def reports() -> Iterator[dict[str, Report]]:
    """All the files, two at a time: most of it is waiting for one process after another."""
    peer("git-tests"), peer("ssh-keygen")
    with tempfile.TemporaryDirectory(prefix="g", ignore_cleanup_errors=True) as folder, ThreadPoolExecutor(2) as pool:
        root = Path(folder)
        plain, quicker = wrapper(root / "plain"), wrapper(root / "quicker", SEARCH)
        fronts = {file: plain if file in PLAIN else quicker for file in FILES}
        roots = {file: root / file[:5] for file in FILES}
        for place in roots.values():
            place.mkdir()
        yield dict(zip(FILES, pool.map(lambda file: run_file(file, fronts[file], roots[file]), FILES), strict=True))


def require_passed(report: Report, file: str) -> None:
    """Every test passed, and each of those that need ssh-keygen was run."""
    assert report.failed == [], report.log
    assert report.status == 0, report.tap
    assert len(report.results) == report.planned
    assert set(own_tests(file)) <= {line for _, line in report.results}


@pytest.mark.parametrize("file", FILES)
def test_a_test_file_of_gits_passes_with_us_in_ssh_keygens_place(reports: dict[str, Report], file: str) -> None:
    require_passed(reports[file], file)
    assert reports[file].calls >= LEAST_CALLS


@pytest.mark.parametrize(("file", "count"), FILES.items())
def test_all_tests_of_ssh_signing_are_known_by_name(file: str, count: int) -> None:
    peer("git-tests")
    assert len(own_tests(file)) == count


def test_a_test_file_of_gits_passes_with_the_shim_under_the_name_of_ssh_keygen(short: Path) -> None:
    """Whatever it was set up for: the name decides. The home and its daemon are asked about each signature first."""
    peer("git-tests"), peer("ssh-keygen")
    made = found(machine(short / "machine"))
    front, file = short / "front", "t6200-fmt-merge-msg.sh"
    front.mkdir()
    (front / "git").symlink_to(peer("git"))
    (front / "ssh-keygen").symlink_to(made.git("config", "gpg.x509.program").text)
    try:
        require_passed(run_file(file, front, short), file)
    finally:
        made.notme("daemon", "stop")


def called(front: Path, *arguments: str, path: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Call the program in front as git does, with a search path that it may go round in."""
    return subprocess.run(
        [front / "ssh-keygen", *arguments], env={"PATH": f"{front}:{path}", "HOME": str(home)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip


def require_the_real_answer(ended: subprocess.CompletedProcess[str]) -> None:
    judge = subprocess.run([peer("ssh-keygen"), "-Y", "sign"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (judge.returncode, judge.stdout, judge.stderr)


def test_two_wrappers_on_the_path_do_not_call_each_other_for_ever(short: Path) -> None:
    first, second = wrapper(short / "first"), wrapper(short / "second")
    require_the_real_answer(called(first, "-Y", "sign", path=f"{second}{os.pathsep}{SEARCH}", home=short))


def test_a_wrapper_that_setup_remembered_does_not_call_itself_for_ever(short: Path) -> None:
    first = wrapper(short / "first")
    (short / ".gitconfig").write_text(f"[notme]\n\tpreviousSshProgram = {first}/ssh-keygen\n")
    require_the_real_answer(called(first, "-Y", "sign", path=SEARCH, home=short))


def test_without_a_real_ssh_keygen_a_wrapper_ends_and_says_so(short: Path) -> None:
    first, second = wrapper(short / "first"), wrapper(short / "second")
    ended = called(first, "-Y", "find-principals", path=str(second), home=short)
    assert ended.returncode not in (0, 127)
    assert "there is no ssh-keygen" in ended.stderr
    assert "Traceback" not in ended.stderr
