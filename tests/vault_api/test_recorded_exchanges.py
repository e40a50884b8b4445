"""Clients that cannot run here: the calls they make, read from their source, and what they look at in the
answers. docs/vault-clients.md has a configuration for each."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from secrets_app.models import Agent
from tests.cast import allow
from tests.vault_api.conftest import Door


@dataclass
class Exchange:
    """One request, and what its sender needs of the answer: status, and members by their path."""

    method: str
    path: str
    body: Any = None
    status: int = 200
    needs: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


ANY = object()


def replay(door, exchanges):
    answer = None
    for each in exchanges:
        answer = door(each.method, each.path, each.body, headers=each.headers)
        assert answer.status_code == each.status, (each, answer.content)
        for name, wanted in each.needs.items():
            found = answer.json()
            for part in name.split("."):
                assert part in found, (each, name)
                found = found[part]
            assert wanted is ANY or found == wanted, (each, name, found)
    return answer


@pytest.fixture
def agent(robot, vault):
    Agent.objects.filter(pk=robot.principal.pk).update(owner=vault.owner)
    allow(robot, vault, "**", "read", "write")
    return robot


@pytest.fixture
def signed_in(agent):
    return Door(sign_in(agent))


def sign_in(agent, method="PUT"):
    login = {"role_id": str(agent.principal.pk), "secret_id": agent.raw_key}
    needs = {"auth.client_token": ANY, "auth.lease_duration": 3600, "auth.renewable": False}
    answer = replay(Door(None), [Exchange(method, "auth/approle/login", login, needs=needs)])
    return answer.json()["auth"]["client_token"]


def test_external_secrets_operator_reads(agent, signed_in):
    """`SecretStore` with AppRole; `data`, `dataFrom.extract`, `dataFrom.find` by name and by tags."""
    signed_in.put("team/app/db", {"user": "u", "password": "p"})
    signed_in("PUT", "team/metadata/app/db", {"custom_metadata": {"team": "data"}})
    told = {"data.type": "service", "data.ttl": ANY, "data.expire_time": ANY}
    listing = "team/metadata/{}?list=true"
    read = {"data.data": {"user": "u", "password": "p"}, "data.metadata.version": 1}
    tags = {"data.custom_metadata": {"team": "data"}}
    replay(
        signed_in,
        [
            Exchange("GET", "auth/token/lookup-self", needs=told),
            Exchange("GET", "team/data/app/db", needs=read),
            Exchange("GET", "team/data/app/db?version=1", needs=read),
            Exchange("GET", "team/data/app/none", status=404, needs={"errors": []}),
            Exchange("GET", listing.format(""), needs={"data.keys": ["app/"]}),
            Exchange("GET", listing.format("app/"), needs={"data.keys": ["db"]}),
            Exchange("GET", "team/metadata/app/db", needs=tags),
            Exchange("PUT", "auth/token/revoke-self", status=204),
            Exchange("GET", "auth/token/lookup-self", status=403),
        ],
    )


def test_external_secrets_operator_pushes(signed_in, alice, vault, door):
    """`PushSecret`, with check-and-set; what it must not take away for good, only the owner can."""
    label = {"custom_metadata": {"managed-by": "external-secrets"}}
    first, second = ({"data": {"k": v}, "options": {"cas": n}} for v, n in (("1", 0), ("2", 1)))
    replay(
        signed_in,
        [
            Exchange("GET", "team/data/pushed", status=404),
            Exchange("PUT", "team/metadata/pushed", label, 204),
            Exchange("PUT", "team/data/pushed", first, needs={"data.version": 1}),
            Exchange("GET", "team/data/pushed", needs={"data.data": {"k": "1"}}),
            Exchange(
                "GET",
                "team/metadata/pushed",
                needs={"data.current_version": 1}
                | {"data.custom_metadata": label["custom_metadata"]},
            ),
            Exchange("PUT", "team/metadata/pushed", label, 204),
            Exchange("PUT", "team/data/pushed", second, needs={"data.version": 2}),
            Exchange("DELETE", "team/data/pushed", status=204),
            Exchange("DELETE", "team/metadata/pushed", status=403),
        ],
    )
    replay(door(alice), [Exchange("DELETE", "team/metadata/pushed", status=204)])


def test_terraforms_provider(signed_in, alice, door):
    """It makes a token of its own, asks which version the server has, and writes `cas` beside `options`."""
    asked = {
        "display_name": "token",
        "ttl": "1200s",
        "explicit_max_ttl": "1200s",
        "renewable": False,
    }
    made = replay(
        signed_in, [Exchange("POST", "auth/token/create", asked, needs={"auth.client_token": ANY})]
    )
    child = Door(made.json()["auth"]["client_token"])
    written = {"data": {"a": "1"}, "cas": 0, "options": {}}
    changed = {"data": {"a": "2"}, "cas": 0, "options": {"cas": "1"}}
    replay(
        child,
        [
            Exchange("GET", "auth/token/lookup-self", needs={"data.policies": ["default"]}),
            Exchange("GET", "sys/seal-status", needs={"version": ANY}),
            Exchange("PUT", "team/data/tf", written, needs={"data.version": 1}),
            Exchange("GET", "team/data/tf", needs={"data.data.a": "1", "data.metadata.version": 1}),
            Exchange("PUT", "team/data/tf", changed, needs={"data.version": 2}),
            Exchange("GET", "team/metadata/tf", needs={"data.versions.2.destroyed": False}),
            Exchange("GET", "team/metadata/?list=true", needs={"data.keys": ["tf"]}),
            Exchange("DELETE", "team/data/tf", status=204),
            Exchange("GET", "team/data/tf", status=404, needs={"data.data": None}),
            Exchange("PUT", "auth/token/revoke-self", status=204),
        ],
    )
    # Its own token goes on.
    replay(signed_in, [Exchange("GET", "auth/token/lookup-self")])


def test_vault_action(agent, signed_in):
    """A GitHub workflow: POST of a login, GETs of secrets, and the end of the token."""
    signed_in.put("team/ci", {"npmToken": "x", "json": {"a": 1}})
    mine = Door(sign_in(agent, "POST"))
    replay(
        mine,
        [
            Exchange("GET", "team/data/ci", needs={"data.data.npmToken": "x"}),
            Exchange("GET", "team/data/none", status=404),
            Exchange("POST", "auth/token/revoke-self", status=204),
        ],
    )
    # With OIDC it signs in by `jwt`, which a deployment may not have.
    login = {"role": "ci", "jwt": "eyJ"}
    replay(Door(None), [Exchange("POST", "auth/jwt/login", login, 404, {"errors": ANY})])


def test_consul_template(signed_in):
    """It looks at the mount first, renews what is renewable, and reads again otherwise."""
    signed_in.put("team/web/tls", {"cert": "c"})
    mount = {"data.path": "team/", "data.options.version": "2"}
    secret = {"data.data.cert": "c", "lease_duration": 0, "renewable": False, "lease_id": ""}
    replay(
        signed_in,
        [
            Exchange("GET", "auth/token/lookup-self", needs={"data.renewable": False}),
            Exchange("PUT", "auth/token/renew-self", {"increment": 0}, 400, {"errors": ANY}),
            Exchange("GET", "sys/internal/ui/mounts/team/web/tls", needs=mount),
            Exchange("GET", "team/data/web/tls", needs=secret),
            Exchange("GET", "sys/internal/ui/mounts/team/metadata/web", needs=mount),
            Exchange("LIST", "team/metadata/web", needs={"data.keys": ["tls"]}),
        ],
    )


def test_spring_cloud_vault(agent, signed_in):
    """Profiles are paths; one that is not there is no error. Writes go by POST."""
    signed_in.put("team/shop/prod", {"spring.datasource.password": "p"})
    mine = Door(sign_in(agent, "POST"))
    replay(
        mine,
        [
            Exchange("GET", "auth/token/lookup-self", needs={"data.ttl": ANY, "data.type": ANY}),
            Exchange("GET", "sys/internal/ui/mounts/team/shop/prod", needs={"data.type": "kv"}),
            Exchange("GET", "team/data/shop/prod", needs={"data.data": ANY}),
            Exchange("GET", "team/data/shop", status=404),
            Exchange("GET", "team/data/application", status=404),
            Exchange("POST", "team/data/shop/new", {"data": {"a": "b"}, "options": {"cas": 0}}),
            Exchange("GET", "team/metadata/shop?list=true", needs={"data.keys": ["new", "prod"]}),
            Exchange("GET", "sys/health", needs={"initialized": True, "sealed": False}),
            Exchange("POST", "auth/token/revoke-self", {}, 204),
        ],
    )


def test_vault_secrets_operator(agent, signed_in):
    """It signs in by AppRole, looks its token up, and compares what it reads by `request_id`-less data."""
    signed_in.put("team/app", {"a": "1"})
    mine = Door(sign_in(agent))
    read = {"data.data": {"a": "1"}, "data.metadata.created_time": ANY, "request_id": ANY}
    replay(
        mine,
        [
            Exchange("GET", "auth/token/lookup-self", needs={"data.expire_time": ANY}),
            Exchange("GET", "team/data/app", needs=read, headers={"X-Vault-Namespace": ""}),
            Exchange("GET", "team/data/app?version=1", needs=read),
        ],
    )
