"""Sign-in sessions of people: begin one, go on with it, see one's own, and end them (wire contract, E).

A session is what follows from one sign-in: access tokens, which last for minutes, and a refresh token that
gets the next one. It ends `USER_SESSION_TTL` seconds after the sign-in at the latest, whatever happens in
between. Its end is a row that each request looks for along with the revocation of its token, so it holds
from the next request on, in every process.

A refresh token is for one use. One that comes back was copied, and nobody can tell who has the copy: the
session ends (RFC 9700, 4.14.2). There is no grace for a client that lost the answer (ADR 53).
"""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.errors import InvalidInput, NotFound, Unauthenticated
from secrets_app.metrics import auth_failures
from secrets_app.models import Principal, RevokedToken, SignInSession
from secrets_app.models.session import ADDRESS_CHARS
from secrets_app.services.access.active import why_inactive
from secrets_app.services.access.refusals import refuse_as_unknown
from secrets_app.services.audit import FAILURE, SUCCESS, Resource, record
from secrets_app.services.caller import Actor, Caller, Claims
from secrets_app.services.identity.digests import digest_of
from secrets_app.services.identity.factors import second_factors
from secrets_app.services.identity.sign_in_events import acting_as, record_success, refuse
from secrets_app.services.identity.tokens import IssuedToken, issue_token, revoke_token

REFRESH_PREFIX = "1rt_"
_HANDLE_BYTES, _SECRET_BYTES = 16, 32
_HANDLE_CHARS, _SECRET_CHARS = 22, 43  # of base64 without padding


def start_session(
    *,
    principal: Principal,
    method: str,
    actor: Actor,
    second_factor: bool = False,
    client: str = "",
    since: datetime | None = None,
    generation: int | None = None,
    note: Callable[[], None] = lambda: None,
) -> IssuedToken:
    """Begin a session for a person who has proved who they are, and return its first tokens.

    Every way to sign in ends here, once all that it asks for is right. `method` is how, a code for the
    audit log; `second_factor` whether one was passed; `client` what a device calls itself. `since` and
    `generation` are for a sign-in that took place a while ago: when, and the token generation of then.
    `note` is called in the transaction of the event. `principal` is read with its `user`.

    Raises Unauthenticated, with an event, for a principal that may not sign in, and TooManyRequests.
    """
    now = timezone.now()
    since = since or now
    reason = why_inactive(principal, now=now)
    if reason is not None:
        refuse(method, reason, principal, actor)
    if generation is not None:
        principal.token_generation = generation  # when all were ended since, these are ended too
    end = since + timedelta(seconds=app_settings.USER_SESSION_TTL)
    handle, secret = secrets.token_urlsafe(_HANDLE_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    session = SignInSession(
        principal=principal,
        method=method,
        second_factor=second_factor,
        client=client,
        address=(actor.address or "")[:ADDRESS_CHARS],
        token_generation=principal.token_generation,
        handle_digest=digest_of(handle),
        refresh_digest=digest_of(secret),
        created_at=since,
        last_used_at=now,
        expires_at=min(end, principal.expires_at or end),
    )
    with transaction.atomic():
        session.save(force_insert=True)
        note()
        record_success(method, principal, actor)
    return _issue(session, handle + secret)


def refresh_session(*, refresh_token: str, actor: Actor) -> IssuedToken:
    """Exchange a refresh token for an access token and the next refresh token, once.

    Raises Unauthenticated, the same for every reason, with an event, and TooManyRequests. A token that was
    used before ends its session first.
    """
    handle, secret = _parts(refresh_token)
    now = timezone.now()
    sessions = SignInSession.objects.select_related("principal__user")
    session = sessions.filter(handle_digest=digest_of(handle)).first() if handle else None
    if session is None:
        refuse("refresh", "unknown_token", None, actor)
    principal = session.principal
    reason = _why_over(session, now)
    if reason is not None:
        end_session(session=session, reason=reason, actor=acting_as(principal, actor))
        refuse("refresh", reason, principal, actor)
    following = secrets.token_urlsafe(_SECRET_BYTES)
    living = SignInSession.objects.filter(pk=session.pk, ended_at__isnull=True)
    actor, is_living = acting_as(principal, actor), True
    with transaction.atomic():
        # Of two at once the second waits here, and finds another digest.
        is_first = living.filter(refresh_digest=digest_of(secret)).update(
            refresh_digest=digest_of(following), rotated_at=now, last_used_at=now
        )
        if is_first:
            _record_refresh(session, actor)
        else:
            # Locked, so that of many at once one ends it, and the others find it ended.
            is_living = bool(living.select_for_update(no_key=True))
            if is_living:
                _end_for_reuse(session, actor)
    if not is_living:
        refuse("refresh", "ended_session", principal, actor)
    if not is_first:
        raise Unauthenticated("refresh_reused")
    return _issue(session, handle + following)


def refresh_by_access_token(*, caller: Caller) -> IssuedToken:
    """A fresh access token of the same session, for clients that keep no refresh token.

    It gives no refresh token and moves no end. Once a session's refresh token was used, the session goes on
    by that alone: who uses them has no need of this, and a stolen access token is good for no other.
    Raises InvalidInput where the caller's credential is no access token of such a session.
    """
    claims = caller.claims
    if claims is None or claims.session is None or claims.parent is not None:
        message = (
            "Send a refresh token: only a token of a person's sign-in is refreshed without one."
        )
        raise InvalidInput({"refresh_token": [message]})
    now = timezone.now()
    with transaction.atomic():
        sessions = SignInSession.objects.select_related("principal__user").select_for_update(
            of=("self",)
        )
        session = sessions.filter(pk=claims.session).first()
        if session is None or _is_over(session, now):
            raise Unauthenticated("ended_session")
        if session.rotated_at is not None:
            message = "This session goes on by its refresh token. Send the latest one."
            raise InvalidInput({"refresh_token": [message]})
        SignInSession.objects.filter(pk=session.pk).update(last_used_at=now)
        _record_refresh(session, caller.actor)
    return _issue(session, None)


def list_sessions(*, principal_id: UUID) -> QuerySet[SignInSession]:
    """A person's sessions that have not ended, newest first."""
    living = SignInSession.objects.living().filter(principal_id=principal_id)
    return living.order_by("-created_at", "-id")


def end_session_by_id(*, session_id: UUID, principal_id: UUID | None, actor: Actor) -> None:
    """End a session with all its tokens. To repeat this is no error.

    `principal_id` None is for operators: anybody's session. Raises NotFound; for somebody else's with an
    event.
    """
    detail = "There is no such session."
    session = SignInSession.objects.filter(pk=session_id).first()
    if session is not None and principal_id in (None, session.principal_id):
        end_session(session=session, reason="ended", actor=actor)
        return
    if session is None:
        raise NotFound(detail)
    resource = Resource("session", session_id)
    refuse_as_unknown("auth.session_end", actor=actor, resource=resource, detail=detail)


def sign_out(*, claims: Claims, actor: Actor) -> None:
    """End a token at once, and the session that it is of. To repeat this is no error.

    A token that was made from a token is for a part of a job, and ends alone.
    """
    with transaction.atomic():
        revoke_token(claims=claims, actor=actor)
        if claims.session is not None and claims.parent is None:
            session = SignInSession.objects.filter(pk=claims.session).first()
            if session is not None:
                end_session(session=session, reason="signed_out", actor=actor)


def end_session(*, session: SignInSession, reason: str, actor: Actor) -> None:
    """End a session and its tokens, unless that was done before. `reason` is a code for the audit log."""
    with transaction.atomic():
        living = SignInSession.objects.filter(pk=session.pk, ended_at__isnull=True)
        if not living.update(ended_at=timezone.now()):
            return
        RevokedToken.objects.bulk_create(
            [
                RevokedToken(
                    jti=str(session.pk),
                    principal_id=session.principal_id,
                    expires_at=session.expires_at,
                )
            ],
            ignore_conflicts=True,
        )
        resource = Resource("session", session.pk)
        record(
            "auth.session_end", SUCCESS, actor=actor, resource=resource, details={"reason": reason}
        )


def _why_over(session: SignInSession, now: datetime) -> str | None:
    if session.ended_at is not None:
        return "ended_session"
    if session.expires_at <= now:
        return "expired_session"
    if session.token_generation != session.principal.token_generation:
        return "revoked_token"
    if _lacks_factor(session):
        return "no_second_factor"
    return why_inactive(session.principal, now=now)


def _lacks_factor(session: SignInSession) -> bool:
    """Tell whether the person has a second factor by now that this session has not passed. Setting one up
    ends such sessions; what was just beginning at that moment is ended here."""
    return not session.second_factor and second_factors().is_asked(session.principal.user)


def _is_over(session: SignInSession, now: datetime) -> bool:
    return session.ended_at is not None or session.expires_at <= now or _lacks_factor(session)


def _end_for_reuse(session: SignInSession, actor: Actor) -> None:
    auth_failures("refresh").inc()
    resource = Resource("session", session.pk)
    record("auth.refresh_reused", FAILURE, actor=actor, resource=resource)
    end_session(session=session, reason="refresh_reused", actor=actor)


def _record_refresh(session: SignInSession, actor: Actor) -> None:
    record("auth.refresh", SUCCESS, actor=actor, resource=Resource("session", session.pk))


def _issue(session: SignInSession, refresh: str | None) -> IssuedToken:
    principal = session.principal
    # As the session has it: when all were ended since, the new token is ended too.
    principal.token_generation = session.token_generation
    issued = issue_token(
        principal=principal,
        api_key=None,
        lifetime_s=app_settings.USER_TOKEN_TTL,
        session_id=session.pk,
        ends_at=session.expires_at,
    )
    if refresh is None:
        return issued
    return IssuedToken(issued.access_token, issued.expires_in, REFRESH_PREFIX + refresh)


def _parts(refresh_token: str) -> tuple[str, str]:
    """Handle and secret of what looks like a refresh token, else nothing."""
    body = refresh_token.removeprefix(REFRESH_PREFIX)
    if body == refresh_token or len(body) != _HANDLE_CHARS + _SECRET_CHARS:
        return "", ""
    return body[:_HANDLE_CHARS], body[_HANDLE_CHARS:]
