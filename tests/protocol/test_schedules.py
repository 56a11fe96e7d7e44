"""Whatever processes and operator do, a run ends in bounded time, once, and tells the truth."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from mimodaq.protocol.run import ABORT_S, CLOSE_S, KILL_S, READY_S, State, Verdict, WorkerState
from protocol.simulation import Life, World

MARGIN_S = 5.0
GIVE_UP_AT_S = 150.0

lives = st.builds(
    Life,
    starts_s=st.sampled_from([0.0, 0.3, 10.0, math.inf]),
    fate=st.sampled_from(["works", "works", "works", "crashes", "crashes", "hangs", "returns", "is fatal"]),
    after=st.integers(0, 6),
    listens=st.sampled_from(["to a word", "to a word", "when interrupted", "not at all"]),
    closes_s=st.sampled_from([0.0, 1.0, 1000.0]),
)
commands = st.lists(
    st.tuples(st.floats(0, 30), st.sampled_from(["pause", "resume", "stop", "abort", "nonsense"])), max_size=4
)


def world(stages, script, events, restarts, stuck_s, duration_s):
    """A world whose processes live the lives of `script` in turn; there is always an operator who loses patience."""

    def life(worker, number):
        return script[(7 * int(worker.function) + 3 * worker.process + number) % len(script)]

    made = World(stages, life, events, restarts, stuck_s, duration_s)
    made.at(GIVE_UP_AT_S, "stop")
    return made


def time_limit(made):
    """The end must come so long after the stop: what moves may move on; each silence has an end."""
    silence = max(CLOSE_S, made.run.stuck_s)
    return (made.moves - made.moves_at_stop + 1) * silence + KILL_S + ABORT_S + READY_S + MARGIN_S


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 2), min_size=2, max_size=3),
    st.lists(lives, min_size=1, max_size=5),
    st.none() | st.integers(0, 20),
    st.lists(st.sampled_from([True, False, 2]), min_size=3, max_size=3),
    commands,
    st.none() | st.floats(0.1, 20),
)
def test_every_schedule_ends_once_and_in_bounded_time(stages, script, events, restarts, orders, duration_s):
    made = world(stages, script, events, restarts, 20.0, duration_s)
    for time_s, command in orders:
        made.at(time_s, command)
    made.play(limit_s=5000.0)

    assert made.finished == 1
    assert made.run.state is State.ENDED
    assert made.now - made.stop_began <= time_limit(made)
    gone = {WorkerState.FINISHED, WorkerState.FAILED, WorkerState.WAITING}
    assert {state for state, _ in made.run.worker_states().values()} <= gone
    assert made.run.end_reason
    if made.run.verdict is Verdict.GOOD:
        assert not made.has_failed
        assert not any(stage.pending for stage in made.stages)
    else:
        assert made.run.reasons


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 2), min_size=2, max_size=3),
    st.integers(0, 30),
    st.lists(st.tuples(st.floats(0, 10), st.sampled_from(["pause", "resume", "stop", "nonsense"])), max_size=4),
    st.none() | st.floats(0.1, 5),
)
def test_when_nobody_fails_the_run_is_good_and_nothing_is_left(stages, events, orders, duration_s):
    made = world(stages, [Life(), Life(starts_s=2.0)], events, [True] * 3, 20.0, duration_s)
    for time_s, command in orders:
        made.at(6.0 + time_s, command)
    made.play(limit_s=GIVE_UP_AT_S + 30.0)
    assert (made.run.verdict, made.run.reasons) == (Verdict.GOOD, [])
    assert not any(stage.pending for stage in made.stages)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 30))
def test_a_filter_that_crashes_on_every_event_is_given_up_within_seconds(processes, events):
    broken = Life(starts_s=0.2, fate="crashes", after=0)
    made = World(
        [1, processes, 1], lambda w, n: broken if w.function == "1" else Life(), events, [True] * 3, 20.0, None
    )
    made.play(limit_s=30.0)
    assert made.run.verdict is Verdict.INTERRUPTED
    assert all(made.launched[w] <= 6 for w in made.launched)


def test_a_filter_that_hangs_is_killed_and_the_run_says_so():
    hangs = Life(fate="hangs", after=2)
    made = World([1, 1, 1], lambda w, _: hangs if w.function == "1" else Life(), 10, [True] * 3, 20.0, None)
    made.at(5.0, "stop")
    made.play(limit_s=5.0 + 20.0 + ABORT_S + MARGIN_S)
    assert made.run.verdict is Verdict.INCOMPLETE
    assert made.run.reasons == ["the buffers could not be worked off"]


def test_a_source_that_listens_to_nothing_is_killed_after_six_seconds():
    deaf = Life(listens="not at all")
    made = World([1, 1], lambda w, _: deaf if w.function == "0" else Life(), None, [False, True], 20.0, 2.0)
    made.play(limit_s=15.0)
    assert made.run.reasons == ["0[0] had to be stopped by force"]
