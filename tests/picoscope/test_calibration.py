"""Counts become volts everywhere: in workers, by the buffer's description, from the setup alone."""

from __future__ import annotations

import numpy as np
import pytest

from mimodaq.config import load_setup
from mimodaq.picoscope import VOLTS, ScopeError, buffer_scale, read_settings, scale_of, volts
from picoscope.rigs import COUNTS, Desk, Events, PurePython, config

SETUP = """
RingBuffer:
  - RB_1: {number_of_slots: 8, channel_per_slot: 50, data_type: {1: [chA, int16], 2: [chB, int16], 3: [batch, int8, 1]}}
  - RB_2: {number_of_slots: 8, channel_per_slot: 50, data_type: {1: [chA, int16], 2: [chB, float32]}}
  - RB_3: {number_of_slots: 8, data_type: {1: [height, float32]}}
Functions:
  - Fkt_1:
      function: picoscope
      RB_assign: {RB_1: write}
      config:
        family: ps5000a
        resolution: 12 bit
        sample_interval: 4 ns
        channels: {A: {range: 1 V, offset: 100 mV}, B: {range: 2 V}}
        trigger: {source: A, level: 0}
  - Fkt_2: {function: "f.py:f", RB_assign: {RB_1: read, RB_2: write}}
  - Fkt_3: {function: "f.py:g", RB_assign: {RB_2: read, RB_3: write}}
  - Fkt_4: {function: drain, RB_assign: {RB_3: read}}
"""


@pytest.fixture
def setup(tmp_path):
    path = tmp_path / "setup.yaml"
    path.write_text(SETUP)
    return load_setup(path)


def test_the_scale_follows_from_the_setup(setup):
    gain = 1 / 32767
    assert buffer_scale(setup, "RB_1") == {"chA": [gain, -0.1], "chB": [2 * gain, 0.0]}


def test_it_goes_with_the_counts_through_filters_and_not_with_floats(setup):
    assert list(buffer_scale(setup, "RB_2")) == ["chA"]
    assert buffer_scale(setup, "RB_3") == {}


def test_options_that_are_wrong_give_no_scale(tmp_path):
    (tmp_path / "setup.yaml").write_text(SETUP.replace("1 V", "1 s"))
    assert buffer_scale(load_setup(tmp_path / "setup.yaml"), "RB_1") == {}


@pytest.fixture
def desk(tmp_path):
    made = Desk(PurePython(), tmp_path)
    yield made
    made.close()


def test_events_and_batches_of_an_attached_buffer_are_made_volts(desk):
    options = config(channels={"A": {"range": "500 mV", "offset": "100 mV"}, "B": {"range": "1 V"}})
    scale = {name: list(pair) for name, pair in scale_of(read_settings(options)).items()}
    ring = desk.ring(limit=5, description={VOLTS: scale})
    desk.read_out(ring, options)
    with ring.reader("reads", "other") as reader:
        event = reader.get()
        found = volts(event)
        assert found["chA"].dtype == np.float32
        assert np.allclose(found["chA"], event["chA"] / 32512 * 0.5 - 0.1, atol=1e-6)
        batch = reader.take(10)
        assert volts(batch.events)["chB"].shape == (len(batch.events), 50)
        reader.release()


def test_a_scale_can_be_given(desk):
    events = np.ones(1, np.dtype([("x", "<i2", (3,))]))
    assert volts(events[0], {"x": (2.0, 1.0)})["x"].tolist() == [3.0, 3.0, 3.0]


def test_floats_are_volts_already():
    event = np.full(1, 0.5, np.dtype([("waveform", "<f8", (3,))]))[0]
    assert volts(event)["waveform"].tolist() == [0.5] * 3


def test_counts_of_an_unknown_buffer_are_refused_with_the_remedy():
    with pytest.raises(ScopeError, match=r"volts\(event, scale\)"):
        volts(np.zeros(1, np.dtype([("nowhere", "<i2", (3,))]))[0])


def test_two_buffers_with_different_scales_must_be_told_apart(desk):
    rings = [desk.ring(dtype=COUNTS, description={VOLTS: {"chA": [gain, 0.0], "chB": [1.0, 0.0]}}) for gain in (1, 2)]
    with pytest.raises(ScopeError, match="different scales"):
        volts(np.zeros(1, COUNTS)[0])
    for ring in rings:
        ring.writer().close()
        Events(ring).rest()
