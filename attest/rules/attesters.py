"""Who may attest what (`[[attesters]]` of a policy): a verifier, the types it states, and where it may."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from attest import keys
from attest.errors import MalformedError
from attest.rules.model import Attesting, OpenIdSubject
from attest.rules.reading import Table, twice

MAX_THRESHOLD = 16
"""As many signatures as an envelope may have."""

_TYPE = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]{1,500}")


def read(tables: Iterable[Table]) -> tuple[Attesting, ...]:
    """The section as it stands; `MalformedError` that names the place."""
    made = tuple(map(_attesting, tables))
    if (again := twice(each.name for each in made)) is not None:
        raise MalformedError(f"attesters: {again!r} stands there twice")
    return made


def _attesting(table: Table) -> Attesting:
    name, threshold = table.name("name"), table.number("threshold")
    made = Attesting(
        name=name,
        keys=table.parsed("keys", lambda key, value: _key(table, key, value)) or (),
        certificates=table.patterns("certificates") or (),
        sigstore=tuple(subject(item) for item in table.tables("sigstore")),
        ids=table.patterns("ids") or (),
        predicates=table.parsed("predicates", lambda key, value: _type(table, key, value)),
        refs=table.patterns("refs"),
        repositories=table.patterns("repositories"),
        threshold=1 if threshold is None else threshold,
    )
    table.done()
    if not (made.keys or made.certificates or made.sigstore):
        raise MalformedError(
            f"{table.where} says of nobody that he may attest", hint="give it keys, certificates or sigstore"
        )
    if not 1 <= made.threshold <= MAX_THRESHOLD:
        raise MalformedError(f"{table.where}.threshold is {made.threshold}, not 1 to {MAX_THRESHOLD}")
    if not made.certificates and made.threshold > len(made.keys) + len(made.sigstore):
        raise MalformedError(f"{table.where} wants {made.threshold} signers and names fewer, so nothing would count")
    return made


def subject(table: Table) -> OpenIdSubject:
    """An identity of an OpenID provider; `MalformedError` that names the place."""
    made = OpenIdSubject(table.needed("issuer"), table.needed("identity"))
    table.done()
    return made


def _key(table: Table, key: str, value: str) -> str:
    """The body of a public key's PEM file, on one line."""
    try:
        keys.parse_spki(base64.b64decode(value, validate=True))
    except (MalformedError, binascii.Error):
        hint = "give what stands between the lines of: openssl pkey -in KEY -pubout"
        raise MalformedError(f"{table.place(key)}: {value[:80]!r} is no public key", hint=hint) from None
    return value


def _type(table: Table, key: str, value: str) -> str:
    if not _TYPE.fullmatch(value):
        raise table.bad(key, value, "is no URI of a predicate type")
    return value
