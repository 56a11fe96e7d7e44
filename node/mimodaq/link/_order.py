"""What an end of a link is told when it is started."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

from mimodaq.protocol.link import CODECS, Settings


class LinkError(Exception):
    """An end of a link cannot be made as it was asked for."""


@dataclass(frozen=True, slots=True)
class LinkOrder:
    """One end of one link.

    The keys are CURVE keys in Z85 text (40 characters), see zmq_curve(7): both ends have their own pair, and the sender
    knows the receiver's public key. Raises LinkError for an order that cannot be carried out.
    """

    link: str
    """Name of the link, unique in the cluster, at most 63 bytes."""
    segment: str
    """The ring at this end."""
    endpoint: str
    """Sender: where to connect. Receiver: where to bind; port `*` takes any, the report `ready` tells which."""
    group: str = ""
    """Sender: the reader group of which the link is a member."""
    codec: str = "none"
    """Sender: how batches are packed: none, lz4 or zstd."""
    settings: Settings = field(default_factory=Settings)
    public_key: str = ""
    secret_key: str = field(default="", repr=False)
    server_key: str = ""
    """Sender: public key of the receiver."""
    insecure: bool = False
    """Plain TCP to other hosts is wanted."""

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise LinkError(f"link {self.link}: batches cannot be packed with {self.codec!r}, only {', '.join(CODECS)}")
        if bool(self.public_key) != bool(self.secret_key):
            raise LinkError(f"link {self.link}: a public and a secret key belong together, one of them is missing")
        if not (self.secret_key or self.insecure or _is_local(self.endpoint)):
            raise LinkError(
                f"link {self.link}: {self.endpoint} is not this host and there are no keys, so anybody could read or "
                "write events. Make keys, or allow plain TCP by insecure = true"
            )

    def encode(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> LinkOrder:
        """The inverse of `encode`; raises LinkError."""
        try:
            content = json.loads(text)
            return cls(**{**content, "settings": Settings(**content.get("settings", {}))})
        except (ValueError, TypeError, AttributeError) as error:
            raise LinkError(f"the order of a link cannot be read: {error}") from error


def _is_local(endpoint: str) -> bool:
    parts = urlsplit(endpoint.replace(":*", ":0"))
    if parts.scheme in ("ipc", "inproc"):
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
