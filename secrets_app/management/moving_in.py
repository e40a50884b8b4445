"""`import_secrets --from hcvault`: entries of a server with all their versions, a few hundred at a time."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from secrets_app.conf import app_settings
from secrets_app.errors import Conflict, Forbidden, InvalidInput, InvalidPath, SourceError
from secrets_app.http.durations import parse_duration
from secrets_app.management.keys import COULD_NOT_LOOK, FOUND, key_errors
from secrets_app.management.progress import progress
from secrets_app.models import Principal, Vault
from secrets_app.policy.path import parse_path
from secrets_app.services.secrets import OnConflict, Settings, check_settings, plan_import
from secrets_app.services.secrets.importing_history import OldSecret, OldVersion, import_histories

# Of one secret: a place is kept for each that is gone.
_MOST_VERSIONS = 100_000


def move_in(
    command: BaseCommand, *, vault: Vault, person: Principal, client: Any, options: dict[str, Any]
) -> None:
    """Look at everything first; then bring it over, each part in a transaction of its own, so that writers
    go on and a run that was stopped is gone on with by `--on-conflict skip`. Raises CommandError."""
    from secrets_app.sources.kv2 import list_entries
    from secrets_app.sources.kv2_history import read_histories

    on_conflict = OnConflict(options["on_conflict"])
    if on_conflict is OnConflict.NEW_VERSION:
        raise CommandError("--on-conflict new-version goes with --newest-only.")
    mount = options["mount"].strip("/")
    told: Counter[str] = Counter()
    invalid: dict[str, str] = {}
    conflicts: set[str] = set()
    try:
        prefix = f"{parse_path(options['prefix'])}/" if options["prefix"] else ""
        names = list_entries(client, mount=mount, under=options["under"])
        parts = read_histories(client, names, mount=mount, with_values=False)
        for some in _watched(parts, len(names), options):
            for entry in some:
                try:
                    _checked(entry, prefix)
                except (InvalidInput, SourceError) as error:
                    invalid[entry.name] = _why(error)
                    continue
                told["secrets"] += 1
                told["versions"] += len(entry.versions)
                told["destroyed"] += sum(each.is_destroyed for each in entry.versions)
                told["deleted"] += sum(
                    each.ends_at is not None and not each.is_destroyed for each in entry.versions
                )
        good = [name for name in names if name not in invalid]
        paths = [prefix + name for name in good]
        plan = plan_import(vault=vault, paths=paths, on_conflict=on_conflict)
        conflicts = set(plan.conflicts)
        is_off = bool(conflicts) or (bool(invalid) and not options["skip_invalid"])
        stored = 0
        if not is_off and not options["dry_run"]:
            stored = _store(vault, person, client, good, prefix, on_conflict, options)
    except InvalidPath as error:
        raise CommandError(f"--prefix: {error.errors['path'][0]}") from None
    except SourceError as error:
        raise CommandError(error.detail, returncode=COULD_NOT_LOOK) from None
    _report(command, told, invalid, conflicts, stored, options)
    if is_off:
        raise CommandError("Nothing was imported.", returncode=FOUND)


def _store(
    vault: Vault,
    person: Principal,
    client: Any,
    names: list[str],
    prefix: str,
    on_conflict: OnConflict,
    options: dict[str, Any],
) -> int:
    from secrets_app.sources.kv2_history import read_histories

    stored = 0
    with key_errors(advice=f"Run it again with --on-conflict {OnConflict.SKIP} to go on."):
        parts = read_histories(client, names, mount=options["mount"].strip("/"), with_values=True)
        for some in _watched(parts, len(names), options):
            try:
                stored += len(
                    import_histories(
                        vault=vault,
                        principal=person,
                        secrets=[_checked(entry, prefix) for entry in some],
                        skip_existing=on_conflict is OnConflict.SKIP,
                    )
                )
            except (Forbidden, Conflict, InvalidInput) as error:
                message = f"{error.detail} {stored} secrets were imported before."
                raise CommandError(message, returncode=FOUND) from None
    return stored


def _checked(entry: Any, prefix: str) -> OldSecret:
    """An entry as a service takes it. Raises InvalidInput, SourceError."""
    settings = Settings(
        max_versions=entry.max_versions,
        cas_required=entry.cas_required,
        delete_version_after=parse_duration(
            entry.delete_version_after, field="delete_version_after"
        ),
        custom_metadata=entry.custom_metadata or None,
    )
    check_settings(settings)
    if entry.current_version > _MOST_VERSIONS:
        raise SourceError(f"has more than {_MOST_VERSIONS} versions")
    for version in entry.versions:
        value = version.value
        if value is not None and len(value.reveal()) > app_settings.MAX_VALUE_BYTES:
            raise SourceError(f"is larger than {app_settings.MAX_VALUE_BYTES} bytes")
    return OldSecret(
        parse_path(prefix + entry.name),
        entry.created_at,
        entry.current_version,
        settings,
        tuple(
            OldVersion(each.number, each.created_at, each.ends_at, each.value)
            for each in entry.versions
        ),
    )


def _why(error: InvalidInput | SourceError) -> str:
    if isinstance(error, InvalidInput):
        return "; ".join(f"{name}: {texts[0]}" for name, texts in error.errors.items())
    return error.detail


def _watched(
    parts: Iterator[list[Any]], total: int, options: dict[str, Any]
) -> Iterator[list[Any]]:
    with progress("entries", total=total, quiet=options["json"]) as advance:
        advanced: Callable[[int], None] = advance
        for some in parts:
            yield some
            advanced(len(some))


def _report(
    command: BaseCommand,
    told: Counter[str],
    invalid: dict[str, str],
    conflicts: set[str],
    stored: int,
    options: dict[str, Any],
) -> None:
    from secrets_app.sources.candidates import printable

    refused = [{"name": printable(name), "why": why} for name, why in sorted(invalid.items())]
    names = ("secrets", "versions", "deleted", "destroyed")
    counts = {name: told[name] for name in names} | {"stored": stored}
    if options["json"]:
        whole = counts | {"conflicts": sorted(conflicts), "invalid": refused}
        command.stdout.write(json.dumps(whole))
        return
    for each in refused:
        command.stdout.write(f"invalid    {each['name']} {each['why']}")
    for path in sorted(conflicts):
        command.stdout.write(f"conflict   {path} has a secret already")
    command.stdout.write(
        f"{counts['secrets']} secrets with {counts['versions']} versions on the server"
        f" ({counts['deleted']} deleted or to be deleted, {counts['destroyed']} destroyed);"
        f" {stored} secrets imported, {len(conflicts)} conflicts, {len(refused)} invalid"
    )
