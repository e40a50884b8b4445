"""Sign in to pages as a browser does, with a password and a code."""

import re
from typing import Any

from django.test import Client

from tests.cast import PASSWORD
from tests.factors import code_of as code_of

LOGIN = "/accounts/login/"
SECOND_STEP = "/accounts/2fa/authenticate/"
FACTORS = "/accounts/2fa/"
APP = "/accounts/2fa/app/"
CODES = "/accounts/2fa/recovery-codes/"
AGAIN = "/accounts/2fa/reauthenticate/"


def browser(**environ: Any) -> Client:
    return Client(raise_request_exception=False, **environ)


def sign_in(
    email: str = "root@example.com",
    password: str = PASSWORD,
    code: str | None = None,
    client: Client | None = None,
    **sent: str,
) -> tuple[Client, Any]:
    """The client, and the last answer: that to the code where the password was right."""
    client = client or browser()
    answer = client.post(LOGIN, {"login": email, "password": password} | sent)
    if code is not None and answer.headers.get("Location") == SECOND_STEP:
        answer = client.post(SECOND_STEP, {"code": code})
    return client, answer


def shown_secret(client: Client) -> str:
    found = re.search(r"<code>([A-Z2-7]{32})</code>", client.get(APP).content.decode())
    assert found
    return found[1]


def shown_codes(client: Client) -> list[str]:
    return re.findall(r"<code>(\d{10})</code>", client.get(CODES).content.decode())


def set_up_app(client: Client) -> str:
    """Set up an authenticator app in the page. Returns its secret."""
    secret = shown_secret(client)
    answer = client.post(APP, {"code": code_of(secret)})
    assert answer.headers["Location"] == CODES, answer.content.decode()
    return secret
