"""Entries of a KV engine, version 2, with all that the server still has of them: versions with their times,
marks of deletion, settings and custom metadata."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import hvac

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import SourceError
from secrets_app.raw_json import find_member
from secrets_app.sources.kv2 import errors_translated

# Entries are read by so many threads, and so many at a time are in memory.
_THREADS, _AT_ONCE = 8, 200


@dataclass(frozen=True, slots=True)
class PastVersion:
    """`value` is the data as JSON text; None where the server does not give it: the version was deleted
    or destroyed. `ends_at`: when it was deleted, or will be."""

    number: int
    created_at: datetime
    ends_at: datetime | None
    is_destroyed: bool
    value: Plaintext | None = None


@dataclass(frozen=True, slots=True)
class PastEntry:
    """`delete_version_after` as the server writes it. `versions` are those it still has, oldest first."""

    name: str
    created_at: datetime
    current_version: int
    max_versions: int
    cas_required: bool
    delete_version_after: str
    custom_metadata: dict[str, str] = field(default_factory=dict)
    versions: tuple[PastVersion, ...] = ()


def read_histories(
    client: hvac.Client, names: list[str], *, mount: str, with_values: bool
) -> Iterator[list[PastEntry]]:
    """Yield the entries in their order, some at a time. Raises SourceError at the first that may not be
    read.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        for first in range(0, len(names), _AT_ONCE):
            some = names[first : first + _AT_ONCE]
            yield list(pool.map(lambda name: _read(client, name, mount, with_values), some))


def _read(client: hvac.Client, name: str, mount: str, with_values: bool) -> PastEntry:
    with errors_translated(name):
        told = _json(client, f"{mount}/metadata/{name}")["data"]
    try:
        versions = [_version(number, each) for number, each in told["versions"].items()]
        entry = PastEntry(
            name,
            _instant(told["created_time"]),
            int(told["current_version"]),
            int(told["max_versions"]),
            bool(told["cas_required"]),
            str(told["delete_version_after"]),
            dict(told.get("custom_metadata") or {}),
        )
    except (KeyError, TypeError, ValueError):
        raise SourceError("The server answered with metadata that make no sense.") from None
    versions.sort(key=lambda version: version.number)
    if with_values:
        versions = [_with_value(client, name, mount, each) for each in versions]
    return PastEntry(
        entry.name,
        entry.created_at,
        entry.current_version,
        entry.max_versions,
        entry.cas_required,
        entry.delete_version_after,
        entry.custom_metadata,
        tuple(versions),
    )


def _version(number: str, told: dict[str, Any]) -> PastVersion:
    ends_at = _instant(told["deletion_time"]) if told["deletion_time"] else None
    return PastVersion(
        int(number), _instant(told["created_time"]), ends_at, bool(told["destroyed"])
    )


def _with_value(client: hvac.Client, name: str, mount: str, version: PastVersion) -> PastVersion:
    if version.is_destroyed:
        return version
    with errors_translated(name):
        answer = _get(client, f"{mount}/data/{name}", {"version": str(version.number)})
        if answer.status_code == 404:
            return version
        answer.raise_for_status()
    try:
        text = find_member(find_member(answer.text, "data"), "data")
    except (KeyError, ValueError, IndexError, RecursionError):
        raise SourceError("The server answered with data that make no sense.") from None
    value = Plaintext(text.encode())
    return PastVersion(
        version.number, version.created_at, version.ends_at, version.is_destroyed, value
    )


def _json(client: hvac.Client, path: str) -> dict[str, Any]:
    answer = _get(client, path, {})
    answer.raise_for_status()
    parsed: dict[str, Any] = json.loads(answer.text)
    return parsed


def _get(client: hvac.Client, path: str, query: dict[str, str]) -> Any:
    """The answer itself: hvac would parse it, and numbers would be written anew."""
    adapter = client.adapter
    headers = {"X-Vault-Token": adapter.token, "X-Vault-Request": "true"}
    if adapter.namespace:
        headers["X-Vault-Namespace"] = adapter.namespace
    return adapter.session.get(
        f"{adapter.base_uri}/v1/{path}",
        params=query,
        headers=headers,
        timeout=30,
        allow_redirects=False,
        **{name: adapter._kwargs[name] for name in ("verify", "cert") if name in adapter._kwargs},
    )


def _instant(text: str) -> datetime:
    """RFC 3339 with nanoseconds, which Python has no room for."""
    head, _, rest = text.partition(".")
    fraction = rest.removesuffix("Z")[:6].ljust(6, "0") if rest else "000000"
    return datetime.fromisoformat(f"{head.removesuffix('Z')}.{fraction}+00:00")
