"""Clients that cannot run here: the calls they make, read from their source, and what they look at in the
answers. Each test names the files it was read from; docs/vault-clients.md has a configuration for each.

Those in Go go through HashiCorp's API library: `List` is `GET ?list=true`, a slash at the end of a path is
dropped, writes are PUT.
"""

from secrets_app.vault_api.answers import CAS_WRONG
from tests.vault_api.conftest import Door
from tests.vault_api.exchanges import ANY, Exchange, replay, sign_in


def test_external_secrets_operator_reads(agent, signed_in):
    """`SecretStore` with AppRole; `data`, `dataFrom.extract`, `dataFrom.find` by name and by tags.

    external-secrets/external-secrets, providers/v1/vault/: auth.go, client.go, client_get.go,
    client_get_all_secrets.go, validate.go
    """
    signed_in.put("team/app/db", {"user": "u", "password": "p"})
    signed_in("PUT", "team/metadata/app/db", {"custom_metadata": {"team": "data"}})
    told = {"data.type": "service", "data.ttl": ANY, "data.expire_time": ANY}
    read = {"data.data": {"user": "u", "password": "p"}}
    notes = {
        "data.custom_metadata": {"team": "data"},
        "data.created_time": ANY,
        "data.current_version": 1,
        "data.delete_version_after": "0s",
    }
    replay(
        signed_in,
        [
            Exchange("GET", "auth/token/lookup-self", needs=told),
            Exchange("GET", "team/data/app/db", needs=read),
            Exchange("GET", "team/data/app/db?version=1", needs=read),
            Exchange("GET", "team/data/app/none", status=404, needs={"errors": []}),
            Exchange("GET", "team/metadata?list=true", needs={"data.keys": ["app/"]}),
            Exchange("GET", "team/metadata/app?list=true", needs={"data.keys": ["db"]}),
            Exchange("GET", "team/metadata/app/db", needs=notes),
            Exchange("GET", "team/data/app/db", needs=read),
            # It ends each token that it signed in for.
            Exchange("GET", "auth/token/lookup-self", needs=told),
            Exchange("PUT", "auth/token/revoke-self", status=204),
            Exchange("GET", "auth/token/lookup-self", status=403),
        ],
    )


def test_external_secrets_operator_pushes(signed_in, alice, vault, door):
    """`PushSecret`, with check-and-set; what it must not take away for good, only the owner can.

    external-secrets/external-secrets, providers/v1/vault/client_push.go
    """
    label = {"custom_metadata": {"managed-by": "external-secrets"}}
    first, second = ({"data": {"k": v}, "options": {"cas": n}} for v, n in (("1", 0), ("2", 1)))
    managed = {"data.current_version": 1, "data.custom_metadata": label["custom_metadata"]}
    replay(
        signed_in,
        [
            Exchange("GET", "team/data/pushed", status=404),
            Exchange("PUT", "team/metadata/pushed", label, 204),
            Exchange("PUT", "team/data/pushed", first, needs={"data.version": 1}),
            # Changed: is it the operator's, and which version is the current one?
            Exchange("GET", "team/data/pushed", needs={"data.data": {"k": "1"}}),
            Exchange("GET", "team/metadata/pushed", needs=managed),
            Exchange("GET", "team/metadata/pushed", needs=managed),
            Exchange("PUT", "team/metadata/pushed", label, 204),
            Exchange("PUT", "team/data/pushed", second, needs={"data.version": 2}),
            # Deleted.
            Exchange("GET", "team/data/pushed", needs={"data.data": {"k": "2"}}),
            Exchange("GET", "team/metadata/pushed", needs={"data.current_version": 2}),
            Exchange("DELETE", "team/data/pushed", status=204),
            Exchange("DELETE", "team/metadata/pushed", status=403),
        ],
    )
    replay(door(alice), [Exchange("DELETE", "team/metadata/pushed", status=204)])


def test_vault_action(agent, signed_in):
    """A GitHub workflow: POST of a login and GETs of secrets, all with a namespace, which is empty.

    hashicorp/vault-action, src/: action.js, auth.js, secrets.js
    """
    signed_in.put("team/ci", {"npmToken": "x", "json": {"a": 1}})
    none = {"X-Vault-Namespace": ""}
    mine = Door(sign_in(agent, "POST", none))
    replay(
        mine,
        [
            Exchange("GET", "team/data/ci", needs={"data.data.npmToken": "x"}, headers=none),
            Exchange("GET", "team/data/none", status=404, headers=none),
        ],
    )


def test_consul_template(signed_in):
    """It looks at the mount first, and reads again after a while; a template may write as well.

    hashicorp/consul-template, dependency/: vault_common.go, vault_read.go, vault_list.go, vault_write.go;
    watch/vault_token.go
    """
    signed_in.put("team/web/tls", {"cert": "c"})
    mount = {"data.path": "team/", "data.type": "kv", "data.options.version": "2"}
    secret = {"data.data.cert": "c", "lease_duration": 0, "renewable": False, "lease_id": ""}
    told = {"data.metadata.deletion_time": ""}
    replay(
        signed_in,
        [
            Exchange("GET", "sys/internal/ui/mounts/team/web/tls", needs=mount),
            Exchange("GET", "team/data/web/tls", needs=secret | told),
            Exchange("GET", "sys/internal/ui/mounts/team/data/web/tls", needs=mount),
            Exchange("GET", "team/data/web/tls?version=1", needs=secret),
            Exchange("GET", "sys/internal/ui/mounts/team/web", needs=mount),
            Exchange("GET", "team/metadata/web?list=true", needs={"data.keys": ["tls"]}),
            Exchange("GET", "sys/internal/ui/mounts/team/web/new", needs=mount),
            Exchange("PUT", "team/data/web/new", {"data": {"a": "b"}}, needs={"data.version": 1}),
            # What it would begin with, were `renew_token` not switched off; then it would end.
            Exchange("PUT", "auth/token/renew-self", {"increment": 0}, 400, {"errors": ANY}),
        ],
    )


def test_spring_cloud_vault(agent, signed_in):
    """Profiles are paths, each with a look at its mount; one that is not there is no error.

    spring-cloud/spring-cloud-vault, …/vault/config/: VaultConfigTemplate, KeyValueSecretBackendMetadata,
    VaultHealthIndicator; spring-projects/spring-vault, …/vault/: core/util/KeyValueDelegate,
    authentication/AppRoleAuthentication, authentication/LifecycleAwareSessionManager
    """
    signed_in.put("team/shop/prod", {"spring.datasource.password": "p"})
    mine = Door(sign_in(agent, "POST"))
    kv2 = {"data.path": "team/", "data.options": {"version": "2"}}
    replay(
        mine,
        [
            Exchange("GET", "sys/internal/ui/mounts/team/shop/prod", needs=kv2),
            Exchange("GET", "team/data/shop/prod", needs={"data.data": ANY, "lease_id": ""}),
            Exchange("GET", "sys/internal/ui/mounts/team/shop", needs=kv2),
            Exchange("GET", "team/data/shop", status=404),
            Exchange("GET", "sys/internal/ui/mounts/team/application/prod", needs=kv2),
            Exchange("GET", "team/data/application/prod", status=404),
            Exchange("GET", "sys/internal/ui/mounts/team/application", needs=kv2),
            Exchange("GET", "team/data/application", status=404),
        ],
    )
    told = {"initialized": True, "sealed": False, "standby": False, "version": ANY}
    replay(Door(None), [Exchange("GET", "sys/health", needs=told | {"server_time_utc": ANY})])
    replay(mine, [Exchange("POST", "auth/token/revoke-self", status=204)])


def test_spring_vaults_templates(signed_in, alice, door):
    """`VaultVersionedKeyValueOperations`, `VaultKeyValueOperations` and their metadata. Writes go by POST.

    spring-projects/spring-vault, …/vault/: core/VaultVersionedKeyValueTemplate,
    core/VaultKeyValue2Template, core/VaultKeyValue2Accessor, core/VaultKeyValueMetadataTemplate,
    core/KeyValueUtilities, authentication/LoginTokenAdapter
    """
    versioned = {"data": {"a": "1"}, "options": {"cas": 0}}
    merged = {"data": {"a": "1", "b": "2"}, "options": {"cas": 1}}
    stored = {"data.created_time": ANY, "data.deletion_time": "", "data.destroyed": False}
    gone = {"data.data": None, "data.metadata.deletion_time": ANY}
    notes = {"custom_metadata": {"team": "shop"}, "cas_required": False}
    versions = {"versions": [2]}
    replay(
        signed_in,
        [
            # With a token that it was given, not one that it signed in for.
            Exchange("GET", "auth/token/lookup-self", needs={"data.ttl": ANY, "data.type": ANY}),
            Exchange("POST", "team/data/shop/new", versioned, needs=stored | {"data.version": 1}),
            # A patch is a read, and a write with check-and-set.
            Exchange("GET", "team/data/shop/new", needs={"data.metadata.version": 1}),
            Exchange("POST", "team/data/shop/new", merged, needs={"data.version": 2}),
            Exchange("POST", "team/data/shop/new", merged, 400, {"errors": [CAS_WRONG]}),
            Exchange("GET", "team/data/shop/new?version=1", needs={"data.data": {"a": "1"}}),
            Exchange("GET", "team/metadata/shop?list=true", needs={"data.keys": ["new"]}),
            Exchange("POST", "team/delete/shop/new", versions, 204),
            Exchange("GET", "team/data/shop/new", status=404, needs=gone),
            Exchange("POST", "team/undelete/shop/new", versions, 204),
            Exchange("POST", "team/metadata/shop/new", notes, 204),
            Exchange("GET", "team/metadata/shop/new", needs={"data.versions.2.destroyed": False}),
            Exchange("DELETE", "team/data/shop/new", status=204),
        ],
    )
    mine = door(alice)
    replay(mine, [Exchange("POST", "team/destroy/shop/new", versions, 204)])
    replay(mine, [Exchange("DELETE", "team/metadata/shop/new", status=204)])


def test_vault_secrets_operator(agent, signed_in):
    """It signs in by AppRole, reads, and looks a token up that it kept or that was refused.

    hashicorp/vault-secrets-operator, vault/: client.go, requests.go, responses.go;
    credentials/vault/approle.go; controllers/vaultstaticsecret_controller.go
    """
    signed_in.put("team/app", {"a": "1"})
    token = sign_in(agent, needs={"auth.accessor": ANY, "auth.entity_id": ANY})
    read = {"data.data": {"a": "1"}, "data.metadata.version": 1}
    replay(
        Door(token),
        [
            Exchange("GET", "team/data/app", needs=read),
            Exchange("GET", "team/data/app?version=1", needs=read),
            Exchange("GET", "team/data/none", status=404, needs={"errors": []}),
            Exchange("GET", "other/data/app", status=403),
            Exchange("GET", "auth/token/lookup-self"),
            Exchange("PUT", "auth/token/revoke-self", status=204),
        ],
    )
