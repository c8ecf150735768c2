"""A proposal as the text of a policy: TOML with remarks for the person who is to read it before it counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from attest import patterns
from attest.errors import UsageError
from attest.report.text import printable
from attest.rules.model import Class
from attest.rules.propose import PLURAL, Proposal, Seen
from attest.types import Voucher


def lines(proposal: Proposal, tip: str) -> Iterator[str]:
    """The policy, line by line. `tip` says of which history."""
    yield f"# Proposed from the history of {printable(tip)}: what it keeps to today."
    yield "# Read it, and commit it as .notme/policy.toml."
    for reason, count in proposal.failing.most_common():
        yield f"# {count} objects would be rejected as they are rejected without a policy ({reason})."
    yield "version = 1"
    for seen in proposal.seen.values():
        yield ""
        yield from _principal(seen)
    yield from _groups(proposal)
    for kind in (Class.HUMAN, Class.AGENT, Class.WORKLOAD):
        if kind in proposal.habits:
            yield ""
            yield from _rule(proposal, kind)
    if proposal.unsigned:
        yield ""
        yield f"# {proposal.unsigned_objects} commits are unsigned. No later commit is ever in the history of these."
        yield "[[rules]]"
        yield 'name = "legacy"'
        yield f"match = {{ classes = [{quoted(Class.UNSIGNED_LEGACY)}], ancestors_of = {listing(proposal.unsigned)} }}"


def _principal(seen: Seen) -> Iterator[str]:
    if not seen.vouched:
        yield f"# Seen on {seen.objects} objects, and nobody vouches for it: compare this key with its owner."
    yield "[[principals]]"
    yield f"name = {quoted(seen.name)}"
    yield f"class = {quoted(seen.kind)}"
    if seen.emails:
        yield f"emails = {listing(sorted(seen.emails))}"
    if is_pattern(seen.certificate):
        yield f"certificates = {listing([seen.certificate])}"
    if seen.ssh_key:
        yield f"ssh_keys = {listing([seen.ssh_key])}"
    if seen.openpgp:
        yield f"openpgp = {listing([seen.openpgp])}"
    if seen.sigstore is not None and "".join(seen.sigstore).isprintable():
        issuer, identity = seen.sigstore
        yield f"sigstore = [{{ issuer = {quoted(issuer)}, identity = {quoted(identity)} }}]"


def _groups(proposal: Proposal) -> Iterator[str]:
    if any(habit.actors for habit in proposal.habits.values()):
        yield ""
        yield "[groups]"
    for kind, habit in proposal.habits.items():
        yield f"{PLURAL[kind]} = {listing(sorted(habit.actors))}"


def _rule(proposal: Proposal, kind: Class) -> Iterator[str]:
    habit = proposal.habits[kind]
    yield f"# {habit.objects} objects."
    yield "[[rules]]"
    yield f"name = {quoted(PLURAL[kind])}"
    yield f"match = {{ classes = [{quoted(kind)}] }}"
    yield "[rules.require]"
    if all(recognisable(seen) for seen in proposal.seen.values() if seen.name in habit.actors):
        yield f"actors = {listing([PLURAL[kind]])}"
    else:
        yield "# Some of these cannot be named: their certificates hold signs that a pattern cannot."
    if habit.represented:
        yield 'represented = ["*"]'
    if habit.voucher is not Voucher.SIGNER:
        yield f"evidence = {quoted(habit.voucher)}"


def recognisable(seen: Seen) -> bool:
    """Whether the policy can say how it is recognised; who signs under S/MIME is, by address."""
    return bool(is_pattern(seen.certificate) or seen.ssh_key or seen.openpgp or seen.sigstore or seen.emails)


def is_pattern(text: str) -> bool:
    """Whether a URI can stand as a pattern that means itself."""
    try:
        patterns.check(text)
    except UsageError:
        return False
    return "*" not in text


def quoted(text: str) -> str:
    """A basic string of TOML: JSON escapes all that TOML wants escaped, and nothing that TOML does not know."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def listing(texts: Iterable[str]) -> str:
    """An array of texts."""
    return f"[{', '.join(map(quoted, texts))}]"
