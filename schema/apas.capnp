@0xed1bf66c4fb6dcf1;
# What is written of APAS 0.3.0 (formats of the predicates dispatch/v1 and handoff/v1), as it goes: JSON. Fields are
# read whatever else stands beside them; of what is written here there is nothing else.

using import "annotations.capnp".camel;
using import "annotations.capnp".optional;
using import "annotations.capnp".plain;

$plain;

enum IsolationLevel {
  # What separated the agent from the machine it ran on.

  gitWorktree @0;
  # A worktree of its own.
  container @1;
  # A container.
  vm @2;
  # A virtual machine.
  none @3;
  # Nothing.
}

struct ContentOrigin {
  # One source of content, and who says that it is one.

  uri @0 :Text;
  # The source, printable ASCII of at most 2048 bytes.
  vouchedBy @1 :Text $camel;
  # One authority that vouches for it; empty where nobody does.
}

struct DispatchedWorkItem {
  # Why: the item of a tracker.

  repo @0 :Text;
  # Where it is kept.
  workItemId @1 :Text $camel;
  # Its id there.
  contentHash @2 :Text $camel;
  # sha256: and 64 lower-case hex digits, of its content.
}

struct DispatchedAgent {
  # Who, in the orchestrator's words: a claim.

  name @0 :Text;
  # Of the agent's definition.
  provider @1 :Text;
  # Of the model.
  model @2 :Text;
  # Its name at the provider.
  definition @3 :Text $optional;
  # sha256: and 64 lower-case hex digits, of the definition.
  permissionProfile @4 :Text $camel $optional;
  # What it was allowed to do, by name.
}

struct DispatchedPipeline {
  # Where among several phases.

  phases @0 :List(Text) $optional;
  # In order.
  currentPhase @1 :UInt32 $camel $optional;
  # Index into them, from 0.
  pipelineId @2 :Text $camel $optional;
  # UUID.
}

struct DispatchDefinition {
  # What was dispatched, and to whom.

  workItemRef @0 :DispatchedWorkItem $camel;
  # Why.
  pipeline @1 :DispatchedPipeline $optional;
  # Where in a pipeline, if in one.
  agent @2 :DispatchedAgent;
  # Who.
}

struct OrchestratorIdentity {
  # By which credential the orchestrator is known.

  bridgeCert @0 :Text $camel $optional;
  # Its own bridge certificate, base64 of DER; never the dispatch's.
}

struct Orchestrator {
  # Who dispatched.

  name @0 :Text $optional;
  # Of the program.
  version @1 :Text $optional;
  # Of the program.
  identity @2 :OrchestratorIdentity $optional;
  # By which credential.
}

struct Execution {
  # How it ran.

  workDir @0 :Text $camel $optional;
  # A path on the orchestrator's machine; left out of what everyone reads.
  startedAt @1 :Text $camel $optional;
  # RFC 3339.
  completedAt @2 :Text $camel $optional;
  # RFC 3339.
  durationMs @3 :UInt64 $camel $optional;
  # Milliseconds.
  sessionId @4 :Text $camel $optional;
  # UUID of the agent's session.
  isolationLevel @5 :IsolationLevel $camel $optional;
  # What separated it.
}

struct StatementDigest {
  # A statement, by the digest of its payload.

  sha256 @0 :Text;
  # Lower-case hex.
}

struct DispatchedCommit {
  # One commit of the dispatch. From treeId on the fields are extensions of this project.

  sha @0 :Text;
  # Its id, 40 or 64 lower-case hex digits.
  message @1 :Text $optional;
  # The first line of its message.
  signature @2 :Text $optional;
  # The armour of its signature.
  treeId @3 :Text $camel $optional;
  # Its tree.
  parents @4 :List(Text) $optional;
  # Their ids, in order.
  payloadSha256 @5 :Text $camel $optional;
  # Of the bytes that its signature covers.
  certSha256 @6 :Text $camel $optional;
  # Of the certificate that signed it, where its chain was proven.
  epoch @7 :UInt32 $optional;
  # Of the issuing key, likewise.
  verificationStatement @8 :StatementDigest $camel $optional;
  # The verifier's commit/v0.1 about it.
}

struct DispatchedWork {
  # What came of it.

  commits @0 :List(DispatchedCommit);
  # In order; those that the statement is not about have an id and a message alone.
  filesChanged @1 :List(Text) $camel $optional;
  # Paths.
  linesAdded @2 :UInt64 $camel $optional;
  # As the orchestrator counted.
  linesRemoved @3 :UInt64 $camel $optional;
  # Likewise.
}

struct VerificationTier {
  # One of the orchestrator's own checks.

  name @0 :Text;
  # What was checked.
  passed @1 :Bool $optional;
  # Whether it passed, where that is known.
}

struct DispatchVerification {
  # What the orchestrator checked of the work.

  passed @0 :Bool $optional;
  # Whether all of it passed.
  highestTier @1 :UInt32 $camel $optional;
  # Index of the last tier that passed, from 0.
  tiers @2 :List(VerificationTier) $optional;
  # In order.
}

struct DispatchOutcome {
  # How it ended.

  success @0 :Bool $optional;
  # Whether the agent ended well.
  stopReason @1 :Text $camel $optional;
  # Why it ended.
  workItemClosed @2 :Bool $camel $optional;
  # Whether the item was closed.
}

struct HandoffChain {
  # The dispatch's phase in its chain of handoffs; sha256: and hex each.

  phaseHash @0 :Text $camel;
  # The chain hash of this phase.
  previousPhaseHash @1 :Text $camel $optional;
  # Of the one before; phase 0 has none.
  chainRoot @2 :Text $camel;
  # Of phase 0.
}

struct RunDetails {
  # What happened.

  orchestrator @0 :Orchestrator $optional;
  # Who dispatched.
  execution @1 :Execution $optional;
  # How it ran.
  work @2 :DispatchedWork;
  # What came of it.
  verification @3 :DispatchVerification $optional;
  # What was checked.
  outcome @4 :DispatchOutcome $optional;
  # How it ended.
  handoffChain @5 :HandoffChain $camel $optional;
  # Where in a chain of handoffs.
  contentOrigins @6 :List(ContentOrigin) $camel $optional;
  # Where content came from; never beside originsHash, and never in a git ref.
  originsHash @7 :Text $camel $optional;
  # sha256: and hex of the canonical set of content origins.
}

struct Dispatch {
  # Predicate https://notme.bot/provenance/dispatch/v1.

  dispatchDefinition @0 :DispatchDefinition $camel;
  # What was dispatched, and to whom.
  runDetails @1 :RunDetails $camel;
  # What happened.
}

struct Handoff {
  # Predicate https://notme.bot/provenance/handoff/v1. From phase on the fields are what chainHash is over.

  fromPhase @0 :Text $camel;
  # The phase that ends.
  toPhase @1 :Text $camel;
  # The phase that begins.
  handoffDocument @2 :Text $camel;
  # Name of the file that is handed on, which is the subject.
  documentHash @3 :Text $camel;
  # sha256: and hex of its bytes.
  previousChainHash @4 :Text $camel $optional;
  # sha256: and hex, chainHash of the handoff before; phase 0 has none.
  chainHash @5 :Text $camel;
  # sha256: and hex.
  phase @6 :UInt32;
  # Number of the phase that ends, from 0.
  fromAgent @7 :Text $camel;
  # Who did it.
  workItemId @8 :Text $camel;
  # For which work item.
  summary @9 :Text;
  # What was done; documentHash where the document does not say.
  filesChanged @10 :List(Text) $camel;
  # Paths.
  commitShas @11 :List(Text) $camel;
  # Commit ids, 40 or 64 lower-case hex digits.
}
