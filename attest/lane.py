"""The fast lane of a history: what was proven of one object of a signer is proven of the next by less work.

Everything that the eight steps say of a commit follows from: the certificate or key in its signature, its author and
committer, the kind of evidence of its time, and whether object, signature and times are in order. The first four are
the name of a *template*, the row of a commit that went through `verify.examine`. For the next commit of that name the
lane asks only what can differ: the bytes are a well-formed commit with that id, the signature is over it, its
times lie where they must. Whatever is not exactly of that kind, or fails, goes through `verify.examine` as
before: the lane can be slower to say yes, never quicker. `tests/test_lane.py` holds the two against each other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from attest import cms, evidence, keys, sshsig, sshwire, timestamp, trust, verify
from attest.armour import Armour
from attest.certificate import Chain, key_of
from attest.contradictions import Held
from attest.errors import Error, MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.gitobject import MAX_PARENTS, MAX_SECONDS, Commit, ObjectFormat, ObjectKind, parse_commit
from attest.keys import PublicKey
from attest.lanecms import OtherError, Read, Shape, head_of, leaf_of, prefix_of
from attest.laneleaf import LeafShape
from attest.policy import Paths, Policy, no_paths
from attest.query import Query
from attest.row import Row, SignerKind
from attest.rows import first_line, signer_of_leaf
from attest.signed import CmsSigned
from attest.types import Epoch, Evidence, Finding, StepStatus, Voucher
from attest.verify import Examination

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

MAX_TEMPLATES = 2048
"""A template takes about eight kilobytes. History is read in its order, so the leaves that come next are the latest."""

MAX_FAMILIES = 16
MAX_NAMES = 64
"""Grants, and pairs of author and committer under each, whose next certificate is told by the one before."""

_IDENT = rb"([^<>\0\r\n]* <[^<>\0\r\n]*>) (0|[1-9][0-9]{0,11}) [+-][0-9]{4}\n"
_ARMOURS = (sshsig.ARMOUR, cms.ARMOUR)
_CLOCK = int(evidence.SKEW.total_seconds())
_ACCURACY = int(timestamp.ACCURACY.total_seconds())
_ED25519_VALUE = 64
_FIRM = (Step.OBJECT, Step.SIGNATURE, Step.INTEGRITY, Step.CHAIN)

Name: TypeAlias = tuple[bytes, bytes, bytes, bool]
"""What stands in the signature before what differs, author, committer, and whether a time-stamp travels along."""


def _pattern(fmt: ObjectFormat) -> re.Pattern[bytes]:
    """The headers of most commits: a subset of what `gitobject.parse_commit` takes, with the same meaning."""
    oid = b"[0-9a-f]{%d}" % fmt.hex_length
    head = rb"tree (" + oid + rb")\n((?:parent " + oid + rb"\n)*)"
    return re.compile(head + rb"author " + _IDENT + rb"committer " + _IDENT)


class _Cut(NamedTuple):
    """A commit taken apart: its headers, the signature's armour and its kind (None without one), payload, message."""

    head: re.Match[bytes]
    armour: Armour | None
    text: bytes
    payload: bytes
    message: bytes


@dataclass(slots=True)
class _Template:
    """The row of a commit, and what its like are still asked."""

    row: Row
    found: Examination
    held: Held
    key: PublicKey | None = None
    preamble: bytes = b""
    digest: Callable[[bytes], Hash] = hashlib.sha512
    shape: Shape | None = None
    chain: Chain | None = None
    epoch: Epoch | None = None
    begin: int = 0
    end: int = 0
    word: str = ""


@dataclass(slots=True)
class _Family:
    """Certificates of one grant: their shapes, and the templates of the one that was seen last."""

    leaf: LeafShape
    shape: Shape
    templates: dict[tuple[bytes, bytes, bool], _Template] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Member:
    """A certificate that was told by its family."""

    family: _Family
    shape: Shape
    chain: Chain
    epoch: Epoch | None


@dataclass(slots=True)
class Lane:
    """The templates of one process; `trusted` and the question asked are the same for all of its objects."""

    fmt: ObjectFormat
    _templates: dict[Name, _Template] = field(default_factory=dict)
    _shapes: dict[bytes, Shape] = field(default_factory=dict)
    _families: list[_Family] = field(default_factory=list)
    _members: dict[bytes, _Member] = field(default_factory=dict)
    _pattern: re.Pattern[bytes] = field(init=False)
    _length: int = field(init=False)
    _name: bytes = field(init=False)
    _hash: Callable[[bytes], Hash] = field(init=False)
    _clock: tuple[datetime, int] | None = None

    def __post_init__(self) -> None:
        self._pattern, self._length = _pattern(self.fmt), len("parent \n") + self.fmt.hex_length
        self._name = self.fmt.signature_header + b" "
        self._hash = hashlib.sha1 if self.fmt is ObjectFormat.SHA1 else hashlib.sha256

    def row(
        self,
        object_id: str,
        kind: ObjectKind,
        raw: bytes,
        query: Query,
        paths: Paths = no_paths,
        seen: Evidence | None = None,
    ) -> Row | None:
        """The row of an object like one that was learned; None where the whole examination has to be made.

        Rules from a file are asked of every object anew: they may look at anything in it. `seen` is what a witness says
        of it.
        """
        made = self._told(object_id, kind, raw, query)
        if made is None or (seen is None and isinstance(query.policy, Policy | None)):
            return None if made is None else made[1]
        template, row = made
        parsed = parse_commit(raw, self.fmt)
        if seen is not None and not _observe(template, row, parsed, seen, query.at):
            return None
        if query.policy is None:
            return row
        found = replace(
            template.found,
            object_id=object_id,
            parsed=parsed,
            payload=parsed.payload,
            signature=parsed.signature.armour if parsed.signature is not None else b"",
            evidence=row.evidence,
            remarks=row.remarks,
            findings=(*row.findings[: Step.POLICY - 1], template.found.findings[Step.POLICY - 1]),
            contradictions=row.contradictions,
        )
        decided = verify.decide(found, query.policy, query.context, at=query.at, paths=paths)
        row.findings, row.outcome, row.rule = decided.findings, decided.outcome, decided.rule
        row.warnings = decided.warnings
        return row

    @staticmethod
    def learns(found: Examination) -> bool:
        """Whether an examination can be one that others are told by; most that cannot are left out by this alone."""
        ours = found.signed is not None
        return isinstance(found.parsed, Commit) and (isinstance(found.signed, CmsSigned) if ours else True)

    def _told(
        self, object_id: str, kind: ObjectKind, raw: bytes, query: Query
    ) -> tuple[_Template, Row] | None:
        cut = self._cut(raw) if kind is ObjectKind.COMMIT else None
        if cut is None or b"\0" in raw:
            return None
        if self._hash(b"commit %d\0" % len(raw) + raw).hexdigest() != object_id:
            return None
        found, message = cut.head, cut.message
        if len(found[2]) > MAX_PARENTS * self._length or not (message.isascii() or _is_text(message)):
            return None
        if int(found[4]) > MAX_SECONDS or int(found[6]) > MAX_SECONDS:
            return None
        try:
            return self._signed(object_id, cut, query)
        except (OtherError, Error, IndexError):
            return None

    def _cut(self, raw: bytes) -> _Cut | None:
        """The commit in its parts; None for one with other headers, or with a signature that has no place here."""
        found = self._pattern.match(raw)
        if found is None:
            return None
        end = found.end()
        if raw.startswith(b"\n", end):
            return _Cut(found, None, b"", raw, raw[end + 1 :])
        begin = end + len(self._name)
        armour = next((each for each in _ARMOURS if raw.startswith(each.begin, begin)), None)
        if armour is None or not raw.startswith(self._name, end):
            return None
        tail = b"\n " + armour.end + b"\n"
        last = raw.find(tail, begin)
        folded = raw[begin : last + len(tail) - 1]
        text = folded.replace(b"\n ", b"\n")
        # Each line but the first is folded; what the lines hold, the armour's reader sees to.
        if last < 0 or len(folded) - len(text) != folded.count(b"\n") - 1:
            return None
        message = raw[last + len(tail) :]
        return _Cut(found, armour, text, raw[:end] + b"\n" + message, message)

    def learn(self, raw: bytes, found: Examination, row: Row, query: Query) -> None:
        """Remember what an examination said, where the next of its kind can be told by less."""
        cut = self._cut(raw)
        if cut is None or not isinstance(found.parsed, Commit):
            return
        self._make_room()
        name, template = self._template(cut, found, row, query)
        if name is not None and template is not None:
            self._templates[name] = template

    def _signed(self, object_id: str, cut: _Cut, query: Query) -> tuple[_Template, Row] | None:
        found, armour, text, payload, message = cut
        author, committer = found[3], found[5]
        if armour is None:
            template = self._templates.get((b"", author, committer, False))
            return None if template is None else (template, _row(template, object_id, found, message, None, ()))
        if armour is sshsig.ARMOUR:
            blob = sshsig.ARMOUR.open(text)
            head, value = blob[:-_ED25519_VALUE], blob[-_ED25519_VALUE:]
            template = self._templates.get((head, author, committer, False))
            if template is None or template.key is None:
                return None
            keys.verify_signature(template.key, value, template.preamble + template.digest(payload).digest())
            about = (evidence.said(int(found[6]), template.word),) if template.word else ()
            return template, _row(template, object_id, found, message, None, about)
        der = cms.ARMOUR.open(text)
        prefix = prefix_of(der)
        shape = self._shapes.get(prefix) or self._join(prefix, query)
        if shape is None:
            return None
        read = shape.read(der)
        name = (prefix, author, committer, read.token is not None)
        template = self._templates.get(name) or self._inherit(name)
        if template is None or template.key is None or template.chain is None:
            return None
        if cms.digest(template.key.algorithm, payload) != read.digest:
            return None
        keys.verify_signature(template.key, read.signature, read.attributes)
        return self._timed(template, object_id, found, message, read, query)

    def _timed(
        self, template: _Template, object_id: str, found: re.Match[bytes], message: bytes, read: Read, query: Query
    ) -> tuple[_Template, Row] | None:
        """Steps 5 and 6 of a signature by a certificate."""
        chain, word = template.chain, read.signing_time
        assert chain is not None
        about = [evidence.said(word, cms.SIGNING_TIME_SOURCE)]
        if read.token is not None:
            about.append(evidence.stamped(read.token, read.signature, chain, evidence.EMBEDDED))
        now = self._now(query.at)
        for item in about:
            if not template.begin <= item.not_after <= min(template.end, now + _ACCURACY) or item.not_before > now:
                return None
        if template.epoch is not None:
            trust.verify_not_retired(template.epoch, about)
        return template, _row(template, object_id, found, message, word, tuple(about))

    def _now(self, at: datetime) -> int:
        """The latest that may be said of the time: as far ahead as an honest clock may be."""
        if self._clock is None or self._clock[0] is not at:
            self._clock = at, int(at.timestamp()) + _CLOCK
        return self._clock[1]

    def _template(
        self, cut: _Cut, found: Examination, row: Row, query: Query
    ) -> tuple[Name | None, _Template | None]:
        author, committer = cut.head[3], cut.head[5]
        if cut.armour is None:
            return (b"", author, committer, False), _Template(row, found, _held(found))
        if found.signed is None and found.foreign is None:
            return None, None
        if isinstance(found.signed, CmsSigned):
            return self._learn_cms(found.signed, (author, committer), found, row, query)
        if row.format == "ssh" and found.foreign is not None:
            return self._learn_ssh(cut.text, author, committer, found, row)
        return None, None

    def _learn_ssh(
        self, text: bytes, author: bytes, committer: bytes, found: Examination, row: Row
    ) -> tuple[Name | None, _Template | None]:
        """Plain Ed25519 keys, whatever the verifier makes of them, so that it is the same at any time."""
        if row.signer is None or row.signer.kind is not SignerKind.SSH_KEY or not row.integrity:
            return None, None
        if found.vouched is not None and (found.vouched.not_before is not None or found.vouched.not_after is not None):
            return None, None
        if found.finding(Step.CHAIN).reason in (Reason.KEY_OUTSIDE_VALIDITY, Reason.TIME_UNPROVEN):
            return None, None  # a key that counts for a time only: the next commit may be dated within it
        try:
            blob = sshsig.ARMOUR.open(text)
        except MalformedError:
            return None, None  # lines of another width, which the whole examination reads
        parsed = sshsig.parse(blob)
        key = _ssh_key(parsed)
        if key is None or parsed.namespace != sshsig.NAMESPACE or not blob.endswith(parsed.signature):
            return None, None
        word = row.evidence[0].source if row.evidence else ""
        digest = sshsig.HASHES[parsed.hash_algorithm]
        preamble = sshsig.to_be_signed(b"", hash_algorithm=parsed.hash_algorithm)[: -digest().digest_size]
        name = (blob[:-_ED25519_VALUE], author, committer, False)
        return name, _Template(row, found, _held(found), key, preamble, digest, word=word)

    def _learn_cms(
        self, made: CmsSigned, names: tuple[bytes, bytes], found: Examination, row: Row, query: Query
    ) -> tuple[Name | None, _Template | None]:
        """Certificates of ours with no issuing CA between, that stand under an anchor and were not revoked."""
        chain, times = found.chain, found.finding(Step.TIME)
        firm = all(found.finding(step).status is StepStatus.PROVEN for step in (*_FIRM, Step.IDENTITY))
        timed = times.status is StepStatus.PROVEN or times.reason == Reason.TIME_UNPROVEN
        held = found.finding(Step.EPOCH)
        if chain is None or made.message.others or not firm or not timed or len(made.timestamps) > 1:
            return None, None
        if held.status is not StepStatus.PROVEN and held.reason != Reason.BUNDLE_ABSENT:
            return None, None
        shape = Shape.of(made.message)
        epoch = trust.settled_epoch(query.trusted, chain)
        if shape is None or (epoch is None and held.status is StepStatus.PROVEN):
            return None, None
        self._shapes[shape.prefix] = shape
        name = (shape.prefix, *names, bool(made.timestamps))
        template = _Template(
            row, found, _held(found), key_of(made.message.signer), shape=shape, chain=chain, epoch=epoch,
            begin=_begin(chain), end=_end(chain),
        )  # fmt: skip
        self._found_family(made, chain, shape, name, template)
        return name, template

    def _found_family(
        self, made: CmsSigned, chain: Chain, shape: Shape, name: Name, template: _Template
    ) -> None:
        leaf = LeafShape.of(made.message.signer, chain)
        if leaf is None:
            return
        like = [f for f in self._families if f.leaf.constant == leaf.constant and f.leaf.chain.anchor == chain.anchor]
        family = like[0] if like else _Family(leaf, shape)
        family.templates[name[1:]] = template
        if not like:
            self._families = [family, *self._families[: MAX_FAMILIES - 1]]
        elif len(family.templates) > MAX_NAMES:
            family.templates = {name[1:]: template}

    def _join(self, prefix: bytes, query: Query) -> Shape | None:
        """The shape of signatures by a certificate that was not seen before, but others of its grant were."""
        leaf = leaf_of(prefix)
        for family in self._families:
            if head_of(prefix) != head_of(family.shape.prefix):
                continue
            try:
                chain, serial = family.leaf.read(leaf)
            except OtherError:
                continue
            epoch = trust.settled_epoch(query.trusted, chain)
            if epoch is None and query.trusted.of(chain.anchor).bundle is not None:
                return None
            self._make_room()
            shape = family.shape.under(prefix, serial)
            self._shapes[prefix] = shape
            self._members[prefix] = _Member(family, shape, chain, epoch)
            return shape
        return None

    def _make_room(self) -> None:
        if max(len(self._templates), len(self._shapes)) >= MAX_TEMPLATES:
            self._templates.clear()
            self._shapes.clear()
            self._members.clear()

    def _inherit(self, name: Name) -> _Template | None:
        """The template of a name under such a certificate, from the same name under another of its grant."""
        member = self._members.get(name[0])
        base = member.family.templates.get(name[1:]) if member is not None else None
        if member is None or base is None:
            return None
        chain, key = member.chain, member.chain.leaf.key
        third = replace(base.row.findings[Step.INTEGRITY - 1], detail=verify.integrity_detail(key.key_id))
        row = replace(base.row, signer=signer_of_leaf(chain), findings=_with(base.row.findings, third))
        assert row.signer is not None
        found = replace(
            base.found,
            chain=chain,
            identity=row.signer.identity,
            findings=_with(base.found.findings, third),
        )
        made = replace(
            base, row=row, found=found, key=key, shape=member.shape, chain=chain, epoch=member.epoch,
            begin=_begin(chain), end=_end(chain),
        )  # fmt: skip
        self._templates[name] = made
        return made


def _row(
    template: _Template,
    object_id: str,
    found: re.Match[bytes],
    message: bytes,
    signing_time: int | None,
    about: tuple[Evidence, ...],
) -> Row:
    like = template.row
    findings = like.findings
    stamps = [item for item in about if item.voucher is not Voucher.SIGNER]
    if stamps:
        detail = evidence.within_detail(stamps)
        findings = _with(findings, Finding(int(Step.TIME), StepStatus.PROVEN, "", detail))
    authored, committed = int(found[4]), int(found[6])
    return Row(
        object_id,
        like.kind,
        like.format,
        like.integrity,
        like.signer,
        signing_time,
        like.author,
        authored,
        like.committer,
        committed,
        found[1].decode(),
        tuple(line[7:] for line in found[2].decode().split("\n")[:-1]) if found[2] else (),
        first_line(message),
        findings,
        about,
        like.remarks,
        template.held.find(message, authored, committed, about),
        like.outcome,
        like.rule,
        like.warnings,
    )


def _observe(template: _Template, row: Row, parsed: Commit, seen: Evidence, at: datetime) -> bool:
    """Add what a witness says; False where it takes the whole examination to say what follows from it."""
    chain, vouched = template.chain, template.found.vouched
    if chain is not None:
        about = (*row.evidence, evidence.observed(seen, int(chain.leaf.issued_at.timestamp())))
        try:
            detail = evidence.within_detail(evidence.verify_time(about, chain.leaf, at))
            row.findings = _with(row.findings, Finding(int(Step.TIME), StepStatus.PROVEN, "", detail))
        except UnavailableError as error:
            if error.reason is not Reason.TIME_UNPROVEN:
                return False
        except VerificationError:
            return False
        late = evidence.remarks(about, evidence.validity(chain.leaf)[1])
    elif vouched is not None:
        about = (*row.evidence, evidence.observed(seen, 0))
        detail = evidence.bounded_detail(about)
        row.findings = _with(row.findings, Finding(int(Step.TIME), StepStatus.NOT_APPLICABLE, "", detail))
        late = []
    else:
        return True
    row.evidence, row.remarks = about, (*row.remarks, *late)
    row.contradictions = template.held.find(parsed.message, parsed.author.seconds, parsed.committer.seconds, about)
    return True


def _with(findings: tuple[Finding, ...], one: Finding) -> tuple[Finding, ...]:
    return (*findings[: one.step - 1], one, *findings[one.step :])


def _begin(chain: Chain) -> int:
    return int(chain.leaf.not_before.timestamp()) - _CLOCK


def _end(chain: Chain) -> int:
    return int(chain.leaf.not_after.timestamp()) + _CLOCK


def _held(found: Examination) -> Held:
    assert isinstance(found.parsed, Commit)
    return Held.of(found.parsed, found.identity, signed=found.signature_format is not None)


def _ssh_key(parsed: sshsig.SshSignature) -> PublicKey | None:
    """The key of a plain Ed25519 signature."""
    prefix = sshwire.ed25519_key(b"")[:-4] + (32).to_bytes(4, "big")
    if parsed.signature_algorithm != sshwire.ED25519 or not parsed.public_key.startswith(prefix):
        return None
    return keys.ed25519(parsed.public_key[len(prefix) :])


def _is_text(message: bytes) -> bool:
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True
