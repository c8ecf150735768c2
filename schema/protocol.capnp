@0xc52b1f2f9e4d7a13;
# What goes over HTTP between the authority and its clients, as it goes: JSON (authority-protocol.md 1 and 6).
# Names are snake_case there but where a field says camel. An answer to upstream's clients holds what they read;
# what upstream does not say is optional.

using import "annotations.capnp".camel;
using import "annotations.capnp".map;
using import "annotations.capnp".nullable;
using import "annotations.capnp".optional;
using import "annotations.capnp".plain;

$plain;

enum PairProfile {
  # Under which root a pair is issued, and with which signing algorithm.

  notme @0;
  # Ed25519, as the upstream authority issues them.
  interop @1;
  # P-256, for programs that know no Ed25519.
}

enum Rotation {
  # Why an authority's key ends.

  routine @0;
  # It is time: the current key signs for the next one.
  compromise @1;
  # Somebody else may have it: the recovery key signs for the next one.
}

enum Revoked {
  # What a revocation names.

  principal @0;
  # An actor or a represented principal.
  grant @1;
  # One grant, and what was issued under it.
  session @2;
  # One session, and what was issued in it.
  certificate @3;
  # One bridge certificate.
}

struct ErrorAnswer {
  # What every answer of status 400 and above holds; a client decides by the status.

  error @0 :Text;
  # What is wrong: a word for programs, or a sentence.
  errorDescription @1 :Text $optional;
  # What to do about it.
  allowed @2 :List(Text) $optional;
  # Audiences that may be asked for.
  requested @3 :List(Text) $optional;
  # Scopes that were asked for.
  granted @4 :List(Text) $optional;
  # Scopes that are held.
  eligible @5 :List(Text) $optional;
  # Scopes that a certificate may carry.
}

struct Nothing {
  # An object without a field.
}

struct Done {
  # Said where there is nothing else to say.

  ok @0 :Bool;
  # Always true.
}

struct NonceAnswer {
  # Freshness for one request.

  nonce @0 :Text;
  # To be sent along, and covered by the proofs as SHA-256 of its text.
  expiresIn @1 :UInt32;
  # Seconds for which it is good.
}

struct KeyPair {
  # A value for each of the two keys of an enrolment.

  mtls @0 :Text;
  # Of the P-256 key for mutual TLS.
  signing @1 :Text;
  # Of the signing key: Ed25519, or P-256 in the interop profile.
}

struct Proof {
  # Who asks. Which fields there are depends on the type.

  type @0 :Text;
  # session, bootstrap, oidc, bridge, x509 (connections only), or the name of a proof of another package.
  code @1 :Text $optional;
  # bootstrap: the operator's code.
  token @2 :Text $optional;
  # oidc, and proofs of other packages: the token.
  certificate @3 :Text $optional;
  # bridge: a live certificate of this authority, PEM.
  signature @4 :Text $optional;
  # bridge: by its key over the nonce and what is proven (docs/authority.md), base64url.
  cert @5 :Text $optional;
  # x509: a live certificate of this account, PEM.
}

struct CertRequest {
  # Asks for a pair; without keys and proofs for a bearer token.

  proof @0 :Proof $nullable $optional;
  # Who asks.
  publicKeys @1 :KeyPair $optional;
  # SubjectPublicKeyInfo of both keys, PEM.
  proofs @2 :KeyPair $optional;
  # Signatures of both keys over the pre-image, base64url; P-256 as r and s, 64 bytes.
  nonce @3 :Text $optional;
  # From the route for nonces; needed unless the settings say otherwise.
  agent @4 :Text $optional;
  # Name of the agent that the pair is for.
  grant @5 :Text $optional;
  # Id of the grant that the pair is issued under.
  scopes @6 :List(Text) $optional;
  # Wanted; all that a certificate may carry where absent.
  profile @7 :PairProfile $optional;
  # Where absent: notme.
  sessionId @8 :Text $optional;
  # Of the agent's own session.
  taskDigest @9 :Text $optional;
  # SHA-256 of the task, hexadecimal.
}

struct PairRequest {
  # Asks for a pair where a header says who asks: a job's token, or the session's cookie.

  publicKeys @0 :KeyPair $optional;
  # SubjectPublicKeyInfo of both keys, PEM.
  proofs @1 :KeyPair $optional;
  # Signatures of both keys over the pre-image, base64url; P-256 as r and s, 64 bytes.
  nonce @2 :Text $optional;
  # From the route for nonces; not needed here.
  agent @3 :Text $optional;
  # Name of the agent that the pair is for.
  grant @4 :Text $optional;
  # Id of the grant that the pair is issued under.
  scopes @5 :List(Text) $optional;
  # Wanted; all that a certificate may carry where absent.
  profile @6 :PairProfile $optional;
  # Where absent: notme.
  sessionId @7 :Text $optional;
  # Of the agent's own session.
  taskDigest @8 :Text $optional;
  # SHA-256 of the task, hexadecimal.
}

struct SigningKey {
  # The authority's key that signed.

  epoch @0 :UInt32;
  # Its epoch.
  keyId @1 :Text;
  # The first 32 hex digits of the SHA-256 of its SubjectPublicKeyInfo.
}

struct JobClaims {
  # What the provider says about a job.

  repository @0 :Text;
  # Owner and name.
  ref @1 :Text;
  # Git ref that the job runs for.
  sha @2 :Text;
  # Commit.
  actor @3 :Text;
  # Who set it off.
  workflow @4 :Text;
  # Name of the workflow.
  runId @5 :Text;
  # Number of the run.
  eventName @6 :Text;
  # What set it off.
}

struct CertPair {
  # Two certificates over two keys, bound to each other, for five minutes.

  certificates @0 :KeyPair;
  # Both, PEM.
  identity @1 :Text;
  # The URI in both, wimse://...; compared whole.
  scopes @2 :List(Text);
  # What the certificates carry.
  expiresAt @3 :UInt64;
  # Unix seconds: the end of both, rounded down.
  binding @4 :Text;
  # Hexadecimal SHA-256 over both SubjectPublicKeyInfo, mTLS first.
  authority @5 :SigningKey;
  # Who signed.
  profile @6 :PairProfile $optional;
  # Always said by this authority; upstream has only notme.
  sshCertificate @7 :Text $optional;
  # The signing key's OpenSSH certificate, one line.
  subject @8 :Text $optional;
  # Principal id; on the route for passkeys.
  principalId @9 :Text $optional;
  # Of the account or workload; not on the route for jobs.
  authMethod @10 :Text $optional;
  # How it was proven who asks; not on the route for jobs.
  claims @11 :JobClaims $optional;
  # Of the token; on the route for jobs.
}

struct BearerToken {
  # The answer to a request without keys: a token that nothing is bound to.

  token @0 :Text;
  # JWT (RFC 9068), for this authority alone.
  tokenType @1 :Text;
  # Bearer.
  expiresIn @2 :UInt32;
  # Seconds.
  subject @3 :Text;
  # Principal id.
  authority @4 :SigningKey;
  # Who signed.
  principalId @5 :Text;
  # Principal id.
  scopes @6 :List(Text);
  # Of the token.
  authMethod @7 :Text;
  # How it was proven who asks.
}

struct IssuingRequest {
  # Asks for an issuing CA, for an orchestrator whose grant may be passed on.

  proof @0 :Proof;
  # Who asks.
  publicKey @1 :Text;
  # SubjectPublicKeyInfo of the CA's Ed25519 key, PEM.
  possession @2 :Text;
  # Its signature over the pre-image (docs/authority.md), base64url.
  nonce @3 :Text;
  # From the route for nonces.
  agent @4 :Text $optional;
  # Name of the orchestrator.
  grant @5 :Text $optional;
  # Id of its grant.
  sessionId @6 :Text $optional;
  # Of its own session.
  taskDigest @7 :Text $optional;
  # SHA-256 of the task, hexadecimal.
}

struct IssuingCertificate {
  # A certificate that may issue, within its grant, for five minutes.

  certificate @0 :Text;
  # PEM.
  identity @1 :Text;
  # The orchestrator's URI.
  scopes @2 :List(Text);
  # What it may pass on.
  expiresAt @3 :UInt64;
  # Unix seconds, rounded down.
  binding @4 :Text;
  # Hexadecimal SHA-256 over the key.
  profile @5 :PairProfile;
  # Always notme.
  authority @6 :SigningKey;
  # Who signed.
}

struct TokenRequest {
  # Asks for an access token, bound to the key of the DPoP proof in the header.

  audience @0 :Text;
  # The service's URL.
  scopes @1 :List(Text) $optional;
  # Wanted; all but those that administer where absent.
  nonce @2 :Text $optional;
  # With a certificate: from the route for nonces.
  proof @3 :Proof $optional;
  # A certificate; a session goes by its cookie.
}

struct AccessToken {
  # A token for a service (RFC 6749 section 5.1).

  accessToken @0 :Text;
  # JWT (RFC 9068), bound to a key by its cnf.
  tokenType @1 :Text;
  # DPoP.
  expiresIn @2 :UInt32;
  # Seconds.
}

struct RegistrationStart {
  # Begins the registration of a passkey.

  bootstrapCode @0 :Text $camel $optional;
  # The operator's code, for the first administrator.
  display @1 :Text $optional;
  # Name to show; with a code.
  email @2 :Text $optional;
  # With a code.
}

struct RelyingParty {
  # The site that a passkey belongs to (WebAuthn 5.4.2).

  name @0 :Text;
  # Shown by the browser.
  id @1 :Text;
  # Host name.
}

struct PasskeyUser {
  # Whom a passkey is for (WebAuthn 5.4.3).

  id @0 :Text;
  # The account's id, base64url.
  name @1 :Text;
  # Shown by the browser.
  displayName @2 :Text $camel;
  # Shown by the browser.
}

struct PasskeyAlgorithm {
  # One kind of key that is taken (WebAuthn 5.3).

  alg @0 :Int32;
  # COSE algorithm (RFC 9053).
  type @1 :Text;
  # public-key.
}

struct PasskeyReference {
  # A passkey that is there already (WebAuthn 5.8.3).

  id @0 :Text;
  # Of the credential, base64url.
  type @1 :Text;
  # public-key.
}

struct PasskeySelection {
  # Which authenticators will do (WebAuthn 5.4.4).

  residentKey @0 :Text $camel;
  # preferred.
  userVerification @1 :Text $camel;
  # preferred.
  requireResidentKey @2 :Bool $camel;
  # For older browsers.
}

struct PasskeyExtensions {
  # What else is asked of the browser (WebAuthn 9).

  credProps @0 :Bool $camel;
  # Whether the passkey can be found without a name.
}

struct PasskeyOptions {
  # PublicKeyCredentialCreationOptionsJSON (WebAuthn Level 3, 5.4).

  challenge @0 :Text;
  # base64url.
  rp @1 :RelyingParty;
  # The site.
  user @2 :PasskeyUser;
  # For whom.
  pubKeyCredParams @3 :List(PasskeyAlgorithm) $camel;
  # Kinds of keys, the best first.
  timeout @4 :UInt32;
  # Milliseconds.
  attestation @5 :Text;
  # none.
  excludeCredentials @6 :List(PasskeyReference) $camel;
  # Passkeys that this account has.
  authenticatorSelection @7 :PasskeySelection $camel;
  # Which authenticators will do.
  extensions @8 :PasskeyExtensions;
  # What else is asked of the browser.
  hints @9 :List(Text);
  # None.
}

struct RegistrationOptions {
  # For whom a passkey may be registered, and the options for the browser.

  options @0 :PasskeyOptions;
  # To be handed to navigator.credentials.create.
  isFirstUser @1 :Bool $camel;
  # Whether nobody has a passkey yet.
  userId @2 :Text $camel;
  # To be sent back.
  scopes @3 :List(Text);
  # That the account has, or will have.
}

struct RegistrationAnswer {
  # The browser's answer.

  userId @0 :Text $camel;
  # As it was told.
  response @1 :AnyPointer;
  # RegistrationResponseJSON (WebAuthn Level 3, 5.1).
  scopes @2 :List(Text) $optional;
  # Taken and ignored, for clients of upstream.
}

struct Registered {
  # A passkey is on record; the cookie signs in.

  verified @0 :Bool;
  # Always true.
  scopes @1 :List(Text);
  # Of the account.
}

struct LoginOptions {
  # PublicKeyCredentialRequestOptionsJSON (WebAuthn Level 3, 5.5).

  rpId @0 :Text $camel;
  # Host name.
  challenge @1 :Text;
  # base64url.
  timeout @2 :UInt32;
  # Milliseconds.
  userVerification @3 :Text $camel;
  # preferred.
}

struct LoginAnswer {
  # The browser's answer.

  response @0 :AnyPointer;
  # AuthenticationResponseJSON (WebAuthn Level 3, 5.1).
}

struct SignedIn {
  # The passkey was right; the cookie signs in.

  verified @0 :Bool;
  # Always true.
  userId @1 :Text $camel;
  # Of the account.
  isAdmin @2 :Bool $camel;
  # Whether it manages the authority.
}

struct ResetRequest {
  # Forgets every passkey, session and invite.

  bootstrapCode @0 :Text $camel $optional;
  # An operator's code for recovery.
}

struct ResetDone {
  # What was forgotten.

  ok @0 :Bool;
  # Always true.
  deleted @1 :UInt32;
  # Passkeys.
}

struct CurrentKey {
  # The authority's key of now.

  epoch @0 :UInt32;
  # Its epoch.
  seqno @1 :UInt64;
  # Sequence of the latest trust bundle.
  keyId @2 :Text $camel;
  # Its id.
}

struct PasskeyCounts {
  # How many there are.

  users @0 :UInt32;
  # Accounts with a passkey.
  credentials @1 :UInt32;
  # Passkeys.
  admins @2 :UInt32;
  # Accounts that manage the authority.
}

struct PasskeyStatus {
  # For administrators.

  authority @0 :CurrentKey;
  # Its key.
  passkey @1 :PasskeyCounts;
  # How many there are.
  rpId @2 :Text $camel;
  # The passkeys' relying party.
}

struct TokenLogin {
  # Signs in by a connected identity.

  token @0 :Text;
  # Of an OpenID provider in the settings, good once.
}

struct TokenSession {
  # Who is signed in now; the cookie says so.

  authenticated @0 :Bool;
  # Always true.
  principalId @1 :Text $camel;
  # Of the account.
  scopes @2 :List(Text);
  # Of the session: not to administer.
  authMethod @3 :Text $camel;
  # oidc: and the provider.
}

struct Me {
  # Who is signed in.

  authenticated @0 :Bool;
  # Always true.
  userId @1 :Text $camel;
  # Of the account.
  isAdmin @2 :Bool $camel;
  # Whether it manages the authority.
  expiresAt @3 :UInt64 $camel;
  # Unix seconds: the session's end.
}

struct InviteRequest {
  # Invites somebody.

  scopes @0 :List(Text) $optional;
  # For the new account; bridgeCert where absent.
  ttl @1 :UInt32 $optional;
  # Seconds; an hour where absent, at most what the settings say.
  display @2 :Text $optional;
  # Name to show.
  email @3 :Text $optional;
  # Of the new account.
}

struct Invite {
  # Shown this once.

  token @0 :Text;
  # Good once.
  url @1 :Text;
  # Where it is taken.
  expiresAt @2 :Text $camel;
  # RFC 3339, UTC.
  scopes @3 :List(Text);
  # For the new account.
}

struct JoinRequest {
  # Takes an invite.

  token @0 :Text;
  # Of the invite.
  proof @1 :Proof $optional;
  # An identity to be connected at once: oidc.
  display @2 :Text $optional;
  # Name to show.
  email @3 :Text $optional;
  # Unless the invite has one.
}

struct Joined {
  # There is an account; the cookie signs in.

  joined @0 :Bool;
  # Always true.
  principalId @1 :Text $camel;
  # Of the account.
  scopes @2 :List(Text);
  # Of the account.
}

struct Connection {
  # An identity elsewhere that signs in as the account.

  provider @0 :Text;
  # oidc: and the issuer, or x509: and the issuer's name.
  subject @1 :Text;
  # Its name there.
  connectedAt @2 :Text $camel;
  # Date and time, UTC.
}

struct Connections {
  # One's own.

  connections @0 :List(Connection);
  # The oldest first.
}

struct ConnectRequest {
  # Connects an identity to one's account.

  proof @0 :Proof $optional;
  # oidc or x509.
}

struct Connected {
  # It is connected.

  connected @0 :Bool;
  # Always true.
  provider @1 :Text;
  # As in the list.
  subject @2 :Text;
  # Its name there.
}

struct Session {
  # A session of one's own.

  id @0 :Text;
  # Of the session.
  method @1 :Text;
  # How it began.
  label @2 :Text;
  # Which browser or program.
  createdAt @3 :UInt64;
  # Unix seconds.
  expiresAt @4 :UInt64;
  # Unix seconds.
  presentAt @5 :UInt64 $nullable;
  # Unix seconds: when somebody signed in by hand; null for a program's.
  verified @6 :Bool;
  # Whether the device was unlocked for it.
}

struct Sessions {
  # One's own.

  sessions @0 :List(Session);
  # Those that live, the oldest first.
}

struct Ended {
  # What was ended.

  revoked @0 :Text;
  # Its id.
}

struct GrantRequest {
  # Lets an agent act for oneself.

  agent @0 :Text;
  # Its name: lower-case letters, digits, dots and dashes.
  scopes @1 :List(Text) $optional;
  # What it may do.
  lifetime @2 :Text $optional;
  # Such as 30d.
  email @3 :Text $optional;
  # The agent's address in commits.
  repositories @4 :List(Text) $optional;
  # Patterns; all where absent.
  branches @5 :List(Text) $optional;
  # Patterns; all where absent.
  delegate @6 :Bool $optional;
  # Whether it may pass the grant on.
}

struct GrantEntry {
  # A grant.

  grant @0 :Text;
  # Its id.
  agent @1 :Text;
  # The agent's name.
  email @2 :Text;
  # The agent's address in commits.
  identity @3 :Text;
  # The agent's URI.
  represented @4 :Text $nullable;
  # For whom it acts: the URI.
  scopes @5 :List(Text);
  # What it may do.
  repositories @6 :List(Text);
  # Patterns; empty for all.
  branches @7 :List(Text);
  # Patterns; empty for all.
  delegate @8 :Bool;
  # Whether it may pass the grant on.
  createdAt @9 :UInt64;
  # Unix seconds.
  expiresAt @10 :UInt64;
  # Unix seconds.
  revokedAt @11 :UInt64 $nullable;
  # Unix seconds; null while it stands.
}

struct Grants {
  # One's own, or for an administrator everybody's.

  grants @0 :List(GrantEntry);
  # The latest first.
}

struct Reason {
  # Why.

  reason @0 :Text $optional;
  # For the list of revocations.
}

struct RotateRequest {
  # Ends the authority's key and begins the next epoch.

  kind @0 :Rotation;
  # Why.
  recoveryKey @1 :Text $optional;
  # After a compromise: PEM; it is not kept.
  compromisedAt @2 :UInt64 $optional;
  # After a compromise: unix seconds since when nothing counts without evidence of an earlier time.
}

struct Rotated {
  # The next epoch.

  epoch @0 :UInt32;
  # Its number.
  keyId @1 :Text;
  # Its key's id.
  kind @2 :Rotation;
  # Why.
}

struct RevokeRequest {
  # Revokes something, from now on and for everybody.

  kind @0 :Revoked;
  # What.
  id @1 :Text;
  # Which.
  reason @2 :Text $optional;
  # Why.
}

struct RevocationDone {
  # It is revoked.

  revoked @0 :Text;
  # Which.
  kind @1 :Revoked;
  # What.
}

struct RevocationEntry {
  # One revocation.

  kind @0 :Revoked;
  # What.
  id @1 :Text;
  # Which.
  at @2 :UInt64;
  # Unix seconds.
  reason @3 :Text;
  # Why; may be empty.
}

struct Revocations {
  # What the latest trust bundle says is revoked; that is signed, and this is not.

  sequence @0 :UInt64;
  # Of the bundle.
  issuedAt @1 :UInt64;
  # Unix seconds.
  revocations @2 :List(RevocationEntry);
  # All of them.
}

struct Disabled {
  # Nobody gets in as this account any more.

  disabled @0 :Text;
  # Its id.
}

struct ProgramDecision {
  # A person's answer to a program that wants to act as them; what is not said here is as it was asked.

  challenge @0 :Text;
  # base64url of the SHA-256 of the program's verifier (RFC 7636).
  port @1 :Text $optional;
  # Where the program listens on this machine; none to show a code.
  state @2 :Text $optional;
  # To be handed back.
  agents @3 :Text $optional;
  # Names, with commas between.
  label @4 :Text $optional;
  # What the program calls itself.
  lifetime @5 :Text $optional;
  # Such as 30d.
  decision @6 :Text $optional;
  # allow, or anything else to refuse.
}

struct RedeemRequest {
  # Gets a program its session.

  code @0 :Text;
  # Good once.
  verifier @1 :Text;
  # Of the challenge (RFC 7636).
}

struct ProgramAgent {
  # An agent that the program may enrol.

  agent @0 :Text;
  # Its name.
  grant @1 :Text;
  # Its grant's id.
  email @2 :Text;
  # Its address in commits.
  expiresAt @3 :UInt64;
  # Unix seconds: the grant's end.
}

struct ProgramSession {
  # A session that can enrol agents, and nothing else.

  session @0 :Text;
  # The cookie's value.
  expiresAt @1 :UInt64;
  # Unix seconds.
  principalId @2 :Text;
  # Of the account.
  display @3 :Text;
  # Its name.
  email @4 :Text;
  # Its address.
  authority @5 :Text;
  # Id of the authority.
  agents @6 :List(ProgramAgent);
  # Those that were asked for.
}

struct Endpoints {
  # Where things are.

  cert @0 :Text;
  # Pairs.
  certGha @1 :Text;
  # Pairs for GitHub Actions.
  token @2 :Text;
  # Access tokens.
  login @3 :Text;
  # For people.
  caBundle @4 :Text;
  # The root.
}

struct Start {
  # What this is, and where things are.

  name @0 :Text;
  # Signet Authority.
  authorityUrl @1 :Text;
  # Its origin.
  status @2 :Text;
  # operational.
  endpoints @3 :Endpoints;
  # Where things are.
  algorithms @4 :List(Text);
  # Of its keys.
  discovery @5 :Text;
  # The authority's document.
  publicKeyUrl @6 :Text;
  # The root.
}

struct Version {
  # What runs.

  commit @0 :Text;
  # 40 hex digits, or unknown.
  stamped @1 :Bool;
  # Whether it is known.
}

struct AuthorityDocument {
  # Discovery of an authority.

  issuer @0 :Text;
  # Its origin.
  certEndpoint @1 :Text;
  # Pairs.
  certGhaEndpoint @2 :Text;
  # Pairs for GitHub Actions.
  caBundleEndpoint @3 :Text;
  # The root.
  algorithmsSupported @4 :List(Text);
  # Of its keys.
  grantTypesSupported @5 :List(Text);
  # How tokens are got.
  certTypesSupported @6 :List(Text);
  # bridge_certificate.
  tokenEndpoint @7 :Text;
  # Access tokens.
  jwksUri @8 :Text;
  # Keys of its tokens.
  dpopSigningAlgValuesSupported @9 :List(Text);
  # RFC 9449 section 5.1.
  nonceEndpoint @10 :Text $optional;
  # Nonces; not at upstream.
  trustBundleEndpoint @11 :Text $optional;
  # The signed trust bundle; not at upstream.
  timestampEndpoint @12 :Text $optional;
  # Time stamps (RFC 3161); not at upstream.
  documentation @13 :Text;
  # For people.
}

struct ServerMetadata {
  # OAuth 2.0 authorization server metadata (RFC 8414).

  issuer @0 :Text;
  # Its origin.
  tokenEndpoint @1 :Text;
  # Access tokens.
  jwksUri @2 :Text;
  # Keys of its tokens.
  grantTypesSupported @3 :List(Text);
  # How tokens are got.
  responseTypesSupported @4 :List(Text);
  # None.
  scopesSupported @5 :List(Text);
  # That a token may have.
  tokenEndpointAuthMethodsSupported @6 :List(Text);
  # none.
  dpopSigningAlgValuesSupported @7 :List(Text);
  # RFC 9449 section 5.1.
  idTokenSigningAlgValuesSupported @8 :List(Text);
  # EdDSA.
  serviceDocumentation @9 :Text;
  # For people.
}

struct Jwk {
  # A public key (RFC 8037 section 2).

  kty @0 :Text;
  # OKP.
  crv @1 :Text;
  # Ed25519.
  x @2 :Text;
  # Raw key, base64url.
  kid @3 :Text;
  # Its id.
  use @4 :Text;
  # sig.
  alg @5 :Text;
  # EdDSA.
}

struct Jwks {
  # Keys of the authority's tokens (RFC 7517 section 5).

  keys @0 :List(Jwk);
  # The current one, and the one before.
}

struct EpochEntry {
  # One epoch.

  epoch @0 :UInt32;
  # Its number.
  keyId @1 :Text $camel;
  # Its key's id.
  publicRawB64 @2 :Text $camel;
  # Its raw Ed25519 key, base64.
  retiredAt @3 :UInt64 $camel $nullable;
  # Unix seconds; null for the current one.
}

struct Epochs {
  # Every epoch there was.

  epochs @0 :List(EpochEntry);
  # The oldest first.
}

struct BundleKey {
  # A key of a CA bundle.

  id @0 :Text;
  # Its id.
  key @1 :Text;
  # Raw Ed25519, base64.
}

struct SignedKeys {
  # The CA bundle as JSON: current keys, good for five minutes.

  epoch @0 :UInt32;
  # Current epoch.
  seqno @1 :UInt64;
  # Grows with every issue.
  keys @2 :List(BundleKey) $map;
  # The current key and at most one previous.
  keyId @3 :Text $camel;
  # The current key's id.
  prevKeyId @4 :Text $camel $optional;
  # The previous key's id.
  issuedAt @5 :UInt64 $camel;
  # Unix seconds.
  signature @6 :Text;
  # Ed25519 by the current key over the canonical CBOR of the others, base64.
}
