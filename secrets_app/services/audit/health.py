"""Check that events can be written and are sealed in time."""

from dataclasses import dataclass
from math import inf

from django.db import DatabaseError, transaction
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.errors import CryptoError
from secrets_app.services.audit.record import OPERATOR, SUCCESS, Resource, record
from secrets_app.services.audit.seal import unsealed
from secrets_app.services.audit.write_state import write_state
from secrets_app.sql.damaged_rows import read_each


@dataclass(frozen=True, slots=True)
class AuditHealth:
    """`lag_s`: the age of the oldest unsealed event in seconds, 0 when all are sealed."""

    can_write: bool
    lag_s: float

    @property
    def is_well(self) -> bool:
        """Tell whether events can be written and the lag is below AUDIT_SEAL_ALARM."""
        alarm = app_settings.AUDIT_SEAL_ALARM
        return self.can_write and (not alarm or self.lag_s <= alarm)


def audit_health() -> AuditHealth:
    """Return the state of the log. Raises django.db.DatabaseError."""
    return AuditHealth(can_write=not write_state.is_failing or _can_write(), lag_s=seal_lag())


def seal_lag() -> float:
    """Return the age of the oldest unsealed event, in seconds.

    It is infinite while an unsealed event cannot be read: somebody edited it, and it is never sealed.
    """
    oldest = unsealed().order_by("id").values_list("created_at", flat=True)
    read, damaged = read_each(oldest, lambda at: (timezone.now() - at).total_seconds(), most=1)
    if damaged:
        return inf
    return max(0.0, read[0][1]) if read else 0.0


def _can_write() -> bool:
    """Write an event and roll it back, to see whether writing works again after a failure."""
    try:
        with transaction.atomic():
            record("audit.probe", SUCCESS, actor=OPERATOR, resource=Resource("audit_log"))
            transaction.set_rollback(True)
    except (DatabaseError, CryptoError):
        return False
    return True
