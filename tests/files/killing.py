"""A writer process to be killed: it writes an endless stream whose released part outlives it.

The stream stands for a ring with one reader: what was released is a number in a memory-mapped file, and a new process
is given everything from there on again, whatever the dead one had taken.
"""

from __future__ import annotations

import logging
import mmap
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from files.conftest import make_batch
from mimodaq.functions import FunctionIO
from mimodaq.functions.files import Batch, to_csv, to_parquet, to_tar
from mimodaq.ring import Ring

DTYPES = {
    "parquet": np.dtype([("chA", "<f4", (600,)), ("height", "<f8", (1,))]),
    "csv": np.dtype([("height", "<f4", (1,)), ("position", "<i4", (1,)), ("integral", "<f8", (1,))]),
    "tar": np.dtype([("chA", "<f4", (200,)), ("chB", "<f4", (200,))]),
}


class Killer:
    """The line to the process that kills: told after each release, asked before the one with number `hold`."""

    def __init__(self, line: Connection, hold: int) -> None:
        self._line = line
        self._hold = hold
        self._count = 0

    def before_release(self) -> None:
        self._count += 1
        if self._count == self._hold:
            self._line.send_bytes(b"stored but not released")
            self._line.recv_bytes()  # never answered

    def after_release(self) -> None:
        self._line.send_bytes(b"released")


class Stream:
    """A reader whose position of release is kept in a file."""

    name = "RB_1"

    def __init__(self, kind: str, position: Path, end: int, killer: Killer) -> None:
        self.dtype = DTYPES[kind]
        with position.open("r+b") as file:
            self._position: Any = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
        self._taken = self._position[0]
        self._end = end
        self._killer = killer

    def take(self, n: int, timeout: float | None = None) -> Batch | None:
        if self._taken >= self._end:
            return None
        many = 1 + (self._taken * 7919) % 120
        stop = min(self._taken + min(n, many), self._end)
        batch = make_batch(self.dtype, range(self._taken, stop))
        self._taken = stop
        return batch

    def release(self, n: int | None = None) -> None:
        self._killer.before_release()
        self._position[0] = self._taken
        self._killer.after_release()


class FromRing:
    """A reader of a real ring."""

    def __init__(self, segment: str, killer: Killer) -> None:
        self._reader = Ring.attach(segment).reader("g")
        self._killer = killer
        self.name = "RB_1"
        self.dtype = self._reader.dtype

    def take(self, n: int, timeout: float | None = None) -> Batch | None:
        return self._reader.take(min(n, 20), timeout)  # type: ignore[return-value]

    def release(self, n: int | None = None) -> None:
        self._killer.before_release()
        self._reader.release(n)
        self._killer.after_release()


def write_ring(segment: str, run_dir: Path, line: Connection, hold: int) -> None:
    """Body of a process that writes a real ring to Parquet."""
    to_parquet(_io(run_dir, FromRing(segment, Killer(line, hold))), rotate_size="20 kB", fsync="never")


def write_stream(kind: str, run_dir: Path, position: Path, end: int, line: Connection, hold: int) -> None:
    """Body of a process that writes a stream to a kind of file."""
    io = _io(run_dir, Stream(kind, position, end, Killer(line, hold)))
    if kind == "parquet":
        to_parquet(io, rotate_size="1 MB", fsync="never")
    elif kind == "csv":
        to_csv(io, fsync="never")
    else:
        to_tar(io, fsync="never")


def _io(run_dir: Path, reader: Any) -> FunctionIO:
    return FunctionIO(
        name="Fkt_1",
        process=0,
        processes=1,
        config={},
        run_dir=run_dir,
        setup_dir=run_dir,
        run_info={"run": 1},
        log=logging.getLogger("killed"),
        readers=[reader],
    )
