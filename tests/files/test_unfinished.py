"""Files that are being written, or were left by a killed writer: what is read is what has come, each event once."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from files.conftest import SCALARS, WAVES, make_batch, write
from files.test_corrupt_input import flip
from files.test_open_events import assert_same, joined
from mimodaq.functions.files import (
    CorruptFileError,
    CsvWriter,
    DatasetWriter,
    FilesError,
    NothingYetError,
    TarWriter,
    event_files,
    open_events,
)
from mimodaq.functions.files._growing import GrowingDataset

CHANNELS = np.dtype([("chA", "<f4", (50,)), ("chB", "<f4", (50,))])


def left_unfinished(folder: Path, *batches: list[int], **options: object) -> None:
    """A dataset whose writer has died: a part for each batch but the last two, which are in journals."""
    writer = DatasetWriter(folder, WAVES, **options)  # type: ignore[arg-type]
    for i, counters in enumerate(batches):
        writer.append(make_batch(WAVES, counters))
        if i + 1 < len(batches):
            writer.rotate()
    writer._cancel.set()  # the thread that makes a part of the journal before comes too late
    writer.abort()


def test_parts_and_journals_are_read_as_one_in_order(tmp_path: Path) -> None:
    left_unfinished(tmp_path / "x", [5, 1, 9], [2, 10, 3], [7, 0, 4])
    with open_events(tmp_path / "x", unfinished=True) as events:
        assert not events.is_complete
        assert (events.count, events.dtype) == (9, WAVES)
        expected = make_batch(WAVES, [0, 1, 2, 3, 4, 5, 7, 9, 10])
        assert_same(joined(events), expected)
        assert_same(joined(events, max_bytes=150), expected)
    with pytest.raises(FilesError, match=r"not complete.*mimodaq recover"):
        open_events(tmp_path / "x")


def test_half_an_event_at_the_end_is_left_out(tmp_path: Path) -> None:
    left_unfinished(tmp_path / "x", [0, 1, 2])
    (journal,) = (tmp_path / "x").glob("_*.rows")
    journal.write_bytes(journal.read_bytes()[:-5])
    with open_events(tmp_path / "x", unfinished=True) as events:
        assert_same(joined(events), make_batch(WAVES, [0, 1]))


def test_a_damaged_part_beside_a_journal_can_be_left_out(tmp_path: Path) -> None:
    left_unfinished(tmp_path / "x", [9], [1, 3])
    with DatasetWriter(tmp_path / "whole", WAVES) as writer:
        writer.append(make_batch(WAVES, [0, 4]))
    part = writer.files[0].replace(tmp_path / "x/x-0000.parquet")
    flip(part, pq.read_metadata(part).row_group(0).column(3).data_page_offset + 20)
    with open_events(tmp_path / "x", unfinished=True) as events, pytest.raises(CorruptFileError, match="skip_corrupt"):
        events.columns(0, 9)
    with open_events(tmp_path / "x", unfinished=True, skip_corrupt=True) as events:
        assert joined(events).counter.tolist() == [1, 3]
        assert events.skipped == 2


def test_without_counters_events_come_as_they_were_written(tmp_path: Path) -> None:
    left_unfinished(tmp_path / "x", [5, 1], [2, 3], [4], columns=["height"], sort_by_counter=False)
    with open_events(tmp_path / "x", unfinished=True) as events:
        found = joined(events)
    assert found.counter.tolist() == [0, 1, 2, 3, 4]
    assert found.events["height"].tolist() == make_batch(WAVES, [5, 1, 2, 3, 4]).events["height"].tolist()


def test_a_dataset_that_has_only_begun_says_so(tmp_path: Path) -> None:
    left_unfinished(tmp_path / "x", [0])
    (journal,) = (tmp_path / "x").glob("_*.rows")
    journal.write_bytes(journal.read_bytes()[:10])
    with pytest.raises(NothingYetError, match="nothing in it yet"):
        open_events(tmp_path / "x", unfinished=True)
    with pytest.raises(NothingYetError, match="nothing in it yet"), TarWriter(tmp_path / "y.tar", CHANNELS):
        open_events(tmp_path / "y.tar", unfinished=True)


def test_a_journal_that_has_become_a_part_is_looked_for_again(tmp_path: Path) -> None:
    left_unfinished(tmp_path / "x", [0, 1], [2, 3])
    journals = sorted((tmp_path / "x").glob("_*.rows"))
    journals[-1].unlink()
    with pytest.raises(FileNotFoundError):
        GrowingDataset(tmp_path / "x", [], journals)


def test_while_parts_are_made_each_reading_is_a_whole_beginning(tmp_path: Path) -> None:
    is_over = threading.Event()
    counts = []

    def read() -> None:
        while not is_over.is_set():
            try:
                with open_events(tmp_path / "x", unfinished=True) as events:
                    counter = events.to_numpy(["counter"])["counter"]
            except FilesError:  # before the first event
                continue
            assert counter.tolist() == list(range(len(counter)))
            counts.append(len(counter))

    with DatasetWriter(tmp_path / "x", SCALARS) as writer:
        reader = threading.Thread(target=read)
        reader.start()
        try:
            for start in range(0, 120, 2):
                writer.append(make_batch(SCALARS, [start, start + 1]))
                writer.rotate()
        finally:
            is_over.set()
            reader.join()
    assert counts == sorted(counts)
    with open_events(tmp_path / "x", unfinished=True) as events:
        assert (events.count, events.is_complete) == (120, True)


def test_whole_lines_of_a_text_are_read(tmp_path: Path) -> None:
    with CsvWriter(tmp_path / "x.csv", SCALARS) as writer:
        with open_events(tmp_path / "x.csv", unfinished=True) as events:
            assert (events.count, events.is_complete) == (0, False)
        write(writer, make_batch(SCALARS, [2, 0, 1]))
        with (tmp_path / "x.csv").open("ab") as file:
            file.write(b"3,15")
        with open_events(tmp_path / "x.csv", unfinished=True) as events:
            assert not events.is_complete
            assert joined(events).counter.tolist() == [0, 1, 2]
        writer.abort()


def test_whole_members_of_a_tar_are_read(tmp_path: Path) -> None:
    writer = TarWriter(tmp_path / "x.tar", CHANNELS)
    writer.append(make_batch(CHANNELS, [2, 0, 1]))
    writer.abort()
    whole = (tmp_path / "x.tar").read_bytes()
    for cut, numbers in ((0, [0, 1, 2]), (700, [0, 2]), (1400, [0, 2])):
        (tmp_path / "x.tar").write_bytes(whole[: len(whole) - cut])
        with open_events(tmp_path / "x.tar", unfinished=True) as events:
            assert not events.is_complete
            found = joined(events)
        assert found.counter.tolist() == numbers
        assert np.array_equal(found.events["chA"], make_batch(CHANNELS, numbers).events["chA"])


def test_files_of_events_in_a_folder_are_listed(tmp_path: Path) -> None:
    left_unfinished(tmp_path / "pulses", [0])
    for name in ("a.tar", "notes.txt", "run.json", "_b.csv.index"):
        (tmp_path / name).write_text("x\n")
    (tmp_path / "b.csv").write_text("counter,x\n")
    (tmp_path / "quarantine").mkdir()
    assert [path.name for path in event_files(tmp_path)] == ["a.tar", "b.csv", "pulses"]
