"""The built-in source `simulate`: simulated detector pulses straight into the slots of a buffer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np

from mimodaq.functions.physics._io import FunctionIO, check_samples, events_per_batch
from mimodaq.functions.physics._pacing import Pacer
from mimodaq.functions.physics._simulator import (
    BLOCK_EVENTS,
    PulseConfig,
    PulseSimulator,
    heights_option,
)

_LONGEST_SLEEP_S: Final = 0.1  # how late a stop may be noticed


def simulate(
    io: FunctionIO,
    *,
    sample_time_ns: float = 4.0,
    pre_trigger_samples: int = 0,
    analogue_offset: float = 0.0,
    trigger_level: float | None = None,
    number_of_samples: int = 0,
    eventcount: int = 0,
    sleeptime: float = 0.1,
    random: bool = False,
    pulseWindow: int = 100,
    pulseHeight: float | Sequence[float] = 250.0,
    pulseSpread: float | Sequence[float] | None = None,
    prbInteraction: float = 0.95,
    prb2ndPulse: float = 0.10,
    spin: bool = True,
    asymmetry: float = 0.03,
    noise: float | None = None,
    polarity: Literal["positive", "negative"] = "positive",
    seed: int | None = None,
) -> None:
    """Simulate cosmic muons in a stack of scintillator layers, one layer per channel of the sink.

    Waveforms are in mV. `analogue_offset` is in V and `trigger_level` in mV including the offset, as for an
    oscilloscope; layer 1 has no trigger pulse below the level. `eventcount` is the number of events of all
    processes together, 0 for no limit; `sleeptime` the mean time between events of a process in s (0: as fast
    as possible), exponential if `random`. `pulseWindow` (samples, four decay times), `pulseHeight` (mV, or a
    list to choose from), `pulseSpread` (standard deviation in mV), `prbInteraction` (efficiency of a layer)
    and `prb2ndPulse` (fraction of muons that stop and decay) have mimoCoRB's meaning. `spin: false` switches
    the precession of `asymmetry` off; `noise` is the full width of the noise in mV; `polarity: negative`
    turns the pulses over.

    With a `seed` the event of a given number is the same in every run, however many processes share the work;
    without one the seed is chosen and noted. Process i of n makes every n-th block of 64 events; counters
    begin with 0. Raises ValueError for options that make no sense together.
    """
    if len(io.writers) != 1:
        raise ValueError(f"simulate: {len(io.writers)} sinks are assigned; it writes to exactly one buffer")
    writer = io.writers[0]
    heights = heights_option(pulseHeight)
    spreads = None if pulseSpread is None else heights_option(pulseSpread)
    config = PulseConfig(
        analogue_offset_mv=1000 * analogue_offset,
        sample_time_ns=sample_time_ns,
        pre_trigger_samples=pre_trigger_samples,
        trigger_level_mv=trigger_level,
        pulse_samples=pulseWindow,
        heights_mv=heights,
        spreads_mv=spreads * len(heights) if spreads and len(spreads) == 1 else spreads,
        efficiency=prbInteraction,
        stopping_probability=prb2ndPulse,
        asymmetry=asymmetry if spin else 0.0,
        noise_mv=noise,
        polarity=polarity,
    )
    chosen = seed if seed is not None else int(np.random.SeedSequence().generate_state(1)[0])
    simulator = PulseSimulator(config, writer.dtype, chosen)
    check_samples(number_of_samples, simulator.samples, "simulate")
    io.note(seed=chosen)
    io.log.info("simulate: seed %d", chosen)

    most = events_per_batch(writer.dtype, BLOCK_EVENTS)
    committed, waited_s = time.monotonic(), writer.waited_s
    pacer = Pacer(sleeptime, random, seed=chosen + 1 + io.process, now=committed)
    for first, end in blocks_of(io.process, io.processes, eventcount):
        number = first
        while number < end:
            if not _wait(io, pacer):
                return
            n = pacer.due(time.monotonic(), min(most, end - number))
            while n:
                slots = writer.claim(n)
                made = len(slots.events)
                simulator.fill(slots.events, number)
                slots.counter[:] = np.arange(number, number + made)
                now, waited = time.monotonic(), writer.waited_s - waited_s
                slots.deadtime[:] = min(waited / max(now - committed, 1e-9), 1.0)
                writer.commit_batch()
                committed, waited_s = now, waited_s + waited
                number, n = number + made, n - made


def blocks_of(process: int, processes: int, eventcount: int) -> Iterator[tuple[int, int]]:
    """Give first and behind-last event number of the blocks of one process, without end if `eventcount` is 0."""
    begin = process * BLOCK_EVENTS
    while eventcount == 0 or begin < eventcount:
        end = begin + BLOCK_EVENTS
        yield begin, min(end, eventcount) if eventcount else end
        begin += processes * BLOCK_EVENTS


def _wait(io: FunctionIO, pacer: Pacer) -> bool:
    """Sleep until the next event is due; False if the run stops before."""
    while not io.stopping():
        remaining = pacer.wait(time.monotonic())
        if not remaining:
            return True
        time.sleep(min(remaining, _LONGEST_SLEEP_S))
    return False
