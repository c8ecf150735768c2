"""An `attest.attester.Attester` that signs keylessly: with a new key, a certificate of ten minutes, a public log entry.

One token and one certificate serve a batch; a certificate that ends is followed by another while the token is good.
What comes back from the instance is held against the trusted root of its own configuration before anybody gets it, so
that a wrong answer is an error and never a statement.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from attest.attester_options import Keyless
from attest.errors import Error, MalformedError, UnavailableError, UsageError
from attest.foreign.sigstore import SigstoreRoot
from attest.keyless.bundle import KeylessBundle
from attest.keyless.verify import Identity, identity_of, verify_keyless
from attest.keys import PublicKey
from notme_git.keyless import calls, token

MARGIN = timedelta(seconds=60)
"""A certificate that ends sooner is not signed with: the log's clock decides whether it was still valid."""

MAX_CONFIG_BYTES = 1024 * 1024

_PUBLIC = "sigstore.models"


@functools.cache
def _statement_class() -> Any:
    """The package's statement with other bytes: it takes no subject by `gitCommit` alone, and writes JSON anew."""
    dsse = calls.load("sigstore.dsse")

    class Statement(dsse.Statement):  # type: ignore[misc,name-defined]
        def __init__(self, payload: bytes) -> None:
            self._contents = payload  # all that signing reads

    return Statement


@dataclass(slots=True)
class KeylessAttester:
    """Signs through one instance as the identity in one token. `clock` is asked again: a batch can outlive a leaf."""

    context: Any
    token: Any
    root: SigstoreRoot
    stamps: int
    clock: Callable[[], datetime]
    identity: Identity
    signer: Any
    ends: datetime

    @classmethod
    def enroll(cls, config: Any, identity_token: Any, clock: Callable[[], datetime]) -> KeylessAttester:
        """Have the instance of `config` certify a new key for the token's identity; `UnavailableError`."""
        sign = calls.load("sigstore.sign")

        def read() -> tuple[Any, SigstoreRoot, int]:
            root = SigstoreRoot.parse(config._inner.trusted_root.to_json().encode())
            made = sign.SigningContext.from_trust_config(config)
            calls.refuse_clear(made._fulcio.url, "certificate authority")
            # The token is in the body, which a redirect would have sent on to anywhere.
            made._fulcio.session.max_redirects = 0
            return made, root, len(config.signing_config.get_tsas())

        context, root, stamps = calls.bounded("the instance's configuration cannot be used", read)
        signer, certificate = _certified(context, identity_token)
        ends = certificate.not_valid_after_utc
        return cls(context, identity_token, root, stamps, clock, _identity(certificate), signer, ends)

    @property
    def id(self) -> str:
        """As `Attester` has it: `sigstore:ISSUER#SUBJECT`."""
        return self.identity.uri

    @property
    def public(self) -> PublicKey | None:
        """As `Attester` has it: no key lasts."""
        return None

    def sign(self, payload: bytes, at: datetime) -> bytes:
        """As `Attester` has it; `at` is not what counts here, the instance's clocks are."""
        del at
        if self.clock() + MARGIN > self.ends:
            self._renew()
        statement = _statement_class()(payload)
        made = calls.bounded("the instance did not sign", lambda: self.signer.sign_dsse(statement).to_json())
        line: bytes = made.encode()
        self._verify(line, payload)
        return line

    def _renew(self) -> None:
        if not self.token.in_validity_period():
            raise UnavailableError(
                "the identity token has ended before everything was signed",
                hint="attest shorter ranges, or have the provider give tokens that last longer",
            )
        self.signer, certificate = _certified(self.context, self.token)
        if _identity(certificate) != self.identity:
            raise UnavailableError("the instance certified another identity than before")
        self.ends = certificate.not_valid_after_utc

    def _verify(self, line: bytes, payload: bytes) -> None:
        try:
            bundle = KeylessBundle.parse(line)
            proven = verify_keyless(bundle, self.root, self.clock())
        except Error as error:
            raise UnavailableError(
                f"what the instance made does not verify under its own trusted root: {error.message}",
                hint="it was not stored; ask who runs the instance",
            ) from None
        if (proven.payload, proven.identity) != (payload, self.identity) or b"\n" in line:
            raise UnavailableError("the instance signed something else than was asked for")
        # The package goes on without a time-stamp that it did not get.
        if len(bundle.bundle.timestamps) < self.stamps:
            raise UnavailableError(
                "the instance's time-stamping authority gave no time-stamp", hint="it was not stored; try again later"
            )


def of_options(wanted: Keyless, terminal: bool, clock: Callable[[], datetime]) -> KeylessAttester:
    """The attester that the command line asks for. `terminal` says whether a person is there to log in."""
    if wanted.oauth and not terminal:
        raise UsageError("--oauth waits for a person with a browser, and this is no terminal")
    if not wanted.oauth:
        # Before the public instance is asked for anything.
        identity_token = token.parse(token.find(wanted.identity_token))
        return KeylessAttester.enroll(_read_config(wanted.trust_config), identity_token, clock)
    config = _read_config(wanted.trust_config)
    return KeylessAttester.enroll(config, token.log_in(config), clock)


def _read_config(path: Path | None) -> Any:
    """The package's `ClientTrustConfig`: of a file, or of Sigstore's public instance, brought up to date by TUF."""
    models = calls.load(_PUBLIC)
    if path is None:
        return calls.bounded("Sigstore's public configuration cannot be had", models.ClientTrustConfig.production)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from None
    try:
        if len(data) > MAX_CONFIG_BYTES:
            raise MalformedError("too large")
        return models.ClientTrustConfig.from_json(data.decode())
    except Exception:
        raise UnavailableError(
            f"{path} is no client trust configuration of Sigstore",
            hint="who runs the instance gives one: clienttrustconfig.v0.1 with a trusted root and a signing config",
        ) from None


def _certified(context: Any, identity_token: Any) -> tuple[Any, Any]:
    """A signer of the package with its certificate, which it keeps, and checks for Fulcio's promise to log it."""
    sign = calls.load("sigstore.sign")

    def ask() -> tuple[Any, Any]:
        signer = sign.Signer(identity_token, context)
        return signer, signer._signing_cert()

    return calls.bounded("the instance certified no key for the identity token", ask)


def _identity(certificate: Any) -> Identity:
    try:
        return identity_of(certificate)
    except Error as error:
        raise UnavailableError(f"the instance's certificate cannot be used: {error.message}") from None
