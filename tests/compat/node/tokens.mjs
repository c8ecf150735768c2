// A client that others wrote (oauth4webapi, jose): discovery, a token with DPoP, its signature, and a call with it.
// Arguments: the authority's URL, the service's URL. The session's cookie is in COOKIE. Prints what it found as JSON.
import * as jose from "jose";
import * as oauth from "oauth4webapi";

const [authority, service] = process.argv.slice(2);
const loopback = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(authority);
const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...loopback }),
);

const client = { client_id: "test" };
const keys = await oauth.generateKeyPair("ES256", { extractable: true });
const DPoP = oauth.DPoP(client, keys);

// The token endpoint takes JSON (as upstream's does), where OAuth has a form.
const asJson = (url, { body, headers, ...rest }) => {
  const given = new Headers(headers);
  given.set("content-type", "application/json");
  given.set("cookie", process.env.COOKIE);
  return fetch(url, { ...rest, headers: given, body: JSON.stringify({ audience: body.get("audience") }) });
};

const refused = [];
async function retried(call) {
  try {
    return await call();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    refused.push(error.status ?? error.response?.status);
    return call();
  }
}

const granted = await retried(async () =>
  oauth.processGenericTokenEndpointResponse(
    server,
    client,
    await oauth.genericTokenEndpointRequest(
      server, client, oauth.None(), "dpop", new URLSearchParams({ audience: service }),
      { DPoP, [oauth.customFetch]: asJson, ...loopback },
    ),
  ),
);

const verified = await jose.jwtVerify(granted.access_token, jose.createRemoteJWKSet(new URL(server.jwks_uri)), {
  issuer: server.issuer, audience: service, typ: "at+jwt", algorithms: ["EdDSA"],
});
const thumbprint = await jose.calculateJwkThumbprint(await jose.exportJWK(keys.publicKey));

const answer = await retried(() =>
  oauth.protectedResourceRequest(
    granted.access_token, "POST", new URL(`${service}?x=1`), new Headers(), "hello", { DPoP, ...loopback },
  ),
);
console.log(JSON.stringify({
  refused, type: granted.token_type, payload: verified.payload, thumbprint,
  status: answer.status, body: await answer.text(),
}));
