"""What commands about keys have in common: how errors of providers end them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError, OutputWrapper

from secrets_app.errors import ConfigurationError, CryptoError, UnknownRootKey

NOTHING_FOUND, FOUND, COULD_NOT_LOOK = 0, 1, 2


@contextmanager
def key_errors(*, advice: str) -> Iterator[None]:
    """Turn what a provider or the setup says into a CommandError with exit status 2."""
    try:
        yield
    except (ConfigurationError, UnknownRootKey) as error:
        raise CommandError(error.detail, returncode=COULD_NOT_LOOK) from None
    except CryptoError as error:
        raise CommandError(f"{error.detail} {advice}", returncode=COULD_NOT_LOOK) from None


@contextmanager
def noted(stderr: OutputWrapper) -> Iterator[None]:
    """For the event of somebody having looked: what was seen is most needed when keys are gone, without
    which no event can be written. That is said, then."""
    try:
        yield
    except CryptoError as error:
        stderr.write(f"No event was left of this: {error.detail}")
