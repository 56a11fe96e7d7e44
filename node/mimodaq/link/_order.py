"""What the processes of links are told when they are started."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final
from urllib.parse import urlsplit

from mimodaq.protocol.link import CODECS, Settings
from mimodaq.protocol.link_window import Limits

NAME_BYTES: Final = 62
"""Longest name of a link: a kept place takes one more byte in its label."""
_KEY: Final = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
"""Z85, see ZeroMQ RFC 32."""


class LinkError(Exception):
    """A process of a link cannot be made as it was asked for."""


@dataclass(frozen=True, slots=True)
class LinkOrder:
    """One end of one link.

    The keys are CURVE keys in Z85 text (40 characters), see zmq_curve(7): both ends have their own pair and know the
    public key of the other. Raises LinkError for an order that cannot be carried out.
    """

    link: str
    """Name of the link, unique in the cluster, at most 62 bytes."""
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
    client_key: str = ""
    """Receiver: public key of the one sender that may connect."""
    insecure: bool = False
    """Plain TCP to other hosts is wanted."""
    give_up: bool = False
    """The link is given up: end it, whatever is missing."""
    has_local_members: bool = False
    """Sender: processes of this host are in the reader group; they take what the link lets go when it is given up."""

    def __post_init__(self) -> None:
        what = f"link {self.link}"
        if not 0 < len(self.link.encode()) <= NAME_BYTES:
            raise LinkError(f"{what}: the name of a link has 1 to {NAME_BYTES} bytes of UTF-8")
        if self.codec not in CODECS:
            raise LinkError(f"{what}: batches cannot be packed with {self.codec!r}, only {', '.join(CODECS)}")
        check_keys(what, self.public_key, self.secret_key, (self.server_key, self.client_key))
        check_endpoint(what, self.endpoint, has_keys=bool(self.secret_key), is_insecure=self.insecure)

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


@dataclass(frozen=True, slots=True)
class WindowOrder:
    """What the window of a node is told. Raises LinkError for an order that cannot be carried out."""

    node: str
    endpoint: str
    """Where to bind."""
    rings: Mapping[str, str] = field(default_factory=dict)
    """Name of a ring to its segment."""
    public_key: str = ""
    secret_key: str = field(default="", repr=False)
    client_keys: tuple[str, ...] = ()
    """Public keys of the clients that may look."""
    insecure: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        what = f"window of {self.node}"
        check_keys(what, self.public_key, self.secret_key, self.client_keys)
        check_endpoint(what, self.endpoint, has_keys=bool(self.secret_key), is_insecure=self.insecure)

    def encode(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> WindowOrder:
        """The inverse of `encode`; raises LinkError."""
        try:
            content = json.loads(text)
            more = {
                "limits": Limits(**content.get("limits", {})),
                "client_keys": tuple(content.get("client_keys", ())),
                "rings": {str(name): str(segment) for name, segment in content.get("rings", {}).items()},
            }
            return cls(**{**content, **more})
        except (ValueError, TypeError, AttributeError) as error:
            raise LinkError(f"the order of a window cannot be read: {error}") from error


def check_keys(what: str, public_key: str, secret_key: str, others: Iterable[str]) -> None:
    """Raise LinkError unless the own pair is whole and every key that is given is one."""
    if bool(public_key) != bool(secret_key):
        raise LinkError(f"{what}: a public and a secret key belong together, one of them is missing")
    for key in (public_key, secret_key, *others):
        if key and not _KEY.fullmatch(key):
            shown = "its secret key" if key == secret_key else repr(key[:60])
            raise LinkError(f"{what}: {shown} is no CURVE key: 40 characters of Z85 are expected")


def check_endpoint(what: str, endpoint: str, *, has_keys: bool, is_insecure: bool) -> None:
    """Raise LinkError for plain TCP to other hosts that was not asked for."""
    if not (has_keys or is_insecure or _is_local(endpoint)):
        raise LinkError(
            f"{what}: {endpoint} is not this host and there are no keys, so anybody could read or "
            "write events. Make keys, or allow plain TCP by insecure = true"
        )


def _is_local(endpoint: str) -> bool:
    parts = urlsplit(endpoint.replace(":*", ":0"))
    if parts.scheme in ("ipc", "inproc"):
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
