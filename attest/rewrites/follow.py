"""From a commit that nobody signed as an agent to the signed ones that it was made from, by the records about it.

A record is one verifier's word. It is followed where that verifier counts, where it is about this commit, and where the
relation that it claims is borne out by the commits themselves, as far as they are here; what is here is judged here.
An old commit that is itself no agent's is followed in its turn, at most `MAX_DEPTH` records deep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from attest import store, verify
from attest.errors import Error
from attest.gitobject import ObjectKind
from attest.policy import Paths, no_paths
from attest.query import Query
from attest.repository import Repository
from attest.rewrites import compare, counting, reader
from attest.rewrites.compare import Pair
from attest.rewrites.model import Compared, Old, Relation, Rewrite, Rewriter, RewriterKind
from attest.rewrites.reader import Stored
from attest.row import Row
from attest.through import ACCEPTING, Original, Through, Who
from attest.types import Identity, PrincipalKind

MAX_DEPTH = 4
"""Records one after the other: an amend, a rebase, a squash, and one to spare."""

MAX_JUDGED = 2000
"""Old commits that are judged for one commit, through all of its records."""

Judge = Callable[[Sequence[str]], list[Row]]
"""The rows of commits, judged as the one that is asked about, without following records."""


class Follower:
    """Follows the records about commits of one repository."""

    def __init__(self, repo: Repository, query: Query, judge: Judge) -> None:
        self._repo, self._query, self._judge = repo, query, judge
        self._left = MAX_JUDGED

    def row(
        self, row: Row, raw: bytes, lines: Sequence[bytes], timestamps: Sequence[bytes] = (), paths: Paths = no_paths
    ) -> Row:
        """The row with what the stored lines lead to, judged by that where the policy follows records.

        Nothing but a rejection, or what could not be checked, is judged again; and only an acceptance takes its place.
        """
        if not is_wanted(row):
            return row
        query = self._query
        row.through = self.through(row.object_id, lines)
        leads = any(each.follows for each in row.through)
        if not leads or query.policy is None or not query.policy.follows or row.outcome in ACCEPTING:
            return row
        found = verify.examine(
            raw,
            ObjectKind.COMMIT,
            self._repo.object_format,
            row.object_id,
            query.trusted,
            at=query.at,
            profile=query.profile,
            timestamps=timestamps,
            seen=query.sightings.of(row.object_id) if query.sightings is not None else None,
        )
        decided = verify.decide(
            found, query.policy, query.context, at=query.at, paths=paths, through=row.through
        )
        if decided.outcome in ACCEPTING:
            row.findings, row.outcome, row.rule = decided.findings, decided.outcome, decided.rule
            row.warnings = decided.warnings
        return row

    def through(self, object_id: str, lines: Iterable[bytes]) -> tuple[Through, ...]:
        """What the records among the stored lines about a commit lead to; also those that are not followed, and why."""
        self._left = MAX_JUDGED
        return self._through(object_id, lines, (object_id,))

    def _through(self, object_id: str, lines: Iterable[bytes], path: tuple[str, ...]) -> tuple[Through, ...]:
        found = [self._record(each, object_id, path) for each in reader.of_lines(lines)]
        # Those that lead on come first, and of these the ones that were borne out here.
        return tuple(sorted(found, key=lambda each: (not each.follows, not each.seen, each.record)))

    def _record(self, stored: Stored, object_id: str, path: tuple[str, ...]) -> Through:
        said = stored.rewrite
        try:
            by = counting.verify(stored, object_id, self._query)
        except Error as error:
            return Through(stored.sha256, refused=f"{error.message}; {error.hint}" if error.hint else error.message)
        compared, here = self._compared(said)
        known = Through(
            record=stored.sha256,
            by=by,
            at=said.recorded_at,
            made=said.made.value,
            relation=(compared if here else said.compared).relation.value,
            compared=here,
            rewriter=rewriter_of(said.rewriter),
        )
        if why := _against(said, compared, here, path, self._left):
            return replace(known, refused=why)
        self._left -= len(said.old)
        return replace(known, originals=self._originals(said, path))

    def _compared(self, said: Rewrite) -> tuple[Compared, bool]:
        """How they relate, and whether the commits were here to tell."""
        try:
            pair = Pair(tuple(each.object_id for each in said.old), said.new.object_id)
            return compare.compare(self._repo, [pair])[0], True
        except Error:
            return said.compared, False

    def _originals(self, said: Rewrite, path: tuple[str, ...]) -> tuple[Original, ...]:
        rows = {row.object_id: row for row in self._judge([each.object_id for each in said.old]) if row.tree}
        open_ids = [each.object_id for each in said.old if not _is_settled(each, rows.get(each.object_id))]
        lines = self._lines(open_ids) if len(path) < MAX_DEPTH else {}
        return tuple(self._original(each, rows.get(each.object_id), lines, path) for each in said.old)

    def _lines(self, ids: Sequence[str]) -> Mapping[str, Sequence[bytes]]:
        try:
            return store.read_many(self._repo, ids) if ids else {}
        except Error:
            return {}

    def _original(
        self, said: Old, row: Row | None, lines: Mapping[str, Sequence[bytes]], path: tuple[str, ...]
    ) -> Original:
        oid = said.object_id
        behind = self._through(oid, lines[oid], (*path, oid))[:1] if lines.get(oid) else ()
        nested = next((each for each in behind if not each.refused), None)
        if row is None or row.outcome is None:
            return Original(oid, False, said.outcome, said.actor, said.represented, nested)
        who = row.identity
        actor, represented = (Who.of(who.actor), _behalf(who)) if who is not None else (None, None)
        return Original(oid, True, row.outcome, actor, represented, nested)


def rewriter_of(rewriter: Rewriter) -> str:
    """In words: who made the new commit, and whether that is proven."""
    if rewriter.kind is RewriterKind.SIGNER:
        return f"{rewriter.name}, who signed it"
    return f"{rewriter.name} ({'signed by it' if rewriter.proven else 'claimed'})"


def is_wanted(row: Row) -> bool:
    """Whether records about it are of interest: it is a commit, and not accepted as an agent's own."""
    if row.kind != "commit" or not row.tree:
        return False
    agent = row.identity is not None and row.identity.actor.kind is PrincipalKind.AGENT
    return not agent or row.outcome not in (*ACCEPTING, None)


def _against(said: Rewrite, compared: Compared, here: bool, path: tuple[str, ...], left: int) -> str:
    """Why a record that counts leads nowhere."""
    if said.compared.relation is Relation.NONE:
        return f"by the record itself they have nothing in common: {said.compared.note}"
    if here and compared.relation is not said.compared.relation:
        why = compared.note or f"it is {compared.relation}"
        return f"the commits do not bear out its relation {said.compared.relation}: {why}"
    if any(each.object_id in path for each in said.old):
        return "it leads back to where it came from"
    if len(said.old) > left:
        return f"more than {MAX_JUDGED} commits would have to be judged"
    return ""


def _is_settled(said: Old, row: Row | None) -> bool:
    """Whether an old commit stands for itself, so that no further record is asked for."""
    if row is not None:
        return not is_wanted(row)
    return said.outcome in ACCEPTING and said.actor is not None and said.actor.kind is PrincipalKind.AGENT


def _behalf(who: Identity) -> Who | None:
    return Who.of(who.represented) if who.represented is not None else None
