"""Run any verifier over a corpus: one process a case, what it is called with from a template, what it says by its exit.

Nothing here knows a verifier, and nothing of this project is asked.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.corpus.case import ACCEPT, EXPECTED, REJECT, UNCHECKED, VERSION

MAX_INDEX_BYTES = 16 * 1024 * 1024
"""Ours has half a MiB."""

FIELDS = frozenset(
    {
        *("repo", "oid", "ref", "kind", "format", "signer", "name", "at"),
        *("trust", "anchor", "bundle", "timestamp", "offered_ref", "offered_repository"),
    }
)
"""What a template may name in braces; what a case does not have is empty."""


class CorpusError(Exception):
    """The corpus or the template cannot be used: one sentence for whoever called."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One case of an index. `fields` is what the template is filled in with."""

    name: str
    repository: Path
    signer: str
    kind: str
    expect: str
    step: int
    sentence: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Exits:
    """Which exit statuses of the verifier mean what; every other one means that it could not check."""

    accept: frozenset[int] = frozenset({0})
    reject: frozenset[int] = frozenset({1})

    def read(self, status: int) -> str:
        if status in self.accept:
            return ACCEPT
        return REJECT if status in self.reject else UNCHECKED


@dataclass(frozen=True, slots=True)
class Result:
    """What a verifier made of a case; `status` is None where it did not end in time."""

    entry: Entry
    status: int | None
    got: str

    @property
    def agrees(self) -> bool:
        return self.got == self.entry.expect

    @property
    def fooled(self) -> bool:
        """It accepted what has to be refused."""
        return self.got == ACCEPT and self.entry.expect != ACCEPT

    @property
    def refused(self) -> bool:
        """It did not accept what is in order."""
        return self.got != ACCEPT and self.entry.expect == ACCEPT


def read_index(folder: Path) -> list[Entry]:
    """The cases of the corpus in `folder`; `CorpusError` where there is none."""
    folder = folder.resolve()
    try:
        with open(folder / "index.json", "rb") as file:
            data = file.read(MAX_INDEX_BYTES + 1)
        if len(data) > MAX_INDEX_BYTES:
            raise CorpusError(f"{folder}/index.json has more than {MAX_INDEX_BYTES} bytes")
        index = json.loads(data)
        if index["version"] != VERSION:
            raise CorpusError(f"{folder} is a corpus of version {index['version']}; this program runs {VERSION}")
        return [_entry(folder, item) for item in index["cases"]]
    except OSError as error:
        raise CorpusError(f"{folder} holds no corpus ({error.strerror}): make one with generate") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CorpusError(f"{folder}/index.json is not the index of a corpus") from None


def _entry(folder: Path, item: Mapping[str, Any]) -> Entry:
    if item["expect"] not in EXPECTED:
        raise ValueError(item["expect"])
    fields = {
        "repo": str(folder / item["repository"]),
        "oid": item["object_id"],
        "trust": str(folder / "trust"),
        "anchor": str(folder / item["anchor"]),
        "bundle": str(folder / item["bundle"]),
        "timestamp": str(folder / item["timestamp"]) if item["timestamp"] else "",
        **{name: item[name] for name in ("ref", "kind", "format", "signer", "name", "at")},
        **{name: item[name] or "" for name in ("offered_ref", "offered_repository")},
    }
    return Entry(
        name=item["name"],
        repository=folder / item["repository"],
        signer=item["signer"],
        kind=item["kind"],
        expect=item["expect"],
        step=item["step"],
        sentence=item["sentence"],
        fields=fields,
    )


def select(
    entries: Iterable[Entry],
    *,
    only: Sequence[str] = (),
    signers: Sequence[str] = (),
    kinds: Sequence[str] = (),
    formats: Sequence[str] = (),
) -> list[Entry]:
    """The entries that are asked for; what is not asked about lets everything through.

    `only` are patterns of names, `formats` hash functions. Objects that nobody signed belong to every signer.
    """
    return [
        one
        for one in entries
        if (not only or any(fnmatchcase(one.name, pattern) for pattern in only))
        and (not signers or one.signer in (*signers, "none"))
        and (not kinds or one.kind in kinds)
        and (not formats or one.repository.stem in formats)
    ]


def parse_template(text: str) -> list[str]:
    """A command in words, each with the fields it names; `CorpusError` for a field that there is not."""
    try:
        words = shlex.split(text)
        for word in words:
            word.format_map(dict.fromkeys(FIELDS, ""))
    except KeyError as error:
        raise CorpusError(f"no field {{{error.args[0]}}}; there are {', '.join(sorted(FIELDS))}") from None
    except (ValueError, IndexError, AttributeError) as error:
        raise CorpusError(f"the verifier's command cannot be read: {error}") from None
    if not words:
        raise CorpusError("the verifier's command is empty")
    return words


def run(
    entries: Sequence[Entry],
    template: Sequence[str],
    exits: Exits,
    *,
    jobs: int,
    seconds: float,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Result]:
    """The results in the order of the entries; each process runs in its case's repository, for at most `seconds`.

    `environ` is all that it sees, where it is given; else it sees what we see.
    """

    def one(entry: Entry) -> Result:
        status = _status([word.format_map(entry.fields) for word in template], entry.repository, seconds, environ)
        return Result(entry, status, UNCHECKED if status is None else exits.read(status))

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(one, entries)


def _status(command: list[str], cwd: Path, seconds: float, environ: Mapping[str, str] | None) -> int | None:
    """The exit status, None where it had to be ended; a signal's number is negative."""
    null = subprocess.DEVNULL
    given = dict(os.environ if environ is None else environ)
    try:
        done = subprocess.run(
            command, cwd=cwd, env=given, stdin=null, stdout=null, stderr=null, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    except OSError as error:
        raise CorpusError(f"{command[0]} cannot be run: {error.strerror}") from None
    return done.returncode


def table(results: Iterable[Result]) -> Iterator[str]:
    """A line for every disagreement, then a summary by step."""
    known = list(results)
    for result in known:
        if not result.agrees:
            entry = result.entry
            mark = "!" if result.fooled else "-" if result.refused else " "
            yield f"{mark} {entry.repository.stem:6} {entry.name:60} {entry.expect:15} {result.got:15} {entry.sentence}"
    yield f"{'step':>6} {'cases':>6} {'agree':>6} {'fooled':>7} {'refused':>8} {'other':>6}"
    for step in sorted({result.entry.step for result in known}):
        of_step = [result for result in known if result.entry.step == step]
        yield _summary(str(step), of_step)
    yield _summary("all", known)


def _summary(name: str, results: Sequence[Result]) -> str:
    agree, fooled = sum(r.agrees for r in results), sum(r.fooled for r in results)
    refused = sum(r.refused for r in results)
    other = len(results) - agree - fooled - refused
    return f"{name:>6} {len(results):6} {agree:6} {fooled:7} {refused:8} {other:6}"


def as_data(results: Iterable[Result]) -> list[dict[str, object]]:
    """For `--json`."""
    return [
        {
            "name": result.entry.name,
            "repository": result.entry.repository.name,
            "object_id": result.entry.fields["oid"],
            "step": result.entry.step,
            "expect": result.entry.expect,
            "got": result.got,
            "status": result.status,
            "agrees": result.agrees,
        }
        for result in results
    ]
