"""A run starts completely or not at all, its sources last."""

from mimodaq.protocol.run import (
    READY_S,
    Begin,
    CloseBuffers,
    Exited,
    Finish,
    GiveUp,
    Kill,
    Launch,
    Ready,
    State,
    Verdict,
    WorkerPlan,
    WorkerState,
)
from protocol.story import CHAIN, FILTER, OBSERVER, SHOW, SINK, SOURCE, Story, acts, said


def test_everything_but_the_sources_is_launched_first():
    story = Story()
    assert acts(story.tell(Begin())) == [Launch(FILTER), Launch(SINK)]
    assert story.state is State.STARTING


def test_the_sources_follow_when_all_others_are_ready():
    story = Story()
    story.tell(Begin(), Ready(SINK))
    assert acts(story.tell(Ready(FILTER))) == [Launch(SOURCE)]


def test_the_run_is_running_when_the_sources_are_ready():
    story = Story()
    story.tell(Begin(), Ready(SINK), Ready(FILTER), after=1.0)
    story.tell(Ready(SOURCE), after=2.0)
    assert (story.state, story.run.begun) == (State.RUNNING, 103.0)


def test_a_run_of_sources_alone_starts():
    story = Story(CHAIN[0])
    assert acts(story.tell(Begin())) == [Launch(SOURCE)]


def test_one_that_cannot_start_ends_the_run_before_any_source_is_launched():
    story = Story()
    story.tell(Begin(), Ready(SINK))
    effects = story.dies(FILTER, reason="no such file")
    assert acts(effects) == [GiveUp(FILTER), CloseBuffers()]
    assert "filter[0] could not start: no such file" in said(effects)
    assert acts(story.leaves(SINK)) == [Finish()]
    assert (story.state, story.run.verdict) == (State.ENDED, Verdict.INTERRUPTED)
    assert story.run.worker_states()[SOURCE] == (WorkerState.WAITING, 0)
    assert story.run.end_reason == "start failed"


def test_a_source_that_cannot_start_ends_the_run():
    story = Story()
    story.tell(Begin(), Ready(SINK), Ready(FILTER))
    assert CloseBuffers() in story.dies(SOURCE)
    story.leaves(SINK)
    assert acts(story.leaves(FILTER)) == [Finish()]
    assert story.run.reasons == ["source[0] could not start: broken"]


def test_one_that_had_started_and_dies_before_the_others_are_up_is_started_again():
    story = Story()
    story.tell(Begin(), Ready(SINK))
    assert acts(story.dies(SINK)) == []
    assert acts(story.tell(Ready(FILTER))) == []  # no source before the sink is back
    story.comes_back(SINK, after=0.1)
    assert story.run.worker_states()[SOURCE] == (WorkerState.STARTING, 0)


def test_one_that_returns_at_once_although_events_are_to_come_ends_the_start():
    story = Story()
    story.tell(Begin(), Ready(SINK), Ready(FILTER))
    assert acts(story.tell(Exited(SINK, None, is_early=True))) == [CloseBuffers()]
    assert story.run.reasons == ["sink[0] returned although there was more to come"]


def test_an_observer_that_has_finished_already_keeps_nobody_waiting():
    story = Story(*CHAIN, OBSERVER)
    story.tell(Begin(), Ready(SINK), Ready(FILTER))
    assert acts(story.leaves(SHOW)) == [Launch(SOURCE)]
    story.tell(Ready(SOURCE))
    assert story.state is State.RUNNING


def test_a_source_that_is_exhausted_before_its_sister_is_up_does_not_end_the_run():
    sister = WorkerPlan(SHOW, is_source=True, restart=False)
    story = Story(*CHAIN, sister)
    story.tell(Begin(), Ready(SINK), Ready(FILTER), Ready(SOURCE))
    story.leaves(SOURCE)
    assert story.state is State.STARTING
    story.tell(Ready(SHOW))
    assert story.state is State.RUNNING


def test_sources_that_are_all_exhausted_while_the_last_comes_up_end_the_run():
    sister = WorkerPlan(SHOW, is_source=True, restart=False)
    story = Story(*CHAIN, sister)
    story.tell(Begin(), Ready(SINK), Ready(FILTER), Ready(SOURCE))
    story.leaves(SOURCE)
    story.leaves(SHOW)  # was so quick that its report and its end came together
    assert (story.state, story.run.end_reason) == (State.STOPPING, "sources finished")


def test_one_that_is_not_ready_in_time_is_killed_and_the_start_has_failed():
    story = Story()
    story.tell(Begin(), Ready(SINK))
    assert acts(story.tick(READY_S - 0.1)) == []
    effects = story.tick(0.1)
    assert acts(effects) == [Kill(FILTER)]
    assert "filter[0] was not ready after 60 s" in said(effects)
    assert CloseBuffers() in story.dies(FILTER, reason="killed by SIGKILL")


def test_time_until_ready_is_not_running_time():
    story = Story(duration_s=10.0)
    story.tell(Begin(), Ready(SINK), Ready(FILTER))
    story.tick(30.0)
    story.tell(Ready(SOURCE))
    assert story.run.running_s(story.now) == 0.0
    assert story.state is State.RUNNING
