"""Nonces that cost no write: ours, fresh, and good once."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attest.errors import RefusedError
from notme_git.authority import nonces
from notme_git.authority.http.desk import Desk
from tests.forge import NOW
from tests.served import served
from tests.world import World

SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
KEY = b"k" * 32
NONCE = nonces.make(KEY, NOW)


@pytest.mark.parametrize("seconds", [0, 1, nonces.LIFETIME_S - 1, -nonces.FUTURE_S])
def test_a_nonce_is_good_for_its_lifetime(seconds: int) -> None:
    ends = nonces.verify(KEY, NONCE, NOW + timedelta(seconds=seconds))
    assert ends == int(NOW.timestamp()) + nonces.LIFETIME_S


@pytest.mark.parametrize("seconds", [nonces.LIFETIME_S, nonces.LIFETIME_S + 1, 10**9, -nonces.FUTURE_S - 1, -(10**9)])
def test_outside_of_it_it_is_refused_and_where_to_get_another_is_told(seconds: int) -> None:
    with pytest.raises(RefusedError, match="too old") as refused:
        nonces.verify(KEY, NONCE, NOW + timedelta(seconds=seconds))
    assert "/nonce" in refused.value.hint


@given(st.text(max_size=200))
@example("")
@example(".")
@example("..")
@example(NONCE + "=")
@example(NONCE + "\n")
@example(NONCE.upper())
@example("\ud800.x")
@example("x" * 10_000)
def test_any_text_but_ours_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="unknown nonce"):
        nonces.verify(KEY, text, NOW)


@given(st.integers(0, len(NONCE) - 1), st.sampled_from("0aZ_-."))
def test_a_nonce_with_any_sign_changed_is_refused(at: int, sign: str) -> None:
    changed = NONCE[:at] + sign + NONCE[at + 1 :]
    if changed != NONCE:
        with pytest.raises(RefusedError, match="unknown nonce"):
            nonces.verify(KEY, changed, NOW)


def test_anothers_nonce_is_refused() -> None:
    with pytest.raises(RefusedError, match="unknown nonce"):
        nonces.verify(b"o" * 32, NONCE, NOW)


def test_no_two_are_alike_and_all_are_short_and_url_safe() -> None:
    made = {nonces.make(KEY, NOW) for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(each) <= nonces.MAX_LENGTH and set(each) <= set(SAFE) for each in made)


def test_handing_them_out_writes_nothing_and_they_outlive_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path)
    with served(world) as server:
        before = server.within(lambda desk: desk.authority.store.fetch("PRAGMA data_version", {})[0][0])
        made = [server.nonce() for _ in range(5)]
        assert server.within(lambda desk: desk.authority.store.fetch("SELECT count(*) FROM once", {})[0][0]) == 0
        assert server.within(lambda desk: desk.authority.store.fetch("PRAGMA data_version", {})[0][0]) == before
    with served(world) as server:
        for each in made:
            server.within(partial(Desk.spend_nonce, nonce=each, at=world.now))
        with pytest.raises(RefusedError, match="nonce already used"):
            server.within(lambda desk: desk.spend_nonce(made[0], world.now))
