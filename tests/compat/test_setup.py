"""Setup and undo on real configurations, with the real git as the judge of what they mean.

A killed setup is a killed one: the process is forked, and SIGKILLed at its n-th change to the file system,
for every n.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Error, RefusedError, UnavailableError, UsageError
from notme_git import gitconfig, previous, setup, shimfile, wanted
from notme_git.gitconfig import ConfigFile
from tests.peers import peer

IDENTITY = ("Claude Code", "claude-code@authority.invalid")

# What `git config` must say after a setup for the agent `claude-code`; the program comes on top.
EXPECTED = {
    "gpg.format": "x509",
    "user.signingkey": "notme:claude-code",
    "commit.gpgsign": "true",
    "tag.gpgsign": "true",
    "author.name": "Claude Code",
    "author.email": "claude-code@authority.invalid",
    "committer.name": "Claude Code",
    "committer.email": "claude-code@authority.invalid",
}

ODD = {
    "an empty file": b"",
    "no line feed at the end": b"[user]\n\tname = Alice",
    "CR LF line ends": b"[user]\r\n\tname = Alice\r\n[commit]\r\n\tgpgsign = false\r\n",
    "comments everywhere": b"# one\n; two\n[user] # three\n\tname = Alice ; four\n\n# five\n",
    "a comment in a section of ours": b"[gpg]\n\t# the team's choice\n\tformat = ssh ; really\n# end\n",
    "an include": b"[include]\n\tpath = missing.inc\n[user]\n\tname = Alice\n[includeIf \"gitdir:x/\"]\n\tpath = y\n",
    "the same section twice": b"[user]\n\tname = A\n[core]\n\teditor = vi\n[user]\n\temail = a@b\n\tsigningkey = K\n",
    "the same key three times": b"[user]\n\tsigningkey = 1\n\tsigningkey = 2\n[user]\n\tsigningkey = 3\n",
    "empty sections": b"[gpg]\n[gpg \"x509\"]\n[commit]\n[author]\n\n[notme]\n",
    "a key without a value": b"[commit]\n\tgpgsign\n[tag]\n\tgpgSign\n",
    "upper case": b"[GPG]\n\tFORMAT = openpgp\n[Commit]\n\tGpgSign = TRUE\n",
    "continued lines and quotes": b'[user]\n\tname = "Al\\"ice" \\\n  Example # x\n\tsigningkey = "a;b"\n',
    "a section and key on one line": b"[gpg] format = openpgp\n[user] name = A\n",
    "bytes that are not UTF-8": b"[user]\n\tname = \xc4\xff\n\tsigningkey = \xfe\n",
    "a byte order mark": b"\xef\xbb\xbf[user]\n\tname = Alice\n",
    "blank lines at the end": b"[user]\n\tname = Alice\n\n\n \t\n",
    "all of our keys": b"".join(
        b"[%b]\n\t%b = before\n" % tuple(part.encode() for part in key.split(".")) for key in EXPECTED
    ),
}


def run_git(*arguments: str | Path, cwd: Path, environ: dict[str, str], check: bool = True) -> str:
    """What a real git prints, without the line feed at the end."""
    done = subprocess.run(
        [peer("git"), *arguments], cwd=cwd, env=environ, capture_output=True, timeout=30, check=False
    )
    if check:
        assert done.returncode == 0, done.stderr
    return os.fsdecode(done.stdout).removesuffix("\n")


@dataclass
class World:
    """A user with a home of ours, a global configuration file and one repository; every path has a blank."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.user.mkdir(parents=True)
        self.environ = {**os.environ, "HOME": str(self.user), "XDG_CONFIG_HOME": str(self.user / ".config")}
        del self.environ["GIT_CONFIG_GLOBAL"]
        # What `git init` writes, without the 10 ms of its templates.
        for folder in ("objects", "refs"):
            (self.repository / ".git" / folder).mkdir(parents=True)
        (self.repository / ".git" / "HEAD").write_bytes(b"ref: refs/heads/main\n")
        self.local.write_bytes(b"[core]\n\trepositoryformatversion = 0\n\tbare = false\n")
        shimfile.install(self.home, "/usr/bin/python3")

    @property
    def home(self) -> Path:
        return self.root / "a home" / "notme"

    @property
    def user(self) -> Path:
        return self.root / "a user"

    @property
    def repository(self) -> Path:
        return self.root / "a repository"

    @property
    def local(self) -> Path:
        return self.repository / ".git" / "config"

    @property
    def everywhere(self) -> Path:
        return self.user / ".gitconfig"

    @property
    def program(self) -> Path:
        return shimfile.path(self.home)

    def apply(
        self,
        file: Path | None = None,
        *,
        agent: str = "claude-code",
        profile: str = "notme",
        identity: tuple[str, str] = IDENTITY,
        program: Path | None = None,
    ) -> setup.Applied:
        values = wanted.for_agent(self.home, agent, identity, profile=profile)
        if program is not None:
            values["gpg.x509.program"] = str(program)
        return setup.apply(self.home, values, config_file=file or self.local, environ=self.environ)

    def undo(self, file: Path | None = None) -> setup.Undone:
        return setup.undo(self.home, config_file=file or self.local, environ=self.environ)

    def git(self, *arguments: str | Path, check: bool = True) -> str:
        return run_git(*arguments, cwd=self.repository, environ=self.environ, check=check)

    def get(self, key: str) -> str:
        return self.git("config", "--get", key, check=False)

    def in_force(self) -> dict[str, str]:
        """What git goes by, of the keys in `EXPECTED`."""
        told = dict(entry.partition("\n")[::2] for entry in self.git("config", "--null", "--list").split("\0"))
        return {key: told.get(key, "") for key in EXPECTED}

    def previous_program(self) -> str | None:
        return previous.program(self.home, "gpgsm", environ=self.environ, directory=self.repository)

    def records(self) -> list[Path]:
        return sorted((self.home / "setup").glob("*.json*"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def program_at(path: Path, content: bytes = b"#!/bin/sh\nexit 0\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def append(file: Path, content: bytes) -> None:
    with file.open("ab") as opened:
        opened.write(content)


# -- what setup writes


@pytest.mark.parametrize("everywhere", [False, True], ids=["the repository", "every repository"])
def test_git_goes_by_what_setup_wrote(world: World, everywhere: bool) -> None:
    file = setup.config_file(world.environ, everywhere=everywhere, directory=world.repository)
    applied = world.apply(file)
    assert world.in_force() == EXPECTED
    assert world.get("gpg.x509.program") == str(world.program)
    assert world.get("notme.previousX509Program") == ""
    assert applied == setup.Applied(file, (), ())


def test_the_interop_profile_has_its_own_key_name(world: World) -> None:
    world.apply(profile="interop")
    assert world.get("user.signingkey") == "notme:claude-code:interop"


@pytest.mark.parametrize(
    "name", ['say "hi"', "a # b ; c", "back\\slash", "-x", "--unset", " blank at both ends ", "ü\tx"]
)
def test_a_name_reaches_git_as_it_is(world: World, name: str) -> None:
    world.apply(identity=(name, "a@b.invalid"))
    assert world.get("author.name") == name


@pytest.mark.parametrize(
    ("agent", "profile"),
    [("", "notme"), ("a:b", "notme"), ("a\nb", "notme"), ("a", "upstream")],
    ids=["no agent", "an agent with a colon", "an agent with a line feed", "a profile that does not sign"],
)
def test_what_has_no_key_name_is_refused(world: World, agent: str, profile: str) -> None:
    before = world.local.read_bytes()
    with pytest.raises(UsageError):
        world.apply(agent=agent, profile=profile)
    assert world.local.read_bytes() == before
    assert world.records() == []


def test_git_commit_runs_the_program_and_undo_gives_the_human_back(world: World) -> None:
    asked = world.root / "asked"
    signer = program_at(
        world.root / "a signer" / "signer",
        f"""#!/bin/sh
echo "$@" > '{asked}'
cat > /dev/null
printf '\\n[GNUPG:] SIG_CREATED D\\n' >&2
printf -- '-----BEGIN SIGNED MESSAGE-----\\nAA==\\n-----END SIGNED MESSAGE-----\\n'
""".encode(),
    )
    append(world.local, b"[user]\n\tname = Alice\n\temail = alice@example.org\n")
    world.apply(program=signer)
    world.git("commit", "-q", "--allow-empty", "-m", "by the agent")
    assert asked.read_text() == "--status-fd=2 -bsau notme:claude-code\n"
    agent = "claude-code@authority.invalid"
    assert world.git("log", "-1", "--format=%an|%ae|%cn|%ce") == f"Claude Code|{agent}|Claude Code|{agent}"
    assert "BEGIN SIGNED MESSAGE" in world.git("cat-file", "commit", "HEAD")
    asked.unlink()
    world.undo()
    world.git("commit", "-q", "--allow-empty", "-m", "by the human")
    assert world.git("log", "-1", "--format=%ae|%ce") == "alice@example.org|alice@example.org"
    assert not asked.exists()


def test_a_value_that_an_include_overrides_is_reported(world: World) -> None:
    (world.local.parent / "more").write_bytes(b"[user]\n\tsigningkey = ABCD\n")
    append(world.local, b"[user]\n\tsigningkey = OLD\n[include]\n\tpath = more\n")
    assert world.apply().shadowed == ("user.signingkey",)


# -- undo


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
def test_undo_restores_every_byte(world: World, content: bytes) -> None:
    file = world.everywhere
    file.write_bytes(content)
    world.apply(file)
    assert world.in_force() == EXPECTED
    world.apply(file, agent="other", profile="interop")
    assert world.get("user.signingkey") == "notme:other:interop"
    undone = world.undo(file)
    assert undone.exact
    assert "byte for byte" in undone.sentence
    assert file.read_bytes() == content
    assert world.records() == []


SECTIONS = [b"[user]", b"[gpg]", b'[gpg "x509"]', b"[commit]", b"[core]", b"[author] name = A", b"["]
LINES = [b"\tgpgsign", b"\tformat = ssh", b"\tprogram = p", b"\tsigningkey = \\", b'\tname = "q\\""', b"\tname = \xff"]
OTHERS = [b"; c", b"", b"\r", b"x = y # z", b"\0"]
CONFIG_LINES = st.sampled_from([*SECTIONS, *LINES, *OTHERS])


@settings(derandomize=True, max_examples=20, deadline=None)
@given(content=st.one_of(st.lists(CONFIG_LINES, max_size=8).map(b"\n".join), st.binary(max_size=60)))
def test_any_bytes_are_refused_untouched_or_come_back(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    world = World(tmp_path_factory.mktemp("bytes"))
    world.everywhere.write_bytes(content)
    try:
        world.apply(world.everywhere)
    except UnavailableError:
        assert world.everywhere.read_bytes() == content
        assert world.records() == []
        return
    assert world.get("user.signingkey") == "notme:claude-code"
    assert world.undo(world.everywhere).exact
    assert world.everywhere.read_bytes() == content


def test_a_file_that_was_absent_is_absent_again(world: World) -> None:
    world.apply(world.everywhere)
    assert world.everywhere.exists()
    assert world.undo(world.everywhere).exact
    assert not world.everywhere.exists()


def test_a_new_file_has_the_mode_git_would_give_it(world: World) -> None:
    world.apply(world.everywhere)
    ours = world.everywhere.stat().st_mode
    world.everywhere.unlink()
    world.git("config", "--global", "a.b", "c")
    assert ours == world.everywhere.stat().st_mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755], ids=oct)
def test_mode_and_owner_stay(world: World, mode: int) -> None:
    owner = (12345, 54321) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(world.local, *owner)
    world.local.chmod(mode)
    for step in (world.apply, world.undo):
        step()
        found = world.local.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (mode, *owner)


@pytest.mark.parametrize("target", [b"[user]\n\tname = A\n", None], ids=["to a file", "to nothing yet"])
def test_a_symbolic_link_stays_one(world: World, target: bytes | None) -> None:
    dotfiles = world.root / "dot files"
    dotfiles.mkdir()
    world.everywhere.symlink_to(Path("..", "dot files", "gitconfig"))
    if target is not None:
        (dotfiles / "gitconfig").write_bytes(target)
    world.apply(world.everywhere)
    assert world.everywhere.is_symlink()
    assert world.get("user.signingkey") == "notme:claude-code"
    world.undo(world.everywhere)
    assert world.everywhere.is_symlink()
    assert [path.read_bytes() for path in dotfiles.iterdir()] == ([] if target is None else [target])


def test_edits_since_setup_survive_undo(world: World) -> None:
    append(world.local, b"[user]\n\tsigningkey = ABCD\n[commit]\n\tgpgsign\n[tag]\n\tgpgsign = 1\n\tgpgsign = 0\n")
    before = dict(line.split("=") for line in world.git("config", "--local", "--list").splitlines() if "=" in line)
    world.apply()
    world.git("config", "remote.origin.url", "https://example.org/x.git")
    world.git("config", "author.email", "mine@example.org")
    undone = world.undo()
    assert (undone.exact, undone.kept) == (False, ("author.email",))
    assert "author.email" in undone.sentence
    after = dict(line.split("=") for line in world.git("config", "--local", "--list").splitlines())
    added = {"remote.origin.url": "https://example.org/x.git", "author.email": "mine@example.org"}
    assert after == {**before, "commit.gpgsign": "true", **added}
    assert world.git("config", "--get-all", "tag.gpgsign") == "1\n0"
    assert not {b"[committer]", b"[gpg]", b'[gpg "x509"]', b"[notme]"} & set(world.local.read_bytes().splitlines())
    assert world.records() == []


def test_edits_between_two_setups_survive_undo(world: World) -> None:
    before = world.local.read_bytes()
    world.apply()
    world.git("config", "remote.origin.url", "https://example.org/x.git")
    world.apply(agent="other")
    undone = world.undo()
    assert not undone.exact
    assert world.local.read_bytes() == before + b'[remote "origin"]\n\turl = https://example.org/x.git\n'


def test_a_file_deleted_since_setup_stays_deleted(world: World) -> None:
    world.everywhere.write_bytes(b"[user]\n\tname = A\n")
    world.apply(world.everywhere)
    world.everywhere.unlink()
    assert not world.undo(world.everywhere).exact
    assert not world.everywhere.exists()


def test_a_file_that_holds_nothing_but_ours_goes_though_it_was_edited(world: World) -> None:
    world.apply(world.everywhere)
    append(world.everywhere, b"\n")
    assert not world.undo(world.everywhere).exact
    assert not world.everywhere.exists()


def test_there_is_nothing_to_undo_twice(world: World) -> None:
    world.apply()
    world.undo()
    with pytest.raises(RefusedError) as raised:
        world.undo()
    assert "--global" in raised.value.hint


def test_undo_without_setup_writes_nothing(world: World) -> None:
    before = sorted(world.root.rglob("*"))
    with pytest.raises(RefusedError):
        world.undo()
    assert sorted(world.root.rglob("*")) == before


def test_local_and_global_setups_are_undone_apart(world: World) -> None:
    before = world.local.read_bytes()
    world.apply()
    world.apply(world.everywhere, agent="other")
    world.undo(world.everywhere)
    assert world.get("user.signingkey") == "notme:claude-code"
    assert world.undo().exact
    assert world.local.read_bytes() == before


# -- the record


def test_the_record_is_for_this_user_alone(world: World) -> None:
    (world.home / "setup").mkdir(mode=0o755)
    world.apply()
    (record,) = world.records()
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert stat.S_IMODE(record.parent.stat().st_mode) == 0o700
    assert json.loads(record.read_bytes())["file"] == str(world.local)


BROKEN_RECORDS: dict[str, Callable[[dict[str, object]], object]] = {
    "another version": lambda record: {**record, "version": 2},
    "no object": lambda _: [],
    "no original": lambda record: {key: value for key, value in record.items() if key != "original"},
    "an original that is no base64": lambda record: {**record, "original": "%"},
    "a text where a list belongs": lambda record: {**record, "states": "abc"},
    "no values": lambda record: {**record, "previous": {}},
    "numbers for values": lambda record: {**record, "written": {key: [1] for key in setup.KEYS}},
}


@pytest.mark.parametrize("change", BROKEN_RECORDS.values(), ids=BROKEN_RECORDS.keys())
def test_a_record_that_setup_did_not_write_stops_setup_and_undo(
    world: World, change: Callable[[dict[str, object]], object]
) -> None:
    world.apply()
    (record,) = world.records()
    record.write_text(json.dumps(change(json.loads(record.read_bytes()))))
    before = world.local.read_bytes()
    for step in (world.apply, world.undo):
        with pytest.raises(UnavailableError, match=record.name) as raised:
            step()
        assert "base64" in raised.value.hint
        assert world.local.read_bytes() == before


# -- the program from before


def test_nothing_is_remembered_where_nothing_was(world: World) -> None:
    assert world.apply().previous_programs == ()
    assert b"[notme" not in world.local.read_bytes()


@pytest.mark.parametrize("scope", ["--local", "--global", "--system"])
def test_the_program_in_force_before_is_remembered(world: World, scope: str) -> None:
    foreign = str(program_at(world.root / "a foreign gpgsm"))
    world.environ["GIT_CONFIG_SYSTEM"] = str(world.root / "system")
    world.git("config", scope, "gpg.x509.program", foreign)
    for agent in ("claude-code", "other"):
        assert world.apply(agent=agent).previous_programs == (foreign,)
        assert world.get("gpg.x509.program") == str(world.program)
        assert world.get("notme.previousX509Program") == foreign
        assert world.previous_program() == foreign
    world.undo()
    assert world.get("gpg.x509.program") == foreign
    assert world.get("notme.previousX509Program") == ""


def test_a_repositorys_program_is_not_remembered_for_all(world: World) -> None:
    world.git("config", "gpg.x509.program", "/opt/local-only")
    assert world.apply(world.everywhere).previous_programs == ()


def test_a_program_configured_after_setup_is_remembered_by_the_next(world: World) -> None:
    world.apply()
    world.git("config", "gpg.x509.program", "/opt/later")
    assert world.apply().previous_programs == ("/opt/later",)
    world.undo()
    assert world.get("gpg.x509.program") == "/opt/later"


@pytest.mark.parametrize(
    "kind", ["this home's", "another home's", "this home's, by a link", "this home's, gone", "this home's, by hand"]
)
def test_a_shim_is_never_remembered(world: World, kind: str) -> None:
    program = world.program
    if kind == "another home's":
        program = shimfile.install(world.root / "another home", "/usr/bin/python3") / world.program.name
    if kind.endswith("link"):
        program = world.root / "link"
        program.symlink_to(world.program)
    if kind.endswith("gone"):
        world.program.unlink()
    if kind.endswith("hand"):
        program_at(world.program)
    world.git("config", "--global", "gpg.x509.program", str(program))
    assert world.apply().previous_programs == ()


def test_gpgsm_on_the_path_is_the_program_where_none_is_remembered(world: World) -> None:
    folder = world.root / "bin of mine"
    world.environ["PATH"] = f"{folder}{os.pathsep}{peer('git').parent}"
    program_at(folder / "gpgsm")
    assert world.previous_program() == str(folder / "gpgsm")


def test_a_gpgsm_that_is_our_shim_is_passed_over(world: World) -> None:
    ours, real = world.root / "ours", world.root / "real"
    ours.mkdir()
    (ours / "gpgsm").symlink_to(world.program)
    program_at(real / "gpgsm")
    world.environ["PATH"] = os.pathsep.join([str(ours), str(real), str(peer("git").parent)])
    assert world.previous_program() == str(real / "gpgsm")
    world.git("config", "notme.previousX509Program", str(world.program))
    assert world.previous_program() == str(real / "gpgsm")


def test_a_gpgsm_in_a_relative_part_of_the_path_is_passed_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    git_alone = world.root / "git alone"
    git_alone.mkdir()
    (git_alone / "git").symlink_to(peer("git"))
    program_at(world.repository / "bin" / "gpgsm")
    monkeypatch.chdir(world.repository)
    world.environ["PATH"] = os.pathsep.join(["bin", "", str(git_alone)])
    assert world.previous_program() is None


@pytest.mark.parametrize("configured", ["~/bin/foreign", "../a user/bin/foreign"])
def test_a_remembered_path_is_resolved(world: World, configured: str) -> None:
    foreign = program_at(world.user / "bin" / "foreign")
    world.git("config", "notme.previousX509Program", configured)
    assert world.previous_program() == str(foreign)


def test_a_remembered_name_is_looked_up_on_the_path(world: World) -> None:
    foreign = program_at(world.root / "bin" / "foreign")
    world.environ["PATH"] = f"{foreign.parent}{os.pathsep}{world.environ['PATH']}"
    world.git("config", "notme.previousX509Program", "foreign")
    assert world.previous_program() == str(foreign)


@pytest.mark.parametrize("configured", ["/gone/gpgsm", "no-such-program", "/"])
def test_a_remembered_program_that_is_gone_is_not_replaced_by_another(world: World, configured: str) -> None:
    world.git("config", "notme.previousX509Program", configured)
    with pytest.raises(UnavailableError, match="is gone") as raised:
        world.previous_program()
    assert "notme.previousX509Program" in raised.value.hint


def test_a_file_for_git_config_alone_is_not_believed(world: World) -> None:
    decoy = world.root / "decoy"
    decoy.write_bytes(b"[notme]\n\tpreviousX509Program = /decoy\n[gpg \"x509\"]\n\tprogram = /decoy\n")
    world.environ["GIT_CONFIG"] = str(decoy)
    assert world.apply().previous_programs == ()
    assert world.previous_program() != "/decoy"


# -- where


@pytest.mark.parametrize(
    "name", ["~/.gitconfig", "XDG", "XDG by default", "both", "named", "named, relative", "neither"]
)
def test_the_global_file_is_the_one_git_writes(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(world.repository)
    xdg = world.user / ".config" / "git" / "config"
    if name in ("~/.gitconfig", "both"):
        world.everywhere.write_bytes(b"")
    if name in ("XDG", "XDG by default", "both"):
        xdg.parent.mkdir(parents=True)
        xdg.write_bytes(b"")
    if name == "XDG by default":
        del world.environ["XDG_CONFIG_HOME"]
    if name.startswith("named"):
        world.environ["GIT_CONFIG_GLOBAL"] = "mine" if "relative" in name else str(world.root / "mine")
    file = setup.config_file(world.environ, everywhere=True)
    world.git("config", "--global", "written.by", "git")
    assert b"by = git" in file.read_bytes()


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "/x", "GIT_CONFIG_GLOBAL": ""}], ids=str)
def test_without_a_place_there_is_no_global_file(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        setup.config_file(environ, everywhere=True)


@pytest.mark.parametrize("kind", ["its top", "a folder in it", "a linked worktree", "its .git", "a bare one"])
def test_the_repositorys_file_is_the_common_one(world: World, kind: str) -> None:
    directory, expected = world.repository, world.local
    if kind == "a folder in it":
        directory = world.repository / "a folder"
        directory.mkdir()
    if kind == "its .git":
        directory = world.local.parent
    if kind == "a linked worktree":
        directory = world.root / "a worktree"
        world.git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x")
        world.git("worktree", "add", "-q", "--detach", directory)
    if kind == "a bare one":
        directory = world.root / "bare.git"
        world.git("init", "-q", "--bare", directory)
        expected = directory / "config"
    file = setup.config_file(world.environ, everywhere=False, directory=directory)
    assert file.samefile(expected)
    world.apply(file)
    told = run_git("config", "--get", "user.signingkey", cwd=directory, environ=world.environ)
    assert told == "notme:claude-code"


def test_outside_a_repository_the_way_out_is_named(world: World) -> None:
    with pytest.raises(UsageError) as raised:
        setup.config_file(world.environ, everywhere=False, directory=world.user)
    assert "--global" in raised.value.hint


# -- what cannot be done


@pytest.mark.parametrize("place", ["the repository's", "the user's", "an included one"])
def test_a_broken_configuration_is_named_and_nothing_is_written(world: World, place: str) -> None:
    broken = {"the repository's": world.local, "the user's": world.everywhere}.get(place, world.user / "more")
    broken.write_bytes(b"[user]\n\tname = A\n[broken\n")
    if place == "an included one":
        world.everywhere.write_bytes(b"[include]\n\tpath = more\n")
    before = {path: path.read_bytes() for path in world.root.rglob("*") if path.is_file()}
    with pytest.raises(UnavailableError) as raised:
        world.apply()
    assert f"bad config line 3 in file {broken}" in raised.value.message
    after = {path: path.read_bytes() for path in world.root.rglob("*") if path.is_file()}
    assert after == before | {world.home / "setup" / "lock": b""}
    with pytest.raises(UnavailableError, match="bad config line 3"):
        setup.config_file(world.environ, everywhere=False, directory=world.repository)


def test_a_configuration_broken_since_setup_is_named_by_undo(world: World) -> None:
    world.apply()
    append(world.local, b"[broken\n")
    before = world.local.read_bytes()
    with pytest.raises(UnavailableError, match="bad config line") as raised:
        world.undo()
    assert str(world.local) in raised.value.message
    assert world.local.read_bytes() == before
    assert len(world.records()) == 1


@pytest.mark.parametrize("kind", ["a device", "a FIFO", "a folder", "in no folder", "a loop of links", "too large"])
def test_what_is_no_configuration_file_is_left_alone(world: World, kind: str) -> None:
    file = world.root / "odd"
    if kind == "a device":
        file = Path(os.devnull)
    elif kind == "a FIFO":
        os.mkfifo(file)
    elif kind == "a folder":
        file.mkdir()
    elif kind == "in no folder":
        file = file / "config"
    elif kind == "a loop of links":
        file.symlink_to(file)
    else:
        file.write_bytes(b"#" * (gitconfig.MAX_CONFIG_BYTES + 1))
    with pytest.raises(UnavailableError):
        world.apply(file)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    assert not Path(f"{file}.lock").exists()
    assert world.records() == []


def test_without_git_nothing_is_set_up(world: World) -> None:
    world.environ["PATH"] = str(world.root)
    with pytest.raises(UnavailableError, match="git is not on the PATH"):
        world.apply()


def test_a_git_that_hangs_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    program_at(world.root / "bin" / "git", b"#!/bin/sh\nexec sleep 60\n")
    world.environ["PATH"] = f"{world.root / 'bin'}{os.pathsep}{world.environ['PATH']}"
    monkeypatch.setattr(gitconfig, "GIT_TIMEOUT_S", 0.1)
    with pytest.raises(UnavailableError, match="did not end"):
        world.apply()


def test_output_without_end_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitconfig, "MAX_OUTPUT_BYTES", 3)
    world.git("config", "notme.previousX509Program", "/opt/program")
    with pytest.raises(UnavailableError, match="more than 3 bytes"):
        world.previous_program()


# -- others at the same time


def test_a_git_that_is_writing_is_not_disturbed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitconfig, "LOCK_PAUSE_S", 0.001)
    before = world.local.read_bytes()
    lock = Path(f"{world.local}.lock")
    lock.write_bytes(b"half a configuration")
    with pytest.raises(UnavailableError, match=r"config\.lock") as raised:
        world.apply()
    assert "remove" in raised.value.hint
    assert (lock.read_bytes(), world.local.read_bytes()) == (b"half a configuration", before)


def test_git_does_not_write_while_setup_does(world: World) -> None:
    with ConfigFile.locate(world.local).locked("somebody"):
        done = subprocess.run(
            [peer("git"), "config", "a.b", "c"],
            cwd=world.repository,
            env=world.environ,
            capture_output=True,
            timeout=10,
            check=False,
        )
    assert done.returncode != 0
    assert b"could not lock config file" in done.stderr
    world.git("config", "a.b", "c")


def test_another_homes_setup_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitconfig, "LOCK_PAUSE_S", 0.001)
    with ConfigFile.locate(world.local).locked("somebody"), pytest.raises(UnavailableError, match=r"config\.lock"):
        world.apply()
    world.apply()


def test_two_setups_of_one_home_take_turns(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "LOCK_PAUSE_S", 0.001)
    with setup._alone(world.home / "setup"), pytest.raises(UnavailableError, match="another notme-git setup"):
        world.apply()
    world.apply()


def test_nothing_that_others_write_meanwhile_is_lost(world: World) -> None:
    numbers = [str(number) for number in range(8)]
    ended = threading.Event()

    def write() -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            for number in numbers:
                while subprocess.run(
                    [peer("git"), "config", "--add", "their.number", number],
                    cwd=world.repository, env=world.environ, capture_output=True, timeout=10, check=False,
                ).returncode:
                    ended.wait(0.01)
        ended.set()

    other = threading.Thread(target=write)
    other.start()
    done = 0
    while not ended.is_set() and done < 50:
        with contextlib.suppress(UnavailableError):
            world.apply(agent=f"agent-{done}")
            done += 1
    other.join(60)
    assert done
    assert world.git("config", "--get-all", "their.number").splitlines() == numbers
    world.undo()
    assert world.git("config", "--get-all", "their.number").splitlines() == numbers
    assert world.get("user.signingkey") == ""


# -- killed, or out of space


CHANGES = {"os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"}


def changes_files(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether an audit event announces a change to the file system (Python's table of audit events)."""
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
        return writes and not isinstance(path, int) and path != os.devnull
    return event in CHANGES


def in_a_fork(step: Callable[[], object], prepare: Callable[[], object]) -> int:
    """Run `step` in a forked process and return how that ended, as `waitpid` tells it; 9 is SIGKILL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: other threads do not come along
        child = os.fork()
    if child == 0:
        try:
            prepare()
            step()
            os._exit(0)
        except Error:
            os._exit(1)
        finally:
            os._exit(3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(step: Callable[[], object], count: int) -> bool:
    """Run `step` in a process that is killed before its `count`-th change; False if it ended before that."""
    seen = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if changes_files(event, arguments):
            seen += 1
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)

    status = in_a_fork(step, lambda: sys.addaudithook(watch))
    assert status in (0, -signal.SIGKILL)
    return status != 0


def files_around(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir())


@pytest.mark.parametrize(
    ("absent", "repair"),
    [(False, "setup"), (True, "undo")],
    ids=["a file, by setup", "an absent file, by undo"],
)
def test_a_setup_killed_anywhere_is_repaired(tmp_path: Path, absent: bool, repair: str) -> None:
    base = World(tmp_path / "base")
    file = base.everywhere
    if not absent:
        file.write_bytes(b"[user]\r\n\tsigningkey = ABCD")
    before, around = (None if absent else file.read_bytes()), files_around(file)
    shutil.copytree(tmp_path / "base", tmp_path / "whole", symlinks=True)
    base.apply(file)
    after = file.read_bytes()
    shutil.rmtree(tmp_path / "base")
    shutil.copytree(tmp_path / "whole", tmp_path / "base", symlinks=True)
    seen, count = set(), 1
    while killed_at(lambda: base.apply(file), count):
        found = file.read_bytes() if file.exists() else None
        seen.add(found)
        assert found in (before, after)
        if repair == "setup":
            base.apply(file, agent="other")
            assert base.get("user.signingkey") == "notme:other"
            assert base.undo(file).exact
        else:
            with contextlib.suppress(RefusedError):  # killed before there was anything to take back
                assert base.undo(file).exact
        assert (file.read_bytes() if file.exists() else None) == before
        if repair == "setup":
            assert files_around(file) == around
            assert [path.name for path in (base.home / "setup").iterdir()] == ["lock"]
        count += 1
    assert seen == {before, after}
    assert count > 10


def test_a_second_setup_killed_anywhere_is_undone(world: World) -> None:
    before, around, count = world.local.read_bytes(), files_around(world.local), 1
    seen = set()
    world.apply()
    while killed_at(lambda: world.apply(agent="other"), count):
        seen.add(world.get("user.signingkey"))
        assert world.undo().exact
        assert (world.local.read_bytes(), files_around(world.local)) == (before, around)
        world.apply()
        count += 1
    assert seen == {"notme:claude-code", "notme:other"}


def test_an_undo_killed_anywhere_is_finished_by_the_next(world: World) -> None:
    before, around, count = world.local.read_bytes(), files_around(world.local), 1
    seen = set()
    world.apply()
    while killed_at(world.undo, count):
        seen.add(world.get("user.signingkey"))
        with contextlib.suppress(RefusedError):  # it had been finished
            assert world.undo().exact
        assert world.local.read_bytes() == before
        world.apply()
        count += 1
    assert seen == {"notme:claude-code", ""}
    assert world.local.read_bytes() == before
    assert files_around(world.local) == around


def test_after_a_kill_with_an_edit_in_between_nothing_of_ours_stays(world: World) -> None:
    count = 1
    while True:
        world.local.write_bytes(b"[user]\n\tname = A\n")
        world.apply()
        world.git("config", "their.key", "1")
        if not killed_at(lambda: world.apply(agent="other"), count):
            break
        world.undo()
        assert world.git("config", "--local", "--list") == "user.name=A\ntheir.key=1"
        count += 3  # the points are those of the test before; here the edit is what counts


@pytest.mark.parametrize("room", [0, 16, 200], ids=["not a byte", "16 bytes", "200 bytes"])
def test_on_a_full_disk_the_configuration_stays_whole(world: World, room: int) -> None:
    before, around = world.local.read_bytes(), files_around(world.local)
    limited = in_a_fork(world.apply, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)))
    assert limited == 1
    assert world.local.read_bytes() == before
    assert files_around(world.local) == around


def test_an_exact_undo_needs_no_git(world: World) -> None:
    before = world.local.read_bytes()
    world.apply()
    world.environ["PATH"] = str(world.root)
    assert world.undo().exact
    assert world.local.read_bytes() == before
