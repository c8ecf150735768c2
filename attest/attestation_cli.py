"""`verify-attestation`: whether what was stated about an object counts, and is enough."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from attest import attestation_judge, lines, stamps
from attest.accepting import accepting_options
from attest.apas.dispatch import PREDICATE_TYPE as DISPATCH
from attest.apas.handoff import PREDICATE_TYPE as HANDOFF
from attest.attestation import Accepting, Attestation
from attest.attestation_judge import MAX_LINES, Attesters, Item, Judgement
from attest.attestation_types import Wanted
from attest.cli import STATUS, check_ref, json_option, open_repository, read_file, repository_option
from attest.command import FILE
from attest.errors import MalformedError, Reason, UnavailableError, UsageError, VerificationError
from attest.instants import rfc3339
from attest.lines import MAX_LINE_BYTES
from attest.predicates.gitsign import COMMIT_TYPE as GIT_COMMIT
from attest.predicates.gitsign import TAG_TYPE as GIT_TAG
from attest.predicates.provenance import PREDICATE_TYPE as PROVENANCE
from attest.predicates.reference import PREDICATE_TYPE as REFERENCE
from attest.predicates.svr import PREDICATE_TYPE as SVR
from attest.predicates.testresult import PREDICATE_TYPE as TEST_RESULT
from attest.predicates.vsa import PREDICATE_TYPE as VSA
from attest.report.text import printable
from attest.repository import Repository, without_credentials
from attest.rewrites.statement import PREDICATE_TYPE as REWRITE
from attest.said import ALGORITHMS, OBJECT
from attest.show_cli import BY_KEY, LAYOUTS, stored
from attest.statement import PREDICATE_TYPE as COMMIT
from attest.witnessed import PREDICATE_TYPE as WITNESS

MAX_FILE_BYTES = 256 * 1024 * 1024

SHORT = {
    "commit": COMMIT,
    "vsa": VSA,
    "svr": SVR,
    "test-result": TEST_RESULT,
    "reference": REFERENCE,
    "source-provenance": PROVENANCE,
    "dispatch": DISPATCH,
    "handoff": HANDOFF,
    "rewrite": REWRITE,
    "witness": WITNESS,
}
"""Predicate types by the names that commands here have for them."""

_LINE = re.compile(rb"[^\r\n]+")


@click.command(name="verify-attestation")
@click.argument("targets", nargs=-1, required=True, metavar="FILE|REV...")
@repository_option
@accepting_options
@click.option("--layout", type=click.Choice(LAYOUTS), help="Read where that tool keeps them: docs/storage.md.")
@click.option("--subject", metavar="REV|[ALG:]DIGEST", help="What FILE has to be about: an object, or a digest in hex.")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="URI",
    help="A predicate type that has to be there; or vsa, svr, ... as attest --type.",
)
@click.option("--level", "levels", multiple=True, help="A level, property or test that has to be stated. Repeatable.")
@click.option("--ref", help="The full ref that the statement has to be about.")
@click.option("--repository", "address", metavar="URL", help="The repository that the statement has to be about.")
@click.option("--policy", type=FILE, help="Who may attest what: [[attesters]] of this policy.")
@click.option("--threshold", type=click.IntRange(1, 16), default=1, help="How many attesters have to state it.")
@json_option
def command(
    targets: tuple[str, ...],
    directory: Path | None,
    accepting: Accepting,
    layout: str | None,
    subject: str | None,
    types: tuple[str, ...],
    levels: tuple[str, ...],
    ref: str | None,
    address: str | None,
    policy: Path | None,
    threshold: int,
    as_json: bool,
) -> int:
    """Verify what was attested about an object.

    FILE holds attestations, one a line or one in all (- is stdin); --subject says what they have to be about. Of REV
    those are judged that are stored in the repository.

    By default verifiers under the pinned authorities count, and the keys named. With a policy that has attesters, they
    alone do. At least one attestation of a type that states a result (commit, vsa, svr, test-result) has to count; with
    --type one of each type that is named, whichever it is.

    Exits 0 where there is enough, 1 where there is not, 2 where that cannot be told.
    """
    at = datetime.now(UTC)
    if policy is None and not accepting.anybody:
        raise UnavailableError(
            "nobody is named whose attestations would count",
            hint="name an authority with --anchor, a key with --attester-key, or beside --sigstore-root "
            "--certificate-identity and --certificate-oidc-issuer",
        )
    _check(ref=ref, repository=address, levels=levels)
    types = tuple(map(_type, types))
    who = _attesters(accepting, policy, threshold)
    wanted = Wanted(levels, None if address is None else without_credentials(address), ref)
    reports = []
    for target, digest, found in _read(targets, directory, subject, layout):
        judged = attestation_judge.judge(found, who, at, digest=digest, types=types, wanted=wanted)
        reports.append((target, digest.removeprefix(OBJECT) if digest is not None else None, judged))
    if as_json:
        click.echo(json.dumps([_data(*report) for report in reports], indent=2, ensure_ascii=False))
    else:
        for report in reports:
            for line in _text(*report, by_options=policy is None, fetchable=subject is None and layout is None):
                click.echo(line)
    statuses = {STATUS[judged.outcome] for _, _, judged in reports}
    return 1 if 1 in statuses else max(statuses)


def _check(*, ref: str | None, repository: str | None, levels: Sequence[str]) -> None:
    """`UsageError` for what no statement can be about: a variable that is not set, a ref by its short name."""
    for name, value in (("--ref", ref), ("--repository", repository), *(("--level", level) for level in levels)):
        if value == "":
            raise UsageError(f"{name} is empty", hint="leave it away where nothing is asked for")
    if ref is not None:
        check_ref(ref)


def _type(name: str) -> str:
    """The URI of a predicate type, which `attest --type` has a short name for; `UsageError` for what is neither."""
    if name in SHORT:
        return SHORT[name]
    if name == "gitsign":
        raise UsageError(f"--type {name} is one type for commits and one for tags", hint=f"{GIT_COMMIT}, or {GIT_TAG}")
    if ":" not in name:
        raise UsageError(f"--type {name!r} is no predicate type", hint=f"a URI, or one of {', '.join(SHORT)}")
    return name


def _attesters(accepting: Accepting, policy: Path | None, threshold: int) -> Attesters:
    if policy is None:
        return Attesters(accepting, threshold=threshold)
    from attest.rules import source

    ruleset = source.load(policy, accepting.trusted, None)[0]
    rules = ruleset.document.attesters
    if not rules:
        raise UsageError(f"{policy} names no attesters", hint="write [[attesters]], or leave --policy away")
    if accepting.keys or accepting.identities or threshold != 1:
        raise UsageError(
            "the policy says who may attest what, and no option beside it", hint="leave --policy away, or the others"
        )
    return Attesters.of_policy(rules, accepting, ruleset.anchors)


def _read(
    targets: Sequence[str], directory: Path | None, subject: str | None, layout: str | None
) -> Iterator[tuple[str, str | None, list[bytes]]]:
    """Each target with the digest that its statements have to be about, and its lines."""
    for target in targets:
        if target == "-" or _is_file(target):
            if subject is None:
                raise UsageError(f"say what {target} has to be about", hint="--subject REV, or --subject DIGEST in hex")
            if layout is not None:
                raise UsageError(f"--layout is about the repository, and {target} is a file")
            yield target, _digest(subject, directory), _of_file(target)
        else:
            if subject is not None:
                raise UsageError(f"there is no file {target}, and --subject goes with files")
            with open_repository(directory, os.environ) as repo:
                try:
                    oid = repo.resolve(target)
                except UsageError as error:
                    raise UsageError(f"there is no file {target}, and {error.message}", hint=error.hint) from None
                found = [line for line in stored(repo, oid, layout) if not stamps.is_stamp(line)]
                yield target, _object(repo, oid), found


def _is_file(target: str) -> bool:
    """Also a pipe, as a shell makes of `<(...)`."""
    try:
        return not stat.S_ISDIR(os.stat(target).st_mode)
    except OSError:
        return False


def _digest(subject: str, directory: Path | None) -> str:
    """In hex, with the name of its algorithm where that is given; else the id of an object."""
    algorithm, _, value = subject.rpartition(":")
    known = not algorithm or algorithm in (*ALGORITHMS, "gitTree", "gitBlob")
    if known and len(value) in (40, 64, 96, 128) and set(value) <= set("0123456789abcdef"):
        return subject
    with open_repository(directory, os.environ) as repo:
        return _object(repo, repo.resolve(subject))


def _object(repo: Repository, oid: str) -> str:
    """A tree or blob by the name of its algorithm: statements about commits name their tree beside them. A commit or
    tag by what names such objects, and no file."""
    kind = repo.git("cat-file", "-t", oid).stdout.strip()
    return {b"tree": f"gitTree:{oid}", b"blob": f"gitBlob:{oid}"}.get(kind, OBJECT + oid)


def _of_file(target: str) -> list[bytes]:
    """The attestations in a file: JSON lines (in-toto's bundle), or one document over several lines."""
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if target == "-" else read_file(Path(target), MAX_FILE_BYTES)
    if len(data) > MAX_FILE_BYTES:
        raise UnavailableError(f"{target} is larger than {MAX_FILE_BYTES} bytes")
    if len(data) <= MAX_LINE_BYTES:
        try:
            return [lines.one_line(data)] if data.strip() else []
        except MalformedError:
            pass  # more than one document
    found = []
    # Not split at once: a file of empty lines would take ten times its size.
    for count, match in enumerate(_LINE.finditer(data)):
        if count >= MAX_LINES:
            raise UnavailableError(f"{target} has more than {MAX_LINES} lines", hint="judge it in parts")
        if (line := match[0]).strip() and not stamps.is_stamp(line):
            found.append(line)
    return found


def _text(
    target: str, digest: str | None, judged: Judgement, *, by_options: bool, fetchable: bool
) -> Iterator[str]:
    yield f"{printable(target)} ({digest}): {str(judged.outcome).upper().replace('-', ' ')}"
    for item in judged.items:
        yield f"  {'counts' if item.counts else 'does not count'}: {_said(item)}"
    for missing in judged.missing:
        yield f"  missing: {printable(missing)}"
    if not judged.items and fetchable:
        yield "  nothing is stored about it here; notme-attest sync --fetch-only fetches what the remote has"
    if judged.missing and by_options and any(map(_unknown, judged.items)):
        yield f"  {BY_KEY}"


def _unknown(item: Item) -> bool:
    return isinstance(item.error, VerificationError) and item.error.reason is Reason.KEY_UNKNOWN


def _said(item: Item) -> str:
    found = item.found
    what = f"{found.said.predicate_type} by {_who(found)}" if found is not None else "an attestation"
    if item.error is not None:
        what += f": {item.error.message}" + (f"; {item.error.hint}" if item.error.hint else "")
    return printable(what)


def _who(found: Attestation) -> str:
    who = ", ".join(f"{by.uri} ({by.credential})" for by in found.by)
    return f"{who}, signed by {rfc3339(int(found.time.timestamp()))}" if found.time is not None else who


def _data(target: str, digest: str | None, judged: Judgement) -> dict[str, Any]:
    return {
        "target": target,
        "digest": digest,
        "outcome": str(judged.outcome),
        "missing": list(judged.missing),
        "attestations": [_item(item) for item in judged.items],
    }


def _item(item: Item) -> dict[str, Any]:
    found, error = item.found, item.error
    made: dict[str, Any] = {"counts": item.counts, "reason": None, "error": None, "statement": None}
    if error is not None:
        made["error"] = error.message
        made["reason"] = str(error.reason) if isinstance(error, VerificationError) else None
    if found is not None:
        made |= {
            "predicateType": found.said.predicate_type,
            "attesters": [{"uri": by.uri, "credential": str(by.credential), "issuer": by.issuer} for by in found.by],
            "rules": [name for name, _ in item.allowed],
            "signedAt": rfc3339(int(found.time.timestamp())) if found.time is not None else None,
            "voucher": str(found.voucher) if found.voucher is not None else None,
            "remarks": list(found.remarks),
            "statement": json.loads(found.said.payload),
        }
    return made
