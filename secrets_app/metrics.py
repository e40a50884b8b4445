"""What is counted, for whatever the project around the app shows to Prometheus."""

from prometheus_client import Counter

AUDIT_WRITE_FAILURES = Counter(
    "vaultsite_audit_write_failures",
    "Audit events that could not be written; what they would have recorded was refused.",
)
