"""What every command that judges is told on its command line: whom to trust, whose signatures count, how many cores."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from attest import location
from attest.cli import load_trust, read_file, trust_options
from attest.command import FILE
from attest.errors import MalformedError, UnavailableError, UsageError
from attest.foreign.roots import Roots
from attest.policy import Policy, PolicyLike
from attest.repository import Repository
from attest.trust import Trust
from attest.types import Voucher

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

MAX_FILE_BYTES = 8 * 1024 * 1024
"""An allowed signers file of 50,000 keys has 6 MiB."""

_GITSIGN = "Let signatures of gitsign count, under Sigstore's public root."
_OPTIONS = (
    click.option("--allowed-signers", type=FILE, help="Let the SSH keys in this file count (ssh-keygen)."),
    click.option("--revoked-keys", type=FILE, help="SSH keys that count no longer, as gpg.ssh.revocationFile."),
    click.option("--gitsign", "--sigstore", "sigstore", is_flag=True, help=_GITSIGN),
    click.option("--sigstore-root", type=FILE, help="The same under the trusted root in this file."),
    click.option("--smime-ca", type=FILE, help="Let S/MIME signatures under the authorities in this PEM file count."),
    click.option("--openpgp", is_flag=True, help="Ask gpg about OpenPGP signatures; keys that it trusts fully count."),
    click.option(
        "--openpgp-keyring", type=FILE, help="The same with the keyring in this folder, all of whose keys count."
    ),
    click.option(
        "--tsa-root",
        "tsa_roots",
        multiple=True,
        type=FILE,
        help="Let time-stamps under the certificates in this PEM file count as a third party's. May be repeated.",
    ),
    click.option(
        "--witness-key",
        "witness_keys",
        multiple=True,
        type=FILE,
        help="Public key (PEM, OpenSSH) of a server whose statements of what arrived count. May be repeated.",
    ),
)
_BESIDE_ATTESTER = tuple(
    click.option("--gitsign", "sigstore", is_flag=True, help=_GITSIGN) if option is _OPTIONS[2] else option
    for option in _OPTIONS
)
"""Of commands that make statements: where `attester_options` are as well, `--sigstore` says by whom to sign."""


def verifier_options(command: F) -> F:
    """--anchor, --bundle, --profile and whose other signatures count; the command gets `trusted` and `profile`."""
    return _with_trust(command, anybody=False)


def judging_attester_options(command: F) -> F:
    """The same for a command that makes statements, where `--sigstore` does not say whose signatures count."""
    return _with_trust(command, anybody=False, options=_BESIDE_ATTESTER)


def examiner_options(command: F) -> F:
    """The same for a command that judges nothing: it does without anybody to trust."""
    return _with_trust(command, anybody=True)


def _with_trust(command: F, *, anybody: bool, options: Sequence[Callable[[Any], Any]] = _OPTIONS) -> F:
    @functools.wraps(command)
    def called(
        *args: Any,
        anchors: tuple[Path, ...],
        bundle: Path | None,
        profile: str | None,
        allowed_signers: Path | None,
        revoked_keys: Path | None,
        sigstore: bool,
        sigstore_root: Path | None,
        smime_ca: Path | None,
        openpgp: bool,
        openpgp_keyring: Path | None,
        tsa_roots: tuple[Path, ...],
        witness_keys: tuple[Path, ...],
        **kwargs: Any,
    ) -> Any:
        roots = load_roots(
            allowed_signers=allowed_signers,
            revoked_keys=revoked_keys,
            sigstore=sigstore,
            sigstore_root=sigstore_root,
            smime_ca=smime_ca,
            openpgp=openpgp,
            openpgp_keyring=openpgp_keyring,
            tsa_roots=tsa_roots,
            witness_keys=witness_keys,
        )
        trusted = load_trust(anchors, profile, bundle, others=anybody or roots.counts)
        return command(*args, trusted=replace(trusted, foreign=roots), profile=profile, **kwargs)

    wrapped: Any = called
    for option in reversed(options):
        wrapped = option(wrapped)
    return trust_options(wrapped)  # type: ignore[no-any-return]  # what click's decorators return


def attester_keys_option(command: F) -> F:
    """--attester-key FILE: the bare keys whose statements count; the command gets `attesters`."""

    @functools.wraps(command)
    def called(*args: Any, attester_keys: tuple[Path, ...], **kwargs: Any) -> Any:
        from attest import signing_key

        return command(*args, attesters=tuple(map(signing_key.load_public, attester_keys)), **kwargs)

    wrapped: Any = called
    for option in (
        click.option(
            "--attester-key",
            "attester_keys",
            multiple=True,
            type=FILE,
            help="Public key (PEM, OpenSSH) of a verifier whose statements count. May be repeated.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]  # what click's decorators return


def identities_option(command: F) -> F:
    """--certificate-identity with --certificate-oidc-issuer: whose keyless statements count; `identities`."""

    @functools.wraps(command)
    def called(*args: Any, certificate_identity: str | None, certificate_oidc_issuer: str | None, **kwargs: Any) -> Any:
        if (certificate_identity is None) is not (certificate_oidc_issuer is None):
            raise UsageError("--certificate-identity and --certificate-oidc-issuer go together")
        found: tuple[Any, ...] = ()
        if certificate_identity is not None and certificate_oidc_issuer is not None:
            from attest.keyless.verify import Identity

            found = (Identity(certificate_identity, certificate_oidc_issuer),)
        return command(*args, identities=found, **kwargs)

    wrapped: Any = called
    for option in (
        click.option("--certificate-oidc-issuer", metavar="URL", help="The provider that vouches for that identity."),
        click.option("--certificate-identity", metavar="ID", help="Whose keyless statements count."),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]  # what click's decorators return


def load_roots(
    *,
    allowed_signers: Path | None = None,
    revoked_keys: Path | None = None,
    sigstore: bool = False,
    sigstore_root: Path | None = None,
    smime_ca: Path | None = None,
    openpgp: bool = False,
    openpgp_keyring: Path | None = None,
    tsa_roots: Sequence[Path] = (),
    witness_keys: Sequence[Path] = (),
) -> Roots:
    """Whose signatures count beside the authorities', and who is believed about the time.

    Raises `UnavailableError` for a file that cannot be read.
    """
    found: dict[str, Any] = {}
    if allowed_signers is not None:
        from attest.foreign.allowed import AllowedSigners

        found["allowed_signers"] = read_parsed(allowed_signers, AllowedSigners.parse)
    if revoked_keys is not None:
        from attest.foreign.revoked import RevokedKeys

        found["revoked"] = read_parsed(revoked_keys, RevokedKeys.parse)
    if sigstore or sigstore_root is not None:
        from attest.foreign.sigstore import SigstoreRoot

        found["sigstore"] = (
            read_parsed(sigstore_root, SigstoreRoot.parse) if sigstore_root is not None else SigstoreRoot.public_good()
        )
    if smime_ca is not None:
        from attest.certificate import load_pem

        found["smime"] = tuple(read_parsed(smime_ca, load_pem))
    if openpgp or openpgp_keyring is not None:
        from attest.foreign.openpgp import Gpg

        found["openpgp"] = Gpg.find(os.environ, openpgp_keyring)
    if tsa_roots:
        from attest.foreign.cmstime import named

        found["tsa"] = tuple(each for path in tsa_roots for each in read_parsed(path, named))
    if witness_keys:
        from attest import signing_key

        found["witnesses"] = tuple(map(signing_key.load_public, witness_keys))
    return Roots(**found)


def load_policy(
    path: Path | None, require_time: Voucher | None, trusted: Trust, repo: Repository | None
) -> tuple[PolicyLike, Trust]:
    """The policy in a file, or the built-in one; and the trust, narrowed or widened as the file says.

    Without `repo` a rule that asks for ancestors cannot be answered.
    """
    if path is None:
        return Policy(require_time=require_time), trusted
    if require_time is not None:
        raise UsageError("--policy and --require-time exclude each other", hint="write it into the policy's rule")
    from attest.rules import source

    return source.from_file(path, trusted, repo)


def read_parsed(path: Path, parse: Callable[[bytes], T]) -> T:
    """What a file says that the user named. One that is malformed says nothing of objects: `UnavailableError`."""
    try:
        return parse(read_file(path, MAX_FILE_BYTES))
    except MalformedError as error:
        raise UnavailableError(f"{path}: {error.message}", hint=error.hint) from None


def home() -> Path:
    """Where this user's state is."""
    return location.default(os.environ)
