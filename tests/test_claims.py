from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import claims
from attest.claims import Claims
from attest.errors import MalformedError
from attest.types import Assurance, Authentication, Constraints, Principal, PrincipalKind
from tests import der
from tests.der import octets, retagged, seq, utf8
from tests.forge import AGENT, ALICE, VERIFIER

FULL = replace(
    AGENT,
    task_digest=bytes(range(32)),
    constraints=Constraints(repositories=("https://git.example/app",), branches=("main", "agents/*")),
    depth=1,
)


def written(
    made: Claims,
    *,
    version: int = 1,
    kind: str | None = None,
    assurance: str | None = None,
    authentication: str | None = None,
    digest: bytes | None = None,
    extra: bytes = b"",
) -> bytes:
    """The same, by a second encoder: the fields of `docs`, context tags for what is optional (X.690 section 8.14)."""
    who, limits = made.represented, made.constraints
    parts = [
        der.integer(version),
        utf8(kind or made.actor_kind),
        utf8(made.actor_name),
        utf8(made.actor_email),
        utf8(assurance or made.assurance),
    ]
    if who:
        person = seq(*map(utf8, (who.id, who.kind, who.display, who.email, authentication or who.authentication)))
        parts.append(retagged(0xA0, person))
    if made.grant_id:
        grant = seq(utf8(made.grant_id), octets(made.grant_sha256 if digest is None else digest))
        parts.append(retagged(0xA1, grant))
    if made.session:
        parts.append(retagged(0x82, utf8(made.session)))
    if made.task_digest:
        parts.append(retagged(0x83, octets(made.task_digest)))
    if limits.repositories or limits.branches:
        lists = (seq(*map(utf8, items)) for items in (limits.repositories, limits.branches))
        parts.append(retagged(0xA4, seq(*lists)))
    if made.depth:
        parts.append(retagged(0x85, der.integer(made.depth)))
    return seq(*parts, extra)


@pytest.mark.parametrize("made", [AGENT, VERIFIER, FULL], ids=["an agent's", "the verifier's", "all fields"])
def test_claims_are_written_as_declared_and_read_back(made: Claims) -> None:
    assert claims.encode(made) == written(made)
    assert claims.decode(written(made)) == made


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (written(FULL, version=2), "another version"),
        (written(FULL, kind="robot"), "'robot' is not a known PrincipalKind"),
        (written(FULL, kind="Agent"), "'Agent' is not a known"),
        (written(FULL, assurance="certain"), "'certain' is not a known Assurance"),
        (written(FULL, authentication="password"), "'password' is not a known Authentication"),
        (written(FULL, digest=bytes(31)), "not DER of Claims"),
        (written(FULL, digest=b""), "not DER of Claims"),
        (written(FULL, extra=retagged(0x86, utf8("x"))), "not DER of Claims"),
        (written(VERIFIER, extra=retagged(0x85, der.integer(0))), "canonical form"),
        (written(VERIFIER, extra=retagged(0x85, der.integer(256))), "depth of 256"),
        (written(VERIFIER, extra=retagged(0x85, der.integer(-1))), "depth of -1"),
        (written(FULL) + b"\0", "not DER of Claims"),
        (written(VERIFIER, extra=retagged(0x82, utf8(""))), "canonical form"),
        (written(VERIFIER, extra=retagged(0x83, octets(b""))), "canonical form"),
        (written(VERIFIER, extra=retagged(0xA4, seq(seq(), seq()))), "canonical form"),
        (written(VERIFIER, extra=retagged(0xA1, seq(utf8(""), octets(bytes(32))))), "canonical form"),
        (bytes(claims.MAX_CLAIMS_BYTES + 1), "at most"),
        (b"", "not DER of Claims"),
    ],
    ids=[
        "another version",
        "an unknown kind of actor",
        "a kind in other case",
        "an unknown assurance",
        "an unknown authentication",
        "a grant digest of 31 bytes",
        "no grant digest",
        "a field that does not exist",
        "a delegation depth of nothing",
        "a delegation depth beyond what a grant holds",
        "a negative delegation depth",
        "a byte after the end",
        "an empty session",
        "an empty task digest",
        "constraints that do not constrain",
        "a grant without id",
        "more bytes than are read",
        "no bytes",
    ],
)
def test_claims_that_would_not_be_written_are_malformed(data: bytes, text: str) -> None:
    with pytest.raises(MalformedError, match=text):
        claims.decode(data)


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (AGENT, "agent-7 for Alice Example <alice@example.org> (same-user, self-asserted)"),
        (VERIFIER, "verifier <verifier@authority.example.invalid> (same-user)"),
        (
            replace(
                AGENT, represented=replace(ALICE, authentication=Authentication.PASSKEY), assurance=Assurance.OTHER_USER
            ),
            "agent-7 for Alice Example <alice@example.org> (other-user, passkey)",
        ),
    ],
)
def test_a_person_reads_who_acts_for_whom_and_what_vouches_for_it(made: Claims, line: str) -> None:
    assert made.summary() == line


TEXT = st.text(max_size=20)
PRINCIPALS = st.builds(
    Principal,
    id=TEXT,
    kind=st.sampled_from(PrincipalKind),
    name=st.just(""),
    display=TEXT,
    email=TEXT,
    authentication=st.sampled_from(Authentication),
)
ANY = st.builds(
    Claims,
    actor_kind=st.sampled_from(PrincipalKind),
    actor_name=TEXT,
    actor_email=TEXT,
    assurance=st.sampled_from(Assurance),
    represented=st.none() | PRINCIPALS,
    grant_id=st.text(min_size=1, max_size=20),
    grant_sha256=st.binary(min_size=32, max_size=32),
    session=TEXT,
    task_digest=st.binary(max_size=32),
    constraints=st.builds(
        Constraints,
        repositories=st.lists(TEXT, max_size=3).map(tuple),
        branches=st.lists(TEXT, max_size=3).map(tuple),
    ),
)


@given(ANY)
@settings(derandomize=True, max_examples=200)
def test_whatever_is_written_is_read_back(made: Claims) -> None:
    assert claims.encode(made) == written(made)
    assert claims.decode(claims.encode(made)) == made


SAMPLE = claims.encode(FULL)


@given(st.integers(0, 8 * len(SAMPLE) - 1) | st.binary(max_size=200))
@settings(derandomize=True, max_examples=500)
def test_any_bytes_are_malformed_or_claims_that_encode_back_to_them(change: int | bytes) -> None:
    if isinstance(change, int):
        flipped = bytearray(SAMPLE)
        flipped[change // 8] ^= 1 << change % 8
        data = bytes(flipped)
    else:
        data = change
    try:
        made = claims.decode(data)
    except MalformedError:
        return
    assert claims.encode(made) == data
