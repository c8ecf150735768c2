"""Sign what was verified, as the verifier principal, and store it beside the objects (design D10).

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

from attest import dsse, stamps, statement, store, timestamp
from attest.errors import UnavailableError
from attest.policy import Context
from attest.profile import Profile
from attest.repository import Repository
from attest.trust import Trust
from attest.types import Outcome, Verdict
from attest.verify import Examination
from notme_git.authority import grants
from notme_git.authority.embedded import Authority
from notme_git.enroll import local
from notme_git.enroll.local import Credential

SCOPE = "sign:attestation"


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
    authority: Authority,
    trusted: Trust,
    repository: Repository,
    pairs: Sequence[tuple[Examination, Verdict]],
    context: Context,
    at: datetime,
) -> list[Attested]:
    """Sign and store a statement for each judged object; what could not be checked gets none.

    The time-stamps that this home kept of those objects go with them, for verifiers elsewhere.
    """
    judged = [(e, v) for e, v in pairs if v.outcome is not Outcome.COULD_NOT_CHECK]
    if not judged:
        return []
    credential = enroll(authority, trusted, at)
    made = [sign(credential, examination, verdict, context, at) for examination, verdict in judged]
    home = authority.directory.parent
    lines = {item.object_id: [item.bundle, *_spooled(home, item.object_id)] for item in made}
    store.append(repository, lines, at=at)
    return made


def _spooled(home: Path, object_id: str) -> list[bytes]:
    token = stamps.read_spool(home, object_id)
    return [] if token is None else [stamps.encode(object_id, token)]


def enroll(authority: Authority, trusted: Trust, at: datetime) -> Credential:
    """A credential of the verifier principal, good for statements only."""
    grant = grants.select(authority.store.grants(), grants.VERIFIER, scope=SCOPE, at=at)
    return local.enroll(authority, grant, Profile.NOTME, SCOPE, trusted.anchors, at)


def sign(
    credential: Credential, examination: Examination, verdict: Verdict, context: Context, at: datetime
) -> Attested:
    """One signed and time-stamped statement."""
    leaf = credential.chain.leaf
    payload = statement.build(
        examination, verdict, verifier_id=leaf.uri, repository=context.repository, ref=context.ref, at=at
    )
    signature = credential.sign(dsse.pae(dsse.PAYLOAD_TYPE, payload))
    # No key id: stock Sigstore verifiers pass over a signature whose id is not their own digest of the key.
    bundle = dsse.assemble(
        payload,
        signature,
        certificate=credential.der,
        timestamp_response=timestamp.response(credential.stamp(signature, at)),
    )
    result = "PASSED" if verdict.outcome in (Outcome.ACCEPTED, Outcome.ACCEPTED_TIME_UNPROVEN) else "FAILED"
    return Attested(examination.object_id, result, leaf.uri, bundle.encode())


def write_out(path: Path, bundle: bytes) -> None:
    """Write one bundle to `path`, whole or not at all."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        temporary.write_bytes(bundle if bundle.endswith(b"\n") else bundle + b"\n")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UnavailableError(f"cannot write {path}: {error.strerror}") from None
