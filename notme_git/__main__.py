"""`notme-git`, `git notme` and `python -m notme_git`."""

from __future__ import annotations

import resource
import sys


def main() -> int:
    """Run a dialect (`gpgsm ARGS...`, as the shim does) or the command line; returns the exit status.

    The dialect comes first and without click: it is on the path of every signature.
    """
    # A core file of this process would hold private keys.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if len(sys.argv) > 1 and sys.argv[1] == "gpgsm":
        from notme_git import gpg

        return gpg.run(sys.argv[2:])
    from attest import command
    from notme_git.cli import cli

    return command.main(cli)


if __name__ == "__main__":
    sys.exit(main())
