"""If-Match and If-None-Match (RFC 9110, 13.1), as far as a secret's versions go."""

from dataclasses import dataclass

from secrets_app.errors import PreconditionFailed
from secrets_app.models import Secret


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a writer expects of the path. `versions` None: no matter which; empty: none fits."""

    versions: frozenset[int] | None = None
    must_exist: bool = False
    must_not_exist: bool = False

    def check(self, secret: Secret) -> None:
        """Judge a locked row. A deleted secret counts as not there. Raises PreconditionFailed."""
        exists = secret.current_version > 0 and secret.deleted_at is None
        if self.must_not_exist and exists:
            raise PreconditionFailed
        if (self.must_exist or self.versions is not None) and not exists:
            raise PreconditionFailed
        if self.versions is not None and secret.current_version not in self.versions:
            raise PreconditionFailed


NONE = Precondition()
