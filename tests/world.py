"""A simulated world: an embedded authority in process, its agents, a clock that a test sets, a verifier.

Nothing here is a stand-in: database, key files, certificates and signatures are the real ones. What an authority
would never make comes from `World.forge`, which holds its root keys, and from `tests/der.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from attest import gitobject, home, verify
from attest.gitobject import ObjectFormat, ObjectKind, SignatureFormat
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.trust import Trust
from attest.types import Epoch, Grant, Verdict
from attest.verify import Examination
from notme_git import sign
from notme_git.acting import Acting
from notme_git.authority import embedded, epochs, founding, grants
from notme_git.authority.embedded import Authority
from notme_git.daemon.credential import Signer
from notme_git.enroll import local
from notme_git.enroll.local import Credential
from tests.disk import unsynced
from tests.forge import NOW, Forge, Leaf, PrivateKey, attach, commit_payload, push_payload, tag_payload

AGENT = "claude-code"
HUMAN = "Alice Example <alice@example.org>"


class World:
    """One home with an authority for `human`, and the time in it. `home` is the folder that NOTME_HOME would name."""

    def __init__(self, folder: Path, *, human: str = HUMAN, at: datetime = NOW) -> None:
        self.home, self.now = folder / "home", at
        display, email = grants.parse_human(human)
        with unsynced():
            founded = founding.found(self.home, display, email, "file", at)
        self.id, self.human, self.warning = founded.authority_id, founded.represented, founded.warning
        self.recovery_key = founded.recovery_key

    @cached_property
    def other(self) -> World:
        """An unrelated authority of another human."""
        return World(self.home.parent / "other", human="Mallory <mallory@example.net>", at=self.now)

    def tick(self, **amount: float) -> datetime:
        """Let `timedelta(**amount)` pass (or go back); returns the new time."""
        self.now += timedelta(**amount)
        return self.now

    @contextmanager
    def opened(self) -> Iterator[Authority]:
        """The authority, as each run of a program opens it."""
        with unsynced(), embedded.opened(self.home) as authority:
            yield authority

    def trust(self) -> Trust:
        """What the verifier of this home goes by."""
        return home.read_trust(self.home)

    def grant(
        self,
        agent: str = AGENT,
        *,
        email: str | None = None,
        scopes: tuple[str, ...] = ("sign:git",),
        expires: str = "30d",
        repositories: tuple[str, ...] = (),
        branches: tuple[str, ...] = (),
        delegation_depth: int = 0,
    ) -> Grant:
        """Grant `agent` to act for the human from now on."""
        grant = grants.new_grant(
            self.id,
            agent,
            self.human,
            email=email,
            scopes=scopes,
            expires=grants.parse_duration(expires),
            repositories=repositories,
            branches=branches,
            at=self.now,
            grant_id=str(uuid.uuid4()),
            delegation_depth=delegation_depth,
        )
        with self.opened() as authority:
            authority.store.add_grant(grant)
        return grant

    def revoke(self, grant: Grant, reason: str = "") -> None:
        """Revoke `grant` now."""
        with self.opened() as authority:
            epochs.revoke_grant(authority, grant.id, reason=reason, at=self.now)

    def rotate(self) -> Epoch:
        """Retire the current epoch now; returns the new one."""
        with self.opened() as authority:
            return epochs.rotate(authority, self.now)

    def recover(self, *, compromised_at: datetime, recovery_key: bytes | None = None) -> Epoch:
        """Retire the current epoch as compromised since `compromised_at`; returns the new one."""
        with self.opened() as authority:
            return epochs.recover(
                authority, recovery_key or self.recovery_key, compromised_at=compromised_at, at=self.now
            )

    def address(self, agent: str = AGENT) -> str:
        """The address of an agent that was granted none."""
        return f"{agent}@{self.id}.invalid"

    def who(self, agent: str = AGENT) -> str:
        """`NAME <ADDRESS>` of an agent, as git writes it."""
        return f"{agent} <{self.address(agent)}>"

    def commit(
        self,
        *,
        committer: str | None = None,
        author: str | None = None,
        message: bytes = b"subject\n",
        authored: datetime | None = None,
        fmt: ObjectFormat = ObjectFormat.SHA1,
    ) -> bytes:
        """The payload of a commit made now, by default by the agent."""
        return commit_payload(
            committer=committer or self.who(),
            author=author,
            message=message,
            at=self.now,
            authored=authored,
            fmt=fmt,
        )

    def tag(self, *, tagger: str | None = "", target: str = "1" * 40) -> bytes:
        """The payload of a tag made now, by default by the agent; None leaves the tagger out."""
        return tag_payload(target, tagger=self.who() if tagger == "" else tagger, at=self.now)

    def push(self, *, pusher: str | None = None) -> bytes:
        """The payload of a push certificate made now."""
        return push_payload(pusher=pusher or self.who(), at=self.now)

    def sign(
        self,
        payload: bytes,
        *,
        agent: str = AGENT,
        profile: Profile = Profile.NOTME,
        form: SignatureFormat = SignatureFormat.X509,
        replaying: bool = False,
    ) -> bytes:
        """The armoured signature that the signing program gives git, or what it raises; its keys are gone after it."""
        with self.opened() as authority:
            parsed, who = sign.parse(payload), Acting(agent, profile)
            signer = Signer.of(self.home, authority)
            return signer.sign(who, parsed, form=form, replaying=replaying, folder="/", at=self.now).armour

    def signed_commit(
        self, payload: bytes | None = None, *, agent: str = AGENT, profile: Profile = Profile.NOTME
    ) -> bytes:
        """The raw bytes of a commit signed now."""
        made = self.commit() if payload is None else payload
        return attach(made, self.sign(made, agent=agent, profile=profile))

    def credential(self, agent: str = AGENT, *, profile: Profile = Profile.NOTME) -> Credential:
        """An enrolment of now. What it stamps later it stamps with the authority as it was."""
        with self.opened() as authority:
            grant = grants.select(authority.store.grants(), agent, scope=sign.SCOPE, at=self.now)
            return local.enroll(authority, grant, profile, sign.SCOPE, self.trust().anchors, self.now)

    def stolen(self, agent: str = AGENT, *, profile: Profile = Profile.NOTME) -> Leaf:
        """A leaf and its private key, as a thief that reads the signer's memory has them."""
        credential = self.credential(agent, profile=profile)
        return Leaf(credential._key, credential.certificate)

    def examine(
        self,
        raw: bytes,
        *,
        kind: ObjectKind = ObjectKind.COMMIT,
        fmt: ObjectFormat = ObjectFormat.SHA1,
        object_id: str | None = None,
        trusted: Trust | None = None,
        profile: Profile | None = None,
    ) -> Examination:
        """Examine an object now, by its right id unless told another."""
        named = object_id or gitobject.object_id(kind, raw, fmt)
        return verify.examine(raw, kind, fmt, named, trusted or self.trust(), at=self.now, profile=profile)

    def judge(
        self,
        raw: bytes,
        policy: Policy | None = None,
        context: Context | None = None,
        *,
        kind: ObjectKind = ObjectKind.COMMIT,
        trusted: Trust | None = None,
        profile: Profile | None = None,
    ) -> Verdict:
        """Examine an object and judge it, both now."""
        examination = self.examine(raw, kind=kind, trusted=trusted, profile=profile)
        return verify.judge(examination, policy or Policy(), context or Context(), at=self.now)

    def forge(self, profile: Profile = Profile.NOTME, *, number: int | None = None) -> Forge:
        """A forge that holds the private keys of an epoch (default: the current one)."""
        with self.opened() as authority:
            found = [e for e in authority.store.epochs() if e.number == (number or authority.epoch.number)]
        interop = profile is Profile.INTEROP
        root = found[0].interop_root if interop else found[0].root
        forge = Forge(profile, at=self.now)
        forge.root_key = self._key(found[0].number, "interop" if interop else "root")
        forge.root = x509.load_der_x509_certificate(root)
        forge.tsa_key = self._key(found[0].number, "tsa")
        forge.tsa = x509.load_der_x509_certificate(found[0].timestamp_certificates[interop])
        return forge

    def _key(self, number: int, role: str) -> PrivateKey:
        pem = (self.home / "authority" / "keys" / f"epoch-{number}-{role}.pem").read_bytes()
        return load_pem_private_key(pem, None)  # type: ignore[return-value]  # the test's own authority wrote it
