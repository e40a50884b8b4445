"""The fixed cast: Alice owns the vault, Bob is on the team, Charlie has no access, Robot is an agent."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from secrets_app.models import Agent, ApiKey, Policy, Principal, Vault
from secrets_app.services.audit import OPERATOR, SUCCESS, Event, Resource, record_all
from secrets_app.services.identity.api_keys import create_api_key
from secrets_app.services.identity.principals import principal_for_user
from secrets_app.services.identity.tokens import issue_token
from secrets_app.services.secrets.vaults import create_vault
from vaultsite.accounts.models import User

PASSWORD = "correct horse battery staple"


@dataclass
class Api:
    """An HTTP client with a bearer credential; the tests' way through the public door."""

    bearer: str | None = None
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def request(self, method: str, path: str, body: Any = None, **extra: Any) -> Any:
        headers = extra.pop("headers", {})
        if self.bearer is not None:
            headers = {"Authorization": f"Bearer {self.bearer}"} | headers
        raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self.client.generic(
            method,
            path,
            b"" if body is None else raw,
            content_type=extra.pop("content_type", "application/json"),
            headers=headers,
            **extra,
        )

    def get(self, path: str, **extra: Any) -> Any:
        return self.request("GET", path, **extra)

    def put(self, path: str, body: Any = None, **extra: Any) -> Any:
        return self.request("PUT", path, body, **extra)

    def post(self, path: str, body: Any = None, **extra: Any) -> Any:
        return self.request("POST", path, body, **extra)

    def delete(self, path: str, **extra: Any) -> Any:
        return self.request("DELETE", path, **extra)


@dataclass
class Person:
    principal: Principal
    key: ApiKey
    raw_key: str
    user: User | None = None

    @property
    def token(self) -> str:
        return issue_token(principal=self.principal, api_key=self.key, lifetime_s=900).access_token

    @property
    def api(self) -> Api:
        return Api(self.token)


def person(name: str) -> Person:
    """A user with a principal and an API key."""
    user = User.objects.create_user(f"{name}@example.com", PASSWORD)
    principal = principal_for_user(user)
    key, raw = create_api_key(principal=principal, name="laptop", actor=OPERATOR)
    return Person(principal, key, raw, user)


def agent(name: str) -> Person:
    """An agent with a key."""
    principal = Principal.objects.create(kind="agent", name=name)
    owner = principal_for_user(User.objects.create_user(f"owner-of-{name}@example.com", PASSWORD))
    Agent.objects.create(principal=principal, owner=owner, token_ttl_seconds=3600)
    key, raw = create_api_key(principal=principal, name="agent", actor=OPERATOR)
    return Person(principal, key, raw)


def vault_of(owner: Person, name: str = "team") -> Vault:
    return create_vault(
        owner_id=owner.principal.id,
        owner_kind=owner.principal.kind,
        name=name,
        description="",
        actor=OPERATOR,
    )


def allow(who: Person, vault: Vault, pattern: str, *permissions: str, **fields: Any) -> Policy:
    return Policy.objects.create(
        vault=vault,
        principal=who.principal,
        pattern=pattern,
        permissions=list(permissions),
        created_by=vault.owner,
        **fields,
    )


def deny(who: Person, vault: Vault, pattern: str, *permissions: str, **fields: Any) -> Policy:
    return allow(who, vault, pattern, *permissions, effect="deny", **fields)


def secret_url(vault: Vault, path: str = "api-keys/openai") -> str:
    return f"/v1/vaults/{vault.id}/secrets/{path}"


def body(value: str = "s3cr3t", **fields: Any) -> dict[str, Any]:
    return {"type": "password", "value": value} | fields


def write_events(count: int) -> None:
    """Events of one transaction, by an operator."""
    events = [Event("test.write", SUCCESS, Resource("test"), {"n": n}) for n in range(count)]
    record_all(events, actor=OPERATOR)
