"""The chain hash of handoffs: the reference implementation's vectors, and what is ambiguous."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.apas.chain import NAMED, Link
from attest.errors import MalformedError

# Made by the reference implementation (formats.md 10.3).
FIRST = Link(0, "scoping-agent", "acme-17", "scope the fix", ("docs/plan.md",), ("1f0c" * 10,), "")
FIRST_HASH = "e75bee95e11c905e5dfea2fcf8c1b000b1a16a1a8892668196042b8823c8ca4b"
FILES = ("src/verify.py", "tests/test_verify.py")
SECOND = Link(1, "dev-agent", "acme-17", "fix: refuse empty cert", FILES, ("2a1d" * 10,), FIRST_HASH)
SECOND_HASH = "ebd610045bb751d7979ad5d6198439ba26c622d2a0d36714118729357276d504"


def test_the_reference_implementations_hashes_are_reproduced() -> None:
    assert FIRST.hash() == FIRST_HASH
    assert SECOND.hash() == SECOND_HASH


def test_version_1_names_the_file_before_and_no_commits() -> None:
    written = b"\x01\0\0\0dev\0acme-17\0done\0a.py\0.rsry-handoff-0.json"
    link = Link(1, "dev", "acme-17", "done", ("a.py",), ("2a1d" * 10,), ".rsry-handoff-0.json", NAMED)
    assert link.hash() == hashlib.sha256(written).hexdigest()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        pytest.param({"from_agent": "a\0b"}, "NUL", id="NUL in the agent"),
        pytest.param({"work_item": "a\0b"}, "NUL", id="NUL in the work item"),
        pytest.param({"summary": "a\0b"}, "NUL", id="NUL in the summary"),
        pytest.param({"files": ("a\0b",)}, "NUL", id="NUL in a file"),
        pytest.param({"files": ("a", "2A1d" * 10)}, "cannot be told from a commit", id="a file like a commit"),
        pytest.param({"files": ("ab" * 32,)}, "cannot be told from a commit", id="a file like a SHA-256 commit"),
        pytest.param({"files": ("",)}, "cannot be told from a commit", id="a file without a name"),
        pytest.param({"commits": ("abc123",)}, "no commit id", id="a short commit"),
        pytest.param({"commits": ("2A1D" * 10,)}, "no commit id", id="a commit in capitals"),
        pytest.param({"commits": ("2a1d" * 10 + "\n",)}, "no commit id", id="a commit and more"),
        pytest.param({"previous": ""}, "does not say which phase", id="nothing before a later phase"),
        pytest.param({"previous": "sha256:" + FIRST_HASH}, "not 64 lower-case", id="an algorithm before the hash"),
        pytest.param({"previous": FIRST_HASH.upper()}, "not 64 lower-case", id="a hash in capitals"),
        pytest.param({"phase": 0}, "names a phase before it", id="something before the first"),
        pytest.param({"phase": 2**32}, "32 bits", id="too high a phase"),
        pytest.param({"phase": -1}, "32 bits", id="too low a phase"),
        pytest.param({"version": "3"}, "no known version", id="a version to come"),
        pytest.param({"version": "1", "previous": "plan.md"}, "as the phase before it", id="another file before"),
    ],
)
def test_what_has_no_unambiguous_hash_is_refused(changed: dict[str, object], complaint: str) -> None:
    with pytest.raises(MalformedError, match=complaint):
        replace(SECOND, **changed)  # type: ignore[arg-type]


def test_a_file_cannot_be_moved_among_the_commits() -> None:
    """`[x, y], [z]` and `[x], [y, z]` have one hash in the reference implementation (formats.md 1.5)."""
    commit = "2a1d" * 10
    Link(0, "a", "b", "c", ("x",), (commit, commit), "")
    with pytest.raises(MalformedError):
        Link(0, "a", "b", "c", ("x", commit), (commit,), "")


words = st.text("ab\x01é", max_size=3)
links = st.builds(
    Link, st.just(0), words, words, words, st.lists(words, max_size=3).map(tuple),
    st.lists(st.sampled_from(["2a1d" * 10, "1f" * 32]), max_size=2).map(tuple), st.just(""),
)  # fmt: skip


def written(link: Link) -> bytes:
    """What is hashed, by the words of the layout."""
    texts = (link.from_agent, link.work_item, link.summary, *link.files, *link.commits)
    return link.phase.to_bytes(4, "little") + b"".join(text.encode() + b"\0" for text in texts)


@given(st.data())
def test_no_two_links_have_the_same_bytes(data: st.DataObject) -> None:
    made = []
    for _ in range(2):
        try:
            made.append(data.draw(links))
        except MalformedError:
            return
    one, other = made
    assert one.hash() == hashlib.sha256(written(one)).hexdigest()
    assert (one == other) == (one.hash() == other.hash())
