"""Time-stamps for signatures that are there already, whoever made them, kept in the ref of the attestations."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from attest import stampable, stamps, store
from attest.errors import Error, MalformedError, UnavailableError
from attest.foreign import cmscerts, cmstime
from attest.foreign.cmstime import Stamper
from attest.gitobject import SIGNED_KINDS
from attest.repository import Repository
from notme_git.config import Config
from notme_git.gitconfig import GitConfig
from notme_git.tsa import missed, setting
from notme_git.tsa.address import Address
from notme_git.tsa.client import TIMEOUT_S, Client

PUSH_S = 30.0
"""For all time-stamps of one push."""

BATCH = 64
"""Objects whose time-stamps become one commit: what was got is not lost when the next authority is away."""


@dataclass(slots=True)
class Done:
    """What became of the objects. `failed` is why it ended before all were done, and `left` how many were not."""

    stamped: int = 0
    already: int = 0
    unsigned: int = 0
    unreadable: int = 0
    left: int = 0
    origins: list[str] = field(default_factory=list)
    failed: Error | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What is asked: of which authorities, which tokens count as there already, and what the home has kept."""

    repository: Repository
    addresses: Sequence[Address]
    stampers: Sequence[Stamper]
    home: Path | None
    at: datetime
    seconds: float = math.inf
    """In which everybody has to have answered; what is asked later than that is not asked."""

    def run(self, object_ids: Iterable[str]) -> Done:
        """Ask for a time-stamp of each signed object by each authority, and keep them.

        What a home has kept of these objects goes into the ref along with them. Raises what walking and storing raise.
        """
        done = Done(origins=[address.origin for address in self.addresses])
        clients = [Client(address, timeout_s=min(TIMEOUT_S, self.seconds)) for address in self.addresses]
        end = time.monotonic() + self.seconds
        remaining = iter(object_ids)
        try:
            while ids := list(itertools.islice(remaining, BATCH)):
                if done.failed is not None:
                    done.left += len(ids)
                    continue
                self._some(ids, clients, done, end)
        finally:
            for client in clients:
                client.close()
        return done

    def _some(self, ids: Sequence[str], clients: Sequence[Client], done: Done, end: float) -> None:
        stored = store.read_many(self.repository, ids)
        lines: dict[str, list[bytes]] = {}
        try:
            for number, oid in enumerate(ids):
                tokens, kept = stamps.of_lines(stored[oid], oid), self._kept(oid)
                value = self._value(oid, done)
                if value is None:
                    continue
                made = list(kept)
                lines[oid] = made
                if self._is_stamped([*kept, *tokens], value):
                    done.already += 1
                    continue
                try:
                    if time.monotonic() >= end:
                        raise UnavailableError(f"not all answered within {self.seconds:.0f} s")
                    made.extend(client.stamp(value, self.stampers).token for client in clients)
                except Error as error:
                    done.failed, done.left = error, done.left + len(ids) - number
                    return
                done.stamped += 1
        finally:
            encoded = {oid: [stamps.encode(oid, token) for token in tokens] for oid, tokens in lines.items() if tokens}
            store.append(self.repository, encoded, self.at)

    def _value(self, oid: str, done: Done) -> bytes | None:
        try:
            kind, raw = self.repository.read(oid)
            if kind not in SIGNED_KINDS:
                raise MalformedError(f"{oid} is a {kind}; only commits and tags carry signatures")
            value = stampable.value_in(raw, SIGNED_KINDS[kind], self.repository.object_format)
        except Error:
            done.unreadable += 1
            return None
        done.unsigned += value is None
        return value

    def _kept(self, oid: str) -> list[bytes]:
        return [] if self.home is None else stamps.spooled(self.home, oid)

    def _is_stamped(self, tokens: Sequence[bytes], value: bytes) -> bool:
        """Whether one of those who were named has stamped it. With nobody named it is not known whose a token is."""
        return any(_holds(token, value, self.stampers) for token in tokens) if self.stampers else False


def _holds(token: bytes, value: bytes, stampers: Sequence[Stamper]) -> bool:
    try:
        cmstime.verify_token(token, value, stampers)
    except (Error, *cmscerts.UNREADABLE, OverflowError):
        return False
    return True


def store_kept(repository: Repository, home: Path, object_ids: Iterable[str], at: datetime) -> int:
    """Put what the home has kept of these objects into the ref, and ask nobody; of how many objects that was."""
    remaining, count = iter(object_ids), 0
    while ids := list(itertools.islice(remaining, BATCH)):
        kept = {oid: tokens for oid in ids if (tokens := stamps.spooled(home, oid))}
        store.append(repository, {o: [stamps.encode(o, token) for token in t] for o, t in kept.items()}, at)
        count += len(kept)
    return count


def stamp_pushed(config: Config, repository: Repository, object_ids: Iterator[str]) -> str:
    """Time-stamp what is about to be pushed by those whom the configuration names; returns what was done.

    Within `PUSH_S` in all: somebody waits for the push, which goes on without. Raises the error that ended it.
    """
    configured = setting.read(GitConfig.find(config.environ), repository.path)
    asked = Batch(repository, configured.addresses, configured.stampers(), config.home, config.at, PUSH_S)
    done = asked.run(object_ids)
    if done.failed is not None:
        when, why = int(config.at.timestamp()), done.failed.message
        missed.note(config.home, str(repository.path), done.origins[0], why, when, done.left)
        raise done.failed
    said = "; ".join(summary(done))
    return f"{said}; notme-attest sync brings that to the remote" if done.stamped else ""


def summary(done: Done) -> Iterator[str]:
    """For a person."""
    yield f"{done.stamped} time-stamped by {', '.join(done.origins)}"
    for count, what in (
        (done.already, "had a time-stamp already"),
        (done.unsigned, "not signed"),
        (done.unreadable, "could not be read"),
        (done.left, "left"),
    ):
        if count:
            yield f"{count} {what}"
