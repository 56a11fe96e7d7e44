"""What the operator's screens cost beside a large cluster: they run on a pseudo-terminal of their own program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from mimodaq.client.bench._alternate import Effort, say
from mimodaq.client.bench._peers import Peers
from mimodaq.client.bench._results import NOTHING, BenchError, Goal, Row, Series

_NODES: Final = 50
_BUFFERS: Final = 20
_SECONDS: Final = 20.0
_PATIENCE_S: Final = 300.0
_WORDS: Final = {
    "tui.cpu": "processor time",
    "tui.terminal": "bytes to the terminal",
    "tui.key": "key to reaction, median",
    "tui.key.slowest": "key to reaction, slowest",
    "tui.start": "start, until something is shown",
    "tui.memory": "memory",
}


def _measure(nodes: int, buffers: int, seconds: float, warm_up_s: float) -> dict[str, tuple[float, str, float]]:
    """Value, unit and goal of each figure."""
    words = ("-m", "mimodaq.tui.bench", f"--nodes={nodes}", f"--buffers={buffers}")
    times = (f"--seconds={seconds}", f"--warm-up={warm_up_s}")
    done = subprocess.run(
        [sys.executable, *words, *times], capture_output=True, text=True, check=False, timeout=_PATIENCE_S
    )
    if done.returncode:
        raise BenchError(f"the screens gave no result: {(done.stderr.strip() or 'no words').splitlines()[-1]}")
    return {
        row["name"]: (row["value"], row["unit"], row["limit"]["value"]) for row in json.loads(done.stdout)["results"]
    }


def rows(effort: Effort, peers: Peers) -> Iterator[Row]:
    """Processor, terminal, keys, start and memory of one viewer."""
    nodes, buffers = (_NODES, _BUFFERS) if effort.seconds else (2, 2)
    say(f"tui: {nodes} nodes with {buffers} buffers each, one report a second")
    seconds, warm_up_s = (_SECONDS, 5.0) if effort.seconds else (0.5, 0.0)
    found = [_measure(nodes, buffers, seconds, warm_up_s) for _ in range(effort.run_repeats)]
    for name, words in _WORDS.items():
        _, unit, goal = found[0][name]
        values = tuple(one[name][0] for one in found)
        say(f"  {name}: {', '.join(f'{value:.3g}' for value in values)} {unit}")
        work = f"{nodes} nodes with {buffers} buffers each at 1 Hz, 160x45: {words}"
        yield Row(name, work, unit, Series("screens", values), NOTHING, Goal(value_max=goal))
