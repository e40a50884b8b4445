from secrets_app.models.audit import AuditEvent, AuditKey, AuditSeal
from secrets_app.models.idempotency import IdempotencyKey
from secrets_app.models.policy import Policy
from secrets_app.models.principal import Agent, ApiKey, Principal, RevokedToken
from secrets_app.models.secret import Secret, SecretVersion
from secrets_app.models.vault import Vault, VaultKey
from secrets_app.sql.any_of import AnyOf

__all__ = [
    "Agent",
    "AnyOf",
    "ApiKey",
    "AuditEvent",
    "AuditKey",
    "AuditSeal",
    "IdempotencyKey",
    "Policy",
    "Principal",
    "RevokedToken",
    "Secret",
    "SecretVersion",
    "Vault",
    "VaultKey",
]
