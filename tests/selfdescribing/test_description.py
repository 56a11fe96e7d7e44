"""What is written into data files about their run, when, and what a reader sees at any moment."""

from __future__ import annotations

import json
import resource
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from files.conftest import SCALARS, WAVES, make_batch
from mimodaq.config import MAX_BUNDLE_BYTES
from mimodaq.functions.files import (
    CsvWriter,
    DatasetWriter,
    DiskFullError,
    FilesError,
    TarWriter,
    beside,
    bytes_of_events,
    end_of,
    open_events,
    recover,
    seal_run,
)
from mimodaq.functions.files._description import describe_run

CHANNELS = np.dtype([("chA", "<f4", (8,)), ("chB", "<f4", (8,))])
STARTED = "2026-11-22T15:10:02.000001+00:00"
INFO = {
    "run": 12,
    "setup": "demo_setup.yaml",
    "started": STARTED,
    "operator": "anna",
    "configuration": {"RingBuffer": [{"RB_1": {}}], "Functions": [{"Fkt_1": {}}]},
    "kept": ["setup.resolved.yaml", "modules/filter.py", "modules/written_later.py"],
}
RECORD: dict[str, Any] = {
    "run": 12,
    "verdict": "tainted",
    "reasons": ["a wörker died"],
    "end_reason": "by the operator",
    "times": {"start_asked": STARTED, "stop_complete": "2026-11-22T16:10:02+00:00"},
    "ledger": {"balanced": True, "left": 0, "quarantined": 1, "buffers": {"RB_1": {}}},
    "files": {},
}


@pytest.fixture
def described(tmp_path: Path) -> Path:
    """A run directory with a dataset and a tar, complete, of a run that has not ended."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "setup.resolved.yaml").write_text("RingBuffer: []\n")
    (tmp_path / "modules/filter.py").write_text('LEVEL = \'a "quoted" text, {"seal_bytes": 1}\'\n')
    with DatasetWriter(tmp_path / "RB_1", WAVES, metadata=describe_run(tmp_path, INFO)) as writer:
        writer.append(make_batch(WAVES, range(20)))
    with TarWriter(tmp_path / "RB_2.tar", CHANNELS, metadata=describe_run(tmp_path, INFO)) as tar:
        tar.append(make_batch(CHANNELS, [5, 3, 4]))
    return tmp_path


def files_of(folder: Path) -> tuple[Path, Path]:
    return folder / "RB_1/RB_1-0000.parquet", folder / "RB_2.tar"


def test_files_tell_what_is_known_at_the_beginning(described: Path) -> None:
    for file in files_of(described):
        with open_events(file) as events:
            found = events.metadata
        assert (found["run"], found["setup"], found["operator"], found["started"]) == (
            "12",
            "demo_setup.yaml",
            "anna",
            STARTED,
        )
        texts = json.loads(found["files"])
        assert set(texts) == {"setup.resolved.yaml", "modules/filter.py"}
        assert texts["modules/filter.py"] == (described / "modules/filter.py").read_text()
        assert set(json.loads(found["sha256"])) == set(texts)
        assert end_of(found) is None


def test_a_setup_that_is_too_large_is_named_by_its_hashes_alone(described: Path) -> None:
    (described / "modules/filter.py").write_bytes(b"#" * MAX_BUNDLE_BYTES)
    found = describe_run(described, INFO)
    assert "files" not in found
    assert set(found["sha256"]) == {"setup.resolved.yaml", "modules/filter.py"}


def test_the_end_is_written_into_files_that_are_complete(described: Path) -> None:
    sizes = [file.stat().st_size for file in files_of(described)]
    content = [file.read_bytes()[slice(*bytes_of_events(file))] for file in files_of(described)]
    assert seal_run(described, RECORD) == []
    for file, size, before in zip(files_of(described), sizes, content, strict=True):
        assert file.stat().st_size == size
        assert file.read_bytes()[slice(*bytes_of_events(file))] == before
        with open_events(file) as events:
            end = end_of(events.metadata)
        assert end is not None
        assert (end["verdict"], end["reasons"], end["ledger"]) == ("tainted", RECORD["reasons"], RECORD["ledger"])
        assert (end["times"], end["left_out"]) == (RECORD["times"], [])


def test_a_later_verdict_takes_the_place_of_the_first(described: Path) -> None:
    seal_run(described, RECORD)
    seal_run(described, {**RECORD, "verdict": "good", "reasons": []})
    for file in files_of(described):
        with open_events(file) as events:
            end = end_of(events.metadata)
        assert end is not None
        assert (end["verdict"], end["reasons"]) == ("good", [])


def test_events_can_be_read_whenever_the_writing_of_the_end_is_interrupted(described: Path) -> None:
    before = [file.read_bytes() for file in files_of(described)]
    seal_run(described, RECORD)
    for file, old in zip(files_of(described), before, strict=True):
        new = file.read_bytes()
        numbers = list(range(20)) if file.suffix == ".parquet" else [3, 4, 5]
        changed = [i for i in range(len(old)) if old[i] != new[i]]
        for cut in range(changed[0], changed[-1], 37):
            file.write_bytes(new[:cut] + old[cut:])
            with open_events(file) as events:
                assert events.columns(0, 20).counter.tolist() == numbers
                assert end_of(events.metadata) is None


@pytest.fixture
def text(described: Path) -> Path:
    """A text in the same run directory."""
    path = described / "out.csv"
    with CsvWriter(path, SCALARS, metadata=describe_run(described, INFO)) as writer:
        writer.append(make_batch(SCALARS, range(5)))
    return path


def test_what_is_said_of_a_text_lies_beside_it_and_the_text_is_as_without(described: Path, text: Path) -> None:
    with CsvWriter(described / "plain.csv", SCALARS) as writer:
        writer.append(make_batch(SCALARS, range(5)))
    place = beside(text)
    assert place.name == "out.csv.json"
    assert not beside(described / "plain.csv").exists()
    size, before = place.stat().st_size, json.loads(place.read_text())
    assert (before["run"], before["operator"], before["end"]["end"]) == (12, "anna", None)
    assert seal_run(described, RECORD) == []
    assert place.stat().st_size == size
    after = json.loads(place.read_text())
    assert (after["end"]["end"]["verdict"], after["files"]) == ("tainted", before["files"])
    assert text.read_bytes() == (described / "plain.csv").read_bytes()
    with open_events(text) as events:
        assert (events.metadata["run"], end_of(events.metadata)) == ("12", after["end"]["end"])


def test_a_text_that_is_continued_keeps_what_is_said_of_it(described: Path) -> None:
    path, about = described / "out.csv", describe_run(described, INFO)
    first = CsvWriter(path, SCALARS, metadata=about)
    first.append(make_batch(SCALARS, [1]))
    first.abort()
    begun = beside(path).read_bytes()
    with CsvWriter(path, SCALARS, metadata={**about, "where": "another process"}) as second:
        second.append(make_batch(SCALARS, [2]))
    assert beside(path).read_bytes() == begun
    CsvWriter(path, SCALARS, metadata=describe_run(described, {**INFO, "run": 13})).close()  # it is complete
    assert beside(path).read_bytes() == begun


@pytest.mark.parametrize(("kind", "dtype", "name"), [(CsvWriter, SCALARS, "x.csv"), (TarWriter, CHANNELS, "x.tar")])
def test_a_file_is_continued_by_another_process_and_not_by_another_run(
    described: Path, kind: Any, dtype: Any, name: str
) -> None:
    def left(number: int, **info: Any) -> None:
        about = describe_run(described, {**INFO, **info})
        writer = kind(described / name, dtype, metadata=about)
        writer.append(make_batch(dtype, [number]))
        writer.abort()

    left(1, where={"pid": 1})
    left(2, where={"pid": 1234567})  # the node daemon was started again meanwhile
    with pytest.raises(FilesError, match=r"or of another run. Run `mimodaq recover`"):
        left(3, run=13)
    assert recover(described / name).events == 2
    with open_events(described / name) as events:
        assert events.columns(0, 9).counter.tolist() == [1, 2]
        assert json.loads(events.metadata["where"]) == {"pid": 1}


def test_a_description_without_room_leaves_nothing(described: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    about = describe_run(described, INFO)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))
    try:
        with pytest.raises(DiskFullError, match=r"writing .*out.csv.json: File too large"):
            CsvWriter(described / "out.csv", SCALARS, metadata=about)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(described.glob("*.json*"))
    with CsvWriter(described / "out.csv", SCALARS, metadata=about) as writer:
        writer.append(make_batch(SCALARS, [1]))
    assert beside(described / "out.csv").exists()


def test_json_that_belongs_to_no_file_is_left_alone(described: Path, text: Path) -> None:
    mine = described / "counts.json"
    mine.write_bytes(beside(text).read_bytes())
    before = mine.read_bytes()
    assert seal_run(described, RECORD) == []
    assert mine.read_bytes() == before


@pytest.mark.parametrize("other", [{"run": 13}, {"times": {"start_asked": "2026-11-22T15:10:02.000002+00:00"}}])
def test_files_of_another_run_are_left_alone(described: Path, other: dict[str, Any]) -> None:
    before = [file.read_bytes() for file in files_of(described)]
    assert seal_run(described, {**RECORD, **other}) == []
    assert [file.read_bytes() for file in files_of(described)] == before


def test_files_without_description_and_damaged_ones_are_left_alone(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "RB_1", WAVES) as writer:
        writer.append(make_batch(WAVES, range(20)))
    whole = (tmp_path / "RB_1/RB_1-0000.parquet").read_bytes()
    for name, content in {"cut.parquet": whole[:-20], "short.parquet": b"PAR1", "empty.tar": b""}.items():
        (tmp_path / name).write_bytes(content)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    assert seal_run(tmp_path, RECORD) == []
    assert {path: path.read_bytes() for path in before} == before


def test_files_that_cannot_be_changed_are_named_and_stay_readable(described: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        problems = seal_run(described, RECORD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(problems) == 2
    for problem, file in zip(problems, files_of(described), strict=True):
        assert problem == f"writing the end of the run into {file}: File too large. Its events are complete"
        with open_events(file) as events:
            assert end_of(events.metadata) is None


def test_parts_on_another_disk_are_found_by_record_and_by_link(described: Path, tmp_path_factory: Any) -> None:
    elsewhere = tmp_path_factory.mktemp("disk2")
    part, tar = (file.rename(elsewhere / file.name) for file in files_of(described))
    files_of(described)[0].symlink_to(part)
    (described / "notes.tar").symlink_to("/proc/version")
    assert seal_run(described, {**RECORD, "files": {"Fkt_4": [str(tar), str(elsewhere / "gone.tar")]}}) == []
    for file in (part, tar):
        with open_events(file) as events:
            assert end_of(events.metadata) is not None


def test_an_end_too_long_for_its_place_is_shortened(described: Path) -> None:
    long = {
        **RECORD,
        "reasons": [f"reason {i} " + "ä" * 1000 for i in range(50)],
        "figures": {"Fkt_1": {"0": {"x": list(range(5000))}}},
        "buffers": {f"RB_{i}": {"events": i} for i in range(5000)},
        "ledger": {"balanced": True, "left": 0, "quarantined": 1, "buffers": {f"RB_{i}": {} for i in range(5000)}},
    }
    assert seal_run(described, long) == []
    for file in files_of(described):
        with open_events(file) as events:
            end = end_of(events.metadata)
            assert events.count in (3, 20)
        assert end is not None
        assert end["verdict"] == "tainted"
        assert len(end["reasons"]) == 3
        assert end["ledger"] == {"balanced": True, "left": 0, "quarantined": 1}
        assert {"reasons", "figures", "buffers", "ledger"} <= set(end["left_out"])


def test_other_programs_read_a_described_tar_as_before(described: Path) -> None:
    tar = files_of(described)[1]
    with tarfile.open(tar) as archive:
        assert archive.getnames() == ["RB_2_3.parquet", "RB_2_4.parquet", "RB_2_5.parquet"]
        member = archive.extractfile("RB_2_4.parquet")
        assert member is not None
        assert pq.read_table(member).num_rows == 8
    listed = subprocess.run(["tar", "tf", tar], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == ["RB_2_3.parquet", "RB_2_4.parquet", "RB_2_5.parquet"]
    assert listed.stderr == ""


def test_arrow_and_duckdb_show_the_description(described: Path) -> None:
    import duckdb

    seal_run(described, RECORD)
    file = files_of(described)[0]
    assert pq.read_schema(file).metadata[b"run"] == b"12"
    (row,) = duckdb.sql(f"select value from parquet_kv_metadata('{file}') where key = 'end'").fetchall()
    assert json.loads(row[0])["end"]["verdict"] == "tainted"
