"""Find out what a path holds, and open it as recorded events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from mimodaq.functions.files._array_events import open_numpy, open_text
from mimodaq.functions.files._errors import FilesError
from mimodaq.functions.files._eventfile import EventFile
from mimodaq.functions.files._layout import fields_of
from mimodaq.functions.files._parts import list_journals
from mimodaq.functions.files._recordfile import index_of

Kind = Literal["parquet", "tar", "text", "npy"]
_KINDS: Final[dict[str, Kind]] = {
    ".parquet": "parquet",
    ".tar": "tar", ".tar.gz": "tar", ".tgz": "tar", ".gz": "tar", ".tar.bz2": "tar", ".bz2": "tar",
    ".csv": "text", ".txt": "text", ".tsv": "text",
    ".npy": "npy", ".npz": "npy",
}  # fmt: skip
_READABLE: Final = "Parquet, tar (.gz, .bz2) of mimoCoRB, csv or txt with a header, npy, npz"


@dataclass(frozen=True, slots=True)
class Description:
    """What a file of events holds."""

    path: Path
    format: str
    count: int
    """Number of events."""
    dtype: np.dtype[Any]
    """Planar record dtype of the events."""
    metadata: Mapping[str, str]

    def buffer(self) -> dict[str, Any]:
        """The keys `channel_per_slot` and `data_type` of a buffer (entry of `RingBuffer`) these events fit into.

        Raises FilesError if the fields have different numbers of samples: the setup file has one for all.
        """
        fields = fields_of(self.dtype)
        lengths = {field.name: field.samples for field in fields}
        if len(set(lengths.values())) != 1:
            raise FilesError(
                f"{self.path} has fields of different numbers of samples {lengths}; a buffer of a setup file has one "
                "number. Select columns, or write the file again with separate files for each."
            )
        return {
            "channel_per_slot": fields[0].samples,
            "data_type": {i: [field.name, field.base.name] for i, field in enumerate(fields, 1)},
        }


def describe(path: Path | str, dataset: str = "") -> Description:
    """What `open_events` would give, without the events; raises as it does."""
    with open_events(path, dataset) as events:
        return Description(events.path, events.format, events.count, events.dtype, events.metadata)


def open_events(
    path: Path | str, dataset: str = "", *, skip_corrupt: bool = False, unfinished: bool = False
) -> EventFile:
    """Open recorded events: a file, a Parquet dataset, a folder of tars, or a run directory.

    In a run directory `dataset` names the folder or file to read (without ending, unless a folder has the same name);
    without it, it is the only one with events, or the only one of them with waveforms. With `skip_corrupt` damaged
    events are left out and counted. With `unfinished` a file that is being written, or was left by a writer that was
    killed, is read as far as it has come (`is_complete` tells).

    Raises FilesError (no such path, unknown ending, dataset to be chosen or not complete), CorruptFileError.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FilesError(f"reading {path}: there is no such file or folder. Correct `input`.")
    if path.is_file():
        kind = _kind(path)
        if kind is None:
            raise FilesError(
                f"reading {path}: the ending {path.suffix or '(none)'} is unknown. Readable are {_READABLE}."
            )
        return _open_one(kind, path, [path], skip_corrupt=skip_corrupt, unfinished=unfinished)
    candidates = _candidates(path, skip_corrupt, unfinished)
    found = {name: opener for name, opener in candidates.items() if dataset in ("", name)}
    if not found:
        wanted = f" called {dataset!r}" if dataset else ""
        raise FilesError(f"reading {path}: the folder holds no events{wanted}. Readable are {_READABLE}.")
    if len(found) > 1:
        found = _with_waveforms(path, found)
    (opener,) = found.values()
    return opener()


def _with_waveforms(path: Path, found: Mapping[str, Callable[[], EventFile]]) -> dict[str, Callable[[], EventFile]]:
    """The only candidate with waveforms; FilesError if there is not exactly one."""
    waveforms = {}
    for name, opener in found.items():
        with opener() as events:
            if any(field.samples > 1 for field in fields_of(events.dtype)):
                waveforms[name] = opener
    if len(waveforms) != 1:
        raise FilesError(
            f"reading {path}: it holds several sets of events, {', '.join(found)}. Choose one with `dataset`."
        )
    return waveforms


def event_files(folder: Path) -> list[Path]:
    """Everything directly in a folder that `open_events` can read, by name: files, and folders that are datasets.

    A text is one of them if it has a column `counter`.
    """
    return sorted(
        path for path in folder.iterdir() if (path.is_dir() and _is_dataset(path)) or _holds_events(path, _kind(path))
    )


def _holds_events(path: Path, kind: Kind | None) -> bool:
    return kind is not None and (kind != "text" or "counter" in _first_line(path))


def _candidates(folder: Path, skip_corrupt: bool, unfinished: bool) -> dict[str, Callable[[], EventFile]]:
    """Everything in a folder that may hold events, by name."""
    groups: dict[str, tuple[Kind, Path, list[Path]]] = {}
    if _is_dataset(folder):
        groups[folder.name] = ("parquet", folder, [])
    for path in sorted(folder.iterdir()):
        kind = _kind(path)
        if path.is_dir() and _is_dataset(path):
            groups[path.name] = ("parquet", path, [])
        elif kind == "tar":
            groups.setdefault(folder.name, ("tar", folder, []))[2].append(path)
        elif kind in ("npy", "text") and _holds_events(path, kind):
            stem = path.name.split(".")[0]
            groups[path.name if stem in groups else stem] = (kind, path, [path])

    def opener(kind: Kind, path: Path, paths: list[Path]) -> Callable[[], EventFile]:
        return lambda: _open_one(kind, path, paths, skip_corrupt=skip_corrupt, unfinished=unfinished)

    return {name: opener(*group) for name, group in groups.items()}


def _is_dataset(folder: Path) -> bool:
    return any(folder.glob("[!_.]*.parquet")) or bool(list_journals(folder))


def _parts(folder: Path) -> list[Path]:
    """The Parquet files of a dataset; FilesError if events of it are still in journals."""
    journals = list_journals(folder)
    if journals:
        raise FilesError(
            f"reading {folder}: it is not complete, {len(journals)} journals hold events of a run that is going on or "
            f"was killed. Wait for its end, or run `mimodaq recover {folder}`."
        )
    return sorted(folder.glob("[!_.]*.parquet"))


def _open_one(kind: Kind, path: Path, paths: list[Path], *, skip_corrupt: bool, unfinished: bool) -> EventFile:
    """Open `path`, which consists of `paths`; a dataset finds its own."""
    is_complete = not unfinished or not any(map(_is_growing, paths))
    match kind:
        case "parquet" if unfinished and list_journals(path):
            from mimodaq.functions.files._growing import open_growing

            return open_growing(path, skip_corrupt=skip_corrupt)
        case "parquet":
            from mimodaq.functions.files._parquet_events import ParquetEvents

            return ParquetEvents(path, paths or _parts(path), skip_corrupt=skip_corrupt)
        case "tar":
            from mimodaq.functions.files._tar_events import TarEvents

            return TarEvents(path, paths, skip_corrupt=skip_corrupt, is_complete=is_complete)
        case "text":
            return open_text(path, skip_corrupt=skip_corrupt, is_complete=is_complete)
        case "npy":
            return open_numpy(path)


def _is_growing(path: Path) -> bool:
    """Whether a tar or text is being written, or was left by a writer that was killed."""
    return index_of(path).exists()


def _kind(path: Path) -> Kind | None:
    """The kind of a file by its ending; None for others, folders and files in the making (`_...`)."""
    if path.name.startswith(("_", ".")) or not path.is_file():
        return None
    return next((kind for ending, kind in _KINDS.items() if path.name.lower().endswith(ending)), None)


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline(65536).decode(errors="replace")
