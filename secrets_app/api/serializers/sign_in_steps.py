"""Second factors and passkeys: what is sent and answered (wire contract, E).

Passkeys have the names of the family's document, which spells WebAuthn's members with underscores. Bytes
are base64url without padding (RFC 4648, 5).
"""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from secrets_app.api.serializers.auth import SessionTokenSerializer
from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.fields import InstantField, NameField, StringField

# Room for spaces and hyphens in a recovery code.
_MAX_CODE = 32
_MAX_CREDENTIAL_ID = 1400  # WebAuthn Level 3, 5.8.2: at most 1023 bytes
_MAX_CLIENT_DATA = 8 * 1024
_MAX_ATTESTATION = 16 * 1024
_MAX_SIGNED = 4 * 1024


class CodeSerializer(StrictSerializer):
    code = StringField(max_length=_MAX_CODE)


class MfaVerifySerializer(CodeSerializer):
    mfa_token = StringField(max_length=128)


class MfaDisableSerializer(StrictSerializer):
    code = StringField(max_length=_MAX_CODE, required=False)
    password = StringField(max_length=1024, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError({"code": ["Send either a code or the password."]})
        return attrs


class MfaStatusSerializer(serializers.Serializer):  # type: ignore[type-arg]
    enabled = serializers.BooleanField()


class MfaSetupSerializer(serializers.Serializer):  # type: ignore[type-arg]
    otpauth_uri = serializers.CharField(help_text="What an authenticator app reads.")
    secret = serializers.CharField(help_text="Base32, for apps that take it typed.")


class RecoveryCodesSerializer(serializers.Serializer):  # type: ignore[type-arg]
    recovery_codes = serializers.ListField(
        child=serializers.CharField(), help_text="For one use each. Shown this once."
    )


class RegistrationOptionsSerializer(serializers.Serializer):  # type: ignore[type-arg]
    challenge = serializers.CharField()
    rp_id = serializers.CharField()
    rp_name = serializers.CharField()
    user_id = serializers.CharField()
    user_name = serializers.CharField()
    user_display_name = serializers.CharField()
    attestation = serializers.CharField()
    authenticator_selection = serializers.DictField()
    algorithms = serializers.ListField(
        child=serializers.IntegerField(), help_text="COSE algorithms, the preferred one first."
    )
    exclude_credentials = serializers.ListField(child=serializers.CharField())
    timeout = serializers.IntegerField(help_text="Milliseconds.")


class RegistrationSerializer(StrictSerializer):
    credential_id = StringField(max_length=_MAX_CREDENTIAL_ID)
    attestation_object = StringField(max_length=_MAX_ATTESTATION)
    client_data_json = StringField(max_length=_MAX_CLIENT_DATA)
    transports = serializers.ListField(
        child=StringField(max_length=32), required=False, max_length=8
    )
    name = NameField(required=False)


class NewPasskeySerializer(SparseSerializer):
    passkey_id = serializers.UUIDField(source="passkey.id")
    credential_id = serializers.CharField(source="passkey.credential_id")
    recovery_codes = serializers.SerializerMethodField(required=False)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_recovery_codes(self, new: Any) -> list[str] | None:
        return list(new.recovery_codes) or None


class AssertionBeginSerializer(StrictSerializer):
    email = StringField(
        max_length=254,
        required=False,
        help_text="Accepted and not looked at: passkeys are found without it.",
    )


class AssertionOptionsSerializer(serializers.Serializer):  # type: ignore[type-arg]
    challenge = serializers.CharField()
    rp_id = serializers.CharField()
    timeout = serializers.IntegerField(help_text="Milliseconds.")
    user_verification = serializers.CharField()
    allow_credentials = serializers.ListField(child=serializers.DictField())


class AssertionSerializer(StrictSerializer):
    credential_id = StringField(max_length=_MAX_CREDENTIAL_ID)
    authenticator_data = StringField(max_length=_MAX_SIGNED)
    client_data_json = StringField(max_length=_MAX_CLIENT_DATA)
    signature = StringField(max_length=_MAX_SIGNED)
    user_handle = StringField(max_length=128, required=False)


class PasskeySignInSerializer(SessionTokenSerializer):
    token = serializers.CharField(help_text="The same as `access_token`.")
    user = serializers.DictField()


class PasskeySerializer(SparseSerializer):
    id = serializers.UUIDField()
    credential_id = serializers.CharField()
    name = serializers.CharField()
    created_at = InstantField()
    last_used_at = InstantField(required=False)


class PasskeyListSerializer(serializers.Serializer):  # type: ignore[type-arg]
    passkeys = PasskeySerializer(many=True)
