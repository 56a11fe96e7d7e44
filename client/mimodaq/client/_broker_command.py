"""`mimodaq broker`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mimodaq.broker import BrokerError, BrokerOptions
from mimodaq.broker.process import run
from mimodaq.client._exit import EXIT_GOOD, EXIT_USAGE
from mimodaq.client._log_json import JsonLog
from mimodaq.client._log_lines import as_text
from mimodaq.client._streams import tell, to_nowhere
from mimodaq.keys import AddressError, endpoints_of, state_folder
from mimodaq.protocol.messages import LogLine

if TYPE_CHECKING:
    from mimodaq.broker.metrics import Exporter


@dataclass(frozen=True, slots=True)
class BrokerRequest:
    """What was typed."""

    address: str
    port: int | None = None
    state: Path | None = None
    is_insecure: bool = False
    metrics_port: int | None = None
    """None = no figures for Prometheus."""
    metrics_address: str = "127.0.0.1"
    log_as_json: bool = False


def broker(request: BrokerRequest) -> int:
    """Be a broker; returns the exit code."""
    log = JsonLog() if request.log_as_json else None
    try:
        endpoints = endpoints_of(request.address, request.port)
        with _exporter(request) as exporter:
            options = BrokerOptions(
                endpoints,
                request.state or state_folder(),
                request.is_insecure,
                on_log=_show if log is None else _show_json(log),
                on_news=exporter.take if exporter is not None else None,
            )
            run(options, tell)
    except (AddressError, BrokerError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    finally:
        if log is not None:
            _print(log.rest())
    return EXIT_GOOD


def _exporter(request: BrokerRequest) -> AbstractContextManager[Exporter | None]:
    if request.metrics_port is None:
        return nullcontext()
    from mimodaq.broker.metrics import Exporter

    exporter = Exporter(request.metrics_address, request.metrics_port)
    tell(f"metrics on http://{request.metrics_address}:{exporter.port}/metrics")
    return closing(exporter)


def _show(line: LogLine) -> None:
    """The log of the cluster is also that of this process."""
    _print([as_text(line)])


def _show_json(log: JsonLog) -> Callable[[LogLine], None]:
    return lambda line: _print(log.add(line, time.monotonic()))


def _print(lines: list[str]) -> None:
    """Nobody need read it."""
    try:
        for line in lines:
            print(line, file=sys.stderr, flush=True)
    except OSError:
        to_nowhere(sys.stderr)
