"""What the operator of a repository wants of its hooks: `notme.*` in git's configuration of that repository.

A push cannot change this configuration, so nothing that is pushed chooses how it is judged. A value that makes no
sense is an error, and an error refuses the push: a protection that was spelled wrongly must not be none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attest import patterns
from attest.errors import UnavailableError, UsageError
from attest.repository import Repository, without_credentials

MAX_VALUES = 1024
"""Lines of `notme.*`; an operator writes a handful."""

# As git reads them (git-config(1), "bool").
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0", ""})


@dataclass(frozen=True, slots=True)
class Settings:
    """One repository's. `protect`, `known` and `ignore` are patterns of full ref names, as `patterns` has them.

    Who pushes to a `protect` ref has to prove when each commit was signed, and can neither rewind nor delete it. What
    `known` refs reach counts as judged; what is pushed to `ignore` refs is not judged. `policy` is a file of rules in
    place of those in the tree; `repository` the address that certificates are held against; `witness` the URI that
    witness statements name as their maker; `verifier_key` and `verifier` are the same for what is stated of commits
    that were rewritten here; `attester_keys` are the verifiers' keys whose records count. `anchors`
    and `bundle` stand in for those of the home; the fields after `bundle` say whose other signatures count, as the
    options of `notme-attest verify` do, and `tsa_roots` and `witness_trust` who is believed about the time: roots of
    time-stamping authorities, keys of servers that state what arrived. `timestamp` says when third parties' time-stamps
    are asked for (`stamps_pushes`), which is read in full by who asks.
    """

    policy: Path | None = None
    anchors: tuple[Path, ...] = ()
    bundle: Path | None = None
    allowed_signers: Path | None = None
    revoked_keys: Path | None = None
    smime_ca: Path | None = None
    sigstore: bool = False
    sigstore_root: Path | None = None
    openpgp: bool = False
    tsa_roots: tuple[Path, ...] = ()
    witness_trust: tuple[Path, ...] = ()
    timestamp: str = ""
    protect: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    signed_push: bool = False
    repository: str | None = None
    witness_key: Path | None = None
    witness: str | None = None
    verifier_key: Path | None = None
    verifier: str | None = None
    attester_keys: tuple[Path, ...] = ()

    @property
    def stamps_pushes(self) -> bool:
        """Whether what is about to be pushed is time-stamped by third parties."""
        return "push" in self.timestamp.split()

    def protects(self, ref: str) -> bool:
        """Whether `ref`, a full name, is protected."""
        return _any(self.protect, ref)

    def ignores(self, ref: str) -> bool:
        """Whether anything may be pushed to `ref`. A protected ref is never ignored."""
        return _any(self.ignore, ref) and not self.protects(ref)

    def knows(self, ref: str) -> bool:
        """Whether what `ref` reaches counts as judged. That of an ignored ref never was."""
        return self.protects(ref) or (_any(self.known, ref) and not self.ignores(ref))


def read(repo: Repository) -> Settings:
    """The settings of `repo`. Raises `UsageError` for a value that makes no sense."""
    done = repo.git("config", "--null", "--get-regexp", r"^notme\.")
    if done.returncode not in (0, 1):
        hint = "git config --list says why"
        raise UnavailableError("git cannot read the configuration of this repository", hint=hint)
    found: dict[str, list[str]] = {}
    items = done.stdout.decode("utf-8", "replace").split("\0")[:-1]
    if len(items) > MAX_VALUES:
        raise UsageError(f"there are {len(items)} settings of notme; at most {MAX_VALUES} are read")
    for item in items:
        # `[notme] requireSignedPush` without a value is true, and git shows it without a line feed.
        key, given, value = item.partition("\n")
        found.setdefault(key, []).append(value if given else "true")
    return Settings(
        policy=_path(found, "notme.policyfile"),
        anchors=_paths(found, "notme.anchor"),
        bundle=_path(found, "notme.bundle"),
        allowed_signers=_path(found, "notme.allowedsigners"),
        revoked_keys=_path(found, "notme.revokedkeys"),
        smime_ca=_path(found, "notme.smimeca"),
        sigstore=_flag(found, "notme.sigstore"),
        sigstore_root=_path(found, "notme.sigstoreroot"),
        openpgp=_flag(found, "notme.openpgp"),
        tsa_roots=_paths(found, "notme.tsaroot"),
        witness_trust=_paths(found, "notme.witnesstrust"),
        timestamp=_last(found, "notme.timestamp") or "",
        protect=_patterns("notme.protect", found.get("notme.protect", ())),
        known=_patterns("notme.known", found.get("notme.known", ())),
        ignore=_patterns("notme.ignore", found.get("notme.ignore", ())),
        signed_push=_flag(found, "notme.requiresignedpush"),
        repository=without_credentials(address) if (address := _last(found, "notme.repository")) else None,
        witness_key=_path(found, "notme.witnesskey"),
        witness=_last(found, "notme.witness"),
        verifier_key=_path(found, "notme.verifierkey"),
        verifier=_last(found, "notme.verifier"),
        attester_keys=tuple(_absolute("notme.attesterKey", value) for value in found.get("notme.attesterkey", ())),
    )


def _any(wanted: Sequence[str], ref: str) -> bool:
    return any(patterns.matches(pattern, ref) for pattern in wanted)


def _last(found: Mapping[str, Sequence[str]], key: str) -> str | None:
    """As git has it: the last value counts, and an empty one takes the others away."""
    return found[key][-1] or None if key in found else None


def _path(found: Mapping[str, Sequence[str]], key: str) -> Path | None:
    value = _last(found, key)
    return _absolute(key, value) if value is not None else None


def _paths(found: Mapping[str, Sequence[str]], key: str) -> tuple[Path, ...]:
    return tuple(_absolute(key, value) for value in found.get(key, ()))


def _absolute(key: str, value: str) -> Path:
    # git changes directory before it runs a hook, and not every hook to the same one.
    if not os.path.isabs(value):
        raise UsageError(f"{key} is {value!r}, which is not an absolute path", hint="give an absolute path")
    return Path(value)


def _patterns(key: str, values: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        patterns.check(value)
        if not value.startswith(("refs/", "*")):
            raise UsageError(
                f"{key} is {value!r}, which no full name of a ref matches", hint=f"write refs/heads/{value}"
            )
    return tuple(values)


def _flag(found: Mapping[str, Sequence[str]], key: str) -> bool:
    value = found[key][-1].lower() if key in found else "false"
    if value not in _TRUE | _FALSE:
        raise UsageError(f"{key} is {value!r}, which is neither true nor false")
    return value in _TRUE
