"""Writing files: whole runs of a fast source and a writer, against Arrow writing the same events from memory."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from mimodaq.client.bench._alternate import Effort, Sized, alternate, say
from mimodaq.client.bench._peers import Peers
from mimodaq.client.bench._results import BenchError, Goal, Row
from mimodaq.client.bench._rings import WAVE
from mimodaq.client.bench._runs import carry_out
from mimodaq.client.bench._sources import BLOCK_EVENTS, PARAMETERS, block_of

_SLOTS: Final = {"waveforms": 128, "parameters": 8192}


def run_rate(events: int, dtype: np.dtype[Any], slots: int, sink: str) -> float:
    """Events per second of a run: source, buffer, `sink`, from the first event to the complete files."""
    fields = {i: [name, dtype[name].base.name] for i, name in enumerate(dtype.names or (), 1)}
    samples = dtype[0].shape[0]
    setup = {
        "RingBuffer": [{"RB_1": {"number_of_slots": slots, "channel_per_slot": samples, "data_type": fields}}],
        "Functions": [
            {
                "Fkt_1": {
                    "function": "mimodaq.client.bench._sources:blocks",
                    "RB_assign": {"RB_1": "write"},
                    "config": {"events": events},
                }
            },
            {"Fkt_2": {"function": sink, "RB_assign": {"RB_1": "read"}}},
        ],
    }
    with tempfile.TemporaryDirectory(prefix="mimodaq-bench-") as name:
        folder = Path(name)
        (folder / "setup.yaml").write_text(yaml.safe_dump(setup, sort_keys=False))
        finished = carry_out(folder / "setup.yaml", folder / "run")
        written = sum(figures["events_written"] for figures in finished.record["figures"]["Fkt_2"].values())
    if written != events:
        raise BenchError(f"{events} events went in, {written} are in the file")
    return events / finished.seconds


def table_of(dtype: np.dtype[Any], events: int) -> Any:
    """The events a run writes, as an Arrow table with its columns: metadata, and one list per waveform."""
    import pyarrow as pa

    block = block_of(dtype)[np.arange(events) % BLOCK_EVENTS]
    columns = {
        "counter": pa.array(np.arange(events)),
        "timestamp": pa.array(1.7e9 + np.arange(events) * 1e-3),
        "deadtime": pa.array(np.full(events, -1.0)),
    }
    for name in dtype.names or ():
        values = np.ascontiguousarray(block[name])
        flat = pa.array(values.reshape(-1))
        columns[name] = flat if values.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.table(columns)


def arrow_rate(events: int, dtype: np.dtype[Any], kind: str) -> float:
    """Events per second of Arrow writing its table from memory; `kind` is parquet (zstd, no dictionary) or csv."""
    import pyarrow.csv
    import pyarrow.parquet

    table = table_of(dtype, events)
    with tempfile.TemporaryDirectory(prefix="mimodaq-bench-") as folder:
        begin = time.monotonic()
        if kind == "parquet":
            pyarrow.parquet.write_table(table, f"{folder}/table.parquet", compression="zstd", use_dictionary=False)
        else:
            pyarrow.csv.write_csv(table, f"{folder}/table.csv")
        return events / (time.monotonic() - begin)


def rows(effort: Effort, _peers: Peers) -> Iterator[Row]:
    """All rows about writing files."""
    yield _row(effort, "write.parquet.68kB", WAVE, "parquet", 200, Goal(ratio_min=0.7))
    yield _row(effort, "write.parquet.64B", PARAMETERS, "parquet", 20_000, Goal(value_min=3e5))
    yield _row(effort, "write.csv.64B", PARAMETERS, "csv", 5_000, Goal(value_min=5e4))


def _row(effort: Effort, name: str, dtype: np.dtype[Any], kind: str, first: int, goal: Goal) -> Row:
    what = "waveforms" if dtype is WAVE else "parameters"
    say(f"{name}: a run of a fast source and to_{kind}")
    sized = partial(Sized, first=first, seconds=effort.run_seconds)
    sink = f"to_{kind}"
    limit = f"pyarrow {kind} from memory"
    found = alternate(
        {
            limit: sized(partial(arrow_rate, dtype=dtype, kind=kind)),
            sink: sized(partial(run_rate, dtype=dtype, slots=_SLOTS[what], sink=sink)),
        },
        effort.run_repeats,
    )
    zstd = " (zstd)" if kind == "parquet" else ""
    work = f"{what} of {dtype.itemsize} B, whole run: source, buffer, to_{kind}{zstd}"
    return Row(name, work, "ev/s", found[sink], found[limit], goal)
