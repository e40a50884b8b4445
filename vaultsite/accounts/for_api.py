"""Answer what the API asks about people's second factors (`SECOND_FACTORS`)."""

from vaultsite.accounts import second_factor
from vaultsite.accounts.models import User


class Factors:
    """Implements `secrets_app.services.identity.factors.SecondFactors`."""

    def is_asked(self, user: User) -> bool:
        return second_factor.has_second_factor(user)
