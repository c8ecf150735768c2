@0xc3b1f0a95d27e864;
# The predicates of statements about commits, tags and pushes, as they are written, as JSON. There is nothing else in
# them; whoever reads them passes over fields that it does not know (in-toto, parsing rules).

using import "annotations.capnp".camel;
using import "annotations.capnp".map;
using import "annotations.capnp".nullable;
using import "annotations.capnp".optional;
using import "annotations.capnp".plain;

$plain;

struct ObjectDigest {
  # A git object by its id, 40 or 64 lower-case hex digits.

  gitCommit @0 :Text $camel $optional;
  # Of a commit.
  gitTag @1 :Text $camel $optional;
  # Of a tag object.
  gitTree @2 :Text $camel $optional;
  # Of a tree.
  gitBlob @3 :Text $camel $optional;
  # Of a blob.
}

struct Sha256 {
  # Bytes by their SHA-256.

  sha256 @0 :Text;
  # 64 lower-case hex digits.
}

struct AnyDigest {
  # A document by one digest, lower-case hex.

  sha256 @0 :Text $optional;
  # SHA-256 of its bytes.
  gitBlob @1 :Text $camel $optional;
  # Its id as a blob of the repository.
}

struct ClaimedIdent {
  # Author, committer or tagger, as the object claims.

  name @0 :Text;
  # As it stands there.
  email @1 :Text;
  # As it stands there.
  claimedAt @2 :Text $camel;
  # RFC 3339; whoever made the object chose it.
  source @3 :Text;
  # Always commit-header.
}

struct ClaimedTrailer {
  # A trailer of the message. It can contradict, and proves nothing.

  key @0 :Text;
  # Before the colon.
  value @1 :Text;
  # After it.
  source @2 :Text;
  # Always trailer.
}

struct CommitSection {
  # What the commit says of itself. Where its bytes are no well-formed commit, format and digest alone.

  objectFormat @0 :Text $camel;
  # sha1 or sha256.
  objectSha256 @1 :Text $camel;
  # Of the raw bytes, without git's header.
  tree @2 :ObjectDigest $optional;
  # Its tree.
  parents @3 :List(ObjectDigest) $optional;
  # In order.
  author @4 :ClaimedIdent $optional;
  # Who wrote the change.
  committer @5 :ClaimedIdent $optional;
  # Who made the commit.
  messageSha256 @6 :Text $camel $optional;
  # Of the message's bytes.
  trailers @7 :List(ClaimedTrailer) $optional;
  # Of the last paragraph.
  mergeTags @8 :List(ObjectDigest) $camel $optional;
  # Tag objects that a merge copied into its headers; their signatures nobody looked at.
}

struct TagTarget {
  # What a tag points to.

  type @0 :Text;
  # commit, tag, tree or blob.
  digest @1 :ObjectDigest;
  # Its id.
}

struct TagSection {
  # What the tag says of itself. Where its bytes are no well-formed tag, format and digest alone.

  objectFormat @0 :Text $camel;
  # sha1 or sha256.
  objectSha256 @1 :Text $camel;
  # Of the raw bytes, without git's header.
  name @2 :Text $optional;
  # As it stands in the object.
  target @3 :TagTarget $optional;
  # What it points to.
  tagger @4 :ClaimedIdent $optional $nullable;
  # Very old tags have none.
  messageSha256 @5 :Text $camel $optional;
  # Of the message's bytes.
  trailers @6 :List(ClaimedTrailer) $optional;
  # Of the last paragraph.
}

struct ForeignSigner {
  # A key or certificate that no authority of ours stands behind.

  kind @0 :Text;
  # ssh-key, ssh-certificate, sigstore, smime or openpgp.
  key @1 :Text;
  # Its fingerprint, as its own tools print it.
  algorithm @2 :Text;
  # Of the key.
  certificateSha256 @3 :Text $camel $optional;
  # Of the certificate, where it is one.
}

struct SignatureSection {
  # The signature, whether it holds or not.

  present @0 :Bool;
  # Whether there is one.
  payloadSha256 @1 :Text $camel;
  # Of the bytes that a signature covers.
  header @2 :Text $optional;
  # The header that it stands in; a tag has it after its message.
  format @3 :Text $optional;
  # x509, ssh, openpgp or unknown.
  signatureSha256 @4 :Text $camel $optional;
  # Of the armour as git stores it.
  algorithm @5 :Text $optional;
  # ed25519 or ecdsa-p256.
  digestAlgorithm @6 :Text $camel $optional;
  # sha256 or sha512.
  cmsSigningTime @7 :Text $camel $optional $nullable;
  # RFC 3339, the signer's word; null where the attribute is absent.
  signedAttributes @8 :Bool $camel $optional;
  # Whether a CMS signature has any.
  signer @9 :ForeignSigner $optional;
  # Who it says it is by, where that is no bridge certificate.
  anomalies @10 :List(Text);
  # Codes of what is odd, but allowed (docs/reasons.md).
}

struct LeafConstraints {
  # Where a grant is good.

  repositories @0 :List(Text);
  # Patterns.
  branches @1 :List(Text);
  # Patterns.
}

struct LeafClaims {
  # The rest of the claims in the certificate.

  constraints @0 :LeafConstraints;
  # Where the grant is good.
  taskDigest @1 :Text $camel $nullable;
  # Hex, of the task that the agent was given.
}

struct CiFact {
  # One of Fulcio's facts of a CI job.

  name @0 :Text;
  # As Fulcio names it.
  value @1 :Text;
  # As the provider said it.
}

struct CertificateSection {
  # The bridge certificate, where its chain to a pinned anchor was proven.

  sha256 @0 :Text;
  # Of the encoded certificate.
  spkiSha256 @1 :Text $camel;
  # Of its key's SubjectPublicKeyInfo.
  kid @2 :Text;
  # The first 32 digits of that.
  serial @3 :Text;
  # Hex.
  issuer @4 :Text;
  # Its name.
  notBefore @5 :Text $camel;
  # RFC 3339.
  notAfter @6 :Text $camel;
  # RFC 3339.
  issuedAt @7 :Text $camel;
  # RFC 3339.
  subject @8 :Text;
  # In full.
  sanUris @9 :List(Text) $camel;
  # To be compared whole.
  profile @10 :Text;
  # notme, interop, upstream or signet.
  epoch @11 :UInt32 $nullable;
  # Of the issuing key; null where the profile has none.
  scopes @12 :List(Text);
  # What it is good for.
  authMethod @13 :Text $camel;
  # How the actor was authenticated.
  keyBinding @14 :Text $camel $nullable;
  # sha256: and hex of both keys of the pair.
  claims @15 :LeafClaims $optional;
  # Profiles of ours alone.
  ci @16 :List(CiFact) $map $optional;
  # What a CI provider said of the job.
  payloadChecked @17 :Bool $camel $optional;
  # false where the signer saw a digest alone.
  remarks @18 :List(Text) $optional;
  # Codes of what is odd about it, but allowed.
}

struct StatedPrincipal {
  # Somebody, and where it is known from. Only certificate, certificate-claims, issuing-certificate-claims and known-key are proven; none is nobody.

  id @0 :Text $nullable;
  # URI; null for nobody.
  kind @1 :Text $optional;
  # human, agent, workload, organization or verifier.
  name @2 :Text $optional;
  # Of an agent.
  display @3 :Text $optional;
  # Of a human.
  email @4 :Text $optional $nullable;
  # Address.
  authentication @5 :Text $optional;
  # How a represented principal was authenticated.
  certificateSha256 @6 :Text $camel $optional;
  # Of an issuing CA.
  source @7 :Text;
  # Where it is known from.
}

struct StatedGrant {
  # The grant it was signed under.

  id @0 :Text $nullable;
  # Null for none.
  sha256 @1 :Text $optional;
  # Of its canonical encoding.
  source @2 :Text;
  # certificate-claims or none.
}

struct StatedAssurance {
  # What separated actor and represented principal.

  value @0 :Text $nullable;
  # same-user, other-user, sandboxed-broker or remote-authority.
  source @1 :Text;
  # certificate-claims or none.
}

struct StatedSession {
  # The session of the agent.

  id @0 :Text $nullable;
  # Null for none.
  source @1 :Text;
  # certificate-claims or none.
}

struct IdentitySection {
  # Who acted and for whom, from the certificate or key alone.

  actor @0 :StatedPrincipal;
  # Who holds the signing key.
  representedPrincipal @1 :StatedPrincipal $camel;
  # On whose behalf.
  grant @2 :StatedGrant;
  # Under which grant.
  assurance @3 :StatedAssurance;
  # What separated the two.
  session @4 :StatedSession;
  # In which session.
  delegator @5 :StatedPrincipal $optional;
  # Who issued the actor's certificate within its own grant.
}

struct AuthoritySection {
  # The authority, as the verifier knew it.

  trustAnchorSha256 @0 :Text $camel $nullable;
  # Of the pinned root's key.
  epoch @1 :UInt32 $nullable;
  # Of the issuing key.
  bundleSequence @2 :UInt64 $camel $nullable;
  # Of the trust bundle; null without one.
  bundleAgeSeconds @3 :UInt64 $camel $nullable;
  # Its age then.
  currentEpoch @4 :UInt32 $camel $optional $nullable;
  # That was current by the bundle; null without one. Older statements lack it.
}

struct TimeEvidence {
  # An interval in which it was signed or seen, and who says so.

  notBefore @0 :Text $camel;
  # RFC 3339.
  notAfter @1 :Text $camel;
  # RFC 3339.
  voucher @2 :Text;
  # signer, authority, receiver or independent.
  source @3 :Text;
  # What it is, and by which key.
}

struct TimeSection {
  # When it was signed.

  evidence @0 :List(TimeEvidence);
  # All that counts, in no order.
}

struct VerifierSection {
  # Who speaks.

  id @0 :Text;
  # URI.
  selfAttested @1 :Bool $camel $optional;
  # true where it is the signer of the commit.
}

struct StatedPolicy {
  # What decided.

  name @0 :Text;
  # Of the policy.
  digest @1 :Sha256;
  # Of what it says.
  rule @2 :Text $optional;
  # The rule that decided.
}

struct StatedStep {
  # One of the eight steps.

  number @0 :UInt8;
  # 1 to 8.
  name @1 :Text;
  # object, signature, integrity, chain, time, epoch, identity or policy.
  result @2 :Text;
  # PASSED, FAILED, UNKNOWN or NOT_APPLICABLE.
  reason @3 :Text $optional;
  # A code of docs/reasons.md.
}

struct StatedContradiction {
  # A claim of the commit that its certificate contradicts.

  code @0 :Text;
  # Of docs/reasons.md.
  severity @1 :Text;
  # info or warning.
}

struct VerificationSection {
  # What was concluded.

  verifiedAt @0 :Text $camel;
  # RFC 3339.
  verifier @1 :VerifierSection;
  # Who speaks.
  policy @2 :StatedPolicy;
  # What decided.
  outcome @3 :Text;
  # accepted, accepted-time-unproven or rejected.
  result @4 :Text;
  # PASSED or FAILED.
  steps @5 :List(StatedStep);
  # All eight, in order.
  contradictions @6 :List(StatedContradiction) $optional;
  # What speaks against the claims in it.
}

struct RelatedDocument {
  # A document that the caller says belongs to the commit.

  name @0 :Text;
  # What it is.
  digest @1 :AnyDigest;
  # Of its bytes.
  mediaType @2 :Text $camel;
  # Its media type.
}

struct RelatedWorkItem {
  # The work item of a dispatch, by the orchestrator's word.

  repo @0 :Text;
  # Where it is kept.
  workItemId @1 :Text $camel;
  # Its id there.
  contentHash @2 :Text $camel;
  # sha256: and hex.
}

struct RelatedAgent {
  # Who was dispatched, by the orchestrator's word: a claim, which proves nothing of who signed.

  name @0 :Text;
  # Of the agent's definition.
  provider @1 :Text $optional;
  # Of the model.
  model @2 :Text $optional;
  # Its name at the provider.
  definition @3 :Text $optional;
  # sha256: and hex, of the definition.
  permissionProfile @4 :Text $camel $optional;
  # What it was allowed to do, by name.
  source @5 :Text;
  # Always orchestrator-claim.
}

struct RelatedDefinition {
  # What was dispatched, by the orchestrator's word.

  workItemRef @0 :RelatedWorkItem $camel $optional;
  # Why.
  agent @1 :RelatedAgent $optional;
  # Who.
}

struct RelatedChain {
  # Which phase of a chain of handoffs; sha256: and hex each.

  phaseHash @0 :Text $camel;
  # Of this phase.
  previousPhaseHash @1 :Text $camel $optional;
  # Of the one before.
  chainRoot @2 :Text $camel;
  # Of the first.
}

struct RelatedRun {
  # What happened, by the orchestrator's word.

  handoffChain @0 :RelatedChain $camel $optional;
  # Which phase.
  originsHash @1 :Text $camel $optional;
  # sha256: and hex, of the content origins.
}

struct FollowedPrincipal {
  # Somebody whom a certificate or a known key of an old commit names.

  id @0 :Text;
  # A URI.
  kind @1 :Text;
  # human, agent, workload, organization or verifier.
  name @2 :Text;
  # As it is shown.
  email @3 :Text;
  # Empty where there is none.
}

struct FollowedSigner {
  # Who signed one or more of the old commits.

  actor @0 :FollowedPrincipal;
  # Who acted.
  representedPrincipal @1 :FollowedPrincipal $camel $nullable;
  # On whose behalf.
}

struct FollowedRecord {
  # A rewrite record that the acceptance rests on.

  digest @0 :Sha256;
  # Of its Statement.
  recordedBy @1 :Text $camel;
  # URI of the verifier that signed it.
  made @2 :Text;
  # amend, rebase, squash, cherry-pick or merge.
  relation @3 :Text;
  # same-tree or patch-id.
  comparedHere @4 :Bool $camel;
  # Whether this verifier had the old commits and computed the relation itself.
  signers @5 :List(FollowedSigner);
  # Of the old commits.
}

struct CommitPredicate {
  # Predicate https://notme.bot/provenance/commit/v0.1, of commits and tags.

  commit @0 :CommitSection $optional;
  # Of a commit.
  tag @1 :TagSection $optional;
  # Of a tag.
  signature @2 :SignatureSection $optional;
  # Where the object could be read.
  certificate @3 :CertificateSection $optional;
  # Where its chain was proven.
  identity @4 :IdentitySection;
  # Who.
  authority @5 :AuthoritySection;
  # By whom it was certified.
  time @6 :TimeSection;
  # When.
  verification @7 :VerificationSection;
  # What was concluded.
  dispatchDefinition @8 :RelatedDefinition $camel $optional;
  # Of the dispatch that the verifier was given.
  runDetails @9 :RelatedRun $camel $optional;
  # Likewise.
  related @10 :List(RelatedDocument) $optional;
  # Documents that belong to it.
  rewrites @11 :List(FollowedRecord) $optional;
  # Rewrite records by which it was accepted.
}

struct PolicyDescriptor {
  # A policy by what it says.

  uri @0 :Text;
  # RFC 6920 name of the digest.
  digest @1 :Sha256;
  # Of what it says.
}

struct SummaryVerifier {
  # Who verified.

  id @0 :Text;
  # URI.
}

struct SummaryInput {
  # A statement that was used.

  uri @0 :Text;
  # Where it is kept: the repository, the ref, and in that the file about the commit.
  digest @1 :Sha256;
  # Of the Statement's bytes, which every envelope around it holds.
}

struct SourceSummary {
  # Predicate https://slsa.dev/verification_summary/v1, of a range of commits.

  verifier @0 :SummaryVerifier;
  # Who verified.
  timeVerified @1 :Text $camel;
  # RFC 3339.
  resourceUri @2 :Text $camel;
  # git+ and the repository's address.
  policy @3 :PolicyDescriptor;
  # By which policy.
  inputAttestations @4 :List(SummaryInput) $camel;
  # Every statement that was used.
  verificationResult @5 :Text $camel;
  # PASSED or FAILED.
  verifiedLevels @6 :List(Text) $camel;
  # Or FAILED alone.
}

struct ResultVerifier {
  # Who verified, and by which policies.

  id @0 :Text;
  # URI.
  policies @1 :List(PolicyDescriptor);
  # One.
}

struct SimpleResult {
  # Predicate https://in-toto.io/attestation/svr/v0.2.

  verifier @0 :ResultVerifier;
  # Who verified.
  timeCreated @1 :Text $camel;
  # RFC 3339.
  properties @2 :List(Text);
  # Those that passed.
}

struct TestResult {
  # Predicate https://in-toto.io/attestation/test-result/v0.1.

  result @0 :Text;
  # PASSED, WARNED or FAILED.
  configuration @1 :List(PolicyDescriptor);
  # The policy.
  passedTests @2 :List(Text) $camel $optional;
  # Steps that were proven.
  failedTests @3 :List(Text) $camel $optional;
  # Steps that failed.
}

struct ReferenceAttester {
  # Who refers.

  id @0 :Text;
  # URI.
}

struct ReferredDocument {
  # A document that is kept elsewhere.

  name @0 :Text $optional;
  # Of the file, or the ref of notes.
  downloadLocation @1 :Text $camel;
  # URI.
  mediaType @2 :Text $camel;
  # Its media type.
  digest @3 :AnyDigest;
  # Of its bytes.
}

struct Reference {
  # Predicate https://in-toto.io/attestation/reference/v0.1.

  attester @0 :ReferenceAttester;
  # Who refers.
  references @1 :List(ReferredDocument);
  # At least one.
}

struct SourceControl {
  # A control of SLSA's source track that is in force, by the operator's word.

  name @0 :Text;
  # SLSA_SOURCE_ or ORG_SOURCE_ and more.
  since @1 :Text;
  # RFC 3339.
}

struct SourceProvenance {
  # Predicate https://github.com/slsa-framework/slsa-source-poc/source-provenance/v1-draft.

  prevCommit @0 :Text $optional;
  # What the ref pointed to before, where that is known.
  repoUri @1 :Text;
  # Address of the repository.
  activityType @2 :Text;
  # push.
  actor @3 :Text $optional;
  # Who pushed, where that is known.
  branch @4 :Text;
  # Full name of the ref.
  createdOn @5 :Text;
  # RFC 3339.
  controls @6 :List(SourceControl);
  # In force.
}

struct GitsignIdent {
  # Author, committer or tagger.

  name @0 :Text;
  # As the object has it.
  email @1 :Text;
  # As the object has it.
  date @2 :Text;
  # RFC 3339.
}

struct GitsignCommit {
  # A commit's text.

  tree @0 :Text;
  # Its id.
  parents @1 :List(Text) $optional;
  # Their ids.
  author @2 :GitsignIdent;
  # Who wrote it.
  committer @3 :GitsignIdent;
  # Who made it.
  message @4 :Text;
  # In full.
}

struct GitsignTag {
  # A tag's text.

  object @0 :Text;
  # Id of what it points to.
  objectType @1 :Text;
  # Its kind.
  tag @2 :Text;
  # Its name.
  tagger @3 :GitsignIdent $optional;
  # Who made it.
  message @4 :Text;
  # In full.
}

struct GitsignSigner {
  # Of a CMS signature.

  attributes @0 :Text $optional;
  # The signed attributes, base64 of DER.
  certificate @1 :Text;
  # PEM.
}

struct GitsignGit {
  # Predicate https://gitsign.sigstore.dev/predicate/git/v0.1.

  source @0 :GitsignCommit;
  # The commit.
  signature @1 :Text $optional;
  # Its armour.
  signerInfo @2 :List(GitsignSigner) $optional;
  # Of a CMS signature.
}

struct GitsignTagPredicate {
  # Predicate https://gitsign.sigstore.dev/predicate/tag/v0.1.

  source @0 :GitsignTag;
  # The tag.
  signature @1 :Text $optional;
  # Its armour.
  signerInfo @2 :List(GitsignSigner) $optional;
  # Of a CMS signature.
}

struct WitnessServer {
  # Who saw it.

  id @0 :Text;
  # URI.
}

struct WitnessedDigest {
  # A push certificate by two digests.

  gitBlob @0 :Text $camel;
  # As git stored it.
  sha256 @1 :Text;
  # Of its bytes.
}

struct WitnessedCertificate {
  # The push certificate under which it arrived.

  digest @0 :WitnessedDigest;
  # Which one.
  nonceIssuedAt @1 :Text $camel;
  # RFC 3339.
  content @2 :Text $optional;
  # Base64 of it, up to 16 KiB.
}

struct Witness {
  # Predicate https://notme.bot/provenance/witness/v0.1.

  witness @0 :WitnessServer;
  # Who saw it.
  repository @1 :Text $nullable;
  # Its address, where it is known.
  ref @2 :Text;
  # Full name.
  old @3 :ObjectDigest $nullable;
  # Before; null where the ref is new.
  new @4 :ObjectDigest $nullable;
  # After; null where it was deleted.
  receivedAt @5 :Text $camel;
  # RFC 3339.
  pushCertificate @6 :WitnessedCertificate $camel $nullable;
  # Null where the push was not signed.
}
