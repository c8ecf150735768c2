"""The signer of one home: its source opened once, its credentials in memory until shortly before they end.

Where credentials come from is a `Source`: the authority on this machine, or one elsewhere (`remote.source`). With the
former every request is decided anew against the grants on record: a revoked grant or a rotated epoch counts from the
next signature on. What is kept is only what that decision costs, and the credentials, whose keys are library objects
and leave this module as signatures alone.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict

from attest import home as homes
from attest import stamps
from attest.errors import RefusedError, Step, VerificationError
from attest.gitobject import Signature, SignatureFormat
from attest.instants import rfc3339
from attest.profile import LIFETIME
from attest.signed import GitObject
from attest.trust import Trust
from attest.types import Assurance, Grant
from notme_git import acting, sign
from notme_git.acting import Acting
from notme_git.authority import epochs, grants
from notme_git.authority.embedded import Authority
from notme_git.authority.store import StoredGrant
from notme_git.daemon.protocol import Request
from notme_git.enroll import issuing, local
from notme_git.enroll.local import Credential
from notme_git.session import record
from notme_git.session.record import Entry, Session
from notme_git.sign import Signed

if TYPE_CHECKING:
    from notme_git.tsa.always import Always

MARGIN = timedelta(seconds=45)
"""A credential is not used in its last seconds: the signature's time-stamp has to fall into its life."""

MAX_CREDENTIALS = 256
"""One an agent, profile and session; more than this many agents at once share no machine."""


class Source(Protocol):
    """Where credentials come from."""

    def trust(self) -> Trust:
        """What the certificates are held against, and what was signed with them."""

    def ticket(self, who: Acting, scope: str, at: datetime) -> tuple[str, ...]:
        """What a credential for this is kept under. `RefusedError` where it is known that there can be none."""

    def enroll(self, who: Acting, scope: str, at: datetime) -> Credential:
        """A new credential. `RefusedError` without a grant, `UnavailableError` where the authority cannot be asked."""

    def bounded(self) -> AbstractContextManager[None]:
        """While it is open, all that is asked of others together has an end that git can wait for."""

    def unstamped(self, folder: str) -> bool:
        """Whether a signature made in `folder` may go without the authority's time-stamp, if there is none to have."""

    def follow(self) -> bool:
        """Ask whether there is a newer trust than the one that is gone by, which is gone by from then on."""

    def forget(self) -> None:
        """Let go of every key of its own."""


@dataclass(slots=True)
class Embedded:
    """The authority on this machine, opened. Not for several threads."""

    home: Path
    authority: Authority
    _trust: tuple[tuple[object, ...], Trust] | None = field(default=None, repr=False)
    _grants: tuple[int, list[StoredGrant], int] | None = field(default=None, repr=False)
    _issuing: issuing.Held = field(default_factory=issuing.Held, repr=False)

    def trust(self) -> Trust:
        """Also what the verifier of this home goes by; read again when one of its files is another."""
        epochs.catch_up(self.authority)
        state = tuple(_state(path) for path in homes.trust_files(self.home))
        if self._trust is None or self._trust[0] != state:
            self._trust = (state, homes.read_trust(self.home))
        return self._trust[1]

    def ticket(self, who: Acting, scope: str, at: datetime) -> tuple[str, ...]:
        """See `Source`."""
        granted, epoch = self._records()
        return _select(granted, who, scope, at).id, str(epoch)

    def enroll(self, who: Acting, scope: str, at: datetime) -> Credential:
        """See `Source`. An orchestrator's agent gets what its orchestrator's issuing CA mints."""
        granted, epoch = self._records()
        grant, anchors, said = _select(granted, who, scope, at), self.trust().anchors, _said(who)
        _, slash, child = who.agent.partition("/")
        if not slash:
            return local.enroll(self.authority, grant, who.profile, scope, anchors, at, **said)
        ca = self._issuing.get(
            (grant.id, str(epoch), str(who.profile), said["session"], str(who.assurance)),
            at,
            lambda: issuing.enroll(self.authority, grant, who.profile, anchors, at, **said),
        )
        return ca.mint(child, scope, at)

    def bounded(self) -> AbstractContextManager[None]:
        """See `Source`. Nobody is asked."""
        return nullcontext()

    def unstamped(self, _folder: str) -> bool:
        """Never: whoever signs here has the time-stamping key, too."""
        return False

    def follow(self) -> bool:
        """Never: it is looked at for every signature."""
        return False

    def forget(self) -> None:
        """See `Source`."""
        self._issuing.clear()

    def _records(self) -> tuple[list[StoredGrant], int]:
        """Grants and epoch as they are on record now; decoded again only when somebody wrote to the database."""
        store = self.authority.store
        version = store.version()
        if self._grants is None or self._grants[0] != version:
            self._grants = (version, store.grants(), self.authority.epoch.number)
        return self._grants[1], self._grants[2]


@dataclass(slots=True)
class Signer:
    """Signs for the agents of one home. Not for several threads.

    `always` has each signature time-stamped by others where git's configuration asks for it; a broker has none, whose
    repository is in a sandbox's hands and would choose whom to ask.
    """

    home: Path
    source: Source
    always: Always | None = None
    signatures: int = 0
    _credentials: dict[tuple[str, ...], tuple[Credential, datetime]] = field(default_factory=dict, repr=False)
    _verifier: tuple[tuple[object, ...], Trust] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, home: Path, authority: Authority) -> Signer:
        """The signer of the authority on this machine."""
        return cls(home, Embedded(home, authority))

    @property
    def held(self) -> int:
        """How many credentials are in memory."""
        return len(self._credentials)

    def trust(self) -> Trust:
        """What the verifier of this home goes by, which is not always what its agents enrol with."""
        state = tuple(_state(path) for path in homes.trust_files(self.home))
        if self._verifier is None or self._verifier[0] != state:
            self._verifier = (state, homes.read_trust(self.home))
        return self._verifier[1]

    def decide(self, key: str, request: Request, pid: int) -> Acting | None:
        """Who signs for the process `pid`; None where that is not for us to say."""
        return acting.decide(self.home, key, request, pid)

    def sign(
        self, who: Acting, parsed: GitObject, *, form: SignatureFormat, replaying: bool, folder: str, at: datetime
    ) -> Signed:
        """Sign for git, and write down what was signed where it belongs to a session."""
        with self.source.bounded():
            try:
                signed = self._sign(who, parsed, form, replaying, folder, at)
            except VerificationError as error:  # a time-stamp of an epoch that has begun since the credential was got
                if error.step is not Step.TIME or not self.source.follow():
                    raise
                signed = self._sign(who, parsed, form, replaying, folder, at)
        if form is SignatureFormat.SSH and signed.object_id and signed.token:
            stamps.write_spool(self.home, signed.object_id, signed.token)
        if self.always is not None and signed.object_id:
            missing = self.always.stamp(signed.object_id, Signature(form, signed.armour), folder, at)
            signed = replace(signed, warning="; ".join(filter(None, (signed.warning, missing))))
        self.signatures += 1
        self._note(who.session, signed, form, folder, at)
        return signed

    def credential(self, who: Acting, scope: str, at: datetime) -> Credential:
        """A credential that lives long enough, from memory or newly enrolled. Raises `RefusedError` without a grant."""
        session = who.session.id if who.session else ""
        ticket = self.source.ticket(who, scope, at)
        key = (who.agent, str(who.profile), scope, session, str(who.assurance), *ticket)
        kept = self._credentials.get(key)
        if kept is not None and _usable(kept[1], at):
            return kept[0]
        made = self.source.enroll(who, scope, at)
        self.drop_expired(at)
        while len(self._credentials) >= MAX_CREDENTIALS:
            del self._credentials[next(iter(self._credentials))]
        self._credentials[key] = (made, min(made.chain.leaf.not_after, at + LIFETIME) - MARGIN)
        return made

    def enroll_anew(self, who: Acting, scope: str, at: datetime) -> Credential:
        """A credential for the caller to keep. Raises `RefusedError` without a grant."""
        return self.source.enroll(who, scope, at)

    def check(self, who: Acting, scope: str, at: datetime) -> None:
        """`RefusedError` where it is known that no grant lets the agent do that now."""
        self.source.ticket(who, scope, at)

    def drop_expired(self, at: datetime) -> None:
        """Forget every key whose certificate is about to end, or that a clock set back would bring to life again."""
        self._credentials = {key: kept for key, kept in self._credentials.items() if _usable(kept[1], at)}

    def drop_stale(self) -> None:
        """The same, by this machine's clock."""
        self.drop_expired(datetime.now(UTC))

    def drop_all(self) -> None:
        """Forget every key."""
        self._credentials.clear()
        self.source.forget()

    def _sign(
        self, who: Acting, parsed: GitObject, form: SignatureFormat, replaying: bool, folder: str, at: datetime
    ) -> Signed:
        trusted = self.source.trust()
        credential = self.credential(who, sign.SCOPE, at)
        return sign.sign_payload(
            credential,
            trusted if credential.chain.anchor in trusted.anchors else self.source.trust(),
            parsed,
            form=form,
            replaying=replaying,
            unstamped=lambda: self.source.unstamped(folder),
            at=at,
        )

    def _note(self, session: Session | None, signed: Signed, form: SignatureFormat, folder: str, at: datetime) -> None:
        if session is None:
            return
        entry = Entry(
            at=rfc3339(int(at.timestamp())),
            kind=str(signed.kind),
            object_id=signed.object_id,
            format=str(form),
            payload_sha256=signed.examination.object_id,
            folder=folder,
        )
        record.note(self.home, session, entry)


class _Said(TypedDict):
    session: str
    task_digest: bytes
    assurance: Assurance


def _said(who: Acting) -> _Said:
    """What goes into the claims beyond the grant."""
    session = who.session
    return {
        "session": session.id if session else "",
        "task_digest": bytes.fromhex(session.task_digest) if session else b"",
        "assurance": who.assurance,
    }


def _select(granted: list[StoredGrant], who: Acting, scope: str, at: datetime) -> Grant:
    """In a session the grant that it began under and no other, wider or newer; else the newest usable one."""
    if who.session is None:
        return grants.select_acting(granted, who.agent, scope=scope, at=at)
    named = [each for each in granted if each.grant.id == who.session.grant_id]
    try:
        return grants.select_acting(named, who.agent, scope=scope, at=at)
    except RefusedError as refused:
        again = "begin a new session under a usable grant: notme-git run -- COMMAND"
        raise RefusedError(f"{refused.message}; this session has no other", hint=again) from None


def _usable(until: datetime, at: datetime) -> bool:
    """Not after it, and not before it was made either: a clock that was set back is for the authority to judge."""
    return until - LIFETIME <= at < until


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()  # whoever reads it says why, and what to do
    return found.st_ino, found.st_size, found.st_mtime_ns
