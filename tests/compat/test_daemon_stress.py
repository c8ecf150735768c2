"""The daemon killed at random moments under load, and a hundred repositories at once.

Whatever happens, every commit is good and by the agent whose repository it is in, or git said that it made none.
Under CI, and with `NOTME_STRESS=full`, as many commits as the design promises; otherwise a third of them.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from attest.errors import UnavailableError
from notme_git.daemon import client
from tests.compat.conftest import AGENT, Sandbox
from tests.conftest import IN_CI
from tests.peers import peer

FULL = os.environ.get("NOTME_STRESS") == "full" or IN_CI
SEED = 20261127
WORKERS = 4
KILLED_COMMITS = 500 if FULL else 148  # a multiple of the workers
KILL_EVERY_S = (0.02, 0.6)
AT_ONCE = 100 if FULL else 40
OTHER = "codex"
COMMIT_PATIENCE_S = 120


@dataclass(frozen=True)
class Tried:
    """How one `git commit` ended."""

    repo: Path
    status: int
    said: str


@pytest.fixture
def two_agents(sandbox: Sandbox) -> Sandbox:
    """A home whose human lets two agents act."""
    sandbox.notme("grant", "add", OTHER)
    return sandbox


def origin(sandbox: Sandbox, agent: str) -> Path:
    """A repository in which `agent` signs, with one commit that nobody signed."""
    place = sandbox.root / f"origin of {agent}"
    if not place.exists():
        sandbox.git("init", "-q", "-b", "main", place)
        sandbox.notme("setup", "--agent", agent, cwd=place)
        sandbox.unsigned("origin", cwd=place)
    return place


def repositories(sandbox: Sandbox, count: int) -> list[Path]:
    """Repositories of the two agents in turn."""
    made = [sandbox.root / f"repository {number}" for number in range(count)]
    for number, repo in enumerate(made):
        shutil.copytree(origin(sandbox, (AGENT, OTHER)[number % 2]), repo)
    return made


def commit(sandbox: Sandbox, repo: Path, message: str) -> Tried:
    command = [str(peer("git")), "commit", "-q", "--allow-empty", "-m", message]
    ended = subprocess.run(
        command, cwd=repo, env=sandbox.environ, capture_output=True, timeout=COMMIT_PATIENCE_S, check=False
    )
    return Tried(repo, ended.returncode, ended.stderr.decode("utf-8", "replace"))


def check(sandbox: Sandbox, repos: Sequence[Path], tried: Sequence[Tried]) -> None:
    """None lost, none unsigned, none by the wrong agent; and what failed says so."""
    for attempt in tried:
        assert attempt.status in (0, 128), attempt
        assert attempt.status == 0 or "notme-git: " in attempt.said, attempt
    for repo in repos:
        count = sandbox.git("rev-list", "--count", "HEAD", cwd=repo).text
        assert int(count) - 1 == sum(t.repo == repo and t.status == 0 for t in tried), repo
    for agent in (AGENT, OTHER):
        owned = repos[agent == OTHER :: 2]
        verdicts = judged(sandbox, agent, owned)
        assert len(verdicts) == sum(t.repo in owned and t.status == 0 for t in tried)
        assert {v["outcome"] for v in verdicts} == {"accepted"}
        assert {v["identity"]["actor"]["name"] for v in verdicts} == {agent}


def judged(sandbox: Sandbox, agent: str, repos: Sequence[Path]) -> list[Any]:
    """The verdicts on all commits in `repos`, from one run of the verifier where it sees them all, under one merge."""
    place = sandbox.root / f"all of {agent}"
    shutil.copytree(origin(sandbox, agent), place)
    stores = [f"{repo}/.git/objects\n" for repo in repos]
    (place / ".git" / "objects" / "info" / "alternates").write_text("".join(stores))
    parents = [word for repo in repos for word in ("-p", sandbox.rev("HEAD", cwd=repo))]
    merge = sandbox.git("commit-tree", "-S", "-m", "all", *parents, "HEAD^{tree}", cwd=place).text
    verdicts = sandbox.attest("verify", f"HEAD..{merge}", "--json", cwd=place, status=None).json
    assert verdicts[0]["object"]["id"] == merge
    return list(verdicts[1:])


class Killer:
    """Kills the home's daemon with SIGKILL at random moments while it is in use."""

    def __init__(self, home: Path, chance: random.Random) -> None:
        self.home, self.chance, self.kills = home, chance, 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self.chance.uniform(*KILL_EVERY_S)):
            with contextlib.suppress(OSError, UnavailableError), socket.socket(socket.AF_UNIX) as caller:
                caller.connect(client.address(self.home, {}))
                os.kill(client.peer(caller)[1], signal.SIGKILL)
                self.kills += 1


def test_a_daemon_killed_at_random_moments_costs_no_commit(two_agents: Sandbox) -> None:
    """Killed before, in and after requests, and while it starts."""
    repos = repositories(two_agents, WORKERS)

    def work(repo: Path) -> list[Tried]:
        return [commit(two_agents, repo, f"{number}") for number in range(KILLED_COMMITS // WORKERS)]

    with Killer(two_agents.home, random.Random(SEED)) as killer, ThreadPoolExecutor(WORKERS) as pool:
        tried = [attempt for done in pool.map(work, repos) for attempt in done]
    assert len(tried) == KILLED_COMMITS
    assert killer.kills >= 5
    check(two_agents, repos, tried)
    assert all(attempt.status == 0 for attempt in tried)


def test_commits_in_many_repositories_at_once_are_all_good(two_agents: Sandbox) -> None:
    """With no daemon at the start, which all of them find out at the same moment."""
    repos = repositories(two_agents, AT_ONCE)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tried = list(pool.map(lambda repo: commit(two_agents, repo, "at once"), repos))
    check(two_agents, repos, tried)
    assert all(attempt.status == 0 for attempt in tried)
