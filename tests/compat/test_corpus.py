"""The corpus against real programs: ours agree with the index on every object, and git's accept what is listed."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from attest import certificate, history, stamps, trust, verify
from attest.certificate import Anchor
from attest.foreign.allowed import AllowedSigners
from attest.foreign.openpgp import Gpg
from attest.foreign.revoked import RevokedKeys
from attest.foreign.roots import Roots
from attest.gitobject import ObjectFormat, ObjectKind
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.query import Query
from attest.repository import Repository, open_repository
from attest.trust import Trust
from attest.types import Finding, Outcome, StepStatus
from tests.compat.conftest import SCRIPTS
from tests.compat.signed import run as call
from tests.corpus import run, withgit, write
from tests.corpus.case import ACCEPT, REJECT, SIGNERS, UNCHECKED, Case
from tests.corpus.run import Exits
from tests.corpus.write import Corpus
from tests.peers import ROOT, peer

CLASS = {
    Outcome.ACCEPTED: ACCEPT,
    Outcome.ACCEPTED_TIME_UNPROVEN: ACCEPT,
    Outcome.REJECTED: REJECT,
    Outcome.COULD_NOT_CHECK: UNCHECKED,
}
STATUSES = {True: {StepStatus.PROVEN}, False: {StepStatus.FAILED, StepStatus.UNAVAILABLE}}
PEERS = {"ssh-keygen": "ssh-keygen", "gpg": "gpg", "gpgsm": "gpgsm", "notme-git": "git"}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return write.build()


@pytest.fixture(scope="module")
def folder(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    peer("git")
    made = tmp_path_factory.mktemp("corpus")
    write.write(corpus, made)
    return made


@contextmanager
def keyring(folder: Path) -> Iterator[Gpg]:
    """gpg with a home of its own that holds the corpus's one key."""
    program = peer("gpg")
    # Not below pytest's folders: the agent's sockets lie in the home, and their paths have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="c") as home:
        environ = {"GNUPGHOME": home}
        try:
            done = call(program, "--batch", "--import", "openpgp.asc", cwd=folder / "trust", environ=environ)
            assert done.returncode == 0, done.stderr
            yield Gpg.find({**os.environ, "PATH": str(program.parent)}, Path(home))
        finally:
            call(program.with_name("gpgconf"), "--kill", "all", cwd=folder, environ=environ)


@contextmanager
def roots(folder: Path, signer: str) -> Iterator[Roots]:
    """Everything that a verifier can name; gpg only where it is needed."""
    made = Roots(
        allowed_signers=AllowedSigners.parse((folder / "trust" / "allowed_signers").read_bytes()),
        revoked=RevokedKeys.parse((folder / "trust" / "revoked_keys").read_bytes()),
        smime=tuple(certificate.load_pem((folder / "trust" / "smime.pem").read_bytes())),
    )
    if signer != "openpgp":
        yield made
        return
    with keyring(folder) as gpg:
        yield replace(made, openpgp=gpg)


def trusted_by(folder: Path, one: Case, foreign: Roots) -> Trust:
    root = certificate.load_pem((folder / "trust" / f"{one.anchor}.pem").read_bytes())[0]
    pinned = (Anchor.read(root, Profile(one.anchor)),)
    verified = trust.verify_bundle((folder / "trust" / one.bundle).read_bytes(), pinned)
    return replace(verified, foreign=foreign)


def context(one: Case) -> Context:
    return Context(ref=one.offered[0], repository=one.offered[1])


def opened(folder: Path, fmt: ObjectFormat) -> Repository:
    return open_repository(folder / f"{fmt}.git", os.environ)


def disagreement(one: Case, outcome: Outcome | None, finding: Finding) -> str:
    """What the verifier says otherwise than the index; empty if nothing."""
    right = outcome is not None and CLASS[outcome] == one.expect and finding.reason == one.reason
    if right and finding.step == one.step and finding.status in STATUSES[one.reason == ""]:
        return ""
    return f"{one.repository} {one.name}: {outcome}, {finding.status} {finding.reason} {finding.detail}"


@pytest.mark.parametrize("signer", SIGNERS)
def test_the_verifier_agrees_with_the_index_on_every_object(signer: str, corpus: Corpus, folder: Path) -> None:
    wrong = []
    with roots(folder, signer) as foreign:
        for fmt in ObjectFormat:
            repo = opened(folder, fmt)
            for one in corpus.cases:
                if one.signer != signer or one.object_format is not fmt:
                    continue
                kind, raw = repo.read(one.object_id)
                assert (kind, raw) == ("blob" if one.kind is ObjectKind.PUSH_CERTIFICATE else str(one.kind), one.raw)
                found = verify.examine(
                    *(raw, one.kind, fmt, one.object_id, trusted_by(folder, one, foreign)),
                    at=one.at,
                    timestamps=[one.stamp] if one.stamp else [],
                )
                verdict = verify.judge(found, Policy(), context(one), at=one.at)
                wrong.append(disagreement(one, verdict.outcome, verdict.findings.findings[one.step - 1]))
            repo.close()
    assert wrong
    assert [line for line in wrong if line] == []


@pytest.mark.parametrize("signer", SIGNERS)
def test_whole_histories_agree_with_the_index_on_every_object(
    signer: str, corpus: Corpus, folder: Path, tmp_path: Path
) -> None:
    """Another way through the same steps: what objects have in common is worked out once, and by libsodium.

    They come forth and back, so that each may be the one from which something is learned for the next.
    """
    wrong = []
    wanted = [one for one in corpus.cases if one.signer == signer and one.kind is not ObjectKind.PUSH_CERTIFICATE]
    with roots(folder, signer) as foreign:
        for (fmt, anchor, bundle, at, _, stamp), group in groupby(sorted(wanted, key=_asked), key=_asked):
            cases = list(group)
            home = tmp_path / f"{fmt}-{anchor}-{bundle}-{at}-{len(stamp)}-{cases[0].name}"
            for one in cases:
                if stamp:
                    stamps.write_spool(home, one.object_id, stamp)
            repo, first = opened(folder, fmt), cases[0]
            query = Query(
                trusted_by(folder, first, foreign), first.at, policy=Policy(), context=context(first), home=home
            )
            rows = list(history.rows(repo, [one.object_id for one in cases], query))
            repo.close()
            assert [row.object_id for row in rows] == [one.object_id for one in cases]
            for one, row in zip(cases, rows, strict=True):
                wrong.append(disagreement(one, row.outcome, row.findings[one.step - 1]))
    assert wrong
    assert [line for line in wrong if line] == []


def _asked(one: Case) -> tuple[ObjectFormat, str, str, str, tuple[str, str], bytes]:
    """What has to be the same for objects that are asked about together."""
    offered = (one.offered[0] or "", one.offered[1] or "")
    return one.object_format, one.anchor, one.bundle, one.at.isoformat(), offered, one.stamp


OFFERED = ["8-another-branch", "8-branch-not-known", "8-right-branch"]
FEW = ["1-stray-gpgsig-header", "2-no-signature", "4-smime-self-signed", "4-ssh-key-revoked", *OFFERED]


def test_the_command_line_agrees_with_the_index_through_the_runner(folder: Path) -> None:
    template = run.parse_template(
        f"'{SCRIPTS}/notme-attest' verify {{oid}} --anchor {{anchor}} --bundle {{bundle}}"
        " --allowed-signers {trust}/allowed_signers --revoked-keys {trust}/revoked_keys --smime-ca {trust}/smime.pem"
        " --ref={offered_ref} --repository={offered_repository}"
    )
    entries = run.select(run.read_index(folder), only=FEW, formats=["sha1"])
    assert len(entries) == len(FEW)
    results = run.run(entries, template, Exits(), jobs=2, seconds=60)
    assert [(r.entry.name, r.got) for r in results] == [(e.name, e.expect) for e in entries]


def listed() -> dict[str, dict[str, str]]:
    """The table in docs/corpus.md: defect, program, what the program does."""
    text = (ROOT / "docs" / "corpus.md").read_text("utf-8")
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| (`[1-8]-|defect )", line)]
    head = next(line for line in lines if line[0] == "defect")
    cells = [[cell.strip("| ") for cell in line] + [""] * len(head) for line in lines if line[0] != "defect"]
    return {row[0].strip("`"): dict(zip(head[2:], row[2:], strict=False)) for row in cells}


SHOWN = (
    *("1-{}stray-gpgsig-header", "1-{}tree-twice", "1-{}tag-gpgsig-header", "2-{}replaced-by-a-signed-commit"),
    *("3-{}message-changed", "8-{}good-commit"),
)
MORE = (
    *("1-{}second-signature-header", "1-{}nul-in-the-message", "1-{}tag-text-after-signature"),
    *("3-{}tag-target-changed", "8-{}good-tag"),
)
"""What every version of git in use does alike, and its programs too; ours are slow to say it without a daemon."""


@pytest.mark.parametrize("program", withgit.PROGRAMS)
def test_git_accepts_what_is_listed(program: str, folder: Path) -> None:
    peer("git")
    peer(PEERS[program])
    table, accepted = listed(), 0
    only = [name.format("") for name in SHOWN]
    if program != "notme-git":
        only = [name.format(f"{signer}-") for name in (*SHOWN, *MORE) for signer in withgit.PROGRAMS[program]]
    _, results = withgit.ask(folder, program, only=only)
    for result in results:
        told = table.get(withgit.defect(result.entry), {}).get(program, "")
        expected = result.entry.expect == ACCEPT or told == "accepts"
        assert (result.got == ACCEPT) == expected, (result.entry.name, told)
        accepted += result.fooled
    assert accepted >= 3
    assert {result.entry.expect for result in results} == {ACCEPT, REJECT}


def test_what_git_fsck_is_said_to_find_it_finds(corpus: Corpus, folder: Path) -> None:
    peer("git")
    said, compared = withgit.fsck(folder), 0
    for one in corpus.cases:
        told = [r.removeprefix("git fsck: ") for r in one.references if r.startswith("git fsck: ")]
        if told and one.object_format is ObjectFormat.SHA1:
            compared += 1
            assert said[one.object_id].split(" ")[-1] == told[0], one.name
    assert compared >= 40
