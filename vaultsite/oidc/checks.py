"""Check the settings of providers at the start (`manage.py check`)."""

from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, register

from secrets_app.checks import TAG
from secrets_app.conf import app_settings
from secrets_app.errors import ConfigurationError
from vaultsite.oidc.providers import read_providers


@register(TAG)
def check_providers(**_: Any) -> list[CheckMessage]:
    """E001: a provider is described wrongly. W002: nobody could sign in but by break-glass or a passkey."""
    found, problems = read_providers()
    hint = "See docs/people-sign-in.md."
    messages: list[CheckMessage] = [
        Error(each, hint=hint, id="vaultsite.E001") for each in problems
    ]
    try:
        if not found and not app_settings.PASSWORD_SIGN_IN:
            text = "PASSWORD_SIGN_IN is off and there is no provider."
            hint = "Name one in OIDC_PROVIDERS, or people have passkeys alone."
            messages.append(checks.Warning(text, hint=hint, id="vaultsite.W002"))
    except ConfigurationError:
        pass  # secrets_app.E001 tells
    return messages
