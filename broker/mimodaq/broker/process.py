"""A broker as a process of its own: signals, systemd, its place in the terminal."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from mimodaq.broker._broker import Broker
from mimodaq.broker._options import BrokerOptions
from mimodaq.system import Notifier, red

_LONGEST_S: Final = 0.5
"""How long a signal may wait to be noticed."""


def run(options: BrokerOptions, tell: Callable[[str], None]) -> None:
    """Be a broker until SIGTERM, Ctrl-C or the command shutdown. Raises BrokerError if it cannot begin.

    `tell` is given one line when the broker can be reached, for stdout.
    """
    is_asked = False

    def leave(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_asked
        is_asked = True

    notifier = Notifier()
    broker = Broker(options)
    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        where = f"broker on {broker.endpoints}"
        tell(where if broker.is_secure else red(f"{where}, INSECURE: without keys", sys.stdout))
        notifier.ready(f"on {broker.endpoints}")
        while not (is_asked or broker.is_over):
            broker.step(_LONGEST_S)
            notifier.alive(time.monotonic())
        notifier.stopping()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        broker.close()
