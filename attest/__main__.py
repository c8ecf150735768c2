"""`notme-attest` and `python -m attest`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the verifier's command line; returns the exit status."""
    from attest import command
    from attest.cli import cli

    return command.main(cli)


if __name__ == "__main__":
    sys.exit(main())
