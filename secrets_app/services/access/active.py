"""Tell whether a principal may sign in and act at all."""

from datetime import datetime

from secrets_app.models import Principal

# What `why_inactive` looks at, for `select_related`.
WITH_OWNER = ("user", "agent__owner__user")


def why_inactive(principal: Principal, *, now: datetime) -> str | None:
    """Return why a principal may neither sign in nor act; None when it may. For an agent, its owner must
    too.

    Wants `WITH_OWNER` selected. `services.identity.identification` says the same of a row.
    """
    if not principal.is_active or (principal.user is not None and not principal.user.is_active):
        return "inactive"
    if principal.expires_at is not None and principal.expires_at <= now:
        return "expired_principal"
    if principal.kind == Principal.Kind.AGENT:
        agent = getattr(principal, "agent", None)
        if agent is None or why_inactive(agent.owner, now=now) is not None:
            return "inactive_owner"
    return None
