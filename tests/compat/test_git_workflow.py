"""Plain git, end to end: what an agent and a reader type every day, with the real git on both sides.

`sandbox.shows` is git's own word for a commit (`%G? %GS`); `sandbox.verdict` is that of `notme-attest`.
"""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.conftest import AGENT, HUMAN, KEY, SCRIPTS, SUMMARY, Sandbox, failed, without_daemon
from tests.peers import peer

GOOD = f"G {SUMMARY}"
STRANGER = "Mallory Stranger <mallory@example.net>"
ALICE = "Alice Example <alice@example.org>"


@pytest.fixture(params=["sha1", "sha256"])
def repository(request: pytest.FixtureRequest, sandbox: Sandbox) -> Sandbox:
    """The machine with its repository in each of git's object formats."""
    if request.param == "sha256":
        config = (sandbox.repo / ".git" / "config").read_text()
        ours = config[config.index("[gpg]") :]
        shutil.rmtree(sandbox.repo / ".git")
        sandbox.git("init", "-q", "-b", "main", "--object-format=sha256", ".")
        with (sandbox.repo / ".git" / "config").open("a") as file:
            file.write(ours)
    return sandbox


def write(sandbox: Sandbox, name: str, text: str, who: str = "") -> str:
    """An unsigned commit that writes a file; returns its id."""
    (sandbox.repo / name).write_text(text)
    sandbox.git("add", name)
    return sandbox.unsigned(f"write {name}", who=who)


def people(sandbox: Sandbox, rev: str = "HEAD") -> tuple[str, str]:
    """Addresses of author and committer."""
    author, committer = sandbox.git("log", "-1", "--format=%ae|%ce", rev).text.split("|")
    return author, committer


# -- the way of "Done when"


OTHER_IDENTITY = {
    "in a repository of somebody else": ([("user.name", "Bob"), ("user.email", "bob@example.com")], {}),
    "without any user configured": ([], {}),
    "with Alice as the author in the environment": (
        [],
        {"GIT_AUTHOR_NAME": "Alice Example", "GIT_AUTHOR_EMAIL": "alice@example.org"},
    ),
}


@pytest.mark.parametrize(("settings", "environ"), OTHER_IDENTITY.values(), ids=OTHER_IDENTITY.keys())
def test_one_line_goes_from_nothing_to_a_verified_commit(
    bare_machine: Sandbox, settings: list[tuple[str, str]], environ: dict[str, str]
) -> None:
    bare_machine.git("init", "-q", ".")
    for name, value in settings:
        bare_machine.git("config", name, value)
    line = (
        f'notme-git init --human "{HUMAN}" && notme-git grant add claude-code'
        " && notme-git setup --agent claude-code && git commit --allow-empty -m x"
        " && git verify-commit HEAD && notme-attest verify HEAD"
    )
    bare_machine.run("sh", "-c", line, environ=environ)
    assert bare_machine.shows() == GOOD
    author = environ.get("GIT_AUTHOR_EMAIL", bare_machine.address)
    assert people(bare_machine) == (author, bare_machine.address)


# -- commits, tags and everything that rewrites them


def test_a_commit_carries_agent_and_human(repository: Sandbox) -> None:
    repository.commit()
    form = "%G?%n%GS%n%GK%n%GF%n%GP%n%GT"
    letter, signer, key, fingerprint, primary, trust = repository.git("log", "-1", f"--format={form}").text.split("\n")
    assert (letter, signer, trust) == ("G", SUMMARY, "fully")
    assert re.fullmatch("[0-9A-F]{40}", key)
    assert key == fingerprint == primary
    repository.git("verify-commit", "HEAD")
    assert repository.verdict()["outcome"] == "accepted"


def test_amending_signs_again(repository: Sandbox) -> None:
    before = repository.unsigned()
    repository.git("commit", "-q", "--amend", "--allow-empty", "-m", "better")
    assert repository.rev("HEAD") != before
    assert repository.shows() == GOOD


def test_a_tag_is_signed_and_verified(repository: Sandbox) -> None:
    repository.unsigned()
    repository.git("tag", "-s", "-m", "release", "v1")
    assert SUMMARY in repository.git("verify-tag", "v1").err
    assert repository.verdict("v1")["object"]["kind"] == "tag"


@pytest.mark.parametrize("form", ["x509", "ssh", "openpgp"])
@pytest.mark.parametrize("daemon", [True, False])
def test_a_tag_that_is_not_signed_is_not_made(sandbox: Sandbox, form: str, daemon: bool) -> None:
    """git up to 2.43.0 makes it without a signature, and with exit status 0, if ssh-keygen only fails."""
    sandbox.unsigned()
    sandbox.notme("setup", "--agent", AGENT, "--format", form)
    grant = next(g for g in sandbox.notme("grant", "list", "--json").json if g["agent"] == AGENT)
    sandbox.notme("grant", "revoke", grant["id"])
    if not daemon:
        without_daemon(sandbox)
    done = sandbox.git("tag", "-s", "-m", "release", "v1", status=None)
    assert done.status != 0
    assert "was revoked" in done.err
    assert sandbox.git("tag").text == ""
    assert "was revoked" in sandbox.commit(status=128).err


def test_a_changed_tag_is_refused(sandbox: Sandbox) -> None:
    sandbox.unsigned()
    sandbox.git("tag", "-s", "-m", "release", "v1")
    raw = sandbox.git("cat-file", "tag", "v1").out.replace(b"\nrelease\n", b"\nrelease!\n")
    changed = sandbox.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=raw).text
    sandbox.git("verify-tag", changed, status=1)
    assert failed(sandbox.verdict(changed, status=1)) == [(3, "digest-mismatch")]


def test_a_merge_is_signed_and_a_signed_branch_can_be_demanded(repository: Sandbox) -> None:
    repository.unsigned("root")
    repository.git("checkout", "-q", "-b", "topic")
    repository.commit("topic")
    repository.git("checkout", "-q", "main")
    repository.unsigned("main goes on")
    repository.git("merge", "-q", "--no-ff", "--verify-signatures", "-m", "merge", "topic")
    assert repository.rev("HEAD^2") == repository.rev("topic")
    assert repository.shows() == GOOD


def test_a_merge_of_an_unsigned_branch_is_refused_where_signatures_are_demanded(sandbox: Sandbox) -> None:
    root = sandbox.unsigned("root")
    sandbox.git("checkout", "-q", "-b", "topic")
    sandbox.unsigned("topic")
    sandbox.git("checkout", "-q", "main")
    sandbox.git("merge", "-q", "--no-ff", "--verify-signatures", "-m", "merge", "topic", status=128)
    assert sandbox.rev("HEAD") == root


def test_a_merged_tag_travels_inside_the_merge(sandbox: Sandbox) -> None:
    sandbox.unsigned("root")
    sandbox.git("checkout", "-q", "-b", "topic")
    sandbox.unsigned("topic")
    sandbox.git("tag", "-s", "-m", "release", "v1")
    sandbox.git("checkout", "-q", "main")
    sandbox.git("merge", "-q", "--no-ff", "-m", "merge", "v1")
    assert b"\nmergetag object " in sandbox.git("cat-file", "commit", "HEAD").out
    assert sandbox.verdict()["outcome"] == "accepted"


@pytest.mark.parametrize("author", [ALICE, STRANGER], ids=["the human", "a stranger"])
def test_a_cherry_picked_commit_keeps_its_author(repository: Sandbox, author: str) -> None:
    repository.unsigned("root")
    repository.git("checkout", "-q", "-b", "theirs")
    picked = write(repository, "theirs", "1\n", author)
    repository.git("checkout", "-q", "main")
    repository.git("cherry-pick", picked)
    assert people(repository) == (author.split("<")[1][:-1], repository.address)
    assert repository.shows() == GOOD


def test_a_strangers_authorship_is_remarked(sandbox: Sandbox) -> None:
    sandbox.unsigned("root")
    sandbox.git("checkout", "-q", "-b", "theirs")
    picked = write(sandbox, "theirs", "1\n", STRANGER)
    sandbox.git("checkout", "-q", "main")
    sandbox.git("cherry-pick", picked)
    assert sandbox.verdict()["remarks"] == ["authored-by-other"]


@pytest.mark.parametrize("dates", [[], ["--committer-date-is-author-date"]], ids=["new dates", "kept dates"])
def test_a_rebased_commit_of_another_author_is_signed(repository: Sandbox, dates: list[str]) -> None:
    root = repository.unsigned("root")
    repository.git("checkout", "-q", "-b", "topic")
    write(repository, "topic", "1\n", STRANGER)
    repository.git("checkout", "-q", "-b", "base", root)
    write(repository, "base", "1\n")
    repository.git("rebase", "-q", *dates, "base", "topic")
    assert repository.rev("HEAD^") == repository.rev("base")
    assert people(repository) == ("mallory@example.net", repository.address)
    assert repository.shows() == GOOD


def test_a_mailed_patch_is_applied_and_signed(repository: Sandbox) -> None:
    root = repository.unsigned("root")
    write(repository, "patch", "1\n", STRANGER)
    patch = repository.git("format-patch", "-1", "--stdout").out
    repository.git("reset", "-q", "--hard", root)
    repository.git("am", "-q", stdin=patch)
    assert people(repository) == ("mallory@example.net", repository.address)
    assert repository.shows() == GOOD


def test_a_revert_is_signed(repository: Sandbox) -> None:
    repository.unsigned("root")
    write(repository, "mistake", "1\n")
    repository.git("revert", "--no-edit", "HEAD")
    assert repository.shows() == GOOD


def test_a_commit_with_another_encoding_is_signed(sandbox: Sandbox) -> None:
    sandbox.run("git", "-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "--allow-empty", "-m", "gr\xfcn")
    assert b"\nencoding ISO-8859-1\n" in sandbox.git("cat-file", "commit", "HEAD").out
    assert sandbox.verdict()["outcome"] == "accepted"


# -- reading


def test_show_signature_says_who_and_for_whom(sandbox: Sandbox) -> None:
    sandbox.commit()
    shown = sandbox.git("log", "-1", "--show-signature").text
    assert f"Good signature by {SUMMARY}" in shown


def test_the_raw_status_is_what_git_parses(sandbox: Sandbox) -> None:
    sandbox.commit()
    words = [line.split()[1] for line in sandbox.git("verify-commit", "--raw", "HEAD").err.splitlines()]
    assert words == ["NEWSIG", "GOODSIG", "VALIDSIG", "TRUST_FULLY"]


def test_full_trust_can_be_demanded_of_git(sandbox: Sandbox) -> None:
    sandbox.commit()
    sandbox.git("-c", "gpg.minTrustLevel=fully", "verify-commit", "HEAD")


def test_an_unsigned_commit_among_signed_ones_is_found(sandbox: Sandbox) -> None:
    for message in ("one", "two"):
        sandbox.commit(message)
    sandbox.unsigned("three")
    assert sandbox.git("log", "--format=%G?").text == "N\nG\nG"
    verdicts = sandbox.verdict("HEAD~2..HEAD", status=1)
    assert [v["outcome"] for v in verdicts] == ["rejected", "accepted"]


def test_a_changed_commit_has_a_bad_signature(sandbox: Sandbox) -> None:
    sandbox.commit("the message")
    raw = sandbox.git("cat-file", "commit", "HEAD").out.replace(b"the message", b"a message")
    changed = sandbox.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw).text
    assert sandbox.shows(changed).startswith("B")
    sandbox.git("verify-commit", changed, status=1)
    assert failed(sandbox.verdict(changed, status=1)) == [(3, "digest-mismatch")]


# -- places


def test_a_worktree_signs_like_its_repository(sandbox: Sandbox) -> None:
    sandbox.unsigned()
    tree = sandbox.root / "another tree"
    sandbox.git("worktree", "add", "-q", "-b", "another", tree)
    sandbox.commit(cwd=tree)
    assert sandbox.shows(cwd=tree) == GOOD
    assert sandbox.verdict(cwd=tree)["outcome"] == "accepted"


def test_a_bare_repository_is_verified(repository: Sandbox) -> None:
    repository.commit()
    bare = repository.root / "bare.git"
    repository.git("clone", "-q", "--bare", ".", bare)
    assert repository.verdict("main", "--repo", bare)["outcome"] == "accepted"


def test_every_repository_of_the_user_signs_after_a_global_setup(bare_machine: Sandbox) -> None:
    bare_machine.notme("init", "--key-store", "file", "--human", HUMAN)
    bare_machine.notme("grant", "add", AGENT)
    bare_machine.notme("setup", "--global", "--agent", AGENT)
    bare_machine.git("init", "-q", ".")
    bare_machine.commit()
    assert bare_machine.shows() == GOOD
    bare_machine.notme("setup", "--global", "--undo")
    assert not (bare_machine.user / ".gitconfig").exists()


def test_undo_gives_back_every_byte(sandbox: Sandbox) -> None:
    config = sandbox.repo / ".git" / "config"
    before = b"# mine\n[core]\n\trepositoryformatversion = 0\n\tbare = false\n[user]\n\tname = Bob # me"
    config.write_bytes(before)
    sandbox.notme("setup", "--agent", AGENT)
    assert config.read_bytes() != before
    assert sandbox.notme("setup", "--undo", "--json").json["exact"] is True
    assert config.read_bytes() == before


def test_the_interop_profile_signs_with_p256(repository: Sandbox) -> None:
    repository.git("config", "user.signingkey", f"{KEY}:interop")
    repository.commit()
    assert repository.shows() == GOOD
    verdict = repository.verdict("HEAD", "--profile", "interop")
    assert verdict["profile"] == "interop"
    assert "p256" in verdict["findings"][1]["detail"].lower()


def test_a_verifier_needs_the_anchor_and_no_home(sandbox: Sandbox) -> None:
    sandbox.commit()
    anchor = sandbox.root / "anchor.pem"
    anchor.write_bytes(sandbox.notme("trust", "export", "--profile", "notme").out)
    elsewhere = {"NOTME_HOME": str(sandbox.root / "nowhere")}
    verdict = sandbox.verdict("HEAD", "--anchor", anchor, environ=elsewhere)
    assert verdict["outcome"] == "accepted"
    assert not (sandbox.root / "nowhere").exists()


# -- signed pushes


@pytest.fixture
def server(sandbox: Sandbox) -> Path:
    """A bare repository that asks for push certificates and keeps what its hook was told."""
    sandbox.unsigned()
    bare = sandbox.root / "server.git"
    sandbox.git("init", "-q", "--bare", "-b", "main", bare)
    for name, value in (("receive.certNonceSeed", "a secret of the server"), ("gpg.x509.program", sandbox.shim)):
        sandbox.git("config", name, str(value), cwd=bare)
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    lines = "#!/bin/sh", "set -e", "env | grep ^GIT_PUSH_CERT >told", 'git cat-file blob "$GIT_PUSH_CERT" >certificate'
    hook.write_text("\n".join(lines) + "\n")
    hook.chmod(0o755)
    return bare


def test_a_signed_push_names_the_agent_to_the_server(sandbox: Sandbox, server: Path) -> None:
    sandbox.git("push", "-q", "--signed", server, "main")
    told = dict(line.partition("=")[::2] for line in (server / "told").read_text().splitlines())
    assert told["GIT_PUSH_CERT_SIGNER"] == SUMMARY
    assert told["GIT_PUSH_CERT_STATUS"] == "G"
    assert told["GIT_PUSH_CERT_NONCE_STATUS"] == "OK"
    kept = sandbox.git("cat-file", "blob", told["GIT_PUSH_CERT"], cwd=server).out
    assert kept == (server / "certificate").read_bytes()
    content, mark, rest = kept.partition(b"-----BEGIN SIGNED MESSAGE-----")
    assert f"nonce {told['GIT_PUSH_CERT_NONCE']}\n".encode() in content
    files = sandbox.root / "signature", sandbox.root / "content"
    for file, data in zip(files, (mark + rest, content), strict=True):
        file.write_bytes(data)
    found = sandbox.attest("verify-signature", *files, "--json").json
    assert found["identity"]["actor"]["name"] == AGENT
    files[1].write_bytes(content.replace(b"refs/heads/main", b"refs/heads/mine"))
    assert failed(sandbox.attest("verify-signature", *files, "--json", status=1).json) == [(3, "digest-mismatch")]


# -- programs that were there before


FOREIGN = """\
    #!/bin/sh
    printf '%s\\n' "$*" >>'{log}'
    cat >/dev/null
    case "$*" in
    *--verify*)
        printf '[GNUPG:] NEWSIG\\n[GNUPG:] GOODSIG BEEF Somebody Else\\n'
        printf '[GNUPG:] VALIDSIG BEEF 2026-11-23 0 0 4 0 1 8 00 BEEF\\n[GNUPG:] TRUST_FULLY 0 x509\\n' ;;
    *)
        printf -- '-----BEGIN SIGNED MESSAGE-----\\nMAA=\\n-----END SIGNED MESSAGE-----\\n'
        printf '\\n[GNUPG:] SIG_CREATED D 1 8 00 0 BEEF\\n' >&2 ;;
    esac
"""


def test_another_program_keeps_its_signatures(sandbox: Sandbox) -> None:
    log, program = sandbox.root / "log", sandbox.root / "their program"
    program.write_text(textwrap.dedent(FOREIGN).format(log=str(log).replace("'", "'\\''")))
    program.chmod(0o755)
    sandbox.git("config", "gpg.x509.program", program)
    sandbox.notme("setup", "--agent", AGENT)
    sandbox.git("-c", "user.signingkey=BEEF", "commit", "-q", "--allow-empty", "-m", "theirs")
    assert sandbox.shows() == "G Somebody Else"
    sandbox.commit("ours")
    assert sandbox.shows() == GOOD
    asked = log.read_text().splitlines()
    assert asked[0] == "--status-fd=2 -bsau BEEF"
    assert len(asked) == 2, "our own key and our own signature are not the other program's business"


@pytest.fixture
def gnupg(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The machine with a gpgsm that holds an own RSA key, trusted; sockets need a short path."""
    gpgsm, openssl = peer("gpgsm"), peer("openssl")
    with tempfile.TemporaryDirectory(prefix="gs-") as folder:
        sandbox.environ["GNUPGHOME"] = folder
        home = Path(folder)
        (home / "gpg-agent.conf").write_text("allow-loopback-pinentry\n")
        (home / "gpgsm.conf").write_text("disable-crl-checks\ndisable-dirmngr\n")
        sandbox.run(
            openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", home / "k.pem", "-out", home / "c.pem",
            "-subj", "/CN=Alice Example/emailAddress=alice@example.org", "-days", "30",
            "-addext", "keyUsage=critical,digitalSignature,keyCertSign",
        )  # fmt: skip
        sandbox.run(
            openssl, "pkcs12", "-export", "-inkey", home / "k.pem", "-in", home / "c.pem", "-out", home / "k.p12",
            "-passout", "pass:", "-legacy",
        )  # fmt: skip
        quiet = ("--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0")
        sandbox.run(gpgsm, *quiet, "--import", home / "k.p12", stdin=b"\n")
        listed = sandbox.run(gpgsm, "--batch", "--with-colons", "--list-secret-keys").text
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        (home / "trustlist.txt").write_text(f"{fingerprint} S relax\n")
        sandbox.environ["KEY"] = fingerprint
        yield sandbox
        subprocess.run([gpgsm.with_name("gpgconf"), "--kill", "all"], env=sandbox.environ, check=False)


def test_the_humans_own_gpgsm_key_goes_on_signing(gnupg: Sandbox) -> None:
    key = gnupg.environ["KEY"]
    gnupg.git("-c", f"user.signingkey={key}", "commit", "-q", "--allow-empty", "-m", "by the human")
    assert gnupg.git("log", "-1", "--format=%G? %GF").text == f"G {key}"
    gnupg.git("verify-commit", "HEAD")
    assert failed(gnupg.verdict(status=1))
    gnupg.commit("by the agent")
    assert gnupg.shows() == GOOD


def test_the_signing_program_is_for_this_user_to_change_alone(sandbox: Sandbox) -> None:
    assert stat.S_IMODE(sandbox.shim.stat().st_mode) & 0o022 == 0
    module = sandbox.shim.with_name("notme_shim.py")
    assert stat.S_IMODE(module.stat().st_mode) & 0o022 == 0
    assert str(SCRIPTS) in module.read_text()
