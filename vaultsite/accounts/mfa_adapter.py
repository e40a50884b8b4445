"""Tell django-allauth's part for second factors how secrets are kept and who is asked."""

from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter

from secrets_app.services.identity import open_factor, seal_factor
from vaultsite.accounts import second_factor


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    def encrypt(self, text: str) -> str:
        """Seal a secret. Raises OpenError, ProviderError."""
        return seal_factor(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Open a secret, also one of an earlier release. Raises OpenError, ProviderError."""
        return open_factor(encrypted_text)

    def get_totp_issuer(self) -> str:
        return "Vaultsite"

    def is_mfa_enabled(self, user: Any, types: Any = None) -> bool:
        """Tell whether a person is asked for a factor of these types, by default of any."""
        if user.is_anonymous or not second_factor.has_second_factor(user):
            return False
        return types is None or second_factor.is_set_up(user, tuple(types))
