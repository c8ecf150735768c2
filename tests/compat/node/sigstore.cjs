// A Sigstore instance on 127.0.0.1, from the handlers of @sigstore/mock: Fulcio, Rekor, a time-stamping authority.
// Arguments: a folder, and the version of Rekor (1 or 2). Writes trust_config.json and trusted_root.json there, then
// prints the port. Ends with its standard input.
//
// The mock is made for a client that it patches; what it leaves to that client is done here: a token that comes as a
// header, a request in base64, entries in the form that Rekor gives them, time-stamp requests in DER.
const crypto = require("crypto");
const fs = require("fs");
const http = require("http");
const path = require("path");
const mock = require("@sigstore/mock");
const pkijs = require("pkijs");

const [folder, rekor] = process.argv.slice(2);
const pair = () => crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
const sha256 = (data) => crypto.createHash("sha256").update(data).digest();
const spki = (key) => key.export({ format: "der", type: "spki" });
const since = { start: "2020-01-01T00:00:00Z" };

function fulcio(handler) {
  return async (body, headers) => {
    const asked = JSON.parse(body);
    const [kind, token] = (headers.authorization ?? "").split(" ");
    if (kind !== "Bearer" || !token) return { statusCode: 401, response: '{"message":"no token"}' };
    asked.credentials = { oidcIdentityToken: token };
    asked.certificateSigningRequest = Buffer.from(asked.certificateSigningRequest, "base64").toString();
    return handler(JSON.stringify(asked));
  };
}

// Rekor checks the proposed envelope and keeps digests, the signature and its certificate.
function proposed(entry) {
  const { envelope, verifiers } = entry.spec.proposedContent;
  const { payload, signatures } = JSON.parse(envelope);
  const hash = (data) => ({ algorithm: "sha256", value: sha256(data).toString("hex") });
  const spec = {
    envelopeHash: hash(envelope),
    payloadHash: hash(Buffer.from(payload, "base64")),
    signatures: signatures.map(({ sig }, at) => ({ signature: sig, verifier: verifiers[at] })),
  };
  return { apiVersion: entry.apiVersion, kind: entry.kind, spec };
}

function version1(handler) {
  return async (body) => {
    const entry = JSON.parse(body);
    return handler(JSON.stringify(entry.kind === "dsse" ? proposed(entry) : entry));
  };
}

function version2(log, keyId) {
  return async (body) => {
    const { digest, signature } = JSON.parse(body).hashedRekordRequestV002;
    const spec = { hashedRekordV002: { data: { algorithm: "SHA2_256", digest }, signature } };
    const [made] = Object.values(await log.log({ apiVersion: "0.0.2", kind: "hashedrekord", spec }));
    const proof = made.verification.inclusionProof;
    const response = {
      logIndex: String(made.logIndex),
      logId: { keyId },
      kindVersion: { kind: "hashedrekord", version: "0.0.2" },
      canonicalizedBody: made.body,
      inclusionProof: {
        logIndex: String(proof.logIndex),
        treeSize: String(proof.treeSize),
        rootHash: Buffer.from(proof.rootHash, "hex").toString("base64"),
        hashes: [],
        checkpoint: { envelope: proof.checkpoint },
      },
    };
    return { statusCode: 201, response: JSON.stringify(response) };
  };
}

function stamped(tsa) {
  return async (body) => {
    const asked = pkijs.TimeStampReq.fromBER(body);
    const response = await tsa.timestamp({
      artifactHash: Buffer.from(asked.messageImprint.hashedMessage.valueBlock.valueHexView),
      hashAlgorithmOID: asked.messageImprint.hashAlgorithm.algorithmId,
      nonce: 1,
      policyOID: "1.3.6.1.4.1.57264.2",
      certReq: asked.certReq ?? false,
    });
    return { statusCode: 200, response, contentType: "application/timestamp-reply" };
  };
}

const authority = (uri, ...certificates) => ({
  subject: { commonName: "sigstore", organization: "sigstore.mock" },
  uri,
  certChain: { certificates: certificates.map((der) => ({ rawBytes: Buffer.from(der).toString("base64") })) },
  validFor: since,
});

const log = (baseUrl, key) => ({
  baseUrl,
  hashAlgorithm: "SHA2_256",
  publicKey: { rawBytes: spki(key).toString("base64"), keyDetails: "PKIX_ECDSA_P256_SHA_256", validFor: since },
  logId: { keyId: sha256(spki(key)).toString("base64") },
});

async function main() {
  const keys = { ca: pair(), ct: pair(), log: pair(), tsa: pair() };
  const ca = await mock.initializeCA(keys.ca, await mock.initializeCTLog(keys.ct));
  const tsa = await mock.initializeTSA(keys.tsa);
  // Whole seconds: npm's verifier takes a fraction of three digits alone, and DER leaves zeros at its end away.
  tsa.getCurrentTime = () => new Date(Math.floor(Date.now() / 1000) * 1000);
  const handlers = {};
  const server = http.createServer((request, response) => {
    const pieces = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", async () => {
      const handler = handlers[request.url];
      let made = { statusCode: 404, response: "" };
      try {
        if (handler) made = await handler(Buffer.concat(pieces), request.headers);
      } catch (error) {
        made = { statusCode: 400, response: String(error.stack) };
      }
      response.writeHead(made.statusCode, { "content-type": made.contentType ?? "application/json" });
      response.end(made.response);
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address();
  const base = `http://127.0.0.1:${port}`;
  const tlog = await mock.initializeTLog(base, keys.log);
  const keyId = sha256(spki(keys.log.publicKey)).toString("base64");
  handlers["/api/v2/signingCert"] = fulcio(mock.fulcioHandler(ca).fn);
  handlers["/api/v1/log/entries"] = version1(mock.rekorHandler(tlog).fn);
  handlers["/api/v2/log/entries"] = version2(tlog, keyId);
  handlers["/api/v1/timestamp"] = stamped(tsa);

  const trustedRoot = {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    tlogs: [log(base, keys.log.publicKey)],
    certificateAuthorities: [authority(base, ca.rootCertificate)],
    ctlogs: [log(`${base}/ct`, keys.ct.publicKey)],
    timestampAuthorities: [authority(`${base}/api/v1/timestamp`, tsa.intCertificate, tsa.rootCertificate)],
  };
  const service = (url, majorApiVersion) => ({ url, majorApiVersion, validFor: since, operator: "sigstore.mock" });
  const signingConfig = {
    mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
    caUrls: [service(base, 1)],
    oidcUrls: [service(base, 1)],
    rekorTlogUrls: [service(base, Number(rekor))],
    rekorTlogConfig: { selector: "ANY" },
    tsaUrls: [service(`${base}/api/v1/timestamp`, 1)],
    tsaConfig: { selector: "ANY" },
  };
  const mediaType = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json";
  fs.writeFileSync(path.join(folder, "trusted_root.json"), JSON.stringify(trustedRoot));
  fs.writeFileSync(path.join(folder, "trust_config.json"), JSON.stringify({ mediaType, trustedRoot, signingConfig }));
  console.log(port);
  process.stdin.resume();
  process.stdin.on("end", () => process.exit(0));
}

main();
