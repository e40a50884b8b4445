from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from secrets_app.api.permissions import Access
from secrets_app.api.schema import ITEM_ID, operation, problems
from secrets_app.api.serializers.audit import (
    AuditEventListSerializer,
    AuditEventSerializer,
    AuditProofSerializer,
    EventCursorField,
    EventsQuerySerializer,
    VerificationSerializer,
    VerifyQuerySerializer,
)
from secrets_app.api.serializers.queries import query_of
from secrets_app.api.views.base import ApiViewSet
from secrets_app.services.audit import EventQuery, list_events, prove_event, verify_on_request
from secrets_app.services.audit.content import SCHEME


class AuditViewSet(ApiViewSet):
    tag = "Audit"
    access = {
        "list": Access.SIGNED_IN,
        "verify": Access.SIGNED_IN,
        "prove": Access.SIGNED_IN,
    }

    @operation(
        summary="List audit events",
        parameters=[EventsQuerySerializer],
        responses={200: AuditEventListSerializer} | problems(400, 401, 500),
    )
    def list(self, request: Request) -> Response:
        """List, newest first, events of vaults that the caller owns and its own. An auditor gets all."""
        wanted = EventQuery(**query_of(request, EventsQuerySerializer))
        page = list_events(caller=self.caller, wanted=wanted)
        body: dict[str, Any] = {
            "events": AuditEventSerializer(page.events, many=True).data,
            "count": len(page.events),
        }
        if page.after is not None:
            body["next_cursor"] = EventCursorField.encode(page.after)
        return Response(body)

    @operation(
        summary="Verify the audit log",
        parameters=[VerifyQuerySerializer],
        responses={200: VerificationSerializer} | problems(400, 401, 403, 500),
    )
    def verify(self, request: Request) -> Response:
        """Compute every MAC, tree, link and signature again, or those of the time asked for.

        One at a time in each process. Whoever is not an auditor is refused when the log is long.
        """
        query = query_of(request, VerifyQuerySerializer)
        report, checkpoint = verify_on_request(
            caller=self.caller, since=query.get("since"), until=query.get("until")
        )
        body = {
            "chain_valid": report.is_valid,
            "events_verified": report.verified,
            "events_checked": report.checked,
            "scheme": SCHEME,
            "broken_at_event_id": None,
        }
        if report.findings:
            first = report.findings[0]
            body["problem"] = f"{first.what} {first.id} {first.problem}"
            if first.what == "event":
                body["broken_at_event_id"] = first.id
            elif first.what == "seal":
                body["broken_at_seal"] = int(first.id)
        if checkpoint is not None:
            body["checkpoint"] = checkpoint.to_dict()
        return Response(body)

    @operation(
        summary="Prove that an event is in the log",
        parameters=[ITEM_ID],
        responses={200: AuditProofSerializer} | problems(400, 401, 404, 409, 500),
    )
    def prove(self, request: Request, item_id: UUID) -> Response:
        """Checked with nothing but the public key; docs/audit.md has a script. 409 until it is sealed."""
        return Response(prove_event(caller=self.caller, event_id=item_id))
