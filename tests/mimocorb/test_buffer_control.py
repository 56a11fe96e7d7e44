"""buffer_control: a setup run by a program with a run control of its own."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mimodaq.mimocorb.buffer_control import buffer_control

Until = Callable[[Callable[[], Any]], Any]

MODULE = """
import os, signal, time
import numpy as np
from mimocorb.buffer_control import rbExport, rbImport, rbTransfer

def source(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    def numbers():
        k = 0
        while k != config_dict.get("eventcount", -1):
            k += 1
            yield [np.full(1, k)], None
        yield None, None
    rbImport(sink_list=sink_list, config_dict=config_dict, ufunc=numbers, **rb_info)()

def odd(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    def is_odd(data):
        return 1 if data["n"][0] % 2 else None
    rbTransfer(source_list=source_list, sink_list=sink_list, config_dict=config_dict, ufunc=is_odd, **rb_info)()

def slow(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    def wait(data):
        time.sleep(0.005)
        return 1
    rbTransfer(source_list=source_list, sink_list=sink_list, config_dict=config_dict, ufunc=wait, **rb_info)()

def fails_once(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    marker = config_dict["directory_prefix"] + "failed"
    def check(data):
        if data["n"][0] == 5 and not os.path.exists(marker):
            open(marker, "w").close()
            raise ValueError("event 5")
        return 1
    rbTransfer(source_list=source_list, sink_list=sink_list, config_dict=config_dict, ufunc=check, **rb_info)()

def collect(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    with open(config_dict["directory_prefix"] + "collected", "w") as file:
        for event in rbExport(source_list=source_list, config_dict=config_dict, **rb_info)():
            if event is not None:
                print(int(event[0]["n"][0]), file=file)
        print("end", file=file)
"""


def number_buffer(slots: int = 16) -> dict[str, Any]:
    return {"number_of_slots": slots, "channel_per_slot": 1, "data_type": {1: ["n", "int64"]}}


def function(name: str, processes: int = 1, **assigned: str) -> dict[str, Any]:
    return {"file_name": "modules/mine", "fkt_name": name, "num_process": processes, "RB_assign": assigned}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "mine.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def control(*functions: dict[str, Any], buffers: int = 2, **config: Any) -> buffer_control:
    made = buffer_control(
        [{f"RB_{k}": number_buffer()} for k in range(1, buffers + 1)],
        [{"Fkt_main": {}}, *({f"Fkt_{i}": spec} for i, spec in enumerate(functions, 1))],
        {"source": config},
        "out/",
    )
    made.setup_buffers()
    made.setup_workers()
    return made


def collected(project: Path) -> list[str]:
    return (project / "out" / "collected").read_text().split()


CHAIN = (
    function("source", RB_1="write"),
    function("odd", 2, RB_1="read", RB_2="write"),
    function("collect", RB_2="read"),
)


def test_a_run_ends_by_itself_when_the_source_is_exhausted(project: Path, until: Until) -> None:
    daq = control(*CHAIN, eventcount=100)
    processes = daq.start_workers()
    until(lambda: not any(process.is_alive() for process in processes))
    assert [process.exitcode for process in processes] == [0] * 4
    assert [buffer.buffer_status()[:2] for buffer in daq.ringbuffers.values()] == [(100, 0), (50, 0)]
    daq.shutdown()
    numbers = collected(project)
    assert sorted(map(int, numbers[:-1])) == list(range(1, 101, 2))
    assert numbers[-1] == "end"


def test_layout_and_functions_are_printed_as_in_the_manual(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    daq = control(*CHAIN, eventcount=1)
    capsys.readouterr()
    daq.display_layout()
    daq.display_functions()
    assert capsys.readouterr().out.splitlines() == [
        "List of buffers",
        "RB_1 16 1",
        "RB_2 16 1",
        "List of functions",
        "FKT_1 source (1)   {'RB_1': 'write'}",
        "FKT_2 odd (2)   {'RB_1': 'read', 'RB_2': 'write'}",
        "FKT_3 collect (1)   {'RB_2': 'read'}",
    ]
    daq.shutdown()


def test_sinks_start_first(project: Path) -> None:
    daq = control(*CHAIN, eventcount=1)
    assert [process.name for process in daq.start_workers()] == ["collect", "odd", "odd", "source"]
    daq.start_workers()
    assert daq.status == "Running"
    daq.shutdown()


def test_pause_holds_the_source_and_resume_lets_it_go_on(project: Path, until: Until) -> None:
    daq = control(*CHAIN)
    first = daq.ringbuffers["RB_1"]
    daq.resume()
    assert daq.status == "WorkersSet"
    daq.start_workers()
    until(lambda: first.buffer_status()[0] > 50)
    daq.pause()
    until(lambda: first.ring.status().ready == 0)
    held = first.buffer_status()[0]
    assert (daq.status, first.ring.status().is_paused) == ("Paused", True)
    assert first.buffer_status()[0] == held
    daq.resume()
    until(lambda: first.buffer_status()[0] > held)
    assert (daq.status, daq.cumulative_pause_time > 0) == ("Running", True)
    daq.stop()
    assert daq.status == "Stopped"
    daq.shutdown()
    assert daq.status == "Shutdown"
    assert collected(project)[-1] == "end"


def test_stop_lets_every_event_reach_the_end(project: Path, until: Until) -> None:
    daq = control(
        function("source", RB_1="write"),
        function("slow", 2, RB_1="read", RB_2="write"),
        function("collect", RB_2="read"),
    )
    daq.start_workers()
    until(lambda: daq.ringbuffers["RB_1"].buffer_status()[1] == 16)
    daq.stop()
    first, second = (buffer.ring for buffer in daq.ringbuffers.values())
    daq.shutdown()
    assert first.status().committed == second.status().committed == len(collected(project)) - 1
    first.verify()
    second.verify()


def test_a_filter_that_fails_leaves_its_event_to_its_sister(
    project: Path, until: Until, capfd: pytest.CaptureFixture[str]
) -> None:
    daq = control(
        function("source", RB_1="write"),
        function("fails_once", 2, RB_1="read", RB_2="write"),
        function("collect", RB_2="read"),
        eventcount=100,
    )
    processes = daq.start_workers()
    until(lambda: processes[-1].exitcode == 0)
    daq.stop()
    daq.shutdown()
    assert sorted(process.exitcode for process in processes) == [0, 0, 0, 1]
    assert sorted(map(int, collected(project)[:-1])) == list(range(1, 101))
    assert "ValueError: event 5" in capfd.readouterr().err


def test_a_killed_filter_does_not_stop_the_run(project: Path, until: Until) -> None:
    daq = control(*CHAIN)
    processes = daq.start_workers()
    second = daq.ringbuffers["RB_2"]
    until(lambda: second.buffer_status()[0] > 50)
    processes[1].kill()
    processes[1].join()
    held = second.buffer_status()[0]
    until(lambda: second.buffer_status()[0] > held + 100)
    daq.stop()
    first = daq.ringbuffers["RB_1"].ring
    daq.shutdown()
    # one that was killed between writing and releasing: its event was handed out again
    numbers = {int(number) for number in collected(project)[:-1]}
    assert numbers == set(range(1, first.status().committed + 1, 2))


def test_a_source_that_fails_can_be_seen_and_the_run_ended(project: Path, until: Until) -> None:
    (project / "modules" / "broken.py").write_text("def source(*args, **info):\n    raise OSError('no hardware')\n")
    daq = control({**CHAIN[0], "file_name": "modules/broken"}, *CHAIN[1:])
    processes = daq.start_workers()
    until(lambda: processes[-1].exitcode is not None)
    assert processes[-1].exitcode == 1
    daq.stop()
    daq.shutdown()
    assert collected(project) == ["end"]


def test_a_function_without_buffers_is_ended_as_well(project: Path) -> None:
    (project / "modules" / "other.py").write_text("import time\ndef forever(*args, **info):\n    time.sleep(3600)\n")
    other = {"file_name": "modules/other", "fkt_name": "forever", "num_process": 1}
    daq = control(*CHAIN, other, eventcount=3)
    processes = daq.start_workers()
    daq.shutdown()
    assert not any(process.is_alive() for process in processes)
    assert collected(project)[-1] == "end"


def test_configurations_are_found_in_the_order_of_mimocorb_and_copied(project: Path) -> None:
    (project / "modules" / "tell.py").write_text(
        "def tell(source_list, sink_list, observe_list, config_dict, **rb_info):\n"
        "    with open(f\"{config_dict['directory_prefix']}told{config_dict['k']}\", 'w') as file:\n"
        "        file.write(config_dict['from'])\n"
    )
    (project / "common.yaml").write_text(
        yaml.safe_dump({"general": {"runtime": 60, "runevents": 7}, "tell": {"from": "common", "k": 1}})
    )
    (project / "own.yaml").write_text(yaml.safe_dump({"from": "own", "k": 2}))
    tell = {"file_name": "modules/tell", "fkt_name": "tell", "num_process": 1}
    daq = buffer_control(
        [],
        [
            {"Fkt_main": {"config_file": "common.yaml", "runtime": 5}},
            {"Fkt_1": tell},
            {"Fkt_2": {**tell, "config_file": "own.yaml"}},
        ],
        {"tell": {"from": "setup", "k": 3}},
        "out",
    )
    daq.setup_buffers()
    daq.setup_workers()
    for process in daq.start_workers():
        process.join(30)
    daq.shutdown()
    assert (daq.runtime, daq.runevents) == (60, 7)
    assert (project / "out" / "told1").read_text() == "common"
    assert (project / "out" / "told2").read_text() == "own"
    assert (project / "out" / "own.yaml").exists()
    assert (project / "out" / "common.yaml").exists()


def test_the_manuals_constructor_of_three_arguments_is_understood(project: Path) -> None:
    daq = buffer_control([{"RB_1": number_buffer()}], [{"Fkt_main": {}}], "out/")
    assert daq.out_dir == "out/"
    daq.setup_buffers()
    daq.shutdown()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"file_name": "modules/min"}, r"Fkt_1 .* there is no file modules/min\.py"),
        ({"RB_assign": {"RB_9": "write"}}, "Fkt_1 .* there is no buffer RB_9"),
        ({"RB_assign": {"RB_1": "append"}}, "Fkt_1 .* RB_1: 'append' is none of"),
        ({"config_file": "config/none.yaml"}, "configuration file config/none.yaml: there is no such file"),
    ],
)
def test_a_wrong_entry_is_told_before_anything_runs(project: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        control({**CHAIN[0], **change})


def test_a_missing_key_is_named(project: Path) -> None:
    daq = buffer_control([{"RB_1": {"number_of_slots": 4}}], [], {}, "out")
    with pytest.raises(RuntimeError, match="'RB_1' of the setup has no 'channel_per_slot'"):
        daq.setup_buffers()
