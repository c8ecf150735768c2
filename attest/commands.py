"""The commands of a command line by name. Those of other modules are imported when they are wanted: each call is a
process of its own, and would spend a fifth of its time on modules of the others.
"""

from __future__ import annotations

import importlib
from collections import UserDict
from collections.abc import Mapping

import click

VERIFYING: dict[str, str] = {
    "attest": "attest.attest_cli:command",
    "audit": "attest.audit.cli:audit",
    "bundle": "attest.bundle_cli:bundle",
    "check": "attest.check_cli:command",
    "envelope": "attest.envelope_cli:envelope",
    "examine": "attest.history_cli:examine",
    "handoff": "attest.apas.handoff_cli:handoff",
    "extract": "attest.extract_cli:command",
    "hook": "attest.receive.cli:hook",
    "origins": "attest.apas.origins_cli:command",
    "policy": "attest.rules.cli:policy",
    "reasons": "attest.reasons.cli:command",
    "rewrite": "attest.rewrites.cli:rewrite",
    "show": "attest.show_cli:command",
    "sync": "attest.sync_cli:command",
    "trust": "attest.rules.trust_cli:trust",
    "verify": "attest.history_cli:verify_command",
    "verify-attestation": "attest.attestation_cli:command",
}
"""The verifying side's commands that have modules of their own; both command lines have them."""


class Commands(UserDict[str, click.Command]):
    """`elsewhere` says in which module, and under which name there, the others are: `module:name`."""

    def __init__(self, elsewhere: Mapping[str, str]) -> None:
        self._elsewhere = elsewhere
        super().__init__(dict.fromkeys(elsewhere, _PLACE))

    def __getitem__(self, name: str) -> click.Command:
        if super().__getitem__(name) is _PLACE:
            module, _, attribute = self._elsewhere[name].partition(":")
            self[name] = getattr(importlib.import_module(module), attribute)
        return super().__getitem__(name)


_PLACE = click.Command("")
