"""What a push wants to change, and what is thereby new."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pygit2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import Error, MalformedError, UnavailableError, UsageError, VerificationError
from attest.gitobject import ObjectFormat
from attest.receive import updates
from attest.receive.settings import Settings
from attest.receive.updates import Before, Change, Update
from attest.repository import Repository, open_repository
from tests.pushes import Clone
from tests.world import World

A, B, ZEROS = "a" * 40, "b" * 40, "0" * 40
TAG = pygit2.enums.ObjectType.TAG


@dataclass(frozen=True)
class Place:
    """A repository in which `first` <- `second` are commits of main, `side` one beside, and `tag` names `side`."""

    clone: Clone
    repo: Repository
    first: str
    second: str
    side: str
    tag: str

    def new(self, update: Update, settings: Settings | None = None) -> list[str]:
        before = Before(self.repo, settings or Settings())
        return list(updates.new_objects(self.repo, update, before(update)))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    clone = Clone.make(folder / "clone", World(folder / "world"))
    first = clone.commit({"a": "1"}, signed=False)
    second = clone.commit({"a": "2"}, first, signed=False)
    side = clone.commit({"a": "3"}, first, signed=False)
    tag = clone.write(clone.world.tag(target=side), TAG)
    clone.git("update-ref", "refs/heads/main", second)
    clone.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    with open_repository(clone.path, clone.environ) as repo:
        yield Place(clone, repo, first, second, side, tag)


def test_lines_are_read_as_git_writes_them() -> None:
    data = f"{ZEROS} {A} refs/heads/new\n{A} {ZEROS} refs/heads/gone\n{A} {B} refs/heads/w\u00e4g\n".encode()
    assert updates.parse(data, ObjectFormat.SHA1) == (
        Update("refs/heads/new", None, A),
        Update("refs/heads/gone", A, None),
        Update("refs/heads/w\u00e4g", A, B),
    )
    assert updates.parse(b"", ObjectFormat.SHA1) == ()
    outgoing = f"HEAD~1 {A} refs/heads/x {ZEROS}\n(delete) {ZEROS} refs/heads/y {B}\n".encode()
    assert updates.parse_outgoing(outgoing, ObjectFormat.SHA1) == (
        Update("refs/heads/x", None, A),
        Update("refs/heads/y", B, None),
    )


BAD = {
    "a short id": f"{A[1:]} {B} refs/heads/x\n",
    "an id in upper case": f"{A.upper()} {B} refs/heads/x\n",
    "an id of the other format": f"{'a' * 64} {'b' * 64} refs/heads/x\n",
    "no ref": f"{A} {B} \n",
    "a short name": f"{A} {B} main\n",
    "an option": f"{A} {B} --all\n",
    "an escape": f"{A} {B} refs/heads/\x1b[31m\n",
    "a name of more than a pattern is held against": f"{A} {B} refs/heads/{'x/' * 2100}x\n",
    "no line end": f"{A} {B} refs/heads/x",
    "two blanks": f"{A}  {B} refs/heads/x\n",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_git_never_writes_is_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        updates.parse(text.encode(), ObjectFormat.SHA1)


def test_a_name_that_no_pattern_can_match_is_malformed_and_not_unprotected() -> None:
    with pytest.raises(MalformedError, match="UTF-8"):
        updates.parse(f"{A} {B} refs/heads/release/".encode() + b"\xff\n", ObjectFormat.SHA1)


def test_a_push_of_too_many_refs_could_not_be_checked() -> None:
    with pytest.raises(UnavailableError, match="10000 refs"):
        updates.parse(b"x\n" * (updates.MAX_UPDATES + 1), ObjectFormat.SHA1)


LINES = st.from_regex(rb"([0-9a-f]{40} [0-9a-f]{40} refs/[a-z/]{1,9}\n){1,3}", fullmatch=True)


@given(st.one_of(st.binary(max_size=200), LINES))
def test_any_bytes_are_an_error_or_give_the_same_lines_again(data: bytes) -> None:
    try:
        found = updates.parse(data, ObjectFormat.SHA1)
    except Error:
        return
    lines = (f"{each.old or ZEROS} {each.new or ZEROS} {each.ref}\n" for each in found)
    assert "".join(lines).encode("utf-8", "surrogateescape") == data


def test_what_happens_to_a_ref(place: Place) -> None:
    def change(old: str | None, new: str | None, ref: str = "refs/heads/x") -> Change:
        return updates.change_of(place.repo, Update(ref, old, new))

    assert change(None, place.first) is Change.CREATE
    assert change(place.first, None) is Change.DELETE
    assert change(place.first, place.second) is Change.FORWARD
    assert change(place.second, place.side) is Change.REWIND
    assert change(place.second, place.first) is Change.REWIND
    assert change(place.first, place.second, "refs/tags/v1") is Change.REWIND
    with pytest.raises(UnavailableError):
        change(A, place.second)


def test_what_is_new_to_a_ref_is_what_neither_it_nor_the_default_branch_has(place: Place) -> None:
    assert place.new(Update("refs/heads/x", None, place.side)) == [place.side]
    assert place.new(Update("refs/heads/x", place.side, place.side)) == []
    assert place.new(Update("refs/heads/x", place.side, place.second)) == []
    assert place.new(Update("refs/heads/x", place.side, None)) == []
    assert place.new(Update("refs/tags/v1", None, place.tag)) == [place.tag, place.side]


def test_what_another_branch_has_is_new_unless_it_is_protected_or_known(place: Place) -> None:
    place.clone.git("update-ref", "refs/heads/other", place.side)
    wanted = Update("refs/heads/x", None, place.side)
    try:
        assert place.new(wanted) == [place.side]
        for settings in (Settings(known=("refs/heads/other",)), Settings(protect=("refs/heads/o*",))):
            assert place.new(wanted, settings) == []
        assert place.new(wanted, Settings(known=("refs/heads/other",), ignore=("refs/heads/**",))) != []
    finally:
        place.clone.git("update-ref", "-d", "refs/heads/other")


def test_what_lies_beside_statements_is_never_known(place: Place) -> None:
    """Nobody judges what is pushed to that ref, whatever patterns say."""
    place.clone.git("update-ref", "refs/attestations/notme", place.side)
    try:
        assert place.side in place.new(Update("refs/heads/x", None, place.side), Settings(protect=("refs/att*/**",)))
    finally:
        place.clone.git("update-ref", "-d", "refs/attestations/notme")


def test_to_a_protected_ref_the_default_branch_is_new_unless_it_is_protected_too(place: Place) -> None:
    wanted = Update("refs/heads/release", None, place.second)
    assert place.new(wanted) == []
    assert place.new(wanted, Settings(protect=("refs/heads/release",))) == [place.first, place.second]
    assert place.new(wanted, Settings(protect=("refs/heads/*",))) == []


def test_a_tree_or_blob_is_refused_and_a_signed_tag_on_one_is_judged(place: Place) -> None:
    tree = place.clone.tree({"a": "1"})
    with pytest.raises(UnavailableError, match="carries no signature"):
        place.new(Update("refs/tags/tree", None, tree))
    payload = place.clone.world.tag(target=tree).replace(b"type commit", b"type tree")
    tag = place.clone.write(payload, TAG)
    assert place.new(Update("refs/tags/tree", None, tag)) == [tag]


def test_tags_of_tags_are_followed_so_far(place: Place) -> None:
    oids = [place.tag]
    for _ in range(updates.MAX_TAGS):
        payload = place.clone.world.tag(target=oids[0]).replace(b"type commit", b"type tag")
        oids.insert(0, place.clone.write(payload, TAG))
    assert place.new(Update("refs/tags/deep", None, oids[1])) == [*oids[1:], place.side]
    with pytest.raises(UnavailableError, match="a tag of a tag"):
        place.new(Update("refs/tags/deep", None, oids[0]))


def test_what_is_not_there_could_not_be_checked(place: Place) -> None:
    with pytest.raises(UnavailableError):
        place.new(Update("refs/heads/x", None, A))


def test_a_ref_that_stands_for_another_is_refused(place: Place) -> None:
    updates.verify_refs(place.repo, [Update("refs/heads/main", place.second, A), Update("refs/heads/main/x", None, B)])
    with pytest.raises(VerificationError, match="refs/heads/alias stands for refs/heads/main"):
        updates.verify_refs(
            place.repo, [Update("refs/heads/main", place.second, B), Update("refs/heads/alias", place.second, B)]
        )


@pytest.mark.parametrize("old", [None, A, "first"])
def test_a_ref_that_is_elsewhere_than_the_pusher_says_could_not_be_checked(place: Place, old: str | None) -> None:
    """What the old tip reaches is not judged: a pusher must not choose it."""
    said = place.first if old == "first" else old
    with pytest.raises(UnavailableError, match="is not where"):
        updates.verify_refs(place.repo, [Update("refs/heads/main", said, place.second)])
    with pytest.raises(UnavailableError, match="is not where"):
        updates.verify_refs(place.repo, [Update("refs/heads/absent", place.first, place.second)])


def test_a_namespace_is_refused() -> None:
    updates.refuse_namespace(False)
    with pytest.raises(UsageError, match="namespace"):
        updates.refuse_namespace(True)
