"""Our encoding against Cap'n Proto's own: its canonicalization, its command line, and pycapnp as a reader."""

from __future__ import annotations

import dataclasses
import enum
import re
import struct
import subprocess
from pathlib import Path
from typing import Any

import capnp
import pytest
from hypothesis import given, settings

from attest import canonical
from attest.types import Authentication, Constraints, Grant
from tests import stored
from tests.peers import ROOT, peer

SCHEMAS = ROOT / "schema"
FILES = ("findings", "grant", "trust")


@pytest.fixture(scope="module")
def converter() -> Path:
    return peer("capnp")


class Readers:
    """pycapnp's class for every stored type. The parser has to live as long as what it parsed."""

    def __init__(self) -> None:
        self._parser = capnp.SchemaParser()
        self._modules = {name: self._parser.load(str(SCHEMAS / f"{name}.capnp")) for name in FILES}

    def of(self, value: Any) -> Any:
        name = type(value).__name__
        return getattr(self._modules[home(name).stem], name)


@pytest.fixture(scope="module")
def readers() -> Readers:
    return Readers()


def home(name: str) -> Path:
    """The schema that defines a struct."""
    found = [SCHEMAS / f"{file}.capnp" for file in FILES]
    return next(path for path in found if f"\nstruct {name} {{" in path.read_text("utf-8"))


def convert(converter: Path, formats: str, value: Any, data: bytes) -> bytes:
    name = type(value).__name__
    command = [str(converter), "convert", formats, str(home(name)), name]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=30).stdout


def camel(name: str) -> str:
    return re.sub(r"[-_](\w)", lambda found: found[1].upper(), name)


def fill(builder: Any, value: Any) -> None:
    """Set in pycapnp's builder what the value says; what is empty or absent is never touched."""
    for field in dataclasses.fields(value):
        name, item = camel(field.name), getattr(value, field.name)
        if isinstance(item, enum.Enum):
            setattr(builder, name, camel(item.value))
        elif isinstance(item, tuple) and item:
            fill_list(builder.init(name, len(item)), item)
        elif dataclasses.is_dataclass(item):
            if "None" in str(field.type) or item != default(type(item)):
                fill(builder.init(name), item)
        elif item:
            setattr(builder, name, item)


def fill_list(builder: Any, items: tuple[Any, ...]) -> None:
    for index, item in enumerate(items):
        if dataclasses.is_dataclass(item):
            fill(builder[index], item)
        elif item:
            builder[index] = item


def default(cls: type) -> Any:
    """The value that says nothing, which canonical bytes name with a pointer to no words."""
    return canonical.decode(cls, bytes.fromhex("fcffffff00000000"))


def agrees(reader: Any, value: Any) -> bool:
    """Whether pycapnp reads from a message what the value says."""
    if dataclasses.is_dataclass(value):
        fields = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return all(
            not reader._has(camel(field.name)) if item is None else agrees(getattr(reader, camel(field.name)), item)
            for field, item in fields
        )
    if isinstance(value, enum.Enum):
        return str(reader) == camel(value.value)
    if isinstance(value, tuple):
        return len(reader) == len(value) and all(map(agrees, reader, value))
    return bool(reader == value)


@pytest.mark.parametrize("value", stored.EXAMPLES, ids=lambda value: type(value).__name__)
def test_capnp_leaves_our_bytes_as_they_are(converter: Path, value: Any) -> None:
    data = canonical.encode(value)
    assert convert(converter, "flat:canonical", value, data) == data


@settings(derandomize=True, max_examples=80)
@given(stored.values())
def test_capnp_canonicalizes_what_pycapnp_built_to_our_bytes(
    converter: Path, readers: Readers, value: Any
) -> None:
    message = readers.of(value).new_message()
    fill(message, value)
    assert convert(converter, "binary:canonical", value, message.to_bytes()) == canonical.encode(value)


@settings(derandomize=True, max_examples=200)
@given(stored.values())
def test_pycapnp_reads_our_bytes(readers: Readers, value: Any) -> None:
    data = canonical.encode(value)
    framed = struct.pack("<II", 0, len(data) // 8) + data  # a stream's header: one segment, its words
    with readers.of(value).from_bytes(framed) as reader:
        assert agrees(reader, value)


def test_capnp_prints_what_we_encoded(converter: Path) -> None:
    text = convert(converter, "flat:text", stored.GRANT, canonical.encode(stored.GRANT)).decode()
    assert 'purpose = "nightly work"' in text
    assert "authentication = ownKey" in text
    assert "expiresAt = 1800086400" in text


def test_capnp_reads_a_grant_from_text_to_our_bytes(converter: Path) -> None:
    text = b"""(
      version = 1, id = "g", createdAt = 5, scopes = ["sign:git"],
      actor = (id = "urn:a", kind = agent, name = "a"),
      represented = (id = "urn:h", authentication = passkey)
    )"""
    human = dataclasses.replace(
        stored.HUMAN, id="urn:h", display="", email="", authentication=Authentication.PASSKEY
    )
    agent = dataclasses.replace(stored.AGENT, id="urn:a", name="a", display="", email="")
    grant = Grant(
        version=1, id="g", actor=agent, represented=human, scopes=("sign:git",), created_at=5, expires_at=0,
        constraints=Constraints((), ()), delegation_depth=0, purpose="",
    )  # fmt: skip
    assert convert(converter, "text:canonical", grant, text) == canonical.encode(grant)
