"""Runs of a simulated cluster when nothing, or one thing, goes wrong."""

import pytest

from cluster.simulation import LIMITS
from mimodaq.protocol.run import Verdict
from mimodaq.protocol.states import State

SETUP = "aaaaaaaa"


@pytest.fixture
def sim(cluster):
    sim = cluster()
    sim.world.run(4.0)
    return sim


def configured(sim):
    answer = sim.do("configure", setup_id=SETUP)
    assert answer.ok, answer.text
    return sim


def running(sim):
    answer = configured(sim).do("start", comment="first light")
    assert answer.ok, answer.text
    return sim


def verdict(sim):
    row = sim.broker.rows[max(sim.broker.rows)]
    return row.verdict, row.reasons


def test_a_whole_run_is_good(sim):
    running(sim)
    assert set(sim.states().values()) == {State.RUNNING}
    sim.world.run(5.0)
    answer = sim.do("pause")
    assert answer.ok
    assert sim.states()["daq"] is State.PAUSED
    events = sim.hosts["daq"].rings["A"].events
    sim.world.run(5.0)
    assert sim.hosts["daq"].rings["A"].events == events > 0
    assert sim.do("resume").ok
    sim.world.run(5.0)
    answer = sim.do("stop")
    assert (answer.ok, answer.run) == (True, 1), answer.text
    assert verdict(sim) == (Verdict.GOOD, ())
    row = sim.broker.rows[1]
    assert row.running_s == pytest.approx(10.0, abs=2.0)
    assert (row.operator, row.comment, set(row.accounts)) == ("anna", "first light", {"daq", "ana", "store"})
    assert set(sim.states().values()) == {State.CONFIGURED}
    assert sim.do("start").run == 2


def test_everything_works_over_the_real_bytes(cluster):
    sim = cluster(with_codec=True)
    sim.world.run(4.0)
    running(sim)
    assert sim.do("stop").ok
    assert verdict(sim) == (Verdict.GOOD, ())


def test_a_mistake_found_after_a_while_ends_configure_with_the_words_of_the_host(sim):
    sim.hosts["ana"].is_unfit = True
    asked = sim.world.now
    answer = sim.do("configure", setup_id=SETUP)
    assert (answer.ok, answer.text) == (False, "ana: no such function")
    assert sim.world.now - asked < 2.0
    assert sim.world.run_until(lambda: sim.states()["daq"] is State.IDLE, 5.0)


def test_arm_holds_the_sources_and_start_lets_them_go(sim):
    assert configured(sim).do("arm").ok
    assert set(sim.states().values()) == {State.READY}
    sim.world.run(5.0)
    assert not sim.flowed
    assert sim.do("start").run == 1


def test_a_run_stops_by_itself_when_its_time_is_over(cluster):
    sim = cluster(top="runtime: 7")
    sim.world.run(4.0)
    running(sim)
    assert sim.world.run_until(lambda: sim.broker.rows[1].verdict is not None, 30.0)
    assert sim.broker.rows[1].end_reason == "7 s are over"
    assert sim.broker.rows[1].running_s == pytest.approx(7.0, abs=0.6)
    assert verdict(sim) == (Verdict.GOOD, ())


def test_a_run_stops_by_itself_when_its_events_are_taken(cluster):
    sim = cluster(top="runevents: 100")
    sim.world.run(4.0)
    running(sim)
    assert sim.world.run_until(lambda: sim.broker.rows[1].verdict is not None, 30.0)
    assert sim.broker.rows[1].end_reason == "100 events are taken"
    assert verdict(sim) == (Verdict.GOOD, ())


def test_a_run_ends_when_its_sources_have_no_more_events(sim):
    sim.hosts["daq"].budget = 20
    running(sim)
    assert sim.world.run_until(lambda: sim.broker.rows[1].verdict is not None, 60.0)
    assert sim.broker.rows[1].end_reason == "the sources have no more events"
    assert verdict(sim) == (Verdict.GOOD, ())


def test_abort_ends_at_once_and_is_told(sim):
    running(sim)
    sim.world.run(5.0)
    answer = sim.do("abort")
    assert answer.ok
    worth, reasons = verdict(sim)
    assert worth is Verdict.ABORTED
    assert reasons[0] == "aborted by anna"


def test_reset_in_a_run_leads_to_idle(sim):
    running(sim)
    assert sim.do("reset").ok
    assert set(sim.states().values()) == {State.IDLE}
    assert verdict(sim)[0] is Verdict.ABORTED
    assert configured(sim).do("start").run == 2


def test_commands_that_are_not_possible_are_refused_in_words(sim):
    assert sim.do("start").text == "start is not possible while idle: configure first"
    assert sim.do("pause").text == "pause is not possible while idle: there is no run"
    assert "there is no command 'go'" in sim.do("go").text
    running(sim)
    assert sim.do("configure", setup_id=SETUP).text.endswith("stop the run first")
    assert sim.do("start").text.endswith("a run is in progress already")
    assert sim.states()["daq"] is State.RUNNING


def test_one_operator_is_in_charge_and_observers_watch(sim):
    running(sim)
    refused = sim.do("stop", operator="ben")
    assert (refused.ok, refused.text) == (
        False,
        "stop: anna is in charge, for 0 min now; let anna surrender, or take charge by force",
    )
    assert "is an observer" in sim.do("stop", operator="guest", may_command=False).text
    assert "is an observer" in sim.do("take", operator="guest", may_command=False, force=True).text
    assert not sim.do("take", operator="ben").ok
    assert sim.do("take", operator="ben", force=True).ok
    assert "ben is in charge" in sim.do("stop").text
    assert not sim.do("surrender").ok
    assert sim.do("surrender", operator="ben").ok
    assert sim.do("stop").ok


def test_everybody_who_may_command_may_leave_a_mark_in_the_log(sim):
    configured(sim)
    assert sim.do("mark", operator="ben", comment=" before the run ").ok
    assert sim.do("start").ok
    assert sim.do("mark", operator="ben", comment="lights off").ok
    assert not sim.do("mark", operator="ben", comment=" ").ok
    refused = sim.do("mark", operator="guest", may_command=False, comment="x")
    assert refused.text == "mark: guest is an observer and may watch, not write into the log"
    marks = [text for text in sim.said if "mark by" in text]
    assert marks == ["mark by ben: before the run", "run 1: mark by ben: lights off"]
    assert "anna is in charge" in sim.do("stop", operator="ben").text
    assert sim.broker.brain.choices == {"optional": [], "on_loss": "pause"}


def test_a_start_that_fails_on_one_host_is_undone_on_all(sim):
    configured(sim)
    store = sim.hosts["store"]
    store.fails_next_launch = True
    answer = sim.do("start")
    assert not answer.ok
    assert answer.text == "store: out[0] could not start: ImportError"
    assert set(sim.states().values()) == {State.CONFIGURED}
    assert not sim.flowed
    assert verdict(sim)[0] is Verdict.INTERRUPTED  # by no operator
    assert {account.verdict for account in sim.broker.rows[1].accounts.values()} == {Verdict.INTERRUPTED}
    assert sim.do("start").ok


@pytest.mark.parametrize("command", ["abort", "reset"])
def test_who_aborts_what_is_being_undone_does_not_change_what_it_is_worth(sim, command):
    configured(sim)
    sim.hosts["store"].fails_next_launch = True
    sim.hosts["daq"].is_stopped = True
    start = sim.ask("script", "start")
    assert sim.world.run_until(lambda: sim.broker.brain.state() is State.ABORTING, 30.0)
    sim.hosts["daq"].go_on()
    assert sim.do(command).ok
    assert not sim.answers[start].ok
    assert verdict(sim)[0] is Verdict.INTERRUPTED
    assert {account.verdict for account in sim.broker.rows[1].accounts.values()} == {Verdict.INTERRUPTED}


def test_a_node_that_hangs_is_named_at_its_deadline_and_all_others_are_done(sim):
    running(sim)
    sim.hosts["daq"].is_stopped = True
    sim.network.cut.add("nobody")
    key = sim.ask("script", "pause")
    assert sim.world.run_until(lambda: key in sim.answers, 20.0)
    assert not sim.answers[key].ok
    assert "daq" in sim.answers[key].text
    sim.hosts["daq"].go_on()
    assert sim.world.run_until(lambda: sim.states()["daq"] is State.PAUSED, 10.0)


def test_an_essential_host_that_is_lost_holds_the_sources_until_it_is_back(sim):
    running(sim)
    sim.network.cut.add("store")
    assert sim.world.run_until(lambda: sim.states()["daq"] is State.PAUSED, 5.0)
    assert sim.broker.brain.state() is State.OFFLINE
    assert "store is lost" in sim.broker.brain.cluster(sim.world.now).text
    assert "store is not heard" in sim.do("resume").text
    sim.world.run(60.0)
    sim.network.cut.clear()
    assert sim.world.run_until(lambda: sim.states()["daq"] is State.RUNNING, 10.0)
    assert sim.do("stop").ok
    assert verdict(sim) == (Verdict.GOOD, ())


@pytest.mark.parametrize("is_operators", [False, True])
def test_a_new_broker_knows_whether_the_sources_are_held_for_a_host(sim, is_operators):
    running(sim)
    if is_operators:
        assert sim.do("pause").ok
    sim.network.cut.add("store")
    assert sim.world.run_until(lambda: sim.states()["daq"] is State.PAUSED, 5.0)
    sim.world.run(5.0)
    sim.broker.crash()
    sim.broker.boot()
    sim.world.run(5.0)
    sim.network.cut.clear()
    goes_on = sim.world.run_until(lambda: sim.states()["daq"] is State.RUNNING, 30.0)
    assert goes_on != is_operators
    assert sim.do("stop").ok
    assert verdict(sim) == (Verdict.GOOD, ())


def test_an_essential_host_that_is_lost_may_stop_the_run_instead(sim):
    assert sim.do("configure", setup_id=SETUP, on_loss="stop").ok
    assert sim.do("start").ok
    sim.network.cut.add("store")
    assert sim.world.run_until(lambda: sim.broker.rows[1].verdict is not None, 60.0)
    assert verdict(sim)[0] is Verdict.INTERRUPTED
    sim.network.cut.clear()
    assert sim.world.run_until(lambda: sim.states()["store"] is State.CONFIGURED, 120.0)


def test_a_run_goes_on_without_an_optional_host(sim):
    assert sim.do("configure", setup_id=SETUP, optional=("ana",)).ok
    assert sim.do("start").ok
    sim.hosts["ana"].reboot()
    sim.world.run(20.0)
    assert sim.states()["daq"] is State.RUNNING
    sim.hosts["ana"].boot()
    sim.world.run(5.0)
    assert sim.states()["daq"] is State.RUNNING
    answer = sim.do("stop")
    assert answer.ok
    worth, reasons = verdict(sim)
    assert worth is Verdict.INCOMPLETE
    assert "ana was lost during the run" in reasons


def test_optional_hosts_must_exist(sim):
    answer = sim.do("configure", setup_id=SETUP, optional=("anna1",))
    assert (answer.ok, answer.text) == (False, "anna1 is to be optional, but the setup has no such host")


@pytest.mark.parametrize("name", ["daq", "ana", "store"])
def test_a_node_daemon_that_is_killed_goes_on_with_its_run(sim, name):
    running(sim)
    host = sim.hosts[name]
    rings = dict(host.rings)
    host.crash()
    sim.world.run(5.0)
    host.boot()
    assert sim.world.run_until(lambda: set(sim.states().values()) == {State.RUNNING}, 10.0)
    assert host.rings == rings
    assert sim.do("stop").ok
    assert verdict(sim)[0] is Verdict.GOOD


def test_a_worker_that_dies_without_a_daemon_is_started_again_by_the_next_one(sim):
    running(sim)
    store = sim.hosts["store"]
    store.crash()
    dead = next(worker for worker in store.workers if worker.function == "out")
    del store.workers[dead]
    store.boot()
    sim.world.run(3.0)
    assert dead in store.workers
    assert sim.do("stop").ok
    worth, reasons = verdict(sim)
    assert worth is Verdict.TAINTED
    assert reasons == ("store: out[0] failed and was started again: died while the node daemon was away",)


def test_a_host_that_is_started_again_ends_the_run_and_the_loss_is_named(sim):
    running(sim)
    sim.world.run(5.0)
    sim.hosts["store"].reboot()
    sim.world.run(1.0)
    sim.hosts["store"].boot()
    assert sim.world.run_until(lambda: sim.broker.rows[1].verdict is not None, 120.0)
    worth, reasons = verdict(sim)
    assert worth is Verdict.INTERRUPTED
    assert any("what was in its buffers is lost" in reason for reason in reasons)


@pytest.mark.parametrize("before", ["configured", "ready", "running", "paused"])
def test_a_new_broker_learns_where_the_nodes_are(sim, before):
    configured(sim)
    for command in {"configured": [], "ready": ["arm"], "running": ["start"], "paused": ["start", "pause"]}[before]:
        assert sim.do(command).ok
    sim.broker.crash()
    sim.world.run(30.0)
    assert sim.states()["daq"].value == before
    sim.broker.boot()
    assert sim.world.run_until(sim.is_settled, 10.0)
    assert sim.broker.brain.aim.value == before
    assert sim.broker.brain.state().value == before
    assert sim.states()["daq"].value == before
    if before in ("running", "paused"):
        assert sim.do("stop").ok
        assert verdict(sim) == (Verdict.GOOD, ())
        assert sim.broker.rows[1].comment == ""
    else:
        assert sim.do("start").ok


def test_a_command_waits_until_a_new_broker_knows_the_nodes(sim):
    running(sim)
    sim.broker.crash()
    sim.broker.boot()
    assert sim.do("pause").ok
    assert sim.states()["daq"] is State.PAUSED
    assert sim.do("stop").ok
    assert verdict(sim) == (Verdict.GOOD, ())


def test_a_stop_goes_on_when_the_broker_dies_in_it(sim):
    running(sim)
    sim.hosts["store"].is_stopped = True
    sim.ask("script", "stop")
    sim.world.run(1.0)
    sim.broker.crash()
    sim.hosts["store"].go_on()
    sim.broker.boot()
    assert sim.world.run_until(lambda: sim.broker.rows[1].verdict is not None, 30.0)
    assert verdict(sim) == (Verdict.GOOD, ())


def test_a_run_that_the_broker_gave_up_is_left_when_the_node_is_back(sim):
    running(sim)
    sim.network.cut.add("ana")
    sim.world.run(4.0)
    asked = sim.world.now
    answer = sim.do("stop")
    assert answer.ok
    assert sim.world.now - asked < LIMITS.away_s + 5
    worth, reasons = verdict(sim)
    assert worth is Verdict.INCOMPLETE
    assert any("A~f:daq>ana was given up" in reason for reason in reasons)
    gone = "0 events of A had gone there from daq, 0 of B had come from there to store"
    assert f"ana has given no account of its part of the run ({gone})" in reasons
    sim.network.cut.clear()
    assert sim.world.run_until(lambda: sim.states()["ana"] is State.CONFIGURED, 120.0)
    assert sim.do("start").run == 2


def test_a_stop_that_does_not_end_is_forced_and_the_run_flagged(sim):
    running(sim)
    sim.hosts["store"].is_stuck = True
    asked = sim.world.now
    assert sim.do("stop", 200.0).ok
    assert LIMITS.stop_s <= sim.world.now - asked <= LIMITS.stop_s + LIMITS.abort_s
    worth, reasons = verdict(sim)
    assert worth is Verdict.INCOMPLETE
    assert reasons[0] == "forced: store did not stop within 60 s"


def test_the_late_account_of_a_host_is_added_to_its_run(sim):
    running(sim)
    sim.network.cut.add("ana")
    sim.world.run(4.0)
    assert sim.do("stop").ok
    assert "ana" not in sim.broker.rows[1].accounts
    sim.network.cut.clear()
    assert sim.world.run_until(lambda: (1, "ana") in sim.broker.late, 120.0)


def test_shutdown_ends_the_daemons_only_without_a_run(sim):
    running(sim)
    assert sim.do("shutdown").text.endswith("stop the run first")
    assert sim.do("stop").ok
    assert sim.do("shutdown").ok
    sim.world.run(1.0)
    assert all(host.brain is None for host in sim.hosts.values())
    assert sim.broker.brain is None


def test_a_shutdown_that_did_not_get_through_is_said_again(sim):
    configured(sim)
    sim.network.cut.add("daq")
    sim.ask("script", "shutdown")
    sim.world.run(0.5)
    sim.network.cut.clear()
    assert sim.world.run_until(lambda: sim.broker.brain is None, 6.0)
    assert all(host.brain is None for host in sim.hosts.values())
