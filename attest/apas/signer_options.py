"""--attester-key and --attester: whose signature on what an orchestrator says counts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from attest import signing_key
from attest.apas.handoff_signers import Signers
from attest.cli import load_trust, trust_options

F = TypeVar("F", bound=Callable[..., Any])


def signer_options(command: F) -> F:
    """--attester-key, --attester and what certificates are judged by; the command gets `who`, its `Signers`."""

    @functools.wraps(command)
    def called(
        *args: Any,
        attester_keys: tuple[Path, ...],
        attesters: tuple[str, ...],
        anchors: tuple[Path, ...],
        profile: str | None,
        bundle: Path | None,
        **kwargs: Any,
    ) -> Any:
        keys = tuple(signing_key.load_public(each) for each in attester_keys)
        trusted = load_trust(anchors, profile, bundle) if attesters else None
        return command(*args, who=Signers(keys, attesters, trusted, datetime.now(UTC)), **kwargs)

    wrapped: Any = trust_options(called)
    for option in (
        click.option(
            "--attester",
            "attesters",
            multiple=True,
            metavar="URI",
            help="Who may hand on, as certificates name them. Repeatable.",
        ),
        click.option(
            "--attester-key",
            "attester_keys",
            multiple=True,
            type=click.Path(path_type=Path),
            help="Public key (PEM, OpenSSH) of who may hand on. Repeatable.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]  # what click's decorators return
