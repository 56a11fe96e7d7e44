"""Worker processes as the node sees them: what they say, how they end, what they leave."""

import datetime
import itertools
import os
import signal
from selectors import DefaultSelector

import pytest

from mimodaq.chaos.waiting import wait_for
from mimodaq.node import check_functions
from mimodaq.node._check import order_for
from mimodaq.node._folder import Folder, Lines, Tail
from mimodaq.node._order import Order, Outcome
from mimodaq.node._workers import Job, Workers, dispatch, explain_exit
from mimodaq.protocol.run import WorkerId

ONE = WorkerId("Fkt_1", 0)


class Listener:
    """Everything workers have said."""

    def __init__(self, selector):
        self.selector = selector
        self.folder = Folder.of(f"test-{os.getpid()}")
        self.reports = []
        self.lines = []
        self.ended = []
        self.workers = Workers(selector, self.folder, self.report, self.printed, self.ended.append)

    def report(self, worker, report):
        self.reports.append((worker, report))

    def printed(self, worker, lines):
        self.lines += [(worker, line) for line in lines]

    def wait(self):
        while self.workers.running:
            dispatch(self.selector, 60.0)


@pytest.fixture
def listener():
    with DefaultSelector() as selector:
        listener = Listener(selector)
        yield listener
        listener.workers.close()
        listener.folder.remove()
        assert not selector.get_map()


def test_an_order_keeps_the_types_of_options(setup):
    config = {1: [1, 2.5, None], "when": datetime.date(2026, 11, 22), "deep": {2: {"x": True}}}
    order = order_for(setup, "Fkt_3", config=config)
    assert Order.decode(order.encode()) == order
    assert (order.label, order.is_input) == ("Fkt_3[0]", False)
    assert order_for(setup, "Fkt_1", process=1).label == "Fkt_1[1]"
    assert order_for(setup, "Fkt_1").is_input


def test_a_worker_that_only_checks_ends_well(setup, listener):
    listener.workers.launch(ONE, Job.of(order_for(setup, "Fkt_1", check_only=True)))
    listener.wait()
    (process,) = listener.ended
    assert (process.outcome, process.reason) == (Outcome.DONE, None)


def test_what_is_wrong_comes_as_a_problem_with_its_key(setup, listener):
    listener.workers.launch(ONE, Job.of(order_for(setup, "Fkt_1", check_only=True, config={"n": 1})))
    listener.wait()
    (process,) = listener.ended
    assert process.outcome is Outcome.FATAL
    assert process.reason == "source has no option 'n'; it has no options"
    assert process.problems[0]["key"] == ["config", "n"]


def test_what_is_printed_comes_as_lines_even_without_a_newline_at_the_end(setup, listener, write):
    write("modules/own.py", "print('one\\ntwo')\nprint('three', end='')\ndef source():\n    yield 1\n")
    listener.workers.launch(ONE, Job.of(order_for(setup, "Fkt_1", check_only=True)))
    listener.wait()
    assert [line for _, line in listener.lines] == ["one", "two", "three"]


def test_who_prints_much_at_once_is_read_in_parts_and_to_the_end_while_it_lives(setup, listener, write):
    count = 60_000
    write(
        "modules/own.py",
        "import os, sys, time\n"
        f"sys.stdout.write(''.join(f'{{i:99}}\\n' for i in range({count})))\n"
        "sys.stdout.flush()\n"
        "time.sleep(1000)\n",
    )
    listener.workers.launch(ONE, Job.of(order_for(setup, "Fkt_1", check_only=True)))
    output = listener.folder.output_path(str(ONE))
    wait_for(lambda: output.stat().st_size == 100 * count)
    read = [0]
    while read[-1] < count:
        dispatch(listener.selector, 60.0)
        assert ONE in listener.workers.running
        read.append(len(listener.lines))
    assert max(b - a for a, b in itertools.pairwise(read)) < count / 2  # of 5.7 MB at most 1 MB at once, and once more
    assert [int(line) for _, line in listener.lines] == list(range(count))


@pytest.mark.parametrize("wanted", ["", "3"])
def test_a_worker_has_one_thread_for_linear_algebra_unless_told(setup, listener, write, monkeypatch, wanted):
    name = "OPENBLAS_NUM_THREADS"
    monkeypatch.delenv(name, raising=False)
    if wanted:
        monkeypatch.setenv(name, wanted)
    write("modules/own.py", f"import os\nprint(os.environ['{name}'])\ndef source():\n    yield 1\n")
    listener.workers.launch(ONE, Job.of(order_for(setup, "Fkt_1", check_only=True)))
    listener.wait()
    assert [line for _, line in listener.lines] == [wanted or "1"]


def test_a_worker_that_is_killed_says_nothing_but_its_exit_does(setup, listener, write):
    write("modules/own.py", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    listener.workers.launch(ONE, Job.of(order_for(setup, "Fkt_1", check_only=True)))
    listener.wait()
    assert listener.ended[0].outcome is None
    assert listener.ended[0].reason == "killed by SIGKILL"


def test_all_workers_can_be_killed(setup, listener, write):
    write("modules/own.py", "import time\ntime.sleep(1000)\n")
    for i in range(3):
        listener.workers.launch(WorkerId("Fkt_1", i), Job.of(order_for(setup, "Fkt_1", check_only=True)))
    listener.workers.signal(WorkerId("Fkt_1", 7), signal.SIGKILL)  # not there: nothing happens
    listener.workers.kill_all()
    assert listener.workers.running == {}
    assert listener.ended == []


def test_a_callback_may_unregister_others_that_are_due_at_the_same_time():
    called = []
    with DefaultSelector() as selector:
        pipes = [os.pipe() for _ in range(3)]
        for read, write in pipes:

            def take(read=read):
                called.append(read)
                for other, _ in pipes:
                    selector.unregister(other)

            selector.register(read, 1, take)
            os.write(write, b"!")
        dispatch(selector, 0.0)
        assert len(called) == 1
        for read, write in pipes:
            os.close(read)
            os.close(write)


def test_lines_are_put_together_from_pieces():
    lines = Lines()
    assert list(lines.feed(b"on")) == []
    assert list(lines.feed(b"e\ntwo\nth")) == ["one", "two"]
    assert list(lines.feed(b"ree\xff")) == []
    assert list(lines.feed(b"")) == ["three\ufffd"]
    assert list(lines.feed(b"")) == []


def test_a_line_without_end_is_cut():
    lines = Lines(longest=10)
    assert list(lines.feed(b"0123456789")) == ["0123456789"]
    assert list(lines.feed(b"0123\n")) == ["0123"]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-9, "killed by SIGKILL"),
        (-11, "killed by SIGSEGV"),
        (-77, "killed by signal 77"),
        (3, "its process ended (exit code 3) before the function had returned"),
    ],
)
def test_an_exit_code_in_words(code, text):
    assert explain_exit(code) == text


def test_a_module_whose_import_takes_too_long_is_a_problem(setup):
    messages = [problem.message for problem in check_functions(setup, patience_s=0.0)]
    assert messages == [f"Fkt_{i} cannot be loaded: its module was not imported after 0 s" for i in (1, 2, 3, 4)]


def test_of_what_waits_too_long_the_older_part_is_left_out_and_counted(listener):
    path = listener.folder.path / "output"
    path.write_bytes(b"a part of a line")
    tail = Tail(path, most_behind=200)
    assert list(tail.read()) == []
    with path.open("ab") as file:
        file.write("".join(f"{i:9}\n" for i in range(21)).encode())
    assert [int(line) for line in tail.read()] == list(range(11, 21)), "the newest 100 bytes"
    assert tail.left_out == len("a part of a line") + 110
    tail.close()
