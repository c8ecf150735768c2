"""What time-stamps of a commit or tag are over: the value of its signature, whoever made it.

It is what the examination holds them against (`Signed.value`, `ForeignSigned.value`), read without asking anybody.
"""

from __future__ import annotations

from attest import gitobject
from attest.errors import MalformedError
from attest.gitobject import ObjectFormat, ObjectKind, PushCertificate, Signature, SignatureFormat


def value_of(signature: Signature) -> bytes:
    """The signature proper; of OpenPGP, which nothing here takes apart, the armour. `MalformedError` or as `signed`."""
    if signature.format is SignatureFormat.SSH:
        from attest.foreign import ssh

        return ssh.read(signature.armour, None, None).value
    if signature.format is SignatureFormat.X509:
        from attest.foreign import cmsdata, smime

        return cmsdata.parse(smime.open_armour(signature.armour)[0]).signature
    if signature.format is SignatureFormat.OPENPGP:
        return signature.armour
    raise MalformedError("nobody here reads such a signature")


def value_in(raw: bytes, kind: ObjectKind, fmt: ObjectFormat) -> bytes | None:
    """The same from the raw bytes of an object, None for one without a signature; raises what reading it raises."""
    parsed = gitobject.parse(raw, kind, fmt)
    if isinstance(parsed, PushCertificate) or parsed.signature is None:
        return None
    return value_of(parsed.signature)
