"""The anchors as a Sigstore trusted root (protobuf-specs, `sigstore_trustroot.proto`, JSON form), for stock verifiers.

Our authority has no transparency logs: the certificate authorities and the time-stamping authorities are all.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from cryptography import x509

MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"


def build(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, Any]:
    """`pairs` of root and time-stamping certificate under it (DER); returns the JSON document."""
    return {
        "mediaType": MEDIA_TYPE,
        "tlogs": [],
        "certificateAuthorities": [_authority(root) for root, _ in pairs],
        "ctlogs": [],
        "timestampAuthorities": [_authority(tsa, root) for root, tsa in pairs],
    }


def _authority(*chain: bytes) -> dict[str, Any]:
    """One entry, its chain leaf first."""
    root = x509.load_der_x509_certificate(chain[-1])
    names = root.subject.get_attributes_for_oid
    return {
        "subject": {
            "organization": str(names(x509.NameOID.ORGANIZATION_NAME)[0].value),
            "commonName": str(names(x509.NameOID.COMMON_NAME)[0].value),
        },
        "uri": "",
        "certChain": {"certificates": [{"rawBytes": base64.b64encode(der).decode()} for der in chain]},
        "validFor": {"start": f"{root.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"},
    }
