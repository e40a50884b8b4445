"""Routes of the Vault door (kv2.md), to be included below a prefix such as `vault/`."""

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path

from secrets_app.models.request_state import Fetch
from secrets_app.policy.decision import Permission
from secrets_app.vault_api import shapes
from secrets_app.vault_api.answers import UNSUPPORTED_PATH, refusal
from secrets_app.vault_api.door import Access, Action, Call, Route
from secrets_app.vault_api.openapi import document
from secrets_app.vault_api.views import data, metadata, signing_in, system

app_name = "vault_api"

# Any text, so that a path that breaks the rule is a 400 and not an unknown route.
_MOUNT, _PATH = r"^v1/(?P<mount>[^/]+)", r"(?P<path>[\s\S]*)\Z"

DATA = Route(
    "/{mount}/data/{path}",
    GET=Action(
        act=data.read,
        access=Permission.READ,
        fetch=Fetch.CURRENT,
        summary="Read a version",
        query=shapes.VERSION,
    ),
    PUT=Action(
        act=data.write,
        access=Permission.WRITE,
        fetch=Fetch.NEXT,
        summary="Write the next version",
        body=shapes.DATA,
        has_long_body=True,
    ),
    PATCH=Action(
        act=data.patch,
        access=Permission.WRITE,
        # Its answers tell of the value: how large it is, and what its members are.
        also=Permission.READ,
        summary="Change a part of the current version",
        body=shapes.DATA,
        has_long_body=True,
    ),
    DELETE=Action(
        act=data.delete, access=Permission.DELETE, summary="Soft-delete the current version"
    ),
)
METADATA = Route(
    "/{mount}/metadata/{path}",
    GET=Action(act=metadata.read, access=Permission.READ, summary="Versions and settings"),
    LIST=Action(act=metadata.list_keys, access=Access.MEMBER, summary="List one level"),
    PUT=Action(
        act=metadata.write,
        access=Permission.WRITE,
        summary="Set what the body names",
        body=shapes.SETTINGS,
        has_long_body=True,
    ),
    PATCH=Action(
        act=metadata.patch,
        access=Permission.WRITE,
        summary="Set, with notes merged",
        body=shapes.SETTINGS,
        has_long_body=True,
    ),
    DELETE=Action(
        act=metadata.purge,
        access=Access.OWNER,
        event="secret.purge",
        summary="Destroy a secret for good",
    ),
)
TOP = Route(
    "/{mount}/metadata",
    LIST=Action(act=metadata.list_keys, access=Access.MEMBER, summary="List the top level"),
)
SUBKEYS = Route(
    "/{mount}/subkeys/{path}",
    GET=Action(
        act=data.subkeys,
        access=Permission.READ,
        fetch=Fetch.CURRENT,
        summary="The keys of a version",
        query=shapes.VERSION | shapes.DEPTH,
    ),
)
DELETE = Route(
    "/{mount}/delete/{path}",
    PUT=Action(
        act=data.delete_versions,
        access=Permission.DELETE,
        summary="Soft-delete versions",
        body=shapes.VERSIONS,
    ),
)
UNDELETE = Route(
    "/{mount}/undelete/{path}",
    PUT=Action(
        act=data.undelete,
        access=Permission.WRITE,
        summary="Bring versions back",
        body=shapes.VERSIONS,
    ),
)
DESTROY = Route(
    "/{mount}/destroy/{path}",
    PUT=Action(
        act=data.destroy,
        access=Access.OWNER,
        event="secret.destroy",
        summary="Destroy versions for good",
        body=shapes.VERSIONS,
    ),
)
CONFIG = Route(
    "/{mount}/config",
    GET=Action(act=metadata.config, access=Access.MEMBER, summary="Defaults of the mount"),
    PUT=Action(act=metadata.refuse_config, access=Access.MEMBER, summary="Always refused", body={}),
)
APPROLE = Route(
    "/auth/approle/login",
    PUT=Action(
        act=signing_in.approle,
        access=Access.SIGN_IN,
        summary="Sign in as an agent",
        body=shapes.APPROLE,
    ),
)
USERPASS = Route(
    "/auth/userpass/login/{email}",
    PUT=Action(
        act=signing_in.userpass,
        access=Access.SIGN_IN,
        summary="Sign in as a person",
        body=shapes.USERPASS,
    ),
)
_JWT = Action(
    act=signing_in.jwt,
    access=Access.SIGN_IN,
    summary="Sign in as an agent, with a token of another issuer",
    body=shapes.JWT,
)
JWT, KUBERNETES = Route("/auth/jwt/login", PUT=_JWT), Route("/auth/kubernetes/login", PUT=_JWT)
OTHER_LOGIN = Route(
    "/auth/{method}/login",
    PUT=Action(
        act=signing_in.not_enabled, access=Access.PUBLIC, summary="Not enabled here", body={}
    ),
)
LOOKUP = Route(
    "/auth/token/lookup-self",
    GET=Action(act=signing_in.lookup_self, access=Access.SIGNED_IN, summary="What this token is"),
)
RENEW = Route(
    "/auth/token/renew-self",
    PUT=Action(
        act=signing_in.renew_self, access=Access.SIGNED_IN, summary="Always refused", body={}
    ),
)
CREATE = Route(
    "/auth/token/create",
    PUT=Action(
        act=signing_in.create,
        access=Access.SIGNED_IN,
        summary="A token that ends with this one",
        body=shapes.TOKEN,
    ),
)
REVOKE = Route(
    "/auth/token/revoke-self",
    PUT=Action(
        act=signing_in.revoke_self, access=Access.SIGNED_IN, summary="End this token", body={}
    ),
)
CAPABILITIES = Route(
    "/sys/capabilities-self",
    PUT=Action(
        act=system.capabilities_self,
        access=Access.SIGNED_IN,
        summary="What the caller may do where",
        body=shapes.PATHS,
    ),
)
MOUNT = Route(
    "/sys/internal/ui/mounts/{place}",
    GET=Action(act=system.mount, access=Access.SIGNED_IN, summary="Which mount a path is in"),
)
MOUNTS_FOR_PAGES = Route(
    "/sys/internal/ui/mounts",
    GET=Action(act=system.mounts_for_pages, access=Access.SIGNED_IN, summary="The vaults one sees"),
)
MOUNTS = Route(
    "/sys/mounts",
    GET=Action(act=system.mounts, access=Access.SIGNED_IN, summary="The vaults one sees"),
)
_HEALTH = Action(act=system.health, access=Access.PUBLIC, summary="Whether the service can work")
HEALTH = Route("/sys/health", GET=_HEALTH, HEAD=_HEALTH)
INIT = Route(
    "/sys/init", GET=Action(act=system.init, access=Access.PUBLIC, summary="Always initialised")
)
SEAL_STATUS = Route(
    "/sys/seal-status",
    GET=Action(act=system.seal_status, access=Access.PUBLIC, summary="Whether it is sealed"),
)
LEADER = Route(
    "/sys/leader", GET=Action(act=system.leader, access=Access.PUBLIC, summary="Who leads: all")
)


def _document(_: Call) -> HttpResponse:
    return document([each.callback for each in urlpatterns if isinstance(each.callback, Route)])


OPENAPI = Route(
    "/sys/internal/specs/openapi",
    GET=Action(act=_document, access=Access.PUBLIC, summary="This document"),
)


def unknown(_: HttpRequest) -> HttpResponse:
    """Everything else."""
    return refusal(404, UNSUPPORTED_PATH)


unknown.csrf_exempt = True  # type: ignore[attr-defined]

# Tried in this order: those that are asked most come first.
urlpatterns = [
    re_path(rf"{_MOUNT}/data/{_PATH}", DATA, name="data"),
    re_path(r"^v1/sys/internal/ui/mounts/(?P<place>[\s\S]*)\Z", MOUNT, name="mount"),
    re_path(rf"{_MOUNT}/metadata/{_PATH}", METADATA, name="metadata"),
    re_path(rf"{_MOUNT}/metadata\Z", TOP, name="top"),
    re_path(rf"{_MOUNT}/subkeys/{_PATH}", SUBKEYS, name="subkeys"),
    re_path(rf"{_MOUNT}/delete/{_PATH}", DELETE, name="delete"),
    re_path(rf"{_MOUNT}/undelete/{_PATH}", UNDELETE, name="undelete"),
    re_path(rf"{_MOUNT}/destroy/{_PATH}", DESTROY, name="destroy"),
    path("v1/auth/approle/login", APPROLE, name="approle"),
    re_path(r"^v1/auth/userpass/login/(?P<email>[^/]+)\Z", USERPASS, name="userpass"),
    path("v1/auth/jwt/login", JWT, name="jwt"),
    path("v1/auth/kubernetes/login", KUBERNETES, name="kubernetes"),
    re_path(r"^v1/auth/(?P<method>oidc)/login\Z", OTHER_LOGIN, name="other-login"),
    path("v1/auth/token/lookup-self", LOOKUP, name="lookup-self"),
    path("v1/auth/token/renew-self", RENEW, name="renew-self"),
    path("v1/auth/token/create", CREATE, name="token-create"),
    path("v1/auth/token/revoke-self", REVOKE, name="revoke-self"),
    path("v1/sys/capabilities-self", CAPABILITIES, name="capabilities-self"),
    path("v1/sys/internal/ui/mounts", MOUNTS_FOR_PAGES, name="ui-mounts"),
    path("v1/sys/mounts", MOUNTS, name="mounts"),
    path("v1/sys/health", HEALTH, name="health"),
    path("v1/sys/init", INIT, name="init"),
    path("v1/sys/seal-status", SEAL_STATUS, name="seal-status"),
    path("v1/sys/leader", LEADER, name="leader"),
    path("v1/sys/internal/specs/openapi", OPENAPI, name="openapi"),
    re_path(rf"{_MOUNT}/config\Z", CONFIG, name="config"),
    re_path(r"", unknown, name="unknown"),
]
