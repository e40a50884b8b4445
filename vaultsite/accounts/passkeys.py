"""Register and check passkeys (W3C Web Authentication, level 2) with python-fido2.

A challenge is answered once: what `begin_*` returns as state is kept by the caller, who takes it away
before `complete_*`. Only the host that the page came from counts as relying party, and only that very
origin; a browser offers passkeys over HTTPS and on localhost only.
"""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from fido2.server import Fido2Server
from fido2.utils import websafe_decode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from vaultsite.accounts.models import User
from vaultsite.accounts.second_factor import PASSKEY, locked

MOST_PASSKEYS = 20
RP_NAME = "Vaultsite"
_NAME_LENGTH = 64
_LIFETIME_S = 600
# What is read of an answer (WebAuthn Level 3, 5.1.8): all of it is text.
_MEMBERS = ("id", "rawId", "type")
_OF_RESPONSE = (
    "clientDataJSON",
    "attestationObject",
    "authenticatorData",
    "signature",
    "userHandle",
)


@dataclass
class Refused(Exception):
    """A passkey was not accepted. `reason` is a code for the event."""

    reason: str


def begin_registration(
    *, user: User, request: HttpRequest
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options for `navigator.credentials.create` as JSON, and the state to keep."""
    entity = PublicKeyCredentialUserEntity(
        id=handle_of(user), name=user.email, display_name=user.display_name or user.email
    )
    options, state = _server(request).register_begin(
        entity,
        credentials=[_public(row) for row in _rows(user)],
        # Where the device can, the passkey signs in without an address too.
        resident_key_requirement=ResidentKeyRequirement.PREFERRED,
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    return dict(options), _kept(state)


def complete_registration(
    *, user: User, state: Any, credential: Any, name: str, request: HttpRequest
) -> dict[str, Any]:
    """Return what `factors.add_passkey` stores. Raises Refused."""
    if _rows(user).count() >= MOST_PASSKEYS:
        raise Refused("too_many")
    server_state = _still_valid(state)
    try:
        parsed = RegistrationResponse.from_dict(_texts_of(credential))
        made = _server(request).register_complete(server_state, parsed)
        public = made.credential_data
        stored = {
            "id": dict(parsed)["id"],
            "rawId": dict(parsed)["rawId"],
            "type": "public-key",
            "response": {
                name: dict(parsed)["response"][name]
                for name in ("clientDataJSON", "attestationObject")
            },
            "clientExtensionResults": {},
        }
    except Exception:  # the parser raises whatever hostile bytes make it raise
        raise Refused("bad_passkey") from None
    if public is None or websafe_decode(stored["rawId"]) != public.credential_id:
        raise Refused("bad_passkey")
    shown = name.strip()[:_NAME_LENGTH] or "Passkey"
    return {"name": shown, "credential": stored, "sign_count": made.counter}


def begin_assertion(
    *, user: User | None, request: HttpRequest
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options for `navigator.credentials.get` as JSON, and the state to keep.

    Without a user any passkey will do that verifies its holder, by a PIN or the like.
    """
    known = None if user is None else [_public(row) for row in _rows(user)]
    needed = UserVerificationRequirement.PREFERRED
    options, state = _server(request).authenticate_begin(
        credentials=known,
        user_verification=UserVerificationRequirement.REQUIRED if user is None else needed,
    )
    return dict(options), _kept(state)


def complete_assertion(
    *, user: User | None, state: Any, credential: Any, request: HttpRequest
) -> Authenticator:
    """Return the row of the passkey that answered, of this user, or of whom it names.

    A counter that does not go up tells of a copy of the passkey (level 2, 6.1.1): it is refused. Raises
    Refused, with `bad_passkey` or `copied_passkey`.
    """
    server_state = _still_valid(state)
    if user is None and server_state["user_verification"] != UserVerificationRequirement.REQUIRED:
        raise Refused("bad_passkey")
    try:
        parsed = AuthenticationResponse.from_dict(_texts_of(credential))
        handle = parsed.response.user_handle
        holder = user.pk if user is not None else UUID(bytes=handle)
    except Exception:  # as above
        raise Refused("bad_passkey") from None
    with transaction.atomic():
        person = User.objects.filter(pk=holder).first()
        if person is None:
            raise Refused("bad_passkey")
        locked(person)
        rows = {_public(row).credential_id: row for row in _rows(person)}
        try:
            used = _server(request).authenticate_complete(
                server_state, [_public(row) for row in rows.values()], parsed
            )
        except Exception:  # as above
            raise Refused("bad_passkey") from None
        row = rows[used.credential_id]
        count, before = parsed.response.authenticator_data.counter, row.data.get("sign_count", 0)
        if (count or before) and count <= before:
            raise Refused("copied_passkey")
        row.data["sign_count"] = count
        row.save(update_fields=["data"])
    row.user = person
    return row


def challenge_in(client_data: str) -> bytes:
    """Return the challenge that a browser says it has answered. `client_data` is base64url.

    Raises Refused.
    """
    try:
        challenge = json.loads(websafe_decode(client_data))["challenge"]
        if isinstance(challenge, str):
            return websafe_decode(challenge)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise Refused("bad_challenge")


def handle_of(user: User) -> bytes:
    """Return what an authenticator keeps to name this person by."""
    handle: bytes = user.pk.bytes
    return handle


def rp_id(request: HttpRequest) -> str:
    """Return the relying party that passkeys belong to: the host that the request names."""
    host = request.get_host()  # of ALLOWED_HOSTS
    return host.rpartition(":")[0] if ":" in host else host


def _texts_of(credential: Any) -> dict[str, Any]:
    """Return what is read of an answer. Raises Refused where it is no text, TypeError, KeyError.

    python-fido2 takes a number for a count of bytes, and makes that many.
    """
    response = credential["response"]
    texts = {name: credential[name] for name in _MEMBERS}
    answers = {name: response[name] for name in _OF_RESPONSE if response.get(name) is not None}
    if not all(isinstance(each, str) for each in [*texts.values(), *answers.values()]):
        raise Refused("bad_passkey")
    challenge_in(answers["clientDataJSON"])
    return texts | {"response": answers}


def _server(request: HttpRequest) -> Fido2Server:
    origin = f"{request.scheme}://{request.get_host()}"
    entity = PublicKeyCredentialRpEntity(id=rp_id(request), name=RP_NAME)
    return Fido2Server(entity, verify_origin=lambda given: given == origin)


def _rows(user: User) -> Any:
    return Authenticator.objects.filter(user=user, type=PASSKEY).order_by("pk")


def _public(row: Authenticator) -> AttestedCredentialData:
    found: AttestedCredentialData | None = row.wrap().authenticator_data.credential_data
    assert found is not None  # noqa: S101  (checked when it was registered)
    return found


def _kept(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "at": timezone.now().timestamp()}


def _still_valid(state: Any) -> dict[str, Any]:
    if not isinstance(state, dict) or not isinstance(state.get("at"), int | float):
        raise Refused("no_challenge")
    if not 0 <= timezone.now().timestamp() - state["at"] <= _LIFETIME_S:
        raise Refused("no_challenge")
    return state
