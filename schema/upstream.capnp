@0x9508be642d1fea24;
# What the upstream authority says, for reading only (authority-protocol.md 1 and 6, formats.md 1.3 and 1.4).
# Its documents are JSON and CBOR; these are their fields under their own names. Nothing here is ever issued.

using import "annotations.capnp".nullable;

struct BridgeCertPair {
  # The answer to an enrolment: two certificates over two keys, bound to each other.

  mtlsCert @0 :Text;
  # P-256 certificate for mutual TLS, PEM.
  signingCert @1 :Text;
  # Ed25519 certificate for signatures, PEM.
  identity @2 :Text;
  # The URI in both, wimse://...; compared whole.
  scopes @3 :List(Text);
  # What the certificates carry; upstream writes bridgeCert only.
  expiresAt @4 :UInt64;
  # Unix seconds: the end of both, rounded down.
  subject @5 :Text;
  # Principal id, or the OIDC subject of a CI job; most routes leave it out.
  binding @6 :Text;
  # Lower-case hex of SHA-256 over both SubjectPublicKeyInfo, mTLS first.
  epoch @7 :UInt32;
  # Of the issuing key.
  authMethod @8 :Text;
  # How the subject proved itself, for example gha-oidc; absent on the route for CI jobs.
}

struct CABundle {
  # The authority's current keys, good for five minutes.

  epoch @0 :UInt32;
  # Current epoch.
  seqno @1 :UInt64;
  # Grows with every issue.
  keys @2 :List(CAKey);
  # The current key and at most one previous; a map by key id upstream.
  keyId @3 :Text;
  # The current key's id.
  prevKeyId @4 :Text;
  # The previous key's id; empty without one.
  issuedAt @5 :UInt64;
  # Unix seconds.
  signature @6 :Data;
  # Ed25519 by the current key over the canonical CBOR of the other six (RFC 8949 section 4.2), 64 bytes.
}

struct CAKey {
  # One key of a bundle.

  id @0 :Text;
  # The first 32 hex digits of the SHA-256 of its SubjectPublicKeyInfo.
  publicKey @1 :Data;
  # Raw Ed25519 key, 32 bytes.
}

struct WorkItemRef {
  # The work item that a dispatch serves.

  repo @0 :Text;
  # Where it is kept.
  workItemId @1 :Text;
  # Its id there; beadId in older documents.
  contentHash @2 :Text;
  # sha256: and lower-case hex of its content.
}

struct DispatchAgent {
  # The agent that was dispatched, as the orchestrator describes it: a claim.

  name @0 :Text;
  # Of the agent's definition.
  provider @1 :Text;
  # Of the model.
  model @2 :Text;
  # Its name at the provider.
  definition @3 :Text;
  # sha256: and lower-case hex of the definition; may be empty.
}

struct Pipeline {
  # The phases a dispatch belongs to.

  phases @0 :List(Text);
  # In order.
  currentPhase @1 :UInt32;
  # Index into them, from 0.
  pipelineId @2 :Text;
  # UUID.
}

struct DispatchPredicate {
  # Predicate https://notme.bot/provenance/dispatch/v1, in the flat form of upstream's own schema.

  workItemRef @0 :WorkItemRef;
  # Why; beadRef in older documents.
  agent @1 :DispatchAgent;
  # Who.
  pipeline @2 :Pipeline $nullable;
  # Where in a pipeline, if in one.
  signingCert @3 :Text;
  # The dispatch's signing certificate, PEM.
  certPair @4 :BridgeCertPair $nullable;
  # Both certificates, where they are given.
}

struct HandoffPredicate {
  # Predicate https://notme.bot/provenance/handoff/v1, in the form of upstream's own schema.

  fromPhase @0 :Text;
  # The phase that ends.
  toPhase @1 :Text;
  # The phase that begins.
  summary @2 :Text;
  # What was done.
  filesChanged @3 :List(Text);
  # Paths.
  commitShas @4 :List(Text);
  # Commit ids, lower-case hex.
  previousChainHash @5 :Text;
  # chainHash of the handoff before; empty for the first.
  chainHash @6 :Text;
  # SHA-256 over the handoff and previousChainHash (formats.md 1.5), lower-case hex.
  signingCert @7 :Text;
  # Of the handing side, PEM.
  certPair @8 :BridgeCertPair $nullable;
  # Both certificates, where they are given.
}
