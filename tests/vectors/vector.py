"""The file format of a vector: header lines, then named blocks. README.md describes it for others."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

MAX_LINE = 76
TEXT_BLOCKS = ("anchor", "signature")
"""PEM as it stands; every other block is base64."""


@dataclass(frozen=True)
class Vector:
    """`name` is `<step>_<defect>`; headers keep their order."""

    name: str
    headers: Mapping[str, str]
    blocks: Mapping[str, bytes]

    @property
    def step(self) -> int:
        return int(self.name.partition("_")[0])

    @property
    def expect(self) -> str:
        return self.headers["expect"]

    def encode(self) -> str:
        """The file's text."""
        lines = [f"{key}: {value}" for key, value in self.headers.items()]
        for key, data in self.blocks.items():
            text = data.decode("ascii").rstrip("\n") if key in TEXT_BLOCKS else wrapped(data)
            lines += ["", f"-- {key}", *text.splitlines()]
        return "\n".join(lines) + "\n"


def wrapped(data: bytes) -> str:
    """Base64 in lines."""
    return "\n".join(textwrap.wrap(base64.b64encode(data).decode(), MAX_LINE))


def parse(name: str, text: str) -> Vector:
    """What `Vector.encode` wrote."""
    head, *parts = text.split("\n-- ")
    headers = dict(line.split(": ", 1) for line in head.strip().splitlines())
    blocks: dict[str, bytes] = {}
    for part in parts:
        key, _, body = part.partition("\n")
        stripped = body.strip("\n")
        blocks[key] = f"{stripped}\n".encode() if key in TEXT_BLOCKS else base64.b64decode(stripped)
    return Vector(name, headers, blocks)
