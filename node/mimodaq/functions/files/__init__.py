"""Write events to files that survive a crash, and read them back: Parquet, text, mimoCoRB's tar, numpy.

Everything here works without the worker runtime. pyarrow is loaded when a file is read or written, not on import.
"""

from __future__ import annotations

from mimodaq.functions.files._csv import CsvWriter
from mimodaq.functions.files._dataset import DatasetWriter
from mimodaq.functions.files._description import beside, bytes_of_events, end_of, read_beside, seal_run
from mimodaq.functions.files._errors import CorruptFileError, DiskFullError, FilesError, MismatchError, NothingYetError
from mimodaq.functions.files._eventfile import Columns, EventFile
from mimodaq.functions.files._fit import fit
from mimodaq.functions.files._layout import Batch
from mimodaq.functions.files._open import Description, describe, event_files, open_events
from mimodaq.functions.files._recover import RecoveredFile, RecoveryReport, recover
from mimodaq.functions.files._replay import replay
from mimodaq.functions.files._room import RunFiles, free_bytes, look_at_files
from mimodaq.functions.files._sinks import output_name, to_csv, to_parquet, to_tar
from mimodaq.functions.files._tar import TarWriter
from mimodaq.functions.files._writer import EventWriter

__all__ = [
    "Batch",
    "Columns",
    "CorruptFileError",
    "CsvWriter",
    "DatasetWriter",
    "Description",
    "DiskFullError",
    "EventFile",
    "EventWriter",
    "FilesError",
    "MismatchError",
    "NothingYetError",
    "RecoveredFile",
    "RecoveryReport",
    "RunFiles",
    "TarWriter",
    "beside",
    "bytes_of_events",
    "describe",
    "end_of",
    "event_files",
    "fit",
    "free_bytes",
    "look_at_files",
    "open_events",
    "output_name",
    "read_beside",
    "recover",
    "replay",
    "seal_run",
    "to_csv",
    "to_parquet",
    "to_tar",
]
