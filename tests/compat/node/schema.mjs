// The Zod types that are generated from schema/protocol.capnp. Reads [{structs, body}], prints what they do not take:
// each body must be one of its structs, and none of them with a field too many. Argument: the compiled module.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const types = await import(pathToFileURL(process.argv[2]));
const told = JSON.parse(readFileSync(0, "utf-8"));
const wrong = [];
for (const { structs, body } of told) {
  const found = structs.map((name) => types[name].safeParse(body));
  if (found.filter((each) => each.success).length !== 1) {
    wrong.push({ structs, body, issues: found.map((each) => each.error?.issues ?? []) });
  }
  if (structs.some((name) => types[name].safeParse({ ...body, unexpected: 1 }).success)) {
    wrong.push({ structs, body, issues: ["takes a field that nobody knows"] });
  }
}
console.log(JSON.stringify(wrong));
