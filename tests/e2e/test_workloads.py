"""Workloads sign in without a key on a live server: as a job does, with hvac, and with the `bao` CLI."""

import os

import hvac
import pytest
from hvac.exceptions import Forbidden

from tests.e2e.vault_targets import Target
from tests.issuers import AUDIENCE, github, jwk, kubernetes, sign

pytestmark = pytest.mark.no_cover

GITHUB = "https://token.actions.githubusercontent.com"
CLUSTER = "https://kubernetes.default.svc.cluster.local"


@pytest.fixture(scope="module")
def agent(server):
    """An agent of two workloads that may read `jobs/**` in the demo vault: its id, and the vault's."""
    demo = server.quickstart()
    vault, token = demo["vault_id"], demo["token"]

    def post(path, content):
        status, made = server.request("POST", path, content, token)
        assert status == 201, made
        return made

    name = f"deploy-{os.urandom(4).hex()}"
    agent_id = post("/v1/agents", {"name": name})["agent"]["id"]
    policy = {"secret_path_pattern": "jobs/**", "principal_type": "agent", "permissions": ["read"]}
    post(f"/v1/vaults/{vault}/policies", policy | {"principal_id": agent_id})
    server.request(
        "PUT", f"/v1/vaults/{vault}/secrets/jobs/key", {"type": "note", "value": "v"}, token
    )
    identity = {"name": "ci", "audience": AUDIENCE, "jwks": {"keys": [jwk("rsa")]}}
    main = {"issuer": GITHUB, "claims": {"sub": "repo:acme/api:ref:refs/heads/main"}}
    pods = {"issuer": CLUSTER, "claims": {"sub": "system:serviceaccount:prod:*"}}
    for each in (main, pods):
        post(f"/v1/agents/{agent_id}/identities", identity | each)
    return agent_id, vault


def test_a_job_of_github_reads_its_secret_and_no_other_repository_does(server, agent):
    agent_id, vault = agent

    def exchange(claims):
        content = {"agent_id": agent_id, "assertion": sign("rsa", claims)}
        return server.request("POST", "/v1/auth/agent-token", content)

    status, told = exchange(github(GITHUB))
    assert status == 200, told
    url = f"/v1/vaults/{vault}/secrets/jobs/key"
    assert server.request("GET", url, None, told["access_token"])[1]["value"] == "v"
    for claims in (github(GITHUB, "evil/api"), github(GITHUB, "acme/api", "refs/heads/x")):
        assert exchange(claims)[0] == 401


def test_hvac_signs_in_with_the_token_of_its_pod(server, agent):
    agent_id, vault = agent
    client = hvac.Client(url=f"{server.base_url}/vault", timeout=30)
    client.auth.kubernetes.login(role=agent_id, jwt=sign("rsa", kubernetes(CLUSTER)))
    assert client.is_authenticated()
    read = client.secrets.kv.v2.read_secret_version(
        "jobs/key", mount_point=vault, raise_on_deleted_version=True
    )
    assert read["data"]["data"] == {"value": "v"}
    again = hvac.Client(url=f"{server.base_url}/vault", timeout=30)
    again.auth.jwt.jwt_login(role=agent_id, jwt=sign("rsa", github(GITHUB)))
    assert again.is_authenticated()
    child = again.auth.token.create(ttl="5m")["auth"]["client_token"]
    assert hvac.Client(url=f"{server.base_url}/vault", token=child).is_authenticated()
    with pytest.raises(Forbidden):
        again.auth.jwt.jwt_login(role=agent_id, jwt=sign("rsa", kubernetes(CLUSTER, "dev")))


def test_the_cli_signs_in_with_a_jwt(server, agent):
    agent_id, _ = agent
    target = Target("vaultsite", f"{server.base_url}/vault", "", "", "", "", "")
    token = sign("rsa", github(GITHUB))
    login = ("write", "-field=token", "auth/jwt/login", f"role={agent_id}")
    done = target.bao(*login, f"jwt={token}")
    assert done.returncode == 0, done.stderr
    looked_up = target.bao("token", "lookup", "-format=json", token=done.stdout.strip())
    assert agent_id in looked_up.stdout
    refused = target.bao(*login, f"jwt={sign('rsa', github(GITHUB, 'evil/api'))}")
    assert refused.returncode != 0
    assert "permission denied" in refused.stderr
