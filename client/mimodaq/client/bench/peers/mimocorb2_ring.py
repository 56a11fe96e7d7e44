"""One writer to one reader process through a buffer of mimoCoRB2; run by an interpreter that has it.

The writer copies a prebuilt event as bytes, the reader takes it and does nothing.
"""

import json
import multiprocessing
import sys
import time
from typing import Any

import numpy as np
from mimocorb2.mimo_buffer import (  # type: ignore[import-not-found]
    BufferReader,
    BufferWriter,
    mimoBuffer,
)

EVENTS = {
    "small": ([(name, np.float32) for name in "abcdef"], 1, 128),
    "wave": ([(f"ch{name}", np.float32) for name in "ABCD"], 4250, 128),
}


def write(buffer: Any, events: int, begin: Any) -> None:
    """Fill the buffer."""
    writer = BufferWriter(buffer)
    event = buffer.data_example.view(np.uint8)
    begin.value = time.monotonic()
    for _ in range(events):
        with writer as (_metadata, data):
            data.view(np.uint8)[:] = event
    writer.send_flush_event()


def read(buffer: Any, answer: Any) -> None:
    """Empty the buffer; the number of events and the time of the last one."""
    reader = BufferReader(buffer)
    events = 0
    answer.put("ready")
    while True:
        with reader as (_metadata, data):
            if data is None:
                break
            events += 1
    answer.put((events, time.monotonic()))


def main() -> None:
    """Print the rate."""
    arguments = json.loads(sys.argv[1])
    dtype, length, slots = EVENTS[arguments["event"]]
    buffer = mimoBuffer("bench", slots, length, np.dtype(dtype))
    answer: Any = multiprocessing.Queue()
    begin = multiprocessing.Value("d")
    reader = multiprocessing.Process(target=read, args=(buffer, answer))
    writer = multiprocessing.Process(target=write, args=(buffer, arguments["events"], begin))
    reader.start()
    answer.get()
    writer.start()
    events, end = answer.get()
    writer.join()
    reader.join()
    if events != arguments["events"]:
        sys.exit(f"{arguments['events']} events went in, {events} came out")
    print(json.dumps({"rate": events / (end - begin.value)}))


main()
