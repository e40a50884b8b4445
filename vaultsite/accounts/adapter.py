"""Tell django-allauth how accounts work here."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from vaultsite.accounts.lockout import address


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Tell that nobody makes an account by themselves: operators invite people."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the client's address as everywhere else."""
        return address(request)
