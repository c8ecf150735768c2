"""Counters that several processes add to and each can tell."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from notme_git.authority.metrics import MAX_WORKERS, NAMES, Metrics
from tests.served import served
from tests.world import World


def test_every_counter_begins_at_nought() -> None:
    assert Metrics().read() == dict.fromkeys(NAMES, 0)


def test_what_is_counted_is_told_under_its_name_alone() -> None:
    metrics = Metrics()
    metrics.add("issued")
    metrics.add("microseconds", 2**40)
    assert metrics.read() == {**dict.fromkeys(NAMES, 0), "issued": 1, "microseconds": 2**40}


def test_a_counter_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError):
        Metrics().add("unknown")


def test_a_sum_is_over_all_processes() -> None:
    metrics = Metrics()
    children = []
    for worker in range(4):
        if not (child := os.fork()):
            metrics.worker = worker
            for _ in range(1000):
                metrics.add("requests")
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert metrics.read()["requests"] == 4000


def test_a_worker_beyond_the_last_row_shares_one() -> None:
    metrics = Metrics()
    metrics.worker = MAX_WORKERS - 1
    metrics.add("refused")
    metrics.worker = 2 * MAX_WORKERS - 1
    metrics.add("refused")
    assert metrics.read()["refused"] == 2


def test_the_text_has_help_type_and_value_of_every_counter() -> None:
    """Prometheus text format 0.0.4."""
    lines = Metrics().text().splitlines()
    for (name, about), at in zip(NAMES.items(), range(0, len(lines), 3), strict=True):
        full = f"notme_authority_{name}_total"
        assert lines[at : at + 3] == [f"# HELP {full} {about}", f"# TYPE {full} counter", f"{full} 0"]
        assert re.fullmatch(r"[a-z_]+", name)


def test_a_server_counts_what_it_answers(tmp_path: Path) -> None:
    with served(World(tmp_path)) as server:
        cookie = server.cookie(server.account())
        assert server.cert({"type": "session"}, cookie=cookie).status == 200
        server.request("GET", "/nothing")
        text = server.request("GET", "/metrics")
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    told = dict(line.split(" ") for line in text.body.decode().splitlines() if not line.startswith("#"))
    counted = {name: int(told[f"notme_authority_{name}_total"]) for name in NAMES if name != "microseconds"}
    expected = {"requests": 3, "refused": 1, "issued": 1, "legacy_digest": counted["legacy_digest"]}
    assert counted == {**dict.fromkeys(counted, 0), **expected}
