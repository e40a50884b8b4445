"""Offer the date drill-down of long lists."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Max, Min, QuerySet
from django.utils import timezone


class Calendar(QuerySet[Any]):
    """Answers the drill-down with all dates between the first and the last row.

    Otherwise Django reads each row for its date.
    """

    def datetimes(  # type: ignore[override]
        self, field_name: str, kind: str, order: str = "ASC", tzinfo: Any = None
    ) -> list[datetime]:
        ends = self.aggregate(first=Min(field_name), last=Max(field_name))
        if ends["first"] is None:
            return []
        first, last = timezone.localdate(ends["first"]), timezone.localdate(ends["last"])
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        months = 1 if kind == "year" else None
        begins = {
            day.replace(month=months or day.month, day=day.day if kind == "day" else 1)
            for day in days
        }
        return [midnight(day) for day in sorted(begins)]


class RisingCalendar(Calendar):
    """Does the same for rows whose ids rise with time, by the first and the last id.

    With a filter, a walk down the times might pass every row before it finds the first.
    """

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if kwargs.keys() != {"first", "last"}:
            return super().aggregate(*args, **kwargs)
        (field,) = kwargs["first"].source_expressions
        times = self.values_list(field.name, flat=True)
        return {"first": times.order_by("pk").first(), "last": times.order_by("-pk").first()}


def midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
