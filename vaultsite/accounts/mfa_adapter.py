"""Tell django-allauth's part for second factors how secrets are kept and what may be removed."""

from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator

from secrets_app.services.identity import open_factor, seal_factor
from vaultsite.accounts import second_factor
from vaultsite.accounts.models import User


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = DefaultMFAAdapter.error_messages | {
        "cannot_delete_authenticator": "You need a second factor here. Add another one first.",
        "incorrect_code": "This is not a code of now, or it was used already. Wait for the next one.",
    }

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

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Refuse to remove the last factor of who must have one."""
        user: User = authenticator.user
        others = Authenticator.objects.filter(user=user, type__in=second_factor.FACTORS)
        is_last = not others.exclude(pk=authenticator.pk).exists()
        return not (is_last and second_factor.is_required(user))
