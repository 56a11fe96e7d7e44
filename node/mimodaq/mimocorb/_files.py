"""Classes that save the events of a buffer, in the files of mimoCoRB: text, and a tar of Parquet files.

The writing is done by `mimodaq.functions.files`: an event is released only when it is in a file that survives the
death of this process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mimodaq.functions.files import CsvWriter, EventWriter, TarWriter
from mimodaq.mimocorb._access import Config, Sources, only
from mimodaq.mimocorb.activity_logger import Gen_logger
from mimodaq.mimocorb.mimo_buffer import METADATA_DTYPE, Reader


class _ToFile:
    """Saves every event of a buffer."""

    ending: str

    def __init__(self, source_list: Sources = None, config_dict: Config = None, **rb_info: Any) -> None:
        name = type(self).__name__
        self.source = Reader(only(source_list, "source_list", self))
        config = config_dict or {}
        if "filename" not in config:
            raise ValueError(f"{name} needs the key 'filename' in its configuration")
        self.filename = f"{config.get('directory_prefix', '.')}/{config['filename']}{self.ending}"
        self._writer = self._open(Path(self.filename), config)

    def _open(self, path: Path, config: dict[str, Any]) -> EventWriter:
        raise NotImplementedError

    def __call__(self) -> None:
        """Save until the end of the data, then complete the file."""
        with self._writer as writer:
            while (batch := self.source.take(writer.batch_events)) is not None:
                writer.append(batch)
                self.source.release()


class rb_toTxtfile(_ToFile):
    """Save scalar variables as text: `<filename>.txt`, one line an event, separated by tabs.

    The header names counter, timestamp, deadtime and the fields; `header_alias` (field: name) gives other names.
    """

    ending = ".txt"

    def _open(self, path: Path, config: dict[str, Any]) -> EventWriter:
        if self.source.values_per_slot != 1:
            raise ValueError(
                f"rb_toTxtfile saves buffers with channel_per_slot 1, this one has {self.source.values_per_slot}: "
                "use rb_toParquetfile"
            )
        known = {*(name for name, _ in METADATA_DTYPE), *(self.source.event_dtype.names or ())}
        alias = {field: str(name) for field, name in (config.get("header_alias") or {}).items() if field in known}
        unknown = sorted(set(config.get("header_alias") or {}) - known)
        if unknown:
            Gen_logger("rb_toTxtfile").warning("%s: header_alias for unknown fields %s", path.name, ", ".join(unknown))
        return CsvWriter(path, self.source.event_dtype, header_alias=alias, separator="\t")


class rb_toParquetfile(_ToFile):
    """Save waveforms as `<filename>.tar`, one Parquet file `<filename>_<counter>.parquet` an event."""

    ending = ".tar"

    def _open(self, path: Path, config: dict[str, Any]) -> EventWriter:
        return TarWriter(path, self.source.event_dtype)
