// @sigstore/verify, npm's verifier, on a bundle: arguments are the trusted root, the bundle, the identity, the issuer.
// Prints "ok", or what it refuses.
import fs from "fs";
import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";

const [root, bundle, identity, issuer] = process.argv.slice(2);
const read = (name) => JSON.parse(fs.readFileSync(name));
const escaped = identity.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
try {
  const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(read(root))));
  verifier.verify(toSignedEntity(bundleFromJSON(read(bundle))), {
    subjectAlternativeName: `^${escaped}$`,
    extensions: { issuer },
  });
  console.log("ok");
} catch (error) {
  console.log(`refused: ${error.code ?? error.message}`);
}
