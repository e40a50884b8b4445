from rest_framework import serializers

from secrets_app.api.serializers.base import StrictSerializer


class PasswordSignInSerializer(StrictSerializer):
    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=1024, trim_whitespace=False)


class ApiKeySignInSerializer(StrictSerializer):
    api_key = serializers.CharField(max_length=128)


class TokenSerializer(serializers.Serializer):  # type: ignore[type-arg]
    access_token = serializers.CharField()
    token_type = serializers.ChoiceField(choices=["Bearer"])
    expires_in = serializers.IntegerField(help_text="Seconds.")
