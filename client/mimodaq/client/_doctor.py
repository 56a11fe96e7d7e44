"""`mimodaq doctor`: is everything there that a run needs? A line for each thing, a remedy for each fault."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mimodaq.client._cluster_commands import Where
from mimodaq.client._doctor_cluster import Network, look_at_broker, look_at_nodes, measure
from mimodaq.client._doctor_here import Need, look_here
from mimodaq.client._doctor_network import SSH_PORT, is_here, look_at_host, number_of
from mimodaq.client._exit import EXIT_GOOD, EXIT_NOT_GOOD
from mimodaq.client._run import guarded, setup_path
from mimodaq.client._streams import tell
from mimodaq.client.session import SessionError, Status
from mimodaq.config import FunctionSpec, Setup, SetupErrors, load_setup
from mimodaq.picoscope import Finding, probe
from mimodaq.protocol.messages import Topic
from mimodaq.protocol.plan import make_plan
from mimodaq.protocol.ports import ports_of

_MARKS: Final = {True: "ok", False: "FAULT", None: "warn"}
_LEVELS: Final = {True: "ok", False: "fault", None: "warning"}
_FILE_SINKS: Final = ("to_parquet", "to_csv", "to_tar")
_PATIENCE_S: Final = 2.0
"""For the first answer of the broker."""
_BUILT_IN: Final = "mimodaq.functions"


@dataclass(frozen=True, slots=True)
class DoctorRequest:
    """What was typed."""

    setup: Path | None = None
    overrides: Sequence[str] = ()
    rate_hz: float | None = None
    where: Where = field(default_factory=lambda: Where("127.0.0.1"))
    has_broker: bool = False
    """A broker was named, so it is looked at even if the setup has no hosts."""
    as_json: bool = False
    ssh_port: int = SSH_PORT


@dataclass(slots=True)
class _Cluster:
    """What the broker has told."""

    status: Status | None = None
    network: Network | None = None
    findings: list[Finding] = field(default_factory=list)


def doctor(request: DoctorRequest) -> int:
    """Look and tell; returns the exit code: 1 if something is to be repaired, 2 for wrong usage."""
    return guarded(request.as_json, lambda: _doctor(request))


def _doctor(request: DoctorRequest) -> int:
    everything: list[Finding] = []
    sections: dict[str, list[dict[str, Any]]] = {}
    for title, findings in _sections(request):
        sections[title] = as_json(findings)
        everything += findings
        if not request.as_json:
            tell("\n".join(lines(title, findings)))
    faults = sum(finding.is_good is False for finding in everything)
    if request.as_json:
        checks = [{"section": title, **check} for title, found in sections.items() for check in found]
        tell(json.dumps({"faults": faults, "checks": checks, "scopes": sections.get("PicoScope", [])}))
    else:
        tell(f"\n{faults} fault{'s' if faults != 1 else ''} in {len(everything)} checks")
    return EXIT_NOT_GOOD if faults else EXIT_GOOD


def _sections(request: DoctorRequest) -> Iterator[tuple[str, list[Finding]]]:
    setup = None
    if request.setup is not None:
        setup, findings = look_at_setup(setup_path(request.setup), request.overrides)
        yield "setup", findings
    needs = needs_of(setup, request.rate_hz) if setup is not None else {}
    here = _host_here(setup) if setup is not None else None
    directory = setup.output_directory if setup is not None and not setup.hosts else Path.cwd()
    yield "this computer", list(look_here(directory, needs.get(here or "")))
    is_cluster = setup is not None and bool(setup.hosts)
    cluster = _ask(request.where) if is_cluster or request.has_broker else _Cluster()
    if cluster.findings:
        yield "broker", cluster.findings
    if setup is not None and setup.hosts:
        yield "hosts", list(_hosts(setup, cluster.status, request.ssh_port))
    if cluster.status is not None:
        found = list(look_at_nodes(cluster.status, needs if setup and setup.hosts else {}, cluster.network))
        yield "nodes", found
    if setup is None or any(f.function == "picoscope" for f in setup.functions.values()):
        yield "PicoScope", scope_findings()


def look_at_setup(path: Path, overrides: Sequence[str]) -> tuple[Setup | None, list[Finding]]:
    """Load a setup and its functions, as a run would: the setup, if it could be read, and each mistake."""
    from mimodaq.node import check_functions

    remedy = "correct it; mimodaq check tells whether that was all"
    try:
        setup = load_setup(path, overrides)
        make_plan(setup)
    except SetupErrors as error:
        return None, [Finding("setup", False, str(problem), remedy) for problem in error.problems]
    found = [Finding("setup", False, str(p), remedy) for p in check_functions(setup, is_here=False)]
    found += [Finding("setup", None, str(warning)) for warning in setup.warnings]
    text = f"{path.name}: {len(setup.buffers)} buffers, {len(setup.functions)} functions"
    return setup, found or [Finding("setup", True, text)]


def needs_of(setup: Setup, rate_hz: float | None) -> dict[str, Need]:
    """What a setup needs of each host; the name of the only host of a setup without hosts is empty."""
    needs = {}
    plan = make_plan(setup)
    for name, node in plan.nodes.items():
        written = [setup.functions[f.name] for f in node.functions]
        needs[name if setup.hosts else ""] = Need(
            shm_bytes=node.size_bytes,
            event_bytes=sum(_event_bytes(setup, f.reads) for f in written if _writes_files(f)),
            disk=setup.disk,
            rate_hz=rate_hz,
            linked_bytes=_event_bytes(setup, {link.buffer for link in node.incoming if not link.is_copies}),
        )
    return needs


def _event_bytes(setup: Setup, buffers: Iterable[str]) -> int:
    return sum(setup.buffers[name].event_dtype.itemsize for name in buffers)


def _writes_files(function: FunctionSpec) -> bool:
    """Whether events end in files here; of a user's function that writes no buffer it must be believed."""
    if function.module == _BUILT_IN:
        return function.function in _FILE_SINKS
    return bool(function.reads) and not function.writes


def _host_here(setup: Setup) -> str | None:
    """Which host of the setup this computer is."""
    if not setup.hosts:
        return ""
    numbers = {host.name: number_of(host.address) for host in setup.hosts.values()}
    return next((name for name, number in numbers.items() if number is not None and is_here(number)), None)


def _ask(where: Where) -> _Cluster:
    """Everything the broker knows."""
    cluster = _Cluster()
    try:
        with where.session(_PATIENCE_S) as session:
            versions = session.inquire(Topic.ME).get("versions")
            cluster.network = measure(session)
            cluster.status = session.status()
        cluster.findings = list(look_at_broker(where.address, versions, cluster.network))
    except SessionError as error:
        remedy = "start it (mimodaq broker), name it (--broker ADDRESS), open its port and the next one in its firewall"
        cluster.findings = [Finding("broker", False, str(error), remedy)]
    return cluster


def _hosts(setup: Setup, status: Status | None, ssh_port: int) -> Iterator[Finding]:
    plan = make_plan(setup)
    reports: Mapping[str, Any] = status.reports if status is not None else {}
    for host in setup.hosts.values():
        ports = ports_of(host, plan.nodes.get(host.name))
        is_in_run = host.name in reports and reports[host.name].run is not None
        yield from look_at_host(host, ports, is_in_run=is_in_run, ssh_port=ssh_port)


def scope_findings() -> list[Finding]:
    """What a PicoScope readout needs, looked at without opening a scope."""
    return probe()


def lines(title: str, findings: Iterable[Finding]) -> list[str]:
    """Findings for people: one line each, and below a fault what to do about it."""
    out = [title]
    for finding in findings:
        out.append(f"  {_MARKS[finding.is_good]:5}  {finding.what}: {finding.text}")
        if finding.remedy:
            out.append(f"         -> {finding.remedy}")
    return out


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings for programs."""
    return [
        {"what": f.what, "level": _LEVELS[f.is_good], "good": f.is_good, "text": f.text, "remedy": f.remedy}
        for f in findings
    ]
