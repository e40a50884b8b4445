"""A passkey made and used over the API, by Chromium and its virtual authenticator."""

import pytest

from tests.browser.conftest import PASSWORD

pytestmark = pytest.mark.only_on("sqlite")

EMAIL = "bob@example.com"
# What a page does between the API and the browser: names and bytes are turned, nothing else.
PAGE = """
const bytes = (text) => Uint8Array.from(
  atob(text.replace(/-/g, "+").replace(/_/g, "/")), (each) => each.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replace(/\\+/g, "-").replace(/\\//g, "_").replace(/=/g, "");
const ask = async (method, path, body, token) => {
  const headers = {"Content-Type": "application/json"};
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(`/v1/auth/${path}`, {method, headers, body: JSON.stringify(body)});
  return {status: answer.status, ...(answer.status === 204 ? {} : await answer.json())};
};
const make = async (token) => {
  const told = await ask("POST", "passkeys/register/begin", {}, token);
  const made = await navigator.credentials.create({publicKey: {
    challenge: bytes(told.challenge),
    rp: {id: told.rp_id, name: told.rp_name},
    user: {id: bytes(told.user_id), name: told.user_name, displayName: told.user_display_name},
    pubKeyCredParams: told.algorithms.map((alg) => ({type: "public-key", alg})),
    attestation: told.attestation,
    authenticatorSelection: {
      residentKey: told.authenticator_selection.resident_key,
      userVerification: told.authenticator_selection.user_verification,
    },
  }});
  return ask("POST", "passkeys/register/complete", {
    credential_id: made.id,
    attestation_object: text(made.response.attestationObject),
    client_data_json: text(made.response.clientDataJSON),
    transports: made.response.getTransports(),
    name: "Chromium",
  }, token);
};
const use = async () => {
  const told = await ask("POST", "passkeys/assert/begin", {});
  const used = await navigator.credentials.get({publicKey: {
    challenge: bytes(told.challenge), rpId: told.rp_id, userVerification: told.user_verification,
  }});
  return ask("POST", "passkeys/assert/complete", {
    credential_id: used.id,
    authenticator_data: text(used.response.authenticatorData),
    client_data_json: text(used.response.clientDataJSON),
    signature: text(used.response.signature),
    user_handle: text(used.response.userHandle),
  });
};
"""


@pytest.fixture
def page(admin_server, chromium):
    """A page at an origin where browsers have passkeys: localhost, without TLS."""
    server, _ = admin_server
    context = chromium.new_context()
    context.set_default_timeout(8_000)
    page = context.new_page()
    page.goto(server.base_url.replace("127.0.0.1", "localhost") + "/docs")
    tools = context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    tools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    yield page
    context.close()


def run(page, script, *arguments):
    return page.evaluate(f"async (given) => {{ {PAGE} return {script}; }}", list(arguments))


def test_a_passkey_is_made_and_signs_in_and_is_removed(page):
    sent = {"email": EMAIL, "password": PASSWORD}
    token = run(page, 'ask("POST", "token", given[0])', sent)["access_token"]
    made = run(page, "make(given[0])", token)
    assert made["status"] == 201, made
    assert len(made["recovery_codes"]) == 10
    # The password alone is not enough from now on.
    assert run(page, 'ask("POST", "token", given[0])', sent)["mfa_required"] is True
    for _ in range(2):  # its counter goes on
        signed = run(page, "use()")
        assert signed["status"] == 200, signed
    assert signed["user"]["email"] == EMAIL
    (listed,) = run(page, 'ask("GET", "passkeys", undefined, given[0])', signed["token"])[
        "passkeys"
    ]
    assert (listed["name"], listed["id"]) == ("Chromium", made["passkey_id"])
    path = f"passkeys/{listed['id']}"
    gone = run(page, 'ask("DELETE", given[1], undefined, given[0])', signed["token"], path)
    assert gone["status"] == 200
    assert run(page, "use()")["status"] == 401
    assert "access_token" in run(page, 'ask("POST", "token", given[0])', sent)
