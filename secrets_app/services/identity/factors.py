"""Say what the app asks a project about second factors and passkeys; `SECOND_FACTORS` names who answers.

The app keeps the steps, the sessions and the events. A project keeps the factors, with its accounts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, Protocol
from uuid import UUID

from django.http import HttpRequest
from django.utils.module_loading import import_string

from secrets_app.conf import app_settings
from secrets_app.errors import Conflict
from secrets_app.services.caller import Actor


@dataclass(frozen=True, slots=True)
class NewApp:
    """An authenticator app that is about to be set up. `sealed` is its secret as it is kept until then."""

    secret: str = field(repr=False)
    otpauth_uri: str = field(repr=False)
    sealed: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as its holder sees it. `credential_id` is base64url, as the authenticator gave it."""

    id: UUID
    credential_id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None


class PasskeyRefused(Exception):
    """`reason` is a code for the audit log. Callers are told nothing of it."""

    def __init__(self, reason: str, user: Any = None) -> None:
        self.reason = reason
        self.user = user
        super().__init__(reason)


class SecondFactors(Protocol):
    """A project's factors. Each raises OpenError and ProviderError where a secret cannot be opened."""

    def is_asked(self, user: Any) -> bool:
        """Tell whether this person has a second factor, and so is asked for it."""

    def is_required(self, user: Any) -> bool:
        """Tell whether this person must have a second factor."""

    def has_app(self, user: Any) -> bool:
        """Tell whether this person has an authenticator app."""

    def check_code(self, *, user: Any, code: str, request: HttpRequest) -> str | None:
        """Use up a code. Returns whose it was (`totp`, `recovery_codes`), None for a wrong one.

        To be called outside a transaction. Raises LockedOut.
        """

    def draw_app(self, *, user: Any, request: HttpRequest) -> NewApp:
        """Make a secret for an authenticator app, without keeping it."""

    def add_app(
        self, *, user: Any, sealed: str, code: str, actor: Actor, session_id: UUID
    ) -> Sequence[str] | None:
        """Keep the app if the code is one of its, and end the person's sessions without a second factor
        but for this one. Returns the recovery codes that are new, None for a wrong code.

        To be called in a transaction. Leaves the event. Raises Conflict when there is an app already.
        """

    def remove_app(self, *, user: Any, actor: Actor) -> None:
        """Remove a person's app, and with the last factor the recovery codes. Leaves the event.

        Raises Conflict for the last factor of a person who must have one, and where there is no app.
        """

    def passkeys(self, *, user: Any) -> list[Passkey]:
        """Return a person's passkeys, oldest first."""

    def registration_options(
        self, *, user: Any, challenge: bytes, request: HttpRequest
    ) -> dict[str, Any]:
        """Return what a browser needs to make a passkey (WebAuthn Level 3, 5.4)."""

    def assertion_options(self, *, challenge: bytes, request: HttpRequest) -> dict[str, Any]:
        """Return what a browser needs to sign in by a passkey (5.5)."""

    def challenge_in(self, client_data: str) -> bytes:
        """Return the challenge that a browser says it has answered. Raises PasskeyRefused."""

    def add_passkey(
        self,
        *,
        user: Any,
        name: str,
        challenge: bytes,
        response: dict[str, Any],
        request: HttpRequest,
        actor: Actor,
        session_id: UUID,
    ) -> tuple[Passkey, Sequence[str]]:
        """Keep a passkey if its response holds (7.1), with the user verified. As `add_app` for the rest.

        Raises PasskeyRefused, Conflict.
        """

    def check_passkey(
        self, *, challenge: bytes, response: dict[str, Any], request: HttpRequest
    ) -> Any:
        """Return whose passkey has signed the challenge, with the user verified (7.2).

        To be called in a transaction. Raises PasskeyRefused.
        """

    def remove_passkey(self, *, user: Any, passkey_id: UUID, actor: Actor) -> None:
        """Remove a passkey of this person. Leaves the event.

        Raises NotFound, and Conflict for the last factor of a person who must have one.
        """


class NoFactors:
    """What answers where `SECOND_FACTORS` names nothing: nobody has a second factor or a passkey."""

    def is_asked(self, user: Any) -> bool:
        return False

    is_required = has_app = is_asked

    def check_code(self, **_: Any) -> None:
        return None

    def passkeys(self, **_: Any) -> list[Passkey]:
        return []

    def challenge_in(self, client_data: str) -> bytes:
        raise PasskeyRefused("no_passkeys")

    def _refuse(self, **_: Any) -> NoReturn:
        raise Conflict("This deployment has no second factors.")

    draw_app = add_app = remove_app = registration_options = assertion_options = _refuse
    add_passkey = check_passkey = remove_passkey = _refuse


def second_factors() -> SecondFactors:
    """Return who answers. Raises ImportError when SECOND_FACTORS names nothing that is there."""
    path = app_settings.SECOND_FACTORS
    factors: SecondFactors = import_string(path)() if path else NoFactors()
    return factors
