"""What the log says of one successful use of each route, command and action of the admin, word for word.

An event is a line: its action, what it is about, the vault (`in`), and its details. Of ids the line has the
name that `tests.every_action.World` gives them, `new` where there was none before.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from secrets_app.models import AuditEvent, Secret
from tests.every_action import _SECRET, _V, _VERSION, World

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ROOT_KEY = re.compile(r"local:[0-9a-f]{16}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+\+00:00")
_KID = re.compile(r"kid=[\w-]{43}")


def names_of(world: World) -> dict[str, str]:
    """Id → name. To be asked for before the use that the events tell of."""
    named = {
        world.alice.principal.pk: "alice",
        world.bob.principal.pk: "bob",
        world.vault.pk: "world",
        world.policy.pk: "policy",
        world.agent_id: "agent",
        world.spare_key.pk: "spare",
    }
    named |= {secret.pk: secret.path for secret in Secret.objects.filter(vault=world.vault)}
    return {str(each): name for each, name in named.items()}


def lines_of(events: Iterable[AuditEvent], names: dict[str, str]) -> list[str]:
    """The lines of events, in their order."""
    return [_line(event, names) for event in events]


def _line(event: AuditEvent, names: dict[str, str]) -> str:
    about = event.resource_type + (f" {event.resource_id}" if event.resource_id else "")
    where = f" in {event.vault_id}" if event.vault_id else ""
    details = [f" {name}={_shown(value)}" for name, value in sorted(event.details.items())]
    line = f"{event.action} {about}{where}{''.join(details)}"
    for each, name in names.items():
        line = line.replace(each, name)
    for pattern, name in ((_UUID, "new"), (_ROOT_KEY, "root"), (_KID, "kid=kid"), (_TIME, "then")):
        line = pattern.sub(name, line)
    return line


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(value) or "[]"
    return value if isinstance(value, str) else json.dumps(value)


def _denied(action: str, permission: str, path: str) -> str:
    about = f"{action} secret in world path={path} permission={permission}"
    return f"{about} policies=[] reason=no_policy_matches"


EVENTS_OF_ROUTES: dict[tuple[str, str], list[str]] = {
    ("POST", "/v1/auth/token"): [
        "auth.success principal alice method=password",
    ],
    ("DELETE", "/v1/auth/token"): [
        "auth.revoke token",
    ],
    ("POST", "/v1/auth/refresh"): [
        "auth.refresh session new",
    ],
    ("DELETE", "/v1/auth/sessions"): [
        "auth.revoke_all principal alice",
    ],
    ("DELETE", "/v1/auth/sessions/<item_id>"): [
        "auth.session_end session new reason=ended",
    ],
    ("POST", "/v1/auth/mfa/verify"): [
        "auth.success principal bob method=password_totp",
    ],
    ("POST", "/v1/auth/mfa/setup"): [
        "auth.second_factor_begin principal alice",
    ],
    ("POST", "/v1/auth/mfa/verify-setup"): [
        "auth.second_factor_add principal alice factor=totp",
    ],
    ("DELETE", "/v1/auth/mfa"): [
        "auth.second_factor_remove principal bob factor=totp",
    ],
    ("POST", "/v1/auth/passkeys/register/complete"): [
        "auth.second_factor_add principal alice factor=webauthn",
    ],
    ("POST", "/v1/auth/passkeys/assert/complete"): [
        "auth.success principal bob method=passkey",
    ],
    ("DELETE", "/v1/auth/passkeys/<item_id>"): [
        "auth.second_factor_remove principal bob factor=webauthn",
    ],
    ("POST", "/v1/auth/device/code"): [
        "auth.device_start device new",
    ],
    ("POST", "/v1/auth/device/token"): [
        "auth.success principal alice method=device",
    ],
    ("POST", "/v1/auth/device/approve"): [
        "auth.device_approve device new requested_from=127.0.0.1",
    ],
    ("POST", "/v1/auth/device/deny"): [
        "auth.device_deny device new requested_from=127.0.0.1",
    ],
    ("POST", "/v1/agents/<agent_id>/identities"): [
        "agent_identity.create agent_identity new agent_id=agent",
    ],
    ("DELETE", "/v1/agents/<agent_id>/identities/<item_id>"): [
        "agent_identity.delete agent_identity new agent_id=agent",
    ],
    ("POST", "/v1/auth/api-key-token"): [
        "auth.success principal alice method=api_key",
    ],
    ("POST", "/v1/auth/agent-token"): [
        "auth.success principal agent method=agent_key",
    ],
    ("PATCH", "/v1/auth/me"): [
        "auth.profile_update principal alice",
    ],
    ("POST", "/v1/auth/change-password"): [
        "auth.password_change principal alice",
    ],
    ("POST", "/v1/auth/api-keys"): [
        "key.create api_key new",
    ],
    ("DELETE", "/v1/auth/api-keys/<item_id>"): [
        "key.revoke api_key spare",
    ],
    ("POST", "/v1/agents"): [
        "key.create api_key new",
        "agent.register agent new",
    ],
    ("PATCH", "/v1/agents/<item_id>"): [
        "agent.update agent agent changed=name",
    ],
    ("DELETE", "/v1/agents/<item_id>"): [
        "agent.deactivate agent agent",
    ],
    ("POST", "/v1/agents/<item_id>/rotate-key"): [
        "key.create api_key new",
        "agent.rotate_key agent agent",
    ],
    ("POST", "/v1/vaults"): [
        "vault.create vault new in new",
    ],
    ("DELETE", _V): [
        "vault.delete vault world in world",
    ],
    ("POST", _V + "/policies"): [
        "policy.create policy new in world"
        " effect=allow pattern=x/** permissions=read principal=agent:agent",
    ],
    ("PUT", _V + "/policies/<item_id>"): [
        "policy.update policy policy in world"
        " effect=allow pattern=a permissions=read+write principal=user:bob",
    ],
    ("DELETE", _V + "/policies/<item_id>"): [
        "policy.delete policy policy in world effect=allow pattern=a permissions=read principal=user:bob",
    ],
    ("GET", _V + "/access"): [
        "access.explain principal alice in world path=a permission=read reason=owner",
    ],
    ("GET", r"/v1/vaults/(?P<vault_id>[^/]+)/secrets\Z"): [
        "secret.list vault world in world count=1 prefix=",
    ],
    ("GET", _SECRET.format("secrets")): [
        "secret.read secret a in world path=a version=1",
    ],
    ("HEAD", _SECRET.format("secrets")): [
        "secret.describe secret a in world path=a version=1",
    ],
    ("PUT", _SECRET.format("secrets")): [
        "secret.write secret a in world path=a type=password version=2",
    ],
    ("DELETE", _SECRET.format("secrets")): [
        "secret.delete secret a in world path=a",
    ],
    ("POST", _V + "/secrets:batchRead"): [
        "secret.read secret a in world path=a version=1",
    ],
    ("POST", _V + "/secrets:batchWrite"): [
        "secret.write secret new in world path=b type=password version=1",
    ],
    ("POST", _SECRET.format("secret-rotate")): [
        "secret.rotate secret a in world path=a type=password version=2",
    ],
    ("POST", _SECRET.format("secret-undelete")): [
        "secret.undelete secret gone in world path=gone",
    ],
    ("GET", _SECRET.format("secret-versions")): [
        "secret.versions secret a in world count=1 path=a",
    ],
    ("GET", _VERSION.format("secret-version")): [
        "secret.read secret a in world path=a version=1",
    ],
    ("HEAD", _VERSION.format("secret-version")): [
        "secret.describe secret a in world path=a version=1",
    ],
    ("POST", _VERSION.format("secret-version-disable")): [
        "secret.disable secret a in world path=a version=1",
    ],
    ("POST", _VERSION.format("secret-version-enable")): [
        "secret.enable secret a in world path=a version=1",
    ],
    ("GET", _SECRET.format("secret-settings")): [
        "secret.settings secret a in world path=a",
    ],
    ("PUT", _SECRET.format("secret-settings")): [
        "secret.configure secret a in world"
        " cas_required=false delete_version_after=0 max_versions=0 path=a",
    ],
}

# Of a stranger who tries the same.
EVENTS_OF_REFUSALS: dict[tuple[str, str], list[str]] = {
    ("DELETE", "/v1/auth/sessions/<item_id>"): [
        "auth.session_end session new reason=not_the_owner",
    ],
    ("DELETE", "/v1/auth/passkeys/<item_id>"): [
        "auth.second_factor_remove principal new reason=not_a_session",
    ],
    ("DELETE", "/v1/agents/<agent_id>/identities/<item_id>"): [
        "agent_identity.delete agent_identity new reason=not_the_owner",
    ],
    ("DELETE", "/v1/auth/api-keys/<item_id>"): [
        "key.revoke api_key spare reason=not_the_owner",
    ],
    ("PATCH", "/v1/agents/<item_id>"): [
        "agent.update agent agent reason=not_the_owner",
    ],
    ("DELETE", "/v1/agents/<item_id>"): [
        "agent.deactivate agent agent reason=not_the_owner",
    ],
    ("POST", "/v1/agents/<item_id>/rotate-key"): [
        "agent.rotate_key agent agent reason=not_the_owner",
    ],
    ("DELETE", _V): [
        "vault.delete vault world in world reason=not_the_owner",
    ],
    ("POST", _V + "/policies"): [
        "policy.create vault world in world reason=not_the_owner",
    ],
    ("PUT", _V + "/policies/<item_id>"): [
        "policy.update vault world in world reason=not_the_owner",
    ],
    ("DELETE", _V + "/policies/<item_id>"): [
        "policy.delete vault world in world reason=not_the_owner",
    ],
    ("GET", r"/v1/vaults/(?P<vault_id>[^/]+)/secrets\Z"): [
        "vault.read vault world in world reason=not_a_member",
    ],
    ("GET", _SECRET.format("secrets")): [
        _denied("secret.read", "read", "a"),
    ],
    ("HEAD", _SECRET.format("secrets")): [
        _denied("secret.read", "read", "a"),
    ],
    ("PUT", _SECRET.format("secrets")): [
        _denied("secret.write", "write", "a"),
    ],
    ("DELETE", _SECRET.format("secrets")): [
        _denied("secret.delete", "delete", "a"),
    ],
    ("POST", _V + "/secrets:batchRead"): [
        "vault.read vault world in world reason=not_a_member",
    ],
    ("POST", _V + "/secrets:batchWrite"): [
        "vault.read vault world in world reason=not_a_member",
    ],
    ("POST", _SECRET.format("secret-rotate")): [
        _denied("secret.rotate", "rotate", "a"),
    ],
    ("POST", _SECRET.format("secret-undelete")): [
        _denied("secret.write", "write", "gone"),
    ],
    ("GET", _SECRET.format("secret-versions")): [
        _denied("secret.read", "read", "a"),
    ],
    ("GET", _VERSION.format("secret-version")): [
        _denied("secret.read", "read", "a"),
    ],
    ("HEAD", _VERSION.format("secret-version")): [
        _denied("secret.read", "read", "a"),
    ],
    ("POST", _VERSION.format("secret-version-disable")): [
        _denied("secret.write", "write", "a"),
    ],
    ("POST", _VERSION.format("secret-version-enable")): [
        _denied("secret.write", "write", "a"),
    ],
    ("GET", _SECRET.format("secret-settings")): [
        _denied("secret.read", "read", "a"),
    ],
    ("PUT", _SECRET.format("secret-settings")): [
        _denied("secret.write", "write", "a"),
    ],
}

EVENTS_OF_COMMANDS: dict[str, list[str]] = {
    "break_glass": [
        "auth.break_glass principal alice until=then",
    ],
    "deactivate_user": [
        "user.deactivate principal bob",
    ],
    "identity": [
        "auth.revoke_all principal alice",
        "auth.identity_remove principal alice",
    ],
    "invite": [
        "user.invite invitation new groups=[] staff=false",
    ],
    "backup": [
        "backup.create database",
    ],
    "create_agent": [
        "key.create api_key new",
        "agent.register agent new",
    ],
    "create_api_key": [
        "key.create api_key new",
    ],
    "create_root_key": [
        "key.create_root root_key kind=file",
    ],
    "create_user": [
        "user.create principal new",
    ],
    "doctor": [
        "doctor.run service",
    ],
    "export_audit": [
        "audit.export audit_log events=20 last_seal=1 seals=1",
    ],
    "group": [
        "group.create group group=team",
        "group.add principal alice group=team",
    ],
    "hand_over_agents": [
        "agent.hand_over agent agent from=alice to=bob",
    ],
    "import_secrets": [
        "secret.write secret new in world for=alice path=IMPORTED type=password version=1",
        "secret.import vault world in world created=1 for=alice skipped=0 updated=0",
    ],
    "keys": [
        "key.list key",
    ],
    "prune_audit": [
        "audit.prune audit_log events=20 seal=1",
    ],
    "purge_secrets": [
        "secret.purge secret gone in world path=gone reason=retention",
    ],
    "remove_second_factor": [
        "auth.second_factor_remove principal alice factor=all",
        "auth.revoke_all principal alice",
    ],
    "revoke_api_key": [
        "key.revoke api_key spare",
    ],
    "rotate_jwt_key": [
        "key.rotate_signing signing_key kid=kid",
    ],
    "rotate_kek": [
        "key.rotate vault_key new in world root_key_id=root version=2",
        "key.rewrap vault_key new in world from=1 to=2 versions=2",
    ],
    "rotate_root": [
        "key.rewrap audit_key from=root number=1 to=root",
        "key.rewrap vault_key new in world from=root to=root version=1",
    ],
    "verify_audit": [
        "audit.verify audit_log checked=20 findings=0",
    ],
    "verify_vault": [
        "vault.verify vault findings=0",
    ],
    "whocan": [
        "access.whocan vault world in world path=a permission=read",
    ],
}

EVENTS_OF_ADMIN_ACTIONS: dict[tuple[str, str], list[str]] = {
    ("agent", "deactivate"): [
        "agent.deactivate agent agent",
    ],
    ("agent", "hand_over"): [
        "agent.hand_over agent agent from=alice to=bob",
    ],
    ("apikey", "revoke"): [
        "key.revoke api_key spare",
    ],
    ("principal", "end_tokens"): [
        "auth.revoke_all principal alice",
    ],
    ("secretversion", "disable"): [
        "secret.disable secret a in world path=a version=1",
    ],
    ("signinsession", "end"): [
        "auth.session_end session new reason=ended",
    ],
    ("usersession", "end"): [
        "auth.session_end principal alice",
    ],
    ("vault", "rotate"): [
        "key.rotate vault_key new in world root_key_id=root version=2",
        "key.rewrap vault_key new in world from=1 to=2 versions=2",
    ],
}
