"""What a data file says about the run it belongs to: enough to judge it, and to take the run again.

Theory of operation. A file is complete before it is known how its run ends. So it is written with everything that is
known at the beginning and with an empty place of fixed size, the *seal*, which one write fills in when the books of
the run are closed. The file keeps its length and can be read at any moment; an empty seal says that the run went on
when the file was copied, or that it was killed. In Parquet the description is the key-value metadata of the footer,
in a tar it is the comment in front of the first member. A text has no place for it that programs pass over, so it is a
file beside the text, `x.csv.json`.

    {"seal_bytes":   13312, "run": 12, "started": "2026-11-22T15:10:02.271828+00:00", "end": null            }

Events are not touched by any of it: all bytes of a Parquet file before its footer, and all of a tar behind its
comment, depend on the events alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from mimodaq.config import MAX_BUNDLE_BYTES
from mimodaq.functions.files._errors import FilesError
from mimodaq.functions.files._rowfile import replace, write_all

END: Final = "end"
"""Key of the seal."""
FILES: Final = "files"
"""Key of the files that make up the setup: their texts, by their names in the run directory."""
HASHES: Final = "sha256"
OF_FILE: Final = (FILES, HASHES, END)
"""What Parquet has as metadata of the file only: large, or changed later. Arrow keeps those of a schema twice."""
_KEPT: Final = "kept"
"""Key of `run_info` with the names of these files."""
_COMMENT: Final = "comment"
_SEAL: Final = re.compile(rb'\{"seal_bytes": +(\d+), ')
_SEAL_BYTES: Final = 4096
_SEAL_BYTES_EACH: Final = 1024
"""For each buffer and function of the setup."""
_TOLD: Final = (
    "verdict", "reasons", "end_reason", "times", "running_s", "live_time_s", "live_time_fraction", "ledger", "clock",
    "limits", "where", "quarantine", "buffers", "workers", "links", "figures", "node",
)  # fmt: skip
_SHED: Final = ("figures", "links", "workers", "buffers", "quarantine", "where", "limits", "ledger", "clock")
"""What is left out of an end that is too long for its seal, in this order; run.json has it."""
_REASONS: Final = 3
_REASON_CHARACTERS: Final = 200
_MAGIC: Final = b"PAR1"
_TAIL_BYTES: Final = 8


def describe_run(run_dir: Path, run_info: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a run when it begins, and an empty seal (a text) for its end.

    That is `run_info`, and the files that the run keeps of its setup, with their hashes (and without their texts if
    they are larger than a setup that can be sent to other hosts).

    Raises FilesError when one of them cannot be read.
    """
    found = {key: value for key, value in run_info.items() if key != _KEPT}
    files: dict[str, bytes] = {}
    for name in run_info.get(_KEPT, ()):
        try:
            files[name] = (run_dir / name).read_bytes()
        except FileNotFoundError:
            continue  # it came into the folder of the setup after the run had copied it
        except OSError as error:
            raise FilesError(
                f"describing the run in its data files: {error.filename}: {error.strerror}. Make it readable, or set "
                "`metadata: false` to write them without a description."
            ) from error
    if files:
        found[HASHES] = {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()}
    if files and sum(map(len, files.values())) <= MAX_BUNDLE_BYTES:
        found[FILES] = {name: raw.decode(errors="surrogateescape") for name, raw in files.items()}
    return {**found, END: _empty_seal(run_info)}


def _empty_seal(run_info: Mapping[str, Any]) -> str:
    """The place for the end of a run; how large follows from its setup."""
    configuration = run_info.get("configuration", {})
    parts = len(configuration.get("RingBuffer", ())) + len(configuration.get("Functions", ()))
    size = _SEAL_BYTES + parts * _SEAL_BYTES_EACH
    begin = _beginning(size, run_info.get("run"), run_info.get("started")).decode()
    return f"{begin}{'null':{size - len(begin) - 1}}}}"


def as_comment(description: Mapping[str, Any]) -> bytes:
    """A description in the form of the first block of a tar, which programs that read tars pass over."""
    return tarfile.TarInfo.create_pax_global_header({_COMMENT: _as_json(description)})


def from_comment(headers: Mapping[str, str]) -> dict[str, str]:
    """The description of a tar from its global headers, in the form that Parquet has; empty if there is none."""
    return _from_json(headers.get(_COMMENT, ""))


def beside(path: Path) -> Path:
    """Where the description of a text lies."""
    return path.with_name(f"{path.name}.json")


def write_beside(path: Path, description: Mapping[str, Any], *, durable: bool) -> None:
    """Write the description of a text; `durable` means it survives a power cut. Raises OSError."""
    place = beside(path)
    temporary = place.with_name(f"_{place.name}.tmp")
    try:
        temporary.write_text(_as_json(description, indent=1) + "\n", encoding="utf-8")
        replace(temporary, place, durable=durable)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read_beside(path: Path) -> dict[str, str]:
    """The description of a text in the form that Parquet has; empty if there is none that can be read."""
    try:
        return _from_json(beside(path).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def _as_json(description: Mapping[str, Any], indent: int | None = None) -> str:
    """A description with its seal, which is JSON already, as the last entry."""
    begin = {key: value for key, value in description.items() if key != END}
    text = json.dumps(begin, indent=indent, default=str)
    return f'{text[:-1].rstrip()}, "{END}": {description[END]}}}'


def _from_json(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()}


def end_of(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """How the run of a file has ended, in the words of run.json; None if the file does not say."""
    try:
        end = json.loads(metadata[END])[END]
    except (KeyError, ValueError, TypeError):
        return None
    return end if isinstance(end, dict) else None


def seal_run(run_dir: Path, record: Mapping[str, Any]) -> list[str]:
    """Write the end of a run from its complete record into all its data files; what was not possible, in words.

    Files of other runs and files without a description are left alone.
    """
    listed = [Path(path) for paths in record["files"].values() for path in paths]
    there = (path for path in (*run_dir.rglob("*"), *listed, *map(beside, listed)) if _has_seal(path))
    places = {path.resolve(): path.suffix for path in there if not path.name.startswith(("_", "."))}
    problems = []
    for path, kind in sorted(places.items()):
        try:
            _seal(path, kind, record)
        except OSError as error:
            problems.append(f"writing the end of the run into {path}: {error.strerror}. Its events are complete")
    return problems


def _has_seal(path: Path) -> bool:
    """Whether a file may have one; a JSON file only if it belongs to another file."""
    return path.suffix in _REGIONS and path.is_file() and (path.suffix != ".json" or path.with_suffix("").is_file())


def _seal(path: Path, kind: str, record: Mapping[str, Any]) -> None:
    with path.open("r+b", buffering=0) as file:
        start, region = _REGIONS[kind](file)
        found = _SEAL.search(region)
        if found is None:
            return
        at, size = found.start(), int(found[1])
        begin = _beginning(size, record["run"], record["times"]["start_asked"])
        if not region.startswith(begin, at) or at + size > len(region):
            return
        room = size - len(begin) - 1
        file.seek(start + at)
        write_all(file.fileno(), begin + _fitting(record, room).ljust(room) + b"}")


def _beginning(size: int, run: object, started: object) -> bytes:
    """The part of a seal that stays as it is: it tells to which run it belongs."""
    whose = json.dumps({"run": run, "started": started})[1:-1]
    return f'{{"seal_bytes": {size:7}, {whose}, "{END}": '.encode()


def _fitting(record: Mapping[str, Any], room: int) -> bytes:
    """The end of a run as JSON of at most `room` bytes; `left_out` names what had no place."""
    end = {key: record[key] for key in _TOLD if key in record}
    reasons = list(record["reasons"])
    end["reasons"] = [reason[:_REASON_CHARACTERS] for reason in reasons[:_REASONS]]
    left_out = ["reasons"] if end["reasons"] != reasons else []
    for key in ("", *_SHED):
        if key in end:
            left_out.append(key)
            sums = {name: value for name, value in end[key].items() if name != "buffers"} if key == "ledger" else None
            end = {**end, key: sums}
        text = json.dumps({**end, "left_out": left_out}, ensure_ascii=False, default=str).encode(errors="replace")
        if len(text) <= room:
            return text
    raise AssertionError(f"a verdict with {_REASONS} reasons has place in {_SEAL_BYTES} bytes")


def _footer(file: BinaryIO) -> tuple[int, bytes]:
    """Where the footer of a Parquet file begins, and what it holds; nothing for a file that is none."""
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or length > size - _TAIL_BYTES - len(_MAGIC):
        return 0, b""
    start = size - _TAIL_BYTES - length
    file.seek(start)
    return start, file.read(length)


def _first_block(file: BinaryIO) -> tuple[int, bytes]:
    """Where the global header of a tar begins, and what it holds; nothing for a tar without."""
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE or block[156:157] != tarfile.XGLTYPE:
        return 0, b""
    length = tarfile.TarInfo.frombuf(block, "utf-8", "replace").size
    return tarfile.BLOCKSIZE, file.read(length)


def _all(file: BinaryIO) -> tuple[int, bytes]:
    return 0, file.read()


_REGIONS: Final[Mapping[str, Callable[[BinaryIO], tuple[int, bytes]]]] = {
    ".parquet": _footer, ".tar": _first_block, ".json": _all,
}  # fmt: skip
"""For each kind of file the part that holds a description."""


def bytes_of_events(path: Path) -> tuple[int, int]:
    """From where to where the bytes of a file depend on its events alone. Raises OSError."""
    size = path.stat().st_size
    if path.suffix not in (".parquet", ".tar"):
        return 0, size
    with path.open("rb", buffering=0) as file:
        start, region = _REGIONS[path.suffix](file)
    if path.suffix == ".tar":
        return start + -(-len(region) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE, size
    return 0, start
