"""The identity token that Fulcio is shown: a secret for some minutes.

It comes from a file that was named, else from SIGSTORE_ID_TOKEN, else from the CI provider that runs us; a person logs
in with a browser only where that was asked for. It is never in an argument, a log or an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attest.errors import UnavailableError
from notme_git.keyless import calls, secret

MAX_BYTES = 64 * 1024
_WHERE = f"name a file with --identity-token, set {secret.VARIABLE}, or give --oauth; in CI: docs/keyless.md"

_PERMISSION = "in GitHub Actions the job needs `permissions: id-token: write`, which pull requests of forks never get"


def find(file: Path | None) -> str:
    """The token as text: the file's, the variable's, or the CI provider's. `UnavailableError` where there is none."""
    if file is not None:
        return _checked(_read(file), str(file))
    if (held := secret.held()) is not None:
        return _checked(held, secret.VARIABLE)
    oidc = calls.load("sigstore.oidc")
    found: str | None = calls.bounded(
        "the CI provider gives no identity token", oidc.detect_credential, hint=_PERMISSION
    )
    if not found:
        raise UnavailableError("there is no identity token to sign with", hint=_WHERE)
    return _checked(found, "the CI provider")


def parse(text: str) -> Any:
    """The package's `IdentityToken`; `UnavailableError` without a word of what is in it."""
    oidc = calls.load("sigstore.oidc")
    try:
        return oidc.IdentityToken(text)
    except Exception:
        raise UnavailableError(
            "the identity token cannot be used: it is malformed, has ended, or is for another audience than 'sigstore'",
            hint="get a new one from your provider",
        ) from None


def log_in(config: Any) -> Any:
    """Have a person log in with a browser at the instance's provider; an `IdentityToken`."""
    oidc = calls.load("sigstore.oidc")

    def ask() -> Any:
        url = config.signing_config.get_oidc_url()
        calls.refuse_clear(url, "OpenID provider")
        return oidc.Issuer(url)

    provider = calls.bounded("the instance's OpenID provider cannot be asked", ask)
    try:
        return provider.identity_token()
    except Exception as error:
        raise UnavailableError(f"the login did not end with a token ({type(error).__name__})") from None


def _read(file: Path) -> str:
    try:
        with open(file, "rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        return data.decode("ascii")
    except OSError as error:
        raise UnavailableError(f"cannot read the identity token in {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnavailableError(f"{file} holds no identity token", hint=_WHERE) from None


def _checked(text: str, source: str) -> str:
    token = text.strip()
    if not token or len(text) > MAX_BYTES or not token.isascii() or not token.isprintable():
        raise UnavailableError(f"{source} holds no identity token", hint=_WHERE)
    return token
