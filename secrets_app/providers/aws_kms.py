"""AWS KMS: `aws-kms://arn:aws:kms:<region>:<account>:key/<id>`. Needs the extra `aws` (boto3).

Credentials and endpoint come from the usual places of AWS SDKs (environment, profile, role,
AWS_ENDPOINT_URL). The context is bound as KMS's encryption context; it is not secret, and CloudTrail
shows it. When KMS rotates the key itself, nothing has to be done here.
"""

import base64
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from secrets_app.errors import ConfigurationError, OpenError, ProviderError, ProviderUnavailable

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+")
_DOES_NOT_OPEN = {"InvalidCiphertextException", "IncorrectKeyException"}
_PASSING = {
    "DependencyTimeoutException",
    "KeyUnavailableException",
    "KMSInternalException",
    "LimitExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
}


def from_url(url: str, *, timeout_s: float) -> "AwsKmsProvider":
    """Make the provider of a URL. Raises ConfigurationError unless it names a key by its ARN."""
    arn = url.removeprefix("aws-kms://")
    match = _ARN.fullmatch(arn)
    if match is None:
        raise ConfigurationError(
            "An aws-kms:// entry of ROOT_KEY_URLS names a key by its ARN, arn:aws:kms:<region>:"
            "<account>:key/<id>. An alias would not do: it can be pointed at another key."
        )
    # At DEBUG botocore logs whole requests and answers, with the keys in them.
    logging.getLogger("botocore").setLevel(logging.INFO)
    config = Config(
        connect_timeout=timeout_s / 2,
        read_timeout=timeout_s / 2,
        retries={"total_max_attempts": 2, "mode": "standard"},
    )
    try:
        client = boto3.session.Session().client("kms", region_name=match.group(1), config=config)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"The AWS settings in the environment are not usable ({type(error).__name__})."
        ) from None
    return AwsKmsProvider(client, arn)


class AwsKmsProvider:
    """Encrypts KEKs with a symmetric KMS key."""

    binds_context = True

    def __init__(self, client: "KMSClient", arn: str) -> None:
        self._client = client
        self._arn = arn
        self.active_key_id = f"aws-kms://{arn}"
        self.key_ids = frozenset([self.active_key_id])

    def wrap(self, key: bytes, context: bytes) -> bytes:
        with _errors_translated():
            answer = self._client.encrypt(
                KeyId=self._arn, Plaintext=key, EncryptionContext=_as_strings(context)
            )
        return answer["CiphertextBlob"]

    def unwrap(self, key_id: str, blob: bytes, context: bytes) -> bytes:
        if key_id != self.active_key_id or not blob:
            raise OpenError
        with _errors_translated():
            # With KeyId, KMS does not open a blob of any other key of the account.
            answer = self._client.decrypt(
                KeyId=self._arn, CiphertextBlob=blob, EncryptionContext=_as_strings(context)
            )
        return answer["Plaintext"]

    def check_health(self) -> None:
        """Encrypt a few bytes: that notices a disabled key as well as a broken network."""
        self.wrap(b"health", b"health")


def _as_strings(context: bytes) -> dict[str, str]:
    return {"vaultsite": base64.b64encode(context).decode()}


@contextmanager
def _errors_translated() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _DOES_NOT_OPEN:
            raise OpenError from None
        if code in _PASSING or status >= 500:
            raise ProviderUnavailable(f"AWS KMS cannot work now ({_name(code)}).") from None
        raise ProviderError(f"AWS KMS refused the operation ({_name(code)}).") from None
    except BotoCoreError as error:
        raise ProviderUnavailable(f"AWS KMS cannot be reached ({type(error).__name__}).") from None


def _name(code: str) -> str:
    return code if re.fullmatch(r"[A-Za-z.]{1,64}", code) else "unknown"
