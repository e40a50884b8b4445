"""Zero-downtime rule (docs/deployment.md): the release before works on the schema after."""

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader

# What was there before the first release, when no older code could be running.
BEFORE_FIRST_RELEASE = {"secrets_app": 4, "accounts": 1}
# What copies rows and leaves those that older code reads. tests/accounts/test_moved_second_factor.py
_COPIES = {"accounts.0004_copy_second_factors"}
ADDITIVE = (
    migrations.CreateModel,
    migrations.AddIndex,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
)


def unsafe(migration):
    """Operations that older code, still running, would trip over."""
    return [
        operation.describe()
        for operation in migration.operations
        if not isinstance(operation, ADDITIVE)
        and not _is_unseen_field(operation)
        and f"{migration.app_label}.{migration.name}" not in _COPIES
    ]


def _is_unseen_field(operation):
    """A new column that an INSERT of the release before need not name."""
    return isinstance(operation, migrations.AddField) and (
        operation.field.null or operation.field.has_db_default()
    )


def ours():
    for (app, name), migration in MigrationLoader(None).disk_migrations.items():
        released = BEFORE_FIRST_RELEASE.get(app)
        if released is not None and int(name[:4]) > released:
            yield migration


def test_migrations_after_the_first_release_only_add():
    found = {str(each): unsafe(each) for each in ours() if unsafe(each)}
    assert not found, f"{found}: see «Upgrades without an interruption» in docs/deployment.md"


@pytest.mark.parametrize(
    "operation",
    [
        migrations.RemoveField("secret", "path"),
        migrations.RenameField("secret", "path", "way"),
        migrations.DeleteModel("secret"),
        migrations.RunSQL("DROP TABLE x"),
        migrations.AddField("secret", "note", models.TextField(default="")),
    ],
)
def test_the_rule_would_be_noticed(operation):
    migration = migrations.Migration("0099", "secrets_app")
    migration.operations = [operation]
    assert unsafe(migration)
