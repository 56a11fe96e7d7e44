"""Run one function between real ring buffers, in this process."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mimodaq.functions import FunctionIO, run
from mimodaq.ring import Ring, segment_name

WAVE = np.dtype([("chA", "<f4", (8,)), ("chB", "<f4", (8,))])
ONE = np.dtype([("ch", "<f4", (8,))])
VALUE = np.dtype([("height", "<f8", (1,)), ("position", "<i4", (1,))])

_numbers = count()


class Event(NamedTuple):
    """One event that came out of a buffer."""

    fields: dict[str, list[Any]]
    counter: int
    timestamp: float
    deadtime: float


class Stage:
    """The buffers around one function."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.figures: dict[str, Any] = {}
        self._rings: list[Ring] = []

    def close(self) -> None:
        for ring in self._rings:
            ring.verify()
            ring.unlink()

    def ring(self, name: str, dtype: np.dtype[Any], slots: int = 64) -> Ring:
        segment = segment_name(name, partition=f"stage-{os.getpid()}-{next(_numbers)}")
        ring = Ring.create(segment, dtype, slots, groups=("reads",), expected_writers=1, buffer=name)
        self._rings.append(ring)
        return ring

    def play(
        self,
        function: Callable[..., Any],
        events: Sequence[Any] | None = None,
        *,
        reads: np.dtype[Any] = WAVE,
        writes: Iterable[np.dtype[Any]] = (),
        observes: bool = False,
        config: Mapping[str, Any] | None = None,
        process: int = 0,
        processes: int = 1,
    ) -> list[list[Event]]:
        """Run `function` to its end; gives what is in each of its sinks.

        `events` are put into the buffer it reads: counters from 100, time stamps 0.5 s apart, dead times 0, 0.01, ...
        """
        sinks = [self.ring(f"out{i}", dtype) for i, dtype in enumerate(writes)]
        ends: dict[str, Any] = {}
        if events is not None:
            source = self.ring("in", reads)
            if observes:
                ends["observers"] = [source.observer("it")]
            with source.writer("test") as writer:
                for i, event in enumerate(events):
                    writer.put(event, 100 + i, 1000.0 + 0.5 * i, 0.01 * i)
            if not observes:
                ends["readers"] = [source.reader("reads", "it")]
        self.play_into(function, *sinks, config=config, process=process, processes=processes, **ends)
        return [content(sink) for sink in sinks]

    def play_into(
        self,
        function: Callable[..., Any],
        *sinks: Ring,
        config: Mapping[str, Any] | None = None,
        process: int = 0,
        processes: int = 1,
        **ends: Any,
    ) -> None:
        """Run `function` to its end with sinks that are there already."""
        io = FunctionIO(
            name="Fkt_2",
            process=process,
            processes=processes,
            config=config or {},
            run_dir=self.folder,
            setup_dir=self.folder,
            run_info={},
            log=logging.getLogger("Fkt_2"),
            figures=self.figures,
            writers=[sink.writer("it") for sink in sinks],
            **ends,
        )
        try:
            run(function, io)
        finally:
            for end in (*io.writers, *io.readers, *io.observers):
                end.close()


def content(ring: Ring) -> list[Event]:
    """Every event in a ring whose writer has closed."""
    found = []
    with ring.reader("reads", "test") as reader:
        while (event := reader.get()) is not None:
            fields = {name: event[name].tolist() for name in ring.dtype.names or ()}
            found.append(Event(fields, reader.counter, reader.timestamp, reader.deadtime))
    return found
