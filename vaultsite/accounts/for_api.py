"""Answer what the API asks about people's second factors and passkeys (`SECOND_FACTORS`).

The rows and the checks are those of the pages: a factor that is set up here is asked for there.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject

from secrets_app.errors import Conflict, NotFound
from secrets_app.services.caller import Actor
from secrets_app.services.identity import open_factor
from secrets_app.services.identity.factors import NewApp, Passkey, PasskeyRefused
from vaultsite.accounts import factors, passkeys, second_factor
from vaultsite.accounts.mfa_adapter import MFAAdapter
from vaultsite.accounts.models import User
from vaultsite.accounts.second_factor import PASSKEY, TOTP

# COSE (RFC 9053, RFC 8812): EdDSA, ES256, RS256. What else an authenticator offers is not taken.
ALGORITHMS = (-8, -7, -257)
# Of WebAuthn Level 3, 8. The statement itself is not looked at: any authenticator will do.
_FORMATS = {"none", "packed", "fido-u2f", "tpm", "apple", "android-key", "android-safetynet"}
_LIFE_MS = 300_000
_REQUIRED = "required"
# Rows have numbers, and the API's ids are UUIDs: each is made of the credential's own id.
_IDS = UUID("6f1f3c52-9d2e-5a39-8c55-0c7f2b0d5a11")


class Factors:
    """Implements `secrets_app.services.identity.factors.SecondFactors`."""

    def is_asked(self, user: User) -> bool:
        return second_factor.has_second_factor(user)

    def is_required(self, user: User) -> bool:
        return second_factor.is_required(user)

    def has_app(self, user: User) -> bool:
        return second_factor.is_set_up(user, (TOTP,))

    def check_code(self, *, user: User, code: str, request: HttpRequest) -> str | None:
        return second_factor.check_code(user=user, code=code, request=request)

    def draw_app(self, *, user: User, request: HttpRequest) -> NewApp:
        _require_switched_on()
        sealed = factors.new_secret()
        secret = open_factor(sealed)
        return NewApp(secret, MFAAdapter().build_totp_url(user, secret), sealed)

    def add_app(
        self, *, user: User, sealed: str, code: str, actor: Actor, session_id: UUID
    ) -> Sequence[str] | None:
        if not factors.add_totp(
            user=user, sealed=sealed, code=code, actor=actor, keep_session=session_id
        ):
            return None
        codes = factors.show_recovery_codes(user)
        if codes is None:  # there were some, of a passkey; who has both gets new ones
            factors.renew_recovery_codes(user=user, actor=actor)
            codes = factors.show_recovery_codes(user)
        return codes or ()

    def remove_app(self, *, user: User, actor: Actor) -> None:
        row = Authenticator.objects.filter(user=user, type=TOTP).first()
        if row is None:
            raise Conflict("There is no authenticator app to remove.")
        factors.remove_factor(user=user, factor_id=row.pk, actor=actor)

    def passkeys(self, *, user: User) -> list[Passkey]:
        return [_shown(row) for row in _rows(user)]

    def registration_options(
        self, *, user: User, challenge: bytes, request: HttpRequest
    ) -> dict[str, Any]:
        _require_switched_on()
        return {
            "challenge": websafe_encode(challenge),
            "rp_id": passkeys.rp_id(request),
            "rp_name": passkeys.RP_NAME,
            "user_id": websafe_encode(passkeys.handle_of(user)),
            "user_name": user.email,
            "user_display_name": user.display_name or user.email,
            "attestation": "none",
            "authenticator_selection": {
                "resident_key": _REQUIRED,
                "require_resident_key": True,
                "user_verification": _REQUIRED,
            },
            "algorithms": list(ALGORITHMS),
            "exclude_credentials": [_shown(row).credential_id for row in _rows(user)],
            "timeout": _LIFE_MS,
        }

    def assertion_options(self, *, challenge: bytes, request: HttpRequest) -> dict[str, Any]:
        return {
            "challenge": websafe_encode(challenge),
            "rp_id": passkeys.rp_id(request),
            "timeout": _LIFE_MS,
            "user_verification": _REQUIRED,
            # None is named, so that nobody learns who has which.
            "allow_credentials": [],
        }

    def challenge_in(self, client_data: str) -> bytes:
        try:
            return passkeys.challenge_in(client_data)
        except passkeys.Refused as refusal:
            raise PasskeyRefused(refusal.reason) from None

    def add_passkey(
        self,
        *,
        user: User,
        name: str,
        challenge: bytes,
        response: dict[str, Any],
        request: HttpRequest,
        actor: Actor,
        session_id: UUID,
    ) -> tuple[Passkey, Sequence[str]]:
        credential = {
            "id": response["credential_id"],
            "rawId": response["credential_id"],
            "type": "public-key",
            "response": {
                "clientDataJSON": response["client_data_json"],
                "attestationObject": _bare(response["attestation_object"]),
            },
        }
        try:
            data = passkeys.complete_registration(
                user=user,
                state=_state(challenge),
                credential=credential,
                name=name,
                request=request,
            )
        except passkeys.Refused as refusal:
            if refusal.reason == "too_many":
                raise Conflict("There are too many passkeys. Remove one first.") from None
            raise PasskeyRefused(refusal.reason) from None
        # It was asked to be one that signs in without an address, and the pages say so.
        data["credential"]["clientExtensionResults"] = {"credProps": {"rk": True}}
        row = factors.add_passkey(user=user, data=data, actor=actor, keep_session=session_id)
        return _shown(row), factors.show_recovery_codes(user) or ()

    def check_passkey(
        self, *, challenge: bytes, response: dict[str, Any], request: HttpRequest
    ) -> User:
        try:
            credential_id = websafe_encode(websafe_decode(response["credential_id"]))
        except ValueError:
            raise PasskeyRefused("unknown_passkey") from None
        rows = Authenticator.objects.filter(type=PASSKEY, data__credential__id=credential_id)
        row = rows.select_related("user").first()
        if row is None:
            raise PasskeyRefused("unknown_passkey")
        user: User = row.user
        given = {"authenticatorData": response["authenticator_data"]}
        given |= {
            "clientDataJSON": response["client_data_json"],
            "signature": response["signature"],
        }
        handle = response.get("user_handle")
        if handle is not None and handle != websafe_encode(passkeys.handle_of(user)):
            raise PasskeyRefused("other_person", user)
        credential = {
            "id": credential_id,
            "rawId": credential_id,
            "type": "public-key",
            "response": given,
        }
        try:
            used = passkeys.complete_assertion(
                user=user, state=_state(challenge), credential=credential, request=request
            )
        except passkeys.Refused as refusal:
            raise PasskeyRefused(refusal.reason, user) from None
        used.record_usage()
        return user

    def remove_passkey(self, *, user: User, passkey_id: UUID, actor: Actor) -> None:
        for row in _rows(user):
            if _shown(row).id == passkey_id:
                factors.remove_factor(user=user, factor_id=row.pk, actor=actor)
                return
        raise NotFound("There is no such passkey.")


def _require_switched_on() -> None:
    if settings.SECOND_FACTOR == "off":
        raise Conflict("Second factors are switched off here (SECOND_FACTOR).")


def _rows(user: User) -> Any:
    return Authenticator.objects.filter(user=user, type=PASSKEY).order_by("pk")


def _shown(row: Authenticator) -> Passkey:
    credential_id = row.data["credential"]["id"]
    return Passkey(
        id=uuid5(_IDS, credential_id),
        credential_id=credential_id,
        name=row.data["name"],
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )


def _state(challenge: bytes) -> dict[str, Any]:
    """Return what `passkeys.begin_*` would have kept. The caller has judged how old the challenge is."""
    return {
        "challenge": websafe_encode(challenge),
        "user_verification": _REQUIRED,
        "at": timezone.now().timestamp(),
    }


def _bare(attestation_object: str) -> str:
    """Return it without its statement, which is of no use here. Raises PasskeyRefused."""
    try:
        given = AttestationObject(websafe_decode(attestation_object))
        public = given.auth_data.credential_data
        is_taken = (
            given.fmt in _FORMATS and public is not None and public.public_key[3] in ALGORITHMS
        )
    except Exception:  # the parser raises whatever hostile bytes make it raise
        raise PasskeyRefused("bad_passkey") from None
    if not is_taken:
        raise PasskeyRefused("bad_passkey")
    return websafe_encode(AttestationObject.create("none", given.auth_data, {}))
