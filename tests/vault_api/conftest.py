"""Clients of the Vault door: `door(person)(method, path, body)`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from secrets_app.models import Agent, Vault
from tests.cast import Api, Person, allow

MERGE_PATCH = "application/merge-patch+json"


@dataclass
class Door:
    """A person's or agent's way through the Vault door, with `X-Vault-Token`."""

    token: str | None
    api: Api = field(default_factory=Api)

    def __call__(self, method: str, path: str, body: Any = None, **extra: Any) -> Any:
        kind = MERGE_PATCH if method == "PATCH" else "application/json"
        headers = {"X-Vault-Request": "true"} | extra.pop("headers", {})
        if self.token is not None:
            headers = {"X-Vault-Token": self.token} | headers
        extra.setdefault("content_type", kind)
        return self.api.request(method, f"/vault/v1/{path}", body, headers=headers, **extra)

    def put(self, path: str, data: Any, **options: Any) -> Any:
        """Write data at `<mount>/<path>`."""
        mount, _, rest = path.partition("/")
        return self("PUT", f"{mount}/data/{rest}", {"data": data, "options": options})

    def data(self, path: str, query: str = "") -> Any:
        """The data at `<mount>/<path>`, or the status."""
        mount, _, rest = path.partition("/")
        answer = self("GET", f"{mount}/data/{rest}{query}")
        return answer.json()["data"]["data"] if answer.status_code == 200 else answer.status_code


@pytest.fixture
def door() -> Callable[[Person | None], Door]:
    return lambda who: Door(who.token if who is not None else None)


@pytest.fixture
def agent(robot: Person, vault: Vault) -> Person:
    """Robot, owned by Alice, who reads and writes in her vault."""
    Agent.objects.filter(pk=robot.principal.pk).update(owner=vault.owner)
    allow(robot, vault, "**", "read", "write")
    return robot


@pytest.fixture
def signed_in(agent: Person) -> Door:
    """The agent with a token it signed in for, as clients have one."""
    from tests.vault_api.exchanges import sign_in

    return Door(sign_in(agent))
