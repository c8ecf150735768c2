"""What a push wants to change, and which objects are thereby new to a ref.

Old and new ids come from the pusher. What an old tip reaches counts as judged, so it is held against the ref itself;
git moves a ref only from the very id that was named (gitprotocol-pack(5)).
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from attest import store
from attest.errors import MalformedError, Reason, Step, UnavailableError, UsageError, VerificationError
from attest.gitobject import ObjectFormat, ObjectKind, parse_tag
from attest.patterns import MAX_VALUE_BYTES
from attest.receive.settings import Settings
from attest.repository import Repository

MAX_UPDATES = 10_000
"""A mirror's first push of a large repository has some thousand tags."""

MAX_INPUT_BYTES = 16 * 1024 * 1024
"""`MAX_UPDATES` lines, each with a ref name as long as a file system lets it be."""

MAX_TAGS = 8
"""A tag of a tag of a tag: git lets it be, and nobody does it on purpose."""

MAX_KNOWN = 10_000
"""Their ids stand on git's command line, of which a system takes some two million bytes."""

MAX_NEW = 1_000_000
"""Objects that one push can have judged; the largest histories there are come in several pushes."""


class Change(enum.StrEnum):
    """What happens to a ref."""

    CREATE = "create"
    FORWARD = "forward"
    REWIND = "rewind"
    """A force-push: the old tip is not in the new one's history."""
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Update:
    """One ref's old and new id in lower-case hex, None where there is none."""

    ref: str
    old: str | None
    new: str | None


def parse(data: bytes, object_format: ObjectFormat) -> tuple[Update, ...]:
    """The updates of a pre-receive or post-receive hook (githooks(5)): lines `OLD NEW REF`; else `MalformedError`."""
    if len(data) > MAX_INPUT_BYTES or data.count(b"\n") > MAX_UPDATES:
        raise UnavailableError(f"the push updates more than {MAX_UPDATES} refs", hint="push them in several parts")
    found = []
    for line in data.decode("utf-8", "surrogateescape").split("\n")[:-1]:
        old, _, rest = line.partition(" ")
        new, _, ref = rest.partition(" ")
        found.append(update(ref, old, new, object_format))
    if data and not data.endswith(b"\n"):
        raise MalformedError("the last line of the push has no end")
    return tuple(found)


def update(ref: str, old: str, new: str, object_format: ObjectFormat) -> Update:
    """One update from what git says of it; zeros stand for no id."""
    return Update(_ref(ref), _id(old, object_format), _id(new, object_format))


def parse_outgoing(data: bytes, object_format: ObjectFormat) -> tuple[Update, ...]:
    """The updates of a pre-push hook (githooks(5)): lines `LOCAL-REF LOCAL-ID REMOTE-REF REMOTE-ID`."""
    lines = []
    for line in data.split(b"\n")[:-1]:
        # What is local may be any expression, `HEAD~3` or `(delete)`, and none of them has a blank.
        words = line.split(b" ")
        if len(words) != 4:
            raise MalformedError(f"{line[:80]!r} is not LOCAL-REF LOCAL-ID REMOTE-REF REMOTE-ID")
        lines.append(b"%b %b %b\n" % (words[3], words[1], words[2]))
    return parse(b"".join(lines), object_format)


def change_of(repo: Repository, wanted: Update) -> Change:
    """What happens to the ref. A tag that moves is a rewind: nobody expects that of a tag."""
    if wanted.new is None:
        return Change.DELETE
    if wanted.old is None:
        return Change.CREATE
    if wanted.ref.startswith("refs/tags/"):
        return Change.REWIND
    # A commit-graph could name other parents than the commits do.
    done = repo.git("-c", "core.commitGraph=false", "merge-base", "--is-ancestor", wanted.old, wanted.new)
    if done.returncode > 1:
        raise UnavailableError(f"git cannot compare the old and the new tip of {wanted.ref}", hint="run git fsck")
    return Change.REWIND if done.returncode else Change.FORWARD


def new_objects(repo: Repository, wanted: Update, judged: Sequence[str]) -> Iterator[str]:
    """The tags and commits that the update brings to its ref, tags first, then oldest first: so they are mended.

    What the ref itself reaches is not new, nor what any of the ids in `judged` does (`Before`).
    """
    if wanted.new is None:
        return iter(())
    tags, target = _tags(repo, wanted.new)
    if target is None:
        return iter(tags)
    known = dict.fromkeys([*judged, wanted.old] if wanted.old else judged)
    walked = repo.walk(("--reverse", target), without=tuple(known))
    return _bounded(itertools.chain(tags, walked), wanted.ref)


class Before:
    """What was judged before the push: the history of the default branch, and of refs that are protected or known.

    What any other ref reaches was judged by the rules for that ref, or by none: it counts as new to every ref, or who
    may write to one branch could carry commits to all of them. To a protected ref, what the default branch has is new
    too, unless that one is protected or known.
    """

    def __init__(self, repo: Repository, settings: Settings) -> None:
        self._settings, self._default = settings, _default_tip(repo, settings)
        self._known: list[str] = []
        if settings.protect or settings.known:
            # Even where a pattern takes in the statements' ref: nobody judges what is pushed there.
            found = (oid for oid, ref in refs(repo) if settings.knows(ref) and not is_attestations(ref))
            self._known = list(dict.fromkeys(found))
        if len(self._known) > MAX_KNOWN:
            hint = "name fewer in notme.known"
            raise UnavailableError(f"more than {MAX_KNOWN} refs are protected or known", hint=hint)

    def __call__(self, update: Update) -> list[str]:
        """The ids that reach it."""
        if self._default is None or self._settings.protects(update.ref):
            return self._known
        return [self._default, *self._known]


def _default_tip(repo: Repository, settings: Settings) -> str | None:
    """The tip of the default branch, None where there is none, or where it is one that may hold anything."""
    done = repo.git("symbolic-ref", "--quiet", "HEAD")
    ref = done.stdout.decode("utf-8", "surrogateescape").strip()
    return None if settings.ignores(ref) else tip_of(repo, "HEAD")


def verify_refs(repo: Repository, wanted: Sequence[Update]) -> None:
    """Each ref is at its old id, and goes by its own name.

    What is protected goes by the name of the ref that another one stands for: `VerificationError` for that other one.
    `UnavailableError` where a ref is not, or no more, where the pusher says: what was judged would be something else.
    """
    done = repo.git("for-each-ref", "--format=%(objectname) %(refname) %(symref)", *(each.ref for each in wanted))
    if done.returncode:
        raise UnavailableError("git cannot list the refs of this repository", hint="run git fsck")
    found: dict[str, str] = {}
    for line in done.stdout.decode("utf-8", "surrogateescape").splitlines():
        oid, ref, target = line.split(" ")
        found[ref] = oid
        if target and any(each.ref == ref for each in wanted):
            raise VerificationError(
                Step.POLICY, Reason.RULE_DENIES, f"{ref} stands for {target}", hint="push to that by its own name"
            )
    for each in wanted:
        if found.get(each.ref) != each.old:
            raise UnavailableError(f"{each.ref} is not where the push says that it is", hint="fetch, then push again")


def refs(repo: Repository, under: str = "refs/") -> Iterator[tuple[str, str]]:
    """The id and the full name of each ref in a folder."""
    done = repo.git("for-each-ref", "--format=%(objectname) %(refname)", under)
    for line in done.stdout.decode("utf-8", "surrogateescape").splitlines():
        oid, _, ref = line.partition(" ")
        yield oid, ref


def tip_of(repo: Repository, name: str) -> str | None:
    """The commit that `name` stands for, None where it stands for none yet."""
    done = repo.git("rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}")
    return done.stdout.decode("ascii", "replace").strip() if done.returncode == 0 else None


def _tags(repo: Repository, oid: str) -> tuple[list[str], str | None]:
    """The tag objects from `oid` on, and the commit they end at, None where they end at a tree or blob."""
    tags: list[str] = []
    while len(tags) <= MAX_TAGS:
        kind, raw = repo.read(oid)
        if kind == ObjectKind.COMMIT:
            return tags, oid
        if kind != ObjectKind.TAG:
            if not tags:
                raise UnavailableError(
                    f"{oid} is a {kind}, which carries no signature",
                    hint="put an annotated, signed tag on it",
                    reason=Reason.SIGNATURE_MISSING,
                )
            return tags, None
        tags.append(oid)
        oid = parse_tag(raw, repo.object_format).object
    raise UnavailableError(f"{tags[0]} is a tag of a tag, more than {MAX_TAGS} deep", hint="tag the commit itself")


def _bounded(oids: Iterable[str], ref: str) -> Iterator[str]:
    for count, oid in enumerate(oids):
        if count >= MAX_NEW:
            raise UnavailableError(f"more than {MAX_NEW} objects are new to {ref}", hint="push them in several parts")
        yield oid


def is_attestations(ref: str) -> bool:
    """Whether this is the ref of statements, which proves what it holds line by line and is signed by no commit."""
    return ref == store.REF


def _ref(ref: str) -> str:
    """A full name that patterns can be held against: what no pattern matches, no protection and no rule would find."""
    if not ref.startswith("refs/") or any(ord(c) <= 0x20 or ord(c) == 0x7F for c in ref):
        raise MalformedError(f"{ref[:80]!r} is not the full name of a ref")
    try:
        size = len(ref.encode())
    except UnicodeEncodeError:
        raise MalformedError(f"the name of ref {ref[:80]!r} is not UTF-8") from None
    if size > MAX_VALUE_BYTES:
        raise MalformedError(f"the name of a ref has {size} bytes; at most {MAX_VALUE_BYTES} are read")
    return ref


def _id(oid: str, object_format: ObjectFormat) -> str | None:
    if len(oid) != object_format.hex_length or oid.strip("0123456789abcdef"):
        raise MalformedError(f"{oid[:80]!r} is not a {object_format} object id")
    return oid if oid.strip("0") else None


def refuse_namespace(namespaced: bool) -> None:
    """`UsageError` in a namespace (gitnamespaces(7)): refs have other names there than the ones pushed to."""
    if namespaced:
        raise UsageError("pushes into a git namespace cannot be judged", hint="give each its own repository")
