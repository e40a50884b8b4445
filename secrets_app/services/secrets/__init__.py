"""Write, list, look up, delete, restore and purge secrets; manage vaults.

Functions that reveal values are not named here but imported from `reveal` (one secret) and `batch_read`
(many). So the import contracts see who reveals values: the admin must not.
"""

from secrets_app.services.secrets.batch_write import BatchItem, authorize_many, write_many
from secrets_app.services.secrets.cursors import MAX_CURSOR_CHARS, NOT_A_CURSOR
from secrets_app.services.secrets.generate import (
    CHARSETS,
    DEFAULT_LENGTH,
    MAX_LENGTH,
    MIN_LENGTH,
    Recipe,
    rotate_secret,
)
from secrets_app.services.secrets.history import (
    History,
    secret_history,
    type_at,
    unavailable_version,
)
from secrets_app.services.secrets.importing import OnConflict, Plan, import_secrets, plan_import
from secrets_app.services.secrets.levels import list_level
from secrets_app.services.secrets.lifecycle import (
    delete_secret,
    disable_any_version,
    disable_version,
    purge_secret,
    undelete_secret,
)
from secrets_app.services.secrets.listing import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    ListQuery,
    list_secrets,
    list_versions,
)
from secrets_app.services.secrets.lookup import describe_secret
from secrets_app.services.secrets.mounts import identify_at, list_mounts
from secrets_app.services.secrets.preconditions import Precondition
from secrets_app.services.secrets.purge import count_purgeable, purge_deleted
from secrets_app.services.secrets.secret_settings import (
    MAX_NOTES,
    MAX_VERSIONS_BOUND,
    Settings,
    change_settings,
    check_settings,
    get_settings,
    read_settings,
)
from secrets_app.services.secrets.vaults import create_vault, delete_vault, get_vault, list_vaults
from secrets_app.services.secrets.version_marks import (
    destroy_versions,
    disable_versions,
    enable_versions,
)
from secrets_app.services.secrets.write import NewVersion, write_secret

__all__ = [
    "CHARSETS",
    "DEFAULT_LENGTH",
    "DEFAULT_LIMIT",
    "MAX_CURSOR_CHARS",
    "MAX_LENGTH",
    "MAX_LIMIT",
    "MAX_NOTES",
    "MAX_VERSIONS_BOUND",
    "MIN_LENGTH",
    "NOT_A_CURSOR",
    "BatchItem",
    "History",
    "ListQuery",
    "NewVersion",
    "OnConflict",
    "Plan",
    "Precondition",
    "Recipe",
    "Settings",
    "authorize_many",
    "change_settings",
    "check_settings",
    "count_purgeable",
    "create_vault",
    "delete_secret",
    "delete_vault",
    "describe_secret",
    "destroy_versions",
    "disable_any_version",
    "disable_version",
    "disable_versions",
    "enable_versions",
    "get_settings",
    "get_vault",
    "identify_at",
    "import_secrets",
    "list_level",
    "list_mounts",
    "list_secrets",
    "list_vaults",
    "list_versions",
    "plan_import",
    "purge_deleted",
    "purge_secret",
    "read_settings",
    "rotate_secret",
    "secret_history",
    "type_at",
    "unavailable_version",
    "undelete_secret",
    "write_many",
    "write_secret",
]
