"""What a proof proved: who stands at the authority's door, how that was shown, and until when it may be used.

Every proof (`proofs/`) is a plain function that returns one of these or raises `RefusedError`; nothing after it asks
how. An identity gives nothing by itself: an account, a grant or a workload rule does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

from attest.fulcio import Ci
from attest.types import Authentication, PrincipalKind

SEGMENT = "!~*'()"
"""What encodeURIComponent leaves alone beside letters, digits and `-_.` (`authority-protocol.md` 3)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who was proven.

    `method` is upstream's word for the proof (`passkey`, `gha-oidc`, `oidc:<issuer>`, `bootstrap`, `invite`, `bridge`)
    and goes into the certificate's authentication extension. `issuer` and `subject` name somebody at an identity
    provider; `account` names somebody on record here. `claims` are the facts that workload rules match and
    certificates repeat, under their names at the provider. `once` is the value that may be used a single time
    (a token's jti, qualified by its issuer), to be remembered until `expires`. `names` are the segments of a
    workload's URI, and `ci` what certificates say of a job under Fulcio's identifiers.
    """

    method: str
    kind: PrincipalKind
    authentication: Authentication
    issuer: str = ""
    subject: str = ""
    account: str = ""
    session: str = ""
    scopes: tuple[str, ...] = ()
    claims: Mapping[str, str] = field(default_factory=dict)
    once: str = ""
    expires: datetime | None = None
    names: tuple[str, ...] = ()
    ci: Ci = ()


def uri(trust_domain: str, *segments: str) -> str:
    """`wimse://<trust domain>/<segment>/...`, each segment encoded: a slash in a name is never a separator."""
    return "/".join((f"wimse://{trust_domain}", *(quote(each, safe=SEGMENT) for each in segments)))
