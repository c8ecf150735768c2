"""What a new commit and old ones have in common: by trees, by changed lines, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from attest.errors import UnavailableError
from attest.repository import Repository, open_repository
from attest.rewrites import compare
from attest.rewrites.compare import Pair
from attest.rewrites.model import Compared, Relation
from tests.disk import unsynced
from tests.forge import NOW
from tests.pushes import Clone
from tests.world import World

LINES = "".join(f"{n}\n" for n in range(40))
BASE = {"a": LINES, "b": "b\n"}
THIRTY = LINES.replace("30\n", "thirty\n")
NOBODY = ("-c", "user.name=x", "-c", "user.email=x@example.org")
MOVED = {**BASE, "a": "first\n" + LINES}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = tmp_path_factory.mktemp("compare")
    with unsynced():
        world = World(folder / "w", at=NOW)
    return Clone.make(folder / "clone", world)


@pytest.fixture
def repo(clone: Clone) -> Iterator[Repository]:
    with open_repository(clone.path, clone.environ) as opened:
        yield opened


def made(clone: Clone, files: dict[str, str], *parents: str, message: str = "work") -> str:
    return clone.commit(files, *parents, message=message, signed=False)


def one(repo: Repository, old: list[str], new: str) -> Compared:
    (found,) = compare.compare(repo, [Pair(tuple(old), new)])
    return found


def test_a_squash_onto_the_same_base_has_the_same_tree(clone: Clone, repo: Repository) -> None:
    base = made(clone, BASE)
    first = made(clone, {**BASE, "c": "c\n"}, base)
    last = made(clone, {**BASE, "c": "c\n", "a": THIRTY}, first)
    squash = made(clone, {**BASE, "c": "c\n", "a": THIRTY}, base, message="squash")
    assert one(repo, [first, last], squash) == Compared(Relation.SAME_TREE, base)
    assert one(repo, [last], squash).relation is Relation.NONE  # the first one's change is in it too
    assert one(repo, [first], squash).relation is Relation.NONE


def test_a_squash_onto_a_base_that_moved_has_the_same_patch_and_git_prints_its_id(
    clone: Clone, repo: Repository
) -> None:
    base = made(clone, BASE)
    last = made(clone, {**BASE, "a": THIRTY, "bin": "\0\1\n"}, base)
    moved = made(clone, MOVED, base)
    squash = made(clone, {**MOVED, "a": "first\n" + THIRTY, "bin": "\0\1\n"}, moved)
    found = one(repo, [last], squash)
    assert (found.relation, found.base) == (Relation.PATCH_ID, base)
    words = ("diff-tree", "-p", "--text", "--full-index", base, last)
    patch = clone.path / ".git" / "patch"
    patch.write_text(clone.git(*words).out)
    said = clone.git("-c", f"alias.id=!git patch-id --stable <'{patch}'", "id").out
    assert said.split()[0] == found.patch_id


def test_the_tree_of_the_old_commit_on_another_base_takes_back_what_was_between(clone: Clone, repo: Repository) -> None:
    base = made(clone, BASE)
    last = made(clone, {**BASE, "a": THIRTY}, base)
    moved = made(clone, {**BASE, "b": "mended\n"}, base)
    assert one(repo, [last], made(clone, {**BASE, "a": THIRTY}, moved)).relation is Relation.NONE


def test_a_merge_is_made_of_the_old_commits_only_where_it_merges_them_and_nothing_else(
    clone: Clone, repo: Repository
) -> None:
    base = made(clone, BASE)
    last = made(clone, {**BASE, "a": THIRTY}, base)
    main = made(clone, {**BASE, "b": "mended\n"}, base)
    merged = made(clone, {**BASE, "a": THIRTY, "b": "mended\n"}, main, last)
    assert one(repo, [last], merged).relation is Relation.PATCH_ID
    # Against its first parent it changes what the old commit changed; against the second it takes back the mending.
    undone = one(repo, [last], made(clone, {**BASE, "a": THIRTY}, base, main))
    assert (undone.relation, undone.note) == (Relation.NONE, "it merges other commits than the old ones")
    onto = made(clone, {**BASE, "b": "mended\n", "a": THIRTY}, main)
    assert one(repo, [onto], made(clone, {**BASE, "a": THIRTY}, base, main)).relation is Relation.NONE


def test_a_merge_onto_an_older_base_takes_back_what_the_old_commits_were_made_on(
    clone: Clone, repo: Repository
) -> None:
    before = made(clone, BASE)
    base = made(clone, {**BASE, "b": "mended\n"}, before)
    last = made(clone, {**BASE, "b": "mended\n", "a": THIRTY}, base)
    # It descends from all of them, adds to its first parent what the old commit added, and has lost the mending.
    undone = one(repo, [last], made(clone, {**BASE, "a": THIRTY}, before, last))
    assert (undone.relation, undone.note) == (Relation.NONE, "it merges other commits than the old ones")
    later = made(clone, {**BASE, "b": "mended\n", "c": "c\n"}, base)
    merged = made(clone, {**BASE, "b": "mended\n", "a": THIRTY, "c": "c\n"}, later, last)
    assert one(repo, [last], merged).relation is Relation.PATCH_ID
    assert one(repo, [last], made(clone, {**BASE, "b": "mended\n", "a": THIRTY}, base, last)) == Compared(
        Relation.SAME_TREE, base
    )


def test_a_commit_graph_that_names_other_parents_is_not_asked(clone: Clone, repo: Repository) -> None:
    root = made(clone, BASE, message="alone")
    before = made(clone, BASE, root)
    base = made(clone, {**BASE, "b": "mended\n"}, before)
    last = made(clone, {**BASE, "b": "mended\n", "a": THIRTY}, base)
    undone = made(clone, {**BASE, "a": THIRTY}, before, last)
    info = clone.path / ".git" / "objects" / "info"
    clone.git("update-ref", "refs/heads/graph", last)
    clone.git("-c", "commitGraph.generationVersion=1", "commit-graph", "write", "--reachable")
    graph = bytearray((info / "commit-graph").read_bytes())
    heads = [bytes(graph[at : at + 12]) for at in range(8, 8 + 12 * graph[6], 12)]
    chunks = {head[:4]: int.from_bytes(head[4:], "big") for head in heads}
    ids, rows = chunks[b"OIDL"], chunks[b"CDAT"]

    def number(oid: str) -> int:
        return (graph.index(bytes.fromhex(oid), ids) - ids) // 20

    row = rows + 36 * number(root)
    graph[row + 20 : row + 24] = number(base).to_bytes(4, "big")
    graph[row + 28 : row + 32] = (1000 << 2).to_bytes(4, "big")  # its generation, later than all others
    graph[-20:] = hashlib.sha1(graph[:-20], usedforsecurity=False).digest()
    (info / "commit-graph").chmod(0o644)
    (info / "commit-graph").write_bytes(graph)
    try:
        clone.git("merge-base", "--is-ancestor", base, before)
        assert one(repo, [last], undone).note == "it merges other commits than the old ones"
    finally:
        (info / "commit-graph").unlink()
        clone.git("update-ref", "-d", "refs/heads/graph")


def holding(clone: Clone, mode: str, names: list[str]) -> str:
    """The last of a row of commits, each of which has only `x`, of this mode and with one of these ids."""
    index, last = {"GIT_INDEX_FILE": str(clone.path / ".git" / "other-index")}, list[str]()
    for name in names:
        clone.git("read-tree", "--empty", environ=index)
        clone.git("update-index", "--add", "--cacheinfo", f"{mode},{name},x", environ=index)
        tree = clone.git("write-tree", "--missing-ok", environ=index).out.strip()
        made = clone.git(*NOBODY, "commit-tree", tree, "-m", "x", *(f"-p{parent}" for parent in last))
        last = [made.out.strip()]
    return last[0]


def test_a_file_is_no_link_and_no_submodule_though_the_same_lines_change(clone: Clone, repo: Repository) -> None:
    modules, file = ["a" * 40, "b" * 40], clone.path / ".git" / "text"
    blobs = []
    for name in modules:
        file.write_text(f"Subproject commit {name}\n")
        blobs.append(clone.git("hash-object", "-w", file).out.strip())
    old = holding(clone, "100644", blobs)
    assert one(repo, [old], holding(clone, "160000", modules)).relation is Relation.NONE
    assert one(repo, [old], holding(clone, "120000", blobs)).relation is Relation.NONE
    assert one(repo, [old], holding(clone, "100755", blobs)).relation is Relation.PATCH_ID


@pytest.mark.parametrize(
    "other",
    [
        THIRTY.replace("thirty", "thirty "),
        THIRTY.replace("thirty\n", "thirty\r\n"),
        THIRTY.replace("thirty\n", "\tthirty\n"),
        THIRTY + "more\n",
    ],
)
def test_a_change_in_white_space_alone_is_another_patch(clone: Clone, repo: Repository, other: str) -> None:
    base = made(clone, BASE)
    last = made(clone, {**BASE, "a": THIRTY}, base)
    moved = made(clone, {**BASE, "b": "moved\n"}, base)
    assert one(repo, [last], made(clone, {"a": other, "b": "moved\n"}, moved)).relation is Relation.NONE


def test_content_that_attributes_or_a_nul_make_binary_counts_byte_by_byte(clone: Clone, repo: Repository) -> None:
    attributes = {".gitattributes": "* -diff -text\n", **BASE}
    (clone.path / ".gitattributes").write_text("* -diff\n")
    base = made(clone, attributes)
    last = made(clone, {**attributes, "bin": "\0one\n"}, base)
    moved = made(clone, {**attributes, "b": "moved\n"}, base)
    same = made(clone, {**attributes, "b": "moved\n", "bin": "\0one\n"}, moved)
    other = made(clone, {**attributes, "b": "moved\n", "bin": "\0two\n"}, moved)
    assert [one(repo, [last], each).relation for each in (same, other)] == [Relation.PATCH_ID, Relation.NONE]


@pytest.mark.parametrize("merges", ["the target merges the branch", "the branch merges the target"])
def test_where_a_clone_is_cut_nobody_can_say_that_no_way_leads_on(clone: Clone, repo: Repository, merges: str) -> None:
    base = made(clone, BASE)
    last = made(clone, {**BASE, "b": "mended\n"}, base)
    cut = made(clone, {**BASE, "c": "c\n"}, base)
    tip = made(clone, {**BASE, "c": "c\n", "d": "d\n"}, cut)
    both = {**BASE, "b": "mended\n", "c": "c\n", "d": "d\n"}
    if merges == "the target merges the branch":
        old, new = [last], made(clone, both, tip, last)
    else:
        old = [last, made(clone, both, last, tip)]
        new = made(clone, both, tip)
    assert one(repo, old, new).relation is not Relation.NONE
    shallow = clone.path / ".git" / "shallow"
    shallow.write_text(f"{cut}\n")
    try:
        with pytest.raises(UnavailableError, match="shallow clone"):
            one(repo, old, new)
    finally:
        shallow.unlink()


def test_a_branch_that_merged_its_target_in_between_is_one_row(clone: Clone, repo: Repository) -> None:
    base = made(clone, BASE)
    first = made(clone, {**BASE, "c": "c\n"}, base)
    moved = made(clone, {**BASE, "b": "moved\n"}, base)
    merge = made(clone, {**BASE, "b": "moved\n", "c": "c\n"}, first, moved)
    tree = {**BASE, "b": "moved\n", "c": "c\n", "d": "d\n"}
    last = made(clone, tree, merge)
    squash = made(clone, tree, moved, message="squash")
    assert one(repo, [first, merge, last], squash) == Compared(Relation.SAME_TREE, moved)
    assert one(repo, [first, moved, merge, last], squash).relation is Relation.NONE
    assert one(repo, [first, merge, moved, last], squash).base == base
    assert "one row" in one(repo, [first, last], squash).note
    assert "one row" in one(repo, [merge, first], squash).note


def test_commits_without_a_parent_and_without_a_change(clone: Clone, repo: Repository) -> None:
    root, again = made(clone, BASE), made(clone, BASE, message="again")
    assert one(repo, [root], again) == Compared(Relation.SAME_TREE, "")
    empty, moved = made(clone, BASE, root), made(clone, MOVED, root)
    assert one(repo, [empty], made(clone, BASE, root, message="again")).relation is Relation.SAME_TREE
    assert one(repo, [empty], made(clone, MOVED, moved)).relation is Relation.NONE


def test_several_pairs_are_answered_in_their_order(clone: Clone, repo: Repository) -> None:
    base, moved = made(clone, BASE), made(clone, MOVED)
    pairs, wanted = [], []
    for n in range(6):
        last = made(clone, {**BASE, "c": f"{n}\n"}, base)
        good = n % 2 == 0
        pairs.append(Pair((last,), made(clone, {**MOVED, "c": f"{n if good else 'x'}\n"}, moved)))
        wanted.append(Relation.PATCH_ID if good else Relation.NONE)
    assert [each.relation for each in compare.compare(repo, pairs)] == wanted


def test_changes_that_are_too_large_are_not_compared_and_the_others_are(
    clone: Clone, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "MAX_PATCH_BYTES", 2000)
    base, moved = made(clone, BASE), made(clone, MOVED)
    small = Pair((made(clone, {**BASE, "c": "c\n"}, base),), made(clone, {**MOVED, "c": "c\n"}, moved))
    much = "x" * 5000 + "\n"
    large = Pair((made(clone, {**BASE, "c": much}, base),), made(clone, {**MOVED, "c": much}, moved))
    found = compare.compare(repo, [small, large, small])
    assert [each.relation for each in found] == [Relation.PATCH_ID, Relation.NONE, Relation.PATCH_ID]
    assert "larger than" in found[1].note


def test_a_commit_that_is_not_here_could_not_be_compared(clone: Clone, repo: Repository) -> None:
    base = made(clone, BASE)
    with pytest.raises(UnavailableError):
        one(repo, ["1" * 40], base)
    odd = clone.write(b"tree " + b"1" * 40 + b"\nnothing\n\n")
    assert "cannot be read" in one(repo, [odd], base).note
