"""Reading handoffs from files and folders: documents of rosary's, envelopes, bundles, Statements that nobody signed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from attest import dsse, lines
from attest.apas import handoff, handoff_statement
from attest.apas.handoff import Handoff
from attest.apas.handoff_statement import Document, Said
from attest.dsse import MAX_JSON_BYTES, Envelope
from attest.errors import MalformedError, UnavailableError

MAX_FILES = 512
"""Of a folder or a command line: a phase has up to four."""

MAX_LINES = 512
"""Of a file of bundles."""

MAX_DOCUMENT = 16 * 1024 * 1024
"""Bytes of what is handed on: plans and reports."""

_IN_FOLDER = re.compile(r"\.rsry-handoff-(0|[1-9][0-9]{0,5})\.(json|dsse\.json|intoto\.json)|.*\.intoto\.jsonl")


@dataclass(frozen=True, slots=True)
class Found:
    """One handoff in one file; `envelope` is None where nobody signed it, `document` where it is a Statement.

    `bundle` is the Sigstore bundle around the envelope, where it holds the signer's certificate.
    """

    source: str
    handoff: Handoff
    document: Document | None = None
    said: Said | None = None
    envelope: Envelope | None = None
    bundle: bytes = b""


@dataclass(slots=True)
class Collection:
    """What some files hold. `broken` are those that hold no handoff, with the reason; `passed_over` counts others."""

    found: list[Found] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    passed_over: int = 0
    folders: list[Path] = field(default_factory=list)


def collect(paths: Iterable[Path]) -> Collection:
    """Read all of them; of a folder what is named as rosary or we name it. Raises `UnavailableError`."""
    made = Collection()
    for path in _files(paths, made.folders):
        data = _read(path)
        try:
            for each in _handoffs(path.name, data):
                if each is None:
                    made.passed_over += 1
                else:
                    made.found.append(each)
        except MalformedError as error:
            made.broken.append((path.name, error.message))
    return made


def read_one(path: Path) -> Found:
    """The one handoff in a file. Raises `MalformedError`."""
    found = [each for each in _handoffs(path.name, _read(path)) if each is not None]
    if len(found) != 1:
        raise MalformedError(f"{path} holds {len(found)} handoffs, not one")
    return found[0]


def document(path: Path) -> Document:
    """A file that is handed on, whatever it is. Raises `UnavailableError`."""
    return Document(path.name, _read(path, MAX_DOCUMENT))


def beside(folders: Iterable[Path], name: str) -> Document | None:
    """The document of this name in one of the folders. A name that leads elsewhere is no name of a document."""
    if not name or name != os.path.basename(name) or name in (".", ".."):
        return None
    for folder in folders:
        if (folder / name).is_file():
            return document(folder / name)
    return None


def _files(paths: Iterable[Path], folders: list[Path]) -> Iterator[Path]:
    count = 0
    for path in paths:
        folders.append(path if path.is_dir() else path.parent)
        for each in _in_folder(path) if path.is_dir() else (path,):
            count += 1
            if count > MAX_FILES:
                raise UnavailableError(f"more than {MAX_FILES} files; nothing was checked")
            yield each


def _in_folder(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if _IN_FOLDER.fullmatch(entry.name) and entry.is_file()]
    except OSError as error:
        raise UnavailableError(f"cannot read {folder}: {error.strerror}") from None
    if not names:
        hint = "they are called *.intoto.jsonl, or by rosary .rsry-handoff-N.json"
        raise UnavailableError(f"there is no handoff in {folder}", hint=hint)
    return [folder / name for name in sorted(names)]


def _read(path: Path, most: int = MAX_JSON_BYTES) -> bytes:
    try:
        # Without waiting: a pipe that nobody writes to would else hold whoever checks for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)  # what somebody writes to is read to its end
        with open(descriptor, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > most:
        raise UnavailableError(f"{path} is larger than {most} bytes")
    return data


def _handoffs(name: str, data: bytes) -> Iterator[Found | None]:
    """Each handoff in a file; None for a Statement of another type, as bundles hold."""
    parts = [line for line in data.split(b"\n") if line.strip()]
    if not parts or not all(line.startswith(b"{") and line.rstrip().endswith(b"}") for line in parts):
        parts = [data]
    if len(parts) > MAX_LINES:
        raise MalformedError(f"{len(parts)} lines; at most {MAX_LINES} bundles of a file are read")
    for number, part in enumerate(parts, 1):
        yield _handoff(f"{name}:{number}" if len(parts) > 1 else name, name, part)


def _handoff(source: str, name: str, data: bytes) -> Found | None:
    top = dsse.read_json(data)
    if "_type" in top:
        return _stated(source, data, None, b"")
    if "dsseEnvelope" in top or "payload" in top:
        envelope = lines.envelope_of(top)
        material = top.get("verificationMaterial")
        certified = isinstance(material, dict) and ("certificate" in material or "x509CertificateChain" in material)
        return _stated(source, envelope.payload, envelope, data if certified else b"")
    document = Document(name, data)
    return Found(source, handoff.parse_document(data, name), document)


def _stated(source: str, payload: bytes, envelope: Envelope | None, bundle: bytes) -> Found | None:
    if dsse.read_json(payload).get("predicateType") not in handoff.PREDICATE_TYPES:
        return None
    said = handoff_statement.read(payload)
    return Found(source, said.handoff, None, said, envelope, bundle)


