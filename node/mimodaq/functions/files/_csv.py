"""Events as text, one line each: for spreadsheets, and the layout mimoCoRB writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mimodaq.functions.files._description import beside, write_beside
from mimodaq.functions.files._errors import FilesError, storing
from mimodaq.functions.files._layout import METADATA, EventBatch, fields_of, select_columns
from mimodaq.functions.files._recordfile import RecordFile
from mimodaq.functions.files._writer import Fsync

_BATCH_EVENTS: Final = 4096


class CsvWriter(RecordFile):
    """Writes events to a text file and continues one whose writer was killed; lines are there at once (`tail -f`).

    Numbers are the shortest text that gives the same number of their own type again, written as Python and pandas
    do (`0.1`, `1e-05`, `nan`). When the writer is closed the lines are sorted by (counter, timestamp).

    path: the file, with its ending.
    dtype: planar record dtype of the events. A field of several samples needs `expand`, which makes the columns
        `chA[0]`, `chA[1]`, ...
    columns: fields to write and their order; default counter, timestamp, deadtime and all fields.
    header_alias: other names for columns, by field name.
    separator: one character between values.
    metadata: a description as `describe_run` gives it, for the file beside it, `<name>.json`. A file that is continued
        keeps its own.
    sort_by_counter, fsync: as in `DatasetWriter`.

    Raises FilesError for options and fields that do not fit, DiskFullError when the disk is full.
    """

    def __init__(
        self,
        path: Path,
        dtype: np.dtype[Any],
        *,
        columns: Sequence[str] | None = None,
        header_alias: Mapping[str, str] | None = None,
        separator: str = ",",
        expand: bool = False,
        metadata: Mapping[str, Any] | None = None,
        sort_by_counter: bool = True,
        fsync: Fsync = "close",
    ) -> None:
        if len(separator) != 1:
            raise FilesError(f'option `separator: {separator!r}` is not one character. Write for example `"\\t"`.')
        self._columns = select_columns(dtype, columns)
        self._separator = separator
        samples = dict.fromkeys(METADATA, 1) | {field.name: field.samples for field in fields_of(dtype)}
        waveforms = [f"{name} ({samples[name]} samples)" for name in self._columns if samples[name] > 1]
        if waveforms and not expand:
            raise FilesError(
                f"writing {path}: a line of text has no place for {', '.join(waveforms)}. Use `to_parquet`, leave "
                "them out with `columns`, or set `expand: true` for one column per sample."
            )
        header = self._header(samples, header_alias or {})
        super().__init__(
            path,
            header.encode(),
            batch_events=_BATCH_EVENTS,
            sort_by_counter=sort_by_counter,
            fsync=fsync,
            run=metadata.get("run") if metadata else None,
        )
        if metadata:
            self._describe(metadata)

    def append(self, batch: EventBatch) -> int:
        if not len(batch.events):
            return 0
        texts: list[list[str]] = []
        for name in self._columns:
            if name in METADATA:
                texts.append(_texts(getattr(batch, name)))
            else:
                values = batch.events[name].reshape(len(batch.events), -1)
                texts.extend(_texts(values[:, i]) for i in range(values.shape[1]))
        lines = [f"{self._separator.join(values)}\n".encode() for values in zip(*texts, strict=True)]
        return self.append_records(batch.counter, batch.timestamp, lines)

    def _describe(self, metadata: Mapping[str, Any]) -> None:
        if self._index is None or (len(self._index) and beside(self.path).exists()):
            return
        try:
            with storing(f"writing {beside(self.path)}", safe=self._safe()):
                write_beside(self.path, metadata, durable=self._fsync != "never")
        except FilesError:
            self.abort()
            raise

    def _header(self, samples: Mapping[str, int], alias: Mapping[str, str]) -> str:
        unknown = sorted(set(alias) - set(samples))
        names = []
        for name in self._columns:
            shown = alias.get(name, name)
            names += [shown] if samples[name] == 1 else [f"{shown}[{i}]" for i in range(samples[name])]
        doubled = sorted({name for name in names if names.count(name) > 1})
        broken = [name for name in names if self._separator in name or '"' in name or "\n" in name]
        if unknown or doubled or broken:
            raise FilesError(
                f"option `header_alias`: fields that do not exist {unknown}, names given twice {doubled}, names with "
                f"the separator or a quote in them {broken}. Fields are {', '.join(samples)}."
            )
        return self._separator.join(names) + "\n"


def _texts(values: npt.NDArray[Any]) -> list[str]:
    if values.dtype.kind == "f":
        text: list[str] = values.astype("U32").tolist()
        return text
    return list(map(str, values.tolist()))
