"""Read recorded events from mimoCoRB's tar archives of one Parquet file per event (import it late)."""

from __future__ import annotations

import bz2
import gzip
import os
import re
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mimodaq.functions.files._description import from_comment
from mimodaq.functions.files._errors import CorruptFileError, NothingYetError
from mimodaq.functions.files._eventfile import Columns, EventFile, metadata_or_default
from mimodaq.functions.files._layout import Field, planar_dtype

_MEMBER: Final = re.compile(r"(?:.*_)?(\d+)\.parquet$")
_BROKEN_STREAM: Final = (EOFError, OSError, zlib.error)


class _Member(NamedTuple):
    archive: int
    counter: int
    name: str
    offset: int
    size: int


class TarEvents(EventFile):
    """Events of one or several tars, whose members are called `<name>_<counter>.parquet`.

    Several tars follow one another in order of their names, the events of each in numeric order of their counters.
    A compressed tar is unpacked once into a temporary file.
    """

    format = "tar"

    def __init__(
        self, path: Path, paths: Sequence[Path], *, skip_corrupt: bool = False, is_complete: bool = True
    ) -> None:
        super().__init__(path)
        self.is_complete = is_complete
        self._skip_corrupt = skip_corrupt
        self._paths = paths
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        paths = self._paths
        self.metadata = {}
        self._archives = [self._open(part) for part in paths]
        self._members = sorted(member for number in range(len(paths)) for member in self._index(number))
        self.count = len(self._members)
        first = next((found for member in self._members if (found := self._event(member, None)) is not None), None)
        if first is None and not self.is_complete:
            raise NothingYetError(self.path)
        if first is None:
            raise CorruptFileError(self.path, "it has no readable member `<name>_<counter>.parquet`")
        self._fields = [Field(name, values.dtype, len(values)) for name, values in first.items()]
        self.dtype = planar_dtype(self._fields)

    def columns(self, start: int, stop: int) -> Columns:
        members = self._members[start:stop]
        fields = {name: np.empty((len(members), samples), base) for name, base, samples in self._fields}
        good = []
        for i, member in enumerate(members):
            event = self._event(member, self._fields)
            if event is None:
                self.skipped += 1
                continue
            good.append(i)
            for name, values in event.items():
                fields[name][i] = values
        counter = np.array([member.counter for member in members], np.int64)
        events = Columns(*metadata_or_default({"counter": counter}, len(members)), fields)
        return events if len(good) == len(members) else events.take(np.array(good, np.intp))

    def _open(self, path: Path) -> IO[bytes]:
        if path.suffix == ".tar":
            return self._open_files.enter_context(path.open("rb"))
        plain = tempfile.TemporaryFile()  # noqa: SIM115, closed with the other files
        self._open_files.callback(plain.close)
        with bz2.open(path) if path.suffix == ".bz2" else gzip.open(path) as packed:
            try:
                while chunk := packed.read1(1 << 20):  # gives what there is before an error
                    plain.write(chunk)
            except _BROKEN_STREAM as error:
                if not self._skip_corrupt:
                    raise CorruptFileError(path, f"it cannot be unpacked ({error})", skippable=True) from error
        plain.seek(0)
        return plain

    def _index(self, number: int) -> list[_Member]:
        members: list[_Member] = []
        size = self._archives[number].seek(0, os.SEEK_END)
        self._archives[number].seek(0)
        try:
            with tarfile.open(fileobj=self._archives[number], mode="r:") as archive:
                for info in archive:
                    match = _MEMBER.match(info.name)
                    if match is not None and info.isfile():
                        members.append(_Member(number, int(match[1]), info.name, info.offset_data, info.size))
                self.metadata = self.metadata or from_comment(archive.pax_headers)
        except (tarfile.TarError, OSError) as error:
            if self.is_complete and not self._skip_corrupt:
                problem = f"it is no complete tar, {len(members)} events can be read ({error})"
                raise CorruptFileError(self._paths[number], problem, skippable=True) from error
        if not self.is_complete:
            members = [member for member in members if member.offset + member.size <= size]
        return members

    def _event(self, member: _Member, expected: Sequence[Field] | None) -> dict[str, npt.NDArray[Any]] | None:
        """The samples of one event by field, None if it is damaged and may be skipped."""
        archive = self._archives[member.archive]
        archive.seek(member.offset)
        try:
            table = pq.read_table(pa.BufferReader(archive.read(member.size)), page_checksum_verification=True)
            event = {name: table.column(name).to_numpy() for name in table.column_names if name != "__index_level_0__"}
            problem = _misfit(event, expected)
        except (pa.ArrowException, OSError, ValueError) as error:
            problem = str(error).split("\n", maxsplit=1)[0]
        if not problem:
            return event
        if self._skip_corrupt:
            return None
        path = self._paths[member.archive]
        raise CorruptFileError(path, f"member {member.name} cannot be used: {problem}", skippable=True)


def _misfit(event: dict[str, npt.NDArray[Any]], expected: Sequence[Field] | None) -> str:
    """What is wrong with an event, empty if nothing."""
    text = [name for name, values in event.items() if values.dtype.kind not in "biuf"]
    if text or not event:
        return f"columns {text} are no numbers" if text else "it has no columns"
    found = [Field(name, values.dtype, len(values)) for name, values in event.items()]
    if expected is not None and found != list(expected):
        return f"it has {_show(found)}, the first event has {_show(expected)}"
    return ""


def _show(fields: Sequence[Field]) -> str:
    return ", ".join(f"{name} {base} x {samples}" for name, base, samples in fields)
