// Answers a challenge with a passkey when a form is sent. `data-passkey` says whether one is made or used;
// the challenge is in `data-options`, or is asked for at `data-ask`.
"use strict";
(() => {
  if (!window.PublicKeyCredential) return;

  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (each) => each.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const withBytes = (known) => (known || []).map((each) => ({ ...each, id: bytes(each.id) }));

  const make = async (options) => {
    const publicKey = {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: withBytes(options.excludeCredentials),
    };
    const made = await navigator.credentials.create({ publicKey });
    return [made, {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
    }];
  };

  const use = async (options) => {
    const publicKey = {
      ...options,
      challenge: bytes(options.challenge),
      allowCredentials: withBytes(options.allowCredentials),
    };
    const used = await navigator.credentials.get({ publicKey });
    const handle = used.response.userHandle;
    return [used, {
      clientDataJSON: text(used.response.clientDataJSON),
      authenticatorData: text(used.response.authenticatorData),
      signature: text(used.response.signature),
      ...(handle && handle.byteLength ? { userHandle: text(handle) } : {}),
    }];
  };

  const options = async (form) => {
    if (form.dataset.options) return JSON.parse(form.dataset.options).publicKey;
    const answer = await fetch(form.dataset.ask, { headers: { Accept: "application/json" } });
    return (await answer.json()).publicKey;
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const asked = await options(form);
        const [found, response] = await (form.dataset.passkey === "create" ? make : use)(asked);
        form.elements.credential.value = JSON.stringify({
          id: found.id, rawId: text(found.rawId), type: found.type, response, clientExtensionResults: {},
        });
      } catch {
        return; // The person has said no, or the device has none. The page stays.
      }
      form.submit();
    });
  }
})();
