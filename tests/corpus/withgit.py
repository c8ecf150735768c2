"""What git itself makes of the corpus: `git verify-commit` and `verify-tag` with the programs that it calls.

Each program gets what it goes by from the corpus, in a home that is thrown away: ssh-keygen the allowed signers and
revoked keys, gpg the one OpenPGP key, gpgsm the one root, and our own program in gpgsm's place the roots and trust
bundle of the authority.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from notme_git import shimfile
from notme_git.authority import founding
from tests.corpus import run
from tests.corpus.case import ACCEPT
from tests.corpus.run import CorpusError, Entry, Exits, Result

_FSCK = re.compile(
    r"^(error|warning) in (?:commit|tag) ([0-9a-f]{40}): (\w+)"
    r"|^error: ([0-9a-f]{40}): object could not be parsed"
    r"|: hash-path mismatch, found at: \S*objects/([0-9a-f]{2})/([0-9a-f]{38})$",
    re.MULTILINE,
)

SECONDS = 60.0
BUNDLE = "bundle"
KEPT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")

PROGRAMS = {
    "ssh-keygen": ("ssh-key", "ssh-certificate"),
    "gpg": ("openpgp",),
    "gpgsm": ("smime",),
    "notme-git": ("notme", "interop"),
}
"""Whose signatures each is asked about; `none` are asked of the first."""

VERSION = {"ssh-keygen": ["ssh", "-V"], "gpg": ["gpg", "--version"], "gpgsm": ["gpgsm", "--version"]}
"""How a version is asked for; ssh-keygen tells none, and comes with ssh."""


@dataclass(frozen=True)
class Programs:
    """Where git and the programs are; `environ` is all that they see."""

    git: str
    environ: Mapping[str, str]

    def template(self) -> list[str]:
        """The verifier's command."""
        files = {"allowedSignersFile": "allowed_signers", "revocationFile": "revoked_keys"}
        settings = [f"gpg.ssh.{name}={{trust}}/{file}" for name, file in files.items()]
        if shim := self.environ.get("CORPUS_SHIM"):
            settings.append(f"gpg.x509.program={shim}")
        options = [word for setting in settings for word in ("-c", setting)]
        return [self.git, *options, "verify-{kind}", "{oid}"]

    def versions(self, program: str) -> list[str]:
        """What git and the program say of themselves."""
        commands = [[self.git, "version"], *([VERSION[program]] if program in VERSION else [])]
        return [_run(command, self.environ).strip().partition("\n")[0] for command in commands]


@contextmanager
def prepared(corpus: Path, program: str) -> Iterator[Programs]:
    """A home for `program`, with what it goes by."""
    # Short, because the agent's sockets lie below it, and their paths have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="c") as folder:
        home, trust = Path(folder), corpus.resolve() / "trust"
        gnupg = home / "g"
        gnupg.mkdir(mode=0o700)
        environ = {name: os.environ[name] for name in KEPT if name in os.environ}
        environ |= {
            "HOME": folder,
            "GNUPGHOME": str(gnupg),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        try:
            if program == "gpg":
                _run(["gpg", "--batch", "--import", str(trust / "openpgp.asc")], environ)
            elif program == "gpgsm":
                (gnupg / "gpgsm.conf").write_text("disable-crl-checks\n")
                (gnupg / "gpg-agent.conf").write_text("no-allow-mark-trusted\n")
                shutil.copy(trust / "trustlist.txt", gnupg)
                _run(["gpgsm", "--batch", "--import", str(trust / "smime.pem")], environ)
            elif program == "notme-git":
                environ |= _pinned(home / "n", trust)
            yield Programs(_found("git"), environ)
        finally:
            if program in ("gpg", "gpgsm"):
                _run(["gpgconf", "--kill", "all"], environ)


def _pinned(home: Path, trust: Path) -> dict[str, str]:
    """A home of ours with an authority of its own that goes by the corpus's too, and starts no daemon."""
    founding.found(home, "Verifier", "verifier@example.org", "file", datetime.now(UTC).replace(microsecond=0))
    pinned = home / "verifier" / "authorities" / "corpus"
    pinned.mkdir(parents=True, mode=0o700)
    (pinned / "anchors.pem").write_bytes((trust / "notme.pem").read_bytes() + (trust / "interop.pem").read_bytes())
    shutil.copy(trust / BUNDLE, pinned / BUNDLE)
    (home / "daemon").write_bytes(b"")
    shimfile.install(home, sys.executable)
    return {"NOTME_HOME": str(home), "CORPUS_SHIM": str(home / "bin" / "notme-x509")}


def ask(corpus: Path, program: str, *, only: Sequence[str] = (), jobs: int = 2) -> tuple[list[str], list[Result]]:
    """The versions of git and `program`, and what they make of its SHA-1 commits and tags."""
    entries = run.select(
        run.read_index(corpus), only=only, signers=PROGRAMS[program], kinds=("commit", "tag"), formats=("sha1",)
    )
    wanted = [one for one in entries if one.signer != "none" or _belongs(one, program)]
    if program == "notme-git":  # which was given this one trust bundle
        wanted = [one for one in wanted if Path(one.fields["bundle"]).name == BUNDLE]
    with prepared(corpus, program) as made:
        results = run.run(wanted, made.template(), Exits(), jobs=jobs, seconds=SECONDS, environ=made.environ)
        return made.versions(program), list(results)


def fsck(corpus: Path) -> dict[str, str]:
    """What `git fsck` says against objects of the SHA-1 repository: by id `error`, or severity and message id."""
    with prepared(corpus, "git") as made:
        done = subprocess.run(
            [made.git, "fsck", "--no-dangling", "--no-reflogs"],
            cwd=corpus / "sha1.git",
            env=dict(made.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    said = {}
    for found in _FSCK.finditer(done.stdout + done.stderr):
        severity, named, message, unreadable, folder, rest = found.groups()
        if named:
            said[named] = f"{severity} {message}"
        else:
            said[unreadable or f"{folder}{rest}"] = "error"
    return said


def _belongs(entry: Entry, program: str) -> bool:
    """Whether an object without a signature is one that was made of this program's signatures."""
    named = entry.name.partition("-")[2]
    others = [s for signers in PROGRAMS.values() for s in signers if named.startswith(f"{s}-")]
    return any(s in PROGRAMS[program] for s in others) if others else program == "notme-git"


def defect(entry: Entry) -> str:
    """`<step>-<defect>` without the signer: the row of the table."""
    step, _, rest = entry.name.partition("-")
    for signer in (s for signers in PROGRAMS.values() for s in signers):
        rest = rest.removeprefix(f"{signer}-")
    return f"{step}-{rest}"


def markdown(found: Mapping[str, Iterable[Result]], said: Mapping[str, str]) -> Iterator[str]:
    """A table of what was accepted and has to be refused: a row a defect, a column a program, the last one git fsck."""
    rows: dict[str, dict[str, bool]] = {}
    sentences, checked = dict[str, str](), dict[str, str]()
    totals: list[str] = []
    for program, results in found.items():
        known = list(results)
        wrong = [one for one in known if one.entry.expect != ACCEPT]
        totals.append(f"{program}: {sum(one.fooled for one in wrong)} of {len(wrong)}")
        for one in wrong:
            row = rows.setdefault(defect(one.entry), {})
            row[program] = row.get(program, False) or one.fooled
            sentences.setdefault(defect(one.entry), one.entry.sentence)
            if one.entry.fields["oid"] in said:
                checked[defect(one.entry)] = said[one.entry.fields["oid"]]
    yield "Accepted, of those that have to be refused: " + ", ".join(totals) + "."
    yield ""
    yield f"| defect | what it is | {' | '.join(found)} | git fsck |"
    yield f"|---|---|---|{'---|' * len(found)}"
    for name, row in sorted(rows.items()):
        if any(row.values()):
            marks = ["accepts" if row.get(p) else "refuses" if p in row else "" for p in found]
            yield f"| `{name}` | {sentences[name]} | {' | '.join(marks)} | {checked.get(name, '')} |"


def _found(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise CorpusError(f"{name} is not installed")
    return path


def _run(command: Sequence[str], environ: Mapping[str, str]) -> str:
    program = _found(command[0])
    done = subprocess.run(
        [program, *command[1:]],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise CorpusError(f"{command[0]}: {done.stderr.strip()[-200:]}")
    return done.stdout or done.stderr
