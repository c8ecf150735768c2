"""`audit`: repositories at a glance, for managers and auditors."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from attest import history, verifier, wholefile
from attest.audit import places, run, table
from attest.audit.run import Audit, Batch, Wanted
from attest.cli import VOUCHERS, json_option, warn_without_attestations
from attest.command import FILE, complain
from attest.errors import ACCEPTED, UNCHECKED, UnavailableError, UsageError
from attest.foreign.roots import Roots
from attest.keys import PublicKey
from attest.profile import Profile
from attest.query import Query
from attest.report.progress import Progress
from attest.repository import Repository
from attest.trust import Trust
from attest.types import Voucher
from attest.verifier import attester_keys_option, examiner_options

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("named", metavar="[REPO]...", nargs=-1)
@click.option("--file", "listed", type=FILE, help="A file that names repositories, one a line.")
@click.option("--html", "page", type=FILE, help="Write a page for a browser into this file.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print a line for each object instead, for a spreadsheet.")
@click.option("--since", type=_DAY, metavar="DATE", help="Nothing dated before this day (UTC).")
@click.option("--until", type=_DAY, metavar="DATE", help="Nothing dated after this day (UTC).")
@click.option("--ref", "refs", multiple=True, metavar="REF", help="This ref instead of all branches and tags; repeat.")
@click.option("--policy", "policy_file", type=FILE, help="Judge under the policy in this file.")
@click.option("--require-time", type=VOUCHERS, help="Who at least must vouch for the time of signing.")
@click.option("--repository", "address", help="The address that certificates are held against (default: origin).")
@click.option("--jobs", "-j", type=click.IntRange(1, 256), help="Processes at once (default: one a core).")
@click.option("--rewrites", is_flag=True, help="Count by rewrite records whose content unsigned commits have, too.")
@attester_keys_option
@examiner_options
def audit(
    named: tuple[str, ...],
    listed: Path | None,
    page: Path | None,
    as_json: bool,
    as_csv: bool,
    since: datetime | None,
    until: datetime | None,
    refs: tuple[str, ...],
    policy_file: Path | None,
    require_time: str | None,
    address: str | None,
    jobs: int | None,
    rewrites: bool,
    attesters: tuple[PublicKey, ...],
    trusted: Trust,
    profile: str | None,
) -> int:
    """Who signed what for whom, what is unsigned, and what is odd.

    REPO is a folder, or an address that git clones from (https, ssh, git, file) into a folder that is gone afterwards.

    Exits 0 when everything was read, whatever was found in it, and 2 when something was not.
    """
    at = datetime.now(UTC)
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other", hint="both print; --html writes a file beside either")
    wanted = Wanted(
        refs,
        run.day(since.replace(tzinfo=UTC)) if since is not None else None,
        run.day(until.replace(tzinfo=UTC) + timedelta(days=1)) if until is not None else None,
        address,
    )
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        raise UsageError("--since is after --until, so nothing could be found")
    if page is not None and not page.absolute().parent.is_dir():
        raise UnavailableError(f"{page} cannot be written: there is no such folder")
    chosen = places.named(named, listed)
    voucher = Voucher(require_time) if require_time else None
    policy, under = verifier.load_policy(policy_file, voucher, trusted, None)
    done = Audit(at, wanted, policy.name, policy.digest, trusts(under))

    def query(repo: Repository) -> Query:
        ruled, under = verifier.load_policy(policy_file, voucher, trusted, repo)
        wanted = Profile(profile) if profile else None
        warn_without_attestations(repo, asked=rewrites or ruled.follows)
        return Query(
            under, at, ruled, profile=wanted, home=verifier.home(), rewrites=rewrites, attesters=attesters
        )

    progress = Progress()

    def heard(batch: Batch) -> None:
        progress.close()
        sys.stdout.write(batch.lines)
        progress.add(batch.facts.total)

    if as_csv:
        sys.stdout.write(table.header())
    cores = jobs or history.cores()
    for each in run.audit(chosen, query, wanted, os.environ, at=at, jobs=cores, lines=as_csv, heard=heard):
        progress.close()
        done.repositories.append(each)
        if each.error is not None:
            complain("notme-attest", UnavailableError(f"{each.name}: {each.error.message}", hint=each.error.hint))
    _report(done, page, as_json=as_json, as_csv=as_csv)
    return UNCHECKED if any(each.error is not None for each in done.repositories) else ACCEPTED


def _report(done: Audit, page: Path | None, *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        from attest.audit.data import audit_data

        # Names of refs and files may be no text at all.
        click.echo(json.dumps(audit_data(done), indent=2, ensure_ascii=False).encode("utf-8", "replace"))
    elif not as_csv and page is None:
        from attest.audit.text import audit_lines

        for line in audit_lines(done):
            click.echo(line)
    if page is not None:
        from attest.audit.page import render

        wholefile.write(page, render(done).encode("utf-8"))
        click.echo(f"wrote {page}", err=True)


def trusts(trusted: Trust) -> tuple[str, ...]:
    """Whose signatures count, in words."""
    named = [f"authority key {anchor.key.key_id} ({anchor.profile})" for anchor in trusted.anchors]
    roots = trusted.foreign or Roots()
    others = (
        (roots.allowed_signers, "SSH keys of an allowed signers file"),
        (roots.sigstore, "Sigstore"),
        (roots.smime, "S/MIME authorities"),
        (roots.openpgp, "OpenPGP keys of a keyring"),
    )
    return (*named, *(words for root, words in others if root))
