"""Read the KV engine, version 2, of a HashiCorp Vault or OpenBao server. Needs the extra `hcvault`
(hvac).

An entry there is an object: each of its fields becomes a secret at `<path of the entry>/<field>`. The
newest version is read; an entry whose newest version is deleted is left out.
"""

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import hvac
import requests
from hvac import exceptions as vault

from secrets_app.errors import SourceError
from secrets_app.sources.candidates import Candidates, printable

_TIMEOUT_S = 30


def connect(
    address: str, *, token: str, ca: str | None = None, namespace: str | None = None
) -> hvac.Client:
    """Return a client, without contacting the server. Raises SourceError for plain HTTP to another
    machine.
    """
    parts = urlsplit(address)
    is_plain = parts.scheme == "http" and _is_loopback(parts.hostname or "")
    if not parts.hostname or "@" in parts.netloc or (parts.scheme != "https" and not is_plain):
        raise SourceError("The address is https://host:port (plain http: on loopback only).")
    return hvac.Client(
        url=address,
        token=token,
        verify=ca or True,
        timeout=_TIMEOUT_S,
        namespace=namespace,
        allow_redirects=False,
    )


def list_entries(client: hvac.Client, *, mount: str, under: str = "") -> list[str]:
    """List the paths of all entries in a folder and its subfolders. Raises SourceError."""
    found: list[str] = []
    folders = [f"{under.strip('/')}/" if under.strip("/") else ""]
    while folders:
        folder = folders.pop()
        for name in _names(client, mount, folder):
            (folders if name.endswith("/") else found).append(folder + name)
    if not found:
        raise SourceError("There are no entries in this folder of the server.")
    return sorted(found)


def read_entries(
    client: hvac.Client,
    entries: list[str],
    candidates: Candidates,
    *,
    mount: str,
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Add the newest version of each entry. Raises SourceError at the first that may not be read."""
    for entry in entries:
        with errors_translated(entry):
            answer = client.secrets.kv.v2.read_secret_version(
                path=entry, mount_point=mount, raise_on_deleted_version=False
            )
        fields = answer["data"]["data"]
        if fields is not None:
            for field, value in fields.items():
                candidates.add(f"{entry}/{field}", value)
        on_progress(1)


def _names(client: hvac.Client, mount: str, folder: str) -> list[str]:
    with errors_translated(folder):
        try:
            answer = client.secrets.kv.v2.list_secrets(path=folder, mount_point=mount)
        except vault.InvalidPath:
            return []
    return list(answer["data"]["keys"])


@contextmanager
def errors_translated(path: str) -> Iterator[None]:
    """Translate exceptions to SourceError by their class alone: messages may contain anything."""
    try:
        yield
    except (vault.VaultError, requests.RequestException, OSError) as error:
        where = printable(path) or "the top of the mount"
        raise SourceError(f"The server did not give {where} ({type(error).__name__}).") from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
