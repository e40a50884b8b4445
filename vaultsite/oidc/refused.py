"""Tell why somebody does not get in by a provider."""

from vaultsite.accounts.models import User


class SignInRefused(Exception):
    """`reason` is a code, for the event, the log and the choice of the page. `user`: whose account it is.

    Nothing of what the provider or the browser sent is in it.
    """

    def __init__(self, reason: str, user: User | None = None) -> None:
        self.reason = reason
        self.user = user
        super().__init__(reason)
