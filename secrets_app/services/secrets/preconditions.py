"""Check If-Match and If-None-Match (RFC 9110, 13.1) against a secret's current version."""

from dataclasses import dataclass

from secrets_app.errors import PreconditionFailed, PreconditionRequired
from secrets_app.models import Secret
from secrets_app.models.secret_settings import settings_of


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a writer expects at the path. `versions`: the accepted numbers; None accepts any."""

    versions: frozenset[int] | None = None
    must_exist: bool = False
    must_not_exist: bool = False

    def check(self, secret: Secret) -> None:
        """Check a locked secret. A deleted one counts as absent.

        Raises PreconditionFailed, PreconditionRequired.
        """
        names_one = self.versions is not None or self.must_not_exist
        if not names_one and (own := settings_of(secret)) is not None and own.cas_required:
            raise PreconditionRequired  # `If-Match: *` too: it overwrites what nobody has seen
        exists = secret.current_version > 0 and secret.deleted_at is None
        if self.must_not_exist and exists:
            raise PreconditionFailed
        if (self.must_exist or self.versions is not None) and not exists:
            raise PreconditionFailed
        if self.versions is not None and secret.current_version not in self.versions:
            raise PreconditionFailed


NONE = Precondition()
