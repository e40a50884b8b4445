"""What people have besides a password, over the API: an authenticator app, and passkeys."""

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from tests.authenticator import Authenticator
from tests.cast import PASSWORD, Api


def code_of(secret: str, *, steps: int = 0) -> str:
    """The code of now, or of so many steps later (RFC 6238, RFC 4226 5.3)."""
    counter = int(timezone.now().timestamp()) // 30 + steps
    key = base64.b32decode(secret)
    digest = hmac.digest(key, struct.pack(">Q", counter), hashlib.sha1)
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def wrong_code_of(secret: str) -> str:
    """A code that is none of now, whatever the clock does meanwhile."""
    near = {code_of(secret, steps=n) for n in range(-4, 5)}
    return next(f"{n:06}" for n in range(100_000, 1_000_000) if f"{n:06}" not in near)


def with_password(name: str = "alice", password: str = PASSWORD, **extra: Any) -> Any:
    sent = {"email": f"{name}@example.com", "password": password}
    return Api().post("/v1/auth/token", sent, **extra)


def signed_in(name: str = "alice") -> Api:
    """A person in a session that began with a password."""
    return Api(with_password(name).json()["access_token"])


def asked(name: str = "alice") -> str:
    """The token of a right password, for who has a second factor."""
    token: str = with_password(name).json()["mfa_token"]
    return token


def verify(mfa_token: str, code: str, **extra: Any) -> Any:
    return Api().post("/v1/auth/mfa/verify", {"mfa_token": mfa_token, "code": code}, **extra)


@dataclass
class App:
    """An authenticator app that is set up, and the recovery codes that came with it."""

    secret: str
    recovery_codes: list[str]
    api: Api

    def code(self, steps: int = 0) -> str:
        return code_of(self.secret, steps=steps)


def set_up(name: str = "alice") -> App:
    """Set an app up over the API. Its code of now is used up."""
    api = signed_in(name)
    secret = api.post("/v1/auth/mfa/setup").json()["secret"]
    answer = api.post("/v1/auth/mfa/verify-setup", {"code": code_of(secret)})
    assert answer.status_code == 200, answer.content
    return App(secret, answer.json()["recovery_codes"], api)


def begin(api: Api) -> dict[str, Any]:
    answer = api.post("/v1/auth/passkeys/register/begin")
    assert answer.status_code == 200, answer.content
    options: dict[str, Any] = answer.json()
    return options


def complete(api: Api, response: dict[str, Any]) -> Any:
    return api.post("/v1/auth/passkeys/register/complete", response)


def register(api: Api, authenticator: Authenticator, **more: Any) -> Any:
    return complete(api, authenticator.register(begin(api)) | more)


def challenge() -> dict[str, Any]:
    options: dict[str, Any] = Api().post("/v1/auth/passkeys/assert/begin", {}).json()
    return options


def assert_with(response: dict[str, Any]) -> Any:
    return Api().post("/v1/auth/passkeys/assert/complete", response)


def sign_in_with(authenticator: Authenticator, **changes: Any) -> Any:
    return assert_with(authenticator.sign(challenge(), **changes))
