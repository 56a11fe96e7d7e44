"""The program behind a live window: draws the newest message from standard input until that ends.

Runs in a process of its own (`python -m mimodaq.functions.physics._window_main TITLE`).
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from typing import IO

from mimodaq.functions.physics._screen import Arriving, Screen, show


def main(title: str, stream: IO[bytes]) -> int:
    """Show the messages of `stream`; returns 0 when it ends or the user closes the window."""
    arriving: Arriving = queue.SimpleQueue()
    threading.Thread(target=_read, args=(stream, arriving), name="messages", daemon=True).start()
    show(title, Screen(), arriving)
    return 0


def _read(stream: IO[bytes], arriving: Arriving) -> None:
    for line in stream:
        arriving.put(json.loads(line))
    arriving.put(None)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.stdin.buffer))
