"""The way of a browser through a sign-in by a provider, with Django's test client."""

import html
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.test import Client

from tests.oidc.scripted import Scripted, signed


@dataclass
class Begun:
    client: Client
    answer: Any
    url: str
    provider_id: str

    @property
    def asked(self) -> dict[str, str]:
        """What the provider is asked."""
        return {name: each[0] for name, each in parse_qs(urlsplit(self.url).query).items()}

    @property
    def state(self) -> str:
        return self.asked["state"]

    @property
    def nonce(self) -> str:
        return self.asked["nonce"]

    def come_back(self, client: Client | None = None, **answer: Any) -> Any:
        """Follow the provider's redirect."""
        path = f"/accounts/oidc/{self.provider_id}/callback/"
        return (client or self.client).get(path, {"state": self.state} | answer)


def moves_to(answer: Any) -> str:
    """Where a page of ours moves on to."""
    assert answer.status_code == 200, answer.content.decode()
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', answer.content.decode())
    assert found, answer.content.decode()
    return html.unescape(found[1])


def begin(client: Client | None = None, provider_id: str = "corp", **form: str) -> Begun:
    client = client or Client(raise_request_exception=False)
    answer = client.post(f"/accounts/oidc/{provider_id}/start/", form)
    return Begun(client, answer, moves_to(answer), provider_id)


def sign_in(
    provider: Scripted,
    client: Client | None = None,
    provider_id: str = "corp",
    *,
    token: Any = signed,
    form: dict[str, str] | None = None,
    **claims: Any,
) -> tuple[Begun, Any]:
    """Sign in with these claims, signed by `token`. Returns how it began, and the last answer."""
    begun = begin(client, provider_id, **(form or {}))
    raw = token(provider.claims(begun.nonce, **claims))
    provider.codes["a-code"] = (raw, begun.asked["code_challenge"])
    return begun, begun.come_back(code="a-code")
