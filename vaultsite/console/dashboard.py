"""Show the admin's first page: activity, secrets that expire soon or are never read, old keys.

Each panel is shown to those who may see the list behind it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from secrets_app.conf import app_settings
from secrets_app.services.audit import seal_lag
from secrets_app.services.operations.overview import inventory as stored
from secrets_app.services.operations.overview.activity import Span, activity, most_read
from vaultsite.console.charts import HEIGHT, WIDTH, Chart, bars

# The choices above the charts: name, number of spans, length of each.
WINDOWS = {
    "day": ("24 hours", 24, timedelta(hours=1)),
    "week": ("7 days", 28, timedelta(hours=6)),
    "month": ("30 days", 30, timedelta(days=1)),
}
ROWS = 8
AGES = [30, 90]
# No list says more than that there are this many.
_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Figure:
    """A number at the top of the page. `level`: calm, warn or alarm."""

    label: str
    value: str
    url: str
    level: str = "calm"


@dataclass(frozen=True, slots=True)
class Row:
    text: str
    note: str
    url: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the page. `url` leads to the whole list."""

    title: str
    url: str
    rows: list[Row]
    empty: str


@dataclass(frozen=True, slots=True)
class Ages:
    """Numbers of keys by age."""

    title: str
    parts: list[tuple[str, int, str]]

    @property
    def shares(self) -> list[tuple[float, float]]:
        """Return start and width of each part, in percent."""
        whole = sum(count for _, count, _ in self.parts) or 1
        ends = list(accumulate(100 * count / whole for _, count, _ in self.parts))
        return [
            (round(begin, 1), round(end - begin, 1))
            for begin, end in zip([0.0, *ends], ends, strict=False)
        ]


def add_overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the first page's template shows. django-unfold calls this."""
    may = request.user.has_perm
    chosen = request.GET.get("window", "day")
    window = chosen if chosen in WINDOWS else "day"
    context |= {
        "chart_width": WIDTH,
        "chart_height": HEIGHT,
        "windows": [
            (f"?window={name}", label, name == window) for name, (label, _, _) in WINDOWS.items()
        ],
        "figures": [],
        "charts": [],
        "panels": [],
        "ages": [],
    }
    if may("secrets_app.view_secret") and may("secrets_app.view_secretversion"):
        _add_secrets(context)
    if may("secrets_app.view_vaultkey") and may("secrets_app.view_apikey"):
        _add_keys(context)
    if may("secrets_app.view_auditevent"):
        _add_activity(context, window)
    return context


def list_url(model: str, **query: Any) -> str:
    """Return the URL of a filtered list of the admin."""
    url = reverse(f"admin:secrets_app_{model}_changelist")
    return f"{url}?{urlencode(query)}" if query else url


def _row_url(model: str, pk: object) -> str:
    return reverse(f"admin:secrets_app_{model}_change", args=[pk])


def _add_secrets(context: dict[str, Any]) -> None:
    now = timezone.now()
    soon = stored.expiring(after=now, before=now + timedelta(days=7))
    context["figures"] += [
        _count("Expire within 7 days", soon, list_url("secret", expires="week"), "warn"),
        _count(
            "Expired",
            stored.expiring(after=None, before=now),
            list_url("secret", expires="expired", state="living"),
            "warn",
        ),
    ]
    context["panels"] += [
        Panel(
            "Expiring soon",
            list_url("secret", expires="week"),
            [
                Row(
                    version.secret.path,
                    f"{version.secret.vault.name} · in {_in(version.expires_at - now)}",
                    _row_url("secret", version.secret_id),
                )
                for version in soon[:ROWS]
                if version.expires_at is not None
            ],
            "Nothing expires within 7 days.",
        ),
        Panel(
            "Never read",
            list_url("secret", read="never", state="living"),
            [
                Row(
                    secret.path,
                    f"{secret.vault.name} · since {secret.created_at:%d %b %Y}",
                    _row_url("secret", secret.pk),
                )
                for secret in stored.oldest_unread(ROWS)
            ],
            f"Each of the {stored.LOOKED_AT:,} oldest secrets was read.",
        ),
    ]


def _add_keys(context: dict[str, Any]) -> None:
    kinds: list[tuple[str, str, Any, str]] = [
        ("Vault keys", "vaultkey", stored.vault_keys_in_use(), "state__exact=active"),
        ("API keys", "apikey", stored.api_keys_in_use(), "state=valid"),
    ]
    labels = [("0-30", "up to 30 days"), ("30-90", "30 to 90 days"), ("90", "older than 90 days")]
    old, old_urls = 0, []
    for title, model, keys, state in kinds:
        counts = stored.by_age(keys, AGES)
        urls = [f"{list_url(model, age=age)}&{state}" for age, _ in labels]
        parts = [
            (label, count, url) for (_, label), count, url in zip(labels, counts, urls, strict=True)
        ]
        context["ages"].append(Ages(title, parts))
        old += counts[-1]
        if counts[-1]:
            old_urls.append(urls[-1])
    url = next(iter(old_urls), list_url("vaultkey", age="90"))
    context["figures"].append(
        Figure("Keys older than 90 days", f"{old:,}", url, "warn" if old else "calm")
    )


def _add_activity(context: dict[str, Any], window: str) -> None:
    label, count, each = WINDOWS[window]
    spans = activity(spans=count, each=each)
    whole = _span(spans[0], spans[-1])
    kinds: list[tuple[str, str, Callable[[Span], int]]] = [
        ("Reads", "reads", lambda span: span.reads),
        ("Writes", "writes", lambda span: span.writes),
        ("Denials", "denials", lambda span: span.denials),
    ]
    for title, kind, of in kinds:
        values = [of(span) for span in spans]
        drawn = bars(
            values,
            [
                f"{span.start:%d %b %H:%M}: {value:,}"
                for span, value in zip(spans, values, strict=True)
            ],
            [list_url("auditevent", what=kind, when=_span(span, span)) for span in spans],
        )
        context["charts"].append(
            Chart(
                title,
                kind,
                sum(values),
                list_url("auditevent", what=kind, when=whole),
                max(values),
                drawn,
                f"{spans[0].start:%d %b %H:%M}",
                "now",
            )
        )
    failed = sum(span.failed_sign_ins for span in spans)
    lag, alarm = seal_lag(), app_settings.AUDIT_SEAL_ALARM
    context["figures"] += [
        Figure(
            f"Failed sign-ins in {label}",
            f"{failed:,}",
            list_url("auditevent", what="failed-sign-ins", when=whole),
            "warn" if failed else "calm",
        ),
        Figure(
            "Seal lag",
            _in(timedelta(seconds=lag)),
            list_url("auditevent", seal_number__isnull=True),
            "alarm" if alarm and lag > alarm else "calm",
        ),
    ]
    context["panels"].append(
        Panel(
            f"Most read in {label}",
            list_url("auditevent", what="reads", when=whole),
            [
                Row(
                    secret.path,
                    f"{secret.vault.name} · {reads:,} reads",
                    list_url("auditevent", what="reads", when=whole, resource_id=secret.pk),
                )
                for secret, reads in most_read(since=spans[0].start, most=ROWS)
            ],
            "No secret was read.",
        )
    )


def _count(label: str, rows: Any, url: str, level: str) -> Figure:
    count = rows.order_by()[: _MOST + 1].count()
    value = f"{count:,}" if count <= _MOST else f"{_MOST:,}+"
    return Figure(label, value, url, level if count else "calm")


def _span(first: Span, last: Span) -> str:
    return f"{first.start.isoformat()}..{last.end.isoformat()}"


def _in(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
