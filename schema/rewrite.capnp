@0xe86a41c7d2b9503f;
# The predicate of a rewrite record (https://notme.bot/provenance/rewrite/v0.1), as it stands in an in-toto Statement:
# which commits a new one was made from, and what the recording verifier found of them.

using import "annotations.capnp".camel;
using import "annotations.capnp".nullable;
using import "annotations.capnp".plain;

$plain;

enum RewriteHow {
  # What was done to the old commits.

  amend @0;
  # git commit --amend.
  rebase @1;
  # One commit, made again elsewhere.
  squash @2;
  # Several commits, made into one.
  cherryPick @3;
  # One commit, made again while it stays where it is.
  merge @4;
  # A merge commit that brings them in.
}

enum RewriteRelation {
  # What the new commit and the old ones have in common, computed by the recording verifier from their bytes.

  sameTree @0;
  # From the same tree to the same tree.
  patchId @1;
  # The same changed lines, each with the same three lines around it, white space included; perhaps elsewhere.
  none @2;
  # Neither of these: the content is not known to be theirs.
}

enum RewriterKind {
  # How the recording verifier knows who made the new commit.

  signer @0;
  # It is signed, by a key that a pinned root vouches for.
  forge @1;
  # A forge stands as its committer; proven only where a key of it signed.
  committer @2;
  # Nobody proven: the committer line claims it.
}

struct RewriteCommitDigest {
  # A commit by its id.

  gitCommit @0 :Text $camel;
  # 40 or 64 lower-case hex digits.
}

struct RewriteTreeDigest {
  # A tree by its id.

  gitTree @0 :Text $camel;
  # 40 or 64 lower-case hex digits.
}

struct RewriteSha256 {
  # Something by its SHA-256.

  sha256 @0 :Text;
  # 64 lower-case hex digits.
}

struct RewritePrincipal {
  # Somebody whom a certificate or a known key names.

  id @0 :Text;
  # A URI.
  kind @1 :Text;
  # human, agent, workload, organization or verifier.
  name @2 :Text;
  # As it is shown.
  email @3 :Text;
  # Empty where there is none.
}

struct RewriteTime {
  # When the signature of an old commit was made, by the best evidence that was found.

  notBefore @0 :Text $camel;
  # RFC 3339 in UTC.
  notAfter @1 :Text $camel;
  # RFC 3339 in UTC.
  voucher @2 :Text;
  # Who says so: signer, authority, receiver or independent.
}

struct RewriteNew {
  # The new commit, which the Statement's subject names.

  objectFormat @0 :Text $camel;
  # sha1 or sha256.
  objectSha256 @1 :Text $camel;
  # SHA-256 of its raw bytes.
  tree @2 :RewriteTreeDigest;
  # Its tree.
  parents @3 :List(RewriteCommitDigest);
  # Its parents, in order.
}

struct RewriteOld {
  # An old commit, and what the recording verifier found of it.

  digest @0 :RewriteCommitDigest;
  # Which one.
  objectSha256 @1 :Text $camel;
  # SHA-256 of its raw bytes.
  payloadSha256 @2 :Text $camel;
  # SHA-256 of what its signature covers.
  outcome @3 :Text;
  # accepted, accepted-time-unproven, rejected or could-not-check.
  reason @4 :Text $nullable;
  # The code of what stood against it, null where nothing did.
  actor @5 :RewritePrincipal $nullable;
  # Who signed it, null where that was not proven.
  representedPrincipal @6 :RewritePrincipal $camel $nullable;
  # On whose behalf, null where nobody was named.
  certificateSha256 @7 :Text $camel $nullable;
  # SHA-256 of the certificate that it was signed under, null without one.
  time @8 :RewriteTime $nullable;
  # When it was signed, null where nothing says so.
  statements @9 :List(RewriteSha256);
  # The statements about it that were stored then, by the digest of their payload; they were not checked.
}

struct RewriteRewriter {
  # Who made the new commit.

  kind @0 :RewriterKind;
  # How that is known.
  proven @1 :Bool;
  # Whether a signature proved it.
  id @2 :Text $nullable;
  # The URI of a signer, null for others.
  name @3 :Text;
  # The signer, the forge, or the committer line.
}

struct RewriteVerifier {
  # Whoever signs the record.

  id @0 :Text;
  # A URI.
}

struct RewritePolicy {
  # What the old commits were judged by.

  name @0 :Text;
  # The policy's name.
  digest @1 :RewriteSha256;
  # Of what it says.
}

struct RewriteVerification {
  # Who recorded it, when, and by which policy.

  verifier @0 :RewriteVerifier;
  # Whoever signs the record.
  recordedAt @1 :Text $camel;
  # RFC 3339 in UTC.
  policy @2 :RewritePolicy;
  # What the old commits were judged by.
}

struct Rewrite {
  # The predicate.

  made @0 :RewriteHow;
  # What was done.
  relation @1 :RewriteRelation;
  # What they have in common.
  base @2 :RewriteCommitDigest $nullable;
  # The commit that the old ones came after, null where they begin a history or are no one row.
  patchId @3 :Text $camel $nullable;
  # Of relation patch-id: as git patch-id --stable prints it.
  patchSha256 @4 :Text $camel $nullable;
  # Of relation patch-id: SHA-256 of the changes, white space included (docs/statements/rewrite.md).
  note @5 :Text $nullable;
  # Of relation none: why, as a sentence.
  new @6 :RewriteNew;
  # The new commit.
  old @7 :List(RewriteOld);
  # The commits that it was made from, oldest first.
  rewriter @8 :RewriteRewriter;
  # Who made it.
  verification @9 :RewriteVerification;
  # Who recorded it.
}
