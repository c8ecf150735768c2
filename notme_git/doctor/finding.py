"""What the doctor can find: a table of stable codes, and one finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """What a finding means for the next commit. A note changes no exit status."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Fix(StrEnum):
    """What `--fix` rewrites: files that this program made and can make again from what it has."""

    SHIMS = "shims"
    SSH_FILES = "ssh-files"
    ADDRESS = "address"


class Code(NamedTuple):
    """A row of the table: how grave, and what it means in one sentence."""

    severity: Severity
    meaning: str


_ERROR, _WARNING, _NOTE = Severity

CODES: Mapping[str, Code] = {
    # how git is configured
    "not-set-up": Code(_ERROR, "Nothing in git's configuration here names notme-git: commits are not an agent's."),
    "gpgsign-off": Code(_ERROR, "`commit.gpgsign` is unset or false: commits are made without a signature."),
    "gpgsign-overridden": Code(_ERROR, "setup switched `commit.gpgsign` on, and another scope switches it off."),
    "tag-gpgsign-off": Code(_WARNING, "`tag.gpgsign` is not on: tags are made without a signature."),
    "format-unknown": Code(_ERROR, "`gpg.format` is none that git knows."),
    "format-mismatch": Code(_ERROR, "`gpg.format` is another than the one that was set up."),
    "program-not-ours": Code(_ERROR, "The signing program is another's, which knows no agents."),
    "program-overridden": Code(_ERROR, "The signing program that setup wrote is overridden in another place."),
    "program-wrong-dialect": Code(_ERROR, "The signing program is one of ours, for another format."),
    "program-gone": Code(_ERROR, "The signing program does not exist."),
    "program-not-executable": Code(_ERROR, "The signing program may not be executed."),
    "program-shadowed": Code(_ERROR, "The signing program is a bare name, and PATH has another file of that name."),
    "program-other-home": Code(_ERROR, "The signing program belongs to another home, with another authority."),
    "own-program-gone": Code(_ERROR, "The program that signs the human's own commits under `setup --auto` is gone."),
    "previous-gone": Code(_WARNING, "The program from before setup, which verifies others' signatures, is gone."),
    # the programs that setup writes
    "shim-missing": Code(_ERROR, "A program in the home that git calls is missing."),
    "shim-stale": Code(_WARNING, "A program in the home that git calls is not what this version writes."),
    "python-gone": Code(_ERROR, "The Python that the programs in the home run with is gone."),
    # who signs
    "key-not-agent": Code(_ERROR, "`user.signingkey` names no agent."),
    "key-overridden": Code(_ERROR, "setup's `user.signingkey` is overridden by another that names no agent."),
    "key-malformed": Code(_ERROR, "`user.signingkey` begins with `notme:` and is no agent's name."),
    "key-literal": Code(_WARNING, "`user.signingkey` is a literal key, which does not follow a new epoch."),
    "key-file-missing": Code(_ERROR, "The key file that `user.signingkey` names does not exist."),
    "key-file-empty": Code(_ERROR, "The key file that `user.signingkey` names has 0 bytes."),
    "key-file-unreadable": Code(_ERROR, "The key file that `user.signingkey` names cannot be read."),
    "marks-ambiguous": Code(_ERROR, "The environment has the marks of several agents, or names none."),
    "marks-weak": Code(_NOTE, "The environment has marks that an agent and a human's shell may both have."),
    "grant-missing": Code(_ERROR, "The agent has no grant."),
    "grant-revoked": Code(_ERROR, "The agent's grant was revoked."),
    "grant-expired": Code(_ERROR, "The agent's grant has expired."),
    "grant-scope": Code(_ERROR, "The agent's grant lacks the scope that signing needs."),
    "grant-expiring": Code(_WARNING, "The agent's last grant expires within 24 hours."),
    "author-mailbox": Code(_ERROR, "The author's address is neither the agent's nor the human's."),
    "committer-mailbox": Code(_ERROR, "The committer's address is neither the agent's nor the human's."),
    "human-mailbox": Code(_ERROR, "Under `setup --auto`: `user.email` is not the address of the authority's human."),
    "session-stale": Code(_ERROR, "`NOTME_SESSION` names a session that ended or that is another's."),
    # the authority
    "authority-missing": Code(_ERROR, "There is no authority in the home."),
    "database-missing": Code(_ERROR, "The authority's database is missing."),
    "database-damaged": Code(_ERROR, "The authority's database cannot be read."),
    "authority-key-missing": Code(_ERROR, "A key of the current epoch is missing."),
    "authority-key-empty": Code(_ERROR, "A key file of the current epoch has 0 bytes."),
    "authority-key-unreadable": Code(_ERROR, "A key file of the current epoch may not be read."),
    "authority-key-open": Code(_ERROR, "A key file, or the folder of the keys, is open to other users."),
    "authority-key-owner": Code(_ERROR, "A key file, or the folder of the keys, belongs to another user."),
    "authority-key-damaged": Code(_ERROR, "A key file of the current epoch is damaged, or another key."),
    "key-store-unreachable": Code(_ERROR, "The keyring that has the authority's keys does not give them."),
    "anchors-missing": Code(_ERROR, "The file of the anchors, by which signatures here are verified, is missing."),
    "anchors-behind": Code(_ERROR, "The file of the anchors is not what the database holds."),
    "bundle-missing": Code(_ERROR, "The trust bundle, by which signatures here are verified, is missing."),
    "bundle-behind": Code(_ERROR, "The trust bundle is not the latest of the database."),
    "bundle-future": Code(_ERROR, "The trust bundle was issued in the future."),
    "clock-behind": Code(_ERROR, "The clock is before a time at which the authority already issued something."),
    # an authority elsewhere
    "remote-damaged": Code(_ERROR, "What the home remembers of the authority elsewhere cannot be read."),
    "login-missing": Code(_ERROR, "Agents here enrol with an authority elsewhere, and nobody is signed in there."),
    "login-over": Code(_ERROR, "The session at the authority elsewhere is over."),
    "authority-unpinned": Code(_NOTE, "Verifiers here were not told to go by the authority that agents enrol with."),
    # the daemon
    "daemon-dead": Code(_WARNING, "The daemon's address names a socket at which nobody listens."),
    "daemon-silent": Code(_WARNING, "A daemon listens and gives no answer: each signature waits for it."),
    "daemon-foreign": Code(_WARNING, "At the daemon's address listens another user: nothing is sent there."),
    "daemon-folder": Code(_WARNING, "The folder of the daemon's socket is another user's, or open to others."),
    "daemon-folder-blocked": Code(_WARNING, "The folder of the daemon's socket cannot be made: there is no daemon."),
    "daemon-socket-open": Code(_WARNING, "The daemon's socket is open to other users."),
    "daemon-version": Code(_WARNING, "The running daemon is of another version."),
    "daemon-refused": Code(_NOTE, "Why the daemon refused the last call that failed, since when it signed nothing."),
    "daemon-dumpable": Code(_NOTE, "The kernel lets debuggers of this user read the daemon's memory."),
    "daemon-unlocked": Code(_NOTE, "The daemon's memory may go to the swap disk."),
    "runtime-dir": Code(_NOTE, "`XDG_RUNTIME_DIR` is unset, or not private: the socket lies in the home, or in /tmp."),
    "socket-dead": Code(_WARNING, "`NOTME_SOCKET` names a socket at which nobody of this user answers."),
    "broker-gone": Code(_ERROR, "The broker outside this sandbox does not answer, and nothing else may sign here."),
    # SSH signatures
    "ssh-files-stale": Code(_ERROR, "A key or allowed-signers file in the home is not what the authority says."),
    "allowed-signers-unset": Code(_ERROR, "`gpg.ssh.allowedSignersFile` is unset: git verifies no SSH signature."),
    "allowed-signers-missing": Code(_ERROR, "The allowed-signers file does not exist or cannot be read."),
    "allowed-signers-foreign": Code(_ERROR, "The file that stock ssh-keygen verifies by does not name the authority."),
    "allowed-signers-relative": Code(_WARNING, "The allowed-signers file is looked for in what was checked out."),
    "ssh-agent-off": Code(_ERROR, "The daemon that serves as the ssh-agent is not running, or does not offer it."),
    "ssh-agent-not-offered": Code(_ERROR, "The agent is not among those that the daemon offers as an ssh-agent."),
    "ssh-auth-sock": Code(_ERROR, "`SSH_AUTH_SOCK` is not the daemon's socket."),
    "ssh-certificate-missing": Code(_ERROR, "The agent's certificate file is missing or is no certificate."),
    "ssh-certificate-stale": Code(_ERROR, "The agent's certificate file is of a certificate that has ended."),
    # time-stamps by third parties
    "tsa-setting": Code(_ERROR, "`notme.timestamp`, `notme.tsa` or `notme.tsaRoot` makes no sense: nobody is asked."),
    "tsa-hook": Code(_WARNING, "`notme.timestamp` is `push`, and no hook of ours runs before a push."),
    "tsa-missed": Code(_WARNING, "Signatures were made without the time-stamp by others that was asked for."),
    # hooks and records
    "hook-setting": Code(_WARNING, "A `notme.*` setting of hooks makes no sense, or names a key that cannot be used."),
    "records-keyless": Code(_WARNING, "The hook `post-rewrite` is here, and nothing to sign its records with."),
    "attestations-absent": Code(_NOTE, "The policy here follows rewrite records, and no attestations were fetched."),
    # git itself
    "git-too-old": Code(_ERROR, "This git knows no signatures of the format: x509 since 2.19, ssh since 2.34."),
    "git-trust-bug": Code(_WARNING, "`gpg.minTrustLevel` is set, and up to 2.40 git takes no word for any level."),
    "git-expired-good": Code(_WARNING, "Merges go by git's word, and since 2.54 git takes expired keys for good."),
    "min-trust-level": Code(_WARNING, "`gpg.minTrustLevel` asks more than a signature has whose time is unproven."),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. `remedy` says what to do; `command` does it, where one command can; `fix` is `--fix`'s part."""

    code: str
    message: str
    remedy: str
    command: str = ""
    fix: Fix | None = None

    @property
    def severity(self) -> Severity:
        """From the table."""
        return CODES[self.code].severity
