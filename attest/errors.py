"""The one error tree.

::

    Error                       every error this project raises on purpose
    ├── MalformedError          bytes are not what they claim to be
    ├── VerificationError       checked, and false: step, reason
    ├── UnavailableError        could not check or could not act: a file, git, a keyring is missing
    ├── RefusedError            the authority or the signer will not do what was asked
    └── UsageError              the command line or a setting makes no sense

"Could not check" is never "checked and false": the first is exit status 2, the second 1.
Every error carries a sentence and, where there is one, a hint that says what to do next.
"""

from __future__ import annotations

import enum


class Step(enum.IntEnum):
    """The eight steps of an examination; the number is the same in code, reasons and vector names."""

    OBJECT = 1
    SIGNATURE = 2
    INTEGRITY = 3
    CHAIN = 4
    TIME = 5
    EPOCH = 6
    IDENTITY = 7
    POLICY = 8


class Reason(enum.StrEnum):
    """Why a step did not end *proven*; stable words that programs may compare."""

    OBJECT_MALFORMED = "object-malformed"
    OBJECT_ID_MISMATCH = "object-id-mismatch"
    OBJECT_UNREADABLE = "object-unreadable"
    UNSEEN = "unseen-by-git"

    SIGNATURE_MISSING = "signature-missing"
    SIGNATURE_SEVERAL = "signature-several"
    SIGNATURE_MALFORMED = "signature-malformed"
    SIGNATURE_FOREIGN = "signature-foreign"
    SIGNATURE_UNKNOWN = "signature-unknown"

    DIGEST_MISMATCH = "digest-mismatch"
    SIGNATURE_INVALID = "signature-invalid"
    KEY_REFUSED = "key-refused"

    ANCHOR_UNKNOWN = "anchor-unknown"
    CERTIFICATE_INVALID = "certificate-invalid"
    PROFILE_MISMATCH = "profile-mismatch"
    PURPOSE_MISMATCH = "purpose-mismatch"
    EXTENSION_UNKNOWN = "extension-unknown"
    DELEGATION_EXCEEDED = "delegation-exceeded"
    KEY_UNKNOWN = "key-unknown"
    KEY_REVOKED = "key-revoked"
    KEY_OUTSIDE_VALIDITY = "key-outside-validity"
    TOOL_ABSENT = "tool-absent"

    TIME_UNPROVEN = "time-unproven"
    TIME_OUTSIDE_VALIDITY = "time-outside-validity"
    TIME_CONTRADICTED = "time-contradicted"
    TIMESTAMP_INVALID = "timestamp-invalid"
    CLOCK_BEHIND = "clock-behind"
    LOG_ENTRY_INVALID = "log-entry-invalid"

    BUNDLE_ABSENT = "bundle-absent"
    BUNDLE_INVALID = "bundle-invalid"
    BUNDLE_STALE = "bundle-stale"
    BUNDLE_ROLLBACK = "bundle-rollback"
    EPOCH_UNKNOWN = "epoch-unknown"
    EPOCH_RETIRED = "epoch-retired"
    REVOKED = "revoked"

    SCOPE_MISSING = "scope-missing"
    COMMITTER_MISMATCH = "committer-mismatch"
    IDENTITY_UNEXPECTED = "identity-unexpected"

    TIME_REQUIRED = "time-required"
    CONSTRAINT_MISMATCH = "constraint-mismatch"
    CONTEXT_UNKNOWN = "context-unknown"
    FORMAT_REFUSED = "format-refused"
    NO_RULE = "no-rule"
    RULE_DENIES = "rule-denies"
    RULE_NOT_MET = "rule-not-met"
    POLICY_BROKEN = "policy-broken"
    ATTESTER_REFUSED = "attester-refused"
    STATEMENT_INSUFFICIENT = "statement-insufficient"
    EARLIER_STEP = "earlier-step"


class Error(Exception):
    """Base of the tree. `hint` is one sentence on what to do next, or empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class MalformedError(Error):
    """Bytes that are not one well-formed value of the format they claim."""


class VerificationError(Error):
    """Checked, and false. `step` says where, `reason` why, in a stable word; `rule` which rule of a policy, if one."""

    def __init__(self, step: Step, reason: Reason, message: str, *, hint: str = "", rule: str = "") -> None:
        super().__init__(message, hint=hint)
        self.step = step
        self.reason = reason
        self.rule = rule


class UnavailableError(Error):
    """Could not be checked or done: something needed is missing, unreadable or timed out."""

    def __init__(self, message: str, *, hint: str = "", reason: Reason | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class RefusedError(Error):
    """The authority or the signer will not do what was asked."""


class UsageError(Error):
    """The command line or a setting makes no sense."""


ACCEPTED, REJECTED, UNCHECKED, USAGE, INTERRUPTED = 0, 1, 2, 64, 130


def exit_status(error: Error) -> int:
    """1 for what was refused or found false, 2 for what could not be checked or done, 64 for usage."""
    if isinstance(error, UsageError):
        return USAGE
    return UNCHECKED if isinstance(error, UnavailableError) else REJECTED


def as_error(exception: Exception) -> Error:
    """Any exception as one of ours: what nobody foresaw is "could not", never "checked and false"."""
    if isinstance(exception, Error):
        return exception
    if isinstance(exception, OSError):
        where = f": {exception.filename}" if exception.filename else ""
        return UnavailableError(f"{exception.strerror or exception}{where}")
    return UnavailableError(f"unexpected {type(exception).__name__}: {exception}", hint="please report this")
