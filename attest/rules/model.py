"""What a policy says, in types that cannot hold anything else.

A policy is a list of rules in order. The first rule whose conditions (`Match`) hold decides: it denies, or it accepts
what meets its requirements (`Require`) and rejects the rest. Where no rule's conditions hold, nothing is accepted.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from attest.types import Assurance, Authentication, Voucher


class Class(enum.StrEnum):
    """What kind of signer stands behind an object; the last one is for objects without a signature."""

    HUMAN = "human"
    AGENT = "agent"
    WORKLOAD = "workload"
    UNSIGNED_LEGACY = "unsigned-legacy"


class Effect(enum.StrEnum):
    """What a rule does with the objects that its conditions hold for."""

    ALLOW = "allow"
    DENY = "deny"


class Format(enum.StrEnum):
    """Whose kind of signature: of an authority of ours, a plain or certified SSH key, and so on."""

    NOTME = "notme"
    SSH = "ssh"
    SIGSTORE = "sigstore"
    SMIME = "smime"
    OPENPGP = "openpgp"


class Kind(enum.StrEnum):
    """What is signed."""

    COMMIT = "commit"
    TAG = "tag"
    PUSH = "push-certificate"


class AuthoredBy(enum.StrEnum):
    """Who may stand in the author line beside the signer: nobody, members of one of its groups, or anybody."""

    SELF = "self"
    GROUP = "group"
    ANYONE = "anyone"


class Followed(enum.StrEnum):
    """Which rewrite records lead on: those that the commits here bear out, or any that counts."""

    REWRITE = "rewrite"
    RECORD = "record"


class Tolerated(enum.StrEnum):
    """The gravest contradiction that a rule lets pass."""

    NONE = "none"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


ANYONE = "*"
"""In `represented`: somebody, whoever it is."""


@dataclass(frozen=True, slots=True, order=True)
class OpenIdSubject:
    """An identity of an OpenID provider, as Sigstore's certificates name it."""

    issuer: str
    identity: str


@dataclass(frozen=True, slots=True)
class Named:
    """A principal as the policy knows it: a name, and what a signature is recognised by.

    `certificates` are URIs in certificates of our authorities, of the actor or of who is represented; they are
    patterns. `ssh_keys` maps fingerprints (`SHA256:...`) to the public key's line, empty where the policy gives the
    fingerprint alone. `openpgp` are lower-case fingerprints.
    """

    name: str
    kind: Class
    emails: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    ssh_keys: Mapping[str, str] = field(default_factory=dict)
    openpgp: tuple[str, ...] = ()
    sigstore: tuple[OpenIdSubject, ...] = ()


@dataclass(frozen=True, slots=True)
class Attesting:
    """Who may attest what. One of its keys, certificates' URIs or identities signs; `threshold` of them have to.

    `keys` are SubjectPublicKeyInfo in base64; `ids` patterns of what its statements may call the verifier, without any
    each one its own URI. Types are compared literally, refs and repositories are patterns; None is not limited.
    """

    name: str
    keys: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    sigstore: tuple[OpenIdSubject, ...] = ()
    ids: tuple[str, ...] = ()
    predicates: tuple[str, ...] | None = None
    refs: tuple[str, ...] | None = None
    repositories: tuple[str, ...] | None = None
    threshold: int = 1


@dataclass(frozen=True, slots=True)
class Match:
    """When a rule speaks. Every condition that is given has to hold; None is one that is not given.

    `paths` holds where every changed path is among them (a denying rule: where any is), `touches` where any is. Dates
    are unix seconds; `actors` are names of principals, groups resolved; `ancestors_of` are object ids. With `through`
    classes and actors are those of the commits that a rewrite record leads to.
    """

    refs: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None
    touches: tuple[str, ...] | None = None
    classes: frozenset[Class] | None = None
    kinds: frozenset[Kind] | None = None
    actors: frozenset[str] | None = None
    before: int | None = None
    after: int | None = None
    ancestors_of: tuple[str, ...] | None = None
    through: Followed | None = None


@dataclass(frozen=True, slots=True)
class Require:
    """What an allowing rule demands of an object that it speaks of; None is not demanded."""

    actors: frozenset[str] | None = None
    represented: frozenset[str] | None = None
    represented_authentication: frozenset[Authentication] | None = None
    scopes: tuple[str, ...] = ()
    assurance: Assurance | None = None
    evidence: Voucher | None = None
    algorithms: frozenset[str] | None = None
    trailers: tuple[str, ...] = ()
    forbidden_trailers: tuple[str, ...] = ()
    max_bundle_age: int | None = None
    contradictions: Tolerated = Tolerated.ERROR
    forbidden_contradictions: frozenset[str] = frozenset()
    authored_by: AuthoredBy = AuthoredBy.ANYONE


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    name: str
    effect: Effect = Effect.ALLOW
    match: Match = Match()
    require: Require = Require()

    @property
    def takes_unsigned(self) -> bool:
        """Whether it speaks of objects without a signature, which a rule does only where it says so."""
        return self.match.classes is not None and Class.UNSIGNED_LEGACY in self.match.classes


@dataclass(frozen=True, slots=True)
class Document:
    """A whole policy. `anchors` are SHA-256 of SPKIs; None, like no `formats`, leaves what the verifier goes by.

    `tsa_roots` are certificates and `witnesses` public keys, base64 of DER, that are believed about the time.
    """

    rules: tuple[Rule, ...]
    name: str = ""
    anchors: frozenset[bytes] | None = None
    formats: frozenset[Format] | None = None
    principals: tuple[Named, ...] = ()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    attesters: tuple[Attesting, ...] = ()
    tsa_roots: tuple[str, ...] = ()
    witnesses: tuple[str, ...] = ()

    @property
    def digest(self) -> bytes:
        """SHA-256 of what it says: the same for two files that differ in spelling alone."""
        plain = asdict(self)
        for later in ("attesters", "tsa_roots", "witnesses"):
            if not plain[later]:
                del plain[later]
        for rule in plain["rules"]:
            # What came later, and is not said, leaves the digests of older policies as they were.
            if rule["match"]["through"] is None:
                del rule["match"]["through"]
        return hashlib.sha256(json.dumps(plain, sort_keys=True, default=_plain).encode()).digest()


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, frozenset):
        return sorted(item.hex() if isinstance(item, bytes) else str(item) for item in value)
    raise TypeError(type(value).__name__)
