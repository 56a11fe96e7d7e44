"""A function of a batch: masks and records, for one sink or for several."""

from threading import Thread

import numpy as np
import pytest

from functions.stage import ONE, VALUE, WAVE
from mimodaq.functions import OutputError

EVENTS = [{"chA": i, "chB": -i} for i in range(20)]


def values(batch):
    return batch.events["chA"][:, 0].astype(int)


def numbers(found):
    return [e.counter - 100 for e in found]


def test_a_batch_has_events_and_metadata(stage):
    seen = []

    def look(batch):
        assert len(batch.events) == len(batch.counter) == len(batch.timestamp) == len(batch.deadtime)
        seen.extend(zip(values(batch).tolist(), batch.counter.tolist(), batch.timestamp.tolist(), strict=True))

    stage.play(look, EVENTS)
    assert seen == [(i, 100 + i, 1000 + 0.5 * i) for i in range(20)]


def test_a_mask_selects_events(stage):
    (found,) = stage.play(lambda batch: values(batch) % 3 == 0, EVENTS, writes=[WAVE])
    assert numbers(found) == [0, 3, 6, 9, 12, 15, 18]
    assert found[1].fields == {"chA": [3] * 8, "chB": [-3] * 8}
    assert tuple(found[1][1:]) == (103, 1001.5, 0.03)


def test_none_drops_the_batch(stage):
    assert stage.play(lambda batch: None, EVENTS, writes=[WAVE]) == [[]]


def test_records_are_one_event_for_each(stage):
    def measure(batch):
        found = np.zeros(len(batch.events), VALUE)
        found["position"][:, 0] = values(batch) ** 2
        return found

    (found,) = stage.play(measure, EVENTS, writes=[VALUE])
    assert [e.fields["position"][0] for e in found] == [i**2 for i in range(20)]
    assert numbers(found) == list(range(20))


def test_records_may_have_flat_fields_and_leave_some_out(stage):
    def measure(batch):
        found = np.zeros(len(batch.events), [("position", "i8")])
        found["position"] = values(batch)
        return found

    (found,) = stage.play(measure, EVENTS, writes=[VALUE])
    assert [e.fields for e in found][:2] == [{"height": [0.0], "position": [0]}, {"height": [0.0], "position": [1]}]


def test_one_value_for_each_event_fills_a_field(stage):
    def level(batch):
        found = np.zeros(len(batch.events), [("ch", "f8")])
        found["ch"] = values(batch)
        return found

    (found,) = stage.play(level, EVENTS, writes=[ONE])
    assert [e.fields["ch"] for e in found] == [[i] * 8 for i in range(20)]


def test_a_list_has_one_entry_for_each_sink(stage):
    def sort(batch):
        is_even = values(batch) % 2 == 0
        return [is_even, None, ~is_even]

    first, second, third = stage.play(sort, EVENTS, writes=[WAVE, WAVE, WAVE])
    assert numbers(first) == list(range(0, 20, 2))
    assert second == []
    assert numbers(third) == list(range(1, 20, 2))


def test_an_answer_that_is_no_list_is_for_the_first_sink(stage):
    first, second = stage.play(lambda batch: values(batch) < 2, EVENTS, writes=[WAVE, WAVE])
    assert (numbers(first), second) == ([0, 1], [])


def test_more_events_than_the_sink_has_slots_go_in_portions(stage):
    sink = stage.ring("small", WAVE, slots=4)
    ring = stage.ring("in", WAVE)
    with ring.writer("test") as writer:
        for event in EVENTS:
            writer.put(event)
    seen = []

    def read():
        with sink.reader("reads", "test") as reader:
            while reader.get() is not None:
                seen.append(reader.counter)

    thread = Thread(target=read)
    thread.start()
    stage.play_into(lambda batch: values(batch) >= 0, sink, readers=[ring.reader("reads", "it")])
    thread.join()
    assert seen == list(range(20))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda n: np.ones(n + 1, bool), "bool of shape"),
        (np.ones, "float64 of shape"),
        (lambda n: np.zeros(n + 1, VALUE), "of shape"),
        (lambda n: True, r"bool of shape \(\)"),
        (lambda n: [True, True, True], "a list of 3 for 1 sinks"),
    ],
)
def test_an_answer_of_another_shape_is_an_error(stage, answer, message):
    with pytest.raises(OutputError, match=f"Fkt_2 answered .*{message}"):
        stage.play(lambda batch: answer(len(batch.events)), EVENTS, writes=[VALUE])


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        ([("depth", "f8")], "a field 'depth'"),
        ([("position", "f8")], r"\(float64\) for field 'position', which is int32"),
        ([("position", "i4", (3,))], "values for field 'position'"),
    ],
)
def test_records_that_do_not_fit_the_sink_are_an_error(stage, dtype, message):
    with pytest.raises(OutputError, match=message):
        stage.play(lambda batch: np.zeros(len(batch.events), dtype), EVENTS, writes=[VALUE])


def test_a_number_too_large_for_its_field_is_an_error(stage):
    def measure(batch):
        found = np.zeros(len(batch.events), [("position", "i8")])
        found["position"] = 2**40
        return found

    with pytest.raises(OutputError, match="which is int32"):
        stage.play(measure, EVENTS, writes=[VALUE])


def test_a_batch_is_released_after_the_function_has_returned(stage):
    ring = stage.ring("held", WAVE)
    with ring.writer("test") as writer:
        for event in EVENTS:
            writer.put(event)
    held = []

    def look(batch):
        held.append(ring.status().groups[0].reading >= len(batch.events))

    reader = ring.reader("reads", "it")
    stage.play_into(look, readers=[reader])
    assert all(held)
    assert ring.status().groups[0].released == 20
