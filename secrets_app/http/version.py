"""Which version of this software answers."""

from importlib.metadata import PackageNotFoundError, version


def _version() -> str:
    try:
        return version("vaultsite")
    except PackageNotFoundError:
        return "dev"


VERSION = _version()
