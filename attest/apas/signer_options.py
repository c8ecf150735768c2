"""--attester-key, --attester, --certificate-identity: whose signature on what an orchestrator says counts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from attest import signing_key
from attest.apas.handoff_signers import Signers
from attest.cli import load_trust, trust_options
from attest.command import FILE
from attest.errors import UsageError
from attest.profile import Profile
from attest.verifier import identities_option, load_roots

if TYPE_CHECKING:
    from attest.keyless.verify import Identity

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--attester-key",
        "attester_keys",
        multiple=True,
        type=FILE,
        help="Public key (PEM, OpenSSH) of who may hand on. Repeatable.",
    ),
    click.option(
        "--attester",
        "attesters",
        multiple=True,
        metavar="URI",
        help="Who may hand on, as certificates name them. Repeatable.",
    ),
    click.option(
        "--sigstore-root",
        type=FILE,
        help="Trusted root of that identity's Sigstore instance (default: the public one's).",
    ),
)


def signer_options(command: F) -> F:
    """The options, and what certificates are judged by; the command gets `who`, its `Signers`."""

    @functools.wraps(command)
    def called(
        *args: Any,
        attester_keys: tuple[Path, ...],
        attesters: tuple[str, ...],
        identities: tuple[Identity, ...],
        sigstore_root: Path | None,
        anchors: tuple[Path, ...],
        profile: str | None,
        bundle: Path | None,
        **kwargs: Any,
    ) -> Any:
        if sigstore_root is not None and not identities:
            raise UsageError("--sigstore-root goes with --certificate-identity: whose handoffs count under it")
        keys = tuple(signing_key.load_public(each) for each in attester_keys)
        trusted = None
        if attesters or identities:
            roots = load_roots(sigstore=bool(identities), sigstore_root=sigstore_root)
            trusted = replace(load_trust(anchors, profile, bundle, others=not attesters), foreign=roots)
        wanted = Profile(profile) if profile else None
        who = Signers(keys, attesters, identities, trusted, datetime.now(UTC), wanted)
        return command(*args, who=who, **kwargs)

    wrapped: Any = called
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return trust_options(identities_option(wrapped))  # type: ignore[no-any-return]  # what click's decorators return
