"""`mimodaq broker`."""

from __future__ import annotations

import sys
from pathlib import Path

from mimodaq.broker import BrokerError, BrokerOptions
from mimodaq.broker.process import run
from mimodaq.client._exit import EXIT_GOOD, EXIT_USAGE
from mimodaq.client._log_lines import as_text
from mimodaq.client._streams import tell, to_nowhere
from mimodaq.keys import AddressError, endpoints_of, state_folder
from mimodaq.protocol.messages import LogLine


def broker(address: str, port: int | None, state: Path | None, is_insecure: bool) -> int:
    """Be a broker; returns the exit code."""
    try:
        endpoints = endpoints_of(address, port)
        run(BrokerOptions(endpoints, state or state_folder(), is_insecure, on_log=_show), tell)
    except (AddressError, BrokerError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    return EXIT_GOOD


def _show(line: LogLine) -> None:
    """The log of the cluster is also that of this process; nobody need read it."""
    try:
        print(as_text(line), file=sys.stderr, flush=True)
    except OSError:
        to_nowhere(sys.stderr)
