"""Run a mimoCoRB 1.0 project without its windows and keyboard; run by an interpreter that has mimoCoRB.

Its own run script cannot be used without a display: the import of the control window fails, and with the window
switched off every end condition but the keyboard ends in an error. So this does the same with the class
`buffer_control` underneath, and the module of the control window is replaced by an empty one.
"""

import json
import multiprocessing
import os
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import yaml

QUIET_S = 0.7
SHUTDOWN_S = 10.0

window = types.ModuleType("mimocorb.bufferinfoGUI")
setattr(window, "bufferinfoGUI", None)  # noqa: B010 - a module has no such attribute for the type checker
sys.modules[window.__name__] = window

from mimocorb.buffer_control import buffer_control  # type: ignore[import-not-found]  # noqa: E402


def outputs(folder: Path) -> list[tuple[int, int]]:
    """Size and time of the last change of every output file."""
    files = [p.stat() for p in folder.iterdir() if p.suffix in (".txt", ".tar")]
    return sorted((s.st_size, s.st_mtime_ns) for s in files)


def wait_until_drained(control: Any, folder: Path, events: int) -> float:
    """Return the time (wall clock) at which the last event had been through the filters and into the files."""
    first = control.ringbuffers["RB_1"]
    while (first.cumulative_event_count, first.read_pointer) != (events, events % first.number_of_slots):
        time.sleep(0.01)
    filtered = time.time()
    before: Any = None
    since = time.monotonic()
    while time.monotonic() - since < QUIET_S:
        now = outputs(folder), [b.cumulative_event_count for b in control.ringbuffers.values()]
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(0.02)
    return max(filtered, *(changed / 1e9 for _, changed in outputs(folder)))


def counters(folder: Path) -> list[int]:
    """Counters of the events in the text file, sorted."""
    (file,) = folder.glob("*.txt")
    lines = file.read_text().splitlines()[1:]
    return sorted(int(float(line.split("\t", 1)[0])) for line in lines)


def shut_down(control: Any) -> None:
    """End the workers; by force if the ancestor hangs in it."""
    ending = threading.Thread(target=lambda: (control.stop(), control.shutdown()), daemon=True)
    ending.start()
    ending.join(SHUTDOWN_S)
    for child in multiprocessing.active_children():
        child.kill()


def main() -> None:
    """Print the rate and the counters of the accepted events."""
    arguments = json.loads(sys.argv[1])
    os.chdir(arguments["folder"])
    setup = yaml.safe_load(Path(arguments["setup"]).read_text())
    folder = Path(arguments["output"])
    folder.mkdir(parents=True)
    result, sys.stdout = sys.stdout, sys.stderr
    control = buffer_control(setup["RingBuffer"], setup["Functions"], {}, f"{folder}/")
    control.setup_buffers()
    control.setup_workers()
    begin = time.time()
    source = control.start_workers()[-1]
    source.join()
    end = wait_until_drained(control, folder, arguments["events"])
    answer = {"rate": arguments["events"] / (end - begin), "accepted": counters(folder)}
    shut_down(control)
    print(json.dumps(answer), file=result, flush=True)
    os._exit(0)


main()
