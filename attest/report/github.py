"""A judged pull request as GitHub shows it: workflow commands on stdout, and bodies for the API of check runs.

A runner takes a line for a command that begins with `::`, and one that has `##[` anywhere (actions/runner,
ActionCommand.cs). So words from outside stand only behind a command of ours, escaped, and never hold `##[`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from attest.pull import Check, Note
from attest.report import markdown
from attest.report.text import printable
from attest.types import Severity

SHOWN = 10
"""Annotations of each severity that GitHub takes from one step."""

PER_REQUEST = 50
"""Annotations in one request for a check run."""

MAX_SUMMARY = 65_535
MAX_TITLE = 255
MAX_ANNOTATIONS = 1000
"""Of one check run: twenty requests."""

NAME = "notme-attest"

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_LEVELS = {Severity.ERROR: "failure", Severity.WARNING: "warning", Severity.INFO: "notice"}


def commands(check: Check) -> Iterator[str]:
    """Workflow commands, and at last a line that says how it ended."""
    left = dict.fromkeys(Severity, SHOWN)
    for note in check.notes():
        if left[note.severity]:
            left[note.severity] -= 1
            yield command(note)
    yield markdown.title(check)


def command(note: Note) -> str:
    """One annotation. Without a file GitHub shows it with the run alone."""
    properties = {"title": cut_title(note)} | ({"file": note.path, "line": "1"} if note.path else {})
    said = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_COMMANDS[note.severity]} {said}::{_data(_full(note))}"


def check_runs(check: Check, *, failed: bool) -> str:
    """Bodies of requests as a JSON list: the first makes a check run (POST), the others add to it (PATCH)."""
    annotations = [_annotation(note) for note in check.notes() if note.path][:MAX_ANNOTATIONS]
    output = {"title": markdown.title(check)[:MAX_TITLE], "summary": _shortened(markdown.document(check))}
    conclusion = "failure" if failed else "success" if all(c.accepted for c in check.changes) else "neutral"
    first: dict[str, Any] = {
        "name": NAME,
        "head_sha": check.head,
        "status": "completed",
        "conclusion": conclusion,
        "output": {**output, "annotations": annotations[:PER_REQUEST]},
    }
    rest = range(PER_REQUEST, len(annotations), PER_REQUEST)
    more = [{"output": {**output, "annotations": annotations[start : start + PER_REQUEST]}} for start in rest]
    return json.dumps([first, *more], indent=2, ensure_ascii=False)


def cut_title(note: Note) -> str:
    """Its title, as long as GitHub takes one."""
    return printable(note.title)[:MAX_TITLE]


def _annotation(note: Note) -> dict[str, Any]:
    return {
        "path": printable(note.path),
        "start_line": 1,
        "end_line": 1,
        "annotation_level": _LEVELS[note.severity],
        "title": cut_title(note),
        "message": printable(_full(note)),
    }


def _full(note: Note) -> str:
    return f"{note.message}. What to do: {note.remedy}" if note.remedy else note.message


def _shortened(text: str) -> str:
    if len(text) <= MAX_SUMMARY:
        return text
    end = text.rfind("\n", 0, MAX_SUMMARY)
    return text[:end]


def _data(text: str) -> str:
    return printable(text).replace("##[", "## [").replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
