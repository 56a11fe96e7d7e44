"""Measuring several things in turns."""

from __future__ import annotations

from mimodaq.client.bench._alternate import Sized, alternate
from mimodaq.client.bench._results import BenchError, Missing


def test_subjects_take_turns() -> None:
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = alternate({"a": lambda: measure("a"), "b": lambda: measure("b")}, 3)

    assert order == ["a", "b"] * 3
    assert found["a"].values == (1, 3, 5)
    assert found["b"].values == (2, 4, 6)


def test_what_cannot_be_measured_is_left_out_with_its_reason() -> None:
    calls: list[str] = []

    def absent() -> float:
        calls.append("absent")
        raise Missing("not installed")

    def broken() -> float:
        calls.append("broken")
        raise BenchError("it broke")

    found = alternate({"absent": absent, "broken": broken, "good": lambda: 7.0}, 2)

    assert calls == ["absent", "broken"]
    assert (found["absent"].values, found["absent"].missing, found["absent"].failed) == ((), "not installed", "")
    assert (found["broken"].values, found["broken"].missing, found["broken"].failed) == ((), "", "it broke")
    assert found["good"].values == (7.0, 7.0)


def sizes_asked_for(start_s: float, rate: float, seconds: float) -> list[int]:
    asked: list[int] = []

    def measure(events: int) -> float:
        asked.append(events)
        return events / (start_s + events / rate)

    sized = Sized(measure, first=10, seconds=seconds)
    sized()
    sized()
    return asked


def test_the_number_of_events_is_found_by_measuring_more_and_more() -> None:
    asked = sizes_asked_for(start_s=0, rate=500, seconds=4)

    assert asked == [10, 50, 250, 1250, 2000, 2000]


def test_the_cost_of_a_start_is_not_taken_for_that_of_events() -> None:
    asked = sizes_asked_for(start_s=3, rate=500, seconds=4)

    assert asked[-1] == asked[-2]
    assert asked[-1] / 500 > 1  # seconds spent on events


def test_a_slow_measurement_is_not_made_longer() -> None:
    asked = sizes_asked_for(start_s=100, rate=500, seconds=4)

    assert asked == [10, 10, 10]


def test_without_a_time_the_smallest_number_of_events_is_measured_at_once() -> None:
    asked: list[int] = []

    def measure(events: int) -> float:
        asked.append(events)
        return 1.0

    Sized(measure, first=10, seconds=0)()

    assert asked == [10]
