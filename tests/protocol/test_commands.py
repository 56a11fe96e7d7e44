"""Pause, resume, stop and abort in every state of a run; time limits; what does not leave by itself."""

import pytest

from mimodaq.protocol.run import (
    ABORT_S,
    CLOSE_S,
    INTERRUPT_S,
    KILL_S,
    Begin,
    CloseBuffers,
    Command,
    EndSources,
    Finish,
    GiveUp,
    Interrupt,
    Kill,
    Moved,
    PauseSources,
    Ready,
    ResumeSources,
    State,
    Tick,
    Verdict,
)
from protocol.story import CHAIN, FILTER, OBSERVER, SHOW, SINK, SOURCE, Story, acts, running, said


def in_state(state: State) -> Story:
    story = Story()
    story.tell(Begin())
    if state is State.STARTING:
        return story
    story.tell(Ready(SINK), Ready(FILTER), Ready(SOURCE))
    for name in {
        State.RUNNING: [],
        State.PAUSED: ["pause"],
        State.STOPPING: ["stop"],
        State.ABORTING: ["abort"],
    }[state]:
        story.command(name)
    assert story.state is state
    return story


@pytest.mark.parametrize(
    ("state", "command", "effects", "after"),
    [
        (State.STARTING, "stop", [CloseBuffers()], State.ABORTING),
        (State.STARTING, "abort", [CloseBuffers()], State.ABORTING),
        (State.RUNNING, "pause", [PauseSources()], State.PAUSED),
        (State.RUNNING, "stop", [EndSources()], State.STOPPING),
        (State.RUNNING, "abort", [CloseBuffers()], State.ABORTING),
        (State.PAUSED, "resume", [ResumeSources()], State.RUNNING),
        (State.PAUSED, "stop", [EndSources()], State.STOPPING),
        (State.PAUSED, "abort", [CloseBuffers()], State.ABORTING),
        (State.STOPPING, "abort", [CloseBuffers()], State.ABORTING),
    ],
)
def test_commands_that_are_possible(state, command, effects, after):
    story = in_state(state)
    assert acts(story.command(command)) == effects
    assert story.state is after


@pytest.mark.parametrize(
    ("state", "command"),
    [
        (State.STARTING, "pause"),
        (State.STARTING, "resume"),
        (State.RUNNING, "resume"),
        (State.PAUSED, "pause"),
        (State.STOPPING, "pause"),
        (State.STOPPING, "resume"),
        (State.STOPPING, "stop"),
        (State.ABORTING, "pause"),
        (State.ABORTING, "resume"),
        (State.ABORTING, "stop"),
        (State.ABORTING, "abort"),
    ],
)
def test_a_command_that_is_not_possible_is_answered_and_changes_nothing(state, command):
    story = in_state(state)
    effects = story.command(command)
    assert acts(effects) == []
    assert said(effects) == f"{command}: not possible while the run is {state.value}"
    assert story.state is state


def test_an_unknown_command_is_answered_with_the_known_ones():
    assert said(running().command("halt")) == "there is no command 'halt'; there are pause, resume, stop, abort"


def test_a_stop_is_a_wave_and_ends_good():
    story = running()
    story.command("stop")
    assert acts(story.leaves(SOURCE)) == acts(story.leaves(FILTER)) == []
    assert acts(story.leaves(SINK)) == [Finish()]
    assert (story.run.verdict, story.run.end_reason, story.run.reasons) == (Verdict.GOOD, "test", [])


def test_sources_that_are_exhausted_end_the_run():
    story = running()
    effects = story.leaves(SOURCE)
    assert acts(effects) == []
    assert (story.state, story.run.end_reason) == (State.STOPPING, "sources finished")


def test_sources_that_are_exhausted_end_a_paused_run():
    story = running()
    story.command("pause")
    story.leaves(SOURCE)
    assert story.state is State.STOPPING


def test_an_abort_makes_the_run_aborted_and_keeps_the_first_reason_of_its_end():
    story = running()
    story.tell(Command("stop", "Ctrl-C"), Command("abort", "second Ctrl-C"))
    for worker in (SOURCE, FILTER):
        story.leaves(worker)
    assert acts(story.dies(SINK)) == [Finish()]
    assert (story.run.verdict, story.run.end_reason) == (Verdict.ABORTED, "Ctrl-C")
    assert story.run.reasons == ["aborted: second Ctrl-C"]


def test_an_abort_kills_what_has_not_left_after_five_seconds():
    story = running()
    story.command("abort")
    story.leaves(SOURCE)
    assert acts(story.tick(ABORT_S - 0.1)) == []
    assert acts(story.tick(0.1)) == [Kill(FILTER), Kill(SINK)]
    assert acts(story.tick(10.0)) == []  # once
    story.dies(FILTER)
    assert acts(story.dies(SINK)) == [Finish()]


def test_an_abort_does_not_wait_for_workers_that_are_dead_already():
    story = running()
    story.dies(FILTER)
    assert acts(story.command("abort")) == [CloseBuffers(), GiveUp(FILTER)]
    story.leaves(SOURCE)
    assert acts(story.leaves(SINK)) == [Finish()]


# -- time limits ------------------------------------------------------------------------------------------------


def test_the_duration_stops_the_run():
    story = running(duration_s=10.0)
    assert acts(story.tick(9.9)) == []
    assert acts(story.tick(0.1)) == [EndSources()]
    assert story.run.end_reason == "10 s are over"


def test_the_duration_does_not_count_pauses():
    story = running(duration_s=10.0)
    story.command("pause", after=4.0)
    assert acts(story.tick(1000.0)) == []
    story.command("resume")
    assert acts(story.tick(5.9)) == []
    assert acts(story.tick(0.2)) == [EndSources()]
    assert story.run.running_s(story.now) == pytest.approx(10.1)


def test_the_deadline_is_the_end_of_the_duration():
    story = running(duration_s=10.0)
    story.tick(9.7)
    assert story.run.deadline(story.now) == pytest.approx(story.now + 0.3)


def test_without_anything_to_come_the_brain_is_asked_once_a_second():
    story = running()
    assert story.run.deadline(story.now) == story.now + 1.0


def test_the_clock_stands_still_while_the_run_stops():
    story = running()
    story.command("stop", after=3.0)
    story.tick(2.0)
    assert story.run.running_s(story.now) == pytest.approx(3.0)


# -- what does not leave by itself ----------------------------------------------------------------------------------


def test_a_source_that_does_not_leave_is_interrupted_then_killed():
    story = running()
    story.command("stop")
    assert acts(story.tick(INTERRUPT_S - 0.1)) == []
    assert acts(story.tick(0.1)) == [Interrupt(SOURCE)]
    assert acts(story.tick(KILL_S - INTERRUPT_S - 0.1)) == []
    assert acts(story.tick(0.2)) == [Kill(SOURCE)]
    assert acts(story.dies(SOURCE, reason="killed by SIGKILL")) == [GiveUp(SOURCE)]
    assert story.run.verdict is Verdict.INCOMPLETE
    assert story.run.reasons == ["source[0] had to be stopped by force"]


def test_a_source_that_leaves_when_it_is_interrupted_harms_nothing():
    story = running()
    story.command("stop")
    story.tick(INTERRUPT_S)
    story.leaves(SOURCE)
    assert story.run.verdict is Verdict.GOOD


def test_draining_goes_on_as_long_as_events_move():
    story = running(stuck_s=20.0)
    story.command("stop")
    story.leaves(SOURCE)
    for _ in range(50):
        story.moves("filter", after=19.0)
        assert acts(story.tick(0.5)) == []
    assert story.state is State.STOPPING


def test_draining_that_is_stuck_is_ended_by_force_and_the_run_is_incomplete():
    story = running(stuck_s=20.0)
    story.leaves(SOURCE)
    assert acts(story.tick(19.9)) == []
    effects = story.tick(0.1)
    assert acts(effects) == [CloseBuffers()]
    assert "nothing has moved for 20 s" in said(effects)
    story.leaves(SINK)
    assert acts(story.tick(ABORT_S)) == [Kill(FILTER)]
    assert acts(story.dies(FILTER)) == [Finish()]
    assert story.run.verdict is Verdict.INCOMPLETE
    assert (story.run.end_reason, story.run.reasons) == ("sources finished", ["the buffers could not be worked off"])


def test_a_worker_may_take_its_time_to_close_its_files():
    story = running(stuck_s=20.0)
    story.leaves(SOURCE)
    story.leaves(FILTER)
    assert acts(story.tick(CLOSE_S - 1.0, drained=True)) == []
    assert acts(story.tick(1.0, drained=True)) == [CloseBuffers()]


def test_an_observer_that_does_not_leave_is_killed_when_all_others_have_gone():
    story = running(*CHAIN, OBSERVER, stuck_s=20.0)
    story.leaves(SOURCE)
    story.leaves(FILTER)
    story.leaves(SINK, after=10.0)
    assert acts(story.tick(9.9, drained=True)) == []
    assert acts(story.tick(0.2, drained=True)) == [Kill(SHOW)]
    assert acts(story.dies(SHOW, reason="killed by SIGKILL")) == [GiveUp(SHOW), Finish()]
    assert (story.run.verdict, story.run.reasons) == (Verdict.TAINTED, ["show[0] had to be stopped by force"])


def test_events_that_move_while_the_run_is_running_matter_to_nobody():
    story = running()
    assert story.tell(Moved(frozenset({"sink"})), Tick(drained=False), after=1000.0) == []


def test_a_long_silence_before_the_stop_does_not_count_as_stuck():
    story = running(stuck_s=20.0)
    story.command("stop", after=5000.0)
    assert acts(story.tick(INTERRUPT_S / 2)) == []


def test_worker_ids_read_as_in_the_log():
    assert [str(plan.id) for plan in CHAIN] == ["source[0]", "filter[0]", "sink[0]"]
