"""A policy proposed from the history that is there: what it already keeps to, written down as rules.

It names the principals that sign today, asks of each class what all of its objects bring, and lets through what is
unsigned up to the last unsigned commit. It repeats what verifies, and makes no judgement about who should sign: keys
that nobody vouched for yet are proposed as seen, for a person to compare.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from attest import gitobject, sshsig
from attest.errors import Error, Reason, Step
from attest.evidence import RANK
from attest.foreign import sshkeys
from attest.gitobject import ObjectKind
from attest.repository import Repository
from attest.row import Row, SignerKind
from attest.rules.document import is_email
from attest.rules.model import Class
from attest.types import Identity, Principal, PrincipalKind, StepStatus, Voucher

_CLASSES = {PrincipalKind.HUMAN: Class.HUMAN, PrincipalKind.AGENT: Class.AGENT, PrincipalKind.WORKLOAD: Class.WORKLOAD}
PLURAL = {Class.HUMAN: "humans", Class.AGENT: "agents", Class.WORKLOAD: "workloads"}
_NAME = re.compile(r"[^a-z0-9._-]+")


@dataclass(slots=True)
class Seen:
    """A principal of the history, and what it is recognised by."""

    name: str
    kind: Class
    emails: set[str] = field(default_factory=set)
    certificate: str = ""
    ssh_key: str = ""
    openpgp: str = ""
    sigstore: tuple[str, str] | None = None
    objects: int = 0
    vouched: bool = True


@dataclass(slots=True)
class Habit:
    """What all objects of a class have in common."""

    objects: int = 0
    named: bool = True
    represented: bool = True
    voucher: Voucher = Voucher.INDEPENDENT
    actors: set[str] = field(default_factory=set)


KeyOf = Callable[[str], str | None]
"""The line of the SSH key that signed an object (`ssh_key`)."""


@dataclass(slots=True)
class Proposal:
    """Collects rows in the order of `rev-list --topo-order`, children first, and writes what they have in common."""

    key_of: KeyOf
    seen: dict[str, Seen] = field(default_factory=dict)
    habits: dict[Class, Habit] = field(default_factory=dict)
    unsigned: list[str] = field(default_factory=list)
    unsigned_objects: int = 0
    failing: Counter[str] = field(default_factory=Counter)
    _under: set[str] = field(default_factory=set)
    _names: set[str] = field(default_factory=set)

    def add(self, row: Row) -> None:
        """Take in one object."""
        if row.finding(Step.SIGNATURE).reason == Reason.SIGNATURE_MISSING and row.kind == "commit":
            self._unsigned(row)
        elif row.object_id in self._under:
            self._under.update(row.parents)
        self._under.discard(row.object_id)
        if row.finding(Step.SIGNATURE).reason == Reason.SIGNATURE_MISSING:
            if row.kind != "commit":
                self.failing[Reason.SIGNATURE_MISSING] += 1
            return
        failed = next((f for f in row.findings if f.status is StepStatus.FAILED), None)
        if failed is None and row.identity is not None:
            self._signed(row, row.identity)
        elif failed is not None and failed.reason in (Reason.SIGNATURE_FOREIGN, Reason.KEY_UNKNOWN) and self._key(row):
            return
        else:
            self.failing[failed.reason if failed is not None else "not-vouched-for"] += 1

    def _unsigned(self, row: Row) -> None:
        self.unsigned_objects += 1
        if row.object_id not in self._under:
            self.unsigned.append(row.object_id)
        self._under.update(row.parents)

    def _signed(self, row: Row, who: Identity) -> None:
        signer = row.signer
        kind = _CLASSES.get(who.actor.kind)
        if signer is None or kind is None:
            self.failing["no-class"] += 1
            return
        seen = self._principal(who.actor.id, _short(who.actor), kind)
        match signer.kind:
            case SignerKind.BRIDGE:
                seen.certificate = who.actor.id
            case SignerKind.SSH_KEY:
                seen.ssh_key = signer.key
            case SignerKind.OPENPGP:
                seen.openpgp = signer.key.lower()
            case SignerKind.SIGSTORE:
                issuer, _, identity = who.actor.id.removeprefix("sigstore:").partition("#")
                seen.sigstore = (issuer, identity)
        seen.emails |= {who.actor.email} if is_email(who.actor.email) else set()
        self._count(seen, kind, row, represented=who.represented is not None)
        if who.represented is not None:
            behalf = self._principal(who.represented.id, _short(who.represented), Class.HUMAN)
            behalf.certificate = who.represented.id
            behalf.emails |= {who.represented.email} if is_email(who.represented.email) else set()

    def _key(self, row: Row) -> bool:
        """A plain SSH key that nobody vouched for, taken at its word: its committer's addresses are its owner's."""
        if row.signer is None or row.signer.kind is not SignerKind.SSH_KEY or not row.integrity:
            return False
        address = row.committer.rpartition("<")[2].removesuffix(">")
        known = self.seen.get(f"ssh:{row.signer.key}")
        if known is None:
            found = self.key_of(row.object_id)
            if found is None or not is_email(address):
                return False
            known = self._principal(f"ssh:{row.signer.key}", address.partition("@")[0], Class.HUMAN)
            known.ssh_key, known.vouched = found, False
        if not is_email(address):
            return False
        known.emails.add(address)
        self._count(known, Class.HUMAN, row, represented=False)
        return True

    def _principal(self, key: str, wish: str, kind: Class) -> Seen:
        if key not in self.seen:
            self.seen[key] = Seen(self._name(wish), kind)
        return self.seen[key]

    def _name(self, wish: str) -> str:
        base = _NAME.sub("-", wish.lower()).strip("-._")[:60] or "somebody"
        name, number = base, 2
        while name in self._names or name in PLURAL.values():
            name, number = f"{base}-{number}", number + 1
        self._names.add(name)
        return name

    def _count(self, seen: Seen, kind: Class, row: Row, *, represented: bool) -> None:
        seen.objects += 1
        habit = self.habits.setdefault(kind, Habit())
        habit.objects += 1
        habit.represented &= represented
        habit.actors.add(seen.name)
        holds = row.finding(Step.TIME).status in (StepStatus.PROVEN, StepStatus.NOT_APPLICABLE)
        best = max((e.voucher for e in row.evidence), key=RANK.__getitem__, default=Voucher.SIGNER)
        found = best if holds else Voucher.SIGNER
        habit.voucher = min(habit.voucher, found, key=RANK.__getitem__)


def _short(who: Principal) -> str:
    return who.name or who.email.partition("@")[0] or who.display


def ssh_key(repo: Repository, object_id: str) -> str | None:
    """Kind and base64 of the key that signed an object, None where it is not to be had."""
    try:
        kind, raw = repo.read(object_id)
        signature = gitobject.parse(raw, ObjectKind(kind), repo.object_format).signature
        if signature is None:
            return None
        blob = sshsig.parse(sshsig.ARMOUR.open(signature.armour)).public_key
    except (Error, ValueError):
        return None
    return f"{sshkeys.parse(blob).kind} {base64.b64encode(blob).decode()}"
