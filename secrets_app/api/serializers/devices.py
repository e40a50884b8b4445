import re
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.fields import InstantField, StringField
from secrets_app.models.session import CLIENT_CHARS

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
_CLIENT_ID = r"[A-Za-z0-9](?:[A-Za-z0-9 ._:@/()+-]*[A-Za-z0-9.)])?"


@extend_schema_field(
    {
        "type": "string",
        "minLength": 1,
        "maxLength": CLIENT_CHARS,
        "pattern": f"^{_CLIENT_ID}$",
    }
)
class ClientIdField(StringField):
    """What a device calls itself. A person is shown it, so it has no characters that could be taken for
    others, or for markup."""

    default_error_messages = {
        "characters": "This is made of letters, digits, spaces and . _ : @ / ( ) + -, in ASCII."
    }

    def to_internal_value(self, data: Any) -> str:
        text = str(super().to_internal_value(data))
        if re.fullmatch(_CLIENT_ID, text) is None:
            self.fail("characters")
        return text


class DeviceCodeRequestSerializer(StrictSerializer):
    client_id = ClientIdField(max_length=CLIENT_CHARS)
    email = StringField(
        required=False,
        max_length=254,
        trim_whitespace=True,
        help_text="Only this person can approve. Whether there is one is not told.",
    )


class DeviceCodeSerializer(serializers.Serializer):  # type: ignore[type-arg]
    device_code = serializers.CharField()
    user_code = serializers.CharField(help_text="For a person to type, such as `WDJB-MJHT`.")
    verification_uri = serializers.URLField()
    verification_uri_complete = serializers.URLField(help_text="With the code filled in.")
    expires_in = serializers.IntegerField(help_text="Seconds.")
    interval = serializers.IntegerField(help_text="Seconds to wait between two requests.")


class DeviceTokenRequestSerializer(StrictSerializer):
    grant_type = StringField(max_length=64, help_text=f"`{GRANT_TYPE}`.")
    device_code = StringField(max_length=64)
    client_id = ClientIdField(required=False, max_length=CLIENT_CHARS)


class OAuthErrorSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """RFC 6749, 5.2, and RFC 8628, 3.5."""

    error = serializers.ChoiceField(
        choices=[
            "authorization_pending",
            "slow_down",
            "access_denied",
            "expired_token",
            "invalid_grant",
            "invalid_request",
            "unsupported_grant_type",
        ]
    )
    error_description = serializers.CharField()
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="With `invalid_request`: field → messages.",
    )


class UserCodeSerializer(StrictSerializer):
    user_code = StringField(max_length=32)


class DeviceSerializer(SparseSerializer):
    client_id = serializers.CharField(
        help_text="What the device calls itself; nobody vouches for it."
    )
    ip_address = serializers.SerializerMethodField(help_text="Where it asked from.")
    created_at = InstantField()
    expires_at = InstantField()

    def get_ip_address(self, request: Any) -> str | None:
        return request.address or None
