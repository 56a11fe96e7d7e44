"""The built-in functions that write files: loops around the writers, and the checks of their surroundings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mimodaq.functions.files._csv import CsvWriter
from mimodaq.functions.files._dataset import DatasetWriter
from mimodaq.functions.files._description import describe_run
from mimodaq.functions.files._errors import DiskFullError, FilesError
from mimodaq.functions.files._io import EventReader, SinkIO
from mimodaq.functions.files._tar import TarWriter
from mimodaq.functions.files._writer import EventWriter, Fsync

_IDLE_SECONDS: Final = 1.0
_ENDINGS: Final = (".csv", ".txt", ".tsv", ".dat", ".tar")


def to_parquet(
    io: SinkIO,
    *,
    filename: str = "",
    columns: list[str] | None = None,
    units: dict[str, str] | None = None,
    rotate_size: str | float = "1 GB",
    rotate_time: str | float = 0,
    compression: str = "zstd",
    compression_level: int | None = None,
    sort_by_counter: bool = True,
    metadata: bool = True,
    fsync: Fsync = "close",
) -> None:
    """Write every event of a buffer to the Parquet dataset `<filename>/<filename>-0000.parquet`, `-0001`, ...

    filename: name of the folder in the run directory; default the name of the buffer.
    metadata: write into the files what is known of the run: number, times, setup with its modules, versions, verdict;
        without it two runs with the same events give the same bytes, with it the same bytes up to the footer.
    Other options: see `DatasetWriter`. Raises FilesError, DiskFullError.
    """
    reader = _only_reader(io)
    name = output_name("to_parquet", reader.name, filename)
    writer = DatasetWriter(
        io.run_dir / name,
        reader.dtype,
        metadata=describe_run(io.run_dir, io.run_info) if metadata else None,
        columns=columns,
        units=units,
        rotate_size=rotate_size,
        rotate_time=rotate_time,
        compression=compression,
        compression_level=compression_level,
        sort_by_counter=sort_by_counter,
        fsync=fsync,
        spill=[place / name for place in io.spill],
        reserve_bytes=io.reserve_bytes,
    )
    place = writer.place

    def look() -> None:
        nonlocal place
        writer.rotate_if_due()
        if writer.place != place:
            place = writer.place
            io.log.warning("%s goes on in %s: the disk before has no more room", name, place)

    _drain(io, reader, writer, look)


def to_csv(
    io: SinkIO,
    *,
    filename: str = "",
    columns: list[str] | None = None,
    header_alias: dict[str, str] | None = None,
    separator: str = ",",
    expand: bool = False,
    sort_by_counter: bool = True,
    metadata: bool = True,
    fsync: Fsync = "close",
) -> None:
    r"""Write every event of a buffer as a line of the text file `<filename>.csv` (`.txt` if separated by tabs).

    filename: in the run directory, with or without ending; default the name of the buffer.
    separator: one character, e.g. "," or "\t".
    metadata: as in `to_parquet`; here in a file beside it, `<filename>.csv.json`: the text holds numbers only.
    Other options: see `CsvWriter`. Raises FilesError, DiskFullError.
    """
    reader = _only_reader(io)
    path = io.run_dir / output_name("to_csv", reader.name, filename, separator)
    writer = CsvWriter(
        path,
        reader.dtype,
        columns=columns,
        header_alias=header_alias,
        separator=separator,
        expand=expand,
        metadata=describe_run(io.run_dir, io.run_info) if metadata and io.run_info else None,
        sort_by_counter=sort_by_counter,
        fsync=fsync,
    )
    _drain(io, reader, writer)


def to_tar(
    io: SinkIO, *, filename: str = "", sort_by_counter: bool = True, metadata: bool = True, fsync: Fsync = "close"
) -> None:
    """Write every event of a buffer as a member `<filename>_<counter>.parquet` of the tar `<filename>.tar`.

    This is the layout of mimoCoRB, for its programs.

    metadata: as in `to_parquet`; here in the comment of the tar, which programs that read it pass over.
    Other options: see `TarWriter`. Raises FilesError, DiskFullError.
    """
    reader = _only_reader(io)
    path = io.run_dir / output_name("to_tar", reader.name, filename)
    description = describe_run(io.run_dir, io.run_info) if metadata else None
    writer = TarWriter(path, reader.dtype, metadata=description, sort_by_counter=sort_by_counter, fsync=fsync)
    _drain(io, reader, writer)


def _drain(io: SinkIO, reader: EventReader, writer: EventWriter, idle: Callable[[], None] | None = None) -> None:
    """Write a stream to its end. An event is released after it is safe and before the next batch is appended."""
    if writer.bytes_dropped:
        io.log.warning("%s: cut off %d bytes of an event a killed writer had begun", io.name, writer.bytes_dropped)
    events = 0
    try:
        with writer:
            try:
                while (batch := reader.take(writer.batch_events, timeout=_IDLE_SECONDS)) is not None:
                    if len(batch.events):
                        events += writer.append(batch)
                        reader.release()
                    if idle is not None:
                        idle()
            except DiskFullError:
                writer.close()  # the space for it was set aside
                io.log.error("%s: the disk is full; the files with the %d events before are complete", io.name, events)
                raise
    finally:
        io.files(*writer.files)
        io.note(events_written=events, duplicates_dropped=writer.duplicates_dropped)


def _only_reader(io: SinkIO) -> EventReader:
    if len(io.readers) != 1 or io.processes != 1:
        raise FilesError(
            f"{io.name} writes a file and needs one buffer to read and one process, found {len(io.readers)} and "
            f"{io.processes}. Correct `RB_assign` and set `num_process: 1` (one process writes faster than the "
            "events can be compressed, and that is done by threads)."
        )
    reader: EventReader = io.readers[0]
    return reader


def output_name(function: str, buffer: str, filename: str = "", separator: str = ",") -> str:
    """What one of these functions calls its file or folder in the run directory, with its ending."""
    name = filename or buffer
    if function == "to_parquet":
        return name.removesuffix(".parquet")
    ending = ".tar" if function == "to_tar" else ".txt" if separator == "\t" else ".csv"
    return name if name.endswith(_ENDINGS) else name + ending
