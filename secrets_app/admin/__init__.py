"""Show every model in Django's admin. No form changes one; a few actions call services.

It never shows a value, not even its ciphertext: each admin lists the columns it shows.
"""

from secrets_app.admin import (
    agent_identity,
    audit,
    idempotency,
    policy,
    principal,
    secret,
    secret_settings,
    session,
    vault,
)

__all__ = [
    "agent_identity",
    "audit",
    "idempotency",
    "policy",
    "principal",
    "secret",
    "secret_settings",
    "session",
    "vault",
]
