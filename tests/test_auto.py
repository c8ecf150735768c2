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
    "git -c commit.gpgsign=true commit",
    "git -c commit.gpgSign commit",
    "git -C folder commit -m x -S",
    "git merge -S topic",
    "git rebase -S main",
    "git commit-tree -S -p HEAD 4b825dc",
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
    "git rebase -i main",
    "git -c user.signingkey=abc commit",
]


@pytest.mark.parametrize("line", ASK)
def test_whoever_asks_gets_a_signature(line: str) -> None:
    assert asks(line.split())


@pytest.mark.parametrize("line", ASK_NOT)
def test_whoever_does_not_ask_gets_none(line: str) -> None:
    assert not asks(line.split())
