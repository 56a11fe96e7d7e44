"""Every picture that is not the overview: at three widths, in colours, without and in ASCII, as it was accepted."""

import pytest

from mimodaq.protocol.messages import LogLine
from mimodaq.tui._help import help_lines
from mimodaq.tui.render import (
    TopologyState,
    alarm_details,
    alarm_rows,
    checks,
    details,
    diff_lines,
    drawing,
    drawing_width,
    in_ascii,
    links,
    log_head,
    log_line,
    log_record,
    marked,
    no_alarm,
    overview_rows,
    plain,
    run_head,
    run_line,
    setup_lines,
    tree,
    width_of,
    worst,
)
from mimodaq.tui.render._overview import Choice
from mimodaq.tui.simulated import Fault, What
from mimodaq.watch import Subject, preflight
from tui.pages import assert_is_as_before, followed

WIDTHS = (80, 120, 200)
CUT = Fault(10.0, 1000.0, What.CUT, "pulses_2")
DEAD = Fault(3.0, 0.3, What.DIES, "filter_1[0]")
LINES = (
    LogLine("pi-1", 1_790_000_000_000_000_000, "info", "reader_1", "PicoScope GQ123, 4 ns, 2 channels"),
    LogLine("pi-2", 1_790_000_001_000_000_000, "warning", "pulses_2:pi-2>daq1", "nothing heard for 2.0 s\x1b[31m"),
    LogLine("broker", 1_790_000_002_000_000_000, "error", "broker", "pi-2 is lost\n  second line\n  third line"),
    LogLine("viewer", 1_790_000_003_000_000_000, "alarm", "link down", "no connection; 漢字 " + "long " * 60),
)


@pytest.fixture(scope="module")
def trouble():
    """A model in which something is wrong, and nothing has been acknowledged."""
    return followed([CUT, DEAD], 30)[0]


def state(model):
    return TopologyState.of(model.snapshot, worst(model.alarm_list))


def alarms(model, width):
    lines = [alarm_rows(alarm, width) for alarm in model.alarm_list]
    return [*lines, *(line for alarm in model.alarm_list for line in alarm_details(alarm, width)), no_alarm(width, 25)]


def chosen(model, width):
    rows = overview_rows(model.snapshot, Choice(), worst(model.alarm_list))
    wanted = (
        Subject("node", "pi-2"),
        Subject("buffer", "pi-2", "pulses_2"),
        Subject("link", "pi-2", "pulses_2:pi-2>daq1"),
    )
    shown = [row for subject in wanted for row in rows if row.subject == subject]
    assert len(shown) == len(wanted)
    return [line for row in shown for line in details(row, model.alarm_list, model.history, width)]


def runs(model, width):
    rows = [
        (7, "", 10.0, 5, "anna", "goes on"),
        (6, "good", 3600.0, 1_304_567, "bernd", "cosmics"),
        (5, "tainted", 60.0, 20_000_000, "anna", ""),
        (4, "aborted", 0.0, 0, "a very long name", "wrong\ttrigger\x07 " + "x" * 200),
    ]
    return [
        run_head(width),
        *(run_line(n, v, 1_790_000_000_000_000_000, s, e, by, text, width) for n, v, s, e, by, text in rows),
    ]


def texts(model, width):
    diff = [
        "--- running setup.yaml",
        "+++ file setup.yaml",
        "@@ -1,2 +1,2 @@",
        " same",
        "-threshold: 30",
        "+threshold: 35",
    ]
    return [*setup_lines(["a: 1 # why", "b: [2, 3]"], width, [2]), *diff_lines(diff, width)]


PICTURES = {
    "drawing": lambda model, width: (
        drawing(model.graph, state(model), width) if width > drawing_width(model.graph) else []
    ),
    "tree_to_sources": lambda model, width: [row.line for row in tree(model.graph, state(model), False, width)],
    "tree_from_sources": lambda model, width: [row.line for row in tree(model.graph, state(model), True, width)],
    "links": lambda model, width: [
        *links(model.graph, model.snapshot, width, 10),
        *links(model.graph, model.snapshot, width, 2),
    ],
    "alarms": alarms,
    "details": chosen,
    "logs": lambda model, width: [
        log_head(0, "", "", 4, 4, True, width),
        log_head(2, "pi-1", "!text", 1, 4, False, width),
        *(log_line(line, number, width) for number, line in enumerate(LINES, 1)),
        *log_record(LINES[3], 2, width),
    ],
    "runs": runs,
    "checks": lambda model, width: checks(
        preflight(model.snapshot, model.commands, model.alarm_list, 7200.0, "anna"), width
    ),
    "texts": texts,
    "help": lambda model, width: help_lines("overview", width, lambda key: key.about),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_as_it_was_and_fills_its_width_with_and_without_colours(trouble, name):
    parts = []
    for width in WIDTHS:
        lines = PICTURES[name](trouble, width)
        for line in lines:
            assert width_of(line) == width, plain(line)
            ascii_line = in_ascii(line)
            assert plain(ascii_line).isascii()
            assert width_of(ascii_line) == width or any(ord(letter) > 0x2E80 for letter in plain(line))
            assert [style for _, style in ascii_line] == [style for _, style in line]
        parts += [f"=== {width} columns", *map(plain, lines)]
    narrow = PICTURES[name](trouble, WIDTHS[1])
    parts += ["=== in ASCII", *(plain(in_ascii(line)) for line in narrow), "=== styles", *map(marked, narrow)]
    assert_is_as_before(f"{name}.txt", "\n".join(line.rstrip() for line in parts) + "\n")


def test_more_links_than_there_is_room_for_are_counted(trouble):
    assert len(links(trouble.graph, trouble.snapshot, 80, 3)) == 3
    short = [plain(line).strip() for line in links(trouble.graph, trouble.snapshot, 80, 2)]
    assert short[-1] == "and 2 more"
    assert links(trouble.graph, trouble.snapshot, 80, 1) == []
