"""The conftest.py of mutmut's copy: the database is migrated once, and copied for each mutant, which would
otherwise spend most of its time on migrations."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import setup_databases

_MIGRATED = Path(settings.DATABASES["default"]["TEST"]["NAME"]).with_name("migrated.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """In place of pytest-django's. Mutants are forked from the process that migrated."""
    with django_db_blocker.unblock():
        if not _MIGRATED.exists():
            setup_databases(verbosity=0, interactive=False)
            with connection.cursor() as cursor:
                cursor.execute(f"VACUUM INTO '{_MIGRATED}'")
        connection.close()
        own = _MIGRATED.with_name(f"mutant-{os.getpid()}.sqlite3")
        shutil.copy(_MIGRATED, own)
        before = connection.settings_dict["NAME"]
        connection.settings_dict["NAME"] = str(own)
    yield
    with django_db_blocker.unblock():
        connection.close()
        connection.settings_dict["NAME"] = before
    for left in own.parent.glob(f"{own.name}*"):
        with suppress(FileNotFoundError):
            left.unlink()
