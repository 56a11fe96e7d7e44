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
    NoPictures,
    WaveformStyle,
    draw_histograms,
    draw_waveforms,
    histograms_figure,
    thin_out,
)
from mimodaq.functions.physics._fit import DecayFit, FitError, fit_decay, fit_decay_counts
from mimodaq.functions.physics._histogram import HistogramStyle
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
from mimodaq.functions.physics._screen import Arriving, NoWindowError, Screen, check_window, note, show
from mimodaq.functions.physics._simulate import simulate
from mimodaq.functions.physics._simulator import PulseConfig, PulseSimulator
from mimodaq.functions.physics._singles import may_have_two_groups
from mimodaq.functions.physics._spectrum import SpectrumConfig, SpectrumFinder, find_peaks
from mimodaq.functions.physics._waveforms import event_text, waveforms
from mimodaq.functions.physics._window import Message, histograms_message, waveforms_message
from mimodaq.protocol.histogram import Histogram

plot_histograms = histograms
plot_waveform = waveforms
"""The names that mimoCoRB's examples have for them."""

__all__ = [
    "Arriving",
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
    "Message",
    "NoPictures",
    "NoWindowError",
    "Pulse",
    "PulseConfig",
    "PulseSimulator",
    "RowPeaks",
    "Screen",
    "SpectrumConfig",
    "SpectrumFinder",
    "WaveformStyle",
    "calculate_decay_time",
    "check_window",
    "correlate_peaks",
    "correlate_pulses",
    "default_signatures",
    "double_pulses",
    "draw_histograms",
    "draw_waveforms",
    "event_text",
    "find_peaks",
    "find_peaks_fast",
    "find_peaks_rows",
    "fit_decay",
    "fit_decay_counts",
    "group_peaks",
    "histograms",
    "histograms_figure",
    "histograms_message",
    "match_signature",
    "may_have_two_groups",
    "normed_pulse",
    "note",
    "plot_histograms",
    "plot_waveform",
    "show",
    "simulate",
    "tag_peaks",
    "thin_out",
    "waveforms",
    "waveforms_message",
]
