"""Grouping of peaks over channels, signatures, and cutting out pulses."""

from __future__ import annotations

import numpy as np
import pytest

from mimodaq.functions.physics import (
    correlate_peaks,
    correlate_pulses,
    group_peaks,
    match_signature,
    normed_pulse,
    tag_peaks,
)


def positions(**channels: list[int]) -> dict[str, np.ndarray]:
    return {name: np.array(values, dtype=np.intp) for name, values in channels.items()}


def test_peaks_nearer_than_the_tolerance_share_a_row() -> None:
    table = correlate_peaks(positions(chA=[500, 900], chB=[519, 1200], chC=[]), tolerance=20)
    assert table.dtype == np.dtype([("chA", "i4"), ("chB", "i4"), ("chC", "i4")])
    assert table.tolist() == [(0, 0, -1), (1, -1, -1), (-1, 1, -1)]


def test_the_tolerance_itself_is_too_far() -> None:
    assert group_peaks([[500], [520]], tolerance=20).tolist() == [[0, -1], [-1, 0]]


def test_a_second_peak_of_the_same_channel_opens_a_row_however_near() -> None:
    assert group_peaks([[500, 505], [503]], tolerance=20).tolist() == [[0, 0], [1, -1]]


def test_no_peaks_give_no_rows() -> None:
    assert group_peaks([[], []], tolerance=20).shape == (0, 2)


@pytest.mark.parametrize(
    ("signature", "fits"),
    [
        ([["+", "+", "-"], ["0", "+", "-"]], True),
        ([["+", "+", "-"], ["+", "0", "0"]], False),
        ([["+", "+", "+"], ["0", "0", "0"]], False),
        ([["0", "0", "-"]], True),
        ([["+", "+", "-"], ["0", "+", "-"], ["0", "0", "0"]], False),
    ],
)
def test_signatures_say_must_must_not_and_may(signature: list[list[str]], fits: bool) -> None:
    table = correlate_peaks(positions(chA=[100], chB=[101, 400], chC=[]), tolerance=20)
    assert match_signature(table, signature) is fits


def test_rows_beyond_the_signature_are_free() -> None:
    assert match_signature(group_peaks([[1, 100, 200], [1]], 5), [["+", "+"], ["+", "-"]])


def pulse(height: float = 200.0, at: int = 50, samples: int = 200) -> np.ndarray:
    wave = np.full(samples, -480.0, dtype=np.float32)
    wave[at : at + 100] += (height * np.exp(-np.arange(100) / 25)).astype(np.float32)
    return wave


def test_a_pulse_is_cut_ten_millivolts_above_the_offset() -> None:
    wave = pulse()
    cut, left, total = normed_pulse(wave, 50, prominence=200.0, analogue_offset=-480.0)
    above = np.flatnonzero(wave + 480 > 10)
    assert left == above[0] - 1
    assert left + len(cut) == above[-1] + 2 or left + len(cut) == above[-1] + 1
    assert cut.sum() == pytest.approx(1)
    assert total == pytest.approx((wave[left : left + len(cut)] + 480).sum(), rel=1e-6)


def test_a_pulse_below_the_cut_has_no_content() -> None:
    cut, left, total = normed_pulse(pulse(height=8.0), 50, prominence=8.0, analogue_offset=-480.0)
    assert (len(cut), left, total) == (0, 50, 0.0)


def test_the_shift_against_a_reference_is_found() -> None:
    reference = np.exp(-((np.arange(40) - 20) ** 2) / 18)
    assert correlate_pulses(np.roll(reference, 3), reference) == 3
    assert correlate_pulses(reference, reference) == 0


def test_channels_may_come_as_record_or_mapping() -> None:
    record = np.zeros(1, dtype=[("chA", "f4", (200,)), ("chB", "f4", (200,))])
    record["chA"] = pulse()
    mapping = {"chA": record[0]["chA"], "chB": record[0]["chB"]}
    for waveforms in (record[0], mapping):
        peaks, found = tag_peaks(waveforms, prominence=50, distance=10, width=5)
        assert {name: at.tolist() for name, at in peaks.items()} == {"chA": [50], "chB": []}
        assert found["chA"]["prominences"][0] == pytest.approx(200, rel=1e-3)
