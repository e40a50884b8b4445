from secrets_app.models.agent_identity import AgentIdentity, AssertionUse
from secrets_app.models.audit import AuditEvent, AuditKey, AuditSeal
from secrets_app.models.idempotency import IdempotencyKey
from secrets_app.models.policy import Policy
from secrets_app.models.principal import Agent, ApiKey, Principal, RevokedToken
from secrets_app.models.secret import Secret, SecretVersion
from secrets_app.models.secret_settings import SecretSettings
from secrets_app.models.session import DeviceRequest, SignInSession
from secrets_app.models.sign_in_step import SignInStep
from secrets_app.models.vault import Vault, VaultKey
from secrets_app.sql import any_of  # noqa: F401  (registers the lookup `path__any_of`)

__all__ = [
    "Agent",
    "AgentIdentity",
    "ApiKey",
    "AssertionUse",
    "AuditEvent",
    "AuditKey",
    "AuditSeal",
    "DeviceRequest",
    "IdempotencyKey",
    "Policy",
    "Principal",
    "RevokedToken",
    "Secret",
    "SecretSettings",
    "SecretVersion",
    "SignInSession",
    "SignInStep",
    "Vault",
    "VaultKey",
]
