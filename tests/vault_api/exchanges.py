"""Requests of a client that cannot run here, and what it needs of the answers."""

from dataclasses import dataclass, field
from typing import Any

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


def sign_in(agent, method="PUT", headers=None, needs=None):
    """As every one of them does it. Tokens are not renewable, so that none of them tries to."""
    login = {"role_id": str(agent.principal.pk), "secret_id": agent.raw_key}
    asked = {"auth.client_token": ANY, "auth.lease_duration": 3600, "auth.renewable": False}
    exchange = Exchange(
        method, "auth/approle/login", login, needs=asked | (needs or {}), headers=headers or {}
    )
    answer = replay(Door(None), [exchange])
    return answer.json()["auth"]["client_token"]
