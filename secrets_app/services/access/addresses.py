"""Where a request comes from, for the API and for pages."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from secrets_app.conf import app_settings

# In the META of a request whose server keeps header names with an underscore apart from those with a
# hyphen. Headers begin with HTTP_ there, so that none can set it.
NAMES_KEPT_APART = "secrets_app.names_kept_apart"


def client_address(request: Any) -> str | None:
    """Return the client's address: the peer of the socket, or what trusted proxies say of it.

    X-Forwarded-For is read from its end, where our own proxies wrote, up to the first address that
    is not one of them: what a client put before that does not count. It does not count at all when
    the server may have taken X_Forwarded_For for it. None where there is no address, as for a Unix
    socket.
    """
    address = _parse_address(request.META.get("REMOTE_ADDR", ""))
    proxies = app_settings.TRUSTED_PROXIES
    if not proxies or not are_names_kept_apart(request):
        return None if address is None else str(address)
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while address is not None and hops and any(address in network for network in proxies):
        hop = hops.pop().strip()
        if not hop:
            break
        address = _parse_address(hop)
    return None if address is None else str(address)


def are_names_kept_apart(request: Any) -> bool:
    """Tell whether a header of this request has the name it was sent with: its server marks requests, or
    the operator says so of the server (HEADER_NAMES_KEPT_APART).
    """
    return NAMES_KEPT_APART in request.META or app_settings.HEADER_NAMES_KEPT_APART


@lru_cache(maxsize=4096)
def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
