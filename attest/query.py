"""What is asked about each object of a history."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from attest.keys import PublicKey
from attest.policy import Context, PolicyLike
from attest.profile import Profile
from attest.trust import Trust

if TYPE_CHECKING:
    from attest.sightings import Sightings


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked about each object. Without a policy it is examined and not judged.

    `home` is where time-stamps of objects signed on this machine are kept, None to look in the repository alone.
    With `notes` what tools noted of a commit is held against its signature, too. With `rewrites` the rewrite records of
    a commit that is not accepted as an agent's own are looked up; a policy that follows them asks for it itself.
    `attesters` are the bare keys whose records count, beside verifiers under the anchors.
    `sightings` are what witnesses that count say of each object, found before a walk (`history.results`).
    """

    trusted: Trust
    at: datetime
    policy: PolicyLike | None = None
    context: Context = field(default_factory=Context)
    profile: Profile | None = None
    home: Path | None = None
    notes: bool = False
    rewrites: bool = False
    attesters: tuple[PublicKey, ...] = ()
    sightings: Sightings | None = None
