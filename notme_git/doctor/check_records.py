"""Hooks and their records."""

from __future__ import annotations

from collections.abc import Iterator

from notme_git.doctor.facts import Facts
from notme_git.doctor.finding import Finding


def check_records(facts: Facts) -> Iterator[Finding]:
    """That hooks can do what they were put in for, and that what the policy follows is here."""
    records = facts.records
    if records.problem:
        yield Finding("hook-setting", records.problem, records.remedy)
    if records.keyless:
        message = "the hook post-rewrite is here, and nothing to sign its records with"
        remedy = "make a key (openssl genpkey -algorithm ed25519 -out FILE), then: git config notme.verifierKey FILE"
        yield Finding("records-keyless", message, remedy)
    if records.absent:
        message = "the policy here follows rewrite records, and no attestations were fetched"
        yield Finding("attestations-absent", message, "fetch them", "notme-attest sync --fetch-only")
