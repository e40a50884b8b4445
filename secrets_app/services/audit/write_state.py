"""Remember whether this process could write its last event, for the health check and metrics."""

from secrets_app.metrics import AUDIT_WRITE_FAILURES


class AuditWriteState:
    is_failing = False

    def failed(self) -> None:
        self.is_failing = True
        AUDIT_WRITE_FAILURES.inc()

    def succeeded(self) -> None:
        self.is_failing = False


write_state = AuditWriteState()
