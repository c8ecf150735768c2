"""By what an update is judged: the operator's file, or the rules in the tree that it is made onto (design D15)."""

from __future__ import annotations

from pathlib import Path

from attest.policy import Policy, PolicyLike
from attest.receive.push import Judge
from attest.receive.updates import Update, tip_of
from attest.repository import Repository
from attest.trust import Trust


class Policies:
    """The rules for each update. `default` is the commit whose rules hold where a ref is new, None without one.

    A file of the operator's holds for every ref, and no tree is looked into then. Raises `UnavailableError` for one
    that is no policy.
    """

    def __init__(self, repo: Repository, trusted: Trust, default: str | None, file: Path | None) -> None:
        self._repo, self._trusted, self._default = repo, trusted, default
        self._file: Judge | None = None
        self._trees: dict[str, Judge | None] = {}
        if file is not None:
            from attest.rules import source

            policy, under = source.from_file(file, trusted, repo)
            self._file = Judge(under, policy, _of_pushers(policy))

    def of(self, update: Update) -> Judge:
        """The rules at the ref's old tip, else those of the default branch, else the built-in policy."""
        if self._file is not None:
            return self._file
        for commit in (update.old, self._default):
            if commit is not None and (found := self._in_tree(commit)) is not None:
                return found
        return Judge(self._trusted, Policy(), Policy())

    def _in_tree(self, oid: str) -> Judge | None:
        """The rules in the tree of a ref's tip, None where it has none or is no commit or tag of one."""
        if oid not in self._trees:
            from attest.rules import source

            commit = tip_of(self._repo, oid)
            found = source.in_tree(self._repo, commit, self._trusted) if commit is not None else None
            made = Judge(found.trusted, found.policy, _of_pushers(found.policy)) if found is not None else None
            self._trees[oid] = made
        return self._trees[oid]


def _of_pushers(policy: PolicyLike) -> PolicyLike:
    """What judges who signed a push: rules that speak of push certificates, where there are any, else the built-in."""
    from attest.rules.model import Kind
    from attest.rules.ruleset import Ruleset

    if not isinstance(policy, Ruleset):
        return policy
    speaks = any(rule.match.kinds is not None and Kind.PUSH in rule.match.kinds for rule in policy.document.rules)
    return policy if speaks else Policy()
