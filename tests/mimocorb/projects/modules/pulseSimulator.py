"""Simulated waveforms of a stack of muon detectors.

A cosmic muon crosses every layer, or stops behind the second one and decays; the electron then gives a second,
later pulse in the layers above (1 and 2) or below (3 and 4). Pulses are exponential, noise is uniform.
With the key `seed` the events are the same in every run.
"""

import time

import numpy as np

MUON_LIFETIME_NS = 2197.0
SPIN_PERIOD_NS = 0.85 * MUON_LIFETIME_NS  # of the precession in the magnetic field
SPIN_ASYMMETRY = 0.03


class pulseSimulator:
    """call with the number of channels: returns millivolts, shape (number_of_channels, number_of_samples)"""

    def __init__(self, config_dict):
        get = config_dict.get
        self.number_of_samples = config_dict["number_of_samples"]
        self.sample_time_ns = config_dict["sample_time_ns"]
        self.pre_trigger_samples = config_dict["pre_trigger_samples"]
        self.offset_mv = 1000.0 * config_dict["analogue_offset"]
        self.trigger_mv = config_dict["trigger_level"] - self.offset_mv if "trigger_level" in config_dict else 0.0
        self.window = get("pulseWindow", 100)
        self.heights_mv = np.atleast_1d(get("pulseHeight", 250.0))
        self.spread_mv = get("pulseSpread", 0.3 * self.heights_mv.mean())
        self.efficiency = get("prbInteraction", 0.95)
        self.stopping = get("prb2ndPulse", 0.10)
        self.sleeptime = get("sleeptime", 0.10)
        self.random = get("random", False)
        self.template = np.exp(-4.0 * np.arange(self.window) / self.window).astype(np.float32)
        self.noise_mv = np.float32(self.heights_mv.mean() / 30.0)
        self.rng = np.random.default_rng(get("seed"))

    def __call__(self, number_of_channels):
        rng = self.rng
        pulse = rng.random((number_of_channels, self.number_of_samples), dtype=np.float32)
        pulse = self.noise_mv * (np.float32(0.5) - pulse)
        stopped = rng.random() < self.stopping

        self._add(pulse, range(min(2, number_of_channels) if stopped else number_of_channels), self.pre_trigger_samples, True)
        if stopped:
            decay_ns = rng.exponential(MUON_LIFETIME_NS)
            position = self.pre_trigger_samples + int(decay_ns / self.sample_time_ns)
            upwards = 0.5 + 0.5 * SPIN_ASYMMETRY * np.cos(2 * np.pi * decay_ns / SPIN_PERIOD_NS)
            layers = range(0, 2) if rng.random() < upwards else range(2, 4)
            self._add(pulse, [layer for layer in layers if layer < number_of_channels], position, False)

        pulse += np.float32(self.offset_mv)
        if self.sleeptime:
            time.sleep(rng.exponential(self.sleeptime) if self.random else self.sleeptime)
        return pulse

    def _add(self, pulse, layers, position, triggers):
        """add a pulse at a position (samples) to every layer that is hit; one outside of the window is not seen"""
        if position + self.window > self.number_of_samples:
            return
        for layer in layers:
            height = self._height()
            while triggers and layer == 0 and height < self.trigger_mv:
                height = self._height()
            if self.rng.random() < self.efficiency:
                pulse[layer, position : position + self.window] += np.float32(height) * self.template

    def _height(self):
        return self.rng.choice(self.heights_mv) + self.spread_mv * self.rng.normal()
