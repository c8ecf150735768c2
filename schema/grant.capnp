@0xd5808be6c3b0cc29;
# Who lets which actor act for whom (design 1 and D4).

using import "annotations.capnp".nullable;

enum PrincipalKind {
  # What a principal is.

  human @0;
  # A person.
  agent @1;
  # An AI agent.
  workload @2;
  # A program without a model, for example a CI job.
  organization @3;
  # A legal or organizational unit.
  verifier @4;
  # Judges objects and signs statements about them.
}

enum Authentication {
  # How a principal proved who it is when the authority learned of it.

  selfAsserted @0;
  # It said so.
  passkey @1;
  # WebAuthn, with presence.
  oidc @2;
  # A token of an identity provider.
  ownKey @3;
  # A signature by a key of its own.
}

enum Assurance {
  # What separated the actor from the represented principal when a certificate was issued (design 2).

  sameUser @0;
  # Nothing on that machine: the same user id.
  otherUser @1;
  # Different user ids on one machine.
  sandboxedBroker @2;
  # The actor in a sandbox, the keys in a broker outside it.
  remoteAuthority @3;
  # An authority on another machine.
}

struct Principal {
  # A stable subject: human, agent, workload, organization or verifier.

  id @0 :Text;
  # URI; compared whole, never split.
  kind @1 :PrincipalKind;
  # What it is.
  name @2 :Text;
  # Short name of an agent, as on the command line; may be empty.
  display @3 :Text;
  # For people.
  email @4 :Text;
  # The address git writes into author and committer.
  authentication @5 :Authentication;
  # How it proved who it is.
}

struct Constraints {
  # Where a grant may be used; an empty list leaves that side unconstrained.

  repositories @0 :List(Text);
  # Patterns of repositories.
  branches @1 :List(Text);
  # Patterns of branches.
}

struct Grant {
  # Lets an actor act, on behalf of a represented principal where there is one. Never changed, only revoked.

  version @0 :UInt16;
  # 1. A reader refuses what it does not know.
  id @1 :Text;
  # Unique within the authority.
  actor @2 :Principal;
  # Who may act.
  represented @3 :Principal $nullable;
  # On whose behalf; absent when a human acts directly.
  scopes @4 :List(Text);
  # What may be done, for example sign:git.
  createdAt @5 :UInt64;
  # Unix seconds.
  expiresAt @6 :UInt64;
  # Unix seconds; the first instant at which it no longer counts.
  constraints @7 :Constraints;
  # Where it may be done.
  delegationDepth @8 :UInt8;
  # How often the actor may pass it on; 0 for not at all.
  purpose @9 :Text;
  # For people; may be empty.
}
