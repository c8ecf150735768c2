"""`notme-attest`: examine, verify, read statements. No secret, no network.

Of this package only this module reads environment and clock.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from attest import home, location, repository, stamps, store, verify, wholefile
from attest.command import FILE, complain
from attest.commands import VERIFYING, Commands
from attest.errors import (
    ACCEPTED,
    REJECTED,
    UNCHECKED,
    Error,
    UnavailableError,
    UsageError,
)
from attest.gitobject import MAX_OBJECT_BYTES, ObjectKind
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.report import data, text
from attest.repository import Repository, without_credentials
from attest.trust import Trust
from attest.types import Outcome, Verdict, Voucher
from attest.verify import Examination

if TYPE_CHECKING:
    from attest.sightings import Sightings

F = TypeVar("F", bound=Callable[..., Any])

PROFILES = click.Choice([p.value for p in Profile])
VOUCHERS = click.Choice([v.value for v in Voucher])
BATCH = 1024
"""Objects of a range whose time-stamps are looked up together: two processes of git for so many."""

_LOCATION = frozenset(
    {
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_COMMON_DIR",
        "GIT_INDEX_FILE",
        "GIT_PREFIX",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_QUARANTINE_PATH",
        "GIT_NAMESPACE",
    }
)
STATUS = {
    Outcome.ACCEPTED: ACCEPTED,
    Outcome.ACCEPTED_TIME_UNPROVEN: ACCEPTED,
    Outcome.REJECTED: REJECTED,
    Outcome.COULD_NOT_CHECK: UNCHECKED,
}


def trust_options(command: F) -> F:
    """--anchor, --bundle, --profile: what a verifier goes by."""
    for option in (
        click.option("--bundle", type=FILE, help="The authority's trust bundle."),
        click.option("--profile", type=PROFILES, help="Accept this certificate profile only."),
        click.option(
            "--anchor",
            "anchors",
            multiple=True,
            type=FILE,
            help="PEM file of pinned root certificates; instead of the home's own. May be repeated.",
        ),
    ):
        command = option(command)
    return command


def repository_option(command: F) -> F:
    """--repo DIR"""
    option = click.option(
        "--repo", "directory", type=FILE, help="The repository (default: the one git finds here)."
    )
    return option(command)


def json_option(command: F) -> F:
    """--json"""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(command)


@click.group(
    name="notme-attest", commands=Commands(VERIFYING), context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="notme-git", prog_name="notme-attest")
def cli() -> None:
    """Examine and judge signatures of AI agents in git, offline and without any secret.

    Exit status: 0 accepted, 1 rejected, 2 could not check, 64 usage.
    """


@cli.command(name="verify-signature")
@click.argument("signature", type=FILE)
@click.argument("content", type=FILE)
@trust_options
@click.option("--require-time", type=VOUCHERS, help="Who at least must vouch for the time of signing.")
@json_option
def verify_signature(
    signature: Path,
    content: Path,
    anchors: tuple[Path, ...],
    profile: str | None,
    bundle: Path | None,
    require_time: str | None,
    as_json: bool,
) -> int:
    """Judge a detached SIGNATURE over the file CONTENT.

    It is armoured CMS, or an SSH signature.
    """
    at = datetime.now(UTC)
    trusted = load_trust(anchors, profile, bundle)
    armour, signed = read_file(signature, MAX_OBJECT_BYTES), read_file(content, MAX_OBJECT_BYTES)
    wanted = Profile(profile) if profile else None
    examination = verify.examine_signature(armour, signed, trusted, at=at, profile=wanted)
    policy = Policy(require_time=Voucher(require_time) if require_time else None)
    verdict = verify.judge(examination, policy, Context(), at=at)
    print_verdicts([verdict], as_json=as_json, single=True)
    return STATUS[verdict.outcome]


def open_repository(directory: Path | None, environ: Mapping[str, str]) -> Repository:
    """The repository that was named, else the one git finds (in a hook: the one its environment names)."""
    return repository.open_repository(*place(directory, environ))


def place(directory: Path | None, environ: Mapping[str, str]) -> tuple[Path, Mapping[str, str]]:
    """Where git is to look for the repository, and in which environment."""
    if directory is None:
        return Path(), environ
    # A directory that was named wins over GIT_DIR and its like, which git sets for its hooks.
    return directory, {k: v for k, v in environ.items() if k not in _LOCATION}


def load_trust(
    anchors: tuple[Path, ...], profile: str | None, bundle: Path | None, *, others: bool = False
) -> Trust:
    """Anchors and bundle as the options say; without --anchor those of the home.

    With `others`, somebody else's signatures count as well, and a home without any authority will do.
    """
    wanted = Profile(profile) if profile else None
    if not anchors:
        # A server's hooks may run without HOME: with anchors no home is needed.
        place = location.default(os.environ)
        if others and bundle is None and not home.has_trust(place):
            return Trust(anchors=())
        return (
            home.read_trust(place)
            if bundle is None
            else home.read_bundle(bundle, home.read_trust(place).anchors, place)
        )
    # Our two profiles are told apart by the root's key; the foreign ones have to be named.
    stated = wanted if wanted in (Profile.UPSTREAM, Profile.SIGNET) else None
    pinned = tuple(anchor for path in anchors for anchor in home.read_anchors(path, stated))
    return Trust(anchors=pinned) if bundle is None else home.read_bundle(bundle, pinned, None)


def check_ref(ref: str) -> None:
    """`UsageError` for a ref by a short name; of `origin/main` the branch at the remote is meant."""
    if not ref.startswith("refs/"):
        hint = f"write refs/heads/{ref.removeprefix('origin/')} for a branch"
        raise UsageError(f"{ref!r} is no full name of a ref", hint=hint)


def read_context(repo: Repository, rev: str, ref: str | None, address: str | None) -> Context:
    """Where REV is offered: as the options say, else the ref that REV itself names and the remote it came from.

    An empty option says nothing, as a template has it where nothing is known (docs/corpus.md). `UsageError` for a ref
    by a short name: rules on refs/heads/main would pass over what is offered for `main`.
    """
    if ref:
        check_ref(ref)
    # As of origin's: statements and reports carry the address, and in CI it often has a token in it.
    named = without_credentials(address) if address else repo.remote()
    return Context(ref=ref or repo.full_ref(rev), repository=named)


def warn_without_attestations(repo: Repository, *, asked: bool) -> None:
    """Where rewrite records are `asked` for, could change something, and none can be here: nothing was fetched yet."""
    if asked and not store.exists(repo):
        warn_of_absence(repo)


def warn_of_absence(repo: Repository) -> None:
    """That there was no ref of attestations."""
    said = "no attestations were fetched, and so no rewrite records; notme-attest sync --fetch-only fetches them"
    click.echo(f"warning: {text.printable(str(repo.path))}: {said}", err=True)


def examinations(
    repo: Repository, rev: str, trusted: Trust, profile: str | None, at: datetime, unread: list[Error]
) -> Iterable[Examination]:
    """Examine the one object that REV names, or those of a range in git's order.

    One object of a range that cannot be read hides no other: its error goes to `unread`.
    """
    ranged = ".." in rev
    seen = _sightings(repo, trusted)
    for object_id, timestamps in _with_timestamps(repo, repo.list_range(rev) if ranged else [repo.resolve(rev)]):
        try:
            kind, raw = repo.read(object_id)
        except Error as error:
            if not ranged:
                raise
            unread.append(error)
            continue
        if kind not in (ObjectKind.COMMIT, ObjectKind.TAG):
            raise UsageError(f"{rev} is a {kind}; only commits and tags carry signatures")
        yield verify.examine(
            raw,
            ObjectKind(kind),
            repo.object_format,
            object_id,
            trusted,
            at=at,
            profile=Profile(profile) if profile else None,
            timestamps=timestamps,
            seen=seen.of(object_id) if seen is not None else None,
        )


def _sightings(repo: Repository, trusted: Trust) -> Sightings | None:
    """What witnesses that count say of the objects here; None where none was named."""
    if not trusted.witnesses:
        return None
    from attest import sightings

    return sightings.find(repo, trusted.witnesses)


def _with_timestamps(repo: Repository, object_ids: Iterable[str]) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Each object with the time-stamps kept beside it, in ref and home; what cannot be read is as if it were absent."""
    place, remaining = location.default(os.environ), iter(object_ids)
    while batch := list(itertools.islice(remaining, BATCH)):
        lines: Mapping[str, Sequence[bytes]] = {}
        try:
            lines = store.read_many(repo, batch)
        except Error as error:
            complain("notme-attest", error)
        for object_id in batch:
            tokens = stamps.of_lines(lines.get(object_id, ()), object_id)
            try:
                # Our own first: only so many are looked at, and the ref is anybody's.
                tokens = [*stamps.spooled(place, object_id), *tokens]
            except Error as error:
                complain("notme-attest", error)
            yield object_id, tokens


def nothing_named() -> UnavailableError:
    """The error that there was nothing to judge: a range the wrong way round would else let everything pass."""
    return UnavailableError(
        "what is named holds no commit, so nothing was verified",
        hint="a range is written OLD..NEW; is it the other way round?",
    )


def print_verdicts(verdicts: list[Verdict], *, as_json: bool, single: bool) -> None:
    """Verdicts on stdout, their warnings on stderr."""
    if as_json:
        _print_json([data.verdict_data(v) for v in verdicts], single=single)
    else:
        print_blocks(text.verdict_lines(v) for v in verdicts)
        for warning in sorted({w for v in verdicts for w in v.warnings}):
            click.echo(f"warning: {text.printable(warning)}", err=True)


def _print_json(items: list[dict[str, Any]], *, single: bool) -> None:
    click.echo(json.dumps(items[0] if single and items else items, indent=2, ensure_ascii=False))


def print_blocks(blocks: Iterable[Iterable[str]]) -> None:
    for number, block in enumerate(blocks):
        if number:
            click.echo()
        for line in block:
            click.echo(line)


def read_file(path: Path, limit: int) -> bytes:
    """A file that the user named, at most `limit` bytes; `UnavailableError`."""
    try:
        with open(path, "rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > limit:
        raise UnavailableError(f"{path} is larger than {limit} bytes")
    return content


def write_line(line: bytes, output: Path | None) -> None:
    """Put a line (ASCII) on stdout, or in a file, whole or not at all. Raises `UnavailableError`."""
    if output is None:
        click.echo(line.decode("ascii"))
    else:
        wholefile.write(output, line + b"\n")
