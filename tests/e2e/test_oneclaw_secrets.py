"""Everything the published client offers for vaults and secrets (apart from custody and customer
keys), in one script, unchanged, against a live server."""

import re

from oneclaw import create_client


def test_the_whole_life_of_a_vault_and_its_secrets(server):
    demo = server.quickstart()
    with create_client(base_url=server.base_url, api_key=demo["api_key"]) as client:
        vault = client.vaults.create("the whole life", "of a secret").data
        vault_id = vault["id"]
        assert client.vaults.get(vault_id).data == vault
        assert vault_id in [v["id"] for v in client.vaults.list().data["vaults"]]

        written = client.secrets.set(vault_id, "db/password", "one", type="password")
        assert written.meta.status == 201
        assert client.secrets.set(vault_id, "db/user", "app", type="note").meta.status == 201
        assert client.secrets.get(vault_id, "db/password").data["value"] == "one"

        listed = client.secrets.list(vault_id).data["secrets"]
        assert [s["path"] for s in listed] == ["db/password", "db/user"]
        assert all("value" not in s for s in listed)
        narrowed = client.secrets.list(vault_id, prefix="db/p").data["secrets"]
        assert [s["path"] for s in narrowed] == ["db/password"]

        rotated = client.secrets.rotate(vault_id, "db/password", "two", type="password")
        assert rotated.data["version"] == 2
        drawn = client.secrets.rotate_generate(
            vault_id, "db/password", length=24, charset="alphanumeric", type="api_key"
        )
        assert (drawn.meta.status, drawn.data["version"]) == (201, 3)
        read = client.secrets.get(vault_id, "db/password").data
        assert re.fullmatch("[A-Za-z0-9]{24}", read["value"])
        assert read["type"] == "api_key"
        assert client.secrets.rotate_generate(vault_id, "db/password").data["version"] == 4

        versions = client.secrets.list_versions(vault_id, "db/password").data["versions"]
        assert [v["version"] for v in versions] == [4, 3, 2, 1]
        assert client.secrets.get_version(vault_id, "db/password", 2).data["value"] == "two"
        disabled = client.secrets.disable_version(vault_id, "db/password", 2)
        assert disabled.meta.status == 204
        assert client.secrets.get_version(vault_id, "db/password", 2).meta.status == 410
        versions = client.secrets.list_versions(vault_id, "db/password").data["versions"]
        assert [v["version"] for v in versions if v["is_disabled"]] == [2]

        assert client.secrets.delete(vault_id, "db/password").meta.status == 204
        assert client.secrets.get(vault_id, "db/password").meta.status == 410
        assert client.secrets.delete(vault_id, "db/password").error.type == "not_found"
        revived = client.secrets.set(vault_id, "db/password", "three", type="password")
        assert revived.data["version"] == 5

        assert client.vaults.delete(vault_id).meta.status == 204
        assert client.vaults.get(vault_id).error.type == "not_found"
        assert client.secrets.get(vault_id, "db/user").error.type == "not_found"
