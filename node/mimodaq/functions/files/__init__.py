"""Write events to files that survive a crash, and read them back: Parquet, text, mimoCoRB's tar, numpy.

Everything here works without the worker runtime. pyarrow is loaded when a file is read or written, not on import.
"""

from __future__ import annotations

from mimodaq.functions.files._csv import CsvWriter
from mimodaq.functions.files._dataset import DatasetWriter
from mimodaq.functions.files._errors import CorruptFileError, DiskFullError, FilesError, MismatchError
from mimodaq.functions.files._eventfile import Columns, EventFile
from mimodaq.functions.files._fit import fit
from mimodaq.functions.files._layout import Batch
from mimodaq.functions.files._open import Description, describe, open_events
from mimodaq.functions.files._recover import RecoveredFile, RecoveryReport, recover
from mimodaq.functions.files._replay import replay
from mimodaq.functions.files._sinks import to_csv, to_parquet, to_tar
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
    "RecoveredFile",
    "RecoveryReport",
    "TarWriter",
    "describe",
    "fit",
    "open_events",
    "recover",
    "replay",
    "to_csv",
    "to_parquet",
    "to_tar",
]
