"""Ask for the second factor on the way in, but for who has shown one to a provider that is trusted."""

from allauth.mfa.stages import AuthenticateStage
from django.http import HttpRequest

from vaultsite.accounts.sign_in import has_providers_factor


class SecondFactorStage(AuthenticateStage):  # type: ignore[misc]
    def _should_handle(self, request: HttpRequest) -> bool:
        if self.login.user is not None and has_providers_factor(request, self.login.user):
            return False
        return bool(super()._should_handle(request))
