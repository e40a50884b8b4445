from typing import Any

from django.utils import timezone
from rest_framework import serializers

from secrets_app.api.serializers.agents import IdField
from secrets_app.api.serializers.base import SparseSerializer, StrictSerializer
from secrets_app.api.serializers.fields import InstantField, NameField, StringField
from secrets_app.federation.assertion import MAX_CHARS as MAX_ASSERTION_CHARS
from secrets_app.models import ApiKey, Principal, SignInSession


class PasswordSignInSerializer(StrictSerializer):
    email = StringField(max_length=254, trim_whitespace=True)
    password = StringField(max_length=1024)


class ApiKeySignInSerializer(StrictSerializer):
    api_key = StringField(max_length=128)


class TokenSerializer(serializers.Serializer):  # type: ignore[type-arg]
    access_token = serializers.CharField()
    token_type = serializers.ChoiceField(choices=["Bearer"])
    expires_in = serializers.IntegerField(help_text="Seconds.")


class SessionTokenSerializer(TokenSerializer):
    refresh_token = serializers.CharField(help_text="For one use at `/v1/auth/refresh`.")


class CodeAskedSerializer(serializers.Serializer):  # type: ignore[type-arg]
    mfa_required = serializers.ChoiceField(choices=[True])
    mfa_token = serializers.CharField(help_text="For `/v1/auth/mfa/verify`, within five minutes.")


class RefreshSerializer(StrictSerializer):
    refresh_token = StringField(required=False, max_length=128)


class RefreshedTokenSerializer(TokenSerializer):
    refresh_token = serializers.CharField(
        required=False, help_text="The next one, where the request had one."
    )


class AgentSignInSerializer(StrictSerializer):
    """An agent's key, or a token of another issuer."""

    api_key = StringField(max_length=128, required=False)
    assertion = StringField(
        max_length=MAX_ASSERTION_CHARS,
        required=False,
        help_text="In place of `api_key`: a JWT that an identity of the agent accepts.",
    )
    agent_id = IdField(required=False, help_text="Required with `assertion`.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("api_key" in attrs) is ("assertion" in attrs):
            message = "Give `api_key` or `assertion`, and not both."
            raise serializers.ValidationError({"api_key": [message]})
        if "assertion" in attrs and "agent_id" not in attrs:
            message = "An `assertion` does not say for which agent it is."
            raise serializers.ValidationError({"agent_id": [message]})
        return attrs


class AgentTokenSerializer(TokenSerializer):
    agent_id = serializers.UUIDField()
    vault_ids = serializers.ListField(child=serializers.UUIDField())


class ApiKeyCreateSerializer(StrictSerializer):
    name = NameField()
    expires_at = InstantField(required=False)


class ApiKeySerializer(SparseSerializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    key_prefix = serializers.CharField(source="prefix")
    is_active = serializers.SerializerMethodField()
    created_at = InstantField()
    expires_at = InstantField(required=False)
    last_used_at = InstantField(required=False)
    parent_id = serializers.UUIDField(
        required=False, help_text="The key it was made with, and is revoked with."
    )

    def get_is_active(self, key: ApiKey) -> bool:
        expired = key.expires_at is not None and key.expires_at <= timezone.now()
        return key.revoked_at is None and not expired


class SessionSerializer(SparseSerializer):
    id = serializers.UUIDField()
    method = serializers.CharField(help_text="How the person signed in.")
    second_factor = serializers.BooleanField(help_text="Whether a second factor was passed.")
    client_id = serializers.SerializerMethodField(help_text="What a device calls itself.")
    ip_address = serializers.SerializerMethodField()
    created_at = InstantField()
    last_used_at = InstantField(help_text="When it last gave an access token.")
    expires_at = InstantField()
    is_current = serializers.SerializerMethodField()

    def get_client_id(self, session: SignInSession) -> str | None:
        return session.client or None

    def get_ip_address(self, session: SignInSession) -> str | None:
        return session.address or None

    def get_is_current(self, session: SignInSession) -> bool:
        return bool(session.pk == self.context.get("current"))


class SessionListSerializer(serializers.Serializer):  # type: ignore[type-arg]
    sessions = SessionSerializer(many=True)


class ApiKeyListSerializer(serializers.Serializer):  # type: ignore[type-arg]
    keys = ApiKeySerializer(many=True)


class NewApiKeySerializer(serializers.Serializer):  # type: ignore[type-arg]
    key = ApiKeySerializer()
    api_key = serializers.CharField(help_text="Shown this once.")


class AccountSerializer(SparseSerializer):
    id = serializers.UUIDField()
    type = serializers.CharField(source="kind")
    email = serializers.SerializerMethodField()
    display_name = serializers.CharField(source="name")
    created_at = InstantField()

    def get_email(self, principal: Principal) -> str | None:
        return None if principal.user is None else str(principal.user.get_username())


class AccountUpdateSerializer(StrictSerializer):
    display_name = NameField()


class PasswordChangeSerializer(StrictSerializer):
    current_password = StringField(max_length=1024)
    new_password = StringField(max_length=1024)


class MessageSerializer(serializers.Serializer):  # type: ignore[type-arg]
    message = serializers.CharField()


class PublicKeySerializer(serializers.Serializer):  # type: ignore[type-arg]
    kid = serializers.CharField()
    algorithm = serializers.ChoiceField(choices=["EdDSA"])
    public_key = serializers.CharField(help_text="PEM.")
