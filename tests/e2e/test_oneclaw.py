"""The published client of this API family, unchanged, against a live server."""

import pytest
from oneclaw import create_client


@pytest.fixture(scope="module")
def demo(server):
    return server.quickstart()


@pytest.fixture
def client(server, demo):
    with create_client(base_url=server.base_url, api_key=demo["api_key"]) as client:
        yield client


def test_it_signs_in_with_the_api_key_and_lists_the_vaults(client, demo):
    answer = client.vaults.list()
    assert answer.error is None
    assert demo["vault_id"] in [vault["id"] for vault in answer.data["vaults"]]


def test_it_signs_in_with_a_password_and_revokes_the_token(server, demo):
    with create_client(base_url=server.base_url) as client:
        assert client.auth.login(demo["email"], demo["password"]).data["token_type"] == "Bearer"
        assert client.vaults.list().error is None
        assert client.auth.revoke_token().meta.status == 204
        assert client.vaults.list().meta.status == 401


def test_it_refreshes_its_token_without_keeping_a_refresh_token(server, demo):
    with create_client(base_url=server.base_url) as client:
        first = client.auth.login(demo["email"], demo["password"]).data
        for _ in range(2):
            fresh = client.auth.refresh()
            assert fresh.meta.status == 200
            assert fresh.data["access_token"] != first["access_token"]
            assert client.vaults.list().error is None
        assert client.auth.revoke_token().meta.status == 204
        assert client.auth.refresh().meta.status == 401
    with create_client(base_url=server.base_url) as client:
        client.auth.api_key_token(demo["api_key"])
        assert client.auth.refresh().meta.status == 400


def test_it_sets_and_gets_a_secret(client, demo):
    written = client.secrets.set(
        demo["vault_id"],
        "one/claw",
        "s3cr3t",
        type="password",
        metadata={"tags": ["x"]},
        expires_at="2099-01-01T00:00:00Z",
        max_access_count=2,
    )
    assert written.error is None
    assert written.meta.status == 201
    read = client.secrets.get(demo["vault_id"], "one/claw")
    assert read.data["value"] == "s3cr3t"
    assert read.data["metadata"] == {"tags": ["x"]}
    rotated = client.secrets.rotate(demo["vault_id"], "one/claw", "new", type="password")
    assert rotated.data["version"] == written.data["version"] + 1


def test_it_creates_and_gets_a_vault(client):
    created = client.vaults.create("made by oneclaw", "a description")
    assert created.meta.status == 201
    assert client.vaults.get(created.data["id"]).data["name"] == "made by oneclaw"
    assert client.vaults.create("made by oneclaw").meta.status == 409


def test_it_sees_the_right_errors(client, server, demo):
    vault = demo["vault_id"]
    unknown = "00000000-0000-4000-8000-000000000000"
    cases = [
        (client.secrets.set(vault, "a", "x"), 400, "validation_error"),  # its default type: generic
        (client.secrets.get(vault, "no/such"), 404, "not_found"),
        (client.secrets.get(unknown, "a"), 404, "not_found"),
        (client.secrets.get(vault, "bad path"), 400, "validation_error"),
    ]
    client.secrets.set(vault, "gone", "x", type="note", expires_at="2001-01-01T00:00:00Z")
    cases.append((client.secrets.get(vault, "gone"), 410, "unknown"))
    with create_client(base_url=server.base_url, api_key="1ck_wrong") as stranger:
        cases.append((stranger.secrets.get(vault, "a"), 401, "auth_error"))
    for answer, status, kind in cases:
        assert answer.data is None
        assert (answer.meta.status, answer.error.type) == (status, kind)
        assert answer.error.message
