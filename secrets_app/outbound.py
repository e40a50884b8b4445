"""Ask a host that somebody else has named, without becoming their way into the network (SSRF).

- HTTPS alone. The certificate is checked for the name in the URL.
- A name is looked up once. Every address that it has must be one that may be reached, and the connection
  goes to the address that was looked at, so that a name whose address changes meanwhile gains nothing.
- Redirects are not followed, and proxies of the environment are not asked.
- Time and size are bounded, whatever the other side does: also where it sends a byte a second.

This knows no Django, and nobody but the standard library does the talking.
"""

import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from urllib.parse import urlsplit

from secrets_app.errors import OutboundError
from secrets_app.networks import parse_address

Address = IPv4Address | IPv6Address
HTTPS_PORT = 443
MAX_URL_CHARS = 1024
_MOST_ADDRESSES = 8
_TRIED_ADDRESSES = 3
_CHUNK = 16 * 1024
# Of an answer besides its content: its head, and what chunks have around them.
_MOST_AROUND_BYTES = 64 * 1024
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_PRINTABLE = re.compile(r"[!-~]+")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
_UNICAST = IPv6Network("2000::/3")
# Tunnels that lead to an IPv4 address (RFC 3056, RFC 4380), and documentation (RFC 9637).
_NO_PLACES_6 = tuple(map(IPv6Network, ("2002::/16", "2001::/32", "3fff::/20")))
# 6to4 relays (RFC 7526), and what Azure serves to its machines under a public address.
_NO_PLACES_4 = tuple(map(IPv4Network, ("192.88.99.0/24", "192.0.0.0/24", "168.63.129.16/32")))


def is_public(address: Address) -> bool:
    """Whether an address is one host of the public internet (the registries of RFC 6890)."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _UNICAST or any(address in each for each in _NO_PLACES_6):
            return False
    elif any(address in each for each in _NO_PLACES_4):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def anywhere(_: Address) -> bool:
    """For hosts that an operator has named."""
    return True


@dataclass(frozen=True, slots=True)
class Url:
    """An https URL in its parts. `target` is path and query."""

    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """As the Host header has it (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == HTTPS_PORT else f"{host}:{self.port}"


def parse_url(text: str, *, any_port: bool = False) -> Url:
    """Read an https URL. Raises OutboundError for all that readers of URLs disagree on, and without
    `any_port` for ports but 443."""
    if len(text) > MAX_URL_CHARS or _PRINTABLE.fullmatch(text) is None or "\\" in text:
        raise OutboundError("malformed_url")
    try:
        parts = urlsplit(text)
        port = HTTPS_PORT if parts.port is None else parts.port
    except ValueError:
        raise OutboundError("malformed_url") from None
    if parts.scheme != "https" or "@" in parts.netloc or "%" in parts.netloc or "#" in text:
        raise OutboundError("malformed_url")
    if parts.netloc.endswith(":") or not port or (port != HTTPS_PORT and not any_port):
        raise OutboundError("port_not_allowed")
    host = _host(parts.hostname or "", is_bracketed=parts.netloc.startswith("["))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(host, port, target)


def _host(host: str, *, is_bracketed: bool) -> str:
    try:
        address = parse_address(host)
    except ValueError:
        address = None
    if address is not None and is_bracketed is (":" in host):
        return str(address)
    labels = host.split(".")
    # `2130706433`, `0x7f.1` and `0177.0.0.1` are addresses to those who look names up.
    is_number = labels[-1].isdecimal() or labels[-1].startswith("0x")
    if is_number or len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise OutboundError("malformed_url")
    return host


@dataclass(frozen=True, slots=True)
class Answer:
    """`date` is the header of that name, as it was sent."""

    status: int
    body: bytes
    date: str | None = None


def send(
    method: str,
    url: Url,
    *,
    timeout_s: float,
    most_bytes: int,
    may_reach: Callable[[Address], bool] = is_public,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    ca_file: str | None = None,
) -> Answer:
    """Send one request and read the whole answer, of at most `most_bytes`, within `timeout_s` seconds.

    Looking a name up has its own time, the resolver's: whoever cannot wait for it calls this on a thread.
    `ca_file` takes the place of the system's certificate authorities. Raises OutboundError.
    """
    ends = time.monotonic() + timeout_s
    addresses = _look_up(url, may_reach)
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise OutboundError("ca_file_unusable") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        with _connected(addresses, url.port, ends) as raw:
            return _exchange(raw, context, method, url, dict(headers or {}), body, most_bytes)
    except TimeoutError:
        raise OutboundError("timeout") from None
    except ssl.SSLCertVerificationError:
        raise OutboundError("certificate_not_valid") from None
    except (OSError, HTTPException, ValueError):
        reason = "timeout" if time.monotonic() >= ends else "no_answer"
        raise OutboundError(reason) from None


def _look_up(url: Url, may_reach: Callable[[Address], bool]) -> list[str]:
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        allowed = [may_reach(parse_address(each.partition("%")[0])) for each in addresses]
    except (OSError, UnicodeError, ValueError):
        raise OutboundError("no_address") from None
    # One that may not be reached among those that may is no mistake that anybody makes.
    if not allowed or len(allowed) > _MOST_ADDRESSES or not all(allowed):
        # The same as for no address at all: what a name means inside is told to nobody.
        raise OutboundError("no_address")
    return addresses


@contextmanager
def _connected(addresses: list[str], port: int, ends: float) -> Iterator[socket.socket]:
    """A connection to the first address that takes one. When the time is over it is shut, whatever
    somebody waits for on it."""
    tried = addresses[:_TRIED_ADDRESSES]
    for left, address in zip(range(len(tried), 0, -1), tried, strict=True):
        wait_s = (ends - time.monotonic()) / left
        if wait_s <= 0:
            raise TimeoutError
        try:
            raw = socket.create_connection((address, port), timeout=wait_s)
            break
        except OSError:
            if left == 1:
                raise
    raw.settimeout(max(0.001, ends - time.monotonic()))
    # TLS takes the socket over, so the guard has a handle of its own.
    handle = raw.dup()
    guard = threading.Timer(max(0, ends - time.monotonic()), _shut, [handle])
    guard.daemon = True
    guard.start()
    try:
        yield raw
    finally:
        guard.cancel()
        handle.close()
        raw.close()


def _shut(handle: socket.socket) -> None:
    try:
        handle.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class _Counted(io.RawIOBase):
    """What a socket receives, up to `left` bytes: HTTP allows without end what is thrown away when it is
    read, such as interim answers (RFC 9110, 15.2) and trailers."""

    def __init__(self, tls: ssl.SSLSocket, left: int) -> None:
        self._tls, self._left = tls, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._tls.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise OutboundError("answer_too_large")
        return count


@dataclass(frozen=True, slots=True)
class _Conversation:
    """What `HTTPConnection` does with a socket. It closes it before the answer is read: nothing here."""

    tls: ssl.SSLSocket
    received: Any

    def sendall(self, data: bytes) -> None:
        self.tls.sendall(data)

    def makefile(self, _: str) -> Any:
        return self.received

    def close(self) -> None:
        pass


def _exchange(
    raw: socket.socket,
    context: ssl.SSLContext,
    method: str,
    url: Url,
    headers: dict[str, str],
    body: bytes | None,
    most_bytes: int,
) -> Answer:
    connection = HTTPConnection(url.host, url.port)
    # Where an answer breaks off without TLS's own end, it was cut off.
    with context.wrap_socket(raw, server_hostname=url.host, suppress_ragged_eofs=False) as tls:
        counted = io.BufferedReader(_Counted(tls, most_bytes + _MOST_AROUND_BYTES), _CHUNK)
        connection.sock = _Conversation(tls, counted)
        asked = {"Host": url.authority, "Accept-Encoding": "identity", "Connection": "close"}
        connection.request(method, url.target, body=body, headers=headers | asked)
        response = connection.getresponse()
        try:
            if response.getheader("Content-Encoding", "identity").lower() != "identity":
                raise OutboundError("encoded_answer")
            content = bytearray()
            while chunk := response.read1(_CHUNK):
                content += chunk
                if len(content) > most_bytes:
                    raise OutboundError("answer_too_large")
            if response.length:  # cut off
                raise OutboundError("no_answer")
        finally:
            response.close()
        return Answer(response.status, bytes(content), response.getheader("Date"))
