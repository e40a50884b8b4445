"""Authenticator apps become django-allauth's. Rows are copied; no key is needed for it."""

from typing import Any

from django.db import migrations


def copy(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001
    """Copy each authenticator app, with the step of its last code. The secret goes on being derived
    of the salt. The former rows stay, since the release before may still run and asks for them."""
    former = apps.get_model("accounts", "SecondFactor")
    authenticator = apps.get_model("mfa", "Authenticator")
    check = apps.get_model("accounts", "CodeCheck")
    for row in former.objects.filter(confirmed=True).iterator():
        secret = f"derived:{row.key_number}:{bytes(row.salt).hex()}"
        _, is_new = authenticator.objects.get_or_create(
            user_id=row.user_id,
            type="totp",
            defaults={"data": {"secret": secret}, "created_at": row.created_at},
        )
        if is_new:
            check.objects.get_or_create(
                user_id=row.user_id,
                defaults={
                    "last_step": row.last_t,
                    "failures": row.throttling_failure_count,
                    "failed_at": row.throttling_failure_timestamp,
                },
            )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_one_second_factor"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]

    operations = [migrations.RunPython(copy, migrations.RunPython.noop, elidable=True)]
