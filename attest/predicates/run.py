"""A range judged and stated: each commit on the cores, what is about all of them at the end."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from attest import history
from attest.apas import dispatch_statement
from attest.apas.dispatch import PREDICATE_TYPE, Dispatch
from attest.errors import RefusedError, UnavailableError, UsageError
from attest.keys import PublicKey
from attest.predicates import maker, vsa
from attest.predicates.maker import COMMIT, DISPATCH, VSA, Made, Stated, Wanted
from attest.predicates.sink import Sink
from attest.predicates.vsa import Part
from attest.query import Query
from attest.repository import Repository
from attest.types import Outcome
from attest.verify import Examination


@dataclass(frozen=True, slots=True)
class Told:
    """One statement that went out, for whoever reports it."""

    object_id: str
    type: str
    result: str
    predicate_type: str


@dataclass(slots=True)
class Run:
    """`dispatch` is what an orchestrator said, `levels` those that the caller vouches for in a summary.

    `signer` is the key that signs, where it lasts; `scoped` as `dispatch_statement.assemble` has it.
    `told`, `counts`, `unread` and `unchecked` grow while it walks.
    """

    repo: Repository
    wanted: Wanted
    sink: Sink
    jobs: int
    dispatch: Dispatch | None = None
    levels: tuple[str, ...] = ()
    signer: PublicKey | None = None
    scoped: bool = False
    told: list[Told] = field(default_factory=list)
    counts: Counter[Outcome | None] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)
    unchecked: list[tuple[str, str]] = field(default_factory=list)
    _parts: list[Part] = field(default_factory=list)
    _examined: list[Examination] = field(default_factory=list)
    _payloads: dict[str, bytes] = field(default_factory=dict)

    def walk(self, stretches: Iterable[tuple[Query, Iterator[str]]]) -> None:
        """Judge and state all of them.

        Raises `RefusedError` for an object that was signed with the very key that is to sign the statement.
        """
        # What an orchestrator states is about whole examinations, which do not travel between processes.
        kept = self._examined.append if DISPATCH in self.wanted.types else None
        work = functools.partial(maker.make, self.wanted, kept)
        for query, object_ids in stretches:
            for batch in history.each(self.repo, object_ids, query, work, jobs=1 if kept else self.jobs):
                for made in batch:
                    self._take(made)
        if VSA in self.wanted.types:
            self._summarize()
        if self.dispatch is not None and DISPATCH in self.wanted.types:
            self._state_dispatch(self.dispatch)

    def _take(self, made: Made) -> None:
        self.counts[made.outcome] += 1
        if made.own:
            raise RefusedError(
                f"{made.object_id} was signed with this very key, or by its owner: nobody attests their own work",
                hint="sign with a verifier's key; --self-attest marks a statement as the signer's own",
            )
        if made.unread:
            self.unread.append(made.unread)
        if made.unchecked:
            self.unchecked.append((made.object_id, made.unchecked))
        if made.part is not None:
            self._parts.append(made.part)
            if len(self._parts) > vsa.MAX_COMMITS:
                raise UsageError(f"a summary is of at most {vsa.MAX_COMMITS} commits", hint="name a shorter range")
        for stated in made.stated:
            self._emit(stated)
            if stated.type == COMMIT and DISPATCH in self.wanted.types:
                self._payloads[stated.object_id] = stated.payload

    def _emit(self, stated: Stated) -> None:
        self.sink.add(stated)
        self.told.append(Told(stated.object_id, stated.type, stated.result, stated.predicate_type))

    def _summarize(self) -> None:
        """One summary, where all of the range was looked at; else there is none."""
        if self.unread or self.unchecked or not self._parts:
            return
        wanted = self.wanted
        payload = vsa.build(
            self._parts,
            wanted.tip,
            verifier_id=wanted.verifier_id,
            repository=wanted.context.repository,
            ref=wanted.context.ref,
            at=wanted.at,
            levels=self.levels,
        )
        result = "PASSED" if all(part.accepted for part in self._parts) else "FAILED"
        self._emit(Stated(wanted.tip, VSA, result, vsa.PREDICATE_TYPE, payload))

    def _state_dispatch(self, dispatch: Dispatch) -> None:
        if not self._examined:
            raise UnavailableError("no commit could be read, so no dispatch is stated")
        payload = dispatch_statement.build(
            dispatch,
            self._examined,
            repository=self.wanted.context.repository,
            ref=self.wanted.context.ref,
            statements=self._payloads,
            signer=self.signer,
            scoped=self.scoped,
        )
        first, *others = (one.object_id for one in self._examined)
        self._emit(Stated(first, DISPATCH, "", PREDICATE_TYPE, payload, tuple(others)))
