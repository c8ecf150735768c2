@0xb5eec277061f7f9d;
# What an examination found, and what a policy makes of it: the stored and digested forms (design 4 and D5).

using import "annotations.capnp".nullable;
using import "grant.capnp".Principal;
using import "grant.capnp".Assurance;

enum StepStatus {
  # How one step of an examination ended.

  proven @0;
  # Checked, and true.
  failed @1;
  # Checked, and false.
  unavailable @2;
  # Could not be checked.
  notApplicable @3;
  # This kind of signature has no such step.
}

struct Finding {
  # The end of one step.

  step @0 :UInt8;
  # 1 to 8, as in design 4.
  status @1 :StepStatus;
  # How it ended.
  reason @2 :Text;
  # A stable word for programs; empty when proven.
  detail @3 :Text;
  # One sentence for people.
}

enum Voucher {
  # Who vouches for an interval of time, weakest first.

  signer @0;
  # The signer's own word.
  authority @1;
  # A time-stamp of the authority that issued the certificate.
  receiver @2;
  # The receiving side: a witness, or the nonce of a push certificate.
  independent @3;
  # A third party: a foreign time-stamping authority, or a transparency log.
}

struct Evidence {
  # The signature was made within an interval, and somebody says so (design D5).

  notBefore @0 :UInt64;
  # Unix seconds; 0 where nothing bounds it below.
  notAfter @1 :UInt64;
  # Unix seconds.
  voucher @2 :Voucher;
  # Who says so.
  source @3 :Text;
  # Where it was found, for example cms-signing-time.
}

struct CiClaim {
  # One thing that a CI provider said of a job, repeated in its certificate.

  name @0 :Text;
  # As Fulcio names its extension, for example sourceRepositoryURI.
  value @1 :Text;
  # As it stands there.
}

struct Identity {
  # Who signed, for whom, and under what.

  actor @0 :Principal;
  # Who holds the signing key.
  represented @1 :Principal $nullable;
  # On whose behalf; absent when the certificate names nobody.
  grantId @2 :Text;
  # The grant the certificate was issued under; empty where the profile has none.
  grantSha256 @3 :Data;
  # SHA-256 of that grant's canonical encoding, 32 bytes, or empty.
  scopes @4 :List(Text);
  # What the certificate allows.
  epoch @5 :UInt32;
  # Of the issuing key.
  assurance @6 :Assurance;
  # What separated the actor from the represented principal.
  certificateSha256 @7 :Data;
  # SHA-256 of the leaf certificate as encoded, 32 bytes.
  payloadUnchecked @8 :Bool;
  # The signer saw a digest only, and so checked neither kind nor content of what it signed.
  delegator @9 :Principal $nullable;
  # Who issued the actor's certificate within its own grant; absent where the authority issued it.
  ci @10 :List(CiClaim);
  # What a CI provider said of the job that acted; empty for others.
}

enum Severity {
  # How much a contradiction weighs before a policy says so.

  info @0;
  # Worth knowing.
  warning @1;
  # Probably wrong.
  error @2;
  # Cannot be true, or must not be.
}

struct Contradiction {
  # What an object says of itself, against what its signature proves (design D14).

  code @0 :Text;
  # A stable word for programs.
  severity @1 :Severity;
  # How much it weighs.
  detail @2 :Text;
  # One sentence for people.
}

struct Findings {
  # What the eight steps found for one object.

  version @0 :UInt16;
  # 1. A reader refuses what it does not know.
  objectFormat @1 :Text;
  # sha1 or sha256.
  objectId @2 :Text;
  # Lower-case hex, recomputed from the bytes; empty where git gave no object.
  objectKind @3 :Text;
  # commit, tag or push-certificate.
  findings @4 :List(Finding);
  # Eight, in the order of the steps.
  evidence @5 :List(Evidence);
  # About when the signature was made.
  identity @6 :Identity $nullable;
  # Absent where no certificate could be read.
  profile @7 :Text;
  # Of the certificate: notme, interop, upstream or signet; for a signature of another kind that kind; else empty.
  remarks @8 :List(Text);
  # What is odd, but allowed.
  contradictions @9 :List(Contradiction);
  # Where what the object says of itself and what its signature proves do not agree.
}

enum Outcome {
  # What a policy makes of findings.

  accepted @0;
  # Every step the policy needs is proven.
  acceptedTimeUnproven @1;
  # As accepted, but only the signer says when.
  rejected @2;
  # A step failed, or the policy's rule is not met.
  couldNotCheck @3;
  # A step the policy needs is unavailable.
}

struct Verdict {
  # Findings, judged under one policy at one instant.

  findings @0 :Findings;
  # What was judged.
  outcome @1 :Outcome;
  # The judgement.
  policy @2 :Text;
  # The policy's name.
  policySha256 @3 :Data;
  # SHA-256 of the policy, 32 bytes.
  at @4 :UInt64;
  # Unix seconds: the one clock of the decision.
  bundleSequence @5 :UInt64;
  # Of the trust bundle used; 0 without one.
  bundleAge @6 :UInt64;
  # Seconds between its issue and the decision; 0 without one.
  warnings @7 :List(Text);
  # For people.
  rule @8 :Text;
  # The policy's rule that decided; empty where none did.
}
