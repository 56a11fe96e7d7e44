"""What broke the ancestor when its parts died or failed: here the run goes on, or ends and says why."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from client.command import children_of, column, kill, log, record, wait_for_end, wait_until
from mimodaq.ring import segment_name


def ledger(result, buffer, group):
    return result["ledger"]["buffers"][buffer][group]


# -- kills ---------------------------------------------------------------------------------------------------


def test_sigkill_of_a_busy_filter_1_of_2(project):
    """Ancestor: DAQ stands still, the run cannot be ended."""
    project.functions(
        """
        def dies_once(event):
            if event["x"][0] == 20 and not Path("busy").exists():
                tell("busy")
                until("never")
            return True
        """
    )
    project.setup("numbers > RB_1 {n: 500}", "dies_once x2 < RB_1 > RB_2", "save < RB_2")
    with project.started() as run:
        kill(project.pid("busy"))
        result = run.result(expect=1)
    assert result["verdict"] == "tainted"
    assert any("failed and was started again: killed by SIGKILL" in reason for reason in result["reasons"])
    assert sorted(column(f"{result['run_dir']}/out.csv")) == list(range(500))
    assert ledger(result, "RB_1", "Fkt_2")["redelivered"] == 1
    assert sum(worker["restarts"] for worker in record(result)["workers"].values()) == 1


def test_sigkill_of_an_idle_filter_1_of_2(project):
    """Ancestor: the survivor gets nothing any more."""
    project.write("idle.py", "import my\nmy.tell('idle')\ndef keep(event): return True\n")
    project.functions("def later(*, n: int = 100):\n    until('go')\n    yield from numbers(n=n)\n")
    project.setup("later > RB_1", "idle.py:keep x2 < RB_1 > RB_2", "save < RB_2")
    with project.started() as run:
        run.hears("running")
        kill(project.pid("idle"))
        run.hears("killed by SIGKILL")
        project.write("go", "")
        result = run.result(expect=1)
    assert result["verdict"] == "tainted"
    assert sorted(column(f"{result['run_dir']}/out.csv")) == list(range(100))
    assert ledger(result, "RB_1", "Fkt_2")["redelivered"] == 0


def test_sigkill_of_one_of_two_writers_holding_a_slot(project):
    """Ancestor: the other one stops at most N events later, shutdown hangs."""
    project.functions(
        """
        def holds(io):
            for i in range(1000):
                slot = io.writer.slot()
                if i == 30:
                    tell(f"holds-{io.process}")
                    if io.process == 0:
                        until("never")
                slot["x"] = i
                io.writer.commit()
        """
    )
    project.setup("holds x2 > RB_1", "drain < RB_1")
    with project.started() as run:
        project.file("holds-1")
        kill(project.pid("holds-0"))
        result = run.result(expect=1)
    assert result["verdict"] == "interrupted"
    assert result["reasons"] == ["Fkt_1[0] failed: killed by SIGKILL"]
    assert record(result)["buffers"]["RB_1"]["abandoned_slots"] == 1


def test_sigkill_of_an_observer_with_68_kb_events(project):
    """Ancestor: the main program never ends."""
    project.functions(
        """
        def look(event):
            if not Path("sees").exists():
                tell("sees")
                until("never")
        """
    )
    project.setup("slow_numbers > RB_1", "look o RB_1", "drain < RB_1")
    with project.started("--set", "RingBuffer.RB_1.channel_per_slot=8500") as run:
        kill(project.pid("sees"))
        run.hears("Fkt_2[0] failed: killed by SIGKILL")
        run.send(signal.SIGINT)
        result = run.result(expect=1)
    assert result["verdict"] == "tainted"
    assert ledger(result, "RB_1", "Fkt_3")["left"] == 0


def test_sigkill_of_the_main_process(project):
    """Ancestor: all workers live on for ever, shared memory stays. Here they save what there is and leave."""
    project.functions(
        """
        def held(event):
            tell(f"filter-{int(event['x'][0])}")
            if event["x"][0] == 10:
                until("go")
            return True
        """
    )
    project.setup("slow_numbers > RB_1", "held < RB_1 > RB_2", "to_csv < RB_2 {filename: out}")
    with project.started("--output", "run") as run:
        worker = project.pid("filter-10")
        children = children_of(run.process.pid)
        assert worker in children
        segments = list(_segments(run.process.pid))
        assert len(segments) == 2
        run.process.kill()
        wait_until(lambda: not any(s.exists() for s in segments), "a segment stays")
        project.write("go", "")
        wait_for_end(*children)
    saved = column(project.folder / "run/out.csv")
    assert saved == list(range(len(saved)))
    assert len(saved) > 10
    assert json.loads((project.folder / "run/run.json").read_text())["verdict"] is None


def test_sigkill_of_the_main_process_while_the_source_sleeps(project):
    project.functions("def asleep():\n    yield {'x': 1}\n    tell('asleep')\n    time.sleep(1000)\n")
    project.setup("asleep > RB_1", "drain < RB_1")
    with project.started() as run:
        project.pid("asleep")
        children = children_of(run.process.pid)
        run.process.kill()
        wait_for_end(*children)


def _segments(pid):
    pattern = segment_name("*", partition=f"{pid}-*").replace("%2A", "*")
    return Path("/dev/shm").glob(pattern)


# -- exceptions ----------------------------------------------------------------------------------------------


def test_exception_in_the_users_filter(project):
    """Ancestor: worker dies, DAQ stands still. Here the event is tried three times and put into quarantine."""
    project.functions(
        """
        def picky(event):
            if event["x"][0] == 7:
                raise ValueError("no seven")
            return True
        """
    )
    project.setup("numbers > RB_1 {n: 300}", "picky < RB_1 > RB_2", "save < RB_2")
    result = project.run(expect=1)
    assert result["verdict"] == "tainted"
    line = 1 + (project.folder / "my.py").read_text().splitlines().index('        raise ValueError("no seven")')
    assert f"ValueError: no seven at my.py:{line} (event 7)" in result["reasons"][0]
    assert result["reasons"][1] == "1 events of RB_1 are in quarantine, kept from Fkt_2"
    assert column(f"{result['run_dir']}/out.csv") == [i for i in range(300) if i != 7]
    assert log(result).count("Traceback") <= 1
    assert 'raise ValueError("no seven")' in log(result)
    (kept,) = record(result)["quarantine"]
    assert (kept["buffer"], kept["function"], kept["counter"], kept["tries"]) == ("RB_1", "Fkt_2", 7, 3)
    event = np.load(f"{result['run_dir']}/{kept['file']}")
    assert event["x"].tolist() == [[7.0]]
    entry = ledger(result, "RB_1", "Fkt_2")
    assert (entry["released"], entry["quarantined"], entry["left"], entry["redelivered"]) == (299, 1, 0, 2)


def test_exception_in_the_users_filter_on_every_event(project):
    """Given up after five failures in a row; the run ends and is not good."""
    project.functions("def hopeless(event):\n    raise RuntimeError('never')\n")
    project.setup("numbers > RB_1", "hopeless < RB_1 > RB_2", "save < RB_2")
    result = project.run(expect=1)
    assert result["verdict"] == "interrupted"
    assert any("failed 5 times in a row and is given up: RuntimeError: never" in r for r in result["reasons"])
    assert column(f"{result['run_dir']}/out.csv") == []


def test_exception_in_the_users_source(project):
    """Ancestor: the run idles for ever."""
    project.functions("def breaks():\n    yield from numbers(n=50)\n    raise OSError('no device')\n")
    project.setup("breaks > RB_1", "keep < RB_1 > RB_2", "save < RB_2")
    result = project.run(expect=1)
    assert result["verdict"] == "interrupted"
    assert "Fkt_1[0] failed: OSError: no device at my.py:" in result["reasons"][0]
    assert column(f"{result['run_dir']}/out.csv") == list(range(50))


def test_a_source_that_shall_be_started_again_goes_on_counting(project):
    project.functions(
        """
        def unplugged():
            yield from numbers(n=30)
            if not Path("again").exists():
                tell("again")
                raise OSError("unplugged")
        """
    )
    project.setup("unplugged > RB_1 | restart: true", "save < RB_1")
    result = project.run(expect=1)
    assert result["verdict"] == "tainted"
    assert column(f"{result['run_dir']}/out.csv", "counter") == list(range(60))


def test_an_answer_that_does_not_fit_the_sink_is_not_tried_again(project):
    project.functions("def wrong(event):\n    return {'y': 1.0}\n")
    project.setup("numbers > RB_1", "wrong < RB_1 > RB_2", "drain < RB_2")
    result = project.run(expect=1)
    assert result["verdict"] == "interrupted"
    assert "Fkt_2 gives a field 'y'; buffer RB_2 takes" in result["reasons"][0]
    assert record(result)["workers"]["Fkt_2[0]"]["restarts"] == 0


def test_missing_filename(project):
    """Ancestor: worker traceback, run goes on without it and blocks. Nothing is retried: no event was the cause."""
    project.write(
        "old.py",
        """
        from mimocorb.buffer_control import rb_toTxtfile

        def save(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
            rb_toTxtfile(source_list, config_dict, **rb_info)()
        """,
    )
    project.setup("numbers > RB_1", "old.py:save < RB_1")
    result = project.run(expect=1)
    assert result["verdict"] == "interrupted"
    assert "needs the key 'filename'" in result["reasons"][0]
    assert record(result)["workers"]["Fkt_2[0]"]["restarts"] == 0


def test_a_function_that_returns_early(project):
    """The group is there, but nobody reads (ancestor: writer blocks after N, shutdown hangs)."""
    project.functions("def first_ten(io):\n    for _ in range(10):\n        io.reader.get()\n")
    project.setup("numbers > RB_1", "first_ten < RB_1", "drain < RB_1")
    result = project.run(expect=1)
    assert result["verdict"] == "interrupted"
    assert result["reasons"][0] == "Fkt_2[0] returned although there was more to come"
    assert ledger(result, "RB_1", "Fkt_3")["left"] == 0
    assert ledger(result, "RB_1", "Fkt_2")["left"] > 0


@pytest.mark.parametrize(("how", "verdict"), [("sys.exit()", "good"), ("sys.exit(3)", "interrupted")])
def test_a_source_that_ends_its_process_itself(project, how, verdict):
    project.functions(f"def leaves():\n    import sys\n    yield from numbers(n=20)\n    {how}\n")
    project.setup("leaves > RB_1", "save < RB_1")
    result = project.run(expect=0 if verdict == "good" else 1)
    assert result["verdict"] == verdict
    assert column(f"{result['run_dir']}/out.csv") == list(range(20))


def test_a_source_whose_process_is_gone_without_a_word(project):
    project.functions("def leaves():\n    yield from numbers(n=20)\n    os._exit(0)\n")
    project.setup("leaves > RB_1", "drain < RB_1")
    result = project.run(expect=1)
    assert result["reasons"] == ["Fkt_1[0] failed: its process ended (exit code 0) before the function had returned"]


# -- the end of a run ----------------------------------------------------------------------------------------


def test_e_with_60_ms_filter_and_filled_slots(project):
    """Ancestor: filter is cut off (132 rows of 224 events), then shutdown hangs for ever."""
    project.functions(
        """\
        def thorough(event):
            time.sleep(0.03)
            return True

        def filling():
            for number, event in enumerate(numbers()):
                if number == 24:
                    tell("filled")  # the slots that there are have been taken
                yield event
        """
    )
    project.setup("filling > RB_1", "thorough < RB_1 > RB_2", "save < RB_2", slots=24)
    with project.started(terminal=True) as run:
        project.file("filled")
        run.press("e")
        result = run.result()
    n = result["buffers"]["RB_1"]["events"]
    assert n >= 24
    assert column(f"{result['run_dir']}/out.csv") == list(range(n))


def test_chain_ended_with_backlog(project):
    """Ancestor: 58 of 112 events reach the end."""
    project.functions("def gated(event):\n    until('go')\n    return True\n")
    chain = ["keep < RB_1 > RB_2", "keep < RB_2 > RB_3", "gated < RB_3 > RB_4", "save < RB_4"]
    project.setup("slow_numbers > RB_1", *chain)
    with project.started() as run:
        project.file("flowing")
        run.send(signal.SIGINT)
        run.hears("stopping")
        project.write("go", "")
        result = run.result()
    n = result["buffers"]["RB_1"]["events"]
    assert column(f"{result['run_dir']}/out.csv") == list(range(n))


def test_observer_on_a_buffer_without_events_then_shutdown(project):
    """Ancestor: observer and its thread stay for ever."""
    project.functions("def never():\n    tell('flowing')\n    until('never')\n    yield\n")
    project.setup("never > RB_1", "keep o RB_1", "drain < RB_1")
    with project.started() as run:
        run.hears("running")
        project.file("flowing")
        run.send(signal.SIGINT)
        result = run.result()
    assert (result["verdict"], result["buffers"]["RB_1"]["events"]) == ("good", 0)


def test_normal_run_2358_events_pause_and_resume_e(project):
    """As with the ancestor: no event lost, no counter missing."""
    project.setup("slow_numbers > RB_1 {n: 2358, pause: 0.0002}", "keep x2 < RB_1 > RB_2", "save < RB_2")
    with project.started(terminal=True) as run:
        project.file("flowing")
        run.press("p")
        run.hears("paused")
        run.press("r")
        run.hears("resumed")
        result = run.result()
    assert sorted(column(f"{result['run_dir']}/out.csv", "counter")) == list(range(2358))


def test_a_source_that_does_not_listen_is_killed(project):
    project.functions(
        """
        def deaf():
            import signal
            while True:
                try:
                    for event in numbers(n=100):
                        yield event
                    tell("flowing")
                    until("never")
                except Exception:
                    pass
                except GeneratorExit:
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    until("never")
        """
    )
    project.setup("deaf > RB_1", "to_csv < RB_1 {filename: out}")
    with project.started() as run:
        project.file("flowing")
        run.send(signal.SIGINT)
        run.hears("does not leave by itself and is killed")
        result = run.result(expect=1)
    assert (result["verdict"], result["reasons"]) == ("incomplete", ["Fkt_1[0] had to be stopped by force"])
    assert column(f"{result['run_dir']}/out.csv")[:100] == list(range(100))


def test_a_filter_that_is_stuck_for_ever(project):
    """The stop ends by force, what is in the files stays, and the verdict says so."""
    project.functions(
        """
        def stuck(event):
            if event["x"][0] == 20:
                tell("stuck")
                until("never")
            return True
        """
    )
    project.setup("numbers > RB_1", "stuck < RB_1 > RB_2", "to_csv < RB_2 {filename: out}")
    project.write(
        "engine.py",
        """
        import json, sys
        from mimodaq.config import load_setup
        from mimodaq.node import Engine, RunOptions

        def look(snapshot):
            if snapshot.events >= 20 and snapshot.buffers[0].fill == 1.0:
                engine.command("stop", "test")

        engine = Engine(load_setup("setup.yaml"), RunOptions(on_snapshot=look, stuck_s=1.0))
        result = engine.run()
        print(json.dumps({"run_dir": str(result.run_dir), **result.record}))
        """,
    )
    done = subprocess.run([sys.executable, "engine.py"], cwd=project.folder, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert result["verdict"] == "incomplete"
    assert result["reasons"][0] == "the buffers could not be worked off"
    assert result["end_reason"] == "test"
    assert column(f"{result['run_dir']}/out.csv") == list(range(20))


# -- output of functions -------------------------------------------------------------------------------------


def test_a_function_that_prints_a_lot(project):
    project.functions(
        """
        def chatty():
            for i in range(100_000):
                print("line", i)
            print("no end of line, ünïcödé \\udc80", end="")
            yield {"x": 1}
        """
    )
    project.setup("chatty > RB_1", "drain < RB_1")
    result = project.run()
    lines = [line.partition("Fkt_1[0]: ")[2] for line in log(result).splitlines() if "Fkt_1[0]: " in line]
    assert lines == [*(f"line {i}" for i in range(100_000)), "no end of line, ünïcödé \\udc80"]


def test_a_line_without_end_does_not_grow_for_ever(project):
    project.functions("def dots():\n    print('.' * 1_000_000, end='')\n    yield {'x': 1}\n")
    project.setup("dots > RB_1", "drain < RB_1")
    result = project.run("--quiet")
    assert log(result).count(".") > 1_000_000
    assert max(map(len, log(result).splitlines())) < 200_000


def test_a_grandchild_that_keeps_the_pipe_open(project):
    """What a function has started and left ends with it."""
    project.functions(
        """
        def starts():
            import subprocess
            child = subprocess.Popen(["sleep", "1000"])
            Path("grandchild").write_text(str(child.pid))
            yield {"x": 1}
        """
    )
    project.setup("starts > RB_1", "drain < RB_1")
    assert project.run()["verdict"] == "good"
    wait_for_end(project.pid("grandchild"))


def test_files_that_a_function_has_left_open_are_complete(project):
    project.functions(
        """
        import atexit
        FILE = open("mine.txt", "w")
        atexit.register(lambda: Path("atexit.txt").write_text("done"))

        def save(event):
            FILE.write(f"{event['x'][0]:g}\\n")
        """
    )
    project.setup("numbers > RB_1 {n: 100}", "save < RB_1")
    project.run()
    assert (project.folder / "mine.txt").read_text().split() == [str(i) for i in range(100)]
    assert (project.folder / "atexit.txt").read_text() == "done"


def test_figures_of_functions_are_in_the_record_as_plain_json(project):
    project.functions(
        """
        def figures(io):
            import numpy as np
            n = sum(1 for _ in iter(io.reader.get, None))
            io.note(n=np.int64(n), mean=np.float32(0.5), bad=float("nan"), counts=np.arange(3))
        """
    )
    project.setup("numbers > RB_1 {n: 10}", "figures < RB_1")
    result = project.run()
    assert result["figures"] == {"Fkt_2": {"0": {"n": 10, "mean": 0.5, "bad": None, "counts": [0, 1, 2]}}}


def test_files_of_mimocorb_functions_are_listed_under_their_own_function(project):
    project.write(
        "old.py",
        """
        from mimocorb.buffer_control import rb_toTxtfile

        def save(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
            rb_toTxtfile(source_list, config_dict, **rb_info)()
        """,
    )
    savers = ("old.py:save < RB_1 {filename: one}", "old.py:save < RB_1 {filename: two}")
    project.setup("numbers > RB_1 {n: 10}", *savers)
    result = project.run()
    run_dir = result["run_dir"]
    assert record(result)["files"] == {"Fkt_2": [f"{run_dir}/one.txt"], "Fkt_3": [f"{run_dir}/two.txt"]}
