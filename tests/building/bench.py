"""`build_events` between real buffers."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from mimodaq.functions import FunctionIO, build_events, run
from mimodaq.ring import Reader, Ring, Writer, segment_name

HIT = np.dtype([("t_ns", "<i8", (1,)), ("charge", "<f4", (1,)), ("wave", "<f4", (4,))])
OUT = np.dtype(
    [
        ("RB_1_charge", "<f4", (1,)),
        ("RB_2_charge", "<f4", (1,)),
        ("RB_2_wave", "<f4", (4,)),
        ("RB_2_dt_ns", "<f8", (1,)),
        ("quality", "u1", (1,)),
        ("sources", "u1", (1,)),
        ("n_sources", "u1", (1,)),
    ]
)
_numbers = count()


class Bench:
    """Buffers RB_1, RB_2, ... that are read, and OUT."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.figures: dict[str, Any] = {}
        self.rings: dict[str, Ring] = {}

    def ring(self, name: str, dtype: np.dtype[Any] = HIT, slots: int = 512) -> Ring:
        segment = segment_name(name, partition=f"build-{os.getpid()}-{next(_numbers)}")
        ring = Ring.create(segment, dtype, slots, groups=("Fkt_3",), expected_writers=1, buffer=name)
        self.rings[name] = ring
        return ring

    def close(self) -> None:
        for ring in self.rings.values():
            ring.verify()
            ring.unlink()

    def fill(self, name: str, counters: Sequence[int], t_ns: Sequence[int] | None = None, slots: int = 512) -> None:
        """A buffer with a finished stream; the charge of an event is its counter, its time 1e9 s + t_ns."""
        with self.ring(name, slots=slots).writer("source") as writer:
            for counter, t in zip(counters, t_ns or [0] * len(counters), strict=True):
                put(writer, counter, t)

    def build(self, config: Mapping[str, Any], out: np.dtype[Any] = OUT) -> np.ndarray:
        """Run to the end; gives the events written, with `counter`, `timestamp` and `deadtime` as fields."""
        self.ring("OUT", out)
        sources = [name for name in self.rings if name != "OUT"]
        work(self, config, [self.rings[name].reader("Fkt_3", "it") for name in sources], self.rings["OUT"].writer("it"))
        self.figures = json.loads((self.folder / "figures.json").read_text())
        check_books(self.figures)
        return content(self.rings["OUT"])


def put(writer: Writer, counter: int, t_ns: int = 0) -> None:
    """Write one event of a source."""
    writer.put({"t_ns": t_ns, "charge": counter, "wave": counter}, counter, 1e9 + t_ns * 1e-9, 0.01 * (counter % 7))


def work(bench: Bench, config: Mapping[str, Any], readers: Sequence[Reader], writer: Writer) -> None:
    """Run the function to its end as a worker does; its figures go to a file."""
    io = FunctionIO(
        name="Fkt_3",
        process=0,
        processes=1,
        config=config,
        run_dir=bench.folder,
        setup_dir=bench.folder,
        run_info={},
        log=logging.getLogger("Fkt_3"),
        readers=readers,
        writers=[writer],
    )
    try:
        run(build_events, io)
    finally:
        (bench.folder / "figures.json").write_text(json.dumps(io.figures))
        for end in (writer, *readers):
            end.close()


def content(ring: Ring) -> np.ndarray:
    """Every event in a buffer whose writer has closed."""
    metadata = [("counter", "i8"), ("timestamp", "f8"), ("deadtime", "f8")]
    plain = [
        (n, ring.dtype[n].base) if ring.dtype[n].shape == (1,) else (n, *ring.dtype[n].subdtype)
        for n in ring.dtype.names
    ]
    parts = [np.empty(0, [*plain, *metadata])]
    with ring.reader("Fkt_3", "test") as reader:
        while (batch := reader.take(1000)) is not None:
            part = np.empty(len(batch.events), parts[0].dtype)
            for name in ring.dtype.names:
                part[name] = batch.events[name].reshape(part[name].shape)
            for name, _ in metadata:
                part[name] = getattr(batch, name)
            parts.append(part)
            reader.release()
    return np.concatenate(parts)


def check_books(figures: Mapping[str, Any]) -> None:
    """Every event read is in exactly one class, and the members of the events written are those that were built."""
    for counts in figures["sources"].values():
        assert counts["read"] == sum(n for word, n in counts.items() if word != "read")
