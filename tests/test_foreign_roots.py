from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from attest import signed
from attest.errors import Reason, Step, VerificationError
from attest.foreign import roots
from attest.foreign.openpgp import ForeignOpenPgp, Gpg
from attest.foreign.roots import NONE, Roots
from attest.foreign.sigstore import SigstoreRoot
from attest.foreign.smime import ForeignCms
from attest.gitobject import Signature, SignatureFormat
from attest.row import SignerKind
from tests.foreignsigned import Authority, Signed, ec_key, real
from tests.test_foreign_sigstore import trusted_root

ONE, OTHER = Authority("one", ec_key()), Authority("other", ec_key())
GPG = Gpg("/usr/bin/gpg", {})
SIGSTORE = SigstoreRoot.parse(trusted_root())


def test_nothing_counts_by_default() -> None:
    assert Roots() == NONE
    assert not NONE.x509
    assert Roots(smime=(ONE.certificate,)).x509
    assert Roots(sigstore=SIGSTORE).x509
    assert not Roots(openpgp=GPG).x509


def test_other_roots_have_another_digest() -> None:
    named = [
        NONE,
        Roots(openpgp=GPG),
        Roots(sigstore=SIGSTORE),
        Roots(sigstore=SigstoreRoot.parse(trusted_root() + b"\n")),
        Roots(smime=(ONE.certificate,)),
        Roots(smime=(OTHER.certificate,)),
        Roots(smime=(ONE.certificate, OTHER.certificate)),
    ]
    for one, other in itertools.combinations(named, 2):
        assert one.digest != other.digest
    assert Roots(openpgp=GPG).digest == Roots(openpgp=Gpg("/usr/bin/gpg", {})).digest


def test_each_format_has_its_reader() -> None:
    parsed = real("online.commit")
    assert parsed.signature is not None
    assert isinstance(roots.read(parsed.signature, None), ForeignCms)
    made = Signed(ec_key(), ONE.issue(ec_key())).armour()
    assert isinstance(roots.read(Signature(SignatureFormat.X509, made), NONE), ForeignCms)
    armour = b"-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
    assert isinstance(roots.read(Signature(SignatureFormat.OPENPGP, armour), Roots(openpgp=GPG)), ForeignOpenPgp)
    with pytest.raises(VerificationError) as caught:
        roots.read(Signature(SignatureFormat.OPENPGP, armour), None)
    assert (caught.value.step, caught.value.reason) == (Step.SIGNATURE, Reason.SIGNATURE_FOREIGN)


def test_gitsigns_signatures_are_known_as_such_whoever_counts() -> None:
    parsed = real("online.commit")
    assert parsed.signature is not None
    for named in (None, NONE, Roots(sigstore=SIGSTORE)):
        found = signed.read(parsed.signature, (), named)
        assert isinstance(found, ForeignCms)
        assert found.signer.kind is SignerKind.SIGSTORE


def test_what_reads_a_format_is_loaded_when_it_is_met() -> None:
    """A verifier of our own signatures starts for each push and each `git log`."""
    script = "import sys, attest.verify; print([m for m in sys.modules if m.startswith('attest.foreign.')])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "attest.foreign.roots" in loaded
    assert not [name for name in ("smime", "sigstore", "cms", "openpgp", "usercert") if f"foreign.{name}" in loaded]
