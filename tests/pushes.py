"""Repositories to push from and to, filled with commits of a simulated world that carry files and parents.

The commits are real ones: their signatures are those that the authority of a `World` gives out.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pygit2

from tests.forge import Leaf, attach
from tests.peers import SEARCH, peer
from tests.world import AGENT, World

SECONDS = 60


@dataclass(frozen=True)
class Ended:
    """How a command of git ended, and what it said."""

    status: int
    out: str
    err: str


def now() -> datetime:
    """The time of this machine, which hooks go by; whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Clone:
    """A repository to push from, without any configuration but its own."""

    path: Path
    world: World
    environ: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, path: Path, world: World) -> Clone:
        """An empty one, on branch main."""
        path.mkdir(parents=True)
        environ = {
            "PATH": SEARCH,
            "HOME": str(path.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C.UTF-8",
        }
        made = cls(path, world, environ)
        made.git("init", "-q", "-b", "main", ".")
        return made

    def git(self, *arguments: str | Path, status: int | None = 0, environ: Mapping[str, str] | None = None) -> Ended:
        """Run git here and insist on its exit status; None takes any."""
        ended = subprocess.run(
            [peer("git"), *arguments],
            cwd=self.path,
            env={**self.environ, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        done = Ended(ended.returncode, ended.stdout, ended.stderr)
        assert status is None or done.status == status, f"{arguments}: {done}"
        return done

    def tree(self, files: Mapping[str, str]) -> str:
        """The id of a tree with these files, by path of at most one folder."""
        repo = pygit2.Repository(str(self.path))
        folders: dict[str, dict[str, str]] = {}
        for path, content in files.items():
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, {})[name] = content
        top = repo.TreeBuilder()
        for folder, inside in sorted(folders.items()):
            builder = repo.TreeBuilder() if folder else top
            for name, content in inside.items():
                builder.insert(name, repo.create_blob(content.encode()), pygit2.enums.FileMode.BLOB)
            if folder:
                top.insert(folder, builder.write(), pygit2.enums.FileMode.TREE)
        return str(top.write())

    def payload(
        self,
        files: Mapping[str, str],
        *parents: str,
        who: str = "",
        author: str = "",
        message: str = "work",
        at: datetime | None = None,
    ) -> bytes:
        """The bytes of a commit that hold all these files, by default by the agent, without a signature."""
        who, seconds = who or self.world.who(), int((at or self.world.now).timestamp())
        lines = [f"tree {self.tree(files)}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {author or who} {seconds} +0000", f"committer {who} {seconds} +0000"]
        return ("\n".join(lines) + f"\n\n{message}\n").encode()

    def commit(
        self,
        files: Mapping[str, str],
        *parents: str,
        agent: str = AGENT,
        who: str = "",
        author: str = "",
        message: str = "work",
        signed: bool = True,
    ) -> str:
        """Write a commit made now and signed by `agent`; returns its id. `who` may claim another committer."""
        payload = self.payload(files, *parents, who=who or self.world.who(agent), author=author, message=message)
        return self.write(attach(payload, self.world.sign(payload, agent=agent)) if signed else payload)

    def commit_by(
        self,
        leaf: Leaf,
        files: Mapping[str, str],
        *parents: str,
        who: str = "",
        message: str = "work",
        at: datetime | None = None,
        timestamped: bool = True,
    ) -> str:
        """A commit of whoever holds `leaf`; the holder of the authority's keys stamps it, or nobody does."""
        at = at or self.world.now
        payload = self.payload(files, *parents, who=who, message=message, at=at)
        armour = self.world.forge().armour(leaf, payload, at=at, timestamped=timestamped)
        return self.write(attach(payload, armour))

    def chain(self, leaf: Leaf, count: int, parent: str) -> str:
        """So many commits of whoever holds `leaf`, one after the other, which nobody stamps; the id of the last."""
        repo, forge = pygit2.Repository(str(self.path)), self.world.forge()
        tree, who, at = self.tree({"README": "many\n"}), self.world.who(), self.world.now
        people = f"author {who} {int(at.timestamp())} +0000\ncommitter {who} {int(at.timestamp())} +0000"
        for number in range(count):
            payload = f"tree {tree}\nparent {parent}\n{people}\n\n{number}\n".encode()
            raw = attach(payload, forge.armour(leaf, payload, at=at, timestamped=False))
            parent = str(repo.write(pygit2.enums.ObjectType.COMMIT, raw))
        return parent

    def write(self, raw: bytes, kind: int = pygit2.enums.ObjectType.COMMIT) -> str:
        """Write an object as it is; returns its id."""
        return str(pygit2.Repository(str(self.path)).write(kind, raw))
