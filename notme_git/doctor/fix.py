"""`doctor --fix`: writes anew what this program made, and touches nothing else."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from notme_git import shimfile, sshfiles
from notme_git.authority.embedded import opened
from notme_git.daemon import place
from notme_git.doctor.facts import CERTIFICATE, Facts
from notme_git.doctor.finding import Finding, Fix


def apply(facts: Facts, findings: Iterable[Finding], *, python: str) -> list[str]:
    """Mend what can be mended; returns the codes of what was. Raises what the writing raises."""
    wanted = [finding for finding in findings if finding.fix is not None]
    for fix in dict.fromkeys(finding.fix for finding in wanted):
        match fix:
            case Fix.SHIMS:
                shimfile.install(facts.home, python)
            case Fix.SSH_FILES:
                _ssh_files(facts)
            case Fix.ADDRESS:
                _forget(facts.home, Path(facts.daemon.address))
    return [finding.code for finding in wanted]


def _ssh_files(facts: Facts) -> None:
    with opened(facts.home) as authority:
        if facts.agent and not facts.configured_key.endswith(CERTIFICATE):
            sshfiles.write(facts.home, authority, facts.agent)
        sshfiles.refresh(facts.home, authority)


def _forget(home: Path, socket: Path) -> None:
    """Remove a dead address, holding the lock: a daemon that starts meanwhile has a live one."""
    with place.alone(home):
        with contextlib.suppress(OSError):
            found = os.lstat(socket)
            if stat.S_ISSOCK(found.st_mode) and found.st_uid == os.getuid():
                socket.unlink()
        with contextlib.suppress(OSError):
            (place.folder(home) / "address").unlink()
