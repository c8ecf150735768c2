"""Attestations in files, for machines that no network connects, and in the places where other tools keep them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest import bundlefile, bundles, layouts, lines, store
from attest.apas.dispatch import PREDICATE_TYPE as DISPATCH
from attest.errors import UnavailableError
from attest.gitobject import MAX_OBJECT_BYTES, ObjectFormat
from attest.layouts import Layout, gitsign
from attest.repository import Repository
from tests.clones import Hub, git
from tests.compat import warm
from tests.peers import peer
from tests.statements import bare, bundle, envelope, payload, stamp, witness
from tests.test_lines import SOURCETOOL

AT = datetime(2026, 11, 23, 13, 58, 10, tzinfo=UTC)
ATTEST = str(Path(sys.executable).parent / "notme-attest")
NOTES = "refs/notes/commits"


@pytest.fixture(params=list(ObjectFormat))
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path, ObjectFormat(request.param))
    yield made
    made.close()


@pytest.fixture
def repo(hub: Hub) -> Repository:
    return hub.clone("repo")


def attest(
    repo: Repository, *arguments: str, status: int = 0, stdin: bytes = b"", environ: Mapping[str, str] | None = None
) -> tuple[bytes, str]:
    done = warm.run([ATTEST, *arguments], cwd=repo.path, input=stdin, env={**os.environ, **(environ or {})})
    assert done.returncode == status, done
    return done.stdout, done.stderr.decode()


def commits(repo: Repository, count: int) -> list[str]:
    start = git(repo.path, "rev-parse", "HEAD")
    stream = [f"commit refs/heads/main\ncommitter x <x> {number} +0000\ndata 1\nx\n" for number in range(count)]
    stream[0] += f"from {start}\n"
    git(repo.path, "fast-import", "--quiet", stdin="".join(stream))
    return git(repo.path, "rev-list", "--reverse", f"HEAD~{count}..HEAD").split()


def everything(repo: Repository) -> dict[str, list[bytes]]:
    return dict(store.read_all(repo))


def test_what_was_exported_is_imported_elsewhere_with_all_its_kinds_of_lines(hub: Hub, repo: Repository) -> None:
    about = {hub.oid(n): sorted([bundle(hub.oid(n)), stamp(hub.oid(n)), witness(hub.oid(n))]) for n in range(1, 4)}
    store.append(repo, about, AT)
    printed, _ = attest(repo, "bundle", "export", "--all", "--out", "all.intoto.jsonl")
    assert printed == b"all.intoto.jsonl: 9 lines about 3 objects\n"
    file = repo.path / "all.intoto.jsonl"
    assert file.read_bytes() == b"".join(line + b"\n" for found in about.values() for line in found)
    assert file.stat().st_mode & 0o777 == 0o644
    other = hub.clone("other")
    assert attest(other, "bundle", "import", str(file)) == (b"9 lines about 3 objects, 9 of them new\n", "")
    assert everything(other) == about
    assert attest(other, "bundle", "import", str(file))[0] == b"9 lines about 3 objects, 0 of them new\n"
    assert git(other.path, "rev-list", "--count", store.REF) == "1"


def test_a_range_or_one_commit_is_exported(repo: Repository) -> None:
    first, second, third = commits(repo, 3)
    store.append(repo, {oid: [bundle(oid)] for oid in (first, second, third)}, AT)
    printed, said = attest(repo, "bundle", "export", f"{first}..{third}", "--out", "-")
    assert printed.splitlines() == [bundle(third), bundle(second)]
    assert said == "-: 2 lines about 2 objects\n"
    assert attest(repo, "bundle", "export", "HEAD~1", "--out", "-")[0].splitlines() == [bundle(second)]


def test_a_stream_is_taken_line_by_line_and_what_is_no_attestation_is_counted(hub: Hub, repo: Repository) -> None:
    oid = hub.oid(1)
    stream = [b"\xff", bundle(oid), b"", b"{}", stamp(oid) + b"\r", b"x" * (lines.MAX_LINE_BYTES * 2), bundle(oid)]
    foreign = "a" * (104 - len(oid))  # of the other kind of repository
    printed, said = attest(
        repo, "bundle", "import", "-", "--json", stdin=b"\n".join([*stream, bundle(foreign), bare(oid)])
    )
    assert json.loads(printed) == {"recognised": 4, "ignored": 4, "added": 3, "objects": 1, "withheld": 0}
    assert "4 line(s) were passed over" in said
    assert everything(repo) == {oid: sorted([bundle(oid), stamp(oid), bare(oid)])}


def test_a_line_about_several_objects_is_stored_with_each(hub: Hub, repo: Repository) -> None:
    subjects = [{"digest": {"gitCommit": hub.oid(n)}} for n in (1, 2)]
    line = bundle("", subject=subjects)
    assert bundlefile.import_file(repo, io.BytesIO(line), AT) == bundlefile.Imported(1, 0, 2, 2)
    assert everything(repo) == {hub.oid(1): [line], hub.oid(2): [line]}


def test_what_names_the_sources_of_content_is_not_stored_for_everyone(hub: Hub, repo: Repository) -> None:
    origins: list[dict[str, object]] = [
        {"contentOrigins": [{"uri": "https://secret.example/", "vouchedBy": ""}]},
        {"originsHash": "sha256:" + "a" * 64},
        {"contentOrigins": []},
    ]
    named, hashed, empty = (
        bundle(hub.oid(1), predicateType=DISPATCH, predicate={"runDetails": run}) for run in origins
    )
    said = attest(repo, "bundle", "import", "-", stdin=b"\n".join([named, hashed, empty]))[1]
    assert said == "1 line(s) name sources of content, for everyone to read: not stored\n"
    assert everything(repo) == {hub.oid(1): sorted([hashed, empty])}


def test_a_file_without_any_attestation_changes_nothing(repo: Repository) -> None:
    printed, _ = attest(repo, "bundle", "import", "-", stdin=b"no\nno\n", status=2)
    assert printed == b"0 lines about 0 objects, 0 of them new\n"
    assert not store.exists(repo)


@pytest.mark.parametrize("limit", ["MAX_LINES", "MAX_BYTES"])
def test_more_than_the_bound_is_refused_whole(
    hub: Hub, repo: Repository, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundlefile, limit, 3)
    file = b"".join(bundle(hub.oid(number)) + b"\n" for number in range(5))
    with pytest.raises(UnavailableError, match="nothing was imported"):
        bundlefile.import_file(repo, io.BytesIO(file), AT)
    assert not store.exists(repo)


def test_more_lines_about_one_object_than_are_read_are_not_all_in_memory(
    hub: Hub, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines_of_one = [bundle(hub.oid(1), b"signature %02d" % number) for number in range(20)]
    monkeypatch.setattr(store, "MAX_ADDED_BYTES", 10 * len(lines_of_one[0]))
    with bundlefile.Spool(len(hub.oid(1))) as spool:
        for line in (*lines_of_one[:5] * 20, *lines_of_one[5:8]):
            spool.take(line)
        assert spool[hub.oid(1)] == lines_of_one[:8]
    with pytest.raises(UnavailableError, match="at most") as caught:
        bundlefile.import_file(repo, io.BytesIO(b"\n".join(lines_of_one)), AT)
    assert "leave out" in caught.value.hint
    assert not store.exists(repo)


def test_a_full_disk_is_said_with_what_to_do_and_nothing_is_imported(hub: Hub, repo: Repository) -> None:
    file = repo.path / "large.jsonl"
    file.write_bytes(b"".join(bundle(hub.oid(number)) + b"\n" for number in range(2000)))
    command = f"ulimit -f 100; exec {ATTEST} bundle import large.jsonl"
    done = subprocess.run(["bash", "-c", command], cwd=repo.path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "kept in the folder for temporary files: File too large" in done.stderr
    assert "TMPDIR" in done.stderr
    assert not store.exists(repo)


def test_a_bound_holds_for_a_line_without_end(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundlefile, "MAX_BYTES", 4 * lines.MAX_LINE_BYTES)
    with open("/dev/zero", "rb") as endless, pytest.raises(UnavailableError):
        bundlefile.import_file(repo, endless, AT)


def test_a_bound_holds_for_empty_lines_without_end(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundlefile, "MAX_BYTES", 1000)
    with pytest.raises(UnavailableError):
        bundlefile.import_file(repo, io.BytesIO(b"\n" * 1001), AT)


def test_a_bound_holds_for_a_line_as_often_as_it_would_be_stored(
    hub: Hub, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = [{"digest": {"gitCommit": hub.oid(number)}} for number in range(50)]
    line = envelope(payload({}, subject=subject)).encode()
    monkeypatch.setattr(bundlefile, "MAX_BYTES", 49 * len(line))
    with pytest.raises(UnavailableError, match="nothing was imported"):
        bundlefile.import_file(repo, io.BytesIO(line), AT)
    assert not store.exists(repo)


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "--out", "x"),
        ("export", "HEAD", "--all", "--out", "x"),
        ("export", "--all"),
        ("export", "--all", "--out", "x", "--layout", "notes"),
        ("export", "nothing-of-that-name", "--out", "x"),
        ("import",),
        ("import", "x", "--layout", "notes"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_usage_and_writes_nothing(repo: Repository, arguments: tuple[str, ...]) -> None:
    _, said = attest(repo, "bundle", *arguments, status=64)
    assert said
    assert not (repo.path / "x").exists()


def test_a_file_that_cannot_be_written_or_read_is_said(repo: Repository) -> None:
    assert "No such file" in attest(repo, "bundle", "import", "absent", status=2)[1]
    assert "No such file" in attest(repo, "bundle", "export", "--all", "--out", "absent/x", status=2)[1]


def test_the_layout_of_gitsign_has_predicate_and_envelope_under_a_name_of_its_own(
    hub: Hub, repo: Repository
) -> None:
    """As gitsign's internal/attest/attest.go lays them out: git itself lists and prints them."""
    one, other = hub.oid(1), hub.oid(2)
    store.append(repo, {one: [bundle(one, b"a"), bundle(one, b"b"), stamp(one)], other: [witness(other)]}, AT)
    printed, _ = attest(repo, "bundle", "export", "--all", "--layout", "gitsign")
    assert printed == (
        b"refs/attestations/commits: 3 lines about 2 objects added; passed over: 1, there already or without a place "
        b"in it\n"
    )
    names = git(repo.path, "ls-tree", "-r", "--name-only", gitsign.REF).splitlines()
    assert len(names) == 9
    assert {name.split("/")[0] for name in names} == {one, other}
    predicates = [name for name in names if not name.endswith((gitsign.SIGNATURE, gitsign.WHOLE))]
    assert all(name.rpartition("/")[2].startswith("commit-v0.1-") and name.endswith(".json") for name in predicates)
    for name in predicates:
        assert json.loads(git(repo.path, "cat-file", "blob", f"{gitsign.REF}:{name}")) == {"who": "añy"}
        made = git(repo.path, "cat-file", "blob", f"{gitsign.REF}:{name}{gitsign.SIGNATURE}")
        assert json.loads(made).keys() == {"payload", "payloadType", "signatures"}
    git(repo.path, "fsck", "--strict")
    again, _ = attest(repo, "bundle", "export", "--all", "--layout", "gitsign")
    assert again.startswith(b"refs/attestations/commits: 0 lines about 0 objects added")
    assert git(repo.path, "rev-list", "--count", gitsign.REF) == "1"


def test_what_gitsign_wrote_is_read_with_its_quirks_and_what_stood_there_stays(hub: Hub, repo: Repository) -> None:
    oid, files = hub.oid(1), {}
    odd = json.loads(payload({"sha1": oid}))
    odd["type"] = odd.pop("_type")
    files["test.json.sig"] = envelope(json.dumps(odd).encode()).encode()
    files["pretty.json.sig"] = json.dumps(json.loads(bare(oid)), indent=1).encode()
    files["test.json"] = b'{"foo":"bar"}'
    files["broken.json.sig"] = b"{"
    files["elsewhere.json.sig"] = bare(hub.oid(2))
    for name, content in files.items():
        blob = subprocess.run(
            [str(peer("git")), "hash-object", "-w", "--stdin"], cwd=repo.path, input=content, capture_output=True,
            check=True,
        ).stdout.decode().strip()  # fmt: skip
        git(repo.path, "update-index", "--add", "--cacheinfo", f"100644,{blob},{oid}/{name}")
    tree = git(repo.path, "write-tree")
    git(repo.path, "update-ref", gitsign.REF, git(repo.path, "commit-tree", tree, "-m", "Gitsign attest test.json"))
    found = layouts.read(repo, Layout.GITSIGN, oid)
    assert [lines.parse(line).envelope for line in found] == [
        lines.parse(bare(oid)).envelope, lines.parse(files["test.json.sig"]).envelope
    ]  # fmt: skip
    assert attest(repo, "bundle", "import", "--layout", "gitsign")[0] == b"2 lines about 1 object, 2 of them new\n"
    store.append(repo, {oid: [bundle(oid)]}, AT)
    assert layouts.write(repo, Layout.GITSIGN, store.read_all(repo), AT).added == 3
    names = git(repo.path, "ls-tree", "-r", "--name-only", gitsign.REF).splitlines()
    assert {f"{oid}/{name}" for name in files} <= set(names)
    git(repo.path, "merge-base", "--is-ancestor", f"{gitsign.REF}~1", gitsign.REF)


def test_lines_come_back_whole_from_either_layout(repo: Repository) -> None:
    first, second = commits(repo, 2)
    about = {oid: sorted([bundle(oid), witness(oid), bare(oid)]) for oid in (first, second)}
    for layout in Layout:
        assert layouts.read(repo, layout, first) == []
        assert layouts.write(repo, layout, about.items(), AT) == layouts.Written(2, 6, 0)
        assert layouts.write(repo, layout, about.items(), AT) == layouts.Written(0, 0, 6)
        assert {oid: sorted(found) for oid, found in layouts.read_all(repo, layout)} == about
        assert sorted(layouts.read(repo, layout, second)) == about[second]


def test_notes_are_written_as_git_notes_shows_them(hub: Hub, repo: Repository) -> None:
    first, second = commits(repo, 2)
    git(repo.path, "notes", "add", "-m", "by hand", first)
    absent = hub.oid(1)
    store.append(repo, {first: [bundle(first), stamp(first)], second: [bundle(second)], absent: [bare(absent)]}, AT)
    attest(repo, "bundle", "export", "--all", "--layout", "notes")
    assert git(repo.path, "notes", "show", first) == "by hand\n" + bundle(first).decode()
    assert git(repo.path, "notes", "show", second) == bundle(second).decode()
    assert layouts.read(repo, Layout.NOTES, first) == [bundle(first)]
    git(repo.path, "notes", "append", "-m", bare(first).decode(), first)
    assert layouts.read(repo, Layout.NOTES, first) == [bundle(first), bare(first)]
    assert git(repo.path, "for-each-ref", "--format=%(refname)", "refs/notes") == NOTES


def test_a_note_that_is_too_large_to_be_read_stays_as_it_is(repo: Repository) -> None:
    (oid,) = commits(repo, 1)
    git(repo.path, "notes", "add", "-F", "-", oid, stdin="by hand\n" * (MAX_OBJECT_BYTES // 8 + 1))
    before = git(repo.path, "rev-parse", NOTES)
    store.append(repo, {oid: [bundle(oid)]}, AT)
    assert "passed over: 1" in attest(repo, "bundle", "export", oid, "--layout", "notes")[0].decode()
    assert git(repo.path, "rev-parse", NOTES) == before


def test_a_note_that_a_partial_clone_left_at_its_remote_is_not_replaced(hub: Hub, repo: Repository) -> None:
    (oid,) = commits(repo, 1)
    git(repo.path, "notes", "add", "-m", "by hand", oid)
    git(repo.path, "push", "-q", "origin", "main", NOTES)
    partial = hub.clone("partial", "--filter=blob:none", "--no-checkout")
    git(partial.path, "fetch", "-q", "origin", f"{NOTES}:{NOTES}")
    store.append(partial, {oid: [bundle(oid)]}, AT)
    for command in (("bundle", "export", oid), ("show", oid), ("bundle", "import")):
        assert f"a note of {NOTES} is not here" in attest(partial, *command, "--layout", "notes", status=2)[1]
    git(partial.path, "cat-file", "-p", f"{NOTES}:{oid}")
    attest(partial, "bundle", "export", oid, "--layout", "notes")
    assert git(partial.path, "notes", "show", oid) == "by hand\n" + bundle(oid).decode()


def test_many_notes_are_in_folders_as_git_makes_them(repo: Repository) -> None:
    oids = commits(repo, 300)
    for part in (oids[:10], oids[10:]):
        assert layouts.write(repo, Layout.NOTES, ((oid, [bundle(oid)]) for oid in part), AT).added == len(part)
    names = git(repo.path, "ls-tree", "-r", "--name-only", NOTES).splitlines()
    assert len(names) == 300
    assert all(name[2] == "/" for name in names)
    assert dict(layouts.read_all(repo, Layout.NOTES)) == {oid: [bundle(oid)] for oid in oids}
    assert git(repo.path, "notes", "show", oids[0]) == bundle(oids[0]).decode()


def test_a_note_of_source_tool_is_read_where_it_stands(tmp_path: Path) -> None:
    """In the folder and the form of its own repository's ref; the commit itself is not needed."""
    hub = Hub(tmp_path, ObjectFormat.SHA1)
    repo, oid, content = hub.clone("repo"), SOURCETOOL.stem, SOURCETOOL.read_bytes()
    blob = git(repo.path, "hash-object", "-w", str(SOURCETOOL))
    git(repo.path, "update-index", "--add", "--cacheinfo", f"100644,{blob},{oid[:2]}/{oid[2:]}")
    git(repo.path, "update-ref", NOTES, git(repo.path, "commit-tree", git(repo.path, "write-tree"), "-m", "x"))
    assert layouts.read(repo, Layout.NOTES, oid) == [content.rstrip(b"\n")]
    assert attest(repo, "bundle", "import", "--layout", "notes")[0] == b"1 line about 1 object, 1 of them new\n"
    assert store.read(repo, oid) == [content.rstrip(b"\n")]
    hub.close()


def test_folders_of_notes_without_end_are_not_followed(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attest.layouts.gitnotes.MAX_TREES", 1000)
    blob = git(repo.path, "hash-object", "-w", "--stdin", stdin="x")
    tree = git(repo.path, "mktree", stdin=f"100644 blob {blob}\tx\n")
    for _ in range(10):
        tree = git(repo.path, "mktree", stdin="".join(f"040000 tree {tree}\t{n:02x}\n" for n in range(256)))
    git(repo.path, "update-ref", NOTES, git(repo.path, "commit-tree", tree, "-m", "x"))
    with pytest.raises(UnavailableError, match="more than 1000 folders"):
        list(layouts.read_all(repo, Layout.NOTES))


@pytest.mark.parametrize("layout", list(Layout))
def test_one_file_in_the_place_of_many_is_not_read_without_end(
    hub: Hub, repo: Repository, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attest.layouts.budget.MAX_BYTES", 100_000)
    oids = [hub.oid(number) for number in range(1, 100)]
    blob = git(repo.path, "hash-object", "-w", "--stdin", stdin="{" + 2000 * " " + "}")
    if layout is Layout.GITSIGN:
        folder = git(repo.path, "mktree", stdin=f"100644 blob {blob}\tx.sig\n")
        tree = git(repo.path, "mktree", stdin="".join(f"040000 tree {folder}\t{oid}\n" for oid in oids))
    else:
        tree = git(repo.path, "mktree", stdin="".join(f"100644 blob {blob}\t{oid}\n" for oid in oids))
    git(repo.path, "update-ref", layouts.ref(layout), git(repo.path, "commit-tree", tree, "-m", "x"))
    assert layouts.read(repo, layout, oids[0]) == []
    with pytest.raises(UnavailableError, match="not all of it was read"):
        list(layouts.read_all(repo, layout))


@pytest.mark.parametrize("layout", list(Layout))
def test_what_others_keep_is_shown_and_believed_only_if_it_verifies(
    repo: Repository, layout: Layout, tmp_path: Path
) -> None:
    (oid,) = commits(repo, 1)
    environ = {"NOTME_HOME": str(tmp_path / "home")}
    anchor = tmp_path / "anchor.pem"
    subprocess.run(
        [str(peer("openssl")), "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-keyout", "/dev/null",
         "-out", str(anchor)], check=True, capture_output=True,
    )  # fmt: skip
    show = ("show", "HEAD", "--json", "--anchor", str(anchor), "--layout", layout)
    assert json.loads(attest(repo, *show, status=1, environ=environ)[0]) == []
    layouts.write(repo, layout, [(oid, [bundle(oid)])], AT)
    shown = json.loads(attest(repo, *show, status=1, environ=environ)[0])
    assert [item["verified"] for item in shown] == [False]


def test_notes_of_git_ai_are_shown_as_claims_by_their_digest(repo: Repository, tmp_path: Path) -> None:
    (oid,) = commits(repo, 1)
    log = {"schema_version": "authorship/3.0.0", "base_commit_sha": "", "prompts": {}, "humans": {},
           "sessions": {"s_c9883b05a2487d": {"agent_id": {"tool": "claude", "model": "m\x1b[31m"}}}}  # fmt: skip
    note = "src/main.rs\n  s_c9883b05a2487d::t_9f8e7d6c5b4a32 1-10\n---\n" + json.dumps(log)
    git(repo.path, "notes", "--ref=ai", "add", "-F", "-", oid, stdin=note)
    blob = git(repo.path, "rev-parse", f"refs/notes/ai:{oid}")
    anchor = tmp_path / "anchor.pem"
    subprocess.run(
        [str(peer("openssl")), "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-keyout", "/dev/null",
         "-out", str(anchor)], check=True, capture_output=True,
    )  # fmt: skip
    show = ("show", "HEAD", "--notes", "--anchor", str(anchor))
    printed = attest(repo, *show, status=1)[0].decode()
    assert f"gitBlob {blob}" in printed
    assert "unsigned" in printed
    assert "tool 'claude'" in printed
    assert "\x1b" not in printed
    (said,) = json.loads(attest(repo, *show, "--json", status=1)[0])
    assert said["verified"] is False
    assert said["claims"] == [{"tool": "claude", "model": "m\x1b[31m", "human": "", "lines": 10}]
    git(repo.path, "notes", "--ref=ai", "add", "-f", "-m", "nothing", oid)
    assert "cannot be read" in attest(repo, *show, status=1)[0].decode()


def test_the_payload_of_a_line_is_never_touched(repo: Repository) -> None:
    (oid,) = commits(repo, 1)
    line = bundle(oid)
    for layout in Layout:
        layouts.write(repo, layout, [(oid, [line])], AT)
        (found,) = layouts.read(repo, layout, oid)
        assert bundles.parse_bundle(found).envelope.payload == bundles.parse_bundle(line).envelope.payload
