"""Write a setup back as plain values, with every default, merge and variable carried out."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ._model import BufferSpec, DiskSpec, FunctionSpec, Setup
from ._variables import escape


def resolve(setup: Setup) -> dict[str, Any]:
    """Plain values (dicts, lists, numbers, texts) that describe an equal setup."""
    answer: dict[str, Any] = {
        "output_directory": str(setup.output_directory),
        "GUI_control": setup.gui,
        "KBD_control": setup.keyboard,
        "runevents": setup.events_limit or 0,
        "runtime": setup.duration_s or 0,
    }
    if setup.hosts:
        answer["hosts"] = {
            n: {"address": h.address, "data_port": h.data_port, "role": h.role} for n, h in setup.hosts.items()
        }
    if setup.broker is not None:
        answer["broker"] = setup.broker
    if setup.links:
        answer["links"] = {name: {"codec": link.codec} for name, link in setup.links.items()}
    if setup.disk != DiskSpec():
        answer["disk"] = {
            "when_low": setup.disk.when_low,
            "warn": setup.disk.warn_s,
            "reserve": setup.disk.reserve_bytes,
            "spill": [str(place) for place in setup.disk.spill],
        }
    answer["RingBuffer"] = [{name: _buffer(buffer)} for name, buffer in setup.buffers.items()]
    answer["Functions"] = [{name: _function(function)} for name, function in setup.functions.items()]
    if setup.variables:
        answer = escape(answer)
        answer["variables"] = copy.deepcopy(setup.variables)
    return answer


def _buffer(buffer: BufferSpec) -> dict[str, Any]:
    entry: dict[str, Any] = {"number_of_slots": buffer.slots, "channel_per_slot": buffer.samples}
    if buffer.plain:
        entry["data_type"] = _type_name(buffer.fields[0].dtype)
    else:
        entry["data_type"] = [
            [f.name, _type_name(f.dtype)] + ([f.samples] if f.samples != buffer.samples else []) for f in buffer.fields
        ]
    if buffer.host is not None:
        entry["host"] = buffer.host
    return entry


def _function(function: FunctionSpec) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "function": f"{function.module}:{function.function}",
        "num_process": function.processes,
        "RB_assign": dict(function.rb_assign),
        "restart": function.restart,
    }
    if function.host:
        entry["host"] = list(function.host)
    if function.config:
        entry["config"] = copy.deepcopy(function.config)
    return entry


def _type_name(dtype: np.dtype[Any]) -> str:
    """`float32` where that says everything, else numpy's short form with byte order, such as `>i2`."""
    return dtype.name if dtype.isnative and np.dtype(dtype.str) == _from_name(dtype.name) else dtype.str


def _from_name(name: str) -> np.dtype[Any] | None:
    try:
        return np.dtype(name)
    except TypeError:
        return None
