"""Pulses of particle detectors: simulation, filters, fits, histograms and pictures.

The built-in functions of a setup (`simulate`, `find_peaks`, `calculate_decay_time`, `double_pulses`,
`histograms`, `waveforms`) are thin loops around pure classes and functions of arrays, which are public as
well. scipy and matplotlib are imported when they are needed first.
"""

from mimodaq.functions.physics._calculate_decay_time import calculate_decay_time
from mimodaq.functions.physics._decay import Decay, DecayConfig, DecayFinder, default_signatures
from mimodaq.functions.physics._double import DoublePulse, DoublePulseConfig, DoublePulseFinder, Pulse
from mimodaq.functions.physics._double_pulses import double_pulses
from mimodaq.functions.physics._draw import (
    HistogramPicture,
    WaveformStyle,
    draw_histograms,
    draw_waveforms,
    histograms_figure,
    thin_out,
)
from mimodaq.functions.physics._fit import DecayFit, FitError, fit_decay, fit_decay_counts
from mimodaq.functions.physics._histogram import Histogram, HistogramStyle
from mimodaq.functions.physics._histograms import histograms
from mimodaq.functions.physics._peaks import (
    correlate_peaks,
    correlate_pulses,
    group_peaks,
    match_signature,
    normed_pulse,
    tag_peaks,
)
from mimodaq.functions.physics._rows import RowPeaks, find_peaks_fast, find_peaks_rows
from mimodaq.functions.physics._simulate import simulate
from mimodaq.functions.physics._simulator import PulseConfig, PulseSimulator
from mimodaq.functions.physics._singles import may_have_two_groups
from mimodaq.functions.physics._spectrum import SpectrumConfig, SpectrumFinder, find_peaks
from mimodaq.functions.physics._waveforms import waveforms

__all__ = [
    "Decay",
    "DecayConfig",
    "DecayFinder",
    "DecayFit",
    "DoublePulse",
    "DoublePulseConfig",
    "DoublePulseFinder",
    "FitError",
    "Histogram",
    "HistogramPicture",
    "HistogramStyle",
    "Pulse",
    "PulseConfig",
    "PulseSimulator",
    "RowPeaks",
    "SpectrumConfig",
    "SpectrumFinder",
    "WaveformStyle",
    "calculate_decay_time",
    "correlate_peaks",
    "correlate_pulses",
    "default_signatures",
    "double_pulses",
    "draw_histograms",
    "draw_waveforms",
    "find_peaks",
    "find_peaks_fast",
    "find_peaks_rows",
    "fit_decay",
    "fit_decay_counts",
    "group_peaks",
    "histograms",
    "histograms_figure",
    "match_signature",
    "may_have_two_groups",
    "normed_pulse",
    "simulate",
    "tag_peaks",
    "thin_out",
    "waveforms",
]
