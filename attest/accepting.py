"""The options that say whose attestations count."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from attest import signing_key
from attest.attestation import Accepting
from attest.cli import load_trust, trust_options
from attest.command import FILE
from attest.errors import UsageError
from attest.keys import PublicKey
from attest.profile import Profile
from attest.verifier import attester_keys_option, identities_option, load_roots

if TYPE_CHECKING:
    from attest.keyless.verify import Identity

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--witness-key",
        "witnesses",
        multiple=True,
        type=FILE,
        help="Public key (PEM, OpenSSH) of a server whose statements of what arrived count. May be repeated.",
    ),
    click.option("--sigstore", is_flag=True, help="Take Sigstore's public root, for the identity that is named."),
    click.option("--sigstore-root", type=FILE, help="Take the trusted root in this file instead."),
)


def accepting_options(command: F) -> F:
    """--anchor, --bundle, --profile, --attester-key, --witness-key and Sigstore's; the command gets `accepting`.

    Nobody needs an authority of his own to take the word of a key.
    """

    @functools.wraps(command)
    def called(
        *args: Any,
        anchors: tuple[Path, ...],
        bundle: Path | None,
        profile: str | None,
        attesters: tuple[PublicKey, ...],
        witnesses: tuple[Path, ...],
        sigstore: bool,
        sigstore_root: Path | None,
        identities: tuple[Identity, ...],
        **kwargs: Any,
    ) -> Any:
        roots = load_roots(sigstore=sigstore, sigstore_root=sigstore_root)
        if identities and roots.sigstore is None:
            raise UsageError(
                "--certificate-identity is one of a Sigstore instance, and none is named",
                hint="add --sigstore-root FILE, or --sigstore for the public one",
            )
        accepting = Accepting(
            replace(load_trust(anchors, profile, bundle, others=True), foreign=roots),
            keys=attesters,
            witnesses=tuple(map(signing_key.load_public, witnesses)),
            identities=identities,
            profile=Profile(profile) if profile else None,
        )
        return command(*args, accepting=accepting, **kwargs)

    wrapped: Any = called
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return trust_options(attester_keys_option(identities_option(wrapped)))  # type: ignore[no-any-return]
