"""`envelope`: DSSE envelopes of keys that are elsewhere, and of several signers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

from attest import bundles, cosigned, dsse, said, signing_key
from attest.attester import KeyAttester, name_of
from attest.attester_options import Named, bare_key_options, chosen
from attest.cli import read_file, write_line
from attest.command import FILE
from attest.dsse import Envelope, EnvelopeSignature
from attest.errors import ACCEPTED, MalformedError, UnavailableError, UsageError
from attest.keys import PublicKey
from attest.report.text import printable

T = TypeVar("T")


@click.group()
def envelope() -> None:
    """Put DSSE envelopes together: of a key that is elsewhere, and of several signers.

    Which of the signatures count, and whether they are enough, verify-attestation says (--attester-key, --threshold).
    """


@envelope.command()
@click.argument("statement", type=FILE)
@click.option("--signature", required=True, type=FILE, help="As openssl writes it, or in base64.")
@click.option("--public", required=True, type=FILE, help="The signer's public key: PEM, or as OpenSSH has it.")
@click.option("--add-to", type=FILE, metavar="ENVELOPE", help="Add the signature to this envelope, of other signers.")
@click.option("--sigstore-bundle", "bundle", is_flag=True, help="Write a Sigstore bundle of the one signature.")
@click.option("--out", "--output", "-o", "output", type=FILE, help="Write it to this file (default: stdout).")
def assemble(
    statement: Path, signature: Path, public: Path, add_to: Path | None, bundle: bool, output: Path | None
) -> int:
    """Make an envelope of STATEMENT and a signature that was made elsewhere.

    attest --to-be-signed DIR writes statements, and beside each the bytes to sign (.pae). For example, with openssl 3:

    openssl pkeyutl -sign -rawin -inkey KEY -in X.pae -out X.sig

    The signature is verified first. Nothing is written of one that does not hold.
    """
    if bundle and add_to is not None:
        raise UsageError("a bundle holds one signature, so --sigstore-bundle and --add-to exclude each other")
    key = signing_key.load_public(public)
    begun = _read(statement, cosigned.around)
    if add_to is not None:
        others = _read(add_to, cosigned.opened)
        if others.payload != begun.payload:
            raise UsageError(f"{add_to} is around another statement than {statement}")
        begun = others
    made = EnvelopeSignature(_read(signature, cosigned.signature_of), name_of(key))
    done = cosigned.add(begun, made, key)
    write_line(bundles.KeyBundle((), done).encode() if bundle else done.encode(), output)
    _say(begun, done, key)
    return ACCEPTED


@envelope.command()
@click.argument("file", metavar="ENVELOPE", type=FILE)
@bare_key_options
@click.option(
    *("--out", "--output", "-o", "output"),
    type=FILE,
    help="Write it to this file, which may be ENVELOPE (default: stdout).",
)
def sign(file: Path, signer: Named, output: Path | None) -> int:
    """Sign what is in ENVELOPE, too.

    ENVELOPE is a plain DSSE envelope, or a bundle of a bare key, around an in-toto Statement. What it states is shown,
    and what others signed stays as it is.
    """
    if not signer.of_key:
        raise UsageError("a plain envelope holds no certificate, so a key signs it", hint="name it: --key or --signer")
    begun = _read(file, cosigned.opened)
    attester = chosen(signer, datetime.now(UTC))
    assert isinstance(attester, KeyAttester)
    done = cosigned.sign(begun, attester)
    write_line(done.encode(), output)
    _say(begun, done, attester.key.public)
    return ACCEPTED


def _read(path: Path, parse: Callable[[bytes], T]) -> T:
    """What a file says that the user named; its name is in whatever is wrong with it."""
    try:
        return parse(read_file(path, dsse.MAX_JSON_BYTES))
    except MalformedError as error:
        raise UnavailableError(f"{path}: {error.message}", hint=error.hint) from None


def _say(begun: Envelope, done: Envelope, key: PublicKey) -> None:
    """On stderr what it says and who signed it now: stdout is the envelope."""
    stated = said.read(done.payload)
    about = ", ".join(digest for subject in stated.subjects for digest in subject.digests.values())
    click.echo(f"{printable(stated.predicate_type)} about {printable(about)}", err=True)
    what = "signed before" if done == begun else "signed now"
    click.echo(f"{what} by {name_of(key)}; signatures: {len(done.signatures)}", err=True)
