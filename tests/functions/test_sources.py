"""A generator is a source: what it may yield, and the metadata it gets."""

import time
from threading import Thread

import numpy as np
import pytest

from functions.stage import ONE, VALUE, WAVE, content
from mimodaq.functions import FormError, OutputError, form_of

RAMP = np.arange(8, dtype="f4")


def record(dtype, **fields):
    event = np.zeros((), dtype)[()]
    for name, values in fields.items():
        event[name] = values
    return event


@pytest.mark.parametrize(
    "event",
    [
        np.stack([RAMP, RAMP + 1]),
        [RAMP, RAMP + 1],
        (RAMP, RAMP + 1),
        [list(range(8)), list(range(1, 9))],
        {"chA": RAMP, "chB": RAMP + 1},
        {"chB": RAMP + 1, "chA": RAMP},
        {"chA": list(range(8)), "chB": tuple(range(1, 9))},
        record(WAVE, chA=RAMP, chB=RAMP + 1),
        np.array(record(WAVE, chA=RAMP, chB=RAMP + 1)),
        np.stack([RAMP, RAMP + 1]).astype("f8"),
    ],
    ids=["array", "arrays", "tuple", "lists", "mapping", "other order", "mapping of lists", "record", "0-d", "doubles"],
)
def test_an_event_may_be_given_as(stage, event):
    def source():
        yield event

    (found,) = stage.play(source, writes=[WAVE])
    assert [e.fields for e in found] == [{"chA": list(range(8)), "chB": list(range(1, 9))}]


def test_a_single_channel_needs_no_second_dimension(stage):
    def source():
        yield RAMP

    (found,) = stage.play(source, writes=[ONE])
    assert found[0].fields == {"ch": list(range(8))}


def test_one_number_fills_a_field_and_fields_not_given_are_zero(stage):
    def source():
        yield {"chA": 1.5}
        yield {"chB": np.float64(2.5)}

    (found,) = stage.play(source, writes=[WAVE])
    assert [e.fields for e in found] == [{"chA": [1.5] * 8, "chB": [0] * 8}, {"chA": [0] * 8, "chB": [2.5] * 8}]


def test_records_of_numpy_1d_programs_with_one_row_a_sample_fit(stage):
    rows = np.zeros(8, dtype=[("chA", "<f4"), ("chB", "<f4")])
    rows["chA"] = RAMP

    def source():
        yield rows

    (found,) = stage.play(source, writes=[WAVE])
    assert found[0].fields["chA"] == RAMP.tolist()


def test_the_event_is_copied_so_the_source_may_use_its_array_again(stage):
    def source():
        array = np.zeros((1, 8), "f4")
        for i in range(3):
            array[:] = i
            yield array

    (found,) = stage.play(source, writes=[ONE])
    assert [e.fields["ch"][0] for e in found] == [0, 1, 2]


def test_metadata_are_filled_in_counter_time_and_dead_time(stage):
    def source():
        yield RAMP
        yield RAMP

    before = time.time()
    (found,) = stage.play(source, writes=[ONE])
    assert [e.counter for e in found] == [0, 1]
    assert before <= found[0].timestamp <= found[1].timestamp <= time.time()
    assert all(0 <= e.deadtime <= 1 for e in found)


def test_counters_of_several_processes_and_sources_of_one_buffer_differ(stage):
    def source():
        for _ in range(5):
            yield RAMP

    ring = stage.ring("shared", ONE)
    ring.expect_writers(2)
    for process in range(2):
        stage.play_into(source, ring, process=process, processes=2)
    assert [e.counter for e in content(ring)] == list(range(10))


def test_metadata_may_come_with_the_event(stage):
    def source():
        yield RAMP, (17, 1234.5, 0.25)
        yield {"ch": RAMP}, (18, 1235.5, 0.5)

    (found,) = stage.play(source, writes=[ONE])
    assert [tuple(e[1:]) for e in found] == [(17, 1234.5, 0.25), (18, 1235.5, 0.5)]


def test_none_as_metadata_means_fill_in(stage):
    def source():
        yield RAMP, None

    (found,) = stage.play(source, writes=[ONE])
    assert found[0].counter == 0
    assert found[0].timestamp > 1e9


def test_metadata_that_are_not_three_are_refused(stage):
    def source():
        yield RAMP, (17, 1234.5)

    with pytest.raises(OutputError) as caught:
        stage.play(source, writes=[ONE])
    assert str(caught.value) == "Fkt_2 gives (17, 1234.5) beside an event: (counter, timestamp, deadtime) expected"


def test_none_is_the_end(stage):
    def source():
        yield RAMP
        yield None
        raise AssertionError("asked once too often")

    (found,) = stage.play(source, writes=[ONE])
    assert len(found) == 1


def test_a_source_that_is_told_to_stop_may_tidy_up(stage):
    tidied = []

    def source():
        try:
            while True:
                yield RAMP
                ring.end()
        finally:
            tidied.append(True)

    ring = stage.ring("stops", ONE)
    stage.play_into(source, ring)
    assert tidied == [True]


def test_dead_time_is_the_share_of_waiting_for_the_buffer(stage):
    ring = stage.ring("small", ONE, slots=1)
    reader = ring.reader("reads", "slow")

    def source():
        for _ in range(3):
            yield RAMP

    deadtimes = []

    def read():
        while reader.get() is not None:
            deadtimes.append(reader.deadtime)

    thread = Thread(target=read)
    thread.start()
    stage.play_into(source, ring)
    thread.join()
    reader.close()
    assert deadtimes[0] == 0.0
    assert all(0 <= d <= 1 for d in deadtimes)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (np.zeros((3, 8)), "ndarray with 3 rows"),
        ([RAMP], "list with 1 rows"),
        (np.zeros((2, 9)), "9 values for field 'chA', which has 8"),
        (5.0, "float 5.0"),
        ("text", "str text"),
        ({"chC": RAMP}, "a field 'chC'"),
        ({"chA": "text"}, "text (<U4) for field 'chA', which is float32"),
        ({"chA": 1j}, "1j (complex128) for field 'chA', which is float32"),
        ([RAMP, RAMP[:4]], "4 values for field 'chB', which has 8"),
        ({"chA": [[1, 2], [3]]}, "lists of different length for field 'chA'"),
    ],
)
def test_an_event_that_does_not_fit_the_buffer_is_an_error_that_names_both(stage, event, message):
    def source():
        yield event

    with pytest.raises(OutputError) as caught:
        stage.play(source, writes=[WAVE])
    assert str(caught.value).startswith(f"Fkt_2 gives {message}; buffer out0 takes [('chA', '<f4', (8,)), ('chB', ")


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, np.int64(2**40), np.uint32(2**31), 1.5, np.nan])
def test_a_number_that_would_become_another_one_is_refused(stage, value):
    def source():
        yield {"position": value}

    with pytest.raises(OutputError, match="for field 'position', which is int32"):
        stage.play(source, writes=[VALUE])


@pytest.mark.parametrize("value", [7, np.int64(7), np.uint8(7), True, np.array([7]), [7]])
def test_a_whole_number_of_any_type_that_fits_is_stored(stage, value):
    def source():
        yield {"position": value}

    (found,) = stage.play(source, writes=[VALUE])
    assert found[0].fields["position"] == [int(np.asarray(value).item())]


def test_options_are_arguments_of_the_generator(stage):
    def source(*, n: int = 1, level: float = 0.0):
        for _ in range(n):
            yield {"ch": level}

    (found,) = stage.play(source, writes=[ONE], config={"n": 3, "level": 2})
    assert [e.fields["ch"][0] for e in found] == [2.0] * 3


def test_an_exception_of_the_source_is_passed_on(stage):
    def source():
        yield RAMP
        raise OSError("no device")

    with pytest.raises(OSError, match="no device"):
        stage.play(source, writes=[ONE])


def test_a_source_must_work_without_arguments():
    def source(device):
        yield device

    with pytest.raises(FormError, match="source source must work without arguments: give 'device' a default"):
        form_of(source)
