"""What `mimodaq doctor` asks the broker: which nodes are there, what they are, how their clocks and the network are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mimodaq.client._doctor_here import Need, disk_space, shared_memory
from mimodaq.client._texts import size
from mimodaq.client.session import Session, Status
from mimodaq.picoscope import Finding
from mimodaq.protocol.messages import BULK_BYTES, Report, Topic
from mimodaq.protocol.parts import ClockLine, LinkLine
from mimodaq.system import own_versions

_PINGS: Final = 20
_BULKS: Final = 16
_MEASURING_S: Final = 1.0
"""How long each of the two measurements takes at most."""
_SLOW_PING_S: Final = 0.1
_CLOCK_S: Final = 0.05
_LINK_SHARE: Final = 0.8
"""More of a network's speed is not to be counted on."""


@dataclass(frozen=True, slots=True)
class Network:
    """The way to the broker, as measured."""

    ping_s: float
    bytes_per_s: float


def measure(session: Session) -> Network:
    """Measure the way to the broker, both ways of it, for two seconds at most."""
    pings: list[float] = []
    give_up = time.monotonic() + _MEASURING_S
    while len(pings) < _PINGS and time.monotonic() < give_up:
        began = time.monotonic()
        session.inquire(Topic.ME)
        pings.append(time.monotonic() - began)
    began = time.monotonic()
    got = 0
    while got < _BULKS * BULK_BYTES and time.monotonic() < began + _MEASURING_S:
        session.inquire(Topic.BULK)
        got += BULK_BYTES
    return Network(min(pings), got / (time.monotonic() - began))


def look_at_broker(address: str, versions: str | None, network: Network) -> Iterator[Finding]:
    """The broker itself and the way to it."""
    yield version("broker", versions)
    text = f"{address}: answers after {network.ping_s * 1e3:.2g} ms, {size(network.bytes_per_s)}/s come from it"
    if network.ping_s > _SLOW_PING_S:
        remedy = "use a cable instead of radio, and no VPN, between the computers of an experiment"
        yield Finding("way to the broker", None, text, remedy)
    else:
        yield Finding("way to the broker", True, text)


def look_at_nodes(status: Status, needs: Mapping[str, Need], network: Network | None) -> Iterator[Finding]:
    """The nodes of a setup, or all nodes if there is no setup."""
    lines = {line.node: line for line in status.cluster.nodes}
    for name in needs or lines:
        line, report = lines.get(name), status.reports.get(name)
        if line is None:
            remedy = f"start it there: mimodaq node {name} --broker ADDRESS --data DIR"
            yield Finding(f"{name} node", False, "the broker has not heard of it", remedy)
        elif line.presence == "lost" or report is None:
            remedy = "is the computer up, its cable in, the daemon running (systemctl status mimodaq-node)?"
            yield Finding(f"{name} node", False, f"lost: not heard for {line.silent_s:.0f} s", remedy)
        else:
            yield from look_at_node(report, needs.get(name), network)


def look_at_node(report: Report, need: Need | None, network: Network | None) -> Iterator[Finding]:
    """A node that is there, from its own report."""
    name, host = report.node, report.host
    yield Finding(f"{name} node", True, f"is there, {report.state.value}")
    yield version(name, host.versions if host is not None else None)
    yield clock_offset(name, report.clock)
    if host is not None and need is not None and not report.state.is_in_run:
        if host.shm_free_bytes is not None:
            yield _of(name, shared_memory(host.shm_free_bytes, need))
        if host.disk_free_bytes is not None:
            yield _of(name, disk_space(host.disk_free_bytes, need, "runs"))
    for link in report.links:
        yield running_link(name, link)
    if need is not None and network is not None and not report.links:
        yield from network_for(name, need, network)


def version(name: str, found: str | None) -> Finding:
    """Whether another computer has what this one has."""
    if not found:
        return Finding(f"{name} versions", None, "not told", "install this release there")
    if found == own_versions():
        return Finding(f"{name} versions", True, found)
    text = f"{found}, here {own_versions()}"
    is_same_release = found.split(",")[0] == own_versions().split(",")[0]
    remedy = "install the same release of mimodaq on all computers"
    if is_same_release:
        remedy = "nothing, as long as the functions of the setup run with both versions of Python"
    return Finding(f"{name} versions", None if is_same_release else False, text, remedy)


def clock_offset(name: str, clock: ClockLine | None) -> Finding:
    """How far the clock of a node is from the broker's."""
    what = f"{name} clock"
    if clock is None:
        return Finding(what, None, "not compared with the broker's yet", "wait a few seconds and look again")
    text = f"{clock.offset_s * 1e3:+.2g} ms from the broker's, \u00b1 {clock.jitter_s * 1e3:.2g} ms"
    if abs(clock.offset_s) > _CLOCK_S:
        return Finding(what, False, text, f"start time synchronisation (chrony) on {name} and on the broker's computer")
    if clock.jumps:
        text += f", jumped {clock.jumps} times"
        return Finding(what, None, text, f"look at the log of {name}: who sets its clock?")
    return Finding(what, True, text)


def running_link(name: str, link: LinkLine) -> Finding:
    """A link of a run that is going on, which is the best measurement there is."""
    what = f"{name} {link.name}"
    if not link.connected:
        remedy = "it connects by itself when network and the other end are there; see the ports above"
        return Finding(what, False, f"not connected, {link.lag} events wait", remedy)
    text = f"{size(link.bytes_per_s)}/s, acknowledged after {link.round_trip_s * 1e3:.2g} ms, {link.lag} events wait"
    return Finding(what, True, text)


def network_for(name: str, need: Need, network: Network) -> Iterator[Finding]:
    """Whether what the links of a setup bring can come by a network as fast as that to the broker."""
    if need.linked_bytes_per_s is None:
        return
    text = f"{size(need.linked_bytes_per_s)}/s will come, {size(network.bytes_per_s)}/s come from the broker"
    if need.linked_bytes_per_s > _LINK_SHARE * network.bytes_per_s:
        remedy = "filter before the link, compress it (links: {RB_1: {codec: lz4}}), or use a faster network"
        yield Finding(f"{name} network", None, text, remedy)
    else:
        yield Finding(f"{name} network", True, text)


def _of(name: str, found: Finding) -> Finding:
    return Finding(f"{name} {found.what}", found.is_good, found.text, found.remedy)
