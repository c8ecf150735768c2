"""The fast lane."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attest.gitobject import ObjectFormat, ObjectKind
from attest.row import Row
from attest.trust import Trust
from attest.verify import Examination

if TYPE_CHECKING:
    from attest.history import Query


class Lane:
    def __init__(self, trusted: Trust, fmt: ObjectFormat) -> None: ...
    def row(self, object_id: str, kind: ObjectKind, raw: bytes, tokens: Sequence[bytes], query: Query) -> Row | None:
        return None
    def learn(self, found: Examination, row: Row) -> None: ...
