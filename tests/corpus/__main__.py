"""`python -m tests.corpus generate DIR`, `run --verifier COMMAND DIR`, `git DIR`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from tests.corpus import case, run, withgit, write
from tests.corpus.run import CorpusError, Exits, Result

DISAGREES, UNUSABLE, USAGE = 1, 2, 64
FOLDER = click.Path(path_type=Path)


def statuses(_context: click.Context, _option: click.Parameter, value: str) -> frozenset[int]:
    """`0` or `0,3`"""
    words = value.split(",")
    if not all(word.isdecimal() and int(word) < 256 for word in words):
        raise click.BadParameter("give exit statuses, with commas between them")
    return frozenset(map(int, words))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """An attack corpus of signed git objects, for any verifier."""


@main.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
def generate(folder: Path) -> None:
    """Write the corpus into DIR, which must be empty or not exist yet."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CorpusError(f"{folder} is not an empty folder")
    made = write.build()
    write.write(made, folder)
    click.echo(f"{len(made.cases)} cases in {folder}")


@main.command(name="run")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option(
    "--verifier", "template", required=True, help="The command, with fields in braces: git verify-{kind} {oid}"
)
@click.option("--accept", callback=statuses, default="0", show_default=True, help="Exit statuses that mean accepted.")
@click.option("--reject", callback=statuses, default="1", show_default=True, help="Exit statuses that mean rejected.")
@click.option("--only", multiple=True, metavar="PATTERN", help="Names of cases, * and ? as in a shell.")
@click.option("--signer", "signers", multiple=True, type=click.Choice(list(case.SIGNERS)), help="Signed by these only.")
@click.option("--kind", "kinds", multiple=True, help="Objects of these kinds only: commit, tag, push-certificate.")
@click.option("--object-format", "formats", multiple=True, help="Repositories of these only: sha1, sha256.")
@click.option("--jobs", type=click.IntRange(1, 256), default=os.cpu_count() or 1, help="How many at once.")
@click.option("--timeout", type=click.FloatRange(0.1, 3600), default=20.0, show_default=True, help="Seconds a case.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every case, not only disagreements.")
def run_command(
    folder: Path,
    template: str,
    accept: frozenset[int],
    reject: frozenset[int],
    only: tuple[str, ...],
    signers: tuple[str, ...],
    kinds: tuple[str, ...],
    formats: tuple[str, ...],
    jobs: int,
    timeout: float,
    as_json: bool,
) -> int:
    """Run a verifier over the corpus in DIR and show where it disagrees.

    Lines begin with ! where it accepted what has to be refused, with - where it refused what is in order.

    Exits 0 when there is neither, 1 when there is, 2 when nothing could be run.
    """
    entries = run.select(run.read_index(folder), only=only, signers=signers, kinds=kinds, formats=formats)
    if not entries:
        raise CorpusError("no case is left to run")
    words, exits = run.parse_template(template), Exits(accept, reject)
    results = list(run.run(entries, words, exits, jobs=jobs, seconds=timeout))
    if as_json:
        click.echo(json.dumps(run.as_data(results), indent=1))
    else:
        for line in run.table(results):
            click.echo(line)
    return DISAGREES if any(result.fooled or result.refused for result in results) else 0


@main.command(name="git")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option(
    "--program", "programs", multiple=True, type=click.Choice(list(withgit.PROGRAMS)), help="Only with these."
)
@click.option("--only", multiple=True, metavar="PATTERN", help="Names of cases, * and ? as in a shell.")
def git_command(folder: Path, programs: tuple[str, ...], only: tuple[str, ...]) -> None:
    """Show, as a table in Markdown, what git and the programs that it calls accept of the corpus in DIR."""
    versions, found = list[str](), dict[str, list[Result]]()
    for program in programs or withgit.PROGRAMS:
        told, found[program] = withgit.ask(folder, program, only=only, jobs=os.cpu_count() or 1)
        versions += [version for version in told if version not in versions]
    click.echo(f"With {', '.join(versions)}.\n")
    for line in withgit.markdown(found, withgit.fsck(folder)):
        click.echo(line)


if __name__ == "__main__":
    try:
        sys.exit(main(standalone_mode=False))
    except CorpusError as error:
        click.echo(f"corpus: {error}", err=True)
        sys.exit(UNUSABLE)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
