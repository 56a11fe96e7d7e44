"""Read waveforms back from the tars that `rb_toParquetfile` has written, for sources of the mimoCoRB form."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mimodaq.functions.files import open_events

_ENDINGS = (".tar", ".gz", ".tgz", ".bz2")


class parquetReader:
    """Give one recorded event a call: a list of arrays, one for each channel; None after the last one.

    Keys of the configuration: `path`, a folder whose .tar, .tar.gz, .tgz and .tar.bz2 files are read in the order of
    their names; optional `sleeptime` (0.1 s between events), `random` (false; true = exponential times).
    `init` tells which channels are wanted. Raises FileNotFoundError if there is nothing to read, FilesError for a file
    that cannot be read.
    """

    def __init__(self, config_dict: Mapping[str, Any]) -> None:
        self.path = config_dict["path"]
        self.sleeptime = float(config_dict.get("sleeptime", 0.10))
        self.random = bool(config_dict.get("random", False))
        self.number_of_samples = config_dict.get("number_of_samples")
        folder = Path(self.path)
        self.filenames = sorted(p for p in folder.glob("*") if p.is_file() and p.suffix in _ENDINGS)
        if not self.filenames:
            raise FileNotFoundError(
                f"parquetReader: {folder.absolute()} has no file {', '.join(_ENDINGS)} (key 'path')"
            )
        self.channel_names: Sequence[str] = ()
        self._events = self._read()

    def init(
        self,
        number_of_channels: int,
        number_of_values: int | None = None,
        channel_names: Sequence[str] | None = None,
    ) -> None:
        """Tell the channels of the buffer to be filled; by default chA, chB, ..."""
        names = channel_names or [f"ch{chr(ord('A') + i)}" for i in range(number_of_channels)]
        self.number_of_channels = number_of_channels
        self.number_of_values = number_of_values
        self.channel_names = list(names)[:number_of_channels]

    def __call__(self) -> list[NDArray[Any]] | None:
        """The next event, after the time set. Raises KeyError if the file does not have a channel."""
        event = next(self._events, None)
        if event is not None and self.sleeptime:
            time.sleep(random.expovariate(1.0 / self.sleeptime) if self.random else self.sleeptime)
        return event

    def _read(self) -> Iterator[list[NDArray[Any]]]:
        for path in self.filenames:
            with open_events(path) as events:
                for batch in events.batches():
                    for event in batch.events:
                        yield [event[name] for name in self.channel_names]
