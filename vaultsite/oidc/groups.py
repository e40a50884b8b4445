"""Keep a person's groups as their provider says.

Only memberships that a provider gave are taken away again. Those that an operator gave stay.
"""

import logging
from typing import Any

from django.contrib.auth.models import Group

from secrets_app.services.audit import SUCCESS, Event, Resource, record_all
from secrets_app.services.caller import Actor
from secrets_app.services.identity import principal_for_user
from vaultsite.accounts.models import ProviderGroup, User
from vaultsite.oidc.providers import MAX_GROUP_CHARS, Provider
from vaultsite.oidc.refused import SignInRefused

MOST_GROUPS = 500

logger = logging.getLogger(__name__)


def groups_of(claims: dict[str, Any], provider: Provider) -> frozenset[str]:
    """Return the names of groups here that the claims give: those of the map, and those with the prefix.

    A provider's group that is neither mapped nor prefixed gives nothing, whatever it is called. What the
    map leads to is given by the map alone. No claim is no group. Raises SignInRefused where the claim is
    no list of texts, or of more than 500.
    """
    if not provider.groups_claim:
        return frozenset()
    listed = claims.get(provider.groups_claim, [])
    if not isinstance(listed, list) or len(listed) > MOST_GROUPS:
        raise SignInRefused("bad_groups")
    names, mapped = set(), dict(provider.group_map)
    ours = set(mapped.values())
    for theirs in listed:
        if not isinstance(theirs, str):
            raise SignInRefused("bad_groups")
        if theirs in mapped:
            names.add(mapped[theirs])
        elif provider.group_prefix and theirs and provider.group_prefix + theirs not in ours:
            names.add(provider.group_prefix + theirs)
    return frozenset(n for n in names if len(n) <= MAX_GROUP_CHARS and n.isprintable())


def refresh_groups(*, user: User, provider: Provider, names: frozenset[str], actor: Actor) -> None:
    """Let a person be in exactly these groups by this provider. Each change leaves an event.

    A group that grants something in the admin is given only where the map names it: a provider whose
    people name groups themselves must not hand out roles. To be called in a transaction.
    """
    given = {
        row.group: row
        for row in ProviderGroup.objects.select_related("group").filter(
            user=user, issuer=provider.issuer
        )
    }
    wanted = _groups(provider, names)
    events = [_take(user, row, provider) for group, row in given.items() if group not in wanted]
    events += [_give(user, group, provider) for group in wanted if group not in given]
    changes = [event for event in events if event is not None]
    if changes:
        record_all(changes, actor=actor)


def _groups(provider: Provider, names: frozenset[str]) -> set[Group]:
    mapped = {ours for _, ours in provider.group_map}
    there = {each.name: each for each in Group.objects.filter(name__in=names)}
    with_rights = set(
        Group.objects.filter(name__in=names, permissions__isnull=False).values_list(
            "name", flat=True
        )
    )
    refused = with_rights - mapped
    if refused:
        logger.warning(
            "groups of the provider %s grant rights here and are not in its map: %d left out",
            provider.id,
            len(refused),
        )
    return {
        there.get(name) or Group.objects.get_or_create(name=name)[0]
        for name in sorted(names - refused)
    }


def _give(user: User, group: Group, provider: Provider) -> Event | None:
    others = ProviderGroup.objects.filter(user=user, group=group).exists()
    is_member = user.groups.filter(pk=group.pk).exists()
    if is_member and not others:
        return None  # an operator's, who alone takes it away
    ProviderGroup.objects.create(user=user, group=group, issuer=provider.issuer)
    user.groups.add(group)
    return None if is_member else _event("group.add", user, group, provider)


def _take(user: User, row: ProviderGroup, provider: Provider) -> Event | None:
    group = row.group
    row.delete()
    if ProviderGroup.objects.filter(user=user, group=group).exists():
        return None  # another provider's as well
    if not user.groups.filter(pk=group.pk).exists():
        return None
    user.groups.remove(group)
    return _event("group.remove", user, group, provider)


def _event(action: str, user: User, group: Group, provider: Provider) -> Event:
    resource = Resource("principal", principal_for_user(user).id)
    return Event(action, SUCCESS, resource, {"group": group.name, "provider": provider.id})
