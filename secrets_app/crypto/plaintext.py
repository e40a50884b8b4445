"""Wrap a plaintext on its way through the process, so that it cannot be shown by accident."""

from typing import NoReturn


class Plaintext:
    """Bytes that must not be logged, formatted, compared or pickled.

    `reveal()` is the only way to the bytes, so a search for it finds every use.
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Return the bytes."""
        return self._value

    def __len__(self) -> int:
        """Return the length in bytes."""
        return len(self._value)

    def __bool__(self) -> bool:
        """Return True: an empty value is a value, too."""
        return True

    def __repr__(self) -> str:
        return "<Plaintext hidden>"

    __str__ = __repr__

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("Plaintext is not comparable; reveal() it where that is meant")

    def __reduce__(self) -> NoReturn:
        raise TypeError("Plaintext cannot be pickled or copied")
