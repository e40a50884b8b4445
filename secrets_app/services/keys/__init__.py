"""Rotate, rewrap, verify, count and watch keys: what operators do with them.

`services/sealing` provides the keys that are in use.
"""

from secrets_app.services.keys.health import provider_status
from secrets_app.services.keys.inventory import Inventory, note_inventory, take_inventory
from secrets_app.services.keys.kek_rotation import (
    Rotated,
    plan_rotation,
    rotate_vault,
    vaults_with_retired_keys,
)
from secrets_app.services.keys.root_rotation import count_rewrappable, create_root_key, rotate_root
from secrets_app.services.keys.signing_key_rotation import rotate_signing_key
from secrets_app.services.keys.verify import Finding, check_everything, count_checks, note_check

__all__ = [
    "Finding",
    "Inventory",
    "Rotated",
    "check_everything",
    "count_checks",
    "count_rewrappable",
    "create_root_key",
    "note_check",
    "note_inventory",
    "plan_rotation",
    "provider_status",
    "rotate_root",
    "rotate_signing_key",
    "rotate_vault",
    "take_inventory",
    "vaults_with_retired_keys",
]
