"""Django admin: every model to look at, none to change by a form; a few actions that call services.

Never a value, not even its ciphertext: each admin names the columns it shows.
"""

from secrets_app.admin import audit, idempotency, policy, principal, secret, vault

__all__ = ["audit", "idempotency", "policy", "principal", "secret", "vault"]
