"""The codes of the device flow (RFC 8628): one for the device, one for people to read aloud and type."""

import secrets

# No vowels, so that no words come about, and no letters that look or sound alike when read in a hurry
# (RFC 8628, 6.1): 8 of 20 letters are 34 bits.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
USER_CODE_LETTERS = 8
DEVICE_PREFIX = "1dc_"
_DEVICE_BYTES = 32


def new_device_code() -> str:
    """256 random bits."""
    return DEVICE_PREFIX + secrets.token_urlsafe(_DEVICE_BYTES)


def new_user_code() -> str:
    """Such as `WDJB-MJHT`."""
    return shown("".join(secrets.choice(ALPHABET) for _ in range(USER_CODE_LETTERS)))


def shown(letters: str) -> str:
    return f"{letters[:4]}-{letters[4:]}"


def letters_of(typed: str) -> str | None:
    """The letters of a user code however it is typed: in small letters, with spaces or hyphens. None where
    it cannot be one."""
    letters = typed.upper().replace("-", "").replace(" ", "")
    is_code = len(letters) == USER_CODE_LETTERS and set(letters) <= set(ALPHABET)
    return letters if is_code else None
