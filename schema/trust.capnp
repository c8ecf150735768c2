@0xdeacb5ef37fb1228;
# What a verifier goes by: the authority's epochs, their keys, and what was revoked (design D6).

struct TrustBundle {
  # The signed list of epochs and revocations; every signature covers its canonical encoding.

  version @0 :UInt16;
  # 1. A reader refuses what it does not know.
  authorityId @1 :Text;
  # The name of the authority, as in its certificates' URIs.
  sequence @2 :UInt64;
  # Grows with every issue; never goes back for a verifier that kept the last one.
  issuedAt @3 :UInt64;
  # Unix seconds.
  recoveryCommitment @4 :Data;
  # SHA-256 of the offline recovery key's SubjectPublicKeyInfo, 32 bytes; the same in every bundle.
  epochs @5 :List(Epoch);
  # Ascending by number; the last one is current.
  revocations @6 :List(Revocation);
  # In the order they were made.
}

struct Epoch {
  # One generation of the authority's keys.

  number @0 :UInt32;
  # Counts from 1; every certificate names it.
  root @1 :Data;
  # Self-signed Ed25519 certificate, DER.
  interopRoot @2 :Data;
  # Self-signed P-256 certificate of the same epoch, DER; empty without an interop profile.
  timestampCertificates @3 :List(Data);
  # Certificates of the time-stamping key, DER, one under each root.
  beganAt @4 :UInt64;
  # Unix seconds.
  retiredAt @5 :UInt64;
  # Unix seconds; 0 while current. What evidence puts before it stays good.
  retirement @6 :Retirement;
  # How the epoch ended.
  compromisedAt @7 :UInt64;
  # Unix seconds; 0 for none. Nothing after this instant counts without evidence before it.
}

enum Retirement {
  # How an epoch ended.

  current @0;
  # Not at all: it issues certificates.
  routine @1;
  # Rotation; its keys are believed to be safe.
  compromise @2;
  # Its keys may be in other hands; counts only with the recovery key's signature.
}

struct Revocation {
  # One thing that no longer counts from an instant on.

  kind @0 :RevocationKind;
  # What is revoked.
  id @1 :Text;
  # The principal's URI, the grant's or session's id, or the SHA-256 of the certificate's signed part (TBS), in lower-case hex.
  at @2 :UInt64;
  # Unix seconds. What evidence puts before it stays good.
  reason @3 :Text;
  # For people; may be empty.
}

enum RevocationKind {
  # What a revocation names.

  principal @0;
  # An actor or a represented principal.
  grant @1;
  # One grant, and what was issued under it.
  session @2;
  # One session of an actor.
  certificate @3;
  # One bridge certificate.
}

struct SignedTrustBundle {
  # A trust bundle as it travels: a file, or a blob in a git ref.

  bundle @0 :Data;
  # Canonical encoding of a TrustBundle: the very bytes that were signed.
  signatures @1 :List(BundleSignature);
  # By the current key, after a rotation also by the previous one, for a compromise also by the recovery key.
}

struct BundleSignature {
  # One signature over a trust bundle or, by the recovery key, over an epoch's retirement.

  role @0 :SignerRole;
  # Which key this is.
  spki @1 :Data;
  # The key: Ed25519 SubjectPublicKeyInfo, DER, 44 bytes (RFC 8410 section 4).
  signature @2 :Data;
  # Ed25519 with domain separation, 64 bytes (RFC 8032 section 5.1.6).
}

enum SignerRole {
  # Whose key signed.

  current @0;
  # The root of the current epoch.
  previous @1;
  # The root of the epoch before it.
  recovery @2;
  # The offline recovery key.
}
