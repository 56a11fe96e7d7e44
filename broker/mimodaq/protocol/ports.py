"""The TCP ports on which the hosts of a setup listen: for clients that look at events, and for each other.

They follow from the setup alone, so no host has to tell another: `data_port` is for clients, the ports above it are for
the links that come in, in the order of the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mimodaq.config import HostSpec, Problem, Setup, SetupErrors

if TYPE_CHECKING:
    from mimodaq.protocol.plan import LinkPlan, NodePlan


def ports_of(host: HostSpec, node: NodePlan | None) -> range:
    """Every port of a host; `node` is what it has to do, None = nothing."""
    return range(host.data_port, host.data_port + 1 + (len(node.incoming) if node else 0))


def port_of(link: LinkPlan, host: HostSpec, node: NodePlan) -> int:
    """Where the receiver of a link listens; `host` and `node` are its own."""
    return ports_of(host, node)[1 + node.incoming.index(link)]


def check_ports(setup: Setup, nodes: Mapping[str, NodePlan]) -> None:
    """Raise SetupErrors if two hosts of one address want the same port."""
    problems = []
    taken: dict[tuple[str, int], str] = {}
    for host in setup.hosts.values():
        ports = ports_of(host, nodes.get(host.name))
        others = {taken.setdefault((host.address.lower(), port), host.name): port for port in reversed(ports)}
        others.pop(host.name, None)
        problems += [Problem(host.where, _conflict(host, ports, *other)) for other in others.items()]
    if problems:
        raise SetupErrors(problems)


def _conflict(host: HostSpec, ports: range, other: str, port: int) -> str:
    needs = f"the ports {ports[0]} to {ports[-1]}" if len(ports) > 1 else f"the port {ports[0]}"
    return (
        f"hosts: {host.name!r} needs {needs} of {host.address}, of which {other!r} has {port}: correct the address or, "
        "for two nodes on one computer, choose another data_port"
    )
