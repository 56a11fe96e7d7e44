"""The source `simulate`: numbers of events, counters, batches, several processes."""

from __future__ import annotations

import numpy as np
import pytest

from mimodaq.functions.physics import PulseConfig, PulseSimulator, simulate

OPTIONS = {"sleeptime": 0.0, "pre_trigger_samples": 20, "seed": 7}


def test_exactly_the_events_asked_for_are_made(world, waveforms_of) -> None:
    io = world(writes=[waveforms_of("AB", 200)])
    simulate(io, eventcount=203, **OPTIONS)
    assert io.writers[0].counter.tolist() == list(range(203))
    assert io.notes == {"seed": 7}


def test_events_are_those_of_the_simulator(world, waveforms_of) -> None:
    dtype = waveforms_of("ABCD", 200)
    io = world(writes=[dtype])
    simulate(io, eventcount=70, analogue_offset=-0.48, trigger_level=-440, prb2ndPulse=0.3, **OPTIONS)
    config = PulseConfig(
        analogue_offset_mv=-480, trigger_level_mv=-440, pre_trigger_samples=20, stopping_probability=0.3
    )
    expected = np.zeros(70, dtype)
    PulseSimulator(config, dtype, 7).fill(expected, 0)
    assert np.array_equal(io.writers[0].events, expected)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_the_events_without_a_gap(world, waveforms_of, processes: int) -> None:
    alone = world(writes=[waveforms_of("A", 150)])
    simulate(alone, eventcount=300, **OPTIONS)
    parts = [world(writes=[waveforms_of("A", 150)], process=k, processes=processes) for k in range(processes)]
    for io in parts:
        simulate(io, eventcount=300, **OPTIONS)
    counter = np.concatenate([io.writers[0].counter for io in parts])
    events = np.concatenate([io.writers[0].events for io in parts])
    assert sorted(counter) == list(range(300))
    assert np.array_equal(events[np.argsort(counter)], alone.writers[0].events)


def test_without_a_limit_it_ends_with_the_run(world, waveforms_of) -> None:
    io = world(writes=[waveforms_of("A", 150)], stop_after=40)
    simulate(io, **OPTIONS)
    assert len(io.writers[0].counter) >= 40


def test_a_stop_ends_a_long_wait(world, waveforms_of) -> None:
    io = world(writes=[waveforms_of("A", 150)], stop_after=2)
    simulate(io, **{**OPTIONS, "sleeptime": 3600.0})
    assert len(io.writers[0].counter) == 0


def test_at_a_low_rate_every_event_is_committed_by_itself(world, waveforms_of) -> None:
    io = world(writes=[waveforms_of("A", 150)])
    simulate(io, eventcount=4, **{**OPTIONS, "sleeptime": 0.01})
    assert io.writers[0].sizes == [1, 1, 1, 1]


def test_a_seed_is_chosen_and_noted(world, waveforms_of) -> None:
    first, second = (world(writes=[waveforms_of("A", 150)]) for _ in range(2))
    for io in (first, second):
        simulate(io, eventcount=2, sleeptime=0.0, pre_trigger_samples=20)
    assert first.notes["seed"] != second.notes["seed"]
    again = world(writes=[waveforms_of("A", 150)])
    simulate(again, eventcount=2, sleeptime=0.0, pre_trigger_samples=20, seed=first.notes["seed"])
    assert np.array_equal(again.writers[0].events, first.writers[0].events)


def test_waiting_for_slots_counts_as_dead_time(world, waveforms_of) -> None:
    io = world(writes=[waveforms_of("A", 150)])
    writer = io.writers[0]
    claim = writer.claim

    def waiting_claim(n: int):
        writer.waited_s += 1000.0
        return claim(n)

    writer.claim = waiting_claim
    simulate(io, eventcount=10, **OPTIONS)
    assert (writer.metadata[:, 2] == 1).all()
    assert np.isnan(writer.metadata[:, 1]).all()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"number_of_samples": 500}, "500 samples are asked for"),
        ({"pulseHeight": [100, 200], "pulseSpread": [1, 2, 3]}, "2 pulse heights"),
        ({"sleeptime": -1.0}, "mean time"),
        ({"pre_trigger_samples": 140}, "does not fit"),
    ],
)
def test_options_that_do_not_fit_are_refused(world, waveforms_of, options: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        simulate(world(writes=[waveforms_of("A", 150)]), **{**OPTIONS, **options})


def test_it_needs_exactly_one_sink(world, waveforms_of) -> None:
    with pytest.raises(ValueError, match="0 sinks"):
        simulate(world())
