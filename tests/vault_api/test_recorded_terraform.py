"""The calls of Terraform's provider, read from its source; see test_recorded_exchanges.py."""

import re

from tests.vault_api.conftest import Door
from tests.vault_api.exchanges import ANY, Exchange, replay


def terraform(parent):
    """How hashicorp/terraform-provider-vault begins: it looks its token up, and makes a short one of it.

    internal/provider/meta.go; the body is `TokenCreateRequest` of the API library's auth_token.go.
    """
    asked = {
        "ttl": "1200s",
        "explicit_max_ttl": "1200s",
        "display_name": "terraform",
        "num_uses": 0,
        "renewable": False,
        "type": "",
        "entity_alias": "",
    }
    needs = {"auth.client_token": ANY, "auth.policies": ["default"], "auth.lease_duration": ANY}
    made = replay(
        parent,
        [
            Exchange("GET", "auth/token/lookup-self", needs={"data.ttl": ANY}),
            Exchange("POST", "auth/token/create", asked, needs=needs),
        ],
    )
    assert 0 < made.json()["auth"]["lease_duration"] <= 1200
    child = Door(made.json()["auth"]["client_token"])
    seen = replay(child, [Exchange("GET", "sys/seal-status", needs={"version": ANY})])
    # It compares versions by the rules of semver.org, and takes `ent` for the paid product.
    semver = r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?\+[0-9A-Za-z.-]+"
    assert re.fullmatch(semver, seen.json()["version"])
    assert "ent" not in seen.json()["version"].partition("+")[2]
    return child


def test_terraforms_resource_and_data_of_kv2(signed_in, alice, door):
    """`vault_kv_secret_v2`: it writes `cas` beside `options`, and notes as a setting.

    hashicorp/terraform-provider-vault, vault/: resource_kv_secret_v2.go, data_source_kv_secret_v2.go,
    data_source_kv_secrets_list_v2.go, data_source_kv_subkeys_v2.go
    """
    child = terraform(signed_in)
    written = {"data": {"a": "1"}, "cas": 0, "options": {}}
    changed = {"data": {"a": "2"}, "cas": 0, "options": {"cas": "1"}}
    settings = {"delete_version_after": 12600, "custom_metadata": {"team": "data"}}
    kept = {
        "data.delete_version_after": "3h30m0s",
        "data.custom_metadata": {"team": "data"},
        "data.cas_required": False,
        "data.max_versions": 0,
    }
    noted = {"data.metadata.custom_metadata": {"team": "data"}, "data.metadata.destroyed": False}
    dated = {"data.metadata.created_time": ANY, "data.metadata.deletion_time": ANY}
    replay(
        child,
        [
            Exchange("PUT", "team/data/tf", written, needs={"data.version": 1}),
            Exchange("PUT", "team/metadata/tf", settings, 204),
            Exchange("GET", "team/data/tf", needs={"data.data.a": "1"} | noted),
            Exchange("GET", "team/metadata/tf", needs=kept),
            Exchange("PUT", "team/data/tf", changed, needs={"data.version": 2}),
            Exchange("PUT", "team/data/tf", changed, 400, {"errors": ANY}),
            Exchange("GET", "team/data/tf?version=1", needs={"data.metadata.version": 1} | dated),
            Exchange("GET", "team/metadata?list=true", needs={"data.keys": ["tf"]}),
            Exchange("GET", "team/subkeys/tf", needs={"data.subkeys": {"a": None}}),
            Exchange("DELETE", "team/data/tf", status=204),
            Exchange("GET", "team/data/tf", status=404, needs={"data.data": None}),
        ],
    )
    # With `delete_all_versions`, and `max_versions`: the owner's.
    replay(child, [Exchange("PUT", "team/metadata/tf", {"max_versions": 5}, 403)])
    replay(child, [Exchange("DELETE", "team/metadata/tf", status=403)])
    replay(terraform(door(alice)), [Exchange("DELETE", "team/metadata/tf", status=204)])


def test_terraforms_generic_secret(signed_in):
    """`vault_generic_secret` asks which engine it is first, each time.

    hashicorp/terraform-provider-vault, vault/: resource_generic_secret.go, kv_helpers.go
    """
    child = terraform(signed_in)
    which = Exchange(
        "GET",
        "sys/internal/ui/mounts/team/tf",
        needs={"data.path": "team/", "data.options.version": "2"},
    )
    written = {"data": {"a": "1"}, "options": {}}
    replay(
        child,
        [
            which,
            Exchange("PUT", "team/data/tf", written, needs={"data.version": 1}),
            which,
            Exchange("GET", "team/data/tf", needs={"data.data.a": "1"}),
            which,
            Exchange("DELETE", "team/data/tf", status=204),
        ],
    )
    # Its own token goes on when the child's has ended.
    replay(child, [Exchange("PUT", "auth/token/revoke-self", status=204)])
    replay(signed_in, [Exchange("GET", "auth/token/lookup-self")])
