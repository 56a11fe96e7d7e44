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

DTYPES = {
    "parquet": np.dtype([("chA", "<f4", (1000,)), ("height", "<f8", (1,))]),
    "csv": np.dtype([("height", "<f4", (1,)), ("position", "<i4", (1,)), ("integral", "<f8", (1,))]),
    "tar": np.dtype([("chA", "<f4", (200,)), ("chB", "<f4", (200,))]),
}


class Stream:
    """A reader whose position of release is kept in a file."""

    name = "RB_1"

    def __init__(self, kind: str, position: Path, end: int, acknowledge: Connection) -> None:
        self.dtype = DTYPES[kind]
        with position.open("r+b") as file:
            self._position: Any = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
        self._taken = self._position[0]
        self._end = end
        self._acknowledge = acknowledge

    def take(self, n: int, timeout: float | None = None) -> Batch | None:
        if self._taken >= self._end:
            return None
        many = 1 + (self._taken * 7919) % 120
        stop = min(self._taken + min(n, many), self._end)
        batch = make_batch(self.dtype, range(self._taken, stop))
        self._taken = stop
        return batch

    def release(self, n: int | None = None) -> None:
        self._position[0] = self._taken
        self._acknowledge.send_bytes(b"released")


def write_stream(kind: str, run_dir: Path, position: Path, end: int, acknowledge: Connection) -> None:
    """Body of the process."""
    io = FunctionIO(
        name="Fkt_1",
        process=0,
        processes=1,
        config={},
        run_dir=run_dir,
        setup_dir=run_dir,
        run_info={"run": 1},
        log=logging.getLogger("killed"),
        readers=[Stream(kind, position, end, acknowledge)],  # type: ignore[list-item]
    )
    if kind == "parquet":
        to_parquet(io, rotate_size="2 MB", fsync="never")
    elif kind == "csv":
        to_csv(io, fsync="never")
    else:
        to_tar(io, fsync="never")
