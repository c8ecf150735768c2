"""All checks, and what they say of gathered facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from notme_git.doctor import (
    check_authority,
    check_config,
    check_daemon,
    check_git,
    check_records,
    check_ssh,
    check_tsa,
    check_who,
)
from notme_git.doctor.facts import Facts
from notme_git.doctor.finding import Finding, Severity

CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    check_authority.check_authority,
    check_authority.check_clock,
    check_git.check_version,
    check_config.check_set_up,
    check_config.check_signs,
    check_config.check_format,
    check_config.check_program,
    check_config.check_shims,
    check_config.check_previous,
    check_who.check_key,
    check_who.check_key_file,
    check_who.check_marks,
    check_who.check_grant,
    check_who.check_addresses,
    check_who.check_session,
    check_ssh.check_files,
    check_ssh.check_allowed_signers,
    check_ssh.check_agent,
    check_daemon.check_daemon,
    check_daemon.check_socket,
    check_tsa.check_tsa,
    check_records.check_records,
    check_git.check_trust,
)


def examine(facts: Facts) -> list[Finding]:
    """Everything found, the gravest first."""
    order = list(Severity)
    return sorted((f for check in CHECKS for f in check(facts)), key=lambda f: order.index(f.severity))
