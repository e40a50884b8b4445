"""Define every exception of the app. `api/problems.py` alone decides what each becomes over HTTP.

SecretsAppError
├── ConfigurationError          the deployment is set up wrongly; the message says what to do
├── Unauthenticated             the credential is missing, malformed, expired or revoked
│   └── PasswordsOff            nobody signs in with a password here
├── OAuthError                  carries `code`, an error of RFC 6749 and RFC 8628
├── Forbidden                   the caller is neither the owner nor allowed by a policy
├── TooManyRequests             carries `retry_after_s`, seconds
│   └── LockedOut               too many wrong passwords for this account from this address
├── NotFound                    the vault, secret or version does not exist
├── Conflict                    the state of the resource forbids it (a name taken twice)
│   └── StillRunning            the first request with this Idempotency-Key has not ended
├── PreconditionFailed          If-Match or If-None-Match does not hold
├── PreconditionRequired        the secret demands one, and the request has none (RFC 6585, 3)
├── KeyReused                   the Idempotency-Key belongs to another request
├── Unavailable                 it exists, but cannot be read any more (expired, used up, …)
├── InvalidInput                carries `errors`: field → messages
│   ├── InvalidPath
│   ├── InvalidPattern
│   └── InvalidConditions
├── TooLarge                    a body or value is over its limit
├── InconsistentVault           a vault's marks contradict its keys: the database was edited
├── SourceError                 the source of an import cannot be read
├── OutboundError               another host must not be asked, or did not answer as it should
│   └── IssuerUnavailable       the keys of a token issuer cannot be had now
├── BackupError                 no backup could be written
└── CryptoError                 sealing or opening failed
    ├── EnvelopeError           the stored bytes are not an envelope
    ├── OpenError               authentication failed: wrong key, wrong context or altered bytes
    └── ProviderError           the key provider refused
        ├── UnknownRootKey      the root key that wrapped this is not configured
        └── ProviderUnavailable it cannot be reached now; a later attempt may succeed

No message ever repeats a submitted value, a path, a token or a key.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID


class SecretsAppError(Exception):
    """Root of everything that this app raises on purpose. `detail` may be shown to the caller."""

    detail = "The request could not be carried out."

    def __init__(self, detail: str | None = None) -> None:
        if detail is not None:
            self.detail = detail
        super().__init__(self.detail)


class ConfigurationError(SecretsAppError):
    detail = "The service is not configured correctly."


class Unauthenticated(SecretsAppError):
    """`reason` is a code for the audit log. Callers are always told the same."""

    detail = "A valid Bearer token or API key is required."

    def __init__(self, reason: str, principal_id: UUID | None = None) -> None:
        self.reason = reason
        self.principal_id = principal_id
        super().__init__()


class OAuthError(SecretsAppError):
    """`code` is what OAuth calls it: RFC 6749, 5.2; RFC 8628, 3.5."""

    DETAILS = {
        "authorization_pending": "Nobody has approved this device yet. Ask again.",
        "slow_down": "Ask less often: wait five seconds longer from now on.",
        "access_denied": "The device was not let in.",
        "expired_token": "The code has expired. Ask for another one.",
        "invalid_grant": "The code is not known, or was used.",
        "unsupported_grant_type": "The grant type is that of device codes.",
    }

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(self.DETAILS[code])


class PasswordsOff(Unauthenticated):
    """Told to everybody alike, whether or not the account exists and the password is right."""

    detail = (
        "Passwords are switched off here. Sign in on the page of accounts with a provider or a passkey,"
        " or use an API key."
    )


class Forbidden(SecretsAppError):
    detail = "You are neither the vault's owner nor allowed to do this by a policy."


class TooManyRequests(SecretsAppError):
    detail = "Too many requests. Try again later."

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = max(1, retry_after_s)
        super().__init__()


class LockedOut(TooManyRequests):
    detail = "Too many wrong passwords. Try again later."


class NotFound(SecretsAppError):
    detail = "There is no such resource."


class Conflict(SecretsAppError):
    detail = "The resource is in a state that forbids this."


class StillRunning(Conflict):
    detail = "The first request with this Idempotency-Key is still running."


class PreconditionFailed(SecretsAppError):
    detail = "The secret has another version than the request expects."


class PreconditionRequired(SecretsAppError):
    detail = "A write of this secret must say which version it expects: If-Match or If-None-Match."


class KeyReused(SecretsAppError):
    detail = "This Idempotency-Key was used for another request."


class Unavailable(SecretsAppError):
    """`reason` is one of: deleted, disabled, destroyed, expired, used_up."""

    detail = "The secret is not available any more."

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The secret is not available any more: {reason.replace('_', ' ')}.")


class InvalidInput(SecretsAppError):
    detail = "The request is not valid; see `errors`."

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        self.errors = {field: list(messages) for field, messages in errors.items()}
        super().__init__()


class InvalidPath(InvalidInput):
    def __init__(self) -> None:
        super().__init__(
            {
                "path": [
                    "A path is made of letters, digits, hyphens and underscores, in segments joined"
                    " by single slashes, at most 512 characters."
                ]
            }
        )


class InvalidPattern(InvalidInput):
    def __init__(self, most_segments: int) -> None:
        super().__init__(
            {
                "secret_path_pattern": [
                    "A pattern is made of path segments, `*` (exactly one segment) and `**` (any"
                    " number of segments), joined by single slashes, at most 512 characters and"
                    f" {most_segments} segments."
                ]
            }
        )


class InvalidConditions(InvalidInput):
    def __init__(self, *messages: str) -> None:
        super().__init__({"conditions": messages})


class TooLarge(SecretsAppError):
    """The message names the limit in bytes and what to do about it, never the content."""

    def __init__(self, what: str, limit_bytes: int, advice: str = "") -> None:
        super().__init__(f"{what} is larger than {limit_bytes} bytes. {advice}".rstrip())


class InconsistentVault(SecretsAppError):
    """A caller is told this with a 500, since only an operator can put it right."""

    detail = (
        "What is stored about this vault contradicts itself, so nothing of it is served."
        " An operator finds out more with manage.py verify_vault."
    )


class SourceError(SecretsAppError):
    detail = "What secrets are imported from cannot be read."


class OutboundError(SecretsAppError):
    """`reason` is a code, for events and logs. It never says what a lookup found, or what was answered."""

    detail = "Another host could not be asked."

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{type(self).detail} ({reason.replace('_', ' ')})")


class IssuerUnavailable(OutboundError):
    detail = "The keys of a token issuer cannot be had now."


class BackupError(SecretsAppError):
    detail = "No backup could be written."


class CryptoError(SecretsAppError):
    detail = "The value could not be sealed or opened."


class EnvelopeError(CryptoError):
    detail = "The stored envelope is malformed."


class OpenError(CryptoError):
    detail = "The sealed value does not belong to this key and context, or was altered."


class ProviderError(CryptoError):
    detail = "The key provider refused the operation."


class UnknownRootKey(ProviderError):
    def __init__(self, root_key_id: str) -> None:
        super().__init__(
            f"No configured root key is {root_key_id}. Add the key that wrapped the stored vault keys"
            " to ROOT_KEY_URLS."
        )


class ProviderUnavailable(ProviderError):
    detail = "The key provider cannot be reached."
