"""Simulated pulses of a stack of muon detectors, for sources of the mimoCoRB form; see `mimodaq.functions.physics`."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimodaq.functions.physics import PulseConfig, PulseSimulator

_BLOCK_EVENTS = 64  # made at once: numpy's cost of a call is shared


class pulseSimulator:
    """Give one simulated event a call, float32 of shape (channels, samples) in mV.

    Keys of the configuration: `number_of_samples`, `analogue_offset` (V), `sample_time_ns`, `pre_trigger_samples`;
    optional `trigger_level` (mV, offset included), `pulseWindow` (100 samples), `pulseHeight` (250 mV, or a list),
    `pulseSpread` (0.3 of the height), `prbInteraction` (0.95), `prb2ndPulse` (0.1), `sleeptime` (0.1 s between events),
    `random` (false; true = exponential times), `eventcount` (None is given after so many events; 0 or none = no end),
    `seed` (the same events in every run).

    In the form of release 1.0.2, `init` tells the shape and calls have no argument; in that of the manual, the
    call tells the number of channels.
    """

    def __init__(self, config_dict: Mapping[str, Any]) -> None:
        self.number_of_samples = int(config_dict["number_of_samples"])
        self.events_required = int(config_dict.get("eventcount", 0))
        self.sleeptime = float(config_dict.get("sleeptime", 0.10))
        self.random = bool(config_dict.get("random", False))
        heights = np.atleast_1d(config_dict.get("pulseHeight", 250.0)).astype(float)
        spreads = config_dict.get("pulseSpread", 0.3 * heights)
        self._config = PulseConfig(
            analogue_offset_mv=1000.0 * config_dict["analogue_offset"],
            sample_time_ns=float(config_dict["sample_time_ns"]),
            pre_trigger_samples=int(config_dict["pre_trigger_samples"]),
            trigger_level_mv=config_dict.get("trigger_level"),
            pulse_samples=int(config_dict.get("pulseWindow", 100)),
            heights_mv=tuple(heights.tolist()),
            spreads_mv=tuple(np.broadcast_to(spreads, heights.shape).astype(float).tolist()),
            efficiency=float(config_dict.get("prbInteraction", 0.95)),
            stopping_probability=float(config_dict.get("prb2ndPulse", 0.10)),
        )
        seed = config_dict.get("seed")
        self._seed = random.SystemRandom().getrandbits(63) if seed is None else int(seed)
        self._rng = random.Random(self._seed)
        self._events: NDArray[np.float32] | None = None
        self._given = 0
        self.number_of_channels = 0

    def init(
        self,
        number_of_channels: int,
        number_of_values: int | None = None,
        channel_names: Sequence[str] | None = None,
    ) -> None:
        """Tell the shape of an event: that of the buffer to be filled."""
        self.number_of_channels = number_of_channels
        self.number_of_values = self.number_of_samples if number_of_values is None else number_of_values
        self.channel_names = channel_names
        shape = (_BLOCK_EVENTS, number_of_channels, self.number_of_values)
        self._events = np.empty(shape, dtype=np.float32)
        planes = np.dtype([(f"ch{i}", np.float32, (self.number_of_values,)) for i in range(number_of_channels)])
        self._records = self._events.view(np.uint8).reshape(_BLOCK_EVENTS, -1).view(planes)[:, 0]
        self._simulator = PulseSimulator(self._config, planes, self._seed)

    def __call__(self, number_of_channels: int | None = None) -> NDArray[np.float32] | None:
        """The next event, after the time set; None when there were `eventcount`. Raises ValueError without a shape."""
        if number_of_channels is not None and number_of_channels != self.number_of_channels:
            self.init(number_of_channels)
        if self._events is None:
            raise ValueError("pulseSimulator: call init(number_of_channels, number_of_values, channel_names) first")
        if self.events_required and self._given >= self.events_required:
            return None
        if self.sleeptime:
            time.sleep(self._rng.expovariate(1.0 / self.sleeptime) if self.random else self.sleeptime)
        place = self._given % _BLOCK_EVENTS
        if place == 0:
            self._simulator.fill(self._records, self._given)
        self._given += 1
        return np.array(self._events[place])
