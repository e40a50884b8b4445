"""Where a request comes from, for the API and for pages."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from secrets_app.conf import app_settings


def client_address(request: Any) -> str | None:
    """The client's address: the peer of the socket, or what trusted proxies say of it.

    X-Forwarded-For is read from its end, where our own proxies wrote, up to the first address that
    is not one of them: what a client put before that does not count. None where there is no
    address, as for a Unix socket.
    """
    address = _parse_address(request.META.get("REMOTE_ADDR", ""))
    proxies = app_settings.TRUSTED_PROXIES
    if not proxies:
        return None if address is None else str(address)
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while address is not None and hops and any(address in network for network in proxies):
        hop = hops.pop().strip()
        if not hop:
            break
        address = _parse_address(hop)
    return None if address is None else str(address)


@lru_cache(maxsize=4096)
def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
