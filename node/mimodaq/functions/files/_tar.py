"""The waveform file of mimoCoRB: a tar with one small Parquet file per event, one row per sample."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from mimodaq.functions.files._description import as_comment
from mimodaq.functions.files._errors import FilesError
from mimodaq.functions.files._layout import EventBatch, fields_of
from mimodaq.functions.files._recordfile import RecordFile
from mimodaq.functions.files._writer import Fsync

_BATCH_EVENTS: Final = 64


class TarWriter(RecordFile):
    """Writes `<name>.tar` with a member `<name>_<counter>.parquet` per event, as mimoCoRB does.

    It exists for programs that read this layout; `to_parquet` is faster by an order of magnitude and its files are
    smaller. The members are sorted by (counter, timestamp) when the tar is closed, and carry the time of their event.

    path: the file, with its ending.
    dtype: planar record dtype; each field is a column, so all have the same number of samples.
    metadata: a description as `describe_run` gives it, for the comment of the tar. A tar that is
        continued keeps its own.
    sort_by_counter, fsync: as in `DatasetWriter`.

    Raises FilesError for fields that do not fit, DiskFullError when the disk is full.
    """

    def __init__(
        self,
        path: Path,
        dtype: np.dtype[Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        sort_by_counter: bool = True,
        fsync: Fsync = "close",
    ) -> None:
        fields = fields_of(dtype)
        if len({field.samples for field in fields}) > 1:
            lengths = ", ".join(f"{field.name} ({field.samples})" for field in fields)
            raise FilesError(
                f"writing {path}: a row per sample needs fields of one length, found {lengths}. Use `to_parquet`."
            )
        self._names = [field.name for field in fields]
        super().__init__(
            path,
            as_comment(metadata) if metadata else b"",
            bytes(2 * tarfile.BLOCKSIZE),
            batch_events=_BATCH_EVENTS,
            sort_by_counter=sort_by_counter,
            fsync=fsync,
            run=metadata.get("run") if metadata else None,
            is_header_kept=True,
        )

    def append(self, batch: EventBatch) -> int:
        members = [
            self._member(event, int(number), float(when))
            for event, number, when in zip(batch.events, batch.counter, batch.timestamp, strict=True)
        ]
        return self.append_records(batch.counter, batch.timestamp, members)

    def _member(self, event: Any, counter: int, timestamp: float) -> bytes:
        from mimodaq.functions.files._arrow import samples_to_parquet

        content = samples_to_parquet({name: event[name] for name in self._names})
        info = tarfile.TarInfo(f"{self.path.name.removesuffix('.tar')}_{counter}.parquet")
        info.size = len(content)
        info.mtime = int(timestamp) if timestamp > 0 else 0
        padding = bytes(-len(content) % tarfile.BLOCKSIZE)
        return info.tobuf(tarfile.GNU_FORMAT) + content + padding
