"""`notme-git`, `git notme` and `python -m notme_git`."""

from __future__ import annotations

import resource
import sys


def main() -> int:
    """Run a dialect (`gpgsm ARGS...`, as the shim does), the daemon, or the command line; returns the exit status.

    The dialects come first and without click: they are on the path of signatures.
    """
    # A core file of this process would hold private keys.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    from notme_git import dialect, shim

    shim.hold_standard_descriptors()
    words = sys.argv[1:]
    how = words[0] if words[:1] in ([dialect.OWN], [dialect.ALONE]) else ""
    called = words[1:] if how else words
    name = called[0] if called else ""
    if name in dialect.NAMES:
        return dialect.run(name, called[1:], how=how)
    if name == "daemon-serve":
        from notme_git.daemon import main as daemon

        return daemon.run(words[1:], _command)
    if name == "broker-serve":
        from notme_git.session import broker_process

        return broker_process.serve(words[1:])
    from notme_git.daemon import hardening
    from notme_git.daemon.forward import forwarded

    hardening.hide()
    return _command() if (status := forwarded(words)) is None else status


def _command() -> int:
    """The command line in `sys.argv`."""
    from attest import command
    from notme_git.cli import cli

    return command.main(cli)


if __name__ == "__main__":
    sys.exit(main())
