"""Sign as the verifier principal of a home (design D10).

One enrolment serves a whole batch; its key exists in memory for that long and is never the key that
signed a commit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from attest import dsse, home, stamps, statement, store, timestamp
from attest.attester import Attester
from attest.errors import UnavailableError
from attest.keys import PublicKey
from attest.policy import Context
from attest.profile import Profile
from attest.repository import Repository
from attest.trust import Trust
from attest.types import Outcome, Verdict
from attest.verify import Examination
from notme_git.authority import epochs, grants
from notme_git.authority.embedded import Authority, opened
from notme_git.config import Config
from notme_git.enroll import local
from notme_git.enroll.local import Credential

SCOPE = "sign:attestation"


@dataclass(slots=True)
class HomeAttester:
    """The verifier principal of an embedded authority: an `attest.attester.Attester`.

    What it signs is a Sigstore bundle v0.3 with its certificate and the authority's RFC 3161 time-stamp. It enrols
    anew when the certificate has ended.
    """

    authority: Authority
    trusted: Trust
    credential: Credential

    @classmethod
    def enroll(cls, authority: Authority, trusted: Trust, at: datetime) -> HomeAttester:
        """With a credential that is good from `at` on, and for statements only."""
        return cls(authority, trusted, _enroll(authority, trusted, at))

    @property
    def id(self) -> str:
        """As `Attester` has it: the URI in the certificate."""
        return self.credential.chain.leaf.uri

    @property
    def public(self) -> PublicKey:
        """As `Attester` has it."""
        return self.credential.chain.leaf.key

    def sign(self, payload: bytes, at: datetime) -> bytes:
        """As `Attester` has it."""
        if at > self.credential.chain.leaf.not_after:
            self.credential = _enroll(self.authority, self.trusted, at)
        signature = self.credential.sign(dsse.pae(dsse.PAYLOAD_TYPE, payload))
        # No key id: stock Sigstore verifiers pass over a signature whose id is not their own digest of the key.
        return dsse.assemble(
            payload,
            signature,
            certificate=self.credential.der,
            timestamp_response=timestamp.response(self.credential.stamp(signature, at)),
        ).encode()


def _enroll(authority: Authority, trusted: Trust, at: datetime) -> Credential:
    grant = grants.select(authority.store.grants(), grants.VERIFIER, scope=SCOPE, at=at)
    return local.enroll(authority, grant, Profile.NOTME, SCOPE, trusted.anchors, at)


def of_home(at: datetime) -> HomeAttester:
    """The verifier of this run's home. Its authority is closed with the context of the command that runs."""
    config = Config.read()
    authority: Authority = click.get_current_context().with_resource(opened(config.home))
    epochs.catch_up(authority)
    return HomeAttester.enroll(authority, home.read_trust(config.home), at)


@dataclass(frozen=True, slots=True)
class Attested:
    """One stored statement: about which object, with what result, signed by whom (URI)."""

    object_id: str
    result: str
    signer: str
    bundle: bytes

    def data(self) -> dict[str, Any]:
        """For `--json`."""
        return {"object": self.object_id, "result": self.result, "signer": {"identity": self.signer}}


def attest(
    attester: Attester,
    place: Path,
    repository: Repository,
    pairs: Sequence[tuple[Examination, Verdict]],
    context: Context,
    at: datetime,
) -> list[Attested]:
    """Sign and store a statement for each judged object; what could not be checked gets none.

    The time-stamps that the home `place` kept of those objects go with them, for verifiers elsewhere.
    """
    made = [_sign(attester, *pair, context, at) for pair in pairs if stated(pair)]
    if made:
        lines = {item.object_id: [item.bundle, *_spooled(place, item.object_id)] for item in made}
        store.append(repository, lines, at=at)
    return made


def stated(pair: tuple[Examination, Verdict]) -> bool:
    """Whether there is something to state of it: what could not be checked is passed over."""
    return pair[1].outcome is not Outcome.COULD_NOT_CHECK


def _spooled(place: Path, object_id: str) -> list[bytes]:
    return [stamps.encode(object_id, token) for token in stamps.spooled(place, object_id)]


def _sign(
    attester: Attester, examination: Examination, verdict: Verdict, context: Context, at: datetime
) -> Attested:
    payload = statement.build(
        examination, verdict, verifier_id=attester.id, repository=context.repository, ref=context.ref, at=at
    )
    result = "PASSED" if verdict.outcome in (Outcome.ACCEPTED, Outcome.ACCEPTED_TIME_UNPROVEN) else "FAILED"
    return Attested(examination.object_id, result, attester.id, attester.sign(payload, at))


def write_out(path: Path, bundle: bytes) -> None:
    """Write one bundle to `path`, whole or not at all."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        temporary.write_bytes(bundle if bundle.endswith(b"\n") else bundle + b"\n")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UnavailableError(f"cannot write {path}: {error.strerror}") from None
