"""One successful use of each route and each command, for what must hold of all of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from secrets_app.models import (
    Agent,
    ApiKey,
    AuditEvent,
    Policy,
    Principal,
    SecretVersion,
    SignInSession,
    Vault,
)
from secrets_app.services.audit.export import Selection, export_events
from secrets_app.services.audit.seal import seal_events
from secrets_app.services.identity.roles import permissions_of
from tests.authenticator import Authenticator
from tests.cast import PASSWORD, Api, Person, allow, body, secret_url, vault_of
from tests.factors import App, asked, code_of, register, set_up, sign_in_with, verify
from vaultsite.accounts.models import User

_V = "/v1/vaults/<vault_id>"
_SECRET = r"/v1/vaults/(?P<vault_id>[^/]+)/{}/(?P<path>[\s\S]*)\Z"
_VERSION = r"/v1/vaults/(?P<vault_id>[^/]+)/{}/(?P<path>[\s\S]*)/(?P<number>[^/]*)\Z"
_ISSUER = "https://login.example.com"


@dataclass
class World:
    """Alice owns a vault with a secret at `a`, a deleted one at `gone`, a policy and an agent."""

    alice: Person
    vault: Vault
    policy: Policy
    agent_id: str
    agent_key: str
    identity_id: str
    spare_key: ApiKey
    folder: Path
    operator: Client
    bob: Person
    access_token: str
    refresh_token: str
    waiting: dict[str, str]
    let_in: dict[str, str]
    # The secret of an authenticator app that Alice has begun to set up in her session.
    pending: str
    # Bob has an app, a passkey, and a sign-in that waits for a code.
    app: App
    mfa_token: str
    passkey: Authenticator
    passkey_id: str

    @property
    def api(self) -> Api:
        return self.alice.api

    @property
    def is_alice(self) -> bool:
        """Not so for a stranger in her place."""
        return str(self.alice.user) == "alice@example.com"

    def at(self, rest: str) -> str:
        return f"/v1/vaults/{self.vault.pk}{rest}"

    @property
    def session(self) -> Api:
        """Alice in a session of her own."""
        return Api(self.access_token)

    @property
    def agent(self) -> Api:
        """Signed in; that leaves an event of its own."""
        answer = Api().post("/v1/auth/agent-token", {"api_key": self.agent_key})
        return Api(answer.json()["access_token"])


def session_of_alice() -> SignInSession:
    return SignInSession.objects.get(principal__user__email="alice@example.com")


def operator_client(role: str = "operator", name: str = "") -> Client:
    """A person of the admin with a role, signed in."""
    from secrets_app.services.identity.principals import principal_for_user

    group, _ = Group.objects.get_or_create(name=role)
    group.permissions.set(permissions_of(role=role))
    user = User.objects.create_user(f"{name or role}@example.com", "x", is_staff=True)
    user.groups.add(group)
    principal_for_user(user)
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def make_world(alice: Person, bob: Person, folder: Path) -> World:
    from secrets_app.services.audit import OPERATOR
    from secrets_app.services.identity.api_keys import create_api_key

    app, passkey = set_up("bob"), Authenticator()
    vault = vault_of(alice, "world")
    for path in ("a", "gone"):
        alice.api.put(secret_url(vault, path), body())
    alice.api.delete(secret_url(vault, "gone"))
    agent = alice.api.post("/v1/agents", {"name": "ci"}).json()
    identity = alice.api.post(f"/v1/agents/{agent['agent']['id']}/identities", _identity()).json()
    spare, _ = create_api_key(principal=alice.principal, name="spare", actor=OPERATOR)
    policy = allow(bob, vault, "a", "read")
    operator = operator_client()
    # Of no role: whoever gets an agent can act as it.
    Group.objects.get(name="operator").permissions.add(
        Permission.objects.get(codename="hand_over_agent")
    )
    sent = {"email": "alice@example.com", "password": PASSWORD}
    signed_in = Api().post("/v1/auth/token", sent).json()
    waiting, let_in = (
        Api().post("/v1/auth/device/code", {"client_id": "cli"}).json() for _ in range(2)
    )
    approval = {"user_code": let_in["user_code"]}
    Api(signed_in["access_token"]).post("/v1/auth/device/approve", approval)
    world = World(
        alice,
        vault,
        policy,
        agent["agent"]["id"],
        agent["api_key"],
        identity["id"],
        spare,
        folder,
        operator,
        bob,
        signed_in["access_token"],
        signed_in["refresh_token"],
        waiting,
        let_in,
        Api(signed_in["access_token"]).post("/v1/auth/mfa/setup").json()["secret"],
        app,
        asked("bob"),
        passkey,
        register(app.api, passkey).json()["passkey_id"],
    )
    web_session(world)
    return world


def _identity() -> dict[str, Any]:
    return {
        "name": "ci",
        "issuer": "https://token.actions.githubusercontent.com",
        "audience": "https://vault.example.com",
        "claims": {"sub": "repo:acme/api:ref:refs/heads/main"},
    }


def _policy(world: World) -> dict[str, Any]:
    return {
        "secret_path_pattern": "x/**",
        "principal_type": "agent",
        "principal_id": world.agent_id,
        "permissions": ["read"],
    }


ROUTES: dict[tuple[str, str], Callable[[World], Any]] = {
    ("POST", "/v1/auth/token"): lambda w: Api().post(
        "/v1/auth/token", {"email": "alice@example.com", "password": PASSWORD}
    ),
    ("POST", "/v1/auth/mfa/verify"): lambda w: verify(w.mfa_token, w.app.code(1)),
    ("POST", "/v1/auth/mfa/setup"): lambda w: w.session.post("/v1/auth/mfa/setup"),
    ("POST", "/v1/auth/mfa/verify-setup"): lambda w: w.session.post(
        "/v1/auth/mfa/verify-setup", {"code": code_of(w.pending)}
    ),
    ("DELETE", "/v1/auth/mfa"): lambda w: w.app.api.delete(
        "/v1/auth/mfa", body={"code": w.app.code(1)}
    ),
    ("POST", "/v1/auth/passkeys/register/complete"): lambda w: register(
        w.session, Authenticator(credential_id=b"another" * 3)
    ),
    ("POST", "/v1/auth/passkeys/assert/complete"): lambda w: sign_in_with(w.passkey),
    # A stranger has no session, which is refused before anybody looks whose passkey it is.
    ("DELETE", "/v1/auth/passkeys/<item_id>"): lambda w: (
        w.app.api if w.is_alice else w.api
    ).delete(f"/v1/auth/passkeys/{w.passkey_id}"),
    ("POST", "/v1/auth/refresh"): lambda w: Api().post(
        "/v1/auth/refresh", {"refresh_token": w.refresh_token}
    ),
    ("POST", "/v1/auth/device/code"): lambda w: Api().post(
        "/v1/auth/device/code", {"client_id": "cli"}
    ),
    ("POST", "/v1/auth/device/token"): lambda w: Api().post(
        "/v1/auth/device/token",
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": w.let_in["device_code"],
        },
    ),
    ("POST", "/v1/auth/device/approve"): lambda w: w.session.post(
        "/v1/auth/device/approve", {"user_code": w.waiting["user_code"]}
    ),
    ("POST", "/v1/auth/device/deny"): lambda w: w.session.post(
        "/v1/auth/device/deny", {"user_code": w.waiting["user_code"]}
    ),
    ("DELETE", "/v1/auth/sessions"): lambda w: w.api.delete("/v1/auth/sessions"),
    ("DELETE", "/v1/auth/sessions/<item_id>"): lambda w: w.api.delete(
        f"/v1/auth/sessions/{session_of_alice().pk}"
    ),
    ("DELETE", "/v1/auth/token"): lambda w: w.api.delete("/v1/auth/token"),
    ("POST", "/v1/auth/api-key-token"): lambda w: Api().post(
        "/v1/auth/api-key-token", {"api_key": w.alice.raw_key}
    ),
    ("POST", "/v1/auth/agent-token"): lambda w: Api().post(
        "/v1/auth/agent-token", {"api_key": w.agent_key}
    ),
    ("PATCH", "/v1/auth/me"): lambda w: w.api.request(
        "PATCH", "/v1/auth/me", {"display_name": "A."}
    ),
    ("POST", "/v1/auth/change-password"): lambda w: w.api.post(
        "/v1/auth/change-password",
        {"current_password": PASSWORD, "new_password": PASSWORD + " again"},
    ),
    ("POST", "/v1/auth/api-keys"): lambda w: w.api.post("/v1/auth/api-keys", {"name": "ci"}),
    ("DELETE", "/v1/auth/api-keys/<item_id>"): lambda w: w.api.delete(
        f"/v1/auth/api-keys/{w.spare_key.pk}"
    ),
    ("POST", "/v1/agents"): lambda w: w.api.post("/v1/agents", {"name": "another"}),
    ("PATCH", "/v1/agents/<item_id>"): lambda w: w.api.request(
        "PATCH", f"/v1/agents/{w.agent_id}", {"name": "renamed"}
    ),
    ("DELETE", "/v1/agents/<item_id>"): lambda w: w.api.delete(f"/v1/agents/{w.agent_id}"),
    ("POST", "/v1/agents/<item_id>/rotate-key"): lambda w: w.api.post(
        f"/v1/agents/{w.agent_id}/rotate-key"
    ),
    ("POST", "/v1/agents/<agent_id>/identities"): lambda w: w.api.post(
        f"/v1/agents/{w.agent_id}/identities", _identity()
    ),
    ("DELETE", "/v1/agents/<agent_id>/identities/<item_id>"): lambda w: w.api.delete(
        f"/v1/agents/{w.agent_id}/identities/{w.identity_id}"
    ),
    ("POST", "/v1/vaults"): lambda w: w.api.post("/v1/vaults", {"name": "another"}),
    ("DELETE", _V): lambda w: w.api.delete(w.at("")),
    ("POST", _V + "/policies"): lambda w: w.api.post(w.at("/policies"), _policy(w)),
    ("PUT", _V + "/policies/<item_id>"): lambda w: w.api.put(
        w.at(f"/policies/{w.policy.pk}"), {"permissions": ["read", "write"]}
    ),
    ("DELETE", _V + "/policies/<item_id>"): lambda w: w.api.delete(
        w.at(f"/policies/{w.policy.pk}")
    ),
    ("GET", _V + "/access"): lambda w: w.api.get(w.at("/access?path=a&permission=read")),
    ("GET", r"/v1/vaults/(?P<vault_id>[^/]+)/secrets\Z"): lambda w: w.api.get(w.at("/secrets")),
    ("GET", _SECRET.format("secrets")): lambda w: w.api.get(w.at("/secrets/a")),
    ("HEAD", _SECRET.format("secrets")): lambda w: w.api.request("HEAD", w.at("/secrets/a")),
    ("PUT", _SECRET.format("secrets")): lambda w: w.api.put(w.at("/secrets/a"), body("new")),
    ("DELETE", _SECRET.format("secrets")): lambda w: w.api.delete(w.at("/secrets/a")),
    ("POST", _V + "/secrets:batchRead"): lambda w: w.api.post(
        w.at("/secrets:batchRead"), {"paths": ["a"]}
    ),
    ("POST", _V + "/secrets:batchWrite"): lambda w: w.api.post(
        w.at("/secrets:batchWrite"), {"secrets": [{"path": "b"} | body()]}
    ),
    ("POST", _SECRET.format("secret-rotate")): lambda w: w.api.post(w.at("/secret-rotate/a"), {}),
    ("POST", _SECRET.format("secret-undelete")): lambda w: w.api.post(
        w.at("/secret-undelete/gone")
    ),
    ("GET", _SECRET.format("secret-versions")): lambda w: w.api.get(w.at("/secret-versions/a")),
    ("GET", _VERSION.format("secret-version")): lambda w: w.api.get(w.at("/secret-version/a/1")),
    ("HEAD", _VERSION.format("secret-version")): lambda w: w.api.request(
        "HEAD", w.at("/secret-version/a/1")
    ),
    ("POST", _VERSION.format("secret-version-disable")): lambda w: w.api.post(
        w.at("/secret-version-disable/a/1")
    ),
    ("POST", _VERSION.format("secret-version-enable")): lambda w: w.api.post(
        w.at("/secret-version-enable/a/1")
    ),
    ("GET", _SECRET.format("secret-settings")): lambda w: w.api.get(w.at("/secret-settings/a")),
    ("PUT", _SECRET.format("secret-settings")): lambda w: w.api.put(
        w.at("/secret-settings/a"), {"custom_metadata": {"team": "data"}}
    ),
}

# Nobody has signed in yet.
ANONYMOUS_ROUTES = {("POST", "/v1/auth/device/code")}
# They change nothing and show no secret: what the service is and how it is, and lists of vaults,
# policies, agents and keys to those whom they belong to. Of looking at the log, see ADR 22.
SILENT_ROUTES = {
    ("GET", "/v1/openapi.json"),
    ("GET", "/v1/health"),
    ("GET", "/v1/health/hsm"),
    ("GET", "/v1/auth/jwt-public-key"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/v1/auth/me"),
    ("GET", "/v1/auth/mfa/status"),
    ("GET", "/v1/auth/passkeys"),
    # A challenge, which is kept nowhere.
    ("POST", "/v1/auth/passkeys/register/begin"),
    ("POST", "/v1/auth/passkeys/assert/begin"),
    ("GET", "/v1/auth/api-keys"),
    ("GET", "/v1/auth/sessions"),
    ("POST", "/v1/auth/device/details"),
    ("GET", "/v1/agents"),
    ("GET", "/v1/agents/me"),
    ("GET", "/v1/agents/<item_id>"),
    ("GET", "/v1/agents/<agent_id>/identities"),
    ("GET", "/v1/agents/<agent_id>/identities/<item_id>"),
    ("GET", "/v1/vaults"),
    ("GET", _V),
    ("GET", _V + "/policies"),
    ("GET", "/v1/audit/events"),
    ("GET", "/v1/audit/events/<item_id>/proof"),
    ("GET", "/v1/audit/verify"),
}


def run(*arguments: object) -> str:
    out = StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


def _delete_long_ago(world: World) -> None:
    from datetime import timedelta

    from secrets_app.models import Secret

    long_ago = timezone.now() - timedelta(days=400)
    Secret.objects.filter(deleted_at__isnull=False).update(deleted_at=long_ago)


def _export(world: World) -> None:
    seal_events()
    export_events(
        selection=Selection(), write=lambda _: None, flush=lambda: None, actor=_operator()
    )


def _operator() -> Any:
    from secrets_app.services.audit import OPERATOR

    return OPERATOR


def _second_factor(world: World) -> None:
    from allauth.mfa.models import Authenticator

    from vaultsite.accounts.factors import new_secret

    data = {"secret": new_secret()}
    Authenticator.objects.create(user=world.alice.user, type="totp", data=data)


def _superuser(world: World) -> None:
    world.alice.user.is_superuser = True
    world.alice.user.save()


def _account_at_a_provider(world: World) -> None:
    from allauth.socialaccount.models import SocialAccount

    SocialAccount.objects.create(user=world.alice.user, provider=_ISSUER, uid="1")


def web_session(world: World) -> Any:
    from allauth.usersessions.models import UserSession

    made = {"user": world.alice.user, "ip": "192.0.2.7", "user_agent": "Firefox"}
    return UserSession.objects.get_or_create(session_key="k" * 32, defaults=made)[0]


def _jwt_file(world: World) -> None:
    from django.conf import settings

    from secrets_app.crypto.signing import generate_signing_key_pem

    file = world.folder / "jwt.pem"
    file.write_bytes(generate_signing_key_pem())
    file.chmod(0o600)
    settings.SECRETS_APP = settings.SECRETS_APP | {"JWT_KEY_FILE": str(file)}


@dataclass
class Command:
    """`before` makes what the command needs, and may leave events itself."""

    use: Callable[[World], Any]
    before: Callable[[World], Any] = lambda _: None


COMMANDS: dict[str, Command] = {
    "backup": Command(lambda w: run("backup", w.folder / "backup")),
    "break_glass": Command(lambda w: run("break_glass", "alice@example.com"), _superuser),
    "create_agent": Command(lambda w: run("create_agent", "alice@example.com", "bot")),
    "create_api_key": Command(lambda w: run("create_api_key", "alice@example.com")),
    "create_root_key": Command(lambda w: run("create_root_key", f"file:{w.folder}/root.key")),
    "create_user": Command(lambda w: run("create_user", "new@example.com")),
    "deactivate_user": Command(lambda w: run("deactivate_user", "bob@example.com")),
    "doctor": Command(lambda w: run("doctor")),
    "export_audit": Command(
        lambda w: run("export_audit", "--output", w.folder / "out"), lambda w: seal_events()
    ),
    "group": Command(lambda w: run("group", "team", "--add", "alice@example.com")),
    "hand_over_agents": Command(
        lambda w: run("hand_over_agents", "alice@example.com", "bob@example.com")
    ),
    "identity": Command(
        lambda w: run("identity", "alice@example.com", "--remove", _ISSUER, "1"),
        _account_at_a_provider,
    ),
    "import_secrets": Command(
        lambda w: run(
            "import_secrets", w.folder / "env", "--from", "dotenv", "--vault", w.vault.pk
        ),
        lambda w: (w.folder / "env").write_text("IMPORTED=1\n"),
    ),
    "invite": Command(lambda w: run("invite", "new@example.com")),
    "keys": Command(lambda w: run("keys")),
    "prune_audit": Command(lambda w: run("prune_audit", "--before", "9999-01-01"), _export),
    "purge_secrets": Command(lambda w: run("purge_secrets"), _delete_long_ago),
    "remove_second_factor": Command(
        lambda w: run("remove_second_factor", "alice@example.com"), _second_factor
    ),
    "revoke_api_key": Command(lambda w: run("revoke_api_key", w.spare_key.pk)),
    "rotate_jwt_key": Command(lambda w: run("rotate_jwt_key"), _jwt_file),
    "rotate_kek": Command(lambda w: run("rotate_kek", w.vault.pk)),
    "rotate_root": Command(lambda w: run("rotate_root", "--all")),
    "verify_audit": Command(lambda w: run("verify_audit")),
    "verify_vault": Command(lambda w: run("verify_vault")),
    "whocan": Command(lambda w: run("whocan", "world", "a", "read")),
}


def _in_admin(action: str, row: Callable[[World], Any], **more: str) -> Callable[[World], Any]:
    """What somebody who is signed in to the admin does: choose a row and an action, and confirm."""

    def use(world: World) -> Any:
        chosen = row(world)
        url = reverse(f"admin:{chosen._meta.app_label}_{chosen._meta.model_name}_changelist")
        sent = {"action": action, ACTION_CHECKBOX_NAME: [str(chosen.pk)], "confirmed": "yes"} | more
        return world.operator.post(url, sent)

    return use


# By the name of the model and the action.
ADMIN_ACTIONS: dict[tuple[str, str], Callable[[World], Any]] = {
    ("agent", "deactivate"): _in_admin("deactivate", lambda w: Agent.objects.get(pk=w.agent_id)),
    ("agent", "hand_over"): _in_admin(
        "hand_over", lambda w: Agent.objects.get(pk=w.agent_id), to="bob@example.com"
    ),
    ("apikey", "revoke"): _in_admin("revoke", lambda w: w.spare_key),
    ("principal", "end_tokens"): _in_admin(
        "end_tokens", lambda w: Principal.objects.get(pk=w.alice.principal.pk)
    ),
    ("signinsession", "end"): _in_admin("end", lambda w: session_of_alice()),
    ("secretversion", "disable"): _in_admin(
        "disable", lambda w: SecretVersion.objects.get(secret__path="a")
    ),
    ("usersession", "end"): _in_admin("end", web_session),
    ("vault", "rotate"): _in_admin("rotate", lambda w: w.vault),
}

# A seal is its own record. `quickstart` makes its account by the services that leave events.
SILENT_COMMANDS = {"seal_audit", "quickstart"}


def events() -> int:
    return AuditEvent.objects.count()


def stored() -> str:
    """Everything in the database but the log itself and the counts of wrong passwords and codes."""
    from django.apps import apps

    rows = {}
    for label in ("secrets_app", "accounts", "auth", "mfa", "usersessions"):
        for model in apps.get_app_config(label).get_models():
            if model is not AuditEvent and model.__name__ not in ("SignInStep", "CodeCheck"):
                found = model._base_manager.order_by("pk").values_list()
                rows[model.__name__] = [[_shown(each) for each in row] for row in found]
    return json.dumps(rows, indent=0)


def _shown(value: Any) -> str:
    return bytes(value).hex() if isinstance(value, memoryview) else repr(value)
