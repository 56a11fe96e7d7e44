"""A function of one event: what it may answer, and where that goes."""

import numpy as np
import pytest

from functions.stage import ONE, VALUE, WAVE
from mimodaq.functions import OutputError

EVENTS = [{"chA": i, "chB": -i} for i in range(4)]
METADATA = [(100, 1000.0, 0.0), (101, 1000.5, 0.01), (102, 1001.0, 0.02), (103, 1001.5, 0.03)]


def value(event):
    return int(event["chA"][0])


@pytest.mark.parametrize("answer", [True, np.True_, np.bool_(1)])
def test_true_passes_the_event_on_unchanged(stage, answer):
    (found,) = stage.play(lambda event: answer, EVENTS, writes=[WAVE])
    assert [e.fields for e in found] == [{"chA": [i] * 8, "chB": [-i] * 8} for i in range(4)]
    assert [tuple(e[1:]) for e in found] == METADATA


@pytest.mark.parametrize("answer", [None, False, np.False_])
def test_none_and_false_drop_it(stage, answer):
    assert stage.play(lambda event: answer, EVENTS, writes=[WAVE]) == [[]]


def test_a_comparison_of_numpy_is_an_answer(stage):
    (found,) = stage.play(lambda event: event["chA"].max() > 1, EVENTS, writes=[WAVE])
    assert [e.counter for e in found] == [102, 103]


def test_a_mapping_is_an_event_for_the_first_sink(stage):
    def half(event):
        return {"height": event["chA"].max() / 2, "position": value(event)}

    first, second = stage.play(half, EVENTS, writes=[VALUE, WAVE])
    assert [e.fields for e in first] == [{"height": [i / 2], "position": [i]} for i in range(4)]
    assert [tuple(e[1:]) for e in first] == METADATA
    assert second == []


def test_a_record_is_an_event_for_the_first_sink(stage):
    def double(event):
        copy = event.copy()
        copy["chA"] *= 2
        return copy

    (found,) = stage.play(double, EVENTS, writes=[WAVE])
    assert [e.fields["chA"][0] for e in found] == [0, 2, 4, 6]


def test_an_array_is_an_event_for_the_first_sink(stage):
    (found,) = stage.play(lambda event: event["chA"][np.newaxis] + 1, EVENTS, writes=[ONE])
    assert [e.fields["ch"][0] for e in found] == [1, 2, 3, 4]


def test_a_list_has_one_entry_for_each_sink(stage):
    def sort(event):
        i = value(event)
        return [None if i % 2 else True, {"position": i} if i % 2 else None]

    even, odd = stage.play(sort, EVENTS, writes=[WAVE, VALUE])
    assert [e.counter for e in even] == [100, 102]
    assert [(e.counter, e.fields["position"]) for e in odd] == [(101, [1]), (103, [3])]


def test_an_entry_may_be_a_list_of_events_all_with_the_metadata_of_the_input(stage):
    def peaks(event):
        return [[{"position": k} for k in range(value(event))], np.True_]

    first, second = stage.play(peaks, EVENTS, writes=[VALUE, WAVE])
    assert [(e.counter, e.fields["position"][0]) for e in first] == [(101, 0), (102, 0), (102, 1)] + [
        (103, k) for k in range(3)
    ]
    assert {tuple(e[1:]) for e in first} == set(METADATA[1:])
    assert len(second) == 4


@pytest.mark.parametrize("answer", [[False, False], [None, []], [[], np.False_]])
def test_entries_may_be_empty(stage, answer):
    assert stage.play(lambda event: answer, EVENTS, writes=[WAVE, VALUE]) == [[], []]


def test_a_list_of_another_length_is_an_error(stage):
    with pytest.raises(OutputError, match="Fkt_2 answered a list of 3 for 2 sinks: one entry for each"):
        stage.play(lambda event: [None, None, None], EVENTS, writes=[WAVE, VALUE])


def test_a_raw_event_that_does_not_fit_its_sink_is_an_error(stage):
    with pytest.raises(OutputError, match="a field 'chA'; buffer out0 takes"):
        stage.play(lambda event: True, EVENTS, writes=[VALUE])


def test_the_event_cannot_be_changed_because_others_read_it_too(stage):
    def spoil(event):
        event["chA"][0] = 7

    with pytest.raises(ValueError, match="read-only"):
        stage.play(spoil, EVENTS)


def test_a_sink_gets_every_event_and_its_answer_does_not_matter(stage):
    seen = []
    assert stage.play(lambda event: seen.append(value(event)) or [1, 2, 3], EVENTS) == []
    assert seen == [0, 1, 2, 3]


def test_an_observed_buffer_gives_copies_of_recent_events(stage):
    seen = []

    def show(event):
        event["chA"][0] += 1  # a copy
        seen.append(value(event))

    stage.play(show, EVENTS, observes=True)
    assert seen == [4]  # the newest when it looked


def test_what_is_observed_may_be_handed_on(stage):
    (found,) = stage.play(lambda event: {"position": value(event)}, EVENTS, observes=True, writes=[VALUE])
    assert [tuple(e) for e in found] == [({"height": [0], "position": [3]}, *METADATA[3])]


def test_options_are_keyword_arguments(stage):
    def above(event, *, threshold: float = 0.0, invert: bool = False):
        return (event["chA"].max() > threshold) != invert

    (found,) = stage.play(above, EVENTS, writes=[WAVE], config={"threshold": 1, "invert": True})
    assert [e.counter for e in found] == [100, 101]


def test_an_exception_leaves_the_event_in_its_group(stage):
    def picky(event):
        if value(event) == 2:
            raise ValueError("no good")

    ring = stage.ring("picky", WAVE)
    with ring.writer("test") as writer:
        for event in EVENTS:
            writer.put(event)
    reader = ring.reader("reads", "it")
    with pytest.raises(ValueError, match="no good"):
        stage.play_into(picky, readers=[reader])
    (group,) = ring.status().groups
    assert group.released + group.pending == 4
    assert group.pending >= 2
