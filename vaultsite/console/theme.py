"""django-unfold's settings: names, colours, and the way through the admin."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _page(
    title: str, icon: str, model: str, app: str = "secrets_app", permission: str = ""
) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": _may_see(permission or f"{app}.view_{model}"),
    }


def _style(_: HttpRequest) -> str:
    return static("console/console.css")


def _icon(_: HttpRequest) -> str:
    return static("console/icon.svg")


def _may_see(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)


# Heading → its lists: title, icon, model, and if they are others its app and the permission to see it.
_LISTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "Secrets": (
        ("Vaults", "inventory_2", "vault"),
        ("Secrets", "key_vertical", "secret"),
        ("Versions", "history", "secretversion"),
        ("Policies", "policy", "policy"),
    ),
    "Who": (
        ("Principals", "badge", "principal"),
        ("Agents", "smart_toy", "agent"),
        ("People", "person", "user", "accounts"),
        ("Groups", "group", "group", "auth"),
        ("Web sessions", "devices", "usersession", "usersessions", "accounts.view_user"),
    ),
    "Keys": (
        ("API keys", "vpn_key", "apikey"),
        ("Vault keys", "enhanced_encryption", "vaultkey"),
        ("Audit keys", "verified_user", "auditkey"),
        ("Ended tokens", "block", "revokedtoken"),
    ),
    "Audit log": (
        ("Events", "receipt_long", "auditevent"),
        ("Seals", "approval", "auditseal"),
        ("Kept answers", "replay", "idempotencykey"),
    ),
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Vaultsite",
    "SITE_HEADER": "Vaultsite",
    "SITE_SUBHEADER": "Metadata, never a value",
    "SITE_SYMBOL": "encrypted",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    # Django's own history of rows is empty here; the audit log has it all.
    "SHOW_HISTORY": False,
    "BORDER_RADIUS": "8px",
    "STYLES": [_style],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _icon}],
    "DASHBOARD_CALLBACK": "vaultsite.console.dashboard.add_overview",
    "ACCOUNT": {
        "navigation": [
            {"title": "Your account", "link": reverse_lazy("account"), "icon": "person"},
            {"title": "Second factor", "link": reverse_lazy("mfa_index"), "icon": "password"},
        ],
    },
    "COLORS": {
        "primary": {
            "50": "oklch(96.9% .016 245)",
            "100": "oklch(93.2% .032 245)",
            "200": "oklch(88.2% .059 245)",
            "300": "oklch(80.9% .105 245)",
            "400": "oklch(70.7% .15 248)",
            "500": "oklch(62.3% .17 250)",
            "600": "oklch(54.6% .17 252)",
            "700": "oklch(48.8% .16 254)",
            "800": "oklch(42.4% .14 256)",
            "900": "oklch(37.9% .11 257)",
            "950": "oklch(28.2% .08 258)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "navigation": [
            {
                "items": [
                    {
                        "title": "Overview",
                        "icon": "monitoring",
                        "link": reverse_lazy("admin:index"),
                    },
                ],
            },
            *(
                {"title": title, "separator": True, "items": [_page(*page) for page in pages]}
                for title, pages in _LISTS.items()
            ),
        ],
    },
}
