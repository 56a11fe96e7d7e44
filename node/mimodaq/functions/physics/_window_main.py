"""The program behind a live window: draws the newest message from standard input until that ends.

Runs in a process of its own (`python -m mimodaq.functions.physics._window_main TITLE`), so here, and only
here, pyplot and its choice of a window system are used.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from typing import IO, Final

from mimodaq.functions.physics._window import Message, draw_message, figure_for

_LOOK_S: Final = 0.1


def main(title: str, stream: IO[bytes]) -> int:
    """Show the messages of `stream`; returns 0 when it ends or the user closes the window."""
    from matplotlib import pyplot

    arriving: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(stream, arriving), name="messages", daemon=True).start()
    message = arriving.get()
    if message is None:
        return 0
    figure = pyplot.figure(title, figsize=figure_for(message).get_size_inches(), layout="constrained")
    pyplot.show(block=False)
    while pyplot.fignum_exists(figure.number):
        draw_message(figure, message)
        figure.canvas.draw_idle()
        while arriving.empty() and pyplot.fignum_exists(figure.number):
            figure.canvas.start_event_loop(_LOOK_S)
        while not arriving.empty():
            newer = arriving.get()
            if newer is None:
                return 0
            message = newer
    return 0


def _read(stream: IO[bytes], arriving: queue.SimpleQueue[Message | None]) -> None:
    for line in stream:
        arriving.put(json.loads(line))
    arriving.put(None)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.stdin.buffer))
