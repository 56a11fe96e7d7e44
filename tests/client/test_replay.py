"""`mimodaq replay`: the same events through the same functions give the same files."""

import filecmp
import json
import os
from pathlib import Path

import pytest

from client.command import column, record


@pytest.fixture
def filtered(project):
    """A source that never gives the same twice, recorded, filtered, saved."""
    project.write(
        "modules/random_source.py",
        """
        import random
        import constants

        def source():
            while True:
                yield {"x": random.gauss(constants.MEAN, 1.0)}
        """,
    )
    project.write("modules/constants.py", "MEAN = 3.0")
    project.functions("def above(event, *, level: float = 3.0):\n    return event['x'][0] > level\n")
    project.setup(
        "modules/random_source.py:source x2 > RB_1",
        "to_parquet < RB_1 {filename: raw}",
        "above x2 < RB_1 > RB_2",
        "to_csv < RB_2 {filename: out}",
        "to_parquet < RB_2 {filename: chosen, metadata: false}",
        name="demo_setup.yaml",
    )
    return project


def test_recorded_events_give_the_same_files_again(filtered):
    import pyarrow.parquet as pq

    first = filtered.run("demo_setup.yaml", "--events", "1000")
    one = filtered.folder / "moved"
    os.rename(first["run_dir"], one)
    again = json.loads(filtered("replay", "moved", "--headless", "--json").stdout)
    two = Path(again["run_dir"])
    assert (again["run"], again["verdict"], again["buffers"]["RB_1"]["events"]) == (2, "good", 1000)
    assert two.parent == filtered.folder / "target"
    assert two.name.startswith("demo_2")
    assert filecmp.cmp(one / "out.csv", two / "out.csv", shallow=False)
    assert filecmp.cmp(one / "chosen/chosen-0000.parquet", two / "chosen/chosen-0000.parquet", shallow=False)
    assert pq.read_table(one / "raw").equals(pq.read_table(two / "raw"))


def test_an_option_may_be_tried_on_recorded_events(filtered):
    first = filtered.run("demo_setup.yaml", "--events", "200")
    (filtered.folder / "my.py").unlink()  # the modules kept with the run are used
    done = filtered("replay", first["run_dir"], "--json", "--set", "Fkt_3.config.level=3.5", "--output", "new")
    assert Path(json.loads(done.stdout)["run_dir"]) == filtered.folder / "new"
    every = column(f"{first['run_dir']}/out.csv")
    assert column(filtered.folder / "new/out.csv") == [x for x in every if x > 3.5]


def test_a_run_that_was_stopped_is_replayed_to_its_last_event_and_so_is_the_repetition(project):
    project.setup("slow_numbers > RB_1", "to_parquet < RB_1 {filename: raw}", "save < RB_1")
    project.run("--duration", "0.2 s", "--output", "one")
    project("replay", "one", "--output", "two")
    project("replay", "two", "--output", "three")
    for again in ("two", "three"):
        assert filecmp.cmp(project.folder / "one/out.csv", project.folder / again / "out.csv", shallow=False)


def test_a_simulation_is_made_again_with_the_seed_it_had(project):
    project.write(
        "setup.yaml",
        """
        RingBuffer:
          - RB_1: {number_of_slots: 16, channel_per_slot: 200, data_type: {1: [a, float32], 2: [b, float32]}}
        Functions:
          - Fkt_1: {function: simulate, RB_assign: {RB_1: write}, config: {sleeptime: 0}}
          - Fkt_2:
              function: to_csv
              RB_assign: {RB_1: read}
              config: {filename: out, columns: [counter, a, b], expand: true}
        """,
    )
    first = project.run("--events", "30")
    again = json.loads(project("replay", first["run_dir"], "--json").stdout)
    assert record(again)["figures"]["Fkt_1"] == record(first)["figures"]["Fkt_1"]
    assert filecmp.cmp(f"{first['run_dir']}/out.csv", f"{again['run_dir']}/out.csv", shallow=False)


def test_a_source_that_replays_a_file_reads_it_again(project):
    project.write("data/in.csv", "counter,x\n" + "".join(f"{i},{i * i}\n" for i in range(20)))
    project.setup("replay > RB_1 {input: data/in.csv}", "save < RB_1")
    first = project.run("--events", "15")
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    project("replay", first["run_dir"], "--output", str(project.folder / "again"), cwd=elsewhere)
    assert column(project.folder / "again/out.csv") == [i * i for i in range(15)]


@pytest.mark.parametrize("source", ["numbers > RB_1", "simulate x2 > RB_1 {sleeptime: 0}"])
def test_without_recorded_events_it_is_refused_with_the_remedy(project, source):
    project.setup(source, "drain < RB_1")
    first = project.run("--events", "10", "--set", "RingBuffer.RB_1.channel_per_slot=200")
    done = project("replay", first["run_dir"], expect=2)
    assert done.stderr == (
        "the run recorded no events of RB_1: add a function with `function: to_parquet` and "
        "`RB_assign: {RB_1: read}` to the setup, and the next run can be replayed\n"
    )


def test_a_directory_that_is_no_run_is_refused(project):
    done = project("replay", ".", expect=2)
    assert done.stderr == ". is no run directory: it has no setup.resolved.yaml and run.json\n"
