"""A snapshot is what came last, and never looks live when it is not."""

from mimodaq.protocol.messages import Cluster, Report
from mimodaq.protocol.states import State
from mimodaq.watch import Assembler, History, Subject
from watch.story import Story, buffer_line, node_line


def cluster(number, *nodes, epoch=1, **changes):
    fields = {
        "state": State.RUNNING, "aim": State.RUNNING, "for_s": 1.0, "run": 1, "running_s": 10.0, "events": 0,
        "in_charge": "", "text": "", "setup_id": None, "reasons": (), "nodes": tuple(nodes),
    }  # fmt: skip
    return Cluster(epoch=epoch, number=number, **(fields | changes))


def report(number, node="pi", state=State.RUNNING, epoch=1, **parts):
    return Report(node=node, epoch=epoch, number=number, state=state, **parts)


def test_overtaken_messages_change_nothing():
    assembler = Assembler()
    assert assembler.handle(cluster(2, node_line("pi")), 1.0)
    assert not assembler.handle(cluster(1, state=State.ERROR), 2.0)
    assert assembler.handle(report(5), 3.0)
    assert not assembler.handle(report(4, state=State.ERROR), 4.0)
    snapshot = assembler.snapshot(4.0, 0)
    assert (snapshot.cluster.number, snapshot.reports["pi"].number, snapshot.heard) == (2, 5, 1.0)


def test_a_new_broker_and_a_node_started_again_count_anew():
    assembler = Assembler()
    assembler.handle(cluster(900, node_line("pi")), 1.0)
    assembler.handle(report(900), 1.0)
    assembler.handle(cluster(1, node_line("pi"), epoch=2, state=State.IDLE), 2.0)
    assembler.handle(report(1, epoch=2, state=State.IDLE), 2.0)
    snapshot = assembler.snapshot(2.0, 0)
    assert (snapshot.state, snapshot.reports["pi"].state) == (State.IDLE, State.IDLE)


def test_only_what_an_operator_sees_is_urgent():
    assembler = Assembler()
    assembler.handle(cluster(1, node_line("pi")), 1.0)
    assert not assembler.handle(cluster(2, node_line("pi"), events=500, running_s=11.0), 2.0)
    assert assembler.handle(cluster(3, node_line("pi", presence="late")), 2.1)
    assert assembler.handle(cluster(4, node_line("pi"), in_charge="anna"), 2.2)


def test_a_node_the_broker_has_forgotten_is_forgotten():
    assembler = Assembler()
    assembler.handle(report(1, "pi"), 0.5)
    assembler.handle(report(1, "old"), 0.5)
    assembler.handle(cluster(1, node_line("pi")), 1.0)
    assert set(assembler.snapshot(1.0, 0).reports) == {"pi"}


def test_old_is_called_old():
    assembler = Assembler()
    assert assembler.snapshot(1.0, 0).is_stale
    assembler.handle(cluster(1, node_line("pi")), 2.0)
    assert not assembler.snapshot(3.7, 0).is_stale
    old = assembler.snapshot(3.9, 0)
    assert (old.is_stale, old.state, old.cluster.state) == (True, State.OFFLINE, State.RUNNING)


def test_a_mixture_of_states_is_seen():
    assembler = Assembler()
    assembler.handle(cluster(1, node_line("a"), node_line("b", state=State.PAUSED)), 1.0)
    assert assembler.snapshot(1.0, 0).is_mixed
    assembler.handle(cluster(2, node_line("a"), node_line("b", state=State.IDLE, is_in_setup=False)), 1.0)
    assert not assembler.snapshot(1.0, 0).is_mixed


def test_the_history_has_one_value_a_report_and_forgets():
    story, history = Story(), History()
    for second in range(300):
        story.events += 50
        story.tell(buffer_line("RB_1", rate_hz=float(second)))
        history.note(story.assembler.snapshot(story.now, 0))
        history.note(story.assembler.snapshot(story.now + 0.1, 0))
    values = history.of(Subject("buffer", "pi", "RB_1"))
    assert (len(values), values[-1], values[0]) == (240, 299.0, 60.0)
    assert history.rate_hz == 50.0
    story.tell()
    history.note(story.assembler.snapshot(story.now, 0))
    assert not history.of(Subject("buffer", "pi", "RB_1"))
