"""A command line whose stdout or stderr is closed, as by a careless daemon or cron job, or whose reader has gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Prints, opens a file and says which number it was given.
PROGRAM = """
import sys, os, click
from attest.command import main
from attest.errors import UsageError

@click.group(name="notme-attest")
def group(): ...

@group.command()
def say():
    click.echo("a verdict")
    sys.stdout.flush()
    number = os.open(os.devnull, os.O_RDONLY)
    return 40 + number if number <= 2 else 1

@group.command()
def fail():
    raise UsageError("no")

@group.command()
def warn():
    click.echo("a warning", err=True)

sys.exit(main(group))
"""


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_stream_changes_neither_the_status_nor_what_files_get(closed: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" -c "$1" say {closed}', sys.executable, PROGRAM],
        capture_output=True,
        timeout=30,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_reader_that_went_away_is_no_rejection() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "say"],
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=30,
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (2, b"")


@pytest.mark.parametrize("words", [("fail",), ("warn",), ("unknown",), ("say", "--unknown")], ids=" ".join)
def test_an_error_that_nobody_reads_keeps_its_status(words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words],
            stdout=subprocess.PIPE,
            stderr=writing,
            timeout=30,
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stdout) == (2 if words == ("warn",) else 64, b"")
