"""A pull request with everything in it: commits of agents, one without a signature, hostile words, a forge's squash."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from attest import pull
from attest.policy import Context
from attest.pull import Check
from attest.query import Query
from attest.repository import open_repository
from tests.disk import unsynced
from tests.pushes import Clone
from tests.world import World

BASE = {"README": "read me\n"}
GITHUB = "GitHub <noreply@github.com>"
ALICE = "Alice Example <alice@example.org>"
HOSTILE = "::error::x ##[add-mask]y `|<b>@octocat [l](https://e.example) https://e.example %0A::stop-commands::t"
WEB = "https://forge.example/example/tool"


@dataclass(frozen=True)
class Offered:
    """Ids by what they are: base, agent, unsigned, signed_off, squash, feature (the squash's original), head."""

    clone: Clone
    base: str
    agent: str
    unsigned: str
    signed_off: str
    squash: str
    feature: str
    merge: str

    @property
    def head(self) -> str:
        return self.merge

    def check(self, at: datetime | None = None, *, base: str = "", head: str = "") -> Check:
        """Judge it in process, by what the command goes by."""
        world = self.clone.world
        with open_repository(self.clone.path, self.clone.environ) as repo:
            context = Context("refs/heads/main", WEB)
            query = Query(world.trust(), at or world.now, None, context)
            query = pull.in_force(repo, base or self.base, None, query, world.home)
            return pull.check(repo, base or self.base, head or self.head, query)


def offered(folder: Path, at: datetime) -> Offered:
    """Make one below `folder`."""
    with unsynced():
        world = World(folder / "w", at=at)
    world.grant()
    clone = Clone.make(folder / "clone", world)
    base = clone.commit(BASE)
    one = {**BASE, "src/app": "1\n"}
    agent = clone.commit(one, base, message="Add the app")
    two = {**one, "src/b,c:d": "2\n"}
    unsigned = clone.commit(two, agent, who=ALICE, message=HOSTILE, signed=False)
    three = {**two, "src/e": "3\n"}
    signed_off = clone.commit(three, unsigned, message=f"Add e\n\nSigned-off-by: {world.who()}")
    # The branch that was squashed: two commits by the agent; its tip is known by the ref that a forge keeps of it.
    first = clone.commit({**three, "src/f": "4\n"}, signed_off, message="Begin f")
    four = {**three, "src/f": "5\n"}
    feature = clone.commit(four, first, message="Finish f")
    clone.git("update-ref", "refs/pull/1/head", feature)
    squash = clone.commit(four, signed_off, who=GITHUB, author=ALICE, message="Add f (#1)", signed=False)
    side = clone.commit({**BASE, "docs/g": "6\n"}, base, message="Document g")
    merge = clone.commit(
        {**four, "docs/g": "6\n"}, squash, side, who=GITHUB, author=ALICE, message="Merge", signed=False
    )
    clone.git("update-ref", "refs/heads/main", base)
    clone.git("update-ref", "refs/heads/work", merge)
    return Offered(clone, base, agent, unsigned, signed_off, squash, feature, merge)
