"""`bundle export` and `bundle import`: attestations in files, and in the layouts of others."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click

from attest import bundlefile, layouts, store
from attest.cli import BATCH, json_option, open_repository, repository_option
from attest.command import FILE
from attest.errors import ACCEPTED, UNCHECKED, UnavailableError, UsageError
from attest.layouts import Layout
from attest.repository import Repository
from attest.wholefile import WholeFile

LAYOUTS = click.Choice([layout.value for layout in Layout])

Found = Iterator[tuple[str, list[bytes]]]


@click.group()
def bundle() -> None:
    """Attestations to and from files, for machines without a network, and other tools' places in git."""


@bundle.command(name="export")
@click.argument("revision", metavar="[REV|A..B]", default="")
@click.option("--all", "everything", is_flag=True, help="All that is stored.")
@click.option(
    "--out", "--output", "-o", "out", type=FILE, help="The file; - is standard output."
)
@click.option("--layout", type=LAYOUTS, help="Write where that tool keeps them in this repository, not into a file.")
@repository_option
@json_option
def export_command(
    revision: str, everything: bool, out: Path | None, layout: str | None, directory: Path | None, as_json: bool
) -> int:
    """Write the attestations about REV, about the commits of A..B, or all of them.

    The file has one attestation a line (in-toto bundle, JSON Lines): statements, what servers saw arrive, time-stamps.
    With --layout they go into this repository instead: gitsign is refs/attestations/commits, notes is
    refs/notes/commits, where SLSA's source-tool looks.
    """
    if bool(revision) == everything:
        raise UsageError("say what to export: a commit, a range A..B, or --all")
    if (out is None) == (layout is None):
        raise UsageError("say where to: either --out FILE, or --layout")
    with open_repository(directory, os.environ) as repo:
        found = store.read_all(repo) if everything else _named(repo, revision)
        if layout is not None:
            written = layouts.write(repo, Layout(layout), found, datetime.now(UTC))
            added, objects, left = written.added, written.objects, written.passed_over
            said = {"ref": layouts.ref(Layout(layout)), "objects": objects, "added": added, "passedOver": left}
            text = f"{layouts.ref(Layout(layout))}: {_count(added, objects)} added"
            text += f"; passed over: {left:,}, there already or without a place in it" if left else ""
        else:
            assert out is not None
            with _written(out) as write:
                count, objects = bundlefile.export_lines(found, write)
            said = {"file": str(out), "objects": objects, "lines": count}
            text = f"{out}: {_count(count, objects)}"
    click.echo(json.dumps(said, indent=2) if as_json else text, err=str(out) == "-")
    return ACCEPTED


@bundle.command(name="import")
@click.argument("file", type=FILE, required=False)
@click.option("--layout", type=LAYOUTS, help="Read where that tool keeps them in this repository, not a file.")
@repository_option
@json_option
def import_command(file: Path | None, layout: str | None, directory: Path | None, as_json: bool) -> int:
    """Store the attestations of FILE (- is standard input), or of another tool's layout, beside ours.

    Each line says itself what it is about. What is no attestation about an object of git is passed over and counted.
    Nothing is believed by being stored: verify and show say what it proves. Exits 2 where FILE holds none at all.
    """
    if (file is None) == (layout is None):
        raise UsageError("say where from: either a file, or --layout")
    at = datetime.now(UTC)
    with open_repository(directory, os.environ) as repo:
        if layout is not None:
            done = bundlefile.import_lines(repo, layouts.read_all(repo, Layout(layout)), at)
        else:
            assert file is not None
            with _opened(file) as source:
                done = bundlefile.import_file(repo, source, at)
    if as_json:
        said = {"recognised": done.recognised, "ignored": done.ignored, "added": done.added, "objects": done.objects}
        said["withheld"] = done.withheld
        click.echo(json.dumps(said, indent=2))
    else:
        click.echo(f"{_count(done.recognised, done.objects)}, {done.added:,} of them new")
    if done.ignored:
        click.echo(f"{done.ignored:,} line(s) were passed over: no attestation about an object of git", err=True)
    if done.withheld:
        click.echo(f"{done.withheld:,} line(s) name sources of content, for everyone to read: not stored", err=True)
    # Notes are mostly no attestations; a file without any is none of its kind.
    return UNCHECKED if file is not None and done.ignored and not done.recognised else ACCEPTED


def _named(repo: Repository, revision: str) -> Found:
    """What is stored about the commits of a range, or about one object."""
    remaining = repo.list_range(revision) if ".." in revision else iter((repo.resolve(revision),))
    while batch := list(itertools.islice(remaining, BATCH)):
        yield from store.read_many(repo, batch).items()


@contextlib.contextmanager
def _written(path: Path) -> Iterator[Callable[[bytes], object]]:
    """What writes to a file that is there whole or not at all; `-` is standard output."""
    if str(path) == "-":
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    with WholeFile(path) as file:
        file.write(b"")
        yield file.write


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from None
    with file:
        yield file


def _count(lines: int, objects: int) -> str:
    shown = (f"{count:,} {what}{'' if count == 1 else 's'}" for count, what in ((lines, "line"), (objects, "object")))
    return " about ".join(shown)
