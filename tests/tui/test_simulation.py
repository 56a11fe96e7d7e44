"""The simulated experiment behaves like one: full rings hold up who writes them, and nothing is lost."""

import pytest

from mimodaq.protocol.states import State
from mimodaq.tui.simulated import Fault, SimulatedFeed, What
from mimodaq.watch import Subject
from tui.pages import followed


def ring(feed, node, name):
    return feed.flow.rings[Subject("buffer", node, name)]


def test_everything_that_was_committed_is_somewhere():
    _, feed = followed([Fault(5.0, 10.0, What.SLOW, "file"), Fault(30.0, 5.0, What.CUT, "pulses_2")], 60)
    for one in feed.flow.rings.values():
        assert 0 <= one.lag <= one.slots + 1e-6
    before, after = ring(feed, "pi-1", "pulses_1"), ring(feed, "daq1", "pulses_1")
    assert before.committed == pytest.approx(after.committed + before.lag)


def test_back_pressure_reaches_the_source_over_the_link():
    _, feed = followed([Fault(2.0, 1000.0, What.SLOW, "file")], 60)
    lines = {b.name: b for b in feed.reporter.report("pi-1").buffers}
    assert lines["scope_1"].fill > 0.99


def test_the_same_seed_gives_the_same_experiment():
    texts = []
    for _ in range(2):
        model, _ = followed([Fault(5.0, 10.0, What.LOST, "pi-2")], 20)
        texts.append((model.snapshot.cluster, dict(model.snapshot.reports)))
    assert texts[0] == texts[1]


def test_a_node_that_is_lost_does_not_report_and_comes_back():
    model, feed = followed([Fault(5.0, 10.0, What.LOST, "pi-2")], 12)
    assert [n.presence for n in model.snapshot.nodes if n.node == "pi-2"] == ["lost"]
    assert model.snapshot.reported["pi-2"] < feed.now() - 5


@pytest.mark.parametrize("state", [State.IDLE, State.CONFIGURED, State.READY, State.RUNNING, State.PAUSED])
def test_it_can_begin_in_any_state(state):
    feed = SimulatedFeed(state=state)
    feed.advance(2.0)
    assert feed.control.state is state
    assert (feed.control.run is not None) == state.is_in_run
