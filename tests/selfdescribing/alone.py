"""What data files say about their run, read as somebody does who has not heard of mimodaq."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

EVERYTHING = {
    "run", "setup", "started", "operator", "comment", "where", "configuration", "versions", "files", "sha256", "end",
}  # fmt: skip
"""What each of them says, whatever its format."""
OF_THE_END = {"verdict", "reasons", "times", "live_time_s", "ledger", "buffers", "clock", "workers", "left_out"}


def told(file: Path) -> dict[str, Any]:
    """All that a file says, as plain values; the end of the run as it is in `run.json`."""
    match file.suffix:
        case ".parquet":
            entries = pq.read_metadata(file).metadata
            found = {key.decode(): plain(text.decode()) for key, text in entries.items() if key != b"ARROW:schema"}
        case ".tar":
            with tarfile.open(file) as archive:
                found = json.loads(archive.pax_headers["comment"])
        case _:
            assert len(pd.read_csv(file)) > 0
            found = json.loads(file.with_name(f"{file.name}.json").read_text())
    return {**found, "run": int(found["run"]), "end": found["end"]["end"]}


def plain(text: str) -> Any:
    """The value of an entry of a Parquet file: text, or a table as JSON."""
    return json.loads(text) if text.startswith("{") else text
