"""Find the account of who comes from a provider, or make it.

An account belongs to an issuer and a subject there (django-allauth's `SocialAccount`). An address links to
an account once: when the provider has verified it, and is trusted for its domain. After that it does not
count, so whoever gets somebody's address later gets no account with it.
"""

from collections.abc import Callable

from allauth.socialaccount.models import SocialAccount
from django.db import IntegrityError, transaction

from secrets_app.services.audit import SUCCESS, Resource, record
from secrets_app.services.caller import Actor
from secrets_app.services.identity import principal_for_user
from vaultsite.accounts.invitations import accept_invitation
from vaultsite.accounts.models import User
from vaultsite.oidc.groups import refresh_groups
from vaultsite.oidc.id_token import Identity
from vaultsite.oidc.providers import Provider
from vaultsite.oidc.refused import SignInRefused


def person_of(identity: Identity, *, invitation: str, actor_for: Callable[[User], Actor]) -> User:
    """Return whose account it is, with their groups refreshed. All of it happens, or nothing.

    `invitation` is the digest of one that is accepted, or empty. Raises SignInRefused.
    """
    try:
        return _person(identity, invitation, actor_for)
    except IntegrityError:
        # The same person came twice at once; the other request has made the account.
        return _person(identity, invitation, actor_for)


def link(*, user: User, provider: Provider, subject: str, by: str, actor: Actor) -> None:
    """Let a subject of a provider sign in to an account. `by`: what proves that it may.

    To be called in a transaction. Raises django.db.IntegrityError when it has an account already.
    """
    SocialAccount.objects.create(user=user, provider=provider.issuer, uid=subject)
    resource = Resource("principal", principal_for_user(user).id)
    details = {"provider": provider.id, "by": by}
    record("auth.identity_add", SUCCESS, actor=actor, resource=resource, details=details)


@transaction.atomic
def _person(identity: Identity, invitation: str, actor_for: Callable[[User], Actor]) -> User:
    provider = identity.provider
    known = (
        SocialAccount.objects.select_related("user")
        .filter(provider=provider.issuer, uid=identity.subject)
        .first()
    )
    if known is not None:
        if invitation:
            raise SignInRefused("already_linked", known.user)
        user: User = known.user
    elif invitation:
        user = _invited(identity, invitation, actor_for)
    else:
        user = _by_address(identity, actor_for)
    if not user.is_active:
        raise SignInRefused("inactive", user)
    refresh_groups(user=user, provider=provider, names=identity.groups, actor=actor_for(user))
    return user


def _invited(identity: Identity, invitation: str, actor_for: Callable[[User], Actor]) -> User:
    user = accept_invitation(
        digest=invitation, password=None, display_name=identity.name, actor_for=actor_for
    )
    if user is None:
        raise SignInRefused("bad_invitation")
    link(
        user=user,
        provider=identity.provider,
        subject=identity.subject,
        by="invitation",
        actor=actor_for(user),
    )
    return user


def _by_address(identity: Identity, actor_for: Callable[[User], Actor]) -> User:
    provider = identity.provider
    if identity.email is None:
        raise SignInRefused("unknown_person")
    # Locked, so that two subjects with one address cannot both be linked.
    user = User.objects.select_for_update().filter(email=identity.email).first()
    if user is None:
        if not provider.provisions:
            raise SignInRefused("unknown_person")
        user = _provision(identity, identity.email, actor_for)
    elif not user.is_active:
        raise SignInRefused("inactive", user)
    elif SocialAccount.objects.filter(user=user, provider=provider.issuer).exists():
        # The address has gone over to somebody else at the provider.
        raise SignInRefused("address_of_another", user)
    link(
        user=user,
        provider=provider,
        subject=identity.subject,
        by="address",
        actor=actor_for(user),
    )
    return user


def _provision(identity: Identity, email: str, actor_for: Callable[[User], Actor]) -> User:
    user = User(email=email, display_name=identity.name)
    user.set_unusable_password()
    user.save(force_insert=True)
    resource = Resource("principal", principal_for_user(user).id)
    details = {"provider": identity.provider.id}
    record("user.create", SUCCESS, actor=actor_for(user), resource=resource, details=details)
    return user
