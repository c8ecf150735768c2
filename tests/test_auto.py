"""Which arguments of git's ask for a signed commit, and which only look like it."""

from __future__ import annotations

import pytest

from notme_git.auto import asks

ASK = [
    "git commit -S",
    "git commit -Sabc",
    "git commit -qS -m x",
    "git commit -sS",
    "git commit -a --gpg-sign",
    "git commit --gpg-sign=abc",
    "git commit --gpg",
    "git -C folder commit -m x -S",
    "git merge -S topic",
    "git rebase -S main",
    "git commit-tree -S -p HEAD 4b825dc",
    "git commit --g",
    "git commit -mtest -S",
    "git commit -mcommit --gpg-sign",
    "git commit --amend -mreset -S",
    "git commit -am x -S",
    "git commit -unormal -S",
    "git merge -mnot -S side",
    "git rebase -m -S main",
    "git rebase -mS main",
    "git am -c -S patch",
    "git am -mS patch",
    "git cherry-pick -m 1 -S topic",
    "git revert -sS HEAD",
    "git pull -t -S",
    "git --git-dir commit --no-pager rebase -mS",
    "git -ccore.abbrev=7 -P commit -S",
    "git what-comes-next -mS",
    "/usr/lib/git-core/git-commit -m x -S",
]

ASK_NOT = [
    "git commit",
    "git commit -m x",
    "git commit --no-gpg-sign",
    "git commit --message=-S",
    "git commit -m -S",
    "git commit -am -Sabc",
    "git commit -mS",
    "git commit -qmS",
    "git commit -F -S",
    "git commit --signoff -s",
    "git commit --author=Sam --date=-S",
    "git commit -m",
    "git commit -C -S",
    "git merge -X -S side",
    "git rebase -x -S main",
    "git commit-tree -p -S -m -S 4b825dc",
    "git -C commit commit -mS",
    "git -c -S commit",
    "git --git-dir -S commit",
    "git commit -- -",
    "git -p",
    "git",
    "/usr/lib/git-core/git-commit -m -S",
    "git rebase -i main",
    "git -c user.signingkey=abc commit",
]


@pytest.mark.parametrize("line", ASK)
def test_whoever_asks_gets_a_signature(line: str) -> None:
    assert asks(line.split())
    assert asks(line.split(), exact=False)


def test_a_message_that_begins_like_an_option_asks_for_nothing() -> None:
    assert not asks(["git", "commit", "-m", "- add Support"])
    assert not asks(["git", "commit", "-m- add Support"])


def test_where_words_cannot_be_told_apart_none_is_taken_for_anothers_value() -> None:
    """`git commit -m 'no -m' -S`, as ps shows it."""
    assert asks(["git", "commit", "-m", "no", "-m", "-S"], exact=False)


@pytest.mark.parametrize("line", ASK_NOT)
def test_whoever_does_not_ask_gets_none(line: str) -> None:
    assert not asks(line.split())
