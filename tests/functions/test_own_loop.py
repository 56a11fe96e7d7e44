"""A function with its own loop: its buffers, figures, files."""

import pytest

from functions.stage import ONE, VALUE, WAVE
from mimodaq.functions import Form, FunctionIO, drain, form_of

EVENTS = [{"chA": i, "chB": -i} for i in range(5)]


def test_it_reads_and_writes_by_itself(stage):
    def work(io: FunctionIO, *, factor: float = 1.0):
        while (event := io.reader.get()) is not None:
            io.writer.put({"height": event["chA"][0] * factor}, io.reader.counter)

    (found,) = stage.play(work, EVENTS, writes=[VALUE], config={"factor": 3})
    assert [(e.counter, e.fields["height"]) for e in found] == [(100 + i, [3.0 * i]) for i in range(5)]


def test_a_stop_of_the_buffer_it_writes_ends_it_normally(stage):
    sink = stage.ring("out", ONE)

    def work(io):
        while True:
            io.writer.put({"ch": 1})
            sink.end()

    stage.play_into(work, sink)
    assert sink.status().committed >= 1


def test_figures_are_kept(stage):
    stage.play(lambda io: io.note(events=3, name="x"), EVENTS)
    assert stage.figures == {"events": 3, "name": "x"}


@pytest.mark.parametrize(("end", "access"), [("reader", "read"), ("writer", "write"), ("observer", "observe")])
def test_a_buffer_that_is_not_assigned_is_named_with_the_remedy(stage, end, access):
    with pytest.raises(LookupError, match=f"Fkt_2 has no buffer to {access}: add `RB_assign: {{RB_1: {access}}}`"):
        stage.play(lambda io: getattr(io, end))


def test_drain_throws_everything_away_and_counts(stage):
    assert form_of(drain) is Form.IO
    stage.play(drain, EVENTS, reads=WAVE)
    assert stage.figures == {"events": 5}
