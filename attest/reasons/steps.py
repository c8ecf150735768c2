"""The reasons of the eight steps (`errors.Reason`), in the order of that table."""

from __future__ import annotations

from attest.errors import Reason, Step
from attest.reasons.entry import Entry, Kind

_ANEW = "Make the commit or tag anew, signed: `git rebase --no-ff -S BASE` for a row of commits."
_ID = "0123456789abcdef0123456789abcdef01234567"


def _reason(code: Reason, steps: Step | tuple[Step, ...], meaning: str, example: str, remedy: str) -> Entry:
    where = (steps,) if isinstance(steps, Step) else tuple(sorted(steps))
    return Entry(code.value, Kind.REASON, where, meaning, remedy, example)


REASONS = (
    _reason(
        Reason.OBJECT_MALFORMED, Step.OBJECT,
        "The bytes are no commit, tag or push certificate as git writes them; others might read them differently.",
        "header 1 is 'Tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904' where git writes tree",
        "See what `git fsck` says of the object, find out which program wrote it, and make it anew.",
    ),
    _reason(
        Reason.OBJECT_ID_MISMATCH, Step.OBJECT,
        "The object's bytes do not hash to the id that it was asked for by: the repository is damaged, or was changed.",
        f"the bytes of {'1' * 40} hash to 114be8d4035a9af6c06adec4268fbb2a04ee4b0e",
        "Run `git fsck --full`, and clone again from a repository that is whole. Believe nothing that this one says.",
    ),
    _reason(
        Reason.OBJECT_UNREADABLE, Step.OBJECT,
        "The object is not here, is too large, or is of a kind that carries no signature.",
        f"object {_ID} is not in this repository; See whether the id is right, or fetch it from where it is.",
        "Fetch what is missing: `git fetch --unshallow` in a shallow clone. Nothing is ever fetched by the verifier.",
    ),
    _reason(
        Reason.UNSEEN, (Step.OBJECT, Step.POLICY),
        "git called for a verdict and showed the signed part alone: no id, no other headers, no ref.",
        "git shows neither the object's id nor its other headers",
        "Nothing is wrong. `notme-attest verify REV` sees the whole object.",
    ),
    _reason(
        Reason.SIGNATURE_MISSING, Step.SIGNATURE,
        "There is no signature at all.",
        "it carries no signature",
        f"{_ANEW} `notme-git doctor` says why commits here are not signed; a policy can excuse what is older than it.",
    ),
    _reason(
        Reason.SIGNATURE_SEVERAL, Step.SIGNATURE,
        "More than one signer, where readers might look at different ones.",
        "the signature has 2 signers; exactly one is accepted",
        _ANEW,
    ),
    _reason(
        Reason.SIGNATURE_MALFORMED, Step.SIGNATURE,
        "The signature is not one well-formed value of its format: cut short, padded, or followed by something.",
        "the signer identifier names 0 of the included certificates, not one",
        f"{_ANEW} If one program's signatures are all like this, report it with the object.",
    ),
    _reason(
        Reason.SIGNATURE_FOREIGN, (Step.SIGNATURE, Step.CHAIN),
        "Signed by a key or certificate of another kind than an authority's, and no root of that kind was named.",
        "signed with an SSH key: its owner's own key, not by this authority",
        "If such signatures may count: name whose, with `--allowed-signers`, `--gitsign`, `--smime-ca` or "
        "`--openpgp`, or "
        "in the policy.",
    ),
    _reason(
        Reason.SIGNATURE_UNKNOWN, Step.SIGNATURE,
        "An armour that nobody here knows. git does not either, and `git log --format=%G?` ends at such a commit.",
        "nobody here reads a signature in -----BEGIN NEW SIGNATURE-----",
        f"Find out which program wrote it. {_ANEW}",
    ),
    _reason(
        Reason.DIGEST_MISMATCH, Step.INTEGRITY,
        "The signature is over other content: the object was changed after it was signed, or carries another's "
        "signature.",
        "the content is not what was signed: its digest differs",
        "Do not trust the object; ask whoever made it, and look at who could write to the repository. Rewriting tools "
        "that keep old signatures (filter-branch, some importers) do this without ill intent.",
    ),
    _reason(
        Reason.SIGNATURE_INVALID, Step.INTEGRITY,
        "The signature does not verify over the content by the key that it names.",
        "the Ed25519 signature is not over this content by this key",
        "As for digest-mismatch: the object is not what was signed, or was never signed by that key.",
    ),
    _reason(
        Reason.KEY_REFUSED, (Step.INTEGRITY, Step.CHAIN),
        "A key or algorithm that counts for nothing here: too weak (SHA-1, MD5, RSA under 2048 bits, points of small "
        "order), or not the one that the format demands.",
        "a signature of kind 'ssh-rsa' is none that counts of a key of kind ssh-rsa",
        "Sign with Ed25519, P-256 or RSA of 3072 bits and SHA-2.",
    ),
    _reason(
        Reason.ANCHOR_UNKNOWN, (Step.CHAIN, Step.POLICY),
        "No authority that is pinned here issued the certificate, or the policy does not count that authority.",
        "no pinned anchor issued the certificate of 'O=notme,CN=claude-code' (issuer "
        "'O=notme,CN=authority.example'); pin "
        "its authority's root with --anchor FILE, after checking the fingerprint out of band; after a rotation, a "
        "newer trust bundle names it (notme-git trust update, --bundle FILE)",
        "Get the authority's root from someone who knows (`notme-git trust export`), compare fingerprints, and pin it. "
        "Where an authority that is pinned began a new epoch, take its newer trust bundle: `notme-git trust update`, "
        "or the file that `--bundle` names (on a server `notme.bundle`).",
    ),
    _reason(
        Reason.CERTIFICATE_INVALID, Step.CHAIN,
        "The certificate does not hold: not signed by who it says, not well-formed, or against its own rules.",
        "the signer's certificate does not hold: its issuer name is not its issuer's subject name",
        "The signer enrols again (`notme-git enroll`) and signs anew. If every certificate of an authority is like "
        "this, its operator looks at its root.",
    ),
    _reason(
        Reason.PROFILE_MISMATCH, Step.CHAIN,
        "The certificate is under a pinned authority, and not as its profile has them: wrong lifetime, extensions, "
        "order.",
        "the certificate lives longer than five minutes from issue",
        "An authority of ours does not issue such: whoever did has its key, or changed its program. Look into it.",
    ),
    _reason(
        Reason.PURPOSE_MISMATCH, (Step.CHAIN, Step.INTEGRITY),
        "A certificate or signature that was made for something else: TLS, a CA, another namespace than git's.",
        "the certificate is not for signing (the TLS sibling of a pair?)",
        "Sign with the signing credential. Where it is what the certificate allows, it was taken from another use.",
    ),
    _reason(
        Reason.EXTENSION_UNKNOWN, Step.CHAIN,
        "The certificate has an extension that its profile does not know: it may say something that is not understood.",
        "critical extension 1.2.3.4 is not in profile notme",
        "Use a newer version of the verifier, if the authority is newer.",
    ),
    _reason(
        Reason.DELEGATION_EXCEEDED, Step.CHAIN,
        "An orchestrator issued a certificate that goes beyond its own grant: other human, more scopes, longer, "
        "elsewhere.",
        "the certificate is not within its issuing CA's: it leaves its issuing CA's session or task",
        "Narrow what the orchestrator gives, or give the orchestrator more: `notme-git grant add --delegate`.",
    ),
    _reason(
        Reason.KEY_UNKNOWN, (Step.CHAIN, Step.INTEGRITY),
        "The signature is good, and nothing that the verifier named says whose key it is. For OpenPGP: gpg has no such "
        "key, so that nothing at all can be checked.",
        "no line of the allowed signers names SSH key SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU for git; "
        "list it "
        "in the allowed signers file, if its owner may sign here",
        "Find out whose key it is, by another way than the commit; then list or import it.",
    ),
    _reason(
        Reason.KEY_REVOKED, Step.CHAIN,
        "The key is on a revocation list, or its owner revoked it.",
        "key 3AA5C34371567BD2E5B1F2A5D4C6B7A898765432 is revoked, says gpg",
        "Sign with another key. A revoked key's signatures count for nothing, whenever they say they were made.",
    ),
    _reason(
        Reason.KEY_OUTSIDE_VALIDITY, Step.CHAIN,
        "The key is listed for another time than the object's own date.",
        "the key of alice@example.org counts until 2026-01-01T00:00:00Z, and signed at 2026-11-23T13:58:10Z (signer)",
        "Give the line in the allowed signers the time in which the key was in use (`valid-after`, `valid-before`).",
    ),
    _reason(
        Reason.TOOL_ABSENT, (Step.INTEGRITY, Step.CHAIN),
        "What this format needs is not installed or does not run: gpg, or the package with Sigstore's root.",
        "gpg is not installed, and it alone reads OpenPGP signatures; apt install gpg, or ask for no OpenPGP "
        "signatures",
        "Install it, or leave that format out.",
    ),
    _reason(
        Reason.TIME_UNPROVEN, Step.TIME,
        "Only the signer says when it was signed. Whoever steals a key that has ended can say the same.",
        "time unproven: only the signer says that it was signed while the certificate was valid",
        "Sign with a time-stamp of the authority; for SSH signatures bring it here: `notme-attest sync REMOTE`. "
        "The built-in policy lets it pass, and says so.",
    ),
    _reason(
        Reason.TIME_OUTSIDE_VALIDITY, (Step.TIME, Step.CHAIN),
        "It was signed, by the evidence or by its own word, when the certificate or key did not hold.",
        "signed at 2026-11-23T14:04:11Z (signer), outside the certificate's validity (2026-11-23T13:57:10Z to "
        "2026-11-23T14:03:10Z)",
        f"Check the signing machine's clock. {_ANEW}",
    ),
    _reason(
        Reason.TIME_CONTRADICTED, Step.TIME,
        "Somebody else proves that it existed before its key was vouched for, or before the time-stamp in it was made. "
        "One of the clocks is wrong, or one of those who vouch says what is not so.",
        "it existed at 2026-11-23T13:40:10Z, says independent (detached-rfc3161:324be2dea8bc44461b0233e51fa48902), "
        "before what vouches for its key began",
        "Find out whose clock is wrong: the authority's, the time-stamping authority's or the server's. Until then "
        "stop naming the one that cannot be trusted.",
    ),
    _reason(
        Reason.TIMESTAMP_INVALID, Step.TIME,
        "A time-stamp inside of the signature does not hold, or is another authority's.",
        "the time-stamp does not hold: the signer identifier names 0 of the included certificates, not one",
        "Sign anew; if it comes again, the authority's operator looks at its time-stamping key.",
    ),
    _reason(
        Reason.CLOCK_BEHIND, (Step.TIME, Step.EPOCH),
        "What is looked at is younger than this machine's clock says it can be.",
        "it was signed at 2026-11-23T13:58:10Z, and this machine's clock says 2026-11-12T00:11:30Z; set the clock of "
        "this "
        "machine and try again",
        "Set the clock, and verify again.",
    ),
    _reason(
        Reason.LOG_ENTRY_INVALID, Step.TIME,
        "The transparency log's entry beside a keyless statement is missing, is of something else, or is not proven to "
        "be in a log that the trusted root names.",
        "the transparency log's entry does not hold: it is of another signature",
        "Name the trusted root of the instance that signed. If it is the right one, the bundle was altered: take it "
        "again from who signed it.",
    ),
    _reason(
        Reason.BUNDLE_ABSENT, Step.EPOCH,
        "There is no trust bundle, so that nobody asked whether epoch, grant or principal were still good.",
        "no trust bundle: retired epochs, revocations and rollback were not checked",
        "`notme-git trust export --format bundle` at the authority, `--bundle FILE` here. The built-in policy lets "
        "it pass.",
    ),
    _reason(
        Reason.BUNDLE_INVALID, Step.EPOCH,
        "The trust bundle is damaged, or not signed by the pinned authority.",
        "the trust bundle does not hold: the Ed25519 signature is not over this content by this key",
        "Get it again from the authority. If it stays so, do not use it: ask the operator by another way.",
    ),
    _reason(
        Reason.BUNDLE_STALE, (Step.POLICY, Step.EPOCH),
        "The trust bundle is older than the policy allows: a revocation may be missing in it.",
        "the trust bundle is absent or older than the policy allows; fetch the current bundle from the authority",
        "`notme-git trust update`, or a new export for `--bundle`.",
    ),
    _reason(
        Reason.BUNDLE_ROLLBACK, Step.EPOCH,
        "The trust bundle is older than one that was seen before: somebody may be hiding a revocation.",
        "the trust bundle has sequence 7; 8 was seen before; fetch the current bundle: notme-git trust update, or a "
        "new "
        "export of the authority's for --bundle",
        "Fetch the current one. If the authority was restored from a backup, its operator says so, by another way.",
    ),
    _reason(
        Reason.EPOCH_UNKNOWN, Step.EPOCH,
        "The certificate names an epoch that the trust bundle does not have, or has with another key.",
        "the certificate says epoch 2; the trust bundle knows no such epoch with its issuer's key",
        "Fetch the current bundle: the authority may have rotated since. If it is current, the certificate is no good.",
    ),
    _reason(
        Reason.EPOCH_RETIRED, Step.EPOCH,
        "The epoch is retired, and nothing but the signer proves that the signature is older than that.",
        "epoch 1 is retired (routine) since 2026-11-23T12:58:10Z, and nothing proves that the signature is older",
        f"Fetch its time-stamp, if it has one beside it. Else: {_ANEW[0].lower()}{_ANEW[1:]}",
    ),
    _reason(
        Reason.REVOKED, Step.EPOCH,
        "Principal, grant, session or certificate is revoked, and nothing proves that the signature is older than "
        "that.",
        "grant 7d3c1c1e-5d0b-4d0e-9d0c-2f6f0e6b7a11 is revoked since 2026-11-23T13:58:40Z: lost",
        "Look at what was signed since. The agent gets a new grant (`notme-git grant add`), and good work is signed "
        "anew.",
    ),
    _reason(
        Reason.SCOPE_MISSING, Step.IDENTITY,
        "The certificate does not allow this kind of signature.",
        "the certificate's scopes (sign:attestation) do not include sign:git",
        "Grant it (`notme-git grant add --scope sign:git`), and sign anew.",
    ),
    _reason(
        Reason.COMMITTER_MISMATCH, Step.IDENTITY,
        "Committer, tagger or pusher is neither the agent nor whom it represents.",
        "committer <bob@example.org> is neither the actor nor the represented principal "
        "(agent-7@authority.example.invalid, "
        "alice@example.org)",
        "Commit as the agent or its human: `notme-git whoami` says who that is, `notme-git doctor` what overrides it.",
    ),
    _reason(
        Reason.IDENTITY_UNEXPECTED, Step.IDENTITY,
        "A keyless statement holds, and was signed by another identity, or one of another provider, than was named.",
        "signed by 'mallory@example.com', for whom 'https://accounts.example.com' vouched: not who was expected; Name "
        "both exactly as the certificate has them.",
        "Look at who signed, and name that identity and its provider only if you mean them.",
    ),
    _reason(
        Reason.TIME_REQUIRED, Step.POLICY,
        "The policy wants better evidence of the time than there is.",
        "the policy requires evidence of time from authority or better",
        "As for time-unproven: sign with a time-stamp, or fetch the one that is kept beside it. Who signed in ssh "
        "format has it in the home, and brings it to others: `notme-git timestamp A..B`, then `notme-attest sync "
        "REMOTE`.",
    ),
    _reason(
        Reason.CONSTRAINT_MISMATCH, Step.POLICY,
        "The grant is for another repository or branch than where the object is offered.",
        "the certificate is good for branch agents/* only, not for refs/heads/main",
        "Push to where the grant allows, let a human merge it, or grant the agent more.",
    ),
    _reason(
        Reason.CONTEXT_UNKNOWN, Step.POLICY,
        "The policy or the grant asks where the object is offered, and that is not known here.",
        "the certificate is good for repository https://git.example/app only; it is not known where this is offered; "
        "say "
        "it with --repository ADDRESS",
        "Say it: `--repository`, `--ref`; on a server set `notme.repository`.",
    ),
    _reason(
        Reason.FORMAT_REFUSED, Step.POLICY,
        "The policy does not count signatures of this format, however good.",
        "the policy counts notme only, not ssh",
        "Sign in a format that it counts (`notme-git setup --format`), or change the policy.",
    ),
    _reason(
        Reason.NO_RULE, Step.POLICY,
        "No rule of the policy speaks of the object: denied.",
        "no rule of the policy speaks of it; notme-attest policy explain says why each does not",
        "`notme-attest policy explain REV` says why each rule does not.",
    ),
    _reason(
        Reason.RULE_DENIES, Step.POLICY,
        "The first rule that speaks of the object denies it.",
        "rule no-agents-in-ci denies it",
        "Leave out what the rule denies, or have someone push it who may.",
    ),
    _reason(
        Reason.RULE_NOT_MET, Step.POLICY,
        "The rule that speaks of the object asks for more than it has.",
        "rule main requires evidence: signer vouches for the time of signing, not authority or better",
        "Meet what the sentence names. `notme-attest policy explain REV` shows the rule.",
    ),
    _reason(
        Reason.POLICY_BROKEN, Step.POLICY,
        "The policy in the tree was removed, cannot be read, or was changed against its own rules: nothing that comes "
        "after is judged.",
        "no policy is in force after 3f2a...: .notme/policy.toml is not there; judge with a file (--policy), or pin a "
        "later start",
        "Look at the history, then `notme-attest trust repo --start COMMIT` behind the repair, or `--policy FILE`.",
    ),
    _reason(
        Reason.ATTESTER_REFUSED, Step.POLICY,
        "An attestation holds, and whoever signed it may not state this: not this type, not for this repository or "
        "ref, or not in the name of the verifier that it names.",
        "ni:///sha-256;Mkvi3qi8REYbAjPlH6SJAlNDXDrlKZEsrGq5dlsdGI4 signed it, who may not attest this",
        "Name the attester with `--attester-key`, or in `[[attesters]]` of the policy, if you mean it.",
    ),
    _reason(
        Reason.STATEMENT_INSUFFICIENT, Step.POLICY,
        "An attestation holds, and says less than is wanted: its result is not PASSED, it has another level or ref, "
        "or its type states no result and was not asked for.",
        "its result is not PASSED",
        "Look at what it says with `notme-attest show`; ask for another type with `--type`, or have the object "
        "attested anew.",
    ),
    _reason(
        Reason.EARLIER_STEP,
        (Step.SIGNATURE, Step.INTEGRITY, Step.CHAIN, Step.TIME, Step.EPOCH, Step.IDENTITY, Step.POLICY),
        "Not looked at, because a step that it rests on did not end proven.",
        "not looked at: an earlier step failed",
        "See to the earlier step.",
    ),
)  # fmt: skip
