"""By what an update is judged: the operator's file, or the rules in the tree that it is made onto (design D15)."""

from __future__ import annotations

from pathlib import Path

from attest import verifier
from attest.policy import Policy
from attest.receive.push import Judge
from attest.receive.updates import Update
from attest.repository import Repository
from attest.trust import Trust


class Policies:
    """The rules for each update. `default` is the commit whose rules hold where a ref is new, None without one."""

    def __init__(self, repo: Repository, trusted: Trust, default: str | None, file: Path | None) -> None:
        self._repo, self._trusted, self._default = repo, trusted, default
        self._file: Judge | None = None
        if file is not None:
            policy, narrowed = verifier.load_policy(file, None, trusted)
            self._file = Judge(narrowed, policy)

    def of(self, _: Update) -> Judge:
        """What judges an update. Without a file and without rules in a tree that is the built-in policy."""
        if self._file is not None:
            return self._file
        return Judge(self._trusted, Policy())
