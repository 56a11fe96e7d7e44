"""Addresses of brokers, as typed and as ZeroMQ wants them, and which of them stay on this host."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

DEFAULT_PORT: Final = 7788
_HOST: Final = re.compile(r"[A-Za-z0-9_.\-]+|\*")
_PATH_MAX: Final = 100
"""A Unix socket's name has at most 107 bytes."""


class AddressError(Exception):
    """Text that is no address of a broker; the message says what one looks like."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The two sockets of a broker."""

    control: str
    """ROUTER: nodes and clients, questions and answers."""
    feed: str
    """PUB: what everybody may watch."""

    @property
    def is_local(self) -> bool:
        """Whether only processes of this host can get at both."""
        return is_local(self.control) and is_local(self.feed)

    def __str__(self) -> str:
        return self.control.removeprefix("tcp://")


def endpoints_of(address: str, port: int | None = None) -> Endpoints:
    """The endpoints meant by `HOST`, `HOST:PORT`, `[IPV6]:PORT` or `ipc:///FOLDER`; the feed is on the next port.

    `port` is for addresses that name none. Raises AddressError.
    """
    text = address.strip().removeprefix("tcp://")
    if text.startswith("ipc://"):
        folder = text.removeprefix("ipc://").rstrip("/")
        if not folder.startswith("/") or len(folder.encode()) > _PATH_MAX:
            raise AddressError(
                f"{address!r}: expected ipc:///FOLDER with an absolute path of at most {_PATH_MAX} bytes"
            )
        return Endpoints(f"ipc://{folder}/control", f"ipc://{folder}/feed")
    host, number = _split(text, address)
    if number is None:
        number = DEFAULT_PORT if port is None else port
    if not 0 <= number <= 65534:
        raise AddressError(
            f"{address!r}: the port must be from 1 to 65534 (the feed is on the next one), found {number}"
        )
    return Endpoints(f"tcp://{host}:{number}", f"tcp://{host}:{number + 1 if number else 0}")


def _split(text: str, address: str) -> tuple[str, int | None]:
    """Host, in brackets if it is an IPv6 address, and port."""
    expected = f"{address!r} is no address of a broker: expected HOST, HOST:PORT, [IPV6]:PORT or ipc:///FOLDER"
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ip6(host) or not (rest == "" or rest.startswith(":")):
            raise AddressError(expected)
        host, port = f"[{host}]", rest[1:] if rest else None
    elif text.count(":") > 1:
        if not _is_ip6(text):
            raise AddressError(expected)
        host, port = f"[{text}]", None
    else:
        host, colon, rest = text.partition(":")
        port = rest if colon else None
        if not _HOST.fullmatch(host):
            raise AddressError(expected)
    if port is None:
        return host, None
    if not (port.isascii() and port.isdecimal()):
        raise AddressError(f"{expected}; {port!r} is no port")
    return host, int(port)


def _is_ip6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def is_local(endpoint: str) -> bool:
    """Whether an endpoint (or a host's address) can be reached from this host only."""
    if "://" not in endpoint:
        endpoint = f"tcp://{endpoint}"
    parts = urlsplit(endpoint.replace(":*", ":0"))
    if parts.scheme in ("ipc", "inproc"):
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
