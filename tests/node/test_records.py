"""run.json, run.log and the figures on the way."""

import json
import math
import os
import sys
from pathlib import Path

import pytest

from mimodaq.node import Entry, Snapshot, is_running, write_record
from mimodaq.node._log import LOG, RunLog
from mimodaq.node._record import Books, RunFacts, finite, ledger, utc
from mimodaq.node._snapshot import buffer_figures
from mimodaq.protocol.parts import BufferLine
from mimodaq.protocol.plan import LOCAL, make_plan
from mimodaq.protocol.run import Run
from mimodaq.ring import GroupStatus, RingStatus, WriterStatus


def group(name="Fkt_2", **changes):
    values = {"committed": 10, "released": 7, "pending": 2, "reading": 1, "aside": 0, "quarantined": 0}
    rest = {"redelivered": 0, "blamed_s": 0.0, "readers": ()}
    return GroupStatus(name=name, **{**values, **rest, **changes})


def status(name="RB_1", **changes):
    values = {
        "name": name, "slots": 10, "event_bytes": 100, "committed": 10, "free": 7, "writing": 0, "ready": 3,
        "groups": (group(),), "writers": (), "observers": 0, "is_paused": False, "is_ending": False, "is_ended": False,
        "is_closed": False, "waited_s": 0.0, "paused_s": 0.0, "abandoned": 0, "repairs": 0, "finished_writers": 0,
    }  # fmt: skip
    return RingStatus(**{**values, **changes})


def node_plan(setup):
    return make_plan(setup).nodes[LOCAL]


def facts(setup, running_s=0.0):
    run = Run(node_plan(setup).workers())
    run._ran_s = running_s
    return RunFacts.of(run, 0.0)


def test_what_processes_of_a_link_count_is_added_also_by_the_next_life_of_the_daemon(setup):
    books = Books()
    for reconnects in (1, 2):
        books.count_link("RB_1:a>b", {"reconnects": reconnects, "redelivered": 5, "rate_hz": 3.0})
    books.begin_link("RB_1:a>b")
    books.count_link("RB_1:a>b", {"reconnects": 0, "redelivered": 7})
    assert books.link_counts("RB_1:a>b") == {"reconnects": 2, "redelivered": 12}
    record = books.record(setup, 1, facts(setup), {}, final=False)
    again = Books.restore(json.loads(json.dumps(record)))
    again.count_link("RB_1:a>b", {"reconnects": 1, "redelivered": 8})
    assert again.link_counts("RB_1:a>b") == {"reconnects": 3, "redelivered": 13}
    assert again.figures["RB_1:a>b"]["0"]["processes"] == 2
    assert again.link_counts("nothing") == {}


def test_the_ledger_balances_when_every_event_is_accounted_for():
    found = ledger({"RB_1": status(groups=(group(), group("Fkt_3", released=6, aside=0, quarantined=1)))})
    assert (found["balanced"], found["left"], found["quarantined"]) == (True, 6, 1)
    assert found["buffers"]["RB_1"]["Fkt_3"]["left"] == 3


def test_the_ledger_does_not_balance_when_one_is_missing():
    found = ledger({"RB_1": status(groups=(group(), group("Fkt_3", released=6)))})
    assert not found["balanced"]
    assert found["buffers"]["RB_1"]["Fkt_2"]["balanced"]


def test_events_set_aside_count_as_left():
    assert ledger({"RB_1": status(groups=(group(released=6, aside=1),))})["left"] == 4


def test_a_record_is_replaced_as_a_whole(tmp_path):
    write_record(tmp_path, {"run": 1, "path": Path("x")})
    before = (tmp_path / "run.json").open()
    write_record(tmp_path, {"run": 2})
    with before:
        assert json.load(before) == {"run": 1, "path": "x"}
    assert json.loads((tmp_path / "run.json").read_text()) == {"run": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_numbers_that_json_does_not_know_become_null():
    given = {"a": math.nan, "b": [1.5, math.inf, {"c": -math.inf}], "d": "nan", "e": 3}
    assert finite(given) == {"a": None, "b": [1.5, None, {"c": None}], "d": "nan", "e": 3}


def test_times_are_utc_with_microseconds():
    assert utc(0.25) == "1970-01-01T00:00:00.250000+00:00"
    assert utc(None) is None


def test_live_time_is_what_the_writers_did_not_wait(setup):
    statuses = {"RB_1": status(waited_s=2.5), "RB_2": status("RB_2")}
    record = Books(asked=1.0).record(setup, 5, facts(setup, 10.0), statuses, final=True)
    assert (record["live_time_fraction"], record["live_time_s"], record["running_s"]) == (0.75, 7.5, 10.0)
    assert (record["run"], record["setup"], record["setup_folder"]) == (5, "demo_setup.yaml", str(setup.folder))
    assert record["buffers"]["RB_1"]["rate_hz"] == 1.0


def test_a_record_without_verdict_is_one_of_a_run_that_goes_on(setup):
    record = Books().record(setup, 5, facts(setup), {}, final=False)
    assert (record["verdict"], record["state"]) == (None, "starting")


def test_a_node_that_is_started_again_knows_whose_run_it_is_and_how_it_began(setup):
    begun = Books(asked=1.5, operator="anna", comment="top panel moved")
    begun.where["pid"] = 1
    record = begun.record(setup, 5, facts(setup), {}, final=False)
    again = Books.restore(record).record(setup, 5, facts(setup), {}, final=True)
    for key in ("operator", "comment", "where"):
        assert again[key] == record[key], key
    assert again["times"]["start_asked"] == record["times"]["start_asked"]
    assert (again["operator"], again["comment"], again["where"]["pid"]) == ("anna", "top panel moved", 1)


def test_files_of_a_function_are_listed_once():
    books = Books()
    books.add_files("Fkt_3", ["a", "b"])
    books.add_files("Fkt_3", ["b", "c"])
    assert books.files == {"Fkt_3": ["a", "b", "c"]}


# -- what functions are in a run -----------------------------------------------------------------------------------


def test_sources_and_observers_are_told_by_their_buffers(setup):
    plans = node_plan(setup).workers()
    assert [str(p.id) for p in plans if p.is_source] == ["Fkt_1[0]"]
    assert [str(p.id) for p in plans if p.is_observer] == ["Fkt_4[0]"]
    assert [str(p.id) for p in plans if p.restart] == ["Fkt_2[0]", "Fkt_2[1]", "Fkt_3[0]", "Fkt_4[0]"]
    assert node_plan(setup).source_rings == ("RB_1",)


# -- the log ---------------------------------------------------------------------------------------------------------


def test_a_line_of_the_log_has_time_level_and_source():
    entry = Entry(1234567890.125, "warning", "Fkt_2[0]", "first\nsecond")
    assert entry.line() == "2009-02-13T23:31:30.125Z WARNING Fkt_2[0]: first\n    second"


def test_the_log_is_written_line_by_line_and_passed_on(tmp_path):
    heard = []
    log = RunLog(tmp_path / LOG, heard.append)
    log.write(Entry(0.0, "info", "run", "hello"))
    assert (tmp_path / LOG).read_text().endswith("INFO    run: hello\n")
    assert [entry.text for entry in heard] == ["hello"]
    log.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_does_not_stop_the_log_from_being_heard():
    heard = []
    log = RunLog(Path("/dev/full"), heard.append)
    log.write(Entry(0.0, "info", "run", "hello"))
    log.close()
    assert [entry.text for entry in heard[:2]] == ["writing the log: No space left on device", "hello"]
    assert heard[-1].text == "closing the log: No space left on device"


def test_a_run_is_running_as_long_as_its_log_is_open(tmp_path):
    assert not is_running(tmp_path)
    log = RunLog(tmp_path / LOG, lambda entry: None)
    assert is_running(tmp_path)
    log.close()
    assert not is_running(tmp_path)


# -- figures ---------------------------------------------------------------------------------------------------------


def test_rates_and_dead_time_come_from_two_looks():
    writers = (WriterStatus("a", 1, 5, 0.0), WriterStatus("b", 2, 5, 0.0))
    before = status(committed=10, waited_s=1.0, groups=(group(blamed_s=1.0), group("Fkt_3")))
    now = status(
        committed=30, waited_s=3.0, writers=writers, groups=(group(blamed_s=1.5), group("Fkt_3", blamed_s=2.0))
    )
    assert buffer_figures("RB_1", now, before, 2.0) == BufferLine(
        name="RB_1", committed=30, rate_hz=10.0, bytes_per_s=1000.0, fill=0.3, dead_fraction=0.5,
        blamed=("Fkt_3", "Fkt_2"), redelivered=0, quarantined=0, lag=3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("events", "limit", "running_s", "duration_s", "progress"),
    [
        (0, None, 5.0, None, None),
        (50, 200, 5.0, None, 0.25),
        (50, None, 5.0, 10.0, 0.5),
        (50, 200, 9.0, 10.0, 0.9),
        (300, 200, 0.0, None, 1.0),
    ],
)
def test_progress_is_that_of_the_limit_that_comes_first(events, limit, running_s, duration_s, progress):
    snapshot = Snapshot("running", 1, running_s, (), (), events, limit, duration_s)
    assert snapshot.progress == progress


def test_python_is_the_one_that_runs_the_tests(setup):
    record = Books().record(setup, 1, facts(setup), {}, final=False)
    assert record["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
