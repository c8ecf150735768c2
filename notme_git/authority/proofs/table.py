"""Which proof speaks for whom: the providers of the settings, and proofs that other packages bring.

A package brings one with an entry point of group `notme_git.proofs`: a callable `(token, context) -> Identity` that
raises `RefusedError` for what proves nothing. It counts when the settings name it under `proofs.enabled`, and is
reached by `{"proof": {"type": NAME, "token": ...}}`. It is a plain function: it runs in a thread of its own, for
`TIMEOUT_S` at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import entry_points
from typing import Any, TypeAlias

from attest.errors import Error, RefusedError, UnavailableError, UsageError
from attest.types import PrincipalKind
from notme_git.authority.identity import Identity
from notme_git.authority.proofs import github, gitlab, jwt, kubernetes, oidc
from notme_git.authority.proofs.configured import Issuer, Proofs
from notme_git.authority.proofs.jwks import Keys
from notme_git.authority.proofs.jwt import TokenError, shown

GROUP = "notme_git.proofs"
TAKEN = (
    *PrincipalKind, "session", "bootstrap", "oidc", "bridge", "passkey", "invite", github.METHOD, "gha", "gitlab",
    "kubernetes"
)  # fmt: skip
"""No other proof may have these names: they are methods of ours, or begin the URIs of somebody else's identities."""

TIMEOUT_S = 10.0

_KINDS: Mapping[str, Callable[[Mapping[str, Any], Issuer], Identity]] = {
    "oidc": oidc.identify,
    "gitlab": gitlab.identify,
    "kubernetes": kubernetes.identify,
}


@dataclass(frozen=True, slots=True)
class ProofContext:
    """What another package's proof is told: this authority's URL, the time, and what was asked with the proof.

    `nonce` is the server's, used once; `preimage` is what the proofs of possession cover, empty where no keys came.
    """

    url: str
    at: datetime
    nonce: str
    preimage: bytes


Proof: TypeAlias = Callable[[str, ProofContext], Identity]


class Table:
    """The proofs that these settings take. `UsageError` for an enabled one that cannot be had."""

    def __init__(self, settings: Proofs) -> None:
        self.settings = settings
        self._github = Keys(github.provider(settings.github))
        self._keys = {each.issuer: Keys(each) for each in settings.issuers}
        self.others = {name: load(name) for name in settings.enabled}

    async def github(self, text: str, at: datetime) -> Identity:
        """A GitHub Actions job. Errors as in `github.identify`, `TokenError` and `UnavailableError`."""
        return github.identify(await _verified(self._github, jwt.parse(text), at), self.settings.github)

    async def token(self, text: str, at: datetime) -> Identity:
        """Whoever a token of any of the providers speaks of; `TokenError`, `RefusedError` or `UnavailableError`."""
        token = jwt.parse(text)
        keys = self._keys.get(token.issuer)
        if keys is None and token.issuer == self.settings.github.issuer:
            return await self.github(text, at)
        if keys is None:
            raise TokenError(f"wrong issuer: {shown(token.issuer)}")
        return _KINDS[keys.provider.kind](await _verified(keys, token, at), keys.provider)

    async def other(self, name: str, text: str, context: ProofContext) -> Identity:
        """Whoever the proof of `others` under that name speaks of. Its method and its URI say the name."""
        proof = self.others[name]
        try:
            async with asyncio.timeout(TIMEOUT_S):
                found = await asyncio.to_thread(proof, text, context)
            names = (name, *(found.names or (found.subject,)))
            return replace(found, method=name, names=names, account="", session="", scopes=())
        except Error:
            raise
        except TimeoutError:
            raise UnavailableError(f"the proof {name} took longer than {TIMEOUT_S:g} seconds") from None
        except Exception as error:
            raise RefusedError(f"the proof {name} failed: {type(error).__name__}") from None


def load(name: str) -> Proof:
    """The callable that an installed package registered under `name`; `UsageError`."""
    if name in TAKEN:
        raise UsageError(f"setting 'proofs.enabled': {name!r} is built in", hint="give the other proof another name")
    found = list(entry_points(group=GROUP, name=name))
    if len(found) != 1:
        many = "no installed package has" if not found else "several installed packages have"
        raise UsageError(f"setting 'proofs.enabled': {many} a proof {name!r}", hint=f"entry points of group {GROUP}")
    try:
        proof: Proof = found[0].load()
    except Exception as error:
        raise UsageError(f"the proof {name!r} cannot be loaded: {error}", hint="mend its package") from None
    if not callable(proof):
        raise UsageError(f"the proof {name!r} cannot be called", hint="docs/proofs.md says what one is")
    return proof


async def _verified(keys: Keys, token: jwt.Token, at: datetime) -> Mapping[str, Any]:
    provider = keys.provider
    jwt.check(token, issuer=provider.issuer, audiences=provider.audiences, algorithms=provider.algorithms, at=at)
    return jwt.verify(token, await keys.find(token, at))
