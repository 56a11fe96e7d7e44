"""The stand-in is a true one: it exports what picosdk binds, refuses wrong order, and writes only where it may."""

from __future__ import annotations

import ctypes
import inspect
import re

import numpy as np
import pytest

from mimodaq.picoscope import NoScopeError, ScopeLostError, StatusError
from mimodaq.picoscope._fake import FakeScope, Script
from mimodaq.picoscope._families import FAMILIES
from mimodaq.picoscope._load import load_family
from mimodaq.picoscope._sdk6000 import open_driver
from mimodaq.picoscope._signals import Pattern
from picoscope.rigs import StandIn, pattern
from picoscope.standin import build

GUARD = 0x5A5A


@pytest.mark.parametrize(("family", "number"), [("ps2000a", 56), ("ps3000a", 63), ("ps5000a", 71)])
def test_picosdk_binds_every_symbol_of_it(libraries, family, number):
    names = build.bound_symbols(family)
    library = ctypes.CDLL(str(libraries(family)))
    assert len(names) == number
    for name in names:
        getattr(library, name)
    load_family(FAMILIES[family], str(libraries(family)))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_call_of_the_adapters_exists_in_picosdk(libraries, family):
    driver = open_driver(FAMILIES[family], str(libraries(family)))
    names = set(build.bound_symbols(family))
    used = {f"{family}{name}" for name in _calls_of(type(driver))}
    if family != "ps6000a":
        used.add(f"{family}{FAMILIES[family].generator}")
    optional = {f"{family}{name}" for name in _OPTIONAL.get(family, ())}
    assert used - names == optional


_OPTIONAL = {
    "ps2000a": {"GetTriggerInfoBulk", "ChangePowerSource", "SetBandwidthFilter"},
    "ps4000a": {"GetTriggerInfoBulk"},
    "ps6000": {"ChangePowerSource"},
    "ps6000a": {"ChangePowerSource"},
}
"""Calls the table of families keeps away."""


def _calls_of(adapter: type) -> set[str]:
    """The names of calls in the code that an adapter really runs: its own methods and those it inherits."""
    found = set()
    for name in dir(adapter):
        method = getattr(adapter, name)
        if inspect.isfunction(method) and method.__module__.startswith("mimodaq"):
            found |= set(re.findall(r'(?:call|do)\(\s*"(\w+)"', inspect.getsource(method)))
    return found


@pytest.fixture(params=["python", *build.FLAGS])
def scope(request):
    """An open scope with two channels, and how to change its script."""
    if request.param == "python":
        script = Script(signal=Pattern())
        driver = FakeScope(FAMILIES["ps3000a"], script)
    else:
        driver = StandIn(request.param, request.getfixturevalue("libraries")(request.param)).driver()
    driver.open(None, driver.family.default_bits)
    for index, letter in enumerate(driver.family.channels):
        if letter in "AB":
            driver.set_channel(index, 5, 1, 0.0, 0)
        else:
            driver.switch_off(index)
    yield driver
    driver.close()


def refused(call, status):
    with pytest.raises(StatusError) as caught:
        call()
    assert caught.value.status == status


def register(scope, buffers, samples=20, first=0):
    for index in range(2):
        scope.register(index, buffers[0, index].ctypes.data, buffers.strides[0], len(buffers), samples, first)


def buffers(captures, samples=20, guards=4):
    return np.full((captures, 2, samples + guards), GUARD, np.int16)


def test_captures_are_written_where_they_belong_and_nowhere_else(scope):
    scope.segment(5)
    scope.set_captures(5)
    memory = buffers(5)
    register(scope, memory)
    scope.run(4, 16, 2)
    assert scope.is_ready()
    scope.fetch(0, 5, 20)
    assert (memory[:, :, 20:] == GUARD).all()
    assert np.array_equal(memory[:, 0, :20], pattern(np.arange(5), 0, 20))
    assert np.array_equal(memory[:, 1, :20], pattern(np.arange(5), 1, 20))


def test_part_of_the_captures_can_be_fetched(scope):
    scope.segment(5)
    scope.set_captures(5)
    memory = buffers(5)
    register(scope, memory)
    scope.run(4, 16, 2)
    assert scope.is_ready()
    scope.fetch(1, 2, 20)
    assert (memory[[0, 3, 4]] == GUARD).all()
    assert np.array_equal(memory[1:3, 0, :20], pattern(np.arange(1, 3), 0, 20))


def test_without_buffers_nothing_is_fetched(scope):
    scope.segment(2)
    scope.set_captures(2)
    scope.run(4, 16, 2)
    assert scope.is_ready()
    refused(lambda: scope.fetch(0, 2, 20), 0x46)


def test_what_was_not_captured_cannot_be_fetched(scope):
    scope.segment(3)
    scope.set_captures(2)
    register(scope, buffers(3))
    refused(lambda: scope.fetch(0, 1, 20), 0x25)
    scope.run(4, 16, 2)
    assert scope.is_ready()
    refused(lambda: scope.fetch(0, 3, 20), 0x26)


def test_while_it_captures_it_cannot_be_set_up(scope):
    scope.segment(2)
    scope.set_captures(2)
    register(scope, buffers(2))
    scope.run(4, 16, 2)
    refused(lambda: scope.fetch(0, 2, 20), 0x24)
    refused(lambda: scope.run(4, 16, 2), 0x24)
    refused(lambda: scope.segment(3), 0x24)
    refused(lambda: scope.set_captures(1), 0x24)
    assert scope.stop() == 2


def test_captures_need_segments(scope):
    scope.segment(2)
    refused(lambda: scope.set_captures(3), 0x42)
    refused(lambda: scope.register(0, buffers(1)[0, 0].ctypes.data, 2, 1, 20, first=2), 0x26)
    refused(lambda: scope.segment(300_000), 0x1E)


def test_fast_sampling_needs_few_channels(scope):
    assert scope.timebase(0, 20) is None
    refused(lambda: scope.run(4, 16, 0), 0xE)


def test_more_than_a_segment_holds_is_refused(scope):
    scope.segment(1000)
    refused(lambda: scope.run(0, 128_000, 2), 0x1D)


def test_an_open_scope_is_not_found_again(scope):
    assert scope.units() == []
    if isinstance(scope, FakeScope):
        with pytest.raises(NoScopeError):
            scope.open(None, 8)
    else:
        other = open_driver(scope.family, scope.lib._clib._name)
        with pytest.raises(NoScopeError, match="none answered"):
            other.open(None, scope.family.default_bits)


def test_a_closed_scope_answers_nothing(scope):
    scope.close()
    with pytest.raises(ScopeLostError, match="no longer open"):
        scope.is_ready()


def test_a_question_about_power_is_answered_and_told(standin):
    standin.set(power=0x11A)
    driver = standin.driver()
    unit = driver.open(None, 8)
    assert "supply is not connected" in unit.power
    assert standin.calls("ChangePowerSource") == 1
    refused(lambda: driver.set_channel(2, 5, 1, 0.0, 0), 0x11A)
    driver.close()


def test_two_scopes_are_told_apart_by_their_serial_number(standin):
    standin.set(units=2)
    driver = standin.driver()
    assert driver.units() == ["FAKE/0001", "FAKE/0002"]
    assert standin.calls("OpenUnit") == 0
    with pytest.raises(NoScopeError, match="Say which"):
        driver.open(None, 8)
    assert driver.open("FAKE/0002", 8).serial == "FAKE/0002"
    assert driver.units() == ["FAKE/0001"]
    driver.close()


def test_resolutions_of_a_5000(libraries):
    driver = StandIn("ps5000a", libraries("ps5000a")).driver()
    for bits, full_scale in driver.family.full_scales.items():
        driver.open(None, bits)
        assert driver.full_scale() == full_scale
        driver.close()


def test_trigger_and_generator_arrive_in_the_drivers_units(standin):
    from mimodaq.picoscope._settings import Generator
    from mimodaq.picoscope._values import generator_values

    driver = standin.driver()
    driver.open(None, 8)
    driver.set_trigger(4, -1951, 3, 250, 5000)
    driver.set_generator(generator_values(Generator("square", 100e3, 0.4, 0.1)))
    driver.close()
    trigger = ("enable", "source", "threshold", "direction", "delay", "auto_ms")
    assert [standin.get(f"trigger.{name}") for name in trigger] == [1, 4, -1951, 3, 250, 5000]
    generator = ("wave", "offset", "size", "frequency")
    assert [standin.get(f"generator.{name}") for name in generator] == [1, 100_000, 400_000, 100e3]
