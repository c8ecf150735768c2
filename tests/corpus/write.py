"""The corpus on disk: two bare repositories, what verifiers go by, and the index.

Repositories are written as files, without git: objects that git would refuse to make are as easy as others, and the
same bytes come out everywhere.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from attest import gitobject
from attest.gitobject import ObjectFormat, ObjectKind
from tests.corpus import (
    adopted,
    case,
    certificates,
    names,
    numbers,
    objects,
    openpgps,
    payloads,
    places,
    sshs,
    structures,
)
from tests.corpus.case import Case
from tests.corpus.signers import ALICE_IDENT, OPENPGP_KEY, Cast
from tests.forge import commit_payload

LEVEL = 9
"""Of compression: fixed, so that the files are the same too."""
TREE = "tree"
CONFIG = "[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{more}"
SHA256 = "[extensions]\n\tobjectformat = sha256\n"


@dataclass(frozen=True)
class Corpus:
    """Every case, and the trust bundles that they name."""

    cast: Cast
    cases: tuple[Case, ...]
    bundles: dict[str, bytes]


def build() -> Corpus:
    """Everything, the same each time."""
    cast, bundles = Cast(), dict[bytes, str]()
    bundles[cast.base.sealed(cast.base.bundle())] = "bundle"
    made = [*_everywhere(cast), *adopted.cases(bundles)]
    for module in (numbers, structures, certificates, sshs, openpgps, names):
        made += module.cases(cast)
    called = Counter((one.repository, one.name) for one in made)
    if twice := [name for name, count in called.items() if count > 1]:
        raise ValueError(f"two cases are called {twice}")
    return Corpus(cast, tuple(sorted(made, key=_order)), {name: data for data, name in bundles.items()})


def _everywhere(cast: Cast) -> Iterator[Case]:
    """What is made for every program that git may call and for both hash functions."""
    for fmt in ObjectFormat:
        target = gitobject.object_id(ObjectKind.COMMIT, base(fmt), fmt)
        for signer in cast.families:
            yield from objects.unsigned_bytes(signer, fmt)
            yield from payloads.cases(signer, fmt)
            yield from objects.tags(signer, fmt, target)
            yield from places.unsigned(signer, fmt, target)
            yield from places.placed(signer, fmt)
            yield from places.replayed(signer, fmt, target)
            if fmt is ObjectFormat.SHA1:
                yield from objects.pushes(signer, fmt)
        for signer in cast.all:
            yield from places.controls(signer, fmt, target)
        yield places.unreadable(cast.notme, fmt)


def _order(one: Case) -> tuple[str, int, str]:
    return one.repository, one.step, one.name


def base(fmt: ObjectFormat) -> bytes:
    """An unsigned commit that everything else can point to."""
    return commit_payload(committer=ALICE_IDENT, message=b"The first commit\n", fmt=fmt)


def write(corpus: Corpus, folder: Path) -> None:
    """Write everything into `folder`, which must not exist yet or be empty."""
    for fmt in ObjectFormat:
        _repository(folder / f"{fmt}.git", fmt, [one for one in corpus.cases if one.object_format is fmt])
    for one in corpus.cases:
        if one.stamp:
            _put(folder / "timestamps" / f"{one.name}.der", one.stamp)
    for name, data in trust(corpus):
        _put(folder / "trust" / name, data)
    _put(folder / "index.json", index(corpus.cases).encode())


def index(cases: Iterable[Case]) -> str:
    """`index.json`: one object a line, so that two corpora can be compared by line."""
    lines = ",\n".join(json.dumps(one.entry(), ensure_ascii=False) for one in cases)
    return f'{{"version": {case.VERSION}, "cases": [\n{lines}\n]}}\n'


def trust(corpus: Corpus) -> Iterator[tuple[str, bytes]]:
    """The files that verifiers go by: ours, ssh-keygen's, gpgsm's, gpg's."""
    cast = corpus.cast
    yield "notme.pem", cast.base.notme.root.public_bytes(Encoding.PEM)
    yield "interop.pem", cast.base.interop.root.public_bytes(Encoding.PEM)
    yield "allowed_signers", cast.allowed_signers().encode()
    yield "revoked_keys", cast.revoked().encode()
    yield "smime.pem", cast.roots()
    yield "trustlist.txt", cast.trustlist().encode()
    yield "openpgp.asc", OPENPGP_KEY.public()
    yield from corpus.bundles.items()


def _repository(folder: Path, fmt: ObjectFormat, cases: Sequence[Case]) -> None:
    """A bare repository of loose objects and packed refs (gitrepository-layout(5))."""
    refs = dict[str, str]()
    _object(folder, fmt, TREE, b"")
    refs["refs/heads/main"] = _object(folder, fmt, ObjectKind.COMMIT, base(fmt))
    for one in cases:
        kind = "blob" if one.kind is ObjectKind.PUSH_CERTIFICATE else str(one.kind)
        refs[one.ref] = _object(folder, fmt, kind, one.raw, one.stored_as)
        if one.replaced_by:
            refs[f"refs/replace/{one.object_id}"] = _object(folder, fmt, ObjectKind.COMMIT, one.replaced_by)
    lines = [f"{oid} {name}\n" for name, oid in sorted(refs.items())]
    _put(folder / "packed-refs", ("# pack-refs with: sorted \n" + "".join(lines)).encode())
    sha256 = fmt is ObjectFormat.SHA256
    _put(folder / "config", CONFIG.format(version=int(sha256), more=SHA256 if sha256 else "").encode())
    _put(folder / "HEAD", b"ref: refs/heads/main\n")
    (folder / "refs").mkdir(exist_ok=True)


def _object(folder: Path, fmt: ObjectFormat, kind: str, raw: bytes, stored_as: str = "") -> str:
    """A loose object, under its own id or another; returns that."""
    framed = f"{kind} {len(raw)}\0".encode() + raw
    oid = stored_as or _hash(framed, fmt)
    _put(folder / "objects" / oid[:2] / oid[2:], zlib.compress(framed, LEVEL))
    return oid


def _hash(framed: bytes, fmt: ObjectFormat) -> str:
    return hashlib.new(str(fmt), framed, usedforsecurity=False).hexdigest()


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
