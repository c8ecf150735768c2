"""From the bytes of a policy file to a `Document`: strict, typed, and nothing unknown is passed over."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping

from attest.errors import MalformedError
from attest.rules import attesters, reading
from attest.rules.model import (
    ANYONE,
    AuthoredBy,
    Class,
    Document,
    Effect,
    Followed,
    Format,
    Kind,
    Match,
    Named,
    Require,
    Rule,
    Tolerated,
)
from attest.rules.reading import Table
from attest.types import Assurance, Authentication, Voucher

VERSION = 1

_ANCHOR = re.compile(r"sha256:[0-9a-f]{64}")
_SSH_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_OPENPGP = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TRAILER = re.compile(r"[A-Za-z0-9-]{1,100}")
_SSH_TYPE = re.compile(r"[a-z0-9@.-]{1,100}")

People = Mapping[str, frozenset[str]]
"""What a name in a rule stands for: one principal, or the members of a group."""


def parse(data: bytes) -> Document:
    """A policy file, at most `reading.MAX_BYTES`. Raises `MalformedError` that names the place."""
    table = reading.read(data)
    version = table.number("version")
    if version != VERSION:
        raise MalformedError(f"a policy of version {version}; only {VERSION} is read", hint="it begins: version = 1")
    name = table.name("name") if "name" in table else ""
    trust = table.table("trust")
    anchors = trust.parsed("anchors", lambda key, value: _like(trust, key, value, _ANCHOR, "is no sha256:HEX of a key"))
    formats = trust.choices("formats", Format)
    tsa_roots = trust.parsed("tsa_roots", lambda key, value: _encoded(trust, key, value)) or ()
    witnesses = trust.parsed("witnesses", lambda key, value: _encoded(trust, key, value)) or ()
    trust.done()
    principals = tuple(_principal(item) for item in table.tables("principals"))
    _check_once(principals)
    groups = _groups(table.table("groups"), {each.name for each in principals})
    people = {**{each.name: frozenset({each.name}) for each in principals}, **groups}
    rules = tuple(_rule(item, people) for item in table.tables("rules"))
    attesting = attesters.read(table.tables("attesters"))
    table.done()
    _distinct("rules", [rule.name for rule in rules])
    return Document(
        rules=rules,
        name=name,
        anchors=None if anchors is None else frozenset(bytes.fromhex(a.removeprefix("sha256:")) for a in anchors),
        formats=formats,
        tsa_roots=tsa_roots,
        witnesses=witnesses,
        principals=principals,
        groups=groups,
        attesters=attesting,
    )


def _encoded(table: Table, key: str, value: str) -> str:
    """Base64 of DER, as it stands between the lines of PEM."""
    try:
        if base64.b64encode(base64.b64decode(value, validate=True)).decode() == value:
            return value
    except (binascii.Error, ValueError):
        pass
    raise table.bad(key, value, "is no base64 of DER: join the lines between BEGIN and END of a PEM file")


def _principal(table: Table) -> Named:
    name, kind = table.name("name"), table.choice("class", Class)
    if kind is None or kind is Class.UNSIGNED_LEGACY:
        raise MalformedError(f"{table.where} has no class: human, agent or workload")
    keys = table.parsed("ssh_keys", lambda key, value: _ssh_key(table, key, value)) or ()
    openpgp = table.parsed("openpgp", lambda key, value: _openpgp(table, key, value)) or ()
    made = Named(
        name=name,
        kind=kind,
        emails=table.parsed("emails", lambda key, value: _email(table, key, value)) or (),
        certificates=table.patterns("certificates") or (),
        ssh_keys={fingerprint(key): ("" if _SSH_FINGERPRINT.fullmatch(key) else key) for key in keys},
        openpgp=openpgp,
        sigstore=tuple(attesters.subject(item) for item in table.tables("sigstore")),
    )
    table.done()
    return made


def _check_once(principals: Iterable[Named]) -> None:
    """One key, certificate or identity stands for one principal: who signed could else not be said."""
    found: list[str] = []
    for each in principals:
        found += [*each.certificates, *each.ssh_keys, *each.openpgp]
        found += [f"{subject.identity} of {subject.issuer}" for subject in each.sigstore]
    _distinct("principals", found)
    _distinct("principals", [each.name for each in principals])


def _groups(table: Table, known: set[str]) -> dict[str, frozenset[str]]:
    """Groups by name. An empty one is allowed, and `policy lint` speaks of it."""
    made = {}
    for name in table:
        table.as_name(name, name)
        if name in known:
            raise table.bad(name, name, "is the name of a principal too")
        members = table.listed(name)
        for member in members:
            if member not in known:
                raise table.unknown(name, member, known)
        made[name] = frozenset(members)
    return made


def _rule(table: Table, people: People) -> Rule:
    name, effect = table.name("name"), table.choice("effect", Effect) or Effect.ALLOW
    match = _match(table.table("match"), people)
    if effect is Effect.DENY and "require" in table:
        raise MalformedError(f"{table.where} denies, and so it requires nothing", hint="use match, or effect = 'allow'")
    wanted = table.table("require")
    rule = Rule(name, effect, match, _require(wanted, people))
    table.done()
    _check_through(table, rule, beside=set(wanted) - {"actors", "represented"})
    if rule.takes_unsigned and effect is Effect.ALLOW and match.ancestors_of is None:
        raise MalformedError(
            f"{table.where} allows unsigned-legacy without ancestors_of: anybody can write an early date",
            hint="name the last unsigned commit: ancestors_of = ['ID']",
        )
    return rule


def _check_through(table: Table, rule: Rule, *, beside: set[str]) -> None:
    """What a rule that follows rewrite records may ask: of the commit where it goes, of the old ones whose they are."""
    if rule.match.through is None:
        return
    if rule.effect is Effect.DENY:
        raise MalformedError(
            f"{table.where} denies through a rewrite record: who leaves the record out would be let in",
            hint="deny by what the commit is itself",
        )
    if rule.takes_unsigned:
        raise MalformedError(
            f"{table.where}: through leads to signed commits, and unsigned-legacy is none",
            hint="name the classes of those who signed them",
        )
    if beside or rule.match.kinds is not None:
        raise MalformedError(
            f"{table.where}: with through, a rule requires actors and represented alone, and takes no kinds",
            hint="what else old commits have to meet, the rules that accept them say",
        )


def _match(table: Table, people: People) -> Match:
    made = Match(
        refs=table.patterns("refs"),
        paths=table.patterns("paths"),
        touches=table.patterns("touches"),
        classes=table.choices("classes", Class),
        kinds=table.choices("kinds", Kind),
        actors=_people(table, "actors", people),
        before=table.instant("before"),
        after=table.instant("after"),
        ancestors_of=table.parsed(
            "ancestors_of", lambda key, value: _like(table, key, value, _OBJECT_ID, "is no object id in full")
        ),
        through=table.choice("through", Followed),
    )
    table.done()
    if made.before is not None and made.after is not None and made.before <= made.after:
        raise MalformedError(f"{table.where}: before is not later than after, so that nothing is between them")
    return made


def _require(table: Table, people: People) -> Require:
    def trailer(key: str, value: str) -> str:
        return _like(table, key, value, _TRAILER, "is no name of a trailer")

    algorithms = table.texts("algorithms")
    made = Require(
        actors=_people(table, "actors", people),
        represented=_people(table, "represented", {**people, ANYONE: frozenset({ANYONE})}),
        represented_authentication=table.choices("represented_authentication", Authentication),
        scopes=table.texts("scopes") or (),
        assurance=table.choice("assurance", Assurance),
        evidence=table.choice("evidence", Voucher),
        algorithms=None if algorithms is None else frozenset(algorithms),
        trailers=table.parsed("trailers", trailer) or (),
        forbidden_trailers=table.parsed("forbidden_trailers", trailer) or (),
        max_bundle_age=table.duration("max_bundle_age"),
        contradictions=table.choice("contradictions", Tolerated) or Tolerated.ERROR,
        forbidden_contradictions=frozenset(table.texts("forbidden_contradictions") or ()),
        authored_by=table.choice("authored_by", AuthoredBy) or AuthoredBy.ANYONE,
    )
    table.done()
    return made


def _people(table: Table, key: str, people: People) -> frozenset[str] | None:
    names = table.texts(key)
    if names is None:
        return None
    for name in names:
        if name not in people:
            raise table.unknown(key, name, people)
    return frozenset[str]().union(*(people[name] for name in names))


def fingerprint(key: str) -> str:
    """`SHA256:...` of a public key's line as ssh-keygen prints it, or the fingerprint that it is already."""
    if _SSH_FINGERPRINT.fullmatch(key):
        return key
    digest = hashlib.sha256(base64.b64decode(key.split(" ")[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _ssh_key(table: Table, key: str, value: str) -> str:
    """A fingerprint, or type and base64 of a public key; a comment after them is left out."""
    if _SSH_FINGERPRINT.fullmatch(value):
        return value
    words = value.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
        named = int.from_bytes(blob[:4], "big")
        if _SSH_TYPE.fullmatch(words[0]) and blob[4 : 4 + named] == words[0].encode():
            return f"{words[0]} {base64.b64encode(blob).decode()}"
    except (IndexError, binascii.Error):
        pass
    raise table.bad(key, value, "is neither SHA256:... nor the line of a public key")


def _openpgp(table: Table, key: str, value: str) -> str:
    return _like(table, key, value.lower(), _OPENPGP, "is no fingerprint in full (40 or 64 hex digits)")


def _email(table: Table, key: str, value: str) -> str:
    if not is_email(value):
        raise table.bad(key, value, "is no e-mail address")
    return value


def is_email(value: str) -> bool:
    """Whether it can be one, and means itself alone in an allowed signers file."""
    local, _, domain = value.partition("@")
    return bool(local and domain and value.isprintable()) and not set(value) & set(' ,"<>*?!#')


def _like(table: Table, key: str, value: str, form: re.Pattern[str], what: str) -> str:
    if not form.fullmatch(value):
        raise table.bad(key, value, what)
    return value


def _distinct(what: str, names: list[str]) -> None:
    if (again := reading.twice(names)) is not None:
        raise MalformedError(f"{what}: {again[:80]!r} stands there twice")
