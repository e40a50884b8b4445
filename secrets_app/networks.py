"""Addresses and networks in one spelling: an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) is the IPv4
address in it, and a network of such addresses the IPv4 network.

Other ways to write an IPv4 address into an IPv6 one (6to4, NAT64) are addresses of their own.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_MAPPED = IPv6Network("::ffff:0:0/96")


@lru_cache(maxsize=4096)
def parse_address(text: str) -> IPv4Address | IPv6Address:
    """Parse an address. Raises ValueError for anything else."""
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=4096)
def parse_network(text: str) -> Network:
    """Parse a network in CIDR form without host bits. Raises ValueError for anything else.

    A network that holds more than mapped addresses, such as `::/0`, stays one of IPv6.
    """
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        first = int(network.network_address) - int(_MAPPED.network_address)
        return IPv4Network((first, network.prefixlen - _MAPPED.prefixlen))
    return network
