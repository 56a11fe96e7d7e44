"""The graph of a setup is the one that runs."""

from mimodaq.config import load_setup
from mimodaq.tui.simulated import demo_setup
from mimodaq.watch import Subject, graph_of


def buffer(node, name):
    return Subject("buffer", node, name)


def test_events_go_from_the_sources_over_links_to_the_ends():
    graph = graph_of(load_setup(demo_setup()))
    assert graph.sources() == {buffer("pi-1", "scope_1"), buffer("pi-2", "scope_2")}
    order = list(graph.buffers)
    assert order.index(buffer("pi-1", "pulses_1")) < order.index(buffer("daq1", "pulses_1")) < len(order) - 1
    link = Subject("link", "pi-1", "pulses_1:pi-1>daq1")
    assert graph.downstream()[buffer("pi-1", "pulses_1")] == (link,)
    assert graph.upstream()[buffer("daq1", "pulses_1")] == (link,)
    assert graph.upstream()[buffer("daq1", "merged")] == (buffer("daq1", "pulses_1"), buffer("daq1", "pulses_2"))
    assert {e.target.name for e in graph.out_of(buffer("daq1", "merged"))} == {"file", "spectra"}
    assert [e.is_observer for e in graph.out_of(buffer("pi-1", "scope_1"))] == [False, True]


def test_who_takes_the_events_out_of_a_buffer_is_known():
    readers = graph_of(load_setup(demo_setup())).readers()
    assert readers[buffer("pi-1", "scope_1")] == ("filter_1",)
    assert readers[buffer("pi-1", "pulses_1")] == ("pulses_1:pi-1>daq1",)
    assert readers[buffer("daq1", "merged")] == ("file", "spectra")
