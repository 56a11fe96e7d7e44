"""Turn the sections of a setup file into specs: hosts, buffers, functions.

Entries with mistakes are kept as far as they are understood, so that one mistake does not hide the next;
everything wrong is in the report, and a setup with problems is never handed out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ._datatypes import read_data_type
from ._model import BufferSpec, DiskSpec, FieldSpec, FunctionSpec, HostSpec, LinkSpec
from ._problems import Report, nearest, show
from ._schema import ACCESS_WORDS, BufferEntry, DiskEntry, FunctionEntry, HostEntry, LinkEntry, read_entry
from ._yaml import Document, KeyPath

BUILT_IN = "mimodaq.functions"
"""Module of the functions that may be named without a module."""

_MAX_EVENT_BYTES = 2**31 - 1  # what numpy allows for one record


def read_hosts(document: Document, report: Report) -> dict[str, HostSpec]:
    """The hosts by name."""
    hosts: dict[str, HostSpec] = {}
    table = document.data.get("hosts")
    for name, settings in (table if isinstance(table, dict) else {}).items():
        if isinstance(name, str) and isinstance(settings, dict):
            where = document.where("hosts", name)
            entry = read_entry(HostEntry, settings, name, document, ("hosts", name), report)
            entry = entry or HostEntry(address="?")
            hosts[name] = HostSpec(name, entry.address, entry.data_port, entry.role, where)
    return hosts


def read_links(document: Document, buffers: dict[str, BufferSpec], report: Report) -> dict[str, LinkSpec]:
    """How events travel, by buffer."""
    links: dict[str, LinkSpec] = {}
    table = document.data.get("links")
    for name, settings in (table if isinstance(table, dict) else {}).items():
        if name not in buffers:
            report.add(document.where("links", name), f"links: there is no buffer {name!r}", nearest(name, buffers))
        elif isinstance(settings, dict):
            entry = read_entry(LinkEntry, settings, name, document, ("links", name), report)
            links[name] = LinkSpec(name, entry.codec if entry else "none")
    return links


def read_disk(document: Document, hosts: dict[str, HostSpec], folder: Path, report: Report) -> DiskSpec:
    """What is done before a disk is full."""
    table = document.data.get("disk")
    if not isinstance(table, dict):
        return DiskSpec()
    entry = read_entry(DiskEntry, table, "disk", document, ("disk",), report) or DiskEntry()
    for i, name in enumerate(entry.spill):
        if hosts and not os.path.isabs(name):
            where = document.where("disk", "spill", i)
            report.add(where, f"disk.spill: {name!r} is to be found on every host: write the whole path")
    spill = tuple(Path(os.path.abspath(folder / os.path.expanduser(name))) for name in entry.spill)
    return DiskSpec(entry.when_low, entry.warn, entry.reserve, spill)


def read_buffers(document: Document, hosts: dict[str, HostSpec], report: Report) -> dict[str, BufferSpec]:
    """The buffers by name; one with mistakes has 1 slot, 1 sample or no fields."""
    buffers = {}
    for name, table in (document.data.get("RingBuffer") or {}).items():
        path = ("RingBuffer", name)
        entry = read_entry(BufferEntry, table, name, document, path, report)
        slots, samples = (entry.number_of_slots, entry.channel_per_slot) if entry else (1, 1)
        data_type, host = table.get("data_type"), entry.host if entry else None
        fields: tuple[FieldSpec, ...] = ()
        if data_type is not None:
            fields = read_data_type(data_type, samples, document, (*path, "data_type"), report)
        event_bytes = sum(f.dtype.itemsize * f.samples for f in fields)
        if event_bytes > _MAX_EVENT_BYTES:
            where = document.where(*path, "channel_per_slot")
            report.add(where, f"one event of {name} would have {event_bytes / 1e9:.1f} GB: at most 2.1 GB can be")
        if host is not None:
            _check_host(host, hosts, document, (*path, "host"), report)
        buffers[name] = BufferSpec(
            name, slots, samples, fields, isinstance(data_type, str), host, document.where(*path)
        )
    return buffers


def read_functions(
    document: Document, buffers: dict[str, BufferSpec], hosts: dict[str, HostSpec], folder: Path, report: Report
) -> tuple[dict[str, FunctionSpec], bool]:
    """The functions by name of their entry, without options; and whether all their buffers are known.

    One with mistakes has no module and function.
    """
    functions = {}
    connected = True
    for name, table in (document.data.get("Functions") or {}).items():
        path = ("Functions", name)
        where = document.where(*path)
        if name in buffers:
            report.add(where, f"the name {name!r} is used for a buffer and for a function")
        entry = read_entry(FunctionEntry, table, name, document, path, report)
        assigned = entry.RB_assign if entry else table.get("RB_assign")
        connected = connected and isinstance(assigned, dict)
        rb_assign = {}
        for buffer, word in (assigned if isinstance(assigned, dict) else {}).items():
            if _is_access(buffer, word, buffers, document, (*path, "RB_assign", buffer), report):
                rb_assign[buffer] = word
            else:
                connected = False
        if entry is None:
            functions[name] = FunctionSpec(name, "", "", rb_assign=rb_assign, where=where)
            continue
        module, function = _code(entry, name, document, report)
        for host in entry.host:
            _check_host(host, hosts, document, (*path, "host"), report)
        functions[name] = FunctionSpec(
            name=name,
            module=module,
            function=function,
            processes=entry.num_process,
            rb_assign=rb_assign,
            host=tuple(entry.host),
            restart=entry.restart,
            source_file=_source_file(module, folder),
            where=where,
        )
    return functions, connected


def _code(entry: FunctionEntry, name: str, document: Document, report: Report) -> tuple[str, str]:
    """Module (a file without its `.py`) and function."""
    path = ("Functions", name)
    if entry.function is None:
        key, function = "fkt_name", entry.fkt_name
        module = entry.file_name
        for missing, value in (("file_name", module), (key, function)):
            if value is None:
                report.add(document.where(*path), f"{name} needs the key {missing!r}, or 'function: module:name'")
        if module is None or function is None:
            return "", ""
    else:
        key = "function"
        module, colon, function = entry.function.rpartition(":")
        module = module if colon else BUILT_IN
        for other in ("file_name", "fkt_name"):
            if getattr(entry, other) is not None:
                report.add(document.where(*path, other), f"{name} has 'function' and {other!r}: keep one form")
    if not module or not function.isidentifier():
        message = f"{name}.{key}: expected the name of a function, found {show(getattr(entry, key))}"
        report.add(document.where(*path, key), message)
    return module.removesuffix(".py"), function


def _source_file(module: str, folder: Path) -> Path | None:
    """The user's file that `module` stands for; None if it can only be an importable module."""
    relative = f"{os.path.expanduser(module)}.py"
    candidates = [Path(os.path.abspath(start / relative)) for start in (folder, Path.cwd())]
    found = next((path for path in candidates if os.path.isfile(path)), None)
    return candidates[0] if found is None and "/" in module else found


def _is_access(
    buffer: Any, word: Any, buffers: dict[str, BufferSpec], document: Document, path: KeyPath, report: Report
) -> bool:
    before = len(report)
    where = document.where(*path)
    if buffer not in buffers:
        report.add(where, f"RB_assign: there is no buffer {show(buffer)}", nearest(buffer, buffers))
    if isinstance(word, str) and word not in ACCESS_WORDS:
        message = f"RB_assign.{buffer}: expected read, write or observe, found {show(word)}"
        report.add(where, message, nearest(word, ACCESS_WORDS))
    return isinstance(word, str) and len(report) == before


def _check_host(host: str, hosts: dict[str, HostSpec], document: Document, path: KeyPath, report: Report) -> None:
    if host not in hosts:
        report.add(document.where(*path), f"the host {host!r} is not declared under 'hosts:'", nearest(host, hosts))
