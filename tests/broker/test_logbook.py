"""The log is bounded, outlives its broker, and is never a reason to stop."""

import resource
from dataclasses import replace

import pytest

from mimodaq.broker import _logbook
from mimodaq.broker._logbook import Logbook
from mimodaq.protocol.codec import encode
from mimodaq.protocol.messages import LogLine

EPOCH = 3
FIRST = 3_000_001


def line(number, text="µ"):
    return LogLine("daq1", number, "info", "run", f"{number} {text}")


def numbers(batch):
    return [one.utc_ns for one in batch.lines]


def test_the_last_lines_are_told_oldest_first_also_by_the_next_broker(tmp_path):
    book = Logbook(tmp_path, EPOCH)
    for number in range(10):
        book.add(line(number))
    assert numbers(book.last(3)) == [7, 8, 9]
    book.close()
    book = Logbook(tmp_path, EPOCH)
    assert book.last(1000).lines == tuple(replace(line(number), number=FIRST + number) for number in range(10))
    book.close()


def test_the_files_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(_logbook, "_FILE_BYTES", 10_000)
    book = Logbook(tmp_path, EPOCH)
    for number in range(1000):
        book.add(line(number, "x" * 50))
    book.close()
    assert all(path.stat().st_size <= 10_000 for path in tmp_path.iterdir())
    book = Logbook(tmp_path, EPOCH)
    kept = numbers(book.last(1000))
    assert kept == list(range(1000 - len(kept), 1000))
    assert len(kept) > 80
    book.close()


def test_what_is_told_fits_into_a_message(tmp_path):
    book = Logbook(tmp_path, EPOCH)
    for number in range(600):
        book.add(line(number, "µ" * 1900))
    batch = book.last(10_000)
    encode(batch)
    assert numbers(batch)[-1] == 599
    assert 200 < len(batch.lines) < 600
    book.close()


def test_what_has_followed_a_line_is_told_oldest_first_in_as_many_messages_as_it_takes(tmp_path):
    book = Logbook(tmp_path, EPOCH)
    for number in range(600):
        book.add(line(number, "µ" * 1900))
    heard, batches = FIRST + 9, 0
    while batch := book.after(heard, 10_000).lines:
        encode(book.after(heard, 10_000))
        assert [one.number for one in batch] == list(range(heard + 1, batch[-1].number + 1))
        heard, batches = batch[-1].number, batches + 1
    assert heard == book.newest == FIRST + 599
    assert batches > 1
    assert numbers(book.after(FIRST, 2)) == [1, 2]
    book.close()


def test_who_asks_for_what_is_not_kept_any_more_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr("mimodaq.broker._logbook.LINES_KEPT", 5)
    book = Logbook(tmp_path, EPOCH)
    assert book.after(book.newest, 9).is_whole
    for number in range(9):
        book.add(line(number))
    assert numbers(book.after(FIRST + 2, 9)) == [4, 5, 6, 7, 8]
    assert [book.after(FIRST + i, 9).is_whole for i in (2, 3, 8)] == [False, True, True]
    book.close()


def test_no_number_is_given_twice_even_if_lines_were_lost_or_the_clock_went_back(tmp_path):
    book = Logbook(tmp_path, EPOCH)
    given = [book.add(line(number)).number for number in range(10)]
    book.close()
    (tmp_path / "log").write_bytes((tmp_path / "log").read_bytes()[:-100])
    book = Logbook(tmp_path, EPOCH + 1)
    assert book.newest >= given[-1]
    given.append(book.add(line(10)).number)
    assert [one.number for one in book.after(given[4], 10_000).lines][-1] == given[-1]
    book.close()
    book = Logbook(tmp_path, EPOCH)
    assert book.add(line(11)).number == given[-1] + 1
    book.close()


@pytest.mark.parametrize("damage", [lambda raw: raw[:-3], lambda raw: raw + b"\0\0", lambda raw: raw + b"\xff" * 50])
def test_a_torn_end_is_left_out_and_the_log_goes_on(tmp_path, damage):
    book = Logbook(tmp_path, EPOCH)
    for number in range(5):
        book.add(line(number))
    book.close()
    (tmp_path / "log").write_bytes(damage((tmp_path / "log").read_bytes()))
    book = Logbook(tmp_path, EPOCH)
    before = numbers(book.last(10))
    assert before in ([0, 1, 2, 3], [0, 1, 2, 3, 4])
    book.add(line(99))
    book.close()
    book = Logbook(tmp_path, EPOCH)
    assert numbers(book.last(10)) == [*before, 99]
    book.close()


@pytest.mark.parametrize("room", [0, 10])
def test_a_full_disk_is_told_and_the_log_goes_on_when_there_is_room_again(tmp_path, room):
    book = Logbook(tmp_path, EPOCH)
    book.add(line(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "log").stat().st_size + room, hard))
    try:
        book.add(line(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written" in book.problem
    assert numbers(book.last(10)) == [1, 2]
    book.add(line(3))
    assert book.problem == ""
    book.close()
    book = Logbook(tmp_path, EPOCH)
    assert numbers(book.last(10)) == [1, 3]
    book.close()
