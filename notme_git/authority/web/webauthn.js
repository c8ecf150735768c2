// Passkeys, the one thing that a page cannot do without a script.
// A form with data-passkey="login" or "register" is sent through the browser's authenticator; data-then is the page
// after it, and its fields go along with the request for options.
"use strict";

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error_description || told.error || `status ${answer.status}`);
  return told;
}

async function register(fields) {
  const { options, userId } = await post("/auth/passkey/register/options", fields);
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: options.excludeCredentials.map((each) => ({ ...each, id: bytes(each.id) })),
    },
  });
  const { clientDataJSON, attestationObject } = made.response;
  const response = { clientDataJSON: text(clientDataJSON), attestationObject: text(attestationObject) };
  await post("/auth/passkey/register/verify", { userId, response: credential(made, response) });
}

async function login() {
  const options = await post("/auth/passkey/login/options", {});
  const got = await navigator.credentials.get({ publicKey: { ...options, challenge: bytes(options.challenge) } });
  const { clientDataJSON, authenticatorData, signature, userHandle } = got.response;
  const response = {
    clientDataJSON: text(clientDataJSON),
    authenticatorData: text(authenticatorData),
    signature: text(signature),
    ...(userHandle && { userHandle: text(userHandle) }),
  };
  await post("/auth/passkey/login/verify", { response: credential(got, response) });
}

const credential = (made, response) => ({
  id: made.id,
  rawId: text(made.rawId),
  type: made.type,
  response,
  clientExtensionResults: made.getClientExtensionResults(),
});

const explain = (error) =>
  error.name === "NotAllowedError"
    ? "No passkey was used. Try again when you are ready."
    : error.name === "InvalidStateError"
      ? "This device has a passkey for this account already. Sign in with it."
      : error.message;

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("button");
  const status = form.querySelector("[role=status]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim()));
    button.disabled = true;
    status.classList.remove("failed");
    status.textContent = "Waiting for your passkey…";
    try {
      await (form.dataset.passkey === "register" ? register(fields) : login());
      location.assign(form.dataset.then);
    } catch (error) {
      status.classList.add("failed");
      status.textContent = explain(error);
      button.disabled = false;
    }
  });
}
