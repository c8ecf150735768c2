"""What rules ask about one examined object: nothing here is believed that the examination did not prove.

The exceptions are the object's own lines, and they are named so: its date, its author, its trailers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from attest import evidence, trailers
from attest.errors import Reason, Step
from attest.gitobject import Commit, Ident, PushCertificate, Tag
from attest.policy import Case
from attest.row import Signer, SignerKind
from attest.rules.directory import Directory
from attest.rules.model import Class, Format, Kind
from attest.through import Original, Through
from attest.types import Identity, PrincipalKind, StepStatus

FORMATS = {
    SignerKind.BRIDGE: Format.NOTME,
    SignerKind.SSH_KEY: Format.SSH,
    SignerKind.SSH_CERTIFICATE: Format.SSH,
    SignerKind.SIGSTORE: Format.SIGSTORE,
    SignerKind.SMIME: Format.SMIME,
    SignerKind.OPENPGP: Format.OPENPGP,
}
_CLASSES = {
    PrincipalKind.HUMAN: Class.HUMAN,
    PrincipalKind.AGENT: Class.AGENT,
    PrincipalKind.WORKLOAD: Class.WORKLOAD,
}
_LINE = re.compile(rb"^([A-Za-z0-9-]{1,100})[ \t]*:", re.MULTILINE)


@dataclass(frozen=True)
class Facts:
    """One case, and the policy's own names for who is in it. Each answer is worked out when it is asked for."""

    case: Case
    directory: Directory

    @property
    def parsed(self) -> Commit | Tag | PushCertificate | None:
        return self.case.examination.parsed

    @property
    def kind(self) -> Kind | None:
        match self.parsed:
            case Commit():
                return Kind.COMMIT
            case Tag():
                return Kind.TAG
            case PushCertificate():
                return Kind.PUSH
        return None

    @cached_property
    def unsigned(self) -> bool:
        """Whether it carries no signature at all, which is not one that could not be read."""
        return self.case.examination.finding(Step.SIGNATURE).reason == Reason.SIGNATURE_MISSING

    @cached_property
    def unproven(self) -> str:
        """Why no rule may accept it for its signature: the code of what failed, empty where nothing did."""
        failed = [f for f in self.case.examination.findings if f.status is StepStatus.FAILED]
        return next((f.reason for f in failed if f.reason != Reason.SIGNATURE_MISSING), "")

    def behind(self, record: Through) -> tuple[tuple[frozenset[str], frozenset[str], Class | None], ...]:
        """Of each signed commit behind a record: the policy's names for actor and represented, and the class."""
        return tuple(self._original(each) for each in record.signed)

    def _original(self, original: Original) -> tuple[frozenset[str], frozenset[str], Class | None]:
        actor, represented = original.actor, original.represented
        if actor is None:
            return frozenset(), frozenset(), None
        names = self.directory.of_id(actor.id)
        # Whom somebody represents a certificate says, and never by a key.
        behalf = self.directory.of_uri(represented.id) if represented is not None else frozenset[str]()
        # As `class_` has it: of a key the policy says what its owner is.
        of_key = names and actor.id.partition(":")[0] in ("ssh", "openpgp", "sigstore")
        return names, behalf, self.directory.class_of(names) if of_key else _CLASSES.get(actor.kind)

    @cached_property
    def identity(self) -> Identity | None:
        return self.case.examination.identity

    @property
    def signer(self) -> Signer | None:
        """Of a signature that no authority of ours stands behind, once somebody vouches for it."""
        found = self.case.examination
        return found.foreign.signer if found.foreign is not None and found.vouched is not None else None

    @property
    def format(self) -> Format | None:
        if self.case.examination.chain is not None:
            return Format.NOTME
        return FORMATS[self.signer.kind] if self.signer is not None else None

    @property
    def algorithm(self) -> str:
        """Of the signing key; empty where nobody vouches for it."""
        found = self.case.examination
        if found.chain is not None and found.signed is not None:
            return str(found.signed.algorithm)
        return self.signer.algorithm if self.signer is not None else ""

    @cached_property
    def actors(self) -> frozenset[str]:
        """The policy's names for who signed."""
        if self.signer is not None and self.case.examination.vouched is not None:
            return self.directory.of_signer(self.signer, self.case.examination.vouched)
        return self.directory.of_certificate(self.identity.actor) if self.identity is not None else frozenset()

    @cached_property
    def represented(self) -> frozenset[str]:
        """The policy's names for on whose behalf it was signed."""
        who = self.identity.represented if self.identity is not None else None
        return self.directory.of_certificate(who) if who is not None else frozenset()

    @cached_property
    def class_(self) -> Class | None:
        """A certificate says what its actor is; of a key the policy says it, or else whoever vouches for the key."""
        if self.unsigned:
            return Class.UNSIGNED_LEGACY
        if self.identity is None:
            return None
        if self.signer is not None and self.actors:
            return self.directory.class_of(self.actors)
        return _CLASSES.get(self.identity.actor.kind)

    @cached_property
    def instant(self) -> int | None:
        """When it was made, unix seconds: the earliest that others than the signer prove, else what it says itself."""
        proven = evidence.latest_proven(self.case.examination.evidence)
        if proven is not None:
            return int(proven.timestamp())
        match self.parsed:
            case Commit():
                return self.parsed.committer.seconds
            case Tag():
                return self.parsed.tagger.seconds if self.parsed.tagger is not None else None
            case PushCertificate():
                return self.parsed.seconds
        return None

    @property
    def author(self) -> Ident | None:
        return self.parsed.author if isinstance(self.parsed, Commit) else None

    @cached_property
    def time_holds(self) -> bool:
        """Whether step 5 stands: proven, or without an end that could be passed."""
        return self.case.examination.finding(Step.TIME).status in (StepStatus.PROVEN, StepStatus.NOT_APPLICABLE)

    @property
    def trailers(self) -> frozenset[str]:
        """Lower-case names of the trailers at the message's end."""
        if not isinstance(self.parsed, Commit | Tag):
            return frozenset()
        encoding = self.parsed.encoding if isinstance(self.parsed, Commit) else None
        return frozenset(t.key.lower() for t in trailers.last_paragraph(self.parsed.message, encoding))

    @property
    def like_trailers(self) -> frozenset[str]:
        """Lower-case names of all lines that look like a trailer, wherever they stand."""
        message = self.parsed.message if isinstance(self.parsed, Commit | Tag) else b""
        return frozenset(name.decode("ascii").lower() for name in _LINE.findall(message))
