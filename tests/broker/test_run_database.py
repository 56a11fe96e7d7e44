"""What is written of a run stays, and no number is given twice."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from mimodaq.broker._options import BrokerError
from mimodaq.broker._runs import FILE, RunDatabase
from mimodaq.protocol import parts as p
from mimodaq.protocol.cluster_events import RunRow
from mimodaq.protocol.run import Verdict

ROW = RunRow(1, "ab" * 32, "anna", "first light", frozenset({"ana2", "ana1"}), p.OnLoss.STOP)
ACCOUNT = p.RunEnd(
    1,
    Verdict.TAINTED,
    ("Fkt_2[0] was started again",),
    p.Ending.COMMANDED,
    (p.RingLedger("RB_1", (p.GroupLedger("Fkt_2", 10, 8, 1, 1), p.GroupLedger("to:ana1", 10, 10, 0, 0))),),
    (p.LinkLedger("RB_1:daq1>ana1", True, 10),),
)


@pytest.fixture
def database(tmp_path):
    opened = RunDatabase(tmp_path)
    yield opened
    opened.close()


def test_the_next_broker_learns_for_whom_an_open_run_is_held(database):
    for held in ({"ana1", "ana2"}, {"ana2"}, set()):
        database.save(replace(ROW, held_for=frozenset(held)))
        assert database.boot().open_run.held_for == held


def test_a_run_is_told_as_it_was_written(database):
    database.save(ROW)
    database.save(replace(ROW, is_started=True, running_s=1.0, events=5))
    database.save(
        replace(ROW, is_started=True, is_stopping=True, end_reason="stopped by anna", running_s=2.0, events=9)
    )
    end = {"reasons": ("daq1: x",), "accounts": {"daq1": ACCOUNT}, "end_reason": "stopped by anna"}
    database.save(
        replace(ROW, is_started=True, is_stopping=True, verdict=Verdict.TAINTED, running_s=3.0, events=10, **end)
    )
    run = database.run(1)
    assert (run["verdict"], run["reasons"], run["end_reason"]) == ("tainted", ["daq1: x"], "stopped by anna")
    assert (run["optional"], run["on_loss"], run["comment"]) == (["ana1", "ana2"], "stop", "first light")
    assert (run["running_s"], run["events"]) == (3.0, 10)
    assert run["asked_utc_s"] <= run["started_utc_s"] <= run["stopping_utc_s"] <= run["ended_utc_s"]
    (account,) = run["accounts"]
    assert account == {
        "node": "daq1",
        "verdict": "tainted",
        "ending": "commanded",
        "reasons": ["Fkt_2[0] was started again"],
        "is_ledger_known": True,
        "is_late": False,
    }
    assert [(c["readers"], c["committed"], c["left_over"]) for c in run["counts"]] == [
        ("Fkt_2", 10, 1),
        ("to:ana1", 10, 0),
    ]
    assert run["links"] == [{"node": "daq1", "link": "RB_1:daq1>ana1", "is_sender": True, "events": 10}]


def test_times_are_those_of_the_first_telling(database):
    database.save(replace(ROW, is_started=True))
    first = database.run(1)
    database.save(replace(ROW, is_started=True, is_stopping=True))
    database.save(replace(ROW, is_stopping=True))
    again = database.run(1)
    assert (again["asked_utc_s"], again["started_utc_s"]) == (first["asked_utc_s"], first["started_utc_s"])
    assert again["stopping_utc_s"] > first["started_utc_s"]


def test_a_verdict_is_given_once(database):
    database.save(replace(ROW, verdict=Verdict.GOOD))
    database.save(replace(ROW, verdict=Verdict.ABORTED))
    assert database.run(1)["verdict"] == "good"


def test_a_late_account_is_added(database):
    database.save(replace(ROW, verdict=Verdict.INCOMPLETE))
    database.add_account(1, "ana1", ACCOUNT)
    run = database.run(1)
    assert [(account["node"], account["is_late"]) for account in run["accounts"]] == [("ana1", True)]
    assert len(run["counts"]) == 2


def test_a_broker_that_starts_learns_of_the_open_run(database):
    assert database.boot().last_closed == 0
    assert database.boot().open_run is None
    database.save(replace(ROW, verdict=Verdict.GOOD))
    row = replace(ROW, run=2, is_started=True, running_s=4.0, events=3, reasons=("x",))
    database.save(row)
    boot = database.boot()
    assert boot.last_closed == 1
    assert boot.open_run == row


def test_an_open_run_before_a_closed_one_is_not_gone_on_with(database):
    database.save(ROW)
    database.save(replace(ROW, run=2, verdict=Verdict.GOOD))
    assert database.boot().open_run is None
    assert database.boot().last_closed == 2


def test_runs_are_listed_newest_first(database):
    for number in range(1, 6):
        database.save(replace(ROW, run=number))
    assert [run["run"] for run in database.runs(3)] == [5, 4, 3]
    assert database.run(9) is None


def test_numbers_grow_whatever_is_asked_for(database):
    assert [database.next_number(1) for _ in range(3)] == [1, 2, 3]
    assert database.next_number(10) == 10
    assert database.next_number(1) == 11
    database.save(replace(ROW, run=20))
    assert database.next_number(1) == 21


def test_numbers_go_on_when_the_rows_or_the_number_file_are_lost(tmp_path):
    database = RunDatabase(tmp_path)
    database.save(replace(ROW, run=database.next_number(7)))
    database.close()
    for name in os.listdir(tmp_path):
        if name.startswith(FILE):
            (tmp_path / name).unlink()
    database = RunDatabase(tmp_path)
    assert database.next_number(1) == 8
    database.save(replace(ROW, run=8))
    (tmp_path / "run_number").unlink()
    assert database.next_number(1) == 9
    database.close()


def test_epochs_grow(tmp_path):
    epochs = []
    for _ in range(3):
        database = RunDatabase(tmp_path)
        epochs.append(database.begin_epoch())
        database.close()
    assert epochs == sorted(set(epochs))


@pytest.mark.parametrize("how", ["head", "middle", "cut"])
def test_a_damaged_database_is_set_aside_and_numbers_go_on(tmp_path, how):
    database = RunDatabase(tmp_path)
    for number in range(1, 200):
        database.save(replace(ROW, run=number, comment="x" * 200))
    database.next_number(200)
    database.close()
    path = tmp_path / FILE
    raw = bytearray(path.read_bytes())
    noise = random.Random(1).randbytes(6000)
    if how == "head":
        raw[:100] = noise[:100]
    elif how == "middle":
        raw[4096 : 4096 + len(noise)] = noise
    path.write_bytes(raw if how != "cut" else raw[: len(raw) // 2])
    damaged = path.read_bytes()
    database = RunDatabase(tmp_path)
    assert database.set_aside.read_bytes() == damaged
    assert database.next_number(1) == 201
    database.close()


def test_a_database_of_a_newer_release_is_left_alone(tmp_path):
    RunDatabase(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("PRAGMA user_version=99")
    other.close()
    with pytest.raises(BrokerError, match=r"newer release.*format 99"):
        RunDatabase(tmp_path)


_KILLED = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = sys.argv[2].split(":")
from broker.test_run_database import ROW
from mimodaq.broker._runs import RunDatabase
database = RunDatabase(Path(sys.argv[1]))
while True:
    number = database.next_number(1)
    print("given", number, flush=True)
    database.save(replace(ROW, run=number))
    print("saved", number, flush=True)
"""


def test_what_was_written_before_a_kill_is_there_and_no_number_comes_again(tmp_path):
    given, saved = [], []
    for _ in range(3):
        command = [sys.executable, "-c", _KILLED, str(tmp_path), ":".join(sys.path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            lines = [process.stdout.readline() for _ in range(41)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.read().splitlines()
        words = [line.split() for line in lines]
        given += [int(word[1]) for word in words if word[:1] == ["given"] and len(word) > 1]
        saved += [int(word[1]) for word in words if word[:1] == ["saved"] and len(word) > 1]
    assert len(given) >= 60
    assert given == sorted(set(given))
    database = RunDatabase(tmp_path)
    assert {run["run"] for run in database.runs(10_000)} >= set(saved)
    assert database.next_number(1) > max(given)
    database.close()
