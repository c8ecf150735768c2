"""Who is who: from what a signature proves to the names that a policy gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from attest import patterns
from attest.foreign.vouched import Vouched
from attest.row import Signer, SignerKind
from attest.rules.model import Class, Named
from attest.types import Principal

_NOBODY = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Directory:
    """The principals and groups of a policy, by what they are recognised by."""

    by_key: Mapping[str, frozenset[str]]
    by_email: Mapping[str, frozenset[str]]
    by_subject: Mapping[tuple[str, str], frozenset[str]]
    by_uri: Mapping[str, frozenset[str]]
    wild: tuple[tuple[str, str], ...]
    classes: Mapping[str, Class]
    groups: Mapping[str, frozenset[str]]

    def of_certificate(self, who: Principal) -> frozenset[str]:
        """By the URI in a certificate of our authorities."""
        return self.of_uri(who.id)

    def of_signer(self, signer: Signer, vouched: Vouched) -> frozenset[str]:
        """By the key, the OpenID identity, or the address that whoever issued a certificate vouches for."""
        if signer.kind is SignerKind.SIGSTORE:
            return self.by_subject.get(_subject(vouched), _NOBODY)
        if signer.kind in (SignerKind.SMIME, SignerKind.SSH_CERTIFICATE):
            return _all(self.by_email.get(fold(address)) for address in vouched.addresses)
        key = signer.key.lower() if signer.kind is SignerKind.OPENPGP else signer.key
        return self.by_key.get(key, _NOBODY)

    def of_id(self, identifier: str) -> frozenset[str]:
        """By the id that a verifier gives whoever it proves: a certificate's URI, a key, an OpenID identity.

        Whom an authority of S/MIME or SSH certificates vouches for by an address has an id of that authority's, and is
        not found by it.
        """
        scheme, _, rest = identifier.partition(":")
        if scheme in ("ssh", "openpgp"):
            return self.by_key.get(rest, _NOBODY)
        if scheme == "sigstore":
            issuer, _, identity = rest.partition("#")
            return self.by_subject.get((unquote(issuer), unquote(identity)), _NOBODY)
        return _NOBODY if scheme == "smime" else self.of_uri(identifier)

    def of_uri(self, uri: str) -> frozenset[str]:
        """By the URI in a certificate of our authorities."""
        found = self.by_uri.get(uri)
        if found is not None:
            return found
        return frozenset(name for pattern, name in self.wild if patterns.matches(pattern, uri))

    def of_address(self, address: str) -> frozenset[str]:
        """By an address that an object's own line claims."""
        return self.by_email.get(fold(address), _NOBODY)

    def class_of(self, names: Iterable[str]) -> Class | None:
        """The class that all of these have, else None."""
        found = {self.classes[name] for name in names}
        return found.pop() if len(found) == 1 else None

    def share_group(self, some: frozenset[str], others: frozenset[str]) -> bool:
        """Whether one of the first and one of the second are in one group, or are the same."""
        if some & others:
            return True
        return any(members & some and members & others for members in self.groups.values())


def build(principals: Iterable[Named], groups: Mapping[str, frozenset[str]]) -> Directory:
    """Index what principals are recognised by."""
    by_key: dict[str, frozenset[str]] = {}
    by_email: dict[str, frozenset[str]] = {}
    by_subject: dict[tuple[str, str], frozenset[str]] = {}
    by_uri: dict[str, frozenset[str]] = {}
    wild, classes = [], {}
    for each in principals:
        me = frozenset({each.name})
        classes[each.name] = each.kind
        by_key.update(dict.fromkeys((*each.ssh_keys, *each.openpgp), me))
        by_subject.update({(subject.issuer, subject.identity): me for subject in each.sigstore})
        for address in each.emails:
            by_email[fold(address)] = by_email.get(fold(address), _NOBODY) | me
        for pattern in each.certificates:
            if "*" in pattern:
                wild.append((pattern, each.name))
            else:
                by_uri[pattern] = me
    return Directory(by_key, by_email, by_subject, by_uri, tuple(wild), classes, groups)


def fold(address: str) -> str:
    """ASCII letters of an address in lower case, and nothing else changed (as step 7 does it)."""
    return "".join(c.lower() if c.isascii() else c for c in address)


def _all(found: Iterable[frozenset[str] | None]) -> frozenset[str]:
    return _NOBODY.union(*(names for names in found if names))


def _subject(vouched: Vouched) -> tuple[str, str]:
    """Issuer and identity, from the id that `foreign.sigstore` gives to a principal."""
    issuer, _, identity = vouched.principal.id.removeprefix("sigstore:").partition("#")
    return unquote(issuer), unquote(identity)
