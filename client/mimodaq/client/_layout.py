"""What `mimodaq check` shows of a good setup: buffers, functions, and what each host has to do."""

from __future__ import annotations

from typing import Any

from mimodaq.client._texts import aligned, size
from mimodaq.config import Setup
from mimodaq.protocol.plan import ClusterPlan, FunctionPlan, NodePlan, make_plan
from mimodaq.protocol.ports import ports_of


def as_text(setup: Setup) -> str:
    """As lines for people. Raises SetupErrors if its hosts would meet at the same port."""
    plan = make_plan(setup)
    lines = [f"{setup.path.name}: {len(setup.buffers)} buffers, {len(setup.functions)} functions, no problem found", ""]
    for buffer in setup.buffers.values():
        fields = ", ".join(f"{f.name} {f.dtype.name}[{f.samples}]" for f in buffer.fields)
        lines.append(f"  {buffer.name}  {buffer.slots} slots x {size(buffer.event_dtype.itemsize)}  {fields}")
    lines.append("")
    for function in setup.functions.values():
        accesses = ", ".join(f"{access} {name}" for name, access in function.rb_assign.items())
        lines.append(f"  {function.name}  {function.function} ({function.processes})  {accesses}")
    if setup.hosts:
        lines += ["", *_indented(_hosts(setup, plan))]
    if plan.links:
        lines += ["", *_indented([(f"{k.sender} -> {k.receiver}", k.name) for k in plan.links])]
    lines += [f"\nwarning: {w}" for w in setup.warnings]
    return "\n".join(lines)


def as_values(setup: Setup) -> dict[str, Any]:
    """As plain values for programs. Raises SetupErrors like `as_text`."""
    plan = make_plan(setup)
    return {
        "setup": str(setup.path),
        "problems": [],
        "warnings": [str(w) for w in setup.warnings],
        "hosts": {
            host.name: {
                "address": host.address,
                "ports": list(ports_of(host, plan.nodes.get(host.name))),
                "size_bytes": node.size_bytes if (node := plan.nodes.get(host.name)) else 0,
                "functions": {f.name: f.processes for f in node.functions} if node else {},
            }
            for host in setup.hosts.values()
        },
        "links": [{"name": k.name, "from": k.sender, "to": k.receiver} for k in plan.links],
    }


def _hosts(setup: Setup, plan: ClusterPlan) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("host", "address", "ports", "memory", "functions")]
    for host in setup.hosts.values():
        node = plan.nodes.get(host.name)
        ports = ports_of(host, node)
        which = str(ports[0]) if len(ports) == 1 else f"{ports[0]}-{ports[-1]}"
        rows.append((host.name, host.address, which, size(node.size_bytes if node else 0), _duties(node)))
    return rows


def _duties(node: NodePlan | None) -> str:
    return ", ".join(_duty(f) for f in node.functions) if node and node.functions else "-"


def _duty(function: FunctionPlan) -> str:
    return f"{function.name} ({function.processes})"


def _indented(rows: list[tuple[str, ...]]) -> list[str]:
    return [f"  {line}" for line in aligned(rows).splitlines()]
