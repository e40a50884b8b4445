// What node-vault does with a secret, as one JSON object; run by tests/e2e/test_vault_node.py.
const connect = require("node-vault");

const outcome = async (act, show = (answer) => answer) => {
  try {
    return show(await act());
  } catch (error) {
    return (error.response && error.response.statusCode) || String(error.message);
  }
};

const main = async () => {
  const address = process.env.VAULT_ADDRESS;
  const vault = connect({ apiVersion: "v1", endpoint: address, token: "" });
  const seen = {};
  const login = { role_id: process.env.ROLE_ID, secret_id: process.env.SECRET_ID };
  seen.wrong = await outcome(() => vault.approleLogin({ ...login, secret_id: "x" }));
  const signedIn = await vault.approleLogin(login);
  vault.token = signedIn.auth.client_token;
  seen.policies = signedIn.auth.policies[0];
  const data = (answer) => answer.data.data;
  const at = "clients/data/node/db";
  seen.absent = await outcome(() => vault.read("clients/data/node/none"));
  seen.written = await outcome(
    () => vault.write(at, { data: { a: "1", n: { m: [1.5, true, null] } } }),
    (answer) => answer.data.version,
  );
  seen.read = await outcome(() => vault.read(at), data);
  seen.stale = await outcome(() => vault.write(at, { data: { a: "2" }, options: { cas: 7 } }));
  seen.updated = await outcome(
    () => vault.update(at, { data: { n: null, b: "2" } }),
    (answer) => answer.data.version,
  );
  seen.patched = await outcome(() => vault.read(at), data);
  seen.list = await outcome(() => vault.list("clients/metadata/node"), (answer) => answer.data.keys);
  seen.deleted = await outcome(() => vault.delete(at), () => "done");
  seen.gone = await outcome(() => vault.read(at));
  seen.self = await outcome(() => vault.tokenLookupSelf(), (answer) => typeof answer.data.ttl);
  seen.initialized = await outcome(() => vault.initialized(), (answer) => answer.initialized);
  seen.sealed = await outcome(() => vault.status(), (answer) => answer.sealed);
  seen.revoked = await outcome(() => vault.tokenRevokeSelf(), () => "done");
  seen.after = await outcome(() => vault.read(at));
  console.log(JSON.stringify(seen));
};

main();
