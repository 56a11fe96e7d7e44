"""One writer to one reader process through a ring of mimoCoRB 1.0; run by an interpreter that has it.

The writer copies a prebuilt event as bytes (the fastest way this ring allows), the reader takes it and does nothing.
"""

import json
import multiprocessing
import sys
import time
from typing import Any

import numpy as np
from mimocorb.mimo_buffer import NewBuffer, Reader, Writer  # type: ignore[import-not-found]

EVENTS = {
    "small": ([(name, np.float32) for name in "abcdef"], 1, 128),
    "wave": ([(f"ch{name}", np.float32) for name in "ABCD"], 4250, 128),
}


def write(setup: dict[str, Any], events: int, begin: Any) -> None:
    """Fill the ring."""
    writer = Writer(setup)
    event = np.zeros(setup["values_per_slot"], setup["dtype"]).view(np.uint8)
    begin.value = time.monotonic()
    for _ in range(events):
        writer.get_new_buffer().view(np.uint8)[:] = event
        writer.process_buffer()


def read(setup: dict[str, Any], events: int, answer: Any) -> None:
    """Empty the ring; the time of the last event."""
    reader = Reader(setup)
    answer.put("ready")
    for _ in range(events):
        reader.get()
    answer.put(time.monotonic())
    reader.get()  # gives the last slot back, and leaves by SystemExit when the ring is shut down


def main() -> None:
    """Print the rate."""
    arguments = json.loads(sys.argv[1])
    dtype, values, slots = EVENTS[arguments["event"]]
    ring = NewBuffer(slots, values, dtype)
    answer: Any = multiprocessing.Queue()
    begin = multiprocessing.Value("d")
    reader = multiprocessing.Process(target=read, args=(ring.new_reader_group(), arguments["events"], answer))
    writer = multiprocessing.Process(target=write, args=(ring.new_writer(), arguments["events"], begin))
    reader.start()
    answer.get()
    writer.start()
    end = answer.get()
    writer.join()
    ring.set_ending()
    ring.shutdown()
    ring.close()
    reader.join()
    print(json.dumps({"rate": arguments["events"] / (end - begin.value)}))


main()
