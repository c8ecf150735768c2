"""Canonical Cap'n Proto encoding of the types in `types.py`, and its strict inverse.

Source: the Cap'n Proto encoding specification, sections "Messages" to "Canonicalization". One value has one
encoding, the bytes that `capnp convert binary:canonical` writes, so that it can be signed and digested:

- one segment without a segment table; the root pointer, then every object in pre-order, without gaps
- structs lose trailing zero words and trailing null pointers; the elements of a struct list all have the
  size of the largest
- the specification lets both a null pointer and an empty object stand for an empty text, blob or list, and
  for a struct that holds only defaults. Here they are always null pointers, except where a field may be
  absent (annotation `nullable`): there the null pointer means absence, and only that.

What bounds reading: a pointer must lead to the very next unread word, so no byte is read twice and nothing
is longer than the bytes that pay for it; schemas are never recursive, which bounds the depth.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

from attest.errors import MalformedError

MAX_BYTES = 8 * 1024 * 1024
"""Twice the largest trust bundle that is read (`trust.MAX_BUNDLE_BYTES`), the largest thing stored this way."""

T = TypeVar("T")


class Kind(enum.Enum):
    """What a pointer field leads to."""

    TEXT = enum.auto()
    DATA = enum.auto()
    STRUCT = enum.auto()
    OPTIONAL = enum.auto()
    TEXTS = enum.auto()
    DATAS = enum.auto()
    STRUCTS = enum.auto()


class Pointer(NamedTuple):
    """One pointer field; `type` is the struct's class where it leads to structs."""

    name: str
    kind: Kind
    type: Any = None


class Layout(NamedTuple):
    """Where a struct's fields lie; the generator writes one as `LAYOUT` into every class.

    `data` is the data section in the notation of the `struct` module, in whole words, and `numbers` names the
    fields it holds, `enums` the classes of those that are enumerations; `pointers` is the pointer section.
    """

    data: str
    numbers: tuple[str, ...]
    enums: Mapping[str, type[enum.StrEnum]]
    pointers: tuple[Pointer, ...]


def encode(value: object) -> bytes:
    """Return the canonical encoding of `value`, an instance of a generated class.

    Raises `MalformedError` where no bytes stand for it: a number outside its field's range, text with a NUL or
    a lone surrogate, a list whose elements all say nothing, more than `MAX_BYTES`.
    """
    out = bytearray(_WORD)
    _place_struct(out, 0, _struct(value))
    if len(out) > MAX_BYTES:
        raise MalformedError(f"{type(value).__name__}: {len(out)} bytes; at most {MAX_BYTES} are written")
    return bytes(out)


def decode(cls: type[T], data: bytes) -> T:
    """Return the `cls` that `data` canonically encodes: `encode` of the result gives `data` again.

    Raises `MalformedError` for everything else, also for fields and enumerants of a newer schema.
    """
    if len(data) > MAX_BYTES:
        raise MalformedError(f"{cls.__name__}: {len(data)} bytes; at most {MAX_BYTES} are read")
    if len(data) < _WORD or len(data) % _WORD:
        raise MalformedError(f"{cls.__name__}: {len(data)} bytes are not a positive number of 8-byte words")
    reader = _Reader(data, cls.__name__)
    value = reader.struct(cls, 0)
    if value is None:
        reader.fail("the root is a null pointer")
    if reader.next != len(data):
        reader.fail(f"{len(data) - reader.next} bytes after the end")
    if encode(value) != data:
        reader.fail("not the canonical encoding of what it says")
    return value


def digest(value: object) -> bytes:
    """Return the SHA-256 of `value`'s canonical encoding, 32 bytes."""
    return hashlib.sha256(encode(value)).digest()


_WORD = 8
_STRUCT, _LIST = 0, 1
_BYTES, _POINTERS, _COMPOSITE = 2, 6, 7
_NEWER = "it may come from a newer version of this program: update and try again"
_HEAD = struct.Struct("<iHH")  # struct pointer, and the tag of a struct list
_LIST_HEAD = struct.Struct("<iI")
_EMPTY_STRUCT = _HEAD.pack(-4, 0, 0)  # offset -1: the only canonical pointer to a struct without words


class _Plan(NamedTuple):
    """A layout made ready: read once for every class."""

    data: struct.Struct
    numbers: tuple[tuple[str, dict[enum.StrEnum, int] | None], ...]
    members: tuple[tuple[enum.StrEnum, ...] | None, ...]
    pointers: tuple[tuple[Pointer, Callable[[Any], _Node]], ...]


def _make_plan(cls: Any) -> _Plan:
    layout: Layout = cls.LAYOUT
    members = tuple(tuple(layout.enums[name]) if name in layout.enums else None for name in layout.numbers)
    return _Plan(
        struct.Struct(layout.data),
        tuple(
            (name, None if texts is None else {text: ordinal for ordinal, text in enumerate(texts)})
            for name, texts in zip(layout.numbers, members, strict=True)
        ),
        members,
        tuple((field, _NODES[field.kind]) for field in layout.pointers),
    )


_plan: Callable[[type], _Plan] = functools.cache(_make_plan)


# Writing, first half: a value becomes nodes, already without their trailing zeros. None is a null pointer.


class _Struct(NamedTuple):
    data: bytes
    pointers: list[_Node]


class _Blobs(NamedTuple):
    items: list[bytes | None]


class _Structs(NamedTuple):
    items: list[_Struct]


_Node = bytes | _Struct | _Blobs | _Structs | None


def _struct(value: Any) -> _Struct:
    plan = _plan(type(value))
    try:
        data = plan.data.pack(
            *[
                getattr(value, name) if ordinals is None else ordinals[getattr(value, name)]
                for name, ordinals in plan.numbers
            ]
        )
    except (struct.error, KeyError):
        raise MalformedError(f"{type(value).__name__}: a number or word does not fit into its field") from None
    used = len(data.rstrip(b"\0"))
    pointers = [node(getattr(value, field.name)) for field, node in plan.pointers]
    while pointers and pointers[-1] is None:
        pointers.pop()
    return _Struct(data[: used + -used % _WORD], pointers)


def _text(value: str) -> bytes | None:
    if not value:
        return None
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise MalformedError("a text holds half of a surrogate pair, which UTF-8 cannot write") from None
    if b"\0" in raw:
        raise MalformedError("a text holds a NUL, which would end it early for readers in C")
    return raw + b"\0"


def _default_struct(value: object) -> _Struct | None:
    node = _struct(value)
    return node if node.data or node.pointers else None


_NODES: Mapping[Kind, Callable[[Any], _Node]] = {
    Kind.TEXT: _text,
    Kind.DATA: lambda value: value or None,
    Kind.STRUCT: _default_struct,
    Kind.OPTIONAL: lambda value: None if value is None else _struct(value),
    Kind.TEXTS: lambda items: _Blobs([_text(item) for item in items]) if items else None,
    Kind.DATAS: lambda items: _Blobs([item or None for item in items]) if items else None,
    Kind.STRUCTS: lambda items: _Structs([_struct(item) for item in items]) if items else None,
}


# Writing, second half: nodes are appended in pre-order, each after its pointer has been set.


def _place(out: bytearray, at: int, node: _Node) -> None:
    """Append `node` to `out` and point to it from byte `at`, which holds a null pointer."""
    if node is None:
        return
    if isinstance(node, bytes):
        _LIST_HEAD.pack_into(out, at, _offset(out, at) | _LIST, len(node) << 3 | _BYTES)
        out += node
        out += bytes(-len(node) % _WORD)
    elif isinstance(node, _Struct):
        _place_struct(out, at, node)
    elif isinstance(node, _Blobs):
        _LIST_HEAD.pack_into(out, at, _offset(out, at) | _LIST, len(node.items) << 3 | _POINTERS)
        _place_all(out, node.items)
    else:
        _place_structs(out, at, node.items)


def _place_struct(out: bytearray, at: int, node: _Struct) -> None:
    data, pointers = node
    if not data and not pointers:
        out[at : at + _WORD] = _EMPTY_STRUCT
        return
    _HEAD.pack_into(out, at, _offset(out, at) | _STRUCT, len(data) // _WORD, len(pointers))
    out += data
    _place_all(out, pointers)


def _place_structs(out: bytearray, at: int, items: list[_Struct]) -> None:
    size = max(len(item.data) for item in items)
    count = max(len(item.pointers) for item in items)
    words = size // _WORD + count
    if not words:
        # Eight bytes could claim 2^29 of them; refused on both sides, so that nothing is read for free.
        raise MalformedError("every element of a list holds defaults only, which cannot be stored")
    _LIST_HEAD.pack_into(out, at, _offset(out, at) | _LIST, len(items) * words << 3 | _COMPOSITE)
    out += _HEAD.pack(len(items) << 2, size // _WORD, count)
    first = len(out)
    for item in items:
        out += item.data.ljust(size, b"\0")
        out += bytes(count * _WORD)
    for index, item in enumerate(items):
        at = first + index * words * _WORD + size
        for number, node in enumerate(item.pointers):
            _place(out, at + number * _WORD, node)


def _place_all(out: bytearray, nodes: Sequence[_Node]) -> None:
    at = len(out)
    out += bytes(len(nodes) * _WORD)
    for node in nodes:
        if node is not None:
            _place(out, at, node)
        at += _WORD


def _offset(out: bytearray, at: int) -> int:
    """From the end of the pointer at byte `at` to the end of `out`, in words, above the two tag bits."""
    return ((len(out) - at) // _WORD - 1) << 2


class _Reader:
    """Walks the objects in the order `encode` writes them; `next` is the first byte not yet claimed."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self.next = _WORD  # the root pointer comes first

    def fail(self, what: str, hint: str = "") -> NoReturn:
        raise MalformedError(f"{self._name}: {what}", hint=hint)

    def struct(self, cls: type[T], at: int) -> T | None:
        """The struct that the pointer at byte `at` leads to; None for a null pointer."""
        offset, words, pointers = _HEAD.unpack_from(self._data, at)
        if not (offset or words or pointers):
            return None
        if offset & 3 != _STRUCT:
            self.fail("a pointer leads to no struct of this segment")
        if not (words or pointers):
            if offset != -4:
                self.fail("the pointer to a struct without words is not canonical")
            return self._body(cls, at, 0, 0)
        return self._body(cls, self._claim(at, offset, words + pointers), words, pointers)

    def _body(self, cls: type[T], at: int, words: int, pointers: int) -> T:
        plan = _plan(cls)
        end = at + words * _WORD
        if words * _WORD > plan.data.size or pointers > len(plan.pointers):
            self.fail(f"a {cls.__name__} has fields that this version does not know", _NEWER)
        raw = self._data[at:end].ljust(plan.data.size, b"\0")
        numbers = plan.data.unpack(raw)
        if plan.data.pack(*numbers) != raw:  # a newer schema may use the gaps between fields
            self.fail(f"a {cls.__name__} has fields that this version does not know", _NEWER)
        values: dict[str, Any] = {}
        for (name, _), members, number in zip(plan.numbers, plan.members, numbers, strict=True):
            if members is not None and number >= len(members):
                self.fail(f"{cls.__name__}.{name} has a value that this version does not know: {number}", _NEWER)
            values[name] = number if members is None else members[number]
        for index, (field, _) in enumerate(plan.pointers):
            values[field.name] = self._field(field, end + index * _WORD if index < pointers else None)
        return cls(**values)

    def _field(self, field: Pointer, at: int | None) -> Any:
        """What the pointer at byte `at` leads to; None is a pointer beyond the section's end, which is null."""
        cls = field.type
        match field.kind:
            case Kind.TEXT:
                return self._text(at)
            case Kind.DATA:
                return self._blob(at)
            case Kind.OPTIONAL:
                return None if at is None else self.struct(cls, at)
            case Kind.STRUCT:
                found = None if at is None else self.struct(cls, at)
                return self._body(cls, 0, 0, 0) if found is None else found
            case Kind.STRUCTS:
                return tuple(self._structs(cls, at))
            case Kind.TEXTS:
                return tuple([self._text(item) for item in self._pointers(at)])
            case Kind.DATAS:
                return tuple([self._blob(item) for item in self._pointers(at)])

    def _text(self, at: int | None) -> str:
        raw = self._blob(at)
        if not raw:
            return ""
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            self.fail("a text is not UTF-8")
        if text.find("\0") != len(text) - 1:
            self.fail("a text does not end at its first NUL")
        return text[:-1]

    def _blob(self, at: int | None) -> bytes:
        found = self._list(at, _BYTES)
        if found is None:
            return b""
        start, count = found
        return self._data[start : start + count]

    def _pointers(self, at: int | None) -> range:
        found = self._list(at, _POINTERS)
        if found is None:
            return range(0)
        start, count = found
        return range(start, start + count * _WORD, _WORD)

    def _structs(self, cls: Any, at: int | None) -> Iterator[Any]:
        found = self._list(at, _COMPOSITE)
        if found is None:
            return
        start, total = found
        tag, words, pointers = _HEAD.unpack_from(self._data, start)
        size = words + pointers
        if tag & 3 != _STRUCT or tag < 0 or not size or (tag >> 2) * size != total:
            self.fail("the tag of a struct list does not agree with its size")
        for index in range(tag >> 2):
            yield self._body(cls, start + _WORD + index * size * _WORD, words, pointers)

    def _list(self, at: int | None, element: int) -> tuple[int, int] | None:
        """Claim a list: its first byte and its count (of words, for structs); None for a null pointer."""
        if at is None:
            return None
        offset, size = _LIST_HEAD.unpack_from(self._data, at)
        if not (offset or size):
            return None
        if offset & 3 != _LIST or size & 7 != element:
            self.fail("a pointer leads to no list of the expected kind")
        count = size >> 3
        words = {_BYTES: -(-count // _WORD), _POINTERS: count, _COMPOSITE: count + 1}[element]
        return self._claim(at, offset, words), count

    def _claim(self, at: int, offset: int, words: int) -> int:
        """Take the next `words` words, which the pointer at byte `at` must lead to."""
        start = self.next
        if at + _WORD + (offset >> 2) * _WORD != start:
            self.fail("a pointer does not lead to the next object in pre-order")
        self.next = start + words * _WORD
        if self.next > len(self._data):
            self.fail("an object reaches beyond the end")
        return start
