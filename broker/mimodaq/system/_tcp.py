"""Dead connections."""

from __future__ import annotations

from typing import Any, Final

_PROBE_AFTER_S: Final = 1
"""A silent connection is asked for a sign of life, again and again after this time."""
_PROBES: Final = 3
_CONNECT_MS: Final = 1000


def let_go_of_the_dead(socket: Any) -> None:
    """Let the kernel end connections whose other end has not answered for 4 s. Call it before it connects or binds.

    Whoever connects tries again every second, also while the cable is cut, so that he is there soon after it is mended.

    Not with the heartbeats of ZeroMQ: their timers take down the whole process (libzmq 4.3.5, "Assertion failed:
    !_io_error"; issues 3937, 4364 and 4767 there) when a connection breaks from which nothing is read just then.
    """
    socket.tcp_keepalive = 1
    socket.tcp_keepalive_idle = socket.tcp_keepalive_intvl = _PROBE_AFTER_S
    socket.tcp_keepalive_cnt = _PROBES
    socket.tcp_maxrt = (1 + _PROBES) * _PROBE_AFTER_S * 1000  # what was sent and is not acknowledged, in the same time
    socket.connect_timeout = _CONNECT_MS
