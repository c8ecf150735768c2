"""Steps 2 to 8 as the vectors have them (tests/vectors): each becomes an object in a repository.

Left out is what is about a verifier's settings and not about an object, and what `objects` and `places` make for
every signer. The table is the corpus's word on each of the others.
"""

from __future__ import annotations

from collections.abc import Iterator

from attest.errors import Reason
from attest.gitobject import ObjectFormat, ObjectKind
from attest.verify import TOLERATED
from tests.corpus.case import ACCEPT, REJECT, UNCHECKED, Case, instant
from tests.vectors import generate
from tests.vectors.vector import Vector

CMS, ATTRIBUTES, PKIX, STAMPS = "RFC 5652 section 5", "RFC 5652 section 11", "RFC 5280 section 4", "RFC 3161"
DER, ED25519, RFC8419 = "X.690 section 10 and 11", "RFC 8032 section 5.1.7", "RFC 8419 section 3"
SSHSIG, CERTKEYS = "OpenSSH PROTOCOL.sshsig", "OpenSSH PROTOCOL.certkeys"

ADOPTED: dict[str, tuple[str, str]] = {
    "1_cut-short": ("The first 200 bytes of a signed commit.", ""),
    "1_no-bytes": ("A commit of no bytes.", ""),
    "1_sha1-object-in-a-sha256-repository": ("A commit with ids of SHA-1 in a repository of SHA-256.", ""),
    "2_armour-of-76-columns": (
        "Armour in lines of 76 columns: a second spelling of the signature.",
        "RFC 7468 section 2",
    ),
    "2_armour-without-base64": ("Armour that holds no base64.", "RFC 7468 section 2"),
    "2_attributes-unsorted": ("The signed attributes are signed in an order that DER does not have.", f"{DER}, 11.6"),
    "2_certificate-of-somebody-else-alone": (
        "The one certificate is not the one that the signer identifier names.",
        f"{CMS}.3",
    ),
    "2_certificate-serial-negative": ("A negative serial number.", f"{PKIX}.1.2.2"),
    "2_certificate-version-6": ("A certificate of a version that there is not.", f"{PKIX}.1.2.1"),
    "2_content-carried-inside": ("The content travels inside of the signature, too.", f"{CMS}.2"),
    "2_content-type-attribute-of-another-type": (
        "The content-type attribute is not that of the content.",
        f"{ATTRIBUTES}.1",
    ),
    "2_crls-included": ("An empty set of revocation lists rides along unsigned.", f"{CMS}.1"),
    "2_cut-short": ("The signature lacks its last byte.", ""),
    "2_digest-of-another-algorithm": ("The digest algorithm is SHA-256 where Ed25519 goes with SHA-512.", RFC8419),
    "2_digest-parameters-null": ("Parameters NULL where there have to be none.", RFC8419),
    "2_indefinite-length": ("BER of indefinite length: a second spelling.", "X.690 section 8.1.3.6"),
    "2_length-not-minimal": ("A length in more bytes than needed: a second spelling.", f"{DER}, 10.1"),
    "2_message-digest-of-two-values": ("A message-digest attribute with two values.", f"{ATTRIBUTES}.2"),
    "2_message-digest-twice": ("Two message-digest attributes.", f"{ATTRIBUTES}.2"),
    "2_no-certificate": ("No certificate.", f"{CMS}.1"),
    "2_no-content-type": ("Signed attributes without content-type.", f"{CMS}.3"),
    "2_no-message-digest": ("Signed attributes without message-digest.", f"{CMS}.3"),
    "2_no-signature": ("No signature at all.", ""),
    "2_no-signed-attributes": ("Signed over the content itself, without attributes.", f"{CMS}.4"),
    "2_no-signer": ("No signer info: nothing was signed.", f"{CMS}.1"),
    "2_signature-algorithm-rsa": ("The signature algorithm is RSA, the key is Ed25519.", RFC8419),
    "2_signature-parameters-null": ("Parameters NULL where there have to be none.", "RFC 8410 section 3"),
    "2_signed-data-version-3": ("A version that this signed data cannot have.", f"{CMS}.1"),
    "2_signer-info-version-3": ("A version that this signer info cannot have.", f"{CMS}.3"),
    "2_signing-time-as-generalized-time": ("A time before 2050 as GeneralizedTime.", f"{ATTRIBUTES}.3"),
    "2_ssh-by-the-root-itself": ("Signed with the certificate authority's own key.", CERTKEYS),
    "2_ssh-certificate-of-a-host": ("A host's certificate.", CERTKEYS),
    "2_ssh-cut-short": ("The signature lacks its last byte.", SSHSIG),
    "2_ssh-extensions-unsorted": ("Extensions in an order that certificates do not have.", CERTKEYS),
    "2_ssh-hash-of-another-name": ("Hash algorithm sha384.", SSHSIG),
    "2_ssh-reserved-not-empty": ("The reserved field holds something.", SSHSIG),
    "2_ssh-trailing-byte": ("A byte after the signature.", SSHSIG),
    "2_ssh-version-2": ("A version that there is not.", SSHSIG),
    "2_time-stamp-attribute-twice": ("Two time-stamp attributes: nothing signs which.", f"{STAMPS} appendix A"),
    "2_time-stamp-attribute-without-value": ("A time-stamp attribute without a value.", f"{STAMPS} appendix A"),
    "2_trailing-byte": ("A byte after the signature.", f"{DER}"),
    "2_two-signers": ("Two signers: which one counts depends on the reader.", f"{CMS}.1"),
    "2_unknown-signed-attribute": ("A signed attribute that nobody here knows.", f"{CMS}.3"),
    "2_unknown-unsigned-attribute": ("An unsigned attribute that anybody can add.", f"{CMS}.3"),
    "3_algorithm-of-another-key": ("Says ECDSA, the key is Ed25519.", RFC8419),
    "3_digest-of-other-content-signed": (
        "The signature is good over attributes with the digest of something else.",
        f"{CMS}.4",
    ),
    "3_interop-message-changed": ("The message was changed after signing, P-256.", ""),
    "3_key-of-small-order": (
        "A certified key of small order, for which one signature is good over everything.",
        ED25519,
    ),
    "3_signature-bit-flipped": ("A bit of the signature is flipped.", ""),
    "3_signature-by-another-key": ("Signed with another key than the certificate's.", f"{CMS}.6"),
    "3_signature-empty": ("A signature of no bytes.", ED25519),
    "3_signature-of-65-bytes": ("A signature with a byte too many.", ED25519),
    "3_signature-over-the-content": ("Signed over the content, though there are attributes.", f"{CMS}.4"),
    "3_ssh-algorithm-of-another-name": ("The signature's algorithm has a name that is not the key's.", SSHSIG),
    "3_ssh-digest-sha256": ("Hashed with SHA-256, which is allowed.", SSHSIG),
    "3_ssh-in-another-namespace": ("Signed for namespace file, not for git.", SSHSIG),
    "3_ssh-key-of-small-order": ("A certified key of small order.", ED25519),
    "3_ssh-over-another-message": ("A good signature over another message.", ""),
    "3_ssh-s-not-below-the-group-order": ("S has the group order added: a second spelling.", ED25519),
    "4_alternative-name-not-critical": (
        "The alternative name is not critical though the subject names nobody.",
        f"{PKIX}.2.1.6",
    ),
    "4_another-issuer-name": ("The issuer's name is not that of who signed.", f"{PKIX}.1.2.4"),
    "4_another-root-of-the-same-names": (
        "Issued by another root with all the names of the right one.",
        "RFC 5280 section 6.1",
    ),
    "4_authority-key-identifier-of-another": ("The authority key identifier is that of another key.", f"{PKIX}.2.1.1"),
    "4_begin-at-issue": ("Begins when it was issued, without the minute that the profile has.", ""),
    "4_begin-over-a-minute-early": ("Begins more than a minute before it was issued.", ""),
    "4_binding-in-an-octet-string": ("The key binding is wrapped once too often.", ""),
    "4_ca-certificate": ("The signer's certificate is that of a CA.", f"{PKIX}.2.1.9"),
    "4_certificate-beside-the-path": ("A certificate rides along that the chain does not need.", f"{CMS}.1"),
    "4_claims-of-another-version": ("Claims of a version that nobody here knows.", ""),
    "4_client-authentication": ("A certificate for TLS clients.", f"{PKIX}.2.1.12"),
    "4_code-signing-for-an-agent": ("A certificate for code signing, which agents do not get.", f"{PKIX}.2.1.12"),
    "4_e-mail-beside-the-uri": ("An e-mail address beside the one name of the profile.", f"{PKIX}.2.1.6"),
    "4_epoch-negative": ("A negative epoch.", ""),
    "4_epoch-padded": ("An epoch with leading zeros: a second spelling.", f"{DER}, 8.3.2"),
    "4_extension-twice": ("One extension twice.", f"{PKIX}.2"),
    "4_interop-e-mail-of-another": ("The e-mail address is not the agent's.", f"{PKIX}.2.1.6"),
    "4_interop-purposes-incomplete": ("Lacks the purpose that S/MIME tools ask for.", f"{PKIX}.2.1.12"),
    "4_issue-with-an-offset": ("The time of issue has an offset from UTC: a second spelling.", "RFC 3339 section 5.6"),
    "4_issuer-signature-with-unused-bits": (
        "The issuer's signature ends in unused bits: a second spelling of the certificate.",
        "X.690 section 8.6.2",
    ),
    "4_key-agreement": ("The key may agree on keys, too.", f"{PKIX}.2.1.3"),
    "4_leaf-changed-after-signing": ("The certificate was changed after it was issued.", "RFC 5280 section 6.1.3"),
    "4_life-over-five-minutes": ("Lives longer than five minutes.", ""),
    "4_minted-beyond-the-address": ("An issuing CA gave a child the address of somebody else.", "RFC 8693 section 4.4"),
    "4_minted-beyond-the-branches": ("A child may write to more branches than its issuing CA.", ""),
    "4_minted-beyond-the-grant": ("A child stands under another grant than its issuing CA.", ""),
    "4_minted-beyond-the-represented-principal": ("A child acts for somebody else than its issuing CA.", ""),
    "4_minted-beyond-the-scope": ("A child has a scope that its issuing CA does not have.", ""),
    "4_minted-beyond-the-scope-to-mint": ("A child may mint certificates.", ""),
    "4_minted-beyond-the-session": ("A child stands in another session than its issuing CA.", ""),
    "4_minted-beyond-the-uri": ("A child has a name outside of its issuing CA's.", "RFC 5280 section 4.2.1.10"),
    "4_minted-by-a-ca-above-cas": ("The issuing CA may make CAs.", f"{PKIX}.2.1.9"),
    "4_minted-certificates-unsorted": (
        "The certificates of the SET are not in DER's order: a second object.",
        f"{DER}, 11.6",
    ),
    "4_minted-to-mint-further": ("A child of an issuing CA may mint further.", ""),
    "4_minted-under-the-interop-root": ("Profile interop has no issuing CAs.", ""),
    "4_minted-within-an-issuing-ca": ("A child within all that its issuing CA may.", ""),
    "4_no-alternative-name": ("No alternative name.", ""),
    "4_no-claims": ("No claims: for whom it acts is not said.", ""),
    "4_no-key-binding": ("No binding to the other key of the pair.", ""),
    "4_no-key-identifier": ("No subject key identifier.", ""),
    "4_root-included": ("The root travels along.", f"{CMS}.1"),
    "4_ssh-begins-a-second-too-early": ("Begins a second before the profile lets it.", CERTKEYS),
    "4_ssh-certificate-signed-by-its-own-key": (
        "The certificate is signed by its own key, and names the root.",
        CERTKEYS,
    ),
    "4_ssh-good-for-login": ("The certificate is good for a login.", CERTKEYS),
    "4_ssh-key-id-of-another-session": ("The key id is that of another session.", CERTKEYS),
    "4_ssh-lives-a-second-too-long": ("Lives a second longer than the profile lets it.", CERTKEYS),
    "4_ssh-no-critical-option": ("Lacks the critical option that keeps it from being used for a login.", CERTKEYS),
    "4_ssh-no-principal": ("Names no principal: OpenSSH takes that for every principal.", CERTKEYS),
    "4_ssh-payload-unchecked-without-the-scope": (
        "Says that nobody looked at what was signed, without the scope for it.",
        "",
    ),
    "4_ssh-two-principals": ("Names a second principal, root.", CERTKEYS),
    "4_subject-without-its-tag": ("An extension's text without its tag.", ""),
    "4_tls-sibling-of-the-pair": (
        "Signed with the certificate for TLS that was issued together with the right one.",
        f"{PKIX}.2.1.12",
    ),
    "4_two-uris": ("Two names.", f"{PKIX}.2.1.6"),
    "4_unknown-critical-extension": ("A critical extension that nobody here knows.", f"{PKIX}.2"),
    "4_unknown-extension": ("An extension that nobody here knows.", ""),
    "5_no-time-at-all": ("Nobody says when it was signed.", ""),
    "5_signed-after-five-minutes": ("By its own word signed when the certificate had ended.", ""),
    "5_signed-before-the-certificate": ("By its own word signed before the certificate began.", ""),
    "5_signed-in-the-last-second": ("Signed in the last second of the certificate, and judged a year later.", ""),
    "5_signers-word-alone": ("Only the signer says when it was signed.", ""),
    "5_ssh-committer-date-alone": (
        "Only the committer date says when it was signed.",
        "git gpg-interface.c, verify_ssh_signed_buffer",
    ),
    "5_ssh-dated-at-the-beginning-of-the-window": ("Dated in the first second of the certificate.", ""),
    "5_ssh-dated-at-the-end-of-the-window": ("Dated a second after the certificate.", ""),
    "5_ssh-dated-before-the-window": ("Dated before the certificate.", ""),
    "5_ssh-stamp-of-another-authority": ("The time-stamp beside it is another authority's.", STAMPS),
    "5_ssh-stamp-over-something-else": ("The time-stamp beside it is over something else.", STAMPS),
    "5_ssh-stamped": ("Stamped in time, and judged a year later.", STAMPS),
    "5_ssh-stamped-after-five-minutes": (
        "Stamped when the certificate had ended: back-dating cannot be ruled out.",
        STAMPS,
    ),
    "5_stamp-of-another-authority": ("The time-stamp inside is another authority's.", STAMPS),
    "5_stamp-over-something-else": ("The time-stamp inside is over something else.", STAMPS),
    "5_stamp-that-is-no-token": ("What stands for a time-stamp is none.", STAMPS),
    "5_stamped-after-five-minutes": (
        "Says that it was signed in time, and was stamped when the certificate had ended.",
        STAMPS,
    ),
    "6_actor-revoked-before": ("The agent had been revoked.", ""),
    "6_certificate-revoked-before": ("The certificate had been revoked.", ""),
    "6_compromised-and-its-own-stamp": (
        "The epoch's keys were stolen, and only its own stamp says that this is older.",
        "",
    ),
    "6_epoch-that-is-not-its-issuers": ("Names an epoch that its issuer is not the key of.", ""),
    "6_grant-revoked-afterwards": ("The grant was revoked afterwards.", ""),
    "6_grant-revoked-before": ("The grant had been revoked.", ""),
    "6_minted-under-a-revoked-grant": ("The grant of the issuing CA had been revoked.", ""),
    "6_minted-under-a-revoked-orchestrator": ("The orchestrator had been revoked.", ""),
    "6_represented-principal-revoked-before": ("The human had been revoked.", ""),
    "6_retired-afterwards": ("The epoch was retired afterwards.", ""),
    "6_retired-afterwards-and-no-stamp": ("The epoch is retired, and only the signer says that this is older.", ""),
    "6_retired-before": ("The epoch had been retired.", ""),
    "6_session-revoked-before": ("The session had been revoked.", ""),
    "6_ssh-certificate-revoked-before": ("The certificate had been revoked.", ""),
    "6_ssh-retired-before": ("The epoch had been retired.", ""),
    "7_author-is-another": ("The author is neither agent nor human, which is shown and allowed.", ""),
    "7_committer-in-other-case": ("The human's address in other case.", ""),
    "7_committer-is-neither": ("The committer is neither agent nor human.", ""),
    "7_committer-is-the-human": ("The committer is the human.", ""),
    "7_committer-without-address": ("The committer has no address.", ""),
    "7_no-represented-principal": ("The agent acts for nobody.", ""),
    "7_no-scope": ("The certificate has no scope.", ""),
    "7_scope-in-other-case": ("A scope in other case is another scope.", ""),
    "7_scope-of-a-verifier": ("The certificate is for statements.", ""),
    "7_ssh-committer-is-somebody-else": ("The committer is neither agent nor human.", ""),
    "7_ssh-payload-unchecked": ("Nobody looked at what was signed, and the certificate says so.", ""),
    "7_ssh-scope-of-statements": ("The certificate is for statements.", ""),
    "7_tag-without-tagger": ("A tag without a tagger.", ""),
    "7_tagger-is-neither": ("The tagger is neither agent nor human.", ""),
    "8_another-branch": ("Offered for a branch that the certificate is not good for.", ""),
    "8_another-repository": ("Offered to a repository that the certificate is not good for.", ""),
    "8_branch-not-known": ("The certificate is bound to branches, and nobody says where this is offered.", ""),
    "8_right-branch": ("Offered for a branch that the certificate is good for.", ""),
}

NOT_CHECKED = frozenset({Reason.CLOCK_BEHIND, Reason.CONTEXT_UNKNOWN, Reason.BUNDLE_STALE})
PROVEN = "proven"


def cases(bundles: dict[bytes, str]) -> Iterator[Case]:
    """The cases; `bundles` gains a name for each trust bundle that they need."""
    made = generate.generate()
    for name, (sentence, reference) in ADOPTED.items():
        yield _case(made[name], sentence, reference, bundles)


def _case(vector: Vector, sentence: str, reference: str, bundles: dict[bytes, str]) -> Case:
    headers, bundle = vector.headers, vector.blocks["bundle"]
    bundles.setdefault(bundle, f"bundle-{vector.name.replace('_', '-')}" if bundles else "bundle")
    reason = "" if vector.expect == PROVEN else vector.expect
    return Case(
        name=vector.name.replace("_", "-").replace("-ssh-", "-ssh-certificate-", 1),
        raw=vector.blocks["object"],
        signer=_signer(vector),
        expect=_expected(vector.expect),
        reason=reason,
        sentence=sentence,
        references=(reference,) if reference else (),
        at=instant(headers["at"]),
        kind=ObjectKind(headers["object"]),
        object_format=ObjectFormat(headers["format"]),
        anchor=headers["profile"],
        bundle=bundles[bundle],
        stamp=vector.blocks.get("timestamp", b""),
        offered=(headers.get("ref"), headers.get("repository")),
    )


def _expected(expect: str) -> str:
    if expect == PROVEN or expect in TOLERATED:
        return ACCEPT
    return UNCHECKED if expect in NOT_CHECKED else REJECT


def _signer(vector: Vector) -> str:
    if vector.name in ("2_no-signature", "1_no-bytes", "1_cut-short"):
        return "none"
    if vector.name[2:].startswith("ssh-"):
        return "ssh-certificate"
    return vector.headers["profile"]
