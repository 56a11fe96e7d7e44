"""What an operator could see of a fault, and when."""

from __future__ import annotations

import pytest

from mimodaq.chaos._faults import BROKER, Fault, Kind
from mimodaq.chaos._player import Player
from mimodaq.chaos._targets import CannotDo
from mimodaq.chaos._witness import QUIET_S, Witness
from mimodaq.protocol.messages import Cluster, LogLine, NodeLine, Report
from mimodaq.protocol.parts import HostLine, LinkLine, WorkerLine
from mimodaq.protocol.states import State

LINK = "RB_1:daq1>ana1"


def line(node, text, source="run"):
    return LogLine(node, 1, "error", source, text)


def cluster(*nodes, epoch=7):
    return Cluster(epoch, 1, State.RUNNING, State.RUNNING, 1.0, 1, 1.0, 0, "", "", None, (), nodes)


def seen(name, presence):
    return NodeLine(name, State.RUNNING, presence, 0.0, True, False, 0.0, 0.0, 0.0)


def report(node="ana1", epoch=5, restarts=0, connected=True, free=1 << 30):
    return Report(
        node,
        epoch,
        1,
        State.RUNNING,
        run=1,
        workers=(WorkerLine("Fkt_2[0]", "running", restarts),),
        links=(LinkLine(LINK, connected, 0.0, 0.0, 0, 0, 0, 0, 0.0),),
        host=HostLine(disk_free_bytes=free),
    )


HEARD = [cluster(seen("ana1", "here")), report()]
CASES = [
    (Kind.KILL_WORKER, "ana1", "Fkt_2[0]", line("ana1", "Fkt_2[0] failed: killed by SIGKILL")),
    (Kind.KILL_WORKER, "ana1", "Fkt_2[0]", report(restarts=1)),
    (Kind.STALL_LINK, "daq1", f"{LINK}[0]", report(connected=False)),
    (Kind.KILL_NODE, "ana1", "", report(epoch=6)),
    (Kind.KILL_NODE, "ana1", "", cluster(seen("ana1", "late"))),
    (Kind.STALL_NODE, "ana1", "", line(BROKER, "ana1 has been silent for 0.8 s")),
    (Kind.CUT, "ana1", "", line(BROKER, "ana1 is lost: not heard for 2.5 s")),
    (Kind.CUT, BROKER, "", cluster(seen("ana1", "late"))),
    (Kind.KILL_BROKER, BROKER, "", cluster(seen("ana1", "here"), epoch=8)),
    (Kind.STALL_BROKER, BROKER, "", line(BROKER, "the broker itself was held up for 2.0 s")),
    (Kind.DISK, "ana1", "", report(free=0)),
    (Kind.DISK, "ana1", "", line("ana1", "writing the record: No space left on device")),
    (Kind.CLOCK, "ana1", "", line("ana1", "the clock of this host was set by +3.000 s", "clock")),
    (Kind.GARBAGE, BROKER, "", line(BROKER, "a message from this host was not accepted: no msgpack")),
    (Kind.GARBAGE, "ana1", "", line("ana1", "link x: ignored a header")),
]


@pytest.mark.parametrize(("kind", "node", "target", "news"), CASES)
def test_a_sign_of_a_fault_is_known_with_its_delay(kind, node, target, news):
    witness, fault = Witness(), Fault(1, 0.0, kind, node, target)
    for one in HEARD:
        witness.hear(one, 9.0)
    witness.begin(fault, 10.0)
    for one in HEARD:
        witness.hear(one, 11.0)  # as before: no sign
    assert witness.signs == {}
    witness.hear(news, 12.5)
    assert witness.signs[1].after_s == 2.5
    first = witness.signs[1]
    witness.hear(news, 20.0)
    assert witness.signs[1] is first


@pytest.mark.parametrize(("kind", "node", "target", "news"), CASES)
def test_news_from_before_the_fault_or_of_another_host_are_no_sign(kind, node, target, news):
    witness = Witness()
    witness.hear(news, 1.0)
    witness.begin(Fault(1, 0.0, kind, "daq7", "Fkt_9[0]"), 2.0)
    assert witness.signs == {}
    if kind not in (Kind.KILL_BROKER, Kind.STALL_BROKER):
        witness.hear(news, 3.0)
        assert witness.signs == {}


def test_a_silent_feed_tells_of_the_broker_and_of_nothing_else():
    witness = Witness()
    witness.begin(Fault(1, 0.0, Kind.KILL_BROKER, BROKER), 0.0)
    witness.begin(Fault(2, 0.0, Kind.KILL_NODE, "ana1"), 0.0)
    witness.miss(QUIET_S / 2, QUIET_S / 2)
    assert witness.signs == {}
    witness.miss(QUIET_S, QUIET_S)
    assert set(witness.signs) == {1}


def test_what_is_heard_after_a_second_fault_is_not_of_the_first():
    witness = Witness()
    witness.begin(Fault(1, 0.0, Kind.STALL_WORKER, "ana1", "Fkt_2[0]", 0.2), 0.0)
    witness.begin(Fault(2, 9.0, Kind.KILL_WORKER, "ana1", "Fkt_2[0]"), 9.0)
    witness.hear(line("ana1", "Fkt_2[0] failed: killed by SIGKILL"), 10.0)
    assert set(witness.signs) == {2}


class Deeds:
    """Of the faults it is told to do, only the first is possible."""

    def __init__(self):
        self.asked = 0

    def do(self, fault, run):
        self.asked += 1
        if self.asked > 1:
            raise CannotDo("it does not run now")


class News:
    """A session that hears, in turn, what it was given."""

    silent_s = 0.0

    def __init__(self, *turns):
        self.turns = list(turns)

    def news(self, wait_s):
        return self.turns.pop(0)


def test_a_fault_that_could_not_be_done_is_not_looked_for_and_does_not_end_the_look_for_the_one_before():
    told = line("ana1", "Fkt_2[0] failed: killed by SIGKILL")
    faults = [Fault(number, 0.0, Kind.KILL_WORKER, "ana1", "Fkt_2[0]") for number in (1, 2)]
    player = Player(News([], [told], [told]), Deeds(), faults, lambda text: None)
    for _ in range(3):
        player.listen()
    assert [done.why_not for done in player.done] == ["", "it does not run now"]
    assert list(player.witness.signs) == [1]
