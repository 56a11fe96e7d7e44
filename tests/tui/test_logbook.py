"""The log is bounded, folded, and in order, however it came."""

from mimodaq.protocol.messages import LogLine
from mimodaq.tui._logbook import KEPT, LogBook, LogChoice


def line(number, text="", level="info", node="pi"):
    return LogLine(node, number, level, "x", text or f"line {number}")


def texts(book):
    return [entry.line.text for entry in book.entries]


def test_only_so_many_lines_are_kept():
    book = LogBook()
    for number in range(KEPT + 500):
        book.add(line(number))
    assert (len(book.entries), texts(book)[0], book.total) == (KEPT, "line 500", KEPT + 500)


def test_lines_that_repeat_are_one_with_the_last_time():
    book = LogBook()
    for number in range(5):
        book.add(line(number, "again"))
    book.add(line(9, "other"))
    book.add(line(10, "again"))
    assert [(e.line.text, e.times, e.line.utc_ns) for e in book.entries] == [
        ("again", 5, 4),
        ("other", 1, 9),
        ("again", 1, 10),
    ]


def test_what_was_before_comes_first_and_nothing_twice():
    book = LogBook()
    book.add(line(3))
    book.add(line(4))
    book.put_before([line(1), line(2), line(3)])
    assert texts(book) == ["line 1", "line 2", "line 3", "line 4"]


def test_lines_are_chosen_by_level_node_and_text():
    book = LogBook()
    for one in (line(1, "a"), line(2, "b", "warning"), line(3, "c", "ERROR", "daq"), line(4, "odd", "strange")):
        book.add(one)

    def chosen(**choice):
        return [entry.line.text for entry in book.chosen(LogChoice(**choice))]

    assert chosen() == ["a", "b", "c", "odd"]
    assert chosen(level=2) == ["b", "c"]
    assert chosen(level=3) == ["c"]
    assert chosen(node="daq") == ["c"]
    assert chosen(text="PI") == ["a", "b", "odd"]
    assert chosen(text="!pi") == ["c"]
