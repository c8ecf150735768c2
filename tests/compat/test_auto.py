"""`setup --auto`: whichever agent calls signs as itself, and the human's own commits stay what they were.

What they were is decided by bytes: the same work with fixed dates, before a setup and after it, gives the same
objects. Judges are git, ssh-keygen, gpg and `notme-attest`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.compat import humans
from tests.compat.conftest import AGENT, SUMMARY, Sandbox, without_daemon
from tests.peers import peer

CLAUDE = {"CLAUDECODE": "1"}
CODEX = {"CODEX_SANDBOX": "seatbelt"}
PAYLOAD = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <> 0 +0000\ncommitter A <> 0 +0000\n\nx\n"


@pytest.fixture(scope="module")
def gnupg() -> Iterator[str]:
    with humans.gnupg() as folder:
        yield folder


def unsigned(sandbox: Sandbox) -> Sandbox:
    return humans.configured(sandbox, {})


def openpgp(sandbox: Sandbox, gnupg: str) -> Sandbox:
    """A human who signs with a PGP key: `alice@example.org` names it."""
    sandbox.environ["GNUPGHOME"] = gnupg
    return humans.configured(sandbox, {"commit.gpgsign": "true", "user.signingkey": humans.EMAIL})


KINDS = ["ssh", "openpgp", "unsigned", "unsigned ssh"]


@pytest.fixture(params=KINDS)
def human(request: pytest.FixtureRequest, sandbox: Sandbox) -> Sandbox:
    """A human who signs with an SSH key, with a PGP key, or not at all."""
    if request.param == "openpgp":
        return openpgp(sandbox, request.getfixturevalue("gnupg"))
    if request.param == "unsigned":
        return unsigned(sandbox)
    made = humans.signing_with_ssh(sandbox)
    if request.param == "unsigned ssh":
        made.git("config", "commit.gpgsign", "false")
    return made


def auto(sandbox: Sandbox) -> Sandbox:
    sandbox.notme("setup", "--auto")
    return sandbox


# -- an agent


def test_an_agent_signs_as_itself(human: Sandbox) -> None:
    auto(human).commit(environ=CLAUDE)
    verdict = human.verdict()
    assert (verdict["outcome"], verdict["identity"]["actor"]["name"]) == ("accepted", AGENT)
    assert verdict["identity"]["representedPrincipal"]["email"] == humans.EMAIL
    assert human.git("log", "-1", "--format=%an <%ae> %cn").text == f"{humans.NAME} <{humans.EMAIL}> {humans.NAME}"
    assert human.shows().startswith("G ")
    human.git("tag", "-s", "-m", "t", "v1", environ=CLAUDE)
    assert human.verdict("v1")["identity"]["actor"]["name"] == AGENT
    human.git("verify-tag", "v1")


def test_an_agent_signs_as_itself_without_a_daemon(sandbox: Sandbox) -> None:
    without_daemon(auto(unsigned(sandbox))).commit(environ=CLAUDE)
    assert sandbox.shows() == f"G {SUMMARY}"


def test_each_agent_signs_as_itself(sandbox: Sandbox) -> None:
    humans.with_another_agent(auto(unsigned(sandbox)))
    for environ, name in ((CLAUDE, AGENT), (CODEX, "codex"), ({"NOTME_AGENT": "codex", **CLAUDE}, "codex")):
        sandbox.commit(environ=environ)
        assert sandbox.verdict()["identity"]["actor"]["name"] == name


REFUSED = {
    "marks of an agent without a grant": ({"GEMINI_CLI": "1"}, "no agent 'gemini-cli' has a grant"),
    "marks of two agents": ({**CLAUDE, **CODEX}, "marks of claude-code (CLAUDECODE) and codex (CODEX_SANDBOX)"),
    "a name that is none": ({"NOTME_AGENT": "no/name"}, "NOTME_AGENT"),
    "a session that never was": ({**CLAUDE, "NOTME_SESSION": "0" * 32}, "there is no session"),
}


def test_what_is_ambiguous_or_not_granted_makes_no_commit(human: Sandbox) -> None:
    auto(human)
    for case, (environ, says) in REFUSED.items():
        done = human.commit(environ=environ, status=128)
        assert says in done.err, case
        assert human.rev("HEAD") == "", case


def test_an_agent_that_writes_as_a_stranger_is_refused(sandbox: Sandbox) -> None:
    """The human of the grant or the agent is in author and committer, and nobody else."""
    humans.configured(sandbox, {"user.email": "mallory@example.net"})
    done = auto(sandbox).commit(environ=CLAUDE, status=128)
    assert "<mallory@example.net>" in done.err
    assert sandbox.rev("HEAD") == ""


def test_a_weak_mark_is_the_humans_own(sandbox: Sandbox) -> None:
    """What the terminal of an editor has, too."""
    auto(unsigned(sandbox)).commit(environ={"CURSOR_TRACE_ID": "x", "TERM_PROGRAM": "kiro"})
    assert b"gpgsig" not in sandbox.git("cat-file", "commit", "HEAD").out


# -- the human


WORK = """set -e
c() { echo "$1" >>"$2"; git add "$2"; git commit -q -m "$1"; }
c one a; c two b; git commit -q --amend -m "two, again"
git checkout -q -b topic HEAD~1; c three c; c four d
git rebase -q main
git rebase -q --apply --force-rebase main
GIT_SEQUENCE_EDITOR='sed -i s/^pick/reword/' git rebase -q -i --force-rebase main
GIT_SEQUENCE_EDITOR='sed -i "2s/^pick/squash/"' git rebase -q -i HEAD~2
git checkout -q main; c five e; git merge -q --no-edit topic
git cherry-pick -x topic >/dev/null 2>&1 || git cherry-pick --skip
git revert --no-edit HEAD~1 >/dev/null
git format-patch -q -1 --stdout >patch; git reset -q --hard HEAD~1; git am -q patch
GIT_SEQUENCE_EDITOR='sed -i s/^pick/edit/' git rebase -q -i --force-rebase HEAD~2 2>/dev/null
echo y >>a; git add a; git rebase --continue >/dev/null 2>&1; git rebase --continue >/dev/null 2>&1
git commit -q --allow-empty --fixup=HEAD; git commit -q --allow-empty -m "amend! $(git log -1 --format=%s HEAD~1)"
git rebase -q -i --autosquash --keep-empty --exec true HEAD~4 2>/dev/null
git branch -q other HEAD~1; git checkout -q other; c seven g; git checkout -q main; git merge -q --no-edit other
git rebase -q -r --force-rebase HEAD~2
git notes add -m note; echo x >>a; git stash -q; git stash pop -q; git commit -q -a -m six
git tag -m annotated v1
git for-each-ref --format='%(objectname) %(refname)'
git log --all --format='%H %s'"""


@pytest.fixture
def deterministic(request: pytest.FixtureRequest, sandbox: Sandbox) -> Sandbox:
    """A human whose commits are the same bytes each time: unsigned, or signed with Ed25519."""
    return unsigned(sandbox) if request.param == "unsigned" else humans.signing_with_ssh(sandbox)


def history(sandbox: Sandbox) -> str:
    """What all kinds of work give in a new repository with the same configuration."""
    config = sandbox.repo / ".git" / "config"
    kept = config.read_bytes()
    humans.configured(sandbox, {})
    config.write_bytes(kept)
    return sandbox.run(peer("bash"), "-c", WORK, environ=humans.FIXED).text


@pytest.mark.parametrize("deterministic", ["unsigned", "ssh"], indirect=True)
def test_the_humans_history_is_the_same_to_the_byte(deterministic: Sandbox) -> None:
    before = history(deterministic)
    assert history(deterministic) == before, "it is not deterministic, and shows nothing"
    assert history(auto(deterministic)) == before


@pytest.mark.parametrize("deterministic", ["unsigned", "ssh"], indirect=True)
def test_the_humans_commit_is_the_same_where_no_home_is_left(deterministic: Sandbox) -> None:
    """Nor any daemon: their commits need nothing of ours but the program that git calls."""
    deterministic.commit(environ=humans.FIXED)
    before = deterministic.rev("HEAD")
    auto(deterministic).git("update-ref", "-d", "HEAD")
    without_daemon(deterministic)
    (deterministic.home / "authority").rename(deterministic.root / "gone")
    deterministic.commit(environ=humans.FIXED)
    assert deterministic.rev("HEAD") == before


def test_a_human_who_signs_with_pgp_goes_on_doing_so(sandbox: Sandbox, gnupg: str) -> None:
    openpgp(sandbox, gnupg).commit("before")
    before = sandbox.shows()
    assert before.startswith("G ")
    auto(sandbox).commit("after")
    assert sandbox.shows() == before
    assert b"BEGIN PGP SIGNATURE" in sandbox.git("cat-file", "commit", "HEAD").out
    assert sandbox.shows("HEAD~1") == before


@pytest.mark.parametrize("words", [("-S",), ("--gpg-sign",), ("-Snobody@example.net",)])
def test_a_signature_that_the_human_asks_for_without_a_key_fails_as_before(
    sandbox: Sandbox, gnupg: str, words: tuple[str, ...]
) -> None:
    unsigned(sandbox).environ["GNUPGHOME"] = f"{gnupg}/none"
    (Path(gnupg) / "none").mkdir(mode=0o700, exist_ok=True)
    before = sandbox.commit("x", *words, status=128)
    after = auto(sandbox).commit("x", *words, status=128)
    assert "failed to sign" in after.err
    assert after.err.splitlines()[-1:] == before.err.splitlines()[-1:]
    assert sandbox.rev("HEAD") == ""


def test_a_signature_that_the_human_asks_for_with_a_key_is_made(sandbox: Sandbox, gnupg: str) -> None:
    """By option, and by configuration on the command line."""
    openpgp(sandbox, gnupg).git("config", "commit.gpgsign", "false")
    auto(sandbox).commit("none")
    assert b"gpgsig" not in sandbox.git("cat-file", "commit", "HEAD").out
    sandbox.commit("asked", "-S")
    assert sandbox.shows().startswith("G ")
    sandbox.git("-c", "commit.gpgsign=true", "commit", "-q", "--allow-empty", "-m", "configured")
    assert sandbox.shows().startswith("G ")
    sandbox.git("tag", "-s", "-m", "t", "v1")
    sandbox.git("verify-tag", "v1")


def test_a_rebase_that_was_asked_to_sign_signs_and_its_like_that_was_not_does_not(sandbox: Sandbox, gnupg: str) -> None:
    """In both git runs `git commit -S` for each commit that is reworded."""
    openpgp(sandbox, gnupg).git("config", "commit.gpgsign", "false")
    for message in ("one", "two"):
        auto(sandbox).commit(message)
    reword = {"GIT_SEQUENCE_EDITOR": "sed -i s/^pick/reword/"}
    for options, signed in (((), False), (("-S",), True), ((), False)):
        sandbox.git("rebase", "-q", "-i", "--force-rebase", *options, "HEAD~1", environ=reword)
        assert (b"gpgsig" in sandbox.git("cat-file", "commit", "HEAD").out) == signed


def test_a_human_without_any_signing_program_goes_on_committing(sandbox: Sandbox, tmp_path: Path) -> None:
    unsigned(sandbox).commit(environ=humans.FIXED)
    before = sandbox.rev("HEAD")
    auto(sandbox).git("update-ref", "-d", "HEAD")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(peer("git"))
    sandbox.commit(environ={**humans.FIXED, "PATH": str(tmp_path / "bin")})
    assert sandbox.rev("HEAD") == before


@pytest.mark.parametrize("daemon", [True, False])
def test_a_human_who_has_no_ssh_key_goes_on_committing(sandbox: Sandbox, daemon: bool) -> None:
    """git asks for a key before it runs any program."""
    unsigned(sandbox).git("config", "gpg.format", "ssh")
    sandbox.commit(environ=humans.FIXED)
    before = sandbox.rev("HEAD")
    auto(sandbox).git("update-ref", "-d", "HEAD")
    if not daemon:
        without_daemon(sandbox)
    sandbox.commit(environ=humans.FIXED)
    assert sandbox.rev("HEAD") == before
    sandbox.commit("by the agent", environ=CLAUDE)
    assert sandbox.shows() == f"G {SUMMARY}"
    says = "no key of yours is configured"
    assert says in sandbox.commit("asked for", "-S", status=128).err
    assert says in sandbox.git("tag", "-s", "-m", "asked for", "v1", status=None).err
    assert sandbox.git("tag").text == ""
    sandbox.notme("setup", "--undo")
    assert sandbox.git("config", "gpg.ssh.defaultKeyCommand", status=1).text == ""


def test_no_gpgsign_makes_no_signature_for_anybody(human: Sandbox) -> None:
    environs: tuple[Mapping[str, str], ...] = ({}, CLAUDE)
    auto(human)
    for environ in environs:
        human.commit("x", "--no-gpg-sign", environ=environ)
        assert b"gpgsig" not in human.git("cat-file", "commit", "HEAD").out


def signs(sandbox: Sandbox, *words: str, **options: Any) -> bool:
    """Whether git, with these words, makes a commit that is signed."""
    sandbox.git(*words, **options)
    return b"\ngpgsig " in sandbox.git("cat-file", "commit", "HEAD", **options).out


COMMIT = ("commit", "-q", "--allow-empty", "-m", "x")
TYPED = [
    "commit -q --allow-empty -mtest -S",
    "commit -q --allow-empty -mcommit --gpg-sign",
    "commit -q --allow-empty -mx --g",
    "commit -q --allow-empty --amend -mreset -S",
    "merge -q --no-ff -mnot -S side",
    "merge -q --no-ff -m -S --gpg-sign side",
    "rebase -q -m -S --force-rebase HEAD~1",
    "-c alias.ci=commit\\ -S ci -q --allow-empty -m rebase",
    "rebase -q --exec exec\\ git\\ commit\\ -q\\ --allow-empty\\ --amend\\ --no-edit\\ -S HEAD~1",
]


def test_a_signature_that_is_asked_for_in_any_spelling_is_made(sandbox: Sandbox) -> None:
    humans.signing_with_ssh(sandbox).git("config", "commit.gpgsign", "false")
    auto(sandbox).commit("one")
    for line in TYPED:
        sandbox.commit("two")
        sandbox.git("branch", "-f", "side", sandbox.git("commit-tree", "-p", "HEAD", "-m", "s", "HEAD^{tree}").text)
        sandbox.commit("three")
        assert not signs(sandbox, "commit", "-q", "--amend", "--allow-empty", "-m", "three, again")
        assert signs(sandbox, *shlex.split(line)), line


def test_commits_that_a_rebase_makes_beside_an_exec_stay_unsigned(sandbox: Sandbox) -> None:
    auto(unsigned(sandbox)).commit("one")
    sandbox.commit("two")
    reword = {"GIT_SEQUENCE_EDITOR": "sed -i s/^pick/reword/"}
    assert not signs(sandbox, "rebase", "-q", "-i", "-x", "true", "--force-rebase", "HEAD~1", environ=reword)


def with_a_key(sandbox: Sandbox) -> Sandbox:
    """A human who has a key for every repository, and signs in none."""
    humans.signing_with_ssh(sandbox)
    humans.configured(sandbox, {})
    for key, value in {"gpg.format": "ssh", "user.signingkey": str(sandbox.user / "id")}.items():
        sandbox.git("config", "--global", key, value)
    return sandbox


@pytest.mark.parametrize("options", [(), ("--global",)])
def test_a_human_who_begins_to_sign_after_a_setup_for_every_repository_signs(
    sandbox: Sandbox, options: tuple[str, ...]
) -> None:
    """In one repository, or in the very file that the setup wrote."""
    with_a_key(sandbox).notme("setup", "--auto", "--global")
    assert not signs(sandbox, *COMMIT)
    sandbox.git("config", *options, "commit.gpgsign", "true")
    assert signs(sandbox, *COMMIT)


def test_a_human_who_signs_in_some_folders_goes_on_doing_so(sandbox: Sandbox) -> None:
    """By an include that only counts there, before and behind what the setup writes."""
    (with_a_key(sandbox).user / "work").write_text("[commit]\n\tgpgsign = on\n")
    sandbox.git("config", "--global", f"includeIf.gitdir:{sandbox.repo}/.path", str(sandbox.user / "work"))
    sandbox.git("init", "-q", sandbox.root / "lax")
    names = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    for setup in ((), ("setup", "--auto", "--global"), ("setup", "--auto", "--global")):
        if setup:
            sandbox.notme(*setup, cwd=sandbox.root)
        assert signs(sandbox, *COMMIT)
        assert not signs(sandbox, *names, *COMMIT, cwd=sandbox.root / "lax")


SAID = {
    "a number": ("commit.gpgsign=2", True),
    "a large number": ("commit.gpgsign=1k", True),
    "one": ("commit.gpgsign=1", True),
    "yes": ("commit.gpgsign=Yes", True),
    "zero": ("commit.gpgsign=0", False),
    "nothing": ("commit.gpgsign=", False),
    "no": ("commit.gpgsign=off", False),
}


@pytest.mark.parametrize("case", SAID)
@pytest.mark.parametrize("scope", ["--local", "--global"])
def test_what_git_takes_for_true_is_true(sandbox: Sandbox, case: str, scope: str) -> None:
    text, signed = SAID[case]
    with_a_key(sandbox).git("config", scope, *text.split("="))
    assert signs(sandbox, *COMMIT) == signed
    for setup in (("--global",), (), ()):
        assert sandbox.notme("setup", "--auto", "--json", *setup).json["humanSigns"] == (
            signed and (scope == "--global" or not setup)
        )
        assert signs(sandbox, *COMMIT) == signed


@pytest.mark.parametrize("local", [True, False])
def test_a_repository_that_says_otherwise_than_the_user_goes_on_doing_so(sandbox: Sandbox, local: bool) -> None:
    with_a_key(sandbox).git("config", "--global", "commit.gpgsign", str(not local).lower())
    sandbox.git("config", "commit.gpgsign", str(local).lower())
    for setup in ((), ("--global",), ()):
        assert sandbox.notme("setup", "--auto", *setup).err == ""
        assert signs(sandbox, *COMMIT) == local


@pytest.mark.parametrize("form", ["ssh", "openpgp"])
@pytest.mark.parametrize("daemon", [True, False])
def test_a_key_of_an_agents_signs_as_that_agent_without_any_mark(sandbox: Sandbox, form: str, daemon: bool) -> None:
    humans.configured(sandbox, {"gpg.format": form})
    if not daemon:
        without_daemon(sandbox)
    named = ("-c", f"user.signingkey=notme:{AGENT}")
    assert signs(auto(sandbox), *named, *COMMIT)
    assert sandbox.verdict()["identity"]["actor"]["name"] == AGENT
    done = sandbox.git("-c", "user.signingkey=notme:nobody", *COMMIT, status=128)
    assert "'nobody'" in done.err


@pytest.mark.parametrize("form", ["ssh", "openpgp"])
def test_a_key_of_an_agents_makes_no_unsigned_commit_where_it_came_as_the_humans(sandbox: Sandbox, form: str) -> None:
    """As a shim of an earlier version hands it on."""
    auto(humans.configured(sandbox, {"gpg.format": form}))
    payload, key = sandbox.root / "payload", f"notme:{AGENT}"
    payload.write_bytes(PAYLOAD)
    words = ("-Y", "sign", "-n", "git", "-f", key, payload) if form == "ssh" else ("--status-fd=2", "-bsau", key)
    dialect = "auto-ssh-keygen" if form == "ssh" else "auto-gpg"
    command = (sys.executable, "-m", "notme_git", "--own", dialect, *words)
    done = sandbox.run(*command, stdin=PAYLOAD, status=None)
    assert done.status != 0
    assert not payload.with_suffix(".sig").exists()


def test_no_signature_is_not_written_through_what_lies_in_its_place(sandbox: Sandbox) -> None:
    auto(humans.configured(sandbox, {"gpg.format": "ssh"}))
    payload, precious = sandbox.root / "payload", sandbox.root / "precious"
    payload.write_bytes(PAYLOAD)
    precious.write_text("kept")
    payload.with_suffix(".sig").symlink_to(precious)
    sandbox.run(sandbox.home / "bin" / "notme-auto-ssh", "-Y", "sign", "-n", "git", "-f", "id", payload)
    assert (precious.read_text(), payload.with_suffix(".sig").read_bytes()) == ("kept", b"")
    assert not payload.with_suffix(".sig").is_symlink()


# -- there and back


def test_undo_gives_back_every_byte(human: Sandbox) -> None:
    config = human.repo / ".git" / "config"
    before = config.read_bytes()
    auto(auto(human))
    assert config.read_bytes() != before
    human.commit(environ=CLAUDE)
    human.notme("setup", "--undo")
    assert config.read_bytes() == before


def test_an_agents_own_setup_after_it_and_back(sandbox: Sandbox) -> None:
    humans.signing_with_ssh(sandbox).commit("before", environ=humans.FIXED)
    before = sandbox.rev("HEAD")
    auto(sandbox).notme("setup", "--agent", AGENT)
    sandbox.commit()
    assert sandbox.shows() == f"G {SUMMARY}"
    auto(sandbox).git("update-ref", "-d", "HEAD")
    sandbox.commit("before", environ=humans.FIXED)
    assert sandbox.rev("HEAD") == before


def test_it_is_for_every_repository_where_that_is_wanted(sandbox: Sandbox) -> None:
    unsigned(sandbox)
    sandbox.git("config", "--global", "alice.own", "kept")
    before = (sandbox.user / ".gitconfig").read_bytes()
    sandbox.notme("setup", "--auto", "--global")
    sandbox.commit("human")
    assert b"gpgsig" not in sandbox.git("cat-file", "commit", "HEAD").out
    sandbox.commit("agent", environ=CLAUDE)
    assert sandbox.shows() == f"G {SUMMARY}"
    sandbox.notme("setup", "--undo", "--global")
    assert (sandbox.user / ".gitconfig").read_bytes() == before


@pytest.mark.parametrize("options", [("--auto", "--agent", AGENT), (), ("--auto", "--ssh-agent")])
def test_options_that_contradict_each_other_are_a_usage_error(sandbox: Sandbox, options: tuple[str, ...]) -> None:
    before = (sandbox.repo / ".git" / "config").read_bytes()
    sandbox.notme("setup", *options, status=64)
    assert (sandbox.repo / ".git" / "config").read_bytes() == before
