"""A worker that dies is started again; one that cannot be helped is given up, and the run ends for it."""

import pytest

from mimodaq.protocol.run import (
    DEATHS,
    READY_S,
    EndSources,
    Exited,
    Finish,
    GiveUp,
    Kill,
    Launch,
    Ready,
    State,
    Verdict,
    WorkerId,
    WorkerPlan,
    WorkerState,
)
from protocol.story import CHAIN, FILTER, OBSERVER, SHOW, SINK, SOURCE, Story, acts, running, said


def test_a_dead_worker_is_started_again_after_a_pause():
    story = running()
    effects = story.dies(FILTER, reason="killed by SIGKILL")
    assert acts(effects) == []
    assert "next try in 0.1 s" in said(effects)
    assert acts(story.tick(0.09)) == []
    assert acts(story.tick(0.02)) == [Launch(FILTER)]
    story.tell(Ready(FILTER))
    assert story.run.worker_states()[FILTER] == (WorkerState.RUNNING, 1)


def test_the_deadline_is_the_end_of_the_pause():
    story = running()
    story.dies(FILTER)
    assert story.run.deadline(story.now) == pytest.approx(story.now + 0.1)


def test_the_pause_doubles_with_each_death_in_a_row():
    story = running()
    for pause in (0.1, 0.2, 0.4, 0.8):
        story.dies(FILTER)
        assert acts(story.tick(pause - 0.01)) == []
        story.comes_back(FILTER, after=0.02)


def test_a_run_with_a_restarted_worker_is_tainted_and_says_why_once():
    story = running()
    for pause in (0.2, 0.3):
        story.dies(FILTER, reason="ValueError: no good at my.py:12")
        story.comes_back(FILTER, after=pause)
    assert story.run.verdict is Verdict.TAINTED
    assert story.run.reasons == ["filter[0] failed and was started again: ValueError: no good at my.py:12"]


def test_five_deaths_without_progress_are_the_end():
    story = running()
    for _ in range(DEATHS - 1):
        story.dies(FILTER)
        story.comes_back(FILTER, after=2.0)
    effects = story.dies(FILTER)
    assert acts(effects) == [GiveUp(FILTER), EndSources()]
    assert "failed 5 times in a row and is given up: broken" in said(effects)
    assert (story.state, story.run.verdict) == (State.STOPPING, Verdict.INTERRUPTED)


def test_an_event_finished_in_between_starts_the_count_again():
    story = running()
    for _ in range(3 * DEATHS):
        story.dies(FILTER)
        story.comes_back(FILTER, after=0.2)
        story.moves("filter")
    assert story.state is State.RUNNING


def test_progress_of_another_function_does_not_count():
    story = running()
    for _ in range(DEATHS - 1):
        story.dies(FILTER)
        story.moves("sink")
        story.comes_back(FILTER, after=2.0)
    assert EndSources() in story.dies(FILTER)


def test_restart_false_means_once_is_enough():
    story = running(CHAIN[0], WorkerPlan(FILTER, is_source=False, restart=False))
    assert acts(story.dies(FILTER)) == [GiveUp(FILTER), EndSources()]


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_a_number_limits_the_restarts(limit):
    story = running(CHAIN[0], WorkerPlan(FILTER, is_source=False, restart=limit))
    for _ in range(limit):
        story.dies(FILTER)
        story.comes_back(FILTER, after=2.0)
        story.moves("filter")
    assert EndSources() in story.dies(FILTER)


def test_what_trying_again_cannot_mend_is_not_tried_again():
    story = running()
    assert acts(story.dies(FILTER, is_fatal=True)) == [GiveUp(FILTER), EndSources()]
    assert story.run.verdict is Verdict.INTERRUPTED


def test_an_early_return_ends_the_run_but_its_output_has_ended_by_itself():
    story = running()
    effects = story.tell(Exited(SINK, None, is_early=True))
    assert acts(effects) == [EndSources()]  # no GiveUp: it has closed its buffers
    assert story.run.reasons == ["sink[0] returned although there was more to come"]


def test_a_source_that_fails_ends_the_run_and_the_rest_is_worked_off():
    story = running()
    assert acts(story.dies(SOURCE, reason="OSError: no device")) == [GiveUp(SOURCE), EndSources()]
    assert story.state is State.STOPPING
    story.leaves(FILTER)
    assert acts(story.leaves(SINK)) == [Finish()]
    assert story.run.verdict is Verdict.INTERRUPTED
    assert story.run.end_reason == "source[0] failed: OSError: no device"


def test_a_source_is_started_again_if_its_plan_says_so():
    story = running(WorkerPlan(SOURCE, is_source=True, restart=True), *CHAIN[1:])
    assert acts(story.dies(SOURCE)) == []
    story.comes_back(SOURCE, after=0.1)
    assert story.state is State.RUNNING


def test_a_dead_source_is_not_started_again_once_the_run_stops():
    story = running(WorkerPlan(SOURCE, is_source=True, restart=True), *CHAIN[1:])
    story.dies(SOURCE)
    assert acts(story.command("stop")) == [EndSources(), GiveUp(SOURCE)]
    assert acts(story.tick(1.0)) == []
    story.leaves(FILTER)
    assert acts(story.leaves(SINK)) == [Finish()]


def test_a_source_that_fails_when_told_to_stop_only_taints_the_run():
    story = running(WorkerPlan(SOURCE, is_source=True, restart=True), *CHAIN[1:])
    story.command("stop")
    assert acts(story.dies(SOURCE, reason="KeyError: 'x'")) == [GiveUp(SOURCE)]
    assert story.run.verdict is Verdict.TAINTED
    assert story.run.reasons == ["source[0] failed when it was told to stop: KeyError: 'x'"]


def test_a_filter_that_dies_while_the_run_stops_is_started_again():
    story = running()
    story.command("stop")
    assert acts(story.dies(FILTER)) == []
    story.comes_back(FILTER, after=0.1)
    assert story.state is State.STOPPING


def test_the_run_goes_on_without_an_observer():
    story = running(*CHAIN, OBSERVER)
    for _ in range(DEATHS - 1):
        story.dies(SHOW)
        story.comes_back(SHOW, after=2.0)
    assert acts(story.dies(SHOW)) == [GiveUp(SHOW)]
    assert (story.state, story.run.verdict) == (State.RUNNING, Verdict.TAINTED)


def test_an_observer_may_leave_when_it_likes():
    story = running(*CHAIN, OBSERVER)
    assert acts(story.leaves(SHOW)) == []
    assert (story.state, story.run.verdict) == (State.RUNNING, Verdict.GOOD)


def test_one_process_of_several_that_dies_leaves_the_others_alone():
    twin = WorkerId("filter", 1)
    story = running(*CHAIN, WorkerPlan(twin, is_source=False, restart=True))
    story.dies(twin)
    assert story.run.worker_states()[FILTER] == (WorkerState.RUNNING, 0)
    story.comes_back(twin, after=0.1)
    assert story.run.worker_states()[twin] == (WorkerState.RUNNING, 1)


def test_one_that_comes_back_but_is_never_ready_is_killed_and_counts_as_dead():
    story = running()
    story.dies(FILTER)
    assert acts(story.tick(0.1)) == [Launch(FILTER)]
    assert acts(story.tick(READY_S)) == [Kill(FILTER)]
    assert "next try in 0.2 s" in said(story.dies(FILTER, reason="killed by SIGKILL"))


def test_after_the_end_nothing_happens_any_more():
    story = running()
    story.leaves(SOURCE)
    story.leaves(FILTER)
    story.leaves(SINK)
    assert story.state is State.ENDED
    assert story.dies(SINK) == story.tick(1000.0) == story.command("abort") == []


def test_reasons_are_in_order_and_the_worst_verdict_stays():
    story = Story()
    story.run.judge(Verdict.INTERRUPTED, "second worst")
    story.run.judge(Verdict.TAINTED, "harmless")
    story.run.judge(Verdict.TAINTED, "harmless")
    assert (story.run.verdict, story.run.reasons) == (Verdict.INTERRUPTED, ["second worst", "harmless"])


def test_verdicts_are_ordered_from_best_to_worst():
    order = ["good", "tainted", "degraded", "incomplete", "interrupted", "aborted"]
    assert [verdict.value for verdict in Verdict] == order


def test_an_observer_that_dies_while_the_run_stops_is_not_started_again():
    story = running(*CHAIN, OBSERVER)
    story.dies(SHOW)
    assert acts(story.command("stop")) == [EndSources(), GiveUp(SHOW)]
    story = running(*CHAIN, OBSERVER)
    story.command("stop")
    assert acts(story.dies(SHOW)) == [GiveUp(SHOW)]
    assert story.run.verdict is Verdict.TAINTED
