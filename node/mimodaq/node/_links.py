"""The ends of links on this node: what their processes are told, what is read from them and from their places in rings.

Where an end listens follows from the setup alone, see `mimodaq.protocol.ports`.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mimodaq.config import Setup
from mimodaq.link import LinkError, LinkOrder, WindowOrder, let_go
from mimodaq.node._workers import Job, JobError
from mimodaq.protocol.parts import LinkLine
from mimodaq.protocol.plan import ClusterPlan, LinkPlan
from mimodaq.protocol.ports import port_of
from mimodaq.ring import Ring, RingError, RingStatus


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """CURVE keys as Z85 text; all empty = plain TCP."""

    public: str = ""
    secret: str = field(default="", repr=False)
    peers: Mapping[str, str] = field(default_factory=dict)
    """Public keys of the other hosts."""
    clients: tuple[str, ...] = ()
    """Public keys of operators and observers."""
    is_insecure: bool = False
    """Plain TCP to other hosts was asked for."""


@dataclass(slots=True)
class LinkJobs:
    """What is needed to start and judge the ends of links on one node."""

    setup: Setup
    plan: ClusterPlan
    node: str
    keys: LinkKeys
    window_endpoint: str = ""
    """Where clients look at events, if the setup does not say."""
    cut: set[str] = field(default_factory=set)

    def job(self, link: LinkPlan, segment: str) -> Job:
        """How the process of this node's end is started. Raises JobError when a key or an address is missing."""
        is_sender = self.is_sender(link)
        kind = "sender" if is_sender else "receiver"
        module = f"mimodaq.link.copies_{kind}" if link.is_copies else f"mimodaq.link.{kind}"
        return Job(module, self._order(link, segment).encode().encode(), ("-",), reports_on_stdout=True)

    def window(self, file: Path) -> Job:
        """How the process is started that lets clients look at events; its order is in `file`."""
        return Job("mimodaq.link.window", b"", (str(file),), reports_on_stdout=True)

    def window_order(self, segments: Mapping[str, str]) -> str:
        """What the window is told: rings by name, and who may look. Raises JobError."""
        try:
            return WindowOrder(
                self.node,
                self.window_endpoint or self._window_of_setup(),
                dict(segments),
                self.keys.public,
                self.keys.secret,
                self.keys.clients if self.keys.public else (),
                self.keys.is_insecure,
            ).encode()
        except LinkError as error:
            raise JobError(str(error)) from error

    def _window_of_setup(self) -> str:
        return f"tcp://{host_address(self.setup, self.node)}:{self.setup.hosts[self.node].data_port}"

    def is_sender(self, link: LinkPlan) -> bool:
        """Whether this node has the sending end."""
        return link.sender == self.node

    def _order(self, link: LinkPlan, segment: str) -> LinkOrder:
        """The order of this node's end. Raises JobError."""
        is_sender = self.is_sender(link)
        peer = link.receiver if is_sender else link.sender
        key = self.keys.peers.get(peer, "")
        if self.keys.public and not key:
            raise LinkError(
                f"link {link.name}: the broker knows no key of {peer}: mimodaq keys create {peer} --role host"
            )
        local = {f.name for f in self.plan.nodes[self.node].functions}
        spec = self.setup.links.get(link.buffer)
        try:
            return LinkOrder(
                link=link.name,
                segment=segment,
                endpoint=f"tcp://{host_address(self.setup, link.receiver)}:{self._port(link)}",
                group=link.group if is_sender else "",
                codec=spec.codec if spec and is_sender else "none",
                public_key=self.keys.public,
                secret_key=self.keys.secret,
                server_key=key if is_sender else "",
                client_key="" if is_sender else key,
                insecure=self.keys.is_insecure,
                give_up=link.name in self.cut,
                has_local_members=is_sender and link.group in local,
            )
        except LinkError as error:
            raise JobError(str(error)) from error

    def _port(self, link: LinkPlan) -> int:
        return port_of(link, self.setup.hosts[link.receiver], self.plan.nodes[link.receiver])

    def let_go(self, link: LinkPlan, segment: str) -> dict[str, Any] | None:
        """Give up a link whose process here has failed for good; the record of what is missing, if anything is."""
        if link.is_copies and self.is_sender(link):
            return None  # an observer of its ring holds nothing
        record = let_go(self._order(link, segment))
        return None if record is None else {name: getattr(record, name) for name in record.__slots__}

    def line(self, link: LinkPlan, report: Mapping[str, Any], status: RingStatus | None) -> LinkLine:
        """The figures of one end, as its process has last reported them."""
        lag = report.get("lag", 0)
        if status is not None and self.is_sender(link):
            lag = max((g.pending for g in status.groups if g.name == link.group), default=lag)
        return LinkLine(
            name=link.name,
            connected=bool(report.get("connected", False)),
            rate_hz=float(report.get("rate_hz", 0.0)),
            bytes_per_s=float(report.get("bytes_per_s", 0.0)),
            lag=lag,
            unacknowledged=report.get("unacknowledged", 0),
            reconnects=report.get("reconnects", 0),
            redelivered=report.get("redelivered", 0),
            round_trip_s=float(report.get("round_trip_s", 0.0)),
        )

    def moved(self, link: LinkPlan, rings: Mapping[str, Ring]) -> int:
        """Events that this end has handed over: acknowledged at the sender, committed at the receiver."""
        if self.is_sender(link):
            place = rings[link.from_ring].place(link.name, link.group)
            return place.released if place else 0
        place = rings[link.to_ring].place(link.name)
        return place.position if place else 0

    def dropped(self, link: LinkPlan, rings: Mapping[str, Ring]) -> int:
        """Events that were thrown away because the link was given up and nobody else was there for them."""
        if not self.is_sender(link) or link.is_copies:
            return 0
        try:
            place = rings[link.from_ring].place(f"~{link.name}", link.group)
        except RingError:
            return 0
        return place.released if place else 0


def host_address(setup: Setup, host: str) -> str:
    """The numerical address of a host of the setup. Raises JobError when its name cannot be resolved."""
    address = setup.hosts[host].address
    try:
        found = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)
    except OSError as error:
        where = setup.hosts[host].where
        raise JobError(f"{where}: looking up the address {address!r} of {host}: {error.strerror}") from error
    number = str(found[0][4][0])
    return f"[{number}]" if ":" in number else number
