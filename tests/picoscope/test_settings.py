"""Options of the setup: read in physical units, in the readable form and in the ancestors' keys, and checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from mimodaq.functions import Surroundings, check_surroundings
from mimodaq.picoscope import SettingsError, picoscope, read_settings
from mimodaq.picoscope._settings import Channel, Generator, Trigger
from picoscope.rigs import config

READABLE = {
    "family": "ps3000a",
    "serial": "GQ123/0001",
    "sample_interval": "4 ns",
    "samples": 1000,
    "pre_trigger": "20 %",
    "batch": {"captures": 500, "max_latency": "200 ms"},
    "channels": {
        "A": {"range": "500 mV", "coupling": "DC", "offset": "450 mV", "name": "top"},
        "B": {"range": "500 mV", "coupling": "AC", "bandwidth": "20 MHz", "name": "bottom"},
    },
    "trigger": {"source": "A", "level": "-30 mV", "edge": "falling", "delay": "0 s", "auto": "never"},
    "signal_generator": {"wave": "sine", "frequency": "100 kHz", "amplitude": "400 mV"},
    "on_disconnect": "reopen",
}


def test_the_readable_form():
    settings = read_settings(READABLE)
    assert settings.channels == (
        Channel("A", 0.5, "DC", 0.45, "top"),
        Channel("B", 0.5, "AC", 0.0, "bottom", 20e6),
    )
    assert settings.trigger == Trigger("A", -0.03, "falling", 0.0, 0.0)
    assert settings.generator == Generator("sine", 100e3, 0.4)
    assert (settings.interval_ns, settings.pre_samples(1000), settings.captures) == (4.0, 200, 500)
    assert (settings.serial, settings.max_latency_s, settings.on_disconnect) == ("GQ123/0001", 0.2, "reopen")


def test_the_setup_in_the_documentation_is_one():
    text = (Path(__file__).parents[2] / "docs" / "picoscope.md").read_text()
    entry = yaml.safe_load(text.split("```yaml")[1].split("```")[0])
    buffer = np.dtype([(name, kind, (1000,)) for name, kind in entry["RingBuffer"][0]["RB_1"]["data_type"].values()])
    given = entry["Functions"][0]["Fkt_1"]["config"]
    assert read_settings(given).trigger == Trigger("A", -0.03, "falling")
    assert check_surroundings(picoscope, given, Surroundings({}, {"RB_1": buffer}, {})) == []


@pytest.mark.parametrize(
    ("written", "samples"), [("20 %", 200), (150, 150), ("150 samples", 150), (0, 0), ("0.5", 500)]
)
def test_the_time_before_the_trigger_is_a_part_or_a_number(written, samples):
    assert read_settings(config(pre_trigger=written)).pre_samples(1000) == samples


def test_mimocorb_keys():
    settings = read_settings(
        {
            "channelA_range": 500, "channelC_range": 1000, "analogue_offset": 0.1, "analogue_offset_chC": 0.0,
            "trigger_channel": "EXT", "trigger_level": 100, "trigger_direction": "Falling",
            "pre_trigger_samples": 50, "timebase": 3, "number_of_memory_segments": 20,
        }
    )  # fmt: skip
    assert settings.channels == (Channel("A", 0.5, "DC", 0.1, "chA"), Channel("C", 1.0, "DC", 0.0, "chC"))
    assert settings.trigger == Trigger("EXT", 0.1, "falling")
    assert (settings.family, settings.interval_ns, settings.captures, settings.unit) == ("ps3000a", 8.0, 20, "mV")
    assert settings.pre_samples(1000) == 50


def test_mimocorb_takes_the_channels_from_the_buffer():
    settings = read_settings({"channel_range": 500, "trigger_level": 0, "sample_time_ns": 4, "family": "ps3000a"})
    buffer = np.dtype([("chA", "<f4", (50,)), ("chC", "<f4", (50,))])
    around = Surroundings({}, {"RB_1": buffer}, {})
    assert settings.channels_from_buffer
    given = {"channel_range": 500, "trigger_level": 0, "sample_time_ns": 4, "family": "ps3000a"}
    assert check_surroundings(picoscope, given, around) == []


def test_picodaq_keys():
    settings = read_settings(
        {
            "PSmodel": "2000a", "picoChannels": ["A", "B"], "ChanRanges": [0.5, 0.2], "ChanOffsets": [0.4, 0.1],
            "ChanModes": ["AC", "DC"], "sampleTime": 16e-6, "Nsamples": 4000, "trgChan": "A", "trgThr": -30e-3,
            "trgTyp": "Falling", "pretrig": 0.05, "trgTO": 5000, "frqSG": 0, "NBuffers": 16,
        }
    )  # fmt: skip
    assert settings.channels == (Channel("A", 0.5, "AC", 0.4, "chA"), Channel("B", 0.2, "DC", 0.1, "chB"))
    assert settings.trigger == Trigger("A", -0.03, "falling", 0.0, 5.0)
    assert settings.interval_ns == pytest.approx(4.0)
    assert (settings.family, settings.samples, settings.pre_samples(4000)) == ("ps2000a", 4000, 200)
    assert settings.generator is None


CHANNEL = {"range": "500 mV"}


@pytest.mark.parametrize(
    ("change", "option", "message", "suggestion"),
    [
        ({"channls": {}}, "channls", "no option 'channls'", "channels"),
        ({"sample_interval": "4 V"}, "sample_interval", "is a voltage", ""),
        ({"sample_interval": "0.1 ns"}, "sample_interval", "faster than ps3000a can sample", ""),
        ({"channels": {"A": {"range": "400 mV"}}}, "channels", "A: there is no range of 400 mV", "500 mV"),
        ({"channels": {"A": {"rnge": "1 V"}}}, "channels", "no option channels: A: 'rnge'", "range"),
        ({"channels": {"E": CHANNEL}}, "channels", "ps3000a has the channels ABCD", ""),
        ({"channels": {"AB": CHANNEL}}, "channels", "they are called A to H", ""),
        ({"channels": {"A": {**CHANNEL, "coupling": "DC50"}}}, "channels", "couplings AC, DC", ""),
        ({"channels": {"A": {**CHANNEL, "bandwidth": "1 MHz"}}}, "channels", "bandwidth limits of ps3000a: 20 MHz", ""),
        ({"channels": {"A": {**CHANNEL, "name": "x"}, "B": {**CHANNEL, "name": "x"}}}, "channels", "one field", ""),
        ({"trigger": {"source": "A", "level": "-600 mV"}}, "trigger", "-600 mV is outside of channel A", ""),
        ({"trigger": {"source": "D", "level": 0}}, "trigger", "D is not among the channels", ""),
        ({"trigger": {"source": "EXT", "level": "6 V"}}, "trigger", "goes to", ""),
        ({"trigger": {"source": "A", "level": 0, "edge": "fallin"}}, "trigger", "none of rising", "falling"),
        ({"trigger": {"source": "A", "level": 0, "auto": "40 s"}}, "trigger", "at most 32.767 s", ""),
        ({"trigger": {"source": "A"}}, "trigger", "level: is missing", ""),
        ({"resolution": "12 bit"}, "resolution", "ps3000a has 8 bit, not 12", ""),
        ({"pre_trigger": "120 %"}, "pre_trigger", "a part or a number", ""),
        ({"batch": {"captures": 0}}, "batch", "a whole number from 1", ""),
        ({"samples": 10**8, "batch": {"captures": 10**4}}, "batch", "fit no model", ""),
        ({"on_disconnect": "retry"}, "on_disconnect", "none of reopen, fail", ""),
        ({"family": "ps3001a"}, "family", "none of", "ps3000a"),
        ({"signal_generator": {"wave": "sin", "amplitude": 1}}, "signal_generator", "none of sine", "sine"),
    ],
)  # fmt: skip
def test_every_mistake_is_named_with_its_option(change, option, message, suggestion):
    with pytest.raises(SettingsError) as caught:
        read_settings(config(**change))
    assert any(f.option == option and message in f.message and suggestion in f.suggestion for f in caught.value.faults)


def test_an_offset_moves_what_a_trigger_can_see():
    channels = {"A": {"range": "500 mV", "offset": "450 mV"}}
    read_settings(config(channels=channels, trigger={"source": "A", "level": "-900 mV"}))
    with pytest.raises(SettingsError, match="-950 mV to 50 mV"):
        read_settings(config(channels=channels, trigger={"source": "A", "level": "60 mV"}))


def test_all_mistakes_are_found_at_once():
    with pytest.raises(SettingsError) as caught:
        read_settings({"family": "ps3000a", "sample_interval": "x", "channels": {"A": {}}, "trigger": {"source": "A"}})
    assert {fault.option for fault in caught.value.faults} == {"sample_interval", "channels", "trigger"}


def fields(*more):
    return np.dtype([("chA", "<i2", (50,)), ("chB", "<i2", (50,)), *more])


@pytest.mark.parametrize(
    ("dtype", "options", "message"),
    [
        (np.dtype([("chA", "<i2", (50,))]), {}, "no field 'chB' for channel B"),
        (fields(("x", "<f4", (1,))), {}, "nothing goes into the field 'x'"),
        (fields(("overflow", "<i2", (50,))), {}, "is one number"),
        (fields(("overflow", "i1", (1,))), {}, "odd addresses"),
        (np.dtype([("chA", "<i2", (50,)), ("chB", "<f4", (50,))]), {}, "all alike"),
        (np.dtype([("chA", "<i4", (50,)), ("chB", "<i4", (50,))]), {}, "counts \\(int16\\) or volts"),
        (np.dtype([("chA", "<i2", (50,)), ("chB", "<i2", (60,))]), {}, "same number of samples"),
        (fields(), {"samples": 60}, "60, but the buffer has 50"),
        (fields(), {"pre_trigger": 50}, "no sample is left"),
        (fields(), {"family": "auto"}, "needs `family`"),
        (fields(), {"simulation": {"rat": "1 Hz"}}, "no option simulation: 'rat'"),
    ],
)  # fmt: skip
def test_options_and_buffer_are_compared_before_the_run(dtype, options, message):
    problems = check_surroundings(picoscope, config(**options), Surroundings({}, {"RB_1": dtype}, {}))
    assert problems
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(" | ".join(problem.message for problem in problems))


def test_one_process_reads_a_scope_into_one_buffer():
    around = Surroundings({}, {"RB_1": fields(), "RB_2": fields()}, {}, processes=2)
    problems = check_surroundings(picoscope, config(), around)
    assert [problem.key for problem in problems] == [("num_process",), ("RB_assign",)]


@pytest.mark.parametrize(
    ("script", "options", "key", "words"),
    [
        ({"units": 0}, {}, "family", "none answered"),
        ({"units": 2}, {}, "family", "2 are plugged in (FAKE/0001, FAKE/0002). Say which: `serial: ...`"),
        ({"units": 2}, {"serial": "FAKE/0003"}, "serial", "free scopes: FAKE/0001, FAKE/0002). Correct `serial`"),
    ],
)
def test_on_the_host_that_will_read_it_the_scope_is_looked_for_and_not_opened(standin, script, options, key, words):
    standin.set(**script)
    given = config(library=str(standin.library), **options)
    (problem,) = check_surroundings(picoscope, given, Surroundings({}, {"RB_1": fields()}, {}, is_here=True))
    assert problem.key == ("config", key)
    assert words in problem.message
    assert check_surroundings(picoscope, given, Surroundings({}, {"RB_1": fields()}, {})) == []
    standin.set(units=1)
    here = Surroundings({}, {"RB_1": fields()}, {}, is_here=True)
    assert check_surroundings(picoscope, config(library=str(standin.library)), here) == []
    assert standin.calls("OpenUnit") == 0
