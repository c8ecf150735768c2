"""What an audit counts, over rows made by hand."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from attest.audit import facts, tally
from attest.audit.facts import Pair, Unknown
from attest.audit.standing import Standing, standing
from attest.audit.tally import MAX_EXAMPLES, MAX_NAMES, Example, Spans, Tally
from attest.errors import Reason, Step, UnavailableError
from attest.row import Row, Signer, SignerKind
from attest.rows import unread
from attest.types import Authentication, Contradiction, Outcome, Principal, PrincipalKind, Severity, StepStatus
from tests import auditrows
from tests.auditrows import NOW, acting, agent, failed, human, row, unsigned

JOB = Principal("wimse://a.invalid/job/1", PrincipalKind.WORKLOAD, "", "job", "", Authentication.OIDC)
STRANGER = Signer(SignerKind.OPENPGP, "B5690EEEBB952194", "rsa4096", subject="GitHub")

STANDINGS = {
    "an agent's accepted commit": (row(), Standing.AGENT),
    "one whose time is the signer's word": (row(outcome=Outcome.ACCEPTED_TIME_UNPROVEN), Standing.AGENT),
    "a person's accepted commit": (row(who=acting(human())), Standing.HUMAN),
    "a job's accepted commit": (row(who=acting(JOB)), Standing.PROGRAM),
    "an unsigned commit": (unsigned(), Standing.UNSIGNED),
    "an unsigned commit that a rule lets pass": (
        replace(unsigned(), outcome=Outcome.ACCEPTED, rule="old"),
        Standing.EXCUSED,
    ),
    "a changed commit": (failed(row(), Step.INTEGRITY, Reason.DIGEST_MISMATCH), Standing.REJECTED),
    "a changed commit of a stranger": (
        failed(failed(row(), Step.CHAIN, Reason.ANCHOR_UNKNOWN), Step.INTEGRITY, Reason.DIGEST_MISMATCH),
        Standing.REJECTED,
    ),
    "a commit the policy refuses": (failed(row(), Step.POLICY, Reason.RULE_DENIES), Standing.REJECTED),
    "a commit under an unknown authority": (failed(row(), Step.CHAIN, Reason.ANCHOR_UNKNOWN), Standing.STRANGER),
    "a commit under a key nobody named": (failed(row(), Step.CHAIN, Reason.KEY_UNKNOWN), Standing.STRANGER),
    "a commit judged without a bundle": (
        failed(row(), Step.EPOCH, Reason.BUNDLE_ABSENT, status=StepStatus.UNAVAILABLE),
        Standing.UNCHECKED,
    ),
    "an object that is not there": (unread("0" * 40, UnavailableError("gone"), judged=True), Standing.UNCHECKED),
    "an object that is none, without a signature": (
        failed(row(format=None, signer=None), Step.OBJECT, Reason.OBJECT_MALFORMED),
        Standing.REJECTED,
    ),
}


@pytest.mark.parametrize("name", STANDINGS)
def test_every_object_stands_in_exactly_one_way(name: str) -> None:
    made, wanted = STANDINGS[name]
    assert standing(made) is wanted
    assert facts.of([made]).standings == {wanted: 1}


def test_who_signed_for_whom_is_counted_with_first_and_last() -> None:
    bob = human("Bob", "bob@example.org")
    found = facts.of(
        [
            row(1, date=NOW),
            row(2, date=NOW - 50),
            row(3, who=acting(agent(), bob)),
            failed(row(4, date=NOW + 9), Step.POLICY, Reason.NO_RULE),
        ]
    )
    alice = Pair(
        "claude-code",
        "wimse://a.invalid/agent/claude-code",
        "agent",
        "Alice Example <alice@example.org>",
        "wimse://a.invalid/human/alice@example.org",
        "passkey",
    )
    [(first, span), (second, _)] = found.pairs.ranked()
    assert first == alice
    assert (span.count, span.accepted, span.first, span.last) == (3, 2, NOW - 50, NOW + 9)
    assert second.represented == "Bob <bob@example.org>"
    assert found.pair_months[first] == {"2026-11": 3}


def test_what_author_and_committer_say_makes_nobody_a_signer() -> None:
    said = row(author="Mallory <m@example.net>", committer="Mallory <m@example.net>")
    assert "Mallory" not in repr(facts.of([said]).pairs)


def test_a_signer_that_is_not_proven_is_no_pair() -> None:
    found = facts.of([failed(row(), Step.CHAIN, Reason.ANCHOR_UNKNOWN)])
    assert not found.pairs.each
    assert not found.assurance.counts


def test_a_stranger_is_told_by_key_and_an_unsigned_commit_by_the_name_in_it() -> None:
    made = failed(row(format="openpgp", signer=STRANGER), Step.CHAIN, Reason.SIGNATURE_FOREIGN)
    found = facts.of([made, unsigned(committer="Dana <dana@example.org>")])
    assert list(found.unknown.each) == [Unknown("openpgp", "B5690EEEBB952194", "GitHub")]
    assert list(found.unsigned.each) == ["Dana <dana@example.org>"]
    assert not found.anomalies.each, "both have lists of their own"


def test_months_are_those_of_the_committer_in_utc() -> None:
    found = facts.of([row(date=0), row(date=2_678_399), row(date=2_678_400), row(date=None)])
    assert {name: sum(counts.values()) for name, counts in found.months.items()} == {"1970-01": 2, "1970-02": 1, "": 1}


def test_the_best_voucher_counts_and_only_for_what_is_accepted() -> None:
    found = facts.of([row(), row(evidence=()), failed(row(), Step.EPOCH, Reason.EPOCH_RETIRED)])
    assert found.vouchers.counts == {"authority": 1, "nobody": 1}
    assert found.epochs.counts == {"1": 2}
    assert found.assurance.counts == {"other-user": 2}


def test_failed_steps_and_contradictions_are_anomalies_with_examples() -> None:
    claim = Contradiction("agent-signed-off", Severity.ERROR, "an agent added Signed-off-by")
    odd = row(4, remarks=("not-backdated",))
    absent = failed(row(3), Step.EPOCH, Reason.BUNDLE_ABSENT, status=StepStatus.UNAVAILABLE)
    found = facts.of(
        [failed(row(1), Step.INTEGRITY, Reason.DIGEST_MISMATCH), row(2, contradictions=(claim,)), absent, odd]
    )
    told = [(code, each.severity, each.examples[0].object_id[-1]) for code, each in found.anomalies.ranked()]
    assert told == [
        ("claims:agent-signed-off", Severity.ERROR, "2"),
        ("integrity:digest-mismatch", Severity.ERROR, "1"),
        ("epoch:bundle-absent", Severity.WARNING, "3"),
        ("remark:not-backdated", Severity.INFO, "4"),
    ]


def test_rules_are_counted_with_outcome_and_reason() -> None:
    denied = replace(failed(row(), Step.POLICY, Reason.RULE_DENIES), rule="no-bots")
    found = facts.of([row(rule="agents"), row(rule="agents"), denied])
    assert {(r.rule, r.outcome, r.reason): span.count for r, span in found.rules.each.items()} == {
        ("agents", "accepted", ""): 2,
        ("no-bots", "rejected", "rule-denies"): 1,
    }


def test_batches_merged_are_what_one_pass_over_all_is() -> None:
    rows = list(auditrows.history(700, "merge"))
    merged = facts.Facts()
    for start in range(0, len(rows), 64):
        merged.merge(pickle.loads(pickle.dumps(facts.of(rows[start : start + 64]))))
    assert merged == facts.of(rows)
    assert merged.total == 700
    assert sum(merged.standings.values()) == 700
    assert sum(merged.outcomes.values()) == 700


def test_memory_does_not_grow_with_what_people_make_up() -> None:
    def invented() -> list[Row]:
        return [unsigned(n, committer=f"{n} <{'x' * 5000}>") for n in range(MAX_NAMES + 300)]

    found = facts.of(invented())
    assert len(found.unsigned.each) == MAX_NAMES
    assert found.unsigned.others.count == 300
    assert max(map(len, found.unsigned.each)) <= facts.MAX_NAME
    old = facts.of(row(n, date=n * 31 * facts.DAY) for n in range(facts.MAX_MONTHS + 50))
    [months] = old.pair_months.values()
    assert (len(months), old.span.count) == (facts.MAX_MONTHS, facts.MAX_MONTHS + 50)
    broken = facts.of(failed(row(n), Step.INTEGRITY, Reason.SIGNATURE_INVALID) for n in range(100))
    [(_, anomaly)] = broken.anomalies.ranked()
    assert (anomaly.count, len(anomaly.examples)) == (100, MAX_EXAMPLES)


def test_a_full_count_keeps_counting_the_names_it_has() -> None:
    found, further = Tally(), Tally()
    for number in range(MAX_NAMES):
        found.add(str(number))
    further.add("0", 5)
    further.add("new", 7)
    found.merge(further)
    assert (found.counts["0"], found.others) == (6, 7)
    spans: Spans[int] = Spans()
    for number in range(MAX_NAMES + 1):
        spans.of(number).add(number)
    spans.of(0).add(4)
    assert (spans.each[0].count, spans.others.count) == (2, 1)


def test_examples_of_one_merge_do_not_reach_into_the_other() -> None:
    one, two = tally.Anomalies(), tally.Anomalies()
    one.add("a:b", Severity.INFO, Example("1", None, ""))
    two.merge(one)
    two.add("a:b", Severity.INFO, Example("2", None, ""))
    assert len(one.each["a:b"].examples) == 1
