"""`mimodaq node`: the daemon of one host."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mimodaq.client._exit import EXIT_GOOD, EXIT_USAGE
from mimodaq.node import Entry
from mimodaq.system import red


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """What was typed."""

    name: str
    broker: str = "127.0.0.1"
    state: Path | None = None
    data: Path = Path()
    key: Path | None = None
    is_insecure: bool = False


def node(request: NodeRequest) -> int:
    """Run the daemon until it is told to leave; returns the exit code."""
    from mimodaq.keys import AddressError, KeysError, endpoints_of, read_key
    from mimodaq.node import NodeOptions, serve
    from mimodaq.protocol.messages import Role
    from mimodaq.system import LockedError, state_home

    try:
        endpoints = endpoints_of(request.broker)
        key = read_key(request.key) if request.key else None
        if key is not None and (key.role is not Role.HOST or key.name != request.name):
            raise KeysError(
                f"{request.key} is the key of {key.role.value} {key.name}; a node needs that of its host: "
                f"mimodaq keys create {request.name} --role host"
            )
        if key is None and not (request.is_insecure or endpoints.is_local):
            raise KeysError(
                f"the broker {request.broker} is another host, so a key is needed. On the broker's host: mimodaq keys "
                f"create {request.name} --role host; bring the file here: --key FILE. Or type --insecure for plain TCP"
            )
        if request.is_insecure:
            _print(Entry(time.time(), "warning", "node", NodeOptions.INSECURE), is_red=True)
        data = request.data.absolute()
        data.mkdir(parents=True, exist_ok=True)
        state = request.state or state_home() / f"node-{request.name}"
        serve(NodeOptions(request.name, endpoints.control, state, data, key, request.is_insecure, _print))
    except (AddressError, KeysError, LockedError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except OSError as error:
        print(f"{error.filename or request.name}: {error.strerror}", file=sys.stderr)
        return EXIT_USAGE
    return EXIT_GOOD


_PRIORITIES = {"error": 3, "warning": 4, "info": 6}
"""Of syslog; systemd reads them from the beginning of a line."""


def _print(entry: Entry, *, is_red: bool = False) -> None:
    """A line for the terminal; under systemd with the priority, and without the time, which the journal adds."""
    if "JOURNAL_STREAM" in os.environ:
        text = entry.text.replace("\n", "\n ")
        line = f"<{_PRIORITIES.get(entry.level, 6)}>{entry.source}: {text}"
    else:
        line = entry.line()
    try:
        print(red(line, sys.stderr) if is_red else line, file=sys.stderr, flush=True)
    except OSError:
        return  # nobody reads it; the log of the run and the broker have it
