"""A node whose disk is low: what its setup wants is done for the whole run."""

from cluster.test_simple_runs import running, sim, verdict
from mimodaq.protocol.parts import DiskWish, HostLine
from mimodaq.protocol.run import Verdict
from mimodaq.protocol.states import State

__all__ = ["sim"]

LOW = {"disk_free_bytes": 99_000_000}
TEXT = "the disk of store is low (99 MB are left)"


def test_it_stops_the_run_which_is_complete(sim):
    running(sim)
    sim.hosts["store"].computer = HostLine(**LOW, disk_wish=DiskWish.STOP)
    assert sim.world.run_until(lambda: sim.broker.rows[1].verdict is not None, 60.0)
    assert verdict(sim) == (Verdict.GOOD, ())
    assert sim.broker.rows[1].end_reason == TEXT
    assert set(sim.states().values()) == {State.CONFIGURED}


def test_it_pauses_the_run_until_there_is_room_and_the_operator_resumes_it(sim):
    running(sim)
    sim.hosts["store"].computer = HostLine(**LOW, disk_wish=DiskWish.PAUSE)
    assert sim.world.run_until(lambda: sim.states()["daq"] is State.PAUSED, 10.0)
    assert sim.broker.brain.cluster(sim.world.now).text == f"paused because {TEXT}; make room, then resume"
    sim.do("resume")
    assert sim.world.run_until(lambda: sim.states()["daq"] is State.PAUSED, 10.0), "there is no room yet"
    sim.hosts["store"].computer = HostLine(disk_free_bytes=500_000_000)
    sim.world.run(5.0)
    assert sim.states()["daq"] is State.PAUSED, "who pauses a run for want of room does not resume it"
    assert sim.do("resume").ok
    sim.world.run(5.0)
    assert sim.states()["daq"] is State.RUNNING
    assert sim.do("stop").ok
    assert verdict(sim) == (Verdict.GOOD, ())


def test_a_low_disk_of_before_the_run_says_nothing_about_it(sim):
    sim.hosts["store"].computer = HostLine(**LOW)
    running(sim)
    sim.world.run(5.0)
    assert sim.states()["daq"] is State.RUNNING
